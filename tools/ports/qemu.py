# SPDX-License-Identifier: MIT
"""MicroPython's port `qemu`: boards that only QEMU has. The image is an ELF file."""

import os
import shutil

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "/usr/lib/arm-none-eabi/include/stdlib.h": "libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}
IMAGE = "firmware.elf"
HEAP = 65536


def refused(board):
    return None


def build(order, path, source, make):
    make(
        [
            "-C", os.path.join(order.micropython, "ports", "qemu"),
            "BOARD=" + order.board,
            "BOARD_DIR=" + os.path.join(order.folder, "micropython"),
            "BUILD=" + order.work,
            "FROZEN_MANIFEST=" + os.path.join(order.folder, "manifest.py"),
            "MICROPY_MANIFEST_DEFINITION=" + order.definition,
            "MICROPY_HEAP_SIZE=%d" % order.heap,
            "MBEDTLS_DIR=" + source("mbedtls"),
        ],
        "The firmware of %s cannot be built" % order.board,
    )  # fmt: skip
    shutil.copyfile(os.path.join(order.work, "firmware.elf"), path)
