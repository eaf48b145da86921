# SPDX-License-Identifier: MIT
"""Makes a littlefs as a board has it, on MicroPython's unix port.

    micropython -X heapsize=32m littlefs.py BLOCKS FOLDER FILE

FILE gets the octets of BLOCKS times 4 KiB of flash that has the files of FOLDER.
"""

import os
import sys
import vfs

_BLOCK = 4096


class Disk:
    def __init__(self, n):
        self.data = bytearray(b"\xff" * (n * _BLOCK))

    def readblocks(self, n, buf, offset=0):
        at = n * _BLOCK + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, n, buf, offset=0):
        at = n * _BLOCK + offset
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // _BLOCK
        return _BLOCK if op == 5 else 0


def copy(source, target):
    for name in os.listdir(source):
        a, b = source + "/" + name, target + "/" + name
        if os.stat(a)[0] & 0x4000:
            os.mkdir(b)
            copy(a, b)
        else:
            with open(a, "rb") as f, open(b, "wb") as g:
                g.write(f.read())


disk = Disk(int(sys.argv[1]))
out = open(sys.argv[3], "wb")
vfs.VfsLfs2.mkfs(disk, progsize=256)
vfs.mount(vfs.VfsLfs2(disk, progsize=256), "/board")
copy(sys.argv[2], "/board")
vfs.umount("/board")
out.write(disk.data)
out.close()
