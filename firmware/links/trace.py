# SPDX-License-Identifier: MIT
"""What goes over a link, frame by frame, for a person: `TX: 10:20:18 7E A0 ...`.

A frame of HDLC (ISO/IEC 13239 format type 3) or a wpdu of the wrapper (IEC 62056-4-7) a line.
Secrets never show: passwords of an AARQ, dedicated keys, what is written to or read from a secret
of an object that has one, what is handed to the methods of such an object. Their octets are `**`,
and so is the FCS of a frame that has any, for it gives sixteen bits of them away. Loaded for
--trace only; allocates.
"""

from dlms.prim import crc16
from micropython import const

_FLAG = const(0x7E)
_AARQ = const(0x60)
_RLRQ = const(0x62)
_GET_REQUEST = const(0xC0)
_SET_REQUEST = const(0xC1)
_ACTION_REQUEST = const(0xC3)
_LIMIT = const(4096)  # a wpdu longer than this is garbage
_GENERAL_BLOCK_TRANSFER = const(0xE0)
_LAST_BLOCK = const(0x80)
_CONFIRMED = const(0x40)  # of invoke-id-and-priority: there is an answer
# What a meter sends without being asked: DataNotification, InformationReport, EventNotification.
_UNASKED = (0x0F, 0x18, 0xC2)

_UNITS = ("wpdu", "frame")

# Where secrets are: class_id, and the attribute (0: any) or any method.
_SECRETS = (
    (15, 7),  # Association LN: secret
    (12, 0),  # Association SN
    (19, 7),  # IEC local port setup: passwords
    (19, 8),
    (19, 9),
    (64, 0),  # Security setup: wrapped keys
    (44, 5),  # PPP setup: password
    (45, 3),  # GPRS modem setup: PIN
    (46, 0),  # SMTP setup: password
    (72, 255),  # M-Bus client: keys, of its methods alone
    (91, 5),  # G3-PLC MAC setup: mac_key_table
    (100, 6),  # NTP setup: authentication_keys, client_key
    (100, 7),
    (101, 10),  # ZigBee SAS startup: link_key, network_key
    (101, 11),
    (140, 8),  # HS-PLC MAC setup: initial_encryption_key
)


def is_secret(apdu, at, method):
    """Does the descriptor (class_id, logical_name, index) at apdu[at:] name a secret?"""
    class_id = apdu[at] << 8 | apdu[at + 1]
    index = apdu[at + 8]
    for secret in _SECRETS:
        if secret[0] == class_id and (method or index in (0, secret[1]) or not secret[1]):
            return True
    return False


def find_secret(apdu, start, method):
    """End of the first descriptor of a secret in apdu[start:], or -1.

    Descriptors of a list are looked for at every octet: hiding too much is the better mistake.
    """
    for at in range(start, len(apdu) - 8):
        if apdu[at] == 0 and is_secret(apdu, at, method):
            return at + 9
    return -1


def aarq_secrets(apdu):
    """Ranges of secrets in an AARQ, whole or its beginning."""
    found = []
    mechanism = -1
    pos = 2 if len(apdu) > 1 and apdu[1] < 0x80 else 2 + (apdu[1] & 0x7F if len(apdu) > 1 else 0)
    while pos + 2 <= len(apdu):
        tag = apdu[pos]
        n = apdu[pos + 1]
        pos += 2
        if n & 0x80:
            k = n & 0x7F
            n = 0
            for octet in apdu[pos : pos + k]:
                n = n << 8 | octet
            pos += k
        if tag == 0x8B and n:
            mechanism = apdu[pos + n - 1] if pos + n <= len(apdu) else -1
        elif tag == 0xAC and not 2 <= mechanism <= 7:
            # With a mechanism that is missing or unknown it may be a password, too.
            found.append((pos + 2, pos + n))
        elif tag == 0xBE and apdu[pos + 2 : pos + 4] == b"\x01\x01":
            # InitiateRequest with a dedicated-key.
            key_len = apdu[pos + 4] if pos + 4 < len(apdu) else 0
            found.append((pos + 5, pos + 5 + key_len))
        pos += n
    return found


class Conversation:
    """The APDUs of one link, so far as hiding secrets needs them.

    Who does not wait for an answer gets several, in the order of the requests: after a request
    about a secret all are hidden until each request has had one.
    """

    def __init__(self):
        self._apdu = b""
        self._hide_blocks = False
        self._hide_reply = False
        self._hides_still = False  # because of a request before the last one
        self._waiting = 0  # requests without an answer yet

    def hidden(self, sent, octets, first):
        """Ranges of `octets` to hide: a part of an APDU, the first one or a following one."""
        start = 0 if first else len(self._apdu)
        self._apdu = bytes(octets) if first else self._apdu + bytes(octets)
        if first and len(self._apdu) > 1:
            self._count(sent)
        ranges = self._reply() if sent else self._request()
        return [(max(a - start, 0), b - start) for a, b in ranges if b > start]

    def _count(self, sent):
        """An APDU begins: a request more without an answer, or one less."""
        tag = self._apdu[0]
        if not sent:
            self._hides_still = self._hide_reply and self._waiting > 0
            asks = tag != _GENERAL_BLOCK_TRANSFER
            if tag in (_GET_REQUEST, _SET_REQUEST, _ACTION_REQUEST):
                asks = bool(self._apdu[2:3] and self._apdu[2] & _CONFIRMED)
            self._waiting += asks
        elif self._waiting and tag not in _UNASKED:
            more = tag == _GENERAL_BLOCK_TRANSFER and not self._apdu[1] & _LAST_BLOCK
            self._waiting -= not more

    def _reply(self):
        return [(4, len(self._apdu))] if self._hide_reply else []

    def _request(self):
        found = self._asks_for()
        self._hide_reply = self._hide_reply or self._hides_still
        return found

    def _asks_for(self):
        apdu = self._apdu
        end = len(apdu)
        if end < 2:
            self._hide_reply = False
            return []
        tag = apdu[0]
        kind = apdu[1]
        if tag == _AARQ:
            self._hide_reply = False
            return aarq_secrets(apdu)
        if tag == _GET_REQUEST:
            if kind != 2:
                self._hide_reply = find_secret(apdu, 3, False) >= 0
            return []
        if tag != _SET_REQUEST and tag != _ACTION_REQUEST:
            # What is no request that is known here may have anything inside, and its answer too:
            # protection need not be encryption.
            self._hide_reply = tag != _RLRQ
            return [(1, end)] if self._hide_reply else []
        method = tag == _ACTION_REQUEST
        if kind == (6 if method else 3):
            return [(7, end)] if self._hide_blocks else []
        at = find_secret(apdu, 3, method)
        # Once for ever: who sends the next block, and of what, is not followed here.
        self._hide_blocks = self._hide_blocks or at >= 0
        self._hide_reply = method and at >= 0
        return [(at, end)] if at >= 0 else []


class Trace:
    """Tracer of one connection after another. hdlc: frames, else wpdus; datagrams: what is not
    whole at the end of one never will be."""

    def __init__(self, port, hdlc, datagrams=False):
        self.port = port
        self.hdlc = hdlc
        self.datagrams = datagrams
        self.begin()

    def begin(self):
        """A connection, or somebody else."""
        self._rx = b""
        self._tx = b""
        self._talk = Conversation()
        self._more = [False, False]  # the last frame of this direction was a segment

    def received(self, buf, pos, n):
        self._rx = self._split(self._rx + bytes(memoryview(buf)[pos : pos + n]), False)

    def sent(self, buf, pos, n):
        self._tx = self._split(self._tx + bytes(memoryview(buf)[pos : pos + n]), True)

    def _split(self, data, sent):
        """Print the whole units at the start of data; returns what is left."""
        while data:
            n = self._frame_len(data) if self.hdlc else self._wpdu_len(data)
            if not n and self.datagrams:
                n = len(data)
            if not n:
                break
            unit = data[:n]
            if self.hdlc and n > 1 and unit[-1] == _FLAG:
                n -= 1  # the closing flag may be the opening flag of the next frame
            data = data[n:]
            self._print(unit, sent)
        return data

    def _frame_len(self, data):
        if data[0] != _FLAG:
            at = data.find(b"\x7e")
            return at if at > 0 else len(data)
        if len(data) < 3:
            return 0
        if data[1] == _FLAG:
            return 1
        n = ((data[1] & 7) << 8 | data[2]) + 2
        if data[1] & 0xF0 != 0xA0 or n < 9:
            at = data.find(b"\x7e", 1)
            return at if at > 0 else 0 if len(data) < _LIMIT else len(data)
        return n if len(data) >= n else 0

    def _wpdu_len(self, data):
        if len(data) < 8:
            return 0
        n = (data[6] << 8 | data[7]) + 8
        if data[:2] != b"\x00\x01" or n > _LIMIT:
            return len(data)
        return n if len(data) >= n else 0

    def _print(self, unit, sent):
        if unit == b"\x7e":
            return
        if not self._is_whole(unit):
            # Not shown: nobody can say what secrets it has.
            self.line(sent, "(%d octets that are no %s)" % (len(unit), _UNITS[self.hdlc]))
            return
        text = ["%02X" % octet for octet in unit]
        for a, b in self._hidden(unit, sent):
            for i in range(a, min(b, len(text))):
                text[i] = "**"
        self.line(sent, " ".join(text))

    def line(self, sent, text):
        h, m, s = self.port.time_of_day()
        self.port.out("%s: %02d:%02d:%02d %s" % ("TX" if sent else "RX", h, m, s, text))

    def _is_whole(self, unit):
        if not self.hdlc:
            is_wpdu = len(unit) >= 8 and unit[:2] == b"\x00\x01"
            return is_wpdu and len(unit) == (unit[6] << 8 | unit[7]) + 8
        n = len(unit) - 3
        if n < 6 or unit[0] != _FLAG or unit[-1] != _FLAG:
            return False
        crc = crc16(unit, 1, n, 0xFFFF) ^ 0xFFFF
        return unit[n] == crc & 0xFF and unit[n + 1] == crc >> 8

    def _hidden(self, unit, sent):
        if not self.hdlc:
            return [(a + 8, b + 8) for a, b in self._talk.hidden(sent, unit[8:], True)]
        info = self._info(unit)
        if info < 0:
            return []
        first = not self._more[sent]
        self._more[sent] = bool(unit[1] & 8)
        if first:
            info += 3  # LLC
        end = len(unit) - 3
        ranges = [
            (a + info, min(b + info, end))
            for a, b in self._talk.hidden(sent, unit[info:end], first)
        ]
        if ranges:
            ranges.append((end, end + 2))
        return ranges

    def _info(self, unit):
        """Where the information field of an I or UI frame starts; -1 if it has none."""
        pos = 3
        for _ in range(2):
            while pos < len(unit) and not unit[pos] & 1:
                pos += 1
            pos += 1
        if pos + 6 > len(unit):
            return -1
        control = unit[pos]
        if control & 1 and control & 0xEF != 0x03:
            if control & 0xEF == 0x83:
                # SNRM
                self._more = [False, False]
                self._talk = Conversation()
            return -1
        return pos + 3
