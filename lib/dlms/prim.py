# SPDX-License-Identifier: MIT
"""The primitives that carry the load, in the fastest form that the runtime has.

Three forms of one interface: viper code (MicroPython), slices (CPython), and plain loops that
allocate nothing (CircuitPython, MicroPython without viper). host_tests/test_prim.py runs the
same cases over all of them. Nothing here allocates, except the CPython form.

    copy(dst, dpos, src, spos, n)     dst[dpos:dpos+n] = src[spos:spos+n]; overlap if dpos < spos
    fill(dst, dpos, n, value)         n octets of value
    find(table, first, n, key, kpos)  row of 16 octets that starts with the 8 octets key[kpos:],
                                      among the sorted rows first..first+n-1; -1 if there is none
    readable(table, row, first, attribute, rights, access, protection)
                                      offset of the attribute's entry in the attribute table (see
                                      cosem/model.py) if the access rights let it be read and ask
                                      nothing of the answer, else -1
    compare(a, apos, b, bpos, n)      -1, 0, 1 as unsigned octets
    gap(a, apos, b, bpos)             how far the counter b[bpos:], four octets, is above the one
                                      at a[apos:], at most 0xFFFF; -1: it is below
    count(dst, dpos, src, spos)       the counter dst[dpos:] is that at src[spos:] and 1 more; the
                                      highest stays
    same(a, apos, b, bpos, n)         1 if equal, else 0, in a time that n alone decides
    xor(dst, dpos, src, spos, n)      dst ^= src
    crc16(buf, pos, end, crc)         CRC-16/X.25 register after buf[pos:end]; start with 0xFFFF,
                                      complement the result (ISO/IEC 13239)

Positions are not checked by the viper form: callers have checked them.
"""

try:
    from dlms import _prim_viper as _form
except (ImportError, AttributeError, SyntaxError, ValueError, NameError):
    # No viper in this runtime, or native code of another architecture.
    try:
        from dlms import _prim_host as _form
    except ImportError:
        from dlms import _prim_loop as _form

compare = _form.compare
copy = _form.copy
count = _form.count
crc16 = _form.crc16
fill = _form.fill
find = _form.find
gap = _form.gap
readable = _form.readable
same = _form.same
xor = _form.xor
