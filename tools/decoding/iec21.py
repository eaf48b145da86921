# SPDX-License-Identifier: MIT
"""Messages of IEC 62056-21: sign-on, identification, option select, data messages with their data
sets, programming commands, block check characters, the hand-over to HDLC (mode E).

    find(octets, pos, final) -> end     as hdlc.find()
    decode(octets) -> Message

Characters are those of 7 bits; strip() takes parity bits off that a serial line has left.
"""

import re

from .pieces import Piece, field, wrong

SOH, STX, ETX, EOT, ACK, NAK = 0x01, 0x02, 0x03, 0x04, 0x06, 0x15
STARTS = frozenset(b"/\x01\x02\x06\x15\x00")
_LONGEST = 1 << 16
_BAUD = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
_BAUD_B = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}
_PROTOCOLS = {"0": "normal", "1": "secondary", "2": "HDLC"}
_OPTIONS = {"0": "data readout", "1": "programming mode", "2": "binary mode"}
_COMMANDS = {
    "P0": "operand for a password", "P1": "password 1", "P2": "password 2", "R1": "read",
    "W1": "write", "R2": "read formatted", "W2": "write formatted",
    "R3": "read formatted, in blocks", "W3": "write formatted, in blocks",
    "R4": "read formatted", "W4": "write formatted",
    "R5": "read formatted", "W5": "write formatted", "E2": "execute formatted", "B0": "break",
    "B1": "break",
}  # fmt: skip
_END = re.compile(b"[\x03\x04\x83\x84]")  # ETX, EOT, with parity or without
_SET = re.compile(r"([^()\r\n]*)((?:\([^()\r\n]*\))+)")
_VALUE = re.compile(r"\(([^()*]*)(?:\*([^()]*))?\)")
_ERROR = re.compile(r"\(?ER\d*\)?")


class Message(Piece):
    """name: request, identification, option-select, ack, nak, command, data-message, wake-up;
    to_hdlc: frames of HDLC follow."""

    to_hdlc = False

    def __init__(self, node, name):
        Piece.__init__(self, node, "62056-21")
        self.name = name


def strip(octets):
    """Octets without even parity, if all of them have it and some are told apart by it."""
    if any(x & 0x80 for x in octets) and not any(x.bit_count() & 1 for x in octets):
        return bytes(x & 0x7F for x in octets)
    return octets


def find(octets, pos, final=False):
    end = len(octets)
    x = octets[pos] & 0x7F
    if x == NAK:
        return pos + 1
    if x == ACK:
        if pos + 1 >= end:
            return end if final else 0
        # An acknowledgement alone, or the beginning of an option select message.
        if not 0x30 <= octets[pos + 1] & 0x7F <= 0x39:
            return pos + 1
        return _to_line(octets, pos, final, 6)
    if x == 0x2F:
        return _to_line(octets, pos, final, 64)
    if x in (SOH, STX):
        found = _END.search(octets, pos + 1, pos + _LONGEST)
        if found and found.end() < end:
            return found.end() + 1
        return end if final or (not found and end - pos >= _LONGEST) else 0
    if not octets[pos]:
        at = pos
        while at < end and not octets[at]:
            at += 1
        return at if at < end or final else 0
    return -1


def _to_line(octets, pos, final, longest):
    end = len(octets)
    for at in range(pos, min(end, pos + longest)):
        if octets[at] & 0x7F == 0x0A:
            return at + 1
    return end if final or end - pos >= longest else 0


def is_good(octets):
    """Are these octets a message, beyond doubt? For finding out what a link speaks."""
    m = decode(octets, ())
    return bool(m) and m.name not in ("ack", "nak", "wake-up") and not m.node.faults()


def decode(octets, hidden=()):
    """Message of octets that find() has found; None if they are none at all."""
    plain = strip(octets)
    m = _message(plain, hidden) if plain else None
    if m is not None:
        m.text = m.node.text
    return m


def _message(plain, hidden):
    text = plain.decode("latin-1")
    x = plain[0] & 0x7F
    if x == NAK and len(plain) == 1:
        return _alone("nak", "say it again")
    if x == ACK and len(plain) == 1:
        return _alone("ack", "well received")
    if x == ACK:
        return _option(text)
    if x == 0x2F:
        return _request(text) if text[1:2] == "?" else _identification(text)
    if x in (SOH, STX):
        return _block(plain, text, hidden)
    if not x:
        node = field("wake-up", 0, len(plain), text="%d octets of zeros" % len(plain))
        return Message(node, "wake-up")
    return None


def _alone(name, text):
    return Message(field(name, 0, 1, text=text), name)


def _closed(node, text):
    """Sees to CR LF at the end; octets before it."""
    if text.endswith("\r\n"):
        return len(text) - 2
    at = len(text) - (text[-1] in "\r\n")
    wrong(node, "the message ends without CR LF; expected 0D 0A at %d" % at, at)
    return at


def _request(text):
    node = field("request", 0, len(text))
    m = Message(node, "request")
    m.is_command = True
    end = _closed(node, text)
    body = text[2:end]
    if body.endswith("!"):
        body = body[:-1]
    else:
        wrong(node, "no ! behind the address; expected it at %d" % end, end)
    node.text = "sign-on%s" % (", device address %s" % body if body else ", to any device")
    if body:
        node.children.append(field("device-address", 2, 2 + len(body), body, body))
    return m


def _identification(text):
    node = field("identification", 0, len(text))
    m = Message(node, "identification")
    m.is_command = False
    end = _closed(node, text)
    add = node.children.append
    if end < 5:
        wrong(node, "it ends; expected three letters of a manufacturer and Z", end)
        return m
    maker, z = text[1:4], text[4]
    quick = maker[2].islower()
    child = field(
        "manufacturer", 1, 4, maker, maker.upper() + (": reacts in 20 ms" if quick else "")
    )
    if not maker.isalpha():
        wrong(child, "%r; expected three letters" % maker)
    add(child)
    mode = "C" if z in _BAUD else "B" if z in _BAUD_B else "A"
    baud = _BAUD.get(z) or _BAUD_B.get(z)
    escape = ""
    at = 5
    while text[at : at + 1] == "\\" and at + 1 < end:
        escape += text[at + 1]
        at += 2
    if mode == "C" and "2" in escape:
        mode = "E"
    words = {"A": "mode A", "B": "mode B", "C": "mode C", "E": "mode E: HDLC is possible"}[mode]
    add(
        field(
            "baud-rate", 4, 5, baud, "%s, %s" % ("%d baud" % baud if baud else "300 baud", words)
        )
    )
    if escape:
        add(field("enhanced", 5, at, escape, "\\" + "\\".join(escape)))
    ident = text[at:end]
    child = field("identification", at, end, ident, ident)
    if len(ident) > 16:
        wrong(child, "%d characters; expected 16 at most" % len(ident))
    add(child)
    node.text = "%s, %s, mode %s" % (maker.upper(), ident, mode)
    return m


def _option(text):
    node = field("option-select", 0, len(text))
    m = Message(node, "option-select")
    end = _closed(node, text)
    if end != 4:
        wrong(node, "%d characters; expected ACK V Z Y CR LF" % len(text))
        return m
    v, z, y = text[1:4]
    add = node.children.append
    add(field("protocol", 1, 2, v, _PROTOCOLS.get(v, "reserved")))
    baud = _BAUD.get(z)
    child = field("baud-rate", 2, 3, baud, "%d baud" % baud if baud else "")
    if not baud:
        wrong(child, "%r is no rate; expected 0 to 6" % z)
    add(child)
    add(
        field(
            "mode", 3, 4, y, _OPTIONS.get(y, "of the manufacturer" if y in "6789" else "reserved")
        )
    )
    m.to_hdlc = v == "2" and y == "2"
    node.text = ", ".join(child.text for child in node.children if child.text)
    if m.to_hdlc:
        node.text += ": then frames of HDLC"
    return m


def _block(plain, text, hidden):
    end = len(plain)
    is_command = plain[0] & 0x7F == SOH
    node = field("command" if is_command else "data-message", 0, end)
    m = Message(node, node.name)
    add = node.children.append
    if hidden:
        stop = hidden[0]
        start = 4 if is_command else 1
        if is_command:
            _command(node, text)
            m.is_command = text[1:3] != "P0"
        add(field("data", min(start, stop), stop, text[start:stop], text[start:stop]))
        add(field("hidden", stop, end, text="not in the trace, nor what follows"))
        return m
    ends = plain[-2] & 0x7F if end > 2 else 0
    whole = ends in (ETX, EOT)
    stop = end - 2 if whole else end - (plain[-1] in (ETX, EOT))
    start = 1
    if is_command:
        # P0 and B0 of a meter: as what it answers, and as its sign-off.
        m.is_command = None if text[1:2] == "B" else text[1:3] != "P0"
        _command(node, text)
        if text[3:4] == "\x02":
            start = 4
        elif stop > 3:
            wrong(node, "%r behind the command; expected STX or ETX" % text[3], 3)
            start = 3
        else:
            start = stop
    else:
        m.is_command = False
    if start < stop:
        data = field("data", start, stop, text[start:stop])
        add(data)
        _sets(data, text, start, stop)
        if not is_command:
            node.text = data.text
        elif len(data.children) == 1:
            node.text += " " + data.children[0].text
    if not whole:
        wrong(node, "it ends; expected ETX and a block check character at %d" % stop, stop)
        return m
    add(field("end", end - 2, end - 1, ends, "ETX" if ends == ETX else "EOT: more blocks follow"))
    bcc = 0
    for octet in plain[1 : end - 1]:
        bcc ^= octet & 0x7F
    child = field("BCC", end - 1, end, plain[-1], "right")
    if bcc != plain[-1] & 0x7F:
        wrong(child, "BCC %02X; expected %02X" % (plain[-1], bcc))
    add(child)
    return m


def _command(node, text):
    name = text[1:3]
    child = field("command", 1, min(3, len(text)), name, _COMMANDS.get(name, ""))
    if name not in _COMMANDS and (
        len(name) < 2 or name[0] not in "PWREB" or not name[1].isdigit()
    ):
        wrong(child, "%r is no command; expected P, W, R, E or B, and a digit" % name)
    node.text = "%s: %s" % (name, child.text) if child.text else name
    node.children.append(child)


def _sets(data, text, start, stop):
    """Data sets: address(value*unit)."""
    at = start
    body = text[:stop]
    count = 0
    while at < stop:
        found = _SET.match(body, at)
        if found:
            count += 1
            name = found[1]
            values = [
                value + (" " + unit if unit else "") for value, unit in _VALUE.findall(found[2])
            ]
            shown = " = ".join(part for part in (name, ", ".join(values)) if part)
            child = field("data-set", found.start(), found.end(), found[0], shown)
            if _ERROR.fullmatch(found[2]) and not name:
                child.text = "error message %s" % found[2].strip("()")
            data.children.append(child)
            at = found.end()
        elif body[at] in "\r\n!":
            at += 1
        else:
            end = next((k for k in range(at, stop) if body[k] in "\r\n"), stop)
            if _ERROR.fullmatch(body[at:end]):
                data.children.append(field("error-message", at, end, body[at:end], body[at:end]))
            else:
                child = field("data-set", at, end, body[at:end], body[at:end])
                data.children.append(wrong(child, "no data set; expected address(value*unit)"))
            at = end
    data.text = "%d data set%s" % (count, "" if count == 1 else "s")
