# SPDX-License-Identifier: MIT
"""Raspberry Pi Pico.

Connect: optical head      GPIO0 to its LED driver, GPIO1 from its phototransistor
         RS-485            GPIO4 to DI, GPIO5 from RO, GPIO6 to DE and /RE
         PLC modem         GPIO4 to its RXD, GPIO5 from its TXD, GPIO7 to /RESET, GPIO8 to T_REQ
         energy chip       GPIO18 SCK, GPIO19 MOSI, GPIO16 MISO, GPIO17 /CS, GPIO20 /IRQ
         relay             GPIO22 to its driver
         pulse LED         GPIO15, through 330 ohm
         display           GPIO3 SCL, GPIO2 SDA: SSD1306 at 0x3C
         button            between GPIO14 and GND
         power fail        GPIO21, from a comparator at the supply: low when it fails
"""

PORT = "rp2"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 0, 9600),)

# (UART, TX, RX, driver enable or None)
UARTS = ((0, 0, 1, None), (1, 4, 5, 6))
OPTICAL_UART = 0
RS485_UART = 1

# Instead of RS-485: there are no more UARTs.
PLC_UART = 1
PLC_RESET = 7
PLC_T_REQ = 8

# (bus, SCK, MOSI, MISO)
ENERGY_SPI = (0, 18, 19, 16)
ENERGY_CS = 17
ENERGY_IRQ = 20

RELAY = 22
PULSE_LED = 15
BUTTON = 14
POWER_FAIL = 21

# (bus, SCL, SDA)
DISPLAY_I2C = (1, 3, 2)
DISPLAY_ADDRESS = 0x3C
# What shows the display list: "ssd1306", or "terminal" (lines on the REPL); None: nothing.
DISPLAY = None

# TCP port of the wrapper; None: the board has no network.
TCP_PORT = None

# Folder for what the meter keeps; None: nothing.
STATE = "/meter"

# Slots of an update, in the ROMFS of an image for 4 MiB of flash: module, name, arguments of what
# makes the block device, first block of slot a, of slot b, and how many.
SLOTS = ("vfs", "rom_ioctl", (2, 0), 0, 160, 160)

# True: the meter only serves clients with secrets once it has a provisioning record.
PROVISIONING = False
