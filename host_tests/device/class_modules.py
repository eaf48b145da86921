# SPDX-License-Identifier: MIT
"""The class modules with the heap locked: GET, SET and ACTION of their objects, on MicroPython.

    micropython class_modules.py LIB DEFINITION_FOLDER REQUESTS

REQUESTS is a file of lines `what row index selector hex result crc`; what: get, ask (get, by a
client), set, act, call (act, with return data), or run (let row seconds pass, with the heap open);
crc: CRC-32 of what is read.
Prints what was wrong, then "n requests".
"""

import gc
import sys

sys.path[:] = [sys.argv[1], sys.argv[2]]

import definition
import micropython
from binascii import crc32, unhexlify
from cosem.model import Model
from dlms.stream import Stream


class Ring:
    """Rows in one bytearray."""

    def __init__(self, row_len, capacity):
        self.row_len = row_len
        self.capacity = capacity
        self.n = self.first = 0
        self._rows = bytearray(row_len * capacity)

    def _copy(self, a, apos, b, bpos):
        for i in range(self.row_len):
            a[apos + i] = b[bpos + i]

    def buffer(self):
        return bytearray(self.row_len)

    def append(self, buf, pos):
        at = (self.first + self.n) % self.capacity
        self._copy(self._rows, at * self.row_len, buf, pos)
        if self.n < self.capacity:
            self.n += 1
        else:
            self.first += 1
        return True

    def read(self, k, buf, pos):
        if k < 0 or k >= self.n:
            return False
        self._copy(buf, pos, self._rows, (self.first + k) % self.capacity * self.row_len)
        return True

    def clear(self):
        self.first += self.n
        self.n = 0
        return True


class Storage:
    def ring(self, row, row_len, capacity):
        return Ring(row_len, capacity)


class Images:
    """Of an Image transfer object: blocks in turn have come, as in test_class_modules.Images."""

    longest = 1000
    n_blocks = 704
    size = block_size = began = missing = 0
    first = 1

    def __init__(self, row):
        self.row = row
        self.status = 1

    def start(self, activate):
        self.status = 3 + activate

    def bits(self, buf, pos, k):
        for i in range(64 if k == 0 else 24):
            buf[pos + i] = 0xAA
        return pos + i + 1

    def about(self, buf, pos):
        buf[pos] = 0
        return pos + 1


def nothing(code_or_row):
    pass


model = Model(definition)
model.storage = Storage()
model.start()
model.event = nothing
model.on_setup = nothing
model.tokens = lambda row, octets: (5, 0, 0, ())
rows = model.rows(18)
if rows:
    model.images = Images(rows[0])
clock = model.handler("clock")
clock.set_utc(13910000, 0)
stream = Stream(model)
out = bytearray(8192)


class Client:
    """An association that may do everything, and has negotiated everything."""

    conformance = 0xFFFFFF
    asks = 0

    def may_read(self, row, attribute):
        return 0


client = Client()


def get(row, attribute, selector, data, n, association):
    s = stream
    s.association = association
    s.index = s.count = s.last_part = s.torn = 0
    s.result = -1
    s.selector = selector
    s.buf = data
    s.sel_pos = 0
    s.sel_end = n
    s.row = s.found = row
    s.attribute = attribute
    result = s._open_value()
    if not result:
        end = s.copy_all(out, 0, 7000)
        return end if end < 0 else -2 - end
    return result


work = bytearray(400)


def call(row, index, data, n):
    """As get(): what comes back is in `out`."""
    s = stream
    s.association = None
    s.row = row
    s.out = work
    s.out_pos = s.n = 0
    result = model.handler_of(row).invoke(s, index, data, 0, n)
    if result:
        return result
    if s.n:
        s.open_items()
        return -2 - s.copy_all(out, 0, 7000)
    for i in range(s.out_pos):
        out[i] = work[i]
    return -2 - s.out_pos


count = 0
with open(sys.argv[3]) as f:
    for line in f:
        what, row, index, selector, data, expected, crc = line.split()
        row, index, selector = int(row), int(index), int(selector)
        data = bytearray(unhexlify(data[1:]))
        n = len(data)
        result = 0
        if what == "run":
            for _ in range(row):
                clock.advance(1000)
                model.tick(clock.minute)
            continue
        gc.collect()
        micropython.heap_lock()
        try:
            if what == "get":
                result = get(row, index, selector, data, n, None)
            elif what == "ask":
                result = get(row, index, selector, data, n, client)
            elif what == "call":
                result = call(row, index, data, n)
            elif what == "set":
                result = model.write(row, index, data, 0, n)
            else:
                result = model.act(row, index, data, 0, n)
        except Exception as e:
            micropython.heap_unlock()
            print(line.strip())
            sys.print_exception(e)
            micropython.heap_lock()
        micropython.heap_unlock()
        if what == "get" or what == "ask" or what == "call":
            seen = out[: -2 - result] if result < -1 else b""
            if crc32(seen) != int(crc):
                print(line.strip(), "read", seen)
            result = 0 if result < -1 else result
        if result != int(expected):
            print(line.strip(), "gave", result)
        count += 1
print(count, "requests")
