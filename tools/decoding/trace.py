# SPDX-License-Identifier: MIT
"""Octets out of text: hexadecimal in any layout, and what programs print of a conversation.

    Reader().read(lines) -> yields Said, a message or a piece of one each; a line that is too long
                            comes in parts, cut between octets

A line is one of

    TX: 10:20:18 7E A0 07 03 ...     said by, or (RX) to, whom the trace is of; time in front of
                                     the word, behind it, or none; Send, Received, ->, <- too
    client: C001C1...                said by whom it names: client, meter, request, C->S, ...
    RX: 10:20:18 /?!<CR><LF>         an optical port, as tools/meter.py run --trace shows it
    0010  7e a0 07 03 ...  ~...      a dump with offsets: Wireshark, tcpdump -x, xxd, hexdump -C
    7EA0.., 7E:A0, 0x7E, 0xA0, \\x7e  octets alone; lines that follow one another belong together

Two asterisks are an octet that somebody has hidden. What is no such line is left out, and
counted. Nothing of the input is kept but the message that is being put together.
"""

import re

from .apdu import TABLE, decode

# Octets of a message that is put together of lines without a word in front, at most.
_LONGEST = 1 << 16
_LONGEST_APDU = 4096  # that is looked at whether it is whole
_STAR, _FLAG = 0x2A, 0x7E
_DUMP_WIDTH = 64  # octets in a line of a dump, at most

# Who says it. TX, RX: as seen by whoever has written the trace; client, meter: for certain.
_WORDS = {
    "tx": "TX", "send": "TX", "sent": "TX", "sending": "TX", "write": "TX", "written": "TX",
    "out": "TX", "->": "TX", "-->": "TX", "=>": "TX", ">>": "TX", ">": "TX", "==>": "TX",
    "rx": "RX", "recv": "RX", "receive": "RX", "received": "RX", "receiving": "RX", "read": "RX",
    "in": "RX", "<-": "RX", "<--": "RX", "<=": "RX", "<<": "RX", "<": "RX", "<==": "RX",
    "client": "client", "request": "client", "c->s": "client", "c2s": "client", "c": "client",
    "meter": "meter", "server": "meter", "response": "meter", "answer": "meter",
    "s->c": "meter", "s2c": "meter", "s": "meter",
}  # fmt: skip
_TIME = (
    r"[\[(]?(?:\d{4}-\d\d-\d\d[T ])?"
    r"(?P<%s>\d{1,2}:\d\d:\d\d(?:[.,]\d+)?)(?![\dA-Fa-f]|:\S)Z?[\])]?"
)
_WORD = "|".join(re.escape(w) for w in sorted(_WORDS, key=len, reverse=True))
_FAST = re.compile(r"(TX|RX): (?:(\d\d:\d\d:\d\d) )?((?:[0-9A-F]{2} )*[0-9A-F]{2})\n?$")
_MARKED = re.compile(
    r"\s*(?:%s[\s,;|-]*)?[\[(]?(?P<word>%s)[\])]?(?:\s*[:|=]|(?<=[<>])|\s+(?=[0-9A-Fa-f*/<]))\s*"
    r"(?:%s[\s,;|:-]*)?(?P<rest>\S.*)$" % (_TIME % "before", _WORD, _TIME % "behind"),
    re.IGNORECASE,
)
# The same behind whatever a log has in front.
_LOGGED = re.compile(
    r".{0,200}?(?:%s.{0,100}?)?(?<![\w<>=-])(?P<word>%s)\s*:\s*(?P<rest>[0-9A-Fa-f*/<].*)$"
    % (_TIME % "before", _WORD),
    re.IGNORECASE,
)
_TIMED = re.compile(r"\s*%s[\s,;|]+(?P<rest>[^:]*)$" % (_TIME % "time"))
_DUMP = re.compile(
    r"(?P<indent>\s*)(?:0x)?(?P<offset>[0-9A-Fa-f]{3,8})(?P<colon>:?)[ \t]+(?P<rest>\S.*)$"
)
_GROUP = re.compile(r"((?:[0-9A-Fa-f]{2}){1,4})(?=\s|$)")
_GAP = re.compile(r"\s*")
_LABEL = re.compile(r"\(\d+ octets that are no \w+\)")
# What may stand around octets, and between them.
_BETWEEN = r"(?:0x|\\x|[\s,;:\-_|{}()<>\[\]\"']|\\$)"
_NOISE = re.compile(_BETWEEN, re.IGNORECASE)
_OCTET = r"(?:[0-9A-Fa-f]{2}|\*\*)"
_OCTETS = re.compile("(?:%s*%s)*%s*" % (_BETWEEN, _OCTET, _BETWEEN), re.IGNORECASE)
_HEX = re.compile(_OCTET + "+$")
_DIGITS = "0123456789abcdefABCDEF*"
_ODD = re.compile("[%s]+$" % _DIGITS)
_CONTROLS = {
    "NUL": 0, "SOH": 1, "STX": 2, "ETX": 3, "EOT": 4, "ACK": 6, "BEL": 7, "LF": 10, "CR": 13,
    "NAK": 21,
}  # fmt: skip
_TOKEN = re.compile(r"<([A-Z]{2,3}|[0-9A-Fa-f]{2})>|(\*\*)|(.)", re.DOTALL)


class Said:
    """octets; hidden: offsets of those that nobody knows (they are 0, or *); direction: "TX", "RX"
    of whoever wrote it, "client", "meter", or None; time: text or None; line: where it begins;
    kind: "said", with a word in front, "text", "dump", "hex"; trouble: what is wrong with the
    line, or None; link: whose it is, where there are several; notes: what the
    capture says of it."""

    __slots__ = (
        "octets",
        "hidden",
        "direction",
        "time",
        "line",
        "kind",
        "trouble",
        "link",
        "notes",
    )

    def __init__(self, octets, hidden, direction, time, line, kind="said", trouble=None):
        self.octets = octets
        self.hidden = hidden
        self.direction = direction
        self.time = time
        self.line = line
        self.kind = kind
        self.trouble = trouble
        self.link = ""
        self.notes = ()


def parse_hex(text):
    """(octets, offsets of hidden ones) of hexadecimal in any layout; None if it is none."""
    clean = _NOISE.sub("", text)
    if not clean or not _HEX.match(clean):
        return None
    if "*" not in clean:
        return bytes.fromhex(clean), ()
    hidden = tuple(i for i in range(len(clean) // 2) if clean[2 * i] == "*")
    return bytes.fromhex(clean.replace("*", "0")), hidden


def parse_text(text):
    """(octets, offsets of hidden ones, where it is none: at its end if it is all) of what an
    optical port says as text: /?!<CR><LF>, <SOH>P1<STX>(**"""
    octets = bytearray()
    hidden = []
    for token in _TOKEN.finditer(text):
        control, star, character = token.groups()
        if control in _CONTROLS:
            octets.append(_CONTROLS[control])
        elif control and _HEX.match(control):
            octets.append(int(control, 16))
        elif star:
            hidden.append(len(octets))
            octets.append(_STAR)
        elif character and ord(character) < 0x80:
            octets.append(ord(character))
        else:
            return bytes(octets), tuple(hidden), token.start()
    return bytes(octets), tuple(hidden), len(text)


def _is_text(rest):
    return rest[:1] == "/" or bool(re.match(r"<(ACK|NAK|SOH|STX|NUL)>", rest))


class Reader:
    """read(lines) yields Said; n_skipped lines were none, the first of them n_first: first."""

    def __init__(self):
        self.n_skipped = self.n_first = 0
        self.first = ""
        self._octets = bytearray()
        self._hidden = []
        self._line = 0
        self._column = 0  # where in the line the part begins that is looked at
        self._direction = self._time = None
        self._kind = ""  # of what is put together: "", "dump", "hex"
        self._offset = 0
        self._indent = False

    def read(self, lines):
        number = 0
        before = "\n"
        for text in lines:
            if before[-1:] == "\n":
                number += 1
                self._column = 0
            else:
                self._column += len(before)
            before = text
            fast = _FAST.match(text)
            if fast:
                if self._octets:
                    yield from self._end()
                word, time, rest = fast.groups()
                octets = bytes.fromhex(rest)
                if _len(octets, 0) == len(octets):
                    yield Said(octets, (), word, time, number)
                    self._kind = ""
                else:
                    self._begin(octets, (), word, time, number)
                continue
            yield from self._slow(number, text.rstrip("\r\n"))
        yield from self._end()

    def _begin(self, octets, hidden, direction, time, number, kind="said"):
        self._octets += octets
        self._hidden += hidden
        self._direction = direction
        self._time = time
        self._line = number
        self._kind = kind

    def _end(self):
        if self._octets:
            said = Said(
                bytes(self._octets), tuple(self._hidden), self._direction, self._time, self._line,
                self._kind,
            )  # fmt: skip
            self._octets.clear()
            self._hidden.clear()
            yield said
        self._kind = ""

    def _slow(self, number, text):
        if not text.strip():
            yield from self._end()
            return
        dump = _DUMP.match(text)
        if dump and self._is_dump(dump):
            yield from self._dump(number, dump)
            return
        for pattern in (_MARKED, _LOGGED):
            found = pattern.match(text)
            if not found:
                continue
            word = _WORDS[found["word"].lower()]
            time = found["before"] or found.groupdict().get("behind")
            rest = found["rest"]
            if _is_text(rest):
                yield from self._end()
                yield from self._text(rest, found.start("rest"), word, time, number)
                return
            parsed = parse_hex(rest)
            if parsed:
                yield from self._end()
                self._begin(*parsed, word, time, number)
                return
            fault = _fault(rest, self._column + found.start("rest"))
            if fault and pattern is _MARKED:
                yield from self._faulty(*fault, word, time, number, "said")
                return
        timed = _TIMED.match(text)
        parsed = parse_hex(timed["rest"]) if timed else None
        time = timed["time"] if parsed else None
        if parsed is None:
            parsed = parse_hex(text)
        if parsed is None:
            fault = any(c.isdigit() for c in text) and _fault(text, self._column)
            # Without a word in front it has to begin as octets do.
            if fault and (fault[0] or _ODD.match(_NOISE.sub("", text))):
                yield from self._faulty(*fault, None, None, number, "hex")
                return
            yield from self._end()
            self._skip(number, text)
            return
        octets, hidden = parsed
        if time or self._kind not in ("said", "hex") or _stands_alone(self._octets, octets):
            yield from self._end()
        at = len(self._octets)
        if not at:
            kind = self._kind or "hex"
            direction = self._direction if kind == "said" else None
            self._begin(octets, hidden, direction, time, number, kind)
        else:
            self._octets += octets
            self._hidden += [at + k for k in hidden]
        if len(self._octets) >= _LONGEST:
            kind = self._kind
            yield from self._end()
            self._kind = kind  # and what follows is more of it

    def _text(self, rest, column, word, time, number):
        octets, hidden, end = parse_text(rest)
        if octets:
            yield Said(octets, hidden, word, time, number, "text")
        if end < len(rest):
            what = "%r in column %d; expected characters of 7 bits, controls as <CR> or <0D>"
            what %= rest[end], self._column + column + end + 1
            yield Said(b"", (), word, time, number, "text", what)

    def _faulty(self, octets, hidden, sentence, word, time, number, kind):
        """What can be read of a line, and then what is wrong with it."""
        if self._octets and kind == "hex":
            self._octets += octets
        elif octets:
            yield from self._end()
            self._begin(octets, hidden, word, time, number, kind)
        yield from self._end()
        yield Said(b"", (), word, time, number, kind, sentence)

    def _skip(self, number, text):
        if not self.n_skipped:
            self.n_first = number
            self.first = text.strip()
        self.n_skipped += 1

    def _is_dump(self, dump):
        second = dump["rest"].split()[0]
        if dump["colon"]:
            return re.match(r"[0-9A-Fa-f]{2,4}$", second) is not None
        if len(dump["offset"]) < 4 or not re.match(r"[0-9A-Fa-f]{2}$", second):
            return False
        return True

    def _dump(self, number, dump):
        offset = int(dump["offset"], 16)
        octets = _dump_octets(dump["rest"])
        # Of a stream that Wireshark follows the second speaker's lines are indented.
        indent = len(dump["indent"].expandtabs(4)) >= 4
        if self._kind != "dump" or offset != self._offset or not offset or indent != self._indent:
            yield from self._end()
            self._begin(b"", (), None, None, number, "dump")
            self._indent = indent
        self._octets += octets
        self._offset = offset + len(octets)
        if len(self._octets) >= _LONGEST:
            yield from self._end()


def _dump_octets(rest):
    """Octets of a line of a dump, without the characters behind them."""
    found = bytearray()
    pos = 0
    while len(found) < _DUMP_WIDTH:
        group = _GROUP.match(rest, pos)
        if not group:
            break
        found += bytes.fromhex(group[1])
        pos = group.end()
        gap = _GAP.match(rest, pos)
        n = gap.end() - pos
        if n > 2 or (n == 2 and len(found) % 8):
            break
        pos = gap.end()
    return bytes(found)


def _fault(text, column):
    """(octets before it, offsets of hidden ones, a sentence) of what is to be octets and is none;
    None: it does not look like some. column: characters in front of the text."""
    if _LABEL.search(text):
        return b"", (), "%s; the trace does not show them" % text.strip("()")
    clean = _NOISE.sub("", text)
    digits = sum(c in _DIGITS for c in clean)
    if len(clean) < 3 or digits < len(clean) * (1 if len(clean) < 6 else 0.85):
        return None
    end = _OCTETS.match(text).end()
    what = "%r in column %d; expected two hexadecimal digits for each octet"
    what %= text[end:].split()[0][:8], column + end + 1
    return *(parse_hex(text[:end]) or (b"", ())), what


def _stands_alone(before, octets):
    """Does a line of octets begin a message of its own, after what came before?"""
    if not before or not (octets[0] in TABLE or octets[0] == _FLAG or octets[:2] == b"\0\1"):
        return False
    at = 0
    while at < len(before):
        n = _len(before, at)
        if not n:
            break
        at += n
    if at:
        return at == len(before)
    if before[0] not in TABLE or len(before) > _LONGEST_APDU:
        return False
    node = decode(before)
    return node.end == len(before) and not node.faults()


def _len(octets, at):
    """Octets of the frame or wpdu at this place, by its length field; 0: there is none."""
    part = octets[at : at + 8]
    if part[:1] == b"\x7e" and len(part) > 2 and part[1] & 0xF0 == 0xA0:
        return 2 + ((part[1] & 7) << 8 | part[2])
    if part[:2] == b"\0\1" and len(part) == 8:
        return 8 + (part[6] << 8 | part[7])
    return 0
