# SPDX-License-Identifier: MIT
"""The store of Image transfer in files, with the heap locked where a request asks it.

    micropython images.py LIB ROOT FOLDER

Prints the bit-string, its next octets, and the element of image_to_activate_info.
"""

import sys

sys.path[:] = [sys.argv[1], sys.argv[2]]

import gc

import micropython
from firmware.files import Files
from firmware.folders import Folders
from firmware.update import Images


class Model:
    def event(self, code):
        print("event", code)


files = Files()
images = Images(Model(), 0, files, sys.argv[3], Folders(files, sys.argv[3]), b"")
print(images.begin(b"new", 1000, 1))
for k in (0, 511, 512, 999):
    print(images.put(k, b"x"))
buf = bytearray(200)


def asked():
    """What requests do."""
    first = images.bits(buf, 0, 0)
    last = images.bits(buf, first, 1)
    end = images.about(buf, last)
    images.start(0)
    micropython.heap_unlock()
    print(first, last, images.status, images.first, images.missing)
    return end


gc.collect()
micropython.heap_lock()
end = asked()
print(bytes(buf[:end]).hex())
while images.is_busy():
    images.turn(None, 0)
print(images.status)
