# SPDX-License-Identifier: MIT
"""Requests and values out of an input: objects that are there, Data of the type that is wanted, so
that what is tried gets further than the first check."""

from cosem import slots
from dlms import axdr
from dlms.types import skip_type

# Marks of a type description, see dlms/types.py.
ARRAY, STRUCTURE, BIT_STRING = 1, 2, 4
OCTETS_N, CHOICE, ANY, RANGE, VISIBLE_N, BITS_N, OCTETS_MAX = range(0x80, 0x87)
DEEPEST = 6
SIMPLE = [tag for tag in range(3, 0x22) if axdr.width(tag) != 0xFF and tag != 0x13]
YEAR_2026 = 2026


def length(n):
    out = bytearray(5)
    return bytes(out[: axdr.put_length(out, 0, n)])


def listed(parts):
    """Names and Data of the requests with a list."""
    n = bytes((len(parts),))
    return n + b"".join(name for name, _ in parts) + n + b"".join(data for _, data in parts)


def padded(o, n):
    return o.take(n).ljust(n, b"\0")


def of_tag(tag, o, n=-1):
    """A value of a simple type; n: octets or bits of a string."""
    if tag == 0:
        return b"\0"
    if tag == BIT_STRING:
        n = o.u8() if n < 0 else n
        return bytes((tag,)) + length(n) + padded(o, n + 7 >> 3)
    if tag in (9, 10, 12):
        n = o.one_of((6, 12, o.u8(), 0, 1)) if n < 0 else n
        if n == 12 and o.u8() & 1:
            return bytes((tag, 12)) + date_time(o)
        return bytes((tag,)) + length(n) + padded(o, n)
    return bytes((tag,)) + padded(o, axdr.width(tag))


def date_time(o):
    """Twelve octets that are a time, or nearly."""
    wild = o.u8()
    year = YEAR_2026 + o.u8() % 4
    octets = bytearray(year.to_bytes(2, "big"))
    octets += bytes((1 + o.u8() % 12, 1 + o.u8() % 31, 0xFF, o.u8() % 24, o.u8() % 60))
    octets += bytes((o.u8() % 60, 0, 0x80, 0, 0))
    if wild & 0x80:
        octets[wild % 12] = 0xFF
    elif wild & 0x40:
        octets[wild % 12] = o.u8()
    return bytes(octets)


def anything(o, depth=0):
    """Some Data."""
    kind = o.u8() % 8
    if kind < 2 and depth < 4:
        n = o.u8() % 5
        return bytes((1 + kind,)) + length(n) + b"".join(anything(o, depth + 1) for _ in range(n))
    return b"\0" if kind == 2 else of_tag(o.one_of(SIMPLE), o)


def typed(types, tp, o, depth=0):
    """A value of the type at tp."""
    tag = types[tp]
    if tag == ANY or depth > DEEPEST:
        return anything(o, depth)
    if tag == CHOICE:
        k = o.u8() % types[tp + 1]
        tp += 2
        while k:
            tp = skip_type(types, tp)
            k -= 1
        return typed(types, tp, o, depth)
    if tag == STRUCTURE:
        n = types[tp + 1]
        out = bytes((tag, n))
        tp += 2
        for _ in range(n):
            out += typed(types, tp, o, depth + 1)
            tp = skip_type(types, tp)
        return out
    if tag == ARRAY:
        n = types[tp + 1] << 8 | types[tp + 2]
        n = o.u8() % 6 if n == 0xFFFF else n
        return (
            bytes((tag,))
            + length(n)
            + b"".join(typed(types, tp + 3, o, depth + 1) for _ in range(n))
        )
    if tag == RANGE:
        low, high = types[tp + 2], types[tp + 3]
        return bytes((types[tp + 1], low + o.u8() % (high - low + 1)))
    if tag in (OCTETS_N, VISIBLE_N, BITS_N):
        return of_tag({OCTETS_N: 9, VISIBLE_N: 10, BITS_N: 4}[tag], o, types[tp + 1])
    if tag == OCTETS_MAX:
        return of_tag(9, o, min(o.u8(), types[tp + 1]))
    return of_tag(tag, o)


class Requests:
    """Requests of a client of one logical device."""

    def __init__(self, model, device=0):
        self.model = model
        first, n = model.devices[device][1:3]
        self.rows = range(first, first + n)
        # Those that behave in more ways than one, for every other request.
        self.some = [r for r in self.rows if model.n_methods(r) or model.class_id(r) > 3]

    def row(self, o):
        k = o.u16()
        rows = self.some if k & 0x8000 and self.some else self.rows
        return rows[k % len(rows)]

    def name(self, row):
        return bytes(self.model.objects[row * 16 : row * 16 + 8])

    def attribute(self, row, o):
        return o.u8() % (self.model.n_attributes(row) + 2)

    def stored(self, row, attribute):
        """The value that is there, b"" if it is computed."""
        if not 1 <= attribute <= self.model.n_attributes(row):
            return b""
        n = self.model.value_len(row, attribute)
        if not n:
            return b""
        at = slots.offset(self.model, row, attribute)
        return bytes(slots.source(self.model, row, attribute)[at : at + n])

    def value(self, row, attribute, o):
        kind = o.u8() % 8
        there = 1 <= attribute <= self.model.n_attributes(row)
        if kind == 0:
            return o.some()
        if kind == 1 or not there:
            return anything(o)
        if kind < 4:
            value = bytearray(self.stored(row, attribute))
            if value:
                for _ in range(kind - 1):
                    at = o.u8() % len(value)
                    value[at] = o.u8()
                return bytes(value)
        return typed(self.model.types, self.model.type_at(row, attribute), o)

    def selection(self, o):
        """Selective access: by range, by entry, or anything."""
        kind = o.u8() % 8
        if kind < 4:
            return b"\0"
        if kind == 4:
            return b"\1" + bytes((o.u8(),)) + anything(o)
        if kind == 5:
            n = [o.u8() for _ in range(4)]
            entries = "0102 0204 06000000%02X 06000000%02X 1200%02X 1200%02X" % tuple(n)
            return bytes.fromhex(entries)
        if kind == 6:
            span = b"\x09\x0c" + date_time(o) + b"\x09\x0c" + date_time(o)
            clock = bytes.fromhex("0204 120008 0906 0000010000FF 0F02 120000")
            return bytes.fromhex("0101 0204") + clock + span + b"\1\0"
        return b"\1" + o.some()

    def get(self, o):
        row = self.row(o)
        return self.name(row) + bytes((self.attribute(row, o),)) + self.selection(o)

    def set_(self, o):
        """(what, value)"""
        row = self.row(o)
        attribute = self.attribute(row, o)
        selection = self.selection(o) if attribute & 1 else b"\0"
        what = self.name(row) + bytes((attribute,)) + selection
        return what, self.value(row, attribute, o)

    def act(self, o):
        row = self.row(o)
        method = o.u8() % (self.model.n_methods(row) + 2)
        kind = o.u8() % 6
        if kind == 0:
            data = b"\x0f\0"
        elif kind == 1:
            data = bytes((0x12, 0, o.u8()))
        elif kind == 2:
            data = o.some()
        elif kind == 3:
            data = typed(self.model.types, self.model.type_at(row, 1 + method % max(
                1, self.model.n_attributes(row))), o)  # fmt: skip
        else:
            data = anything(o)
        return self.name(row) + bytes((method,)), data

    def apdu(self, o):
        """A request with logical names."""
        kind = o.u8() % 12
        invoke = b"\xc1"
        if kind < 2:
            return b"\xc0\1" + invoke + self.get(o)
        if kind == 2:
            return b"\xc0\2" + invoke + o.u8().to_bytes(4, "big")
        if kind == 3:
            n = o.u8() % 6
            return b"\xc0\3" + invoke + bytes((n,)) + b"".join(self.get(o) for _ in range(n))
        if kind < 6:
            what, value = self.set_(o)
            return b"\xc1\1" + invoke + what + value
        if kind == 6:
            return b"\xc1\4" + invoke + listed([self.set_(o) for _ in range(o.u8() % 4)])
        if kind == 7:
            what, value = self.set_(o)
            cut = o.u8() % (len(value) + 1)
            last = o.u8() & 1
            return (
                b"\xc1\2" + invoke + what + bytes((last, 0, 0, 0, 1)) + length(cut) + value[:cut]
            )
        if kind == 8:
            octets = o.some()
            head = b"\xc1\3" if o.u8() & 1 else b"\xc3\6"
            head += invoke + bytes((o.u8() & 1, 0, 0, 0, o.u8()))
            return head + length(len(octets)) + octets
        if kind < 11:
            what, data = self.act(o)
            return b"\xc3\1" + invoke + what + (b"\1" + data if o.u8() & 3 else b"\0")
        if o.u8() & 1:
            return b"\xc3\3" + invoke + listed([self.act(o) for _ in range(o.u8() % 4)])
        return self.access(o)

    def access(self, o):
        names, data = b"", b""
        n = o.u8() % 5
        for _ in range(n):
            kind = 1 + o.u8() % 5
            if kind in (2, 5):
                what, value = self.set_(o)
                names += bytes((kind,)) + what[:9] + (b"\1\0" if kind == 5 else b"")
                data += value
            elif kind == 3:
                what, value = self.act(o)
                names += b"\3" + what
                data += value
            else:
                what = self.get(o)
                names += bytes((kind,)) + what[:9]
                if kind == 4:
                    names += what[10:] or b"\2\0"
                data += b"\0"
        flags = o.u8() & 0xD0
        return b"\xd9" + bytes((flags, 0, 0, 1, 0)) + bytes((n,)) + names + bytes((n,)) + data

    # --- Short names

    def short(self, o):
        kind = o.u8() % 8
        n = 1 if o.u8() & 1 else o.u8() % 4
        if kind < 4:
            return b"\5" + bytes((n,)) + b"".join(self.variable(o) for _ in range(n))
        tag = b"\x16" if kind == 7 else b"\6"
        parts = b"".join(self.variable(o) for _ in range(n))
        values = b"".join(o.some() if o.u8() & 1 else anything(o) for _ in range(n))
        return tag + bytes((n,)) + parts + bytes((n,)) + values

    def variable(self, o):
        kind = o.u8() % 8
        if kind < 4 or not len(self.model.names):
            return b"\2" + self.base_name(o)
        if kind == 4:
            return b"\4" + self.base_name(o) + bytes((o.u8(),)) + anything(o)
        if kind == 5:
            return b"\5" + o.u16().to_bytes(2, "big")
        if kind == 6:
            octets = o.some()
            return b"\6" + bytes((o.u8() & 1, 0, o.u8())) + length(len(octets)) + octets
        return bytes((o.u8(),)) + o.some()

    def base_name(self, o):
        names = self.model.names
        if not names or o.u8() & 7 == 7:
            return o.u16().to_bytes(2, "big")
        width = 6  # see lib/dlms/names.py
        row = o.u16() % (len(names) // width)
        base = names[row * width] << 8 | names[row * width + 1]
        return (base + 8 * (o.u8() % 32) & 0xFFFF).to_bytes(2, "big")
