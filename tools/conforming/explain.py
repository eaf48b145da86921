# SPDX-License-Identifier: MIT
"""What was sent and what came, for a report: without secrets, and decoded for people."""

import re

from decoding.apdu import decode

_STAR = b"*"
# calling-authentication-value of an AARQ: a secret, or close to one; or a challenge.
_AUTHENTICATION = re.compile(rb"\xac(.)\x80(.)", re.S)
# P1 and P2 of IEC 62056-21.
_PASSWORD = re.compile(rb"(?<=\x01P[12]\x02\()[^()]*(?=\))")
_DEEPEST = 7
_MOST_LINES = 60
_MOST_OCTETS = 48
_LLC = (b"\xe6\xe6\x00", b"\xe6\xe7\x00")


class Scrub:
    """secrets: octets that must not be shown."""

    def __init__(self, secrets):
        self.secrets = list(secrets)
        words = set()
        for s in self.secrets:
            words |= {s.hex(), s.hex(" "), s.hex().upper(), s.hex(" ").upper()}
            if all(0x20 <= octet < 0x7F for octet in s):
                words.add(s.decode())
        self._words = sorted(words, key=len, reverse=True)

    def octets(self, octets):
        """The same, with stars where a secret is."""
        for s in self.secrets:
            octets = octets.replace(s, _STAR * len(s))
        octets = _PASSWORD.sub(lambda m: _STAR * len(m[0]), octets)
        for m in _AUTHENTICATION.finditer(octets):
            n = m[2][0]
            if m[1][0] == n + 2 and m.end() + n <= len(octets):
                octets = octets[: m.end()] + _STAR * n + octets[m.end() + n :]
        return octets

    def text(self, text):
        for word in self._words:
            text = text.replace(word, "*" * 8)
        return text


def lines(node, depth=0):
    """A tree of the decoder as indented lines."""
    text = node.text
    if not text and not node.children and node.value is not None:
        text = node.value.hex(" ") if isinstance(node.value, bytes) else str(node.value)
    if len(text) > 3 * _MOST_OCTETS:
        text = text[: 3 * _MOST_OCTETS] + " ..."
    line = "%s%s%s" % ("  " * depth, node.name or node.type, ": " + text if text else "")
    if node.error is not None:
        line += "   ! " + node.error
    found = [line]
    if depth < _DEEPEST:
        for child in node.children:
            found += lines(child, depth + 1)
            if len(found) > _MOST_LINES:
                return [*found[:_MOST_LINES], "  " * depth + "..."]
    return found


def apdu(octets):
    """An APDU, decoded."""
    return "\n".join(lines(decode(octets))) if octets else ""


def of_step(step, profile, with_plain):
    """What the octets of a step say. with_plain: the APDU in plain text has a step of its own."""
    octets = step.octets
    if step.kind in ("asked", "answered"):
        return apdu(octets)
    if step.kind == "note" or with_plain:
        return ""
    inner = payload(octets, profile)
    return apdu(inner) if inner else ""


def payload(octets, profile):
    """The APDU in a wpdu, or in an I frame that is whole; b"" if there is none to be seen."""
    if profile == "wrapper":
        whole = len(octets) > 8 and int.from_bytes(octets[6:8], "big") == len(octets) - 8
        return octets[8:] if whole and octets[:2] == b"\0\1" else b""
    at = min((octets.find(llc) for llc in _LLC if llc in octets), default=-1)
    if octets[:1] != b"\x7e" or at < 0 or octets[1] & 8:
        return b""
    return octets[at + 3 : -3]


def printable(octets):
    """Octets as text, where they are characters with few others among them."""
    if not octets or sum(0x20 <= o < 0x7F or o in b"\r\n" for o in octets) < 0.7 * len(octets):
        return ""
    return "".join(
        chr(o) if 0x20 <= o < 0x7F else {13: "", 10: "\n"}.get(o, "<%02X>" % o) for o in octets
    )
