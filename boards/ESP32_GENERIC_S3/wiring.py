# SPDX-License-Identifier: MIT
"""ESP32-S3 on a DevKitC-1.

Connect: optical head      GPIO17 to its LED driver, GPIO18 from its phototransistor
         RS-485            GPIO15 to DI, GPIO16 from RO, GPIO14 to DE and /RE
         PLC modem         GPIO15 to its RXD, GPIO16 from its TXD, GPIO6 to /RESET, GPIO5 to T_REQ
         energy chip       GPIO12 SCK, GPIO11 MOSI, GPIO13 MISO, GPIO10 /CS, GPIO9 /IRQ
         relay             GPIO7 to its driver
         pulse LED         GPIO8, through 330 ohm
         display           GPIO39 SCL, GPIO40 SDA: SSD1306 at 0x3C
         button            BOOT on the board
"""

PORT = "esp32"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 1, 9600),)

# (UART, TX, RX, driver enable or None)
UARTS = ((1, 17, 18, None), (2, 15, 16, 14))
OPTICAL_UART = 1
RS485_UART = 2

# Instead of RS-485: there are no more UARTs.
PLC_UART = 2
PLC_RESET = 6
PLC_T_REQ = 5

# (bus, SCK, MOSI, MISO)
ENERGY_SPI = (1, 12, 11, 13)
ENERGY_CS = 10
ENERGY_IRQ = 9

RELAY = 7
PULSE_LED = 8
BUTTON = 0

# (bus, SCL, SDA)
DISPLAY_I2C = (0, 39, 40)
DISPLAY_ADDRESS = 0x3C
# What shows the display list: "ssd1306", or "terminal" (lines on the REPL); None: nothing.
DISPLAY = None

# TCP port of the wrapper; None: the board has no network.
TCP_PORT = 4059

# Folder for what the meter keeps; None: nothing.
STATE = "/meter"

# True: the meter only serves clients with secrets once it has a provisioning record.
PROVISIONING = False
