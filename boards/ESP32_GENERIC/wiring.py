# SPDX-License-Identifier: MIT
"""ESP32, a module WROOM or WROVER on a DevKitC.

Connect: optical head      GPIO17 to its LED driver, GPIO16 from its phototransistor
         RS-485            GPIO26 to DI, GPIO27 from RO, GPIO25 to DE and /RE
         PLC modem         GPIO26 to RXD, GPIO27 from TXD, GPIO33 to /RESET, GPIO32 to T_REQ
         energy chip       GPIO18 SCK, GPIO23 MOSI, GPIO19 MISO, GPIO13 /CS, GPIO34 /IRQ
         relay             GPIO4 to its driver
         pulse LED         GPIO14, through 330 ohm
         display           GPIO22 SCL, GPIO21 SDA: SSD1306 at 0x3C
         button            BOOT on the board
"""

PORT = "esp32"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 2, 9600),)

# (UART, TX, RX, driver enable or None)
UARTS = ((2, 17, 16, None), (1, 26, 27, 25))
OPTICAL_UART = 2
RS485_UART = 1

# Instead of RS-485: there are no more UARTs.
PLC_UART = 1
PLC_RESET = 33
PLC_T_REQ = 32

# (bus, SCK, MOSI, MISO)
ENERGY_SPI = (2, 18, 23, 19)
ENERGY_CS = 13
ENERGY_IRQ = 34

RELAY = 4
PULSE_LED = 14
BUTTON = 0

# (bus, SCL, SDA)
DISPLAY_I2C = (0, 22, 21)
DISPLAY_ADDRESS = 0x3C
# What shows the display list: "ssd1306", or "terminal" (lines on the REPL); None: nothing.
DISPLAY = None

# TCP port of the wrapper; None: the board has no network.
TCP_PORT = 4059

# Folder for what the meter keeps; None: nothing.
STATE = "/meter"

# True: the meter only serves clients with secrets once it has a provisioning record.
PROVISIONING = False
