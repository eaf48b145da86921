# SPDX-License-Identifier: MIT
"""MPS2 with AN385 (Cortex-M3), as QEMU has it.

Connect: REPL and log      UART0, the first -serial of QEMU
         optical head      UART1, the second -serial: HDLC
         free              UART2, the third -serial
"""

PORT = "qemu"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 1, 9600),)

# What the meter keeps is in the flash that flash() gives; a folder, e.g. "/meter", is in files; None:
# nothing is kept.
STATE = "flash"


def flash():
    """For FlashStorage: device, its first block, number of blocks. The rest is littlefs."""
    from chip import Flash

    return Flash(), 0, 116
