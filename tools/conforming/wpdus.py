# SPDX-License-Identifier: MIT
"""APDUs in the wrapper of IEC 62056-47, over a connection."""

from .case import fail

HEAD_LEN = 8
_VERSION = 1
# DataNotification, EventNotification and InformationReport, and the ciphered forms of the latter.
UNASKED = (b"\x0f", b"\xc2", b"\xca", b"\xd2", b"\x18", b"\x38", b"\x58")


def wpdu(client, server, apdu, version=_VERSION, length=None):
    head = (version, client, server, len(apdu) if length is None else length)
    return b"".join(n.to_bytes(2, "big") for n in head) + apdu


class WrapperLink:
    """open(client, server), ask(apdu) -> apdu or None for silence; line: a player's Tap."""

    kind = "wrapper"
    max_send = 0xFFFF

    def __init__(self, line):
        self.line = line
        self.client = self.server = 0
        self._got = b""

    def open(self, client, server):
        self.client, self.server = client, server
        self._got = b""
        self.line.open()

    def send(self, octets):
        self.line.write(octets)

    def say(self, apdu):
        self.send(wpdu(self.client, self.server, apdu))

    def hear(self, seconds=None):
        """The APDU of the next wpdu, or None. Closed goes on to who asks."""
        seconds = self.line.patience_s if seconds is None else seconds
        while True:
            if len(self._got) >= HEAD_LEN:
                version, source, target, n = (
                    int.from_bytes(self._got[i : i + 2], "big") for i in (0, 2, 4, 6)
                )
                if version != _VERSION:
                    fail("What came is no wpdu: %s." % self._got[:16].hex(" "))
                if (source, target) != (self.server, self.client):
                    fail(
                        "The answer has source %d and destination %d in its wrapper; expected %d"
                        " and %d." % (source, target, self.server, self.client)
                    )  # fmt: skip
                if len(self._got) >= HEAD_LEN + n:
                    apdu = self._got[HEAD_LEN : HEAD_LEN + n]
                    self._got = self._got[HEAD_LEN + n :]
                    if apdu[:1] not in UNASKED:
                        return apdu
                    self.line.note("a notification, which nobody has asked for")
                    continue
            part = self.line.read(seconds)
            if not part:
                if self._got:
                    fail("An answer has begun and does not go on: %s." % self._got.hex(" "))
                return None
            self._got += part

    def ask(self, apdu, seconds=None):
        self.say(apdu)
        return self.hear(seconds)

    def next(self, seconds=None):
        """What the meter says behind what it has said."""
        return self.hear(seconds)

    def close(self):
        self.line.close()
