# SPDX-License-Identifier: MIT
"""MPS2 with AN385 (Cortex-M3), as QEMU has it.

Connect: REPL and log      UART0, the first -serial of QEMU
         optical head      UART1, the second -serial: HDLC
         free              UART2, the third -serial
"""

PORT = "qemu"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 1, 9600),)

# Where the meter keeps its state: "flash" is what flash() gives; or a folder, as "/meter"; None:
# nothing is kept.
STATE = "flash"


def flash():
    """For FlashStorage: device, its first block, number of blocks. The rest is littlefs."""
    from chip import Flash

    return Flash(), 0, 116
