# SPDX-License-Identifier: MIT
"""Cases for lib/crypto/field.py, on whatever runtime runs this: numbers where carries and borrows
begin and end, and some from a generator; expected is what Python's integers say.
"""

_SCALE = 3
_ONE = 5
_UNSCALE = 6
_N = 8


def operation(form, octets, kind, op, a, b):
    """a op b by a form, scaled and unscaled as points are."""
    size = len(octets)
    m = form.modulus(octets, kind)
    w = form.numbers(_N, m)
    form.constants(w, _SCALE, m)
    form.load(w, 0, m, a.to_bytes(size, "big"), 0)
    form.load(w, 1, m, b.to_bytes(size, "big"), 0)
    program = bytes((0, 0, 0, _SCALE, 0, 1, 1, _SCALE, op, 2, 0, 1, 0, 0, 2, _UNSCALE))
    form.run(program, 0, len(program), w, m)
    out = bytearray(size + 2)
    form.store(w, 0, m, out, 1)
    return int.from_bytes(out[1:-1], "big")


def _numbers(n, bits):
    found = [0, 1, 2, n - 1, n - 2, n >> 1, (n >> 1) + 1, 0xFFFF, 0x10000, (1 << bits) % n]
    for k in range(16, bits, 48):
        found += [(1 << k) - 1, n - (1 << k)]
    x = 12345
    for _ in range(8):
        x = x * 0x5851F42D4C957F2D14057B7EF767814F + 99991 & (1 << bits + 64) - 1
        found.append((x >> 32) % n)
    return found


def _pick(form, octets, kind):
    """Rows of a table of octets, and of registers."""
    size = len(octets)
    m = form.modulus(octets, kind)
    w = form.numbers(_N, m)
    table = bytes(range(1, 8)) * size
    table = table[: 6 * size]
    out = bytearray(size)
    for index in range(3):
        form.pick(w, 6, m, table, 0, 3, 2, index)
        for k in range(2):
            form.store(w, 6 + k, m, out, 0)
            at = (index * 2 + k) * size
            if int.from_bytes(out, "big") != int.from_bytes(table[at : at + size], "little"):
                return False
    for i in range(6):
        form.load(w, i, m, bytes((i,)) * size, 0)
    for index in range(2):
        form.pick(w, 6, m, None, 1, 2, 2, index)
        form.store(w, 7, m, out, 0)
        if out != bytes((2 + index * 2,)) * size:
            return False
    form.clear(w)
    return form.is_zero(w, 7, m) and not form.is_zero(_with_one(form, w, m, size), 7, m)


def _with_one(form, w, m, size):
    form.load(w, 7, m, bytes(size - 1) + b"\x01", 0)
    return w


def cases(form):
    from crypto import _p256, _p384

    bad = []
    for curve in (_p256, _p384):
        for octets, kind in ((curve.PRIME, curve.KIND), (curve.ORDER, 0)):
            n = int.from_bytes(octets, "big")
            numbers = _numbers(n, len(octets) * 8)
            for a in numbers:
                for b in numbers:
                    wanted = (a * b % n, (a + b) % n, (a - b) % n)
                    for op in range(3):
                        if operation(form, octets, kind, op, a, b) != wanted[op]:
                            bad.append("%d of %x and %x modulo %x" % (op, a, b, n))
            if not _pick(form, octets, kind):
                bad.append("pick modulo %x" % n)
    return bad


def main():
    from crypto import _field_ints, field

    for form in (field, _field_ints):
        for complaint in cases(form):
            print("FAIL", form.__name__, complaint)
        print("ok", form.__name__)


if __name__ == "__main__":
    main()
