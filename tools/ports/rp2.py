# SPDX-License-Identifier: MIT
"""MicroPython's port `rp2`: RP2040 and RP2350. The image is a UF2 file, for the drive of BOOTSEL.

Beside it stands firmware.bin, the same for tools/rp2040.py.
"""

import os
import re
import shutil
import struct

from bootstrap import Trouble

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "/usr/lib/arm-none-eabi/include/stdlib.h": "libnewlib-arm-none-eabi",
    "cmake": "cmake",
}
IMAGE = "firmware.uf2"
HEAP = 0

# Where lib/ of MicroPython has what the distribution packages apart.
_LIBRARIES = {"mbedtls": "mbedtls", "pico-sdk": "pico-sdk-source", "tinyusb": "tinyusb-source"}

# UF2: blocks of 512 octets, of which 256 are payload; the family of the RP2040.
_FAMILY = 0xE48BFF56
_FLAG_FAMILY = 0x2000
_MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
_PAYLOAD = 256
FLASH_BASE = 0x10000000
# Octets for what is frozen; MicroPython's own boards leave less. Behind it, in flash of 4 MiB and
# more, lie the two slots of an update, which MicroPython takes for a ROMFS, and then littlefs.
CODE_LEN = 0xE0000
_SLOTS_LEN = 2 * 160 * 4096
FLASH_LEN = 2 << 20  # of a Pico
_LARGE = 4 << 20
_STORAGE_BYTES = re.compile(r"(?<=MICROPY_HW_FLASH_STORAGE_BYTES)\s+\(.*?\)$", re.M)


def storage(flash_len):
    """Where littlefs begins, in a flash of so many octets."""
    return CODE_LEN + (_SLOTS_LEN if flash_len >= _LARGE else 0)


def refused(board):
    if board.endswith("_W"):
        return "no package has the driver of its Wi-Fi chip (cyw43-driver)"
    return None


def build(order, path, source, make):
    libraries = os.path.join(order.micropython, "lib")
    for name, package in _LIBRARIES.items():
        place(os.path.join(libraries, name), source(package))
    why = "The firmware of %s cannot be built" % order.board
    # Nothing of it is C++, but the SDK links as if it were. An empty library does for the one
    # whose package takes 1.5 GB, and the operators new and delete that want it stay out.
    empty = os.path.join(order.work, "libstdc++.a")
    with open(empty, "wb") as f:
        f.write(b"!<arch>\n")
    make(
        [
            "-S", os.path.join(order.micropython, "ports", "rp2"),
            "-B", order.work,
            "-DMICROPY_BOARD=" + order.board,
            "-DMICROPY_BOARD_DIR=" + board_folder(order),
            "-DMICROPY_FROZEN_MANIFEST=" + os.path.join(order.folder, "manifest.py"),
            "-DMICROPY_MANIFEST_DEFINITION=" + order.definition,
            "-DPICO_NO_PICOTOOL=1",
            "-DPICO_BUILD_DOCS=0",
        ],
        why,
        program="cmake",
        CFLAGS="-DPICO_FLASH_SIZE_BYTES=%d" % (order.flash or FLASH_LEN),
        CXXFLAGS="-DPICO_CXX_DISABLE_ALLOCATION_OVERRIDES=1",
        LDFLAGS="-L" + order.work,
    )  # fmt: skip
    make(["-C", order.work], why)
    with open(os.path.join(order.work, "firmware.bin"), "rb") as f:
        octets = f.read()
    if len(octets) > CODE_LEN:
        raise Trouble(
            "The firmware of %s has %d octets; what is kept in flash begins at %d."
            % (order.board, len(octets), CODE_LEN)
        )
    shutil.copyfile(os.path.join(order.work, "firmware.bin"), path[: -len("uf2")] + "bin")
    with open(path, "wb") as f:
        f.write(uf2(octets))


def board_folder(order):
    """MicroPython's own folder of the board, with the flash divided as above."""
    folder = os.path.join(order.work, "board")
    flash_len = order.flash or FLASH_LEN
    at = storage(flash_len)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(order.micropython, "ports", "rp2", "boards", order.board), folder)
    path = os.path.join(folder, "mpconfigboard.h")
    with open(path) as f:
        text, n = _STORAGE_BYTES.subn(" (%d)" % (flash_len - at), f.read())
    text += "\n#define MICROPY_HW_ROMFS_BYTES (%d)\n" % (at - CODE_LEN)
    if n != 1:
        raise Trouble("%s does not say how the flash of %s is divided." % (path, order.board))
    with open(path, "w") as f:
        f.write(text)
    return folder


def place(link, folder):
    """Have the folder under the name of the link, where the source has an empty folder."""
    if os.path.islink(link):
        os.unlink(link)
    elif os.path.isdir(link):
        shutil.rmtree(link)
    os.symlink(folder, link)


def uf2(octets, base=FLASH_BASE):
    """An image for flash from base on, as the boot ROM's drive takes it."""
    n = (len(octets) + _PAYLOAD - 1) // _PAYLOAD
    blocks = []
    for k in range(n):
        payload = octets[k * _PAYLOAD : (k + 1) * _PAYLOAD].ljust(476, b"\0")
        head = (_FLAG_FAMILY, base + k * _PAYLOAD, _PAYLOAD, k, n, _FAMILY)
        blocks.append(struct.pack("<8I", *_MAGIC[:2], *head) + payload)
        blocks.append(struct.pack("<I", _MAGIC[2]))
    return b"".join(blocks)
