# SPDX-License-Identifier: MIT
"""Cases for the primitives (lib/dlms/prim.py), on whatever runtime runs this.

cases(form) yields complaints about a module that has the primitives. Values: CRC-16/X.25 check
value 0x906E (ISO/IEC 13239), the rest by definition.
"""


def cases(form):
    bad = []

    def want(what, got, wanted):
        if got != wanted:
            bad.append("%s: got %r, wanted %r" % (what, got, wanted))

    buf = bytearray(range(16))
    form.copy(buf, 2, b"\xaa\xbb\xcc\xdd", 1, 2)
    want("copy", bytes(buf[:6]), b"\x00\x01\xbb\xcc\x04\x05")
    form.copy(buf, 0, buf, 4, 8)
    want("copy down over itself", bytes(buf[:12]), bytes((4, 5, 6, 7, 8, 9, 10, 11, 8, 9, 10, 11)))
    before = bytes(buf)
    form.copy(buf, 3, buf, 9, 0)
    want("copy nothing", bytes(buf), before)
    form.fill(buf, 1, 3, 0x5A)
    want("fill", bytes(buf[:5]), b"\x04\x5a\x5a\x5a\x08")

    want("crc16 check value", form.crc16(b"123456789", 0, 9, 0xFFFF) ^ 0xFFFF, 0x906E)
    want("crc16 of nothing", form.crc16(b"", 0, 0, 0xFFFF), 0xFFFF)
    want(
        "crc16 in two steps",
        form.crc16(b"x123456789y", 5, 10, form.crc16(b"1234", 0, 4, 0xFFFF)) ^ 0xFFFF,
        0x906E,
    )
    want("crc16 residue", form.crc16(bytearray(b"123456789\x6e\x90"), 0, 11, 0xFFFF), 0xF0B8)

    want("same", form.same(b"abcdef", 1, b"xbcd", 1, 3), 1)
    want("same, last octet differs", form.same(b"abc", 0, b"abd", 0, 3), 0)
    want("same, first octet differs", form.same(b"abc", 0, b"xbc", 0, 3), 0)
    want("same of nothing", form.same(b"a", 0, b"b", 0, 0), 1)

    counters = (b"\0\0\0\0", b"\0\0\0\x01", b"\0\0\xff\xfe", b"\0\0\xff\xff", b"\0\1\0\0",
                b"\0\1\0\1", b"\0\1\xff\xff", b"\0\2\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0",
                b"\xff\xff\xff\xfe", b"\xff\xff\xff\xff")  # fmt: skip
    for a in counters:
        x = int.from_bytes(a, "big")
        for b in counters:
            y = int.from_bytes(b, "big")
            got = form.gap(b"??" + a, 2, b"?" + b, 1)
            want("gap of %x and %x" % (x, y), got, -1 if y < x else min(y - x, 0xFFFF))
        out = bytearray(b"\xee" * 6)
        form.count(out, 1, b"?" + a, 1)
        after = b"\xee" + min(x + 1, 0xFFFFFFFF).to_bytes(4, "big") + b"\xee"
        want("count %x" % x, bytes(out), after)
        own = bytearray(a)
        form.count(own, 0, own, 0)
        want("count %x in its place" % x, bytes(own), after[1:5])

    want("compare less", form.compare(b"\x01\x02", 0, b"\x01\xff", 0, 2), -1)
    want("compare equal", form.compare(b"\x01\x02", 0, b"\x00\x01\x02", 1, 2), 0)
    want("compare greater", form.compare(b"\x80", 0, b"\x7f", 0, 1), 1)

    out = bytearray(b"\x0f\xf0\x33")
    form.xor(out, 1, b"\xff\x01", 0, 2)
    want("xor", bytes(out), b"\x0f\x0f\x32")

    rows = bytearray()
    for i in range(20):
        rows += bytes((0, i // 5, 1, 0, i % 5, 0xF0, 0, 255)) + bytes((i,)) * 8
    rows = bytes(rows)
    for i in range(20):
        key = bytearray(b"xx") + bytes((0, i // 5, 1, 0, i % 5, 0xF0, 0, 255))
        want("find %d" % i, form.find(rows, 0, 20, key, 2), i)
        want("find %d outside" % i, form.find(rows, 5, 5, key, 2), i if 5 <= i < 10 else -1)
    want("find nothing", form.find(rows, 0, 20, b"\x00\x09\x00\x00\x00\x00\x00\x00", 0), -1)
    want("find in nothing", form.find(rows, 3, 0, b"\x00\x00\x01\x00\x00\xf0\x00\xff", 0), -1)

    # Row 2 of a table from row 1 on: 3 attributes from entry 0x102; its rights lie at 1 of access.
    table = bytes(32) + bytes(10) + b"\x03\x00\x01\x02\x00\x00"
    rights = b"\xff\xff\x00\x01"
    access = b"\x00\x01\x02\x0d"
    want("readable", form.readable(table, 2, 1, 1, rights, access, 0), 0x102 << 2)
    want("readable, no right", form.readable(table, 2, 1, 2, rights, access, 0), -1)
    want("readable, too weak", form.readable(table, 2, 1, 3, rights, access, 1), -1)
    want("readable, strong", form.readable(table, 2, 1, 3, rights, access, 3), 0x104 << 2)
    answered = b"\x00\x21\x01\x81"
    for attribute, what in ((1, "authenticated"), (3, "signed")):
        want(
            "readable, answered " + what,
            form.readable(table, 2, 1, attribute, rights, answered, 7),
            -1,
        )
    want("readable, among them", form.readable(table, 2, 1, 2, rights, answered, 7), 0x103 << 2)
    want("readable, attribute 0", form.readable(table, 2, 1, 0, rights, access, 0), -1)
    want("readable, no such attribute", form.readable(table, 2, 1, 4, rights, access, 0), -1)
    want("readable, not visible", form.readable(table, 2, 2, 1, rights, access, 0), -1)
    return bad


def main():
    import dlms._prim_loop
    from dlms import prim

    forms = [prim, dlms._prim_loop]
    try:
        import dlms._prim_viper

        forms.append(dlms._prim_viper)
    except (ImportError, AttributeError, SyntaxError):
        pass
    for form in forms:
        for complaint in cases(form):
            print("FAIL", form.__name__, complaint)
        print("ok", form.__name__)


if __name__ == "__main__":
    main()
