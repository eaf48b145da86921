# SPDX-License-Identifier: MIT
"""What goes over an optical port, message by message, for a person: `RX: 10:20:18 /?!<CR><LF>`.

From the hand-over to HDLC on frames, as trace.py shows them. Passwords are not shown, and no block
check that would tell of one. Loaded for --trace only; allocates.
"""

from firmware.links.trace import Trace

_LF = 0x0A
_ENDS = (0x03, 0x04)  # ETX, EOT: BCC follows
_STARTS = (0x01, 0x02, 0x2F)
_NAMES = {
    0x00: "NUL", 0x01: "SOH", 0x02: "STX", 0x03: "ETX", 0x04: "EOT", 0x06: "ACK", 0x0A: "LF",
    0x0D: "CR", 0x15: "NAK",
}  # fmt: skip


def shown(message):
    """Characters of a message, without parity, as text."""
    text = "".join(chr(x) if 0x20 <= x < 0x7F else "<%s>" % _NAMES.get(x, "%02X" % x)
                   for x in message)  # fmt: skip
    if message[:1] == b"\x01" and message[1:2] in (b"P", b"W") and b"\x02(" in message:
        if message[2:3] != b"0":
            return text[: text.index("(") + 1] + "**"
    return text


class OpticalTrace:
    def __init__(self, port, profile):
        self.profile = profile
        self._frames = Trace(port, True)
        self.begin()

    def begin(self):
        self._frames.begin()
        self._said = [b"", b""]  # received, sent: what is no whole message yet

    def received(self, buf, pos, n):
        self._take(buf, pos, n, 0)

    def sent(self, buf, pos, n):
        self._take(buf, pos, n, 1)

    def _take(self, buf, pos, n, sent):
        if self.profile.is_binary():
            (self._frames.sent if sent else self._frames.received)(buf, pos, n)
            return
        self._flush(1 - sent)
        for x in bytes(memoryview(buf)[pos : pos + n]):
            x &= 0x7F
            if x in _STARTS and self._said[sent] in (b"", b"\x06"):
                self._flush(sent)
            last = self._said[sent][-1:]
            self._said[sent] += bytes((x,))
            if x == _LF or (last and last[0] in _ENDS) or (x in (0x06, 0x15) and not last):
                # ACK may be the beginning of an option select message: the other side shows it.
                if x != 0x06:
                    self._flush(sent)

    def _flush(self, sent):
        message = self._said[sent]
        self._said[sent] = b""
        if message:
            self._frames.line(sent, shown(message))
