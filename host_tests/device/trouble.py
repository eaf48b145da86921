# SPDX-License-Identifier: MIT
"""What goes wrong with the storage of a board, tried on it; what comes of it is printed.

    live(quarters, ...)    a life of the meter: what is there at its start, and after each quarter
                           of an hour
    spoil(...)             live() until there are rows, then some of them are overwritten in flash

Each line is `rows R good G energy E failed F codes ...`: rows of load profile 1 and how many of
them can be read, the register 1.0.1.8.0, rows that could not be stored, codes of the event log.
"""

import binascii

import chip
from firmware import app, flash, store
from firmware.ports import board as port

_QUARTER = 15
_MINUTE = 13675680  # 2026-01-01 00:00 UTC
_LOAD = binascii.unhexlify("00070100630100FF")
_LOG = binascii.unhexlify("00070000636200FF")
_ENERGY = binascii.unhexlify("00030100010800FF")
_ERROR = binascii.unhexlify("00010000616100FF")
_AARQ = binascii.unhexlify("601DA109060760857405080101BE10040E01000000065F1F040000101D0400")
_GET_TIME = binascii.unhexlify("C001C100080000010000FF0200")


class PowerCut(Exception):
    pass


class Flash:
    """The flash of the chip. cut_at: operation in which power fails, of a write when `part`
    octets are done; fails: nothing is written any more."""

    def __init__(self, cut_at=-1, part=0):
        self._flash = chip.Flash()
        self._left = cut_at
        self._part = part
        self.fails = False
        self.readblocks = self._flash.readblocks

    def _is_cut(self):
        self._left -= 1
        return self._left == -1

    def writeblocks(self, block, buf, offset):
        if self.fails:
            return -5
        if self._is_cut():
            self._flash.writeblocks(block, memoryview(buf)[: self._part], offset)
            raise PowerCut
        return self._flash.writeblocks(block, buf, offset)

    def ioctl(self, op, arg):
        if op != 6:
            return self._flash.ioctl(op, arg)
        if self.fails:
            return -5
        result = self._flash.ioctl(op, arg)
        if self._is_cut():
            raise PowerCut
        return result


class Life:
    def __init__(self, quarter, device=None, state=None):
        import wiring

        if state:
            self.storage = store.FileStorage(state)
        else:
            self.device = device or Flash()
            self.storage = flash.FlashStorage(self.device, *wiring.STATE[2:])
        self.meter = app.build(
            app.Tables("definition"),
            self.storage,
            port,
            1,
            _MINUTE + _QUARTER * quarter,
            speed=0,
            n_associations=1,
        )
        self.model = self.meter.model
        self.channel = self.meter.server.channel(256)
        self.ring = self._ring(_LOAD)
        if self.storage.message:
            print("says", self.storage.message)
        self.say()

    def _ring(self, name):
        return self.model.handler("profile_generic").profiles[self.model.find(0, name, 0)].ring

    def step(self, quarters):
        for _ in range(quarters):
            self.meter.program.step(60 * _QUARTER)
            self.say()

    def say(self):
        buf = bytearray(self.ring.row_len)
        good = 0
        for k in range(self.ring.n):
            good += self.ring.read(k, buf, 0)
        # A row of the log: date-time in 14 octets, the code as an unsigned.
        log = self._ring(_LOG)
        codes = []
        for k in range(log.n):
            codes.append(str(buf[15]) if log.read(k, buf, 0) else "?")
        print(
            "rows %d good %d energy %d failed %d codes %s"
            % (
                self.ring.n,
                good,
                self.model.get_int(self.model.find(0, _ENERGY, 0), 2),
                self.storage.failed,
                " ".join(codes),
            )
        )

    def serve(self):
        """Is a client still served, and what does the error register say?"""
        server = self.meter.server
        channel = self.channel
        n = server.request(channel, 16, 1, _AARQ, 0, len(_AARQ))
        opened = n and channel.tx[channel.tx_pos] == 0x61
        n = server.request(channel, 16, 1, _GET_TIME, 0, len(_GET_TIME))
        got = bytes(channel.tx[channel.tx_pos : channel.tx_pos + 4])
        errors = self.model.get_int(self.model.find(0, _ERROR, 0), 2)
        print("served" if opened and got == b"\xc4\x01\xc1\x00" else "not served", hex(errors))


def live(quarter, quarters, cut_at=-1, part=0):
    """The meter starts at a quarter of an hour of the year, and goes on for some."""
    try:
        Life(quarter, Flash(cut_at, part)).step(quarters)
    except PowerCut:
        print("cut")


def spoil(quarters, first, count):
    """Overwrite records of the first block of load profile 1, from one on; count 0: all."""
    life = Life(0)
    life.step(quarters)
    life.meter.close()
    block, per_block, size = life.ring._place[1], life.ring._place[2], life.ring._place[5]
    zeros = bytes(size)
    for k in range(first, first + (count or per_block)):
        chip.Flash().writeblocks(block, zeros, k * size)
    print("spoiled", count or per_block)


def fail(quarters, state=None):
    """Nothing can be written for some time: the flash fails, or the file system is full."""
    life = Life(0, None, state)
    life.step(quarters)
    if state:
        # A file that cannot be written to its end keeps what was flushed.
        for name, piece, often in (("/large", life.model.item, 8), ("/small", b"small", 1)):
            try:
                with open(name, "wb") as f:
                    while True:
                        for _ in range(often):
                            f.write(piece)
                        f.flush()
            except OSError:
                pass
    else:
        life.device.fails = True
    print("nothing is written")
    life.step(quarters)
    life.serve()
    if state:
        import os

        os.remove("/large")
    else:
        life.device.fails = False
    print("everything is written")
    life.step(quarters)
    life.serve()
