# SPDX-License-Identifier: MIT
"""MPS2 with AN385 (Cortex-M3), as QEMU has it.

Connect: REPL and log      UART0, the first -serial of QEMU
         optical head      UART1, the second -serial: HDLC
         free              UART2, the third -serial
"""

PORT = "qemu"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 1, 9600),)

# Folder for what the meter keeps; None: nothing.
STATE = "/meter"
