# SPDX-License-Identifier: MIT
"""MPS2 with AN385 (Cortex-M3), as QEMU has it.

Connect: REPL and log      UART0, the first -serial of QEMU
         optical head      UART1, the second -serial: HDLC
         free              UART2, the third -serial
"""

PORT = "qemu"

# (kind, UART, baud rate)
LINKS = (("hdlc-uart", 1, 9600),)

# Where the meter keeps its state: raw flash, as the module and the name of its block device, first
# block, number of blocks (and octets that are programmed at once, if more than one); or a folder,
# as "/meter"; None: nothing is kept. What follows these blocks is littlefs, which _boot.py mounts.
STATE = ("chip", "Flash", 0, 128)

# Folder for what an update of the firmware keeps, and its slots: module, name, arguments of what
# makes the block device, which is mapped, too; first block of slot a, of slot b, and how many.
UPDATE = "/.update"
SLOTS = ("chip", "Flash", (), 256, 512, 256)
