# SPDX-License-Identifier: MIT
"""The wrapper of TCP and UDP (IEC 62056-4-7): version, ports, length, APDU.

find and decode as in hdlc.py.
"""

from .pieces import Piece, field, wrong

HEADER_LEN = 8
_LONGEST = 1 << 16
_PORTS = {0: "no station", 1: "management", 0x10: "public client", 0x7F: "all stations"}


class WPDU(Piece):
    """source, destination: wPorts."""

    source = destination = 0


def find(octets, pos, final=False):
    """As hdlc.find(); what has another version is no wpdu."""
    end = len(octets)
    if octets[pos] or (pos + 1 < end and octets[pos + 1] != 1):
        return -1
    if pos + HEADER_LEN > end:
        return end if final else 0
    stop = pos + HEADER_LEN + (octets[pos + 6] << 8 | octets[pos + 7])
    if stop > end:
        return end if final else 0
    return stop


def decode(octets):
    """WPDU of octets that begin with 00 01, whole or not; those of another version, too."""
    end = len(octets)
    w = WPDU(field("wpdu", 0, end), "wrapper")
    children = w.node.children
    if end < HEADER_LEN:
        wrong(w.node, "%d octets; expected %d of a header" % (end, HEADER_LEN))
        return w
    numbers = [octets[k] << 8 | octets[k + 1] for k in (0, 2, 4, 6)]
    version, w.source, w.destination, length = numbers
    w.text = "%d -> %d" % (w.source, w.destination)
    names = ("version", "source-wPort", "destination-wPort", "length")
    for k, name in enumerate(names):
        text = "%d" % numbers[k]
        if k in (1, 2) and numbers[k] in _PORTS:
            text += ": " + _PORTS[numbers[k]]
        children.append(field(name, 2 * k, 2 * k + 2, numbers[k], text))
    if version != 1:
        wrong(children[0], "version %d; expected 1" % version)
    if length != end - HEADER_LEN:
        wrong(children[3], "length %d, but %d octets follow" % (length, end - HEADER_LEN))
    if length == 0:
        wrong(children[3], "length 0; expected an APDU")
    elif end > HEADER_LEN:
        w.apdu = (HEADER_LEN, min(end, HEADER_LEN + length))
        if end > HEADER_LEN + length:
            wrong(w.node, "%d octets too many" % (end - HEADER_LEN - length))
    return w
