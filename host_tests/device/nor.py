# SPDX-License-Identifier: MIT
"""NOR flash in a bytearray, as a block device of MicroPython, for tests on any runtime.

Erasing a block sets it to FF, programming clears bits, and programming what is not erased raises
(FF over anything is nothing). `erases` counts by block, `programmed` octets.

cut_at   operation (program or erase, from 0) in which power fails: PowerCut, and with every
         operation after it. Of a program `part` octets are done (-1: all) and some bits of the
         next one; of an erase, `part` says which octets have been reached.
fails    set of blocks that are worn: programming them does nothing, erasing them fails
ignores  True: nothing is written any more, and nothing is said
stuck    True: nothing is erased any more
strict   False: programming what is not erased leaves the bits that both have
"""


class PowerCut(Exception):
    pass


class NOR:
    def __init__(self, blocks, block_len=4096, cells=None, unit=1):
        self.cells = bytearray(b"\xff" * (blocks * block_len)) if cells is None else cells
        self.blocks = blocks
        self.block_len = block_len
        self.unit = unit
        self.erases = [0] * blocks
        self.programmed = 0
        self.n = 0
        self.cut_at = -1
        self.part = 0
        self.off = False
        self.fails = ()
        self.ignores = False
        self.strict = True
        self.stuck = False

    def strikes(self):
        """Another operation: is it the one in which power fails?"""
        if self.off:
            raise PowerCut
        self.n += 1
        if self.n - 1 == self.cut_at:
            self.off = True
        return self.off

    def readblocks(self, block, buf, offset=0):
        if self.off:
            raise PowerCut
        at = block * self.block_len + offset
        if at < 0 or offset + len(buf) > self.block_len or block >= self.blocks:
            raise ValueError("reading outside of a block")
        buf[:] = self.cells[at : at + len(buf)]
        return 0

    def writeblocks(self, block, buf, offset):
        at = block * self.block_len + offset
        n = len(buf)
        if at < 0 or offset + n > self.block_len or block >= self.blocks:
            raise ValueError("programming outside of a block")
        if offset % self.unit or n % self.unit:
            raise ValueError("programming a part of a unit")
        cells = self.cells
        if self.ignores:
            return 0
        for k in range(n) if self.strict and min(cells[at : at + n]) != 0xFF else ():
            if buf[k] != 0xFF and buf[k] & ~cells[at + k]:
                raise ValueError("programming octet %d of block %d again" % (offset + k, block))
        cut = self.strikes()
        if block in self.fails:
            return -5
        self.programmed += n
        if cut:
            n = min(n, self.part) if self.part >= 0 else n
        for k in range(n):
            cells[at + k] &= buf[k]
        if cut:
            if n < len(buf):
                cells[at + n] &= buf[n] | 0x5A
            raise PowerCut
        return 0

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return self.block_len
        if op != 6:
            return 0
        at = arg * self.block_len
        if self.strikes():
            # Some octets are erased, some half, some not: which, that differs.
            for k in range(self.block_len):
                if self.part < 0 or (k * 7 + (k >> 5)) % 8 < self.part:
                    self.cells[at + k] = 0xFF
                elif (k * 5) % 8 < self.part:
                    self.cells[at + k] |= 0x66
            raise PowerCut
        if self.ignores:
            return 0
        if self.stuck or arg in self.fails:
            return -5
        self.erases[arg] += 1
        self.cells[at : at + self.block_len] = b"\xff" * self.block_len
        return 0
