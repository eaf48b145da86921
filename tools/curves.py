#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the constants of the elliptic curves, lib/crypto/_p256.py and _p384.py.

    python3 tools/curves.py            write them
    python3 tools/curves.py --check    exit code 1 if they are not what it would write

CPython >= 3.11, standard library only.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bootstrap import ROOT, say

# FIPS 186-4, D.1.2.3 and D.1.2.4: prime, order, coefficient b, base point. a is -3.
CURVES = {
    "p256": (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        (
            0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
            0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        ),
    ),
    "p384": (
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        int(
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
            "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
            16,
        ),
        int(
            "B3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875A"
            "C656398D8A2ED19D2A85C8EDD3EC2AEF",
            16,
        ),
        (
            int(
                "AA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A38"
                "5502F25DBF55296C3A545E3872760AB7",
                16,
            ),
            int(
                "3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C0"
                "0A60B1CE1D7E819D7A431D7C90EA0E5F",
                16,
            ),
        ),
    ),
}

_TEXT = '''# SPDX-License-Identifier: MIT
"""Constants of the curve %s. Made by tools/curves.py.

Prime, order and b: the highest octet first. COMB: sixteen points, x and y, the lowest octet first;
point i is the sum of 2**(%d k) G over the bits k of i, and the first one stands for infinity.
"""

KIND = %d
PRIME = (
%s
)
ORDER = (
%s
)
B = (
%s
)
COMB = (
%s
)
'''
_OCTETS_A_LINE = 20


def add(a, b, p):
    """The sum of two points; None is infinity."""
    if a is None or b is None:
        return a or b
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, p)
    elif a[0] == b[0]:
        return None
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, p)
    x = (slope * slope - a[0] - b[0]) % p
    return x, (slope * (a[0] - x) - a[1]) % p


def comb(p, base, size):
    """The sixteen points."""
    spread = [base]
    for _ in range(3):
        point = spread[-1]
        for _ in range(size * 2):
            point = add(point, point, p)
        spread.append(point)
    points = []
    for i in range(16):
        point = None
        for k in range(4):
            if i >> k & 1:
                point = add(point, spread[k], p)
        points.append(point or (0, 1))
    return b"".join(c.to_bytes(size, "little") for point in points for c in point)


def literal(octets):
    lines = []
    for at in range(0, len(octets), _OCTETS_A_LINE):
        part = octets[at : at + _OCTETS_A_LINE]
        lines.append('    b"%s"' % "".join("\\x%02x" % octet for octet in part))
    return "\n".join(lines)


def source(name):
    p, n, b, base = CURVES[name]
    size = (p.bit_length() + 7) // 8
    return _TEXT % (
        "P-%d" % (size * 8),
        size * 2,
        list(CURVES).index(name) + 1,
        literal(p.to_bytes(size, "big")),
        literal(n.to_bytes(size, "big")),
        literal(b.to_bytes(size, "big")),
        literal(comb(p, base, size)),
    )


def path(name):
    return os.path.join(ROOT, "lib", "crypto", "_%s.py" % name)


def main(args):
    parser = argparse.ArgumentParser(prog="curves.py", description="constants of the curves")
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args(args)
    stale = 0
    for name in CURVES:
        try:
            with open(path(name)) as f:
                same = f.read() == source(name)
        except OSError:
            same = False
        if same:
            continue
        stale = 1
        if options.check:
            say("lib/crypto/_%s.py is not up to date: python3 tools/curves.py writes it." % name)
            continue
        with open(path(name), "w") as f:
            f.write(source(name))
        say("Wrote lib/crypto/_%s.py." % name)
    return stale if options.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
