# SPDX-License-Identifier: MIT
"""pyboard v1.1 (STM32F405).

Connect: optical head      Y1 to its LED driver, Y2 from its phototransistor
         RS-485            X3 to DI, X4 from RO, X12 to DE and /RE
         PLC modem         X1 to its RXD, X2 from its TXD, X11 to /RESET, X8 to T_REQ
         energy chip       Y6 SCK, Y8 MOSI, Y7 MISO, Y5 /CS, Y4 /IRQ
         relay             Y11 to its driver
         pulse LED         Y12, through 330 ohm
         display           X9 SCL, X10 SDA: SSD1306 at 0x3C
         button            USR on the board
"""

PORT = "stm32"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 6, 9600),)

# (UART, TX, RX, driver enable or None). This chip's UARTs have pins that cannot be chosen.
UARTS = ((6, None, None, None), (2, None, None, "X12"), (4, None, None, None))
OPTICAL_UART = 6
RS485_UART = 2

PLC_UART = 4
PLC_RESET = "X11"
PLC_T_REQ = "X8"

# (bus, SCK, MOSI, MISO)
ENERGY_SPI = (2, "Y6", "Y8", "Y7")
ENERGY_CS = "Y5"
ENERGY_IRQ = "Y4"

RELAY = "Y11"
PULSE_LED = "Y12"
BUTTON = "X17"

# (bus, SCL, SDA)
DISPLAY_I2C = (1, "X9", "X10")
DISPLAY_ADDRESS = 0x3C
# What shows the display list: "ssd1306", or "terminal" (lines on the REPL); None: nothing.
DISPLAY = None

# TCP port of the wrapper; None: the board has no network.
TCP_PORT = None

# Folder for what the meter keeps; None: nothing.
STATE = "/sd/meter"

# True: the meter only serves clients with secrets once it has a provisioning record.
PROVISIONING = False
