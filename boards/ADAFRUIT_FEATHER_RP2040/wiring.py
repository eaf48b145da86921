# SPDX-License-Identifier: MIT
"""Adafruit Feather RP2040 with CircuitPython. Names are those printed on the board.

Connect: optical head      TX to its receiver's LED driver, RX from its phototransistor
         RS-485            D24 to DI, D25 to RO, D6 to DE and /RE of the transceiver
         PLC modem         D24 to RXD, D25 from TXD (instead of RS-485), D9 to /RESET, A0 to T_REQ
         energy chip       SCK, MOSI, MISO; D10 to /CS, D11 from /IRQ
         relay             D12 to its driver
         pulse LED         D13, the red LED of the board
         display           SDA, SCL (STEMMA QT), SSD1306 at 0x3C
         button            between D5 and GND (BOOTSEL would start the boot loader)
"""

PORT = "circuitpython"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 0, 9600),)

# (UART, TX, RX, driver enable or None)
UARTS = ((0, "TX", "RX", None), (1, "D24", "D25", "D6"))
OPTICAL_UART = 0
RS485_UART = 1

# Instead of RS-485: this chip has two UARTs.
PLC_UART = 1
PLC_RESET = "D9"
PLC_T_REQ = "A0"

# (bus, SCK, MOSI, MISO)
ENERGY_SPI = (0, "SCK", "MOSI", "MISO")
ENERGY_CS = "D10"
ENERGY_IRQ = "D11"

RELAY = "D12"
PULSE_LED = "D13"
BUTTON = "D5"

# (bus, SCL, SDA)
DISPLAY_I2C = (0, "SCL", "SDA")
DISPLAY_ADDRESS = 0x3C
# What shows the display list: "terminal" (lines on the REPL); None: nothing.
DISPLAY = None

# TCP port of the wrapper; None: the board has no network.
TCP_PORT = None

# Folder for what the meter keeps; None: nothing.
STATE = "/meter"

# True: the meter only serves clients with secrets once it has a provisioning record.
PROVISIONING = False

# Held while the board resets: the drive belongs to the PC.
DRIVE_BUTTON = "D5"
