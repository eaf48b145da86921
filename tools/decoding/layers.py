# SPDX-License-Identifier: MIT
"""Which octets are a message, and of what layer.

    f = Finder(layer)                       layer: of LAYERS, None: to be found
    f.find(octets, pos, final) -> (layer, end)     layer "": nothing that counts; end 0: more
                                            octets are needed, unless they are final
    decode(layer, octets, hidden) -> Piece

What has a check sequence that is right is what it seems to be; then comes what has a header that
is plausible; then what can be decoded to its end.
"""

from . import axdr, hdlc, iec21, modems, plc, wrapper
from .apdu import TABLE
from .apdu import decode as decode_apdu
from .pieces import Piece, field, wrong

_DECODERS = {**plc.DECODERS, **modems.DECODERS}
LAYERS = ("hdlc", "wrapper", "62056-21", "llc", "apdu", "data", *_DECODERS)
_LONGEST_REST = 2048  # that is looked at whether it is a message without a frame


class Finder:
    """seen: the layer that was found last."""

    def __init__(self, layer=None):
        self.layer = layer
        self.seen = None
        self._status_len = 2  # of a modem with local frames

    @staticmethod
    def begins(octets):
        """Do these octets begin with a message that is beyond doubt?"""
        if octets[:1] == b"\x7e":
            end = hdlc.find(octets, 0)
            return end > 0 and hdlc.is_good(octets, 0, end)
        return octets[:2] == b"\0\1" and wrapper.find(octets, 0) == len(octets)

    def find(self, data, pos, final):
        """(layer, end) of the message at pos."""
        if self.layer:
            return self._given(data, pos, final)
        x = data[pos]
        n = len(data)
        if x == hdlc.FLAG:
            return self._at_flag(data, pos, final)
        if not x and pos + 1 == n and not final:
            return "", 0
        if not x and data[pos + 1 : pos + 2] == b"\1":
            found = self._at_wpdu(data, pos, final)
            if found:
                return found
        if not pos or (self.seen is None and n - pos < _LONGEST_REST):
            layer = _whole(data[pos:])
            if layer:
                return layer, n
        if x in (0x02, 0x03) and modems.find_local(data, pos):
            self.seen = "local"
            return self._of_modem(data, pos, final)
        if self.seen == "local" and x in modems.SINGLE:
            return self._of_modem(data, pos, final)
        if (x & 0x7F) in iec21.STARTS and _is_text(data, pos):
            end = iec21.find(data, pos, final)
            if end >= 0:
                return "62056-21", end
        end = _of_another_version(data, pos)
        if end:
            return "wrapper", end
        end = _next(data, pos + 1)
        if end == n and not final and self.seen and pos:
            return "", 0
        return _guess(data[pos:end]), end

    def _given(self, data, pos, final):
        """As find(), the layer being known."""
        layer = self.layer
        if layer == "hdlc":
            if data[pos] == hdlc.FLAG:
                return self._at_flag(data, pos, final)
        elif layer == "wrapper":
            end = wrapper.find(data, pos, final)
            if end >= 0:
                return layer, end
        elif layer == "62056-21":
            end = iec21.find(data, pos, final)
            if end >= 0:
                return layer, end
        elif layer in modems.DECODERS:
            return self._of_modem(data, pos, final)
        else:
            return layer, len(data)
        return "octets", _next(data, pos + 1)

    def _of_modem(self, data, pos, final):
        """Of a modem, whose frames are told by their checks; what is damaged, by what follows."""
        layer = self.layer or self.seen
        n = len(data)
        x = data[pos]
        if layer == "local" and x in modems.SINGLE:
            end = pos + (self._status_len if x == modems.STATUS else 1)
            return (layer, min(end, n)) if end <= n or final else ("", 0)
        if layer == "usi" and data[pos : pos + 2] == b"\x7e\x7e":
            return "", pos + 1
        finders = [find for name, find in modems.FINDERS.get(x, ()) if name == layer]
        if not finders:
            return "octets", modems.next_start(layer, data, pos + 1)
        end = finders[0](data, pos)
        if end:
            self._status_len = modems.status_len(data, pos, end)
            return layer, end
        end = modems.damaged(layer, data, pos)
        if end:
            return layer, end
        return (layer, n) if final else ("", 0)

    def _at_flag(self, data, pos, final):
        n = len(data)
        if pos + 1 == n:
            return "", n if final else 0
        if data[pos + 1] == hdlc.FLAG:
            return "", pos + 1
        end = hdlc.find(data, pos)
        if end and hdlc.is_good(data, pos, end):
            self.seen = "hdlc"
            return "hdlc", end
        if self.seen != "hdlc" and self.layer != "hdlc":
            for name, find in modems.FINDERS[hdlc.FLAG]:
                found = find(data, pos)
                if found:
                    self.seen = name
                    return name, found
            if self.seen in ("usi", "mip"):
                found = data.find(b"\x7e", pos + 1) + 1
                return (self.seen, found) if found or not final else (self.seen, n)
        if not end:
            end = hdlc.find(data, pos, final)
        return "hdlc", end

    def _at_wpdu(self, data, pos, final):
        if pos + 9 <= len(data) and data[pos + 8] not in TABLE and self.seen != "wrapper":
            return None
        end = wrapper.find(data, pos, final)
        if end > 0:
            self.seen = "wrapper"
        return "wrapper", end


def decode(layer, octets, hidden):
    if layer == "hdlc":
        return hdlc.decode(octets, hidden)
    if layer == "wrapper":
        return wrapper.decode(octets)
    if layer == "62056-21":
        return iec21.decode(octets, hidden) or _garbage(octets)
    if layer == "llc":
        return _llc(octets)
    if layer == "apdu":
        piece = Piece(field("apdu", 0, len(octets)), "")
        piece.apdu = (0, len(octets))
        return piece
    if layer == "data":
        node = axdr.decode_data(octets)
        piece = Piece(field("data", 0, len(octets)), "Data", node.type)
        piece.node.children.append(node)
        return piece
    if layer in _DECODERS:
        return _DECODERS[layer](octets)
    return _garbage(octets)


def _llc(octets):
    piece = Piece(field("llc", 0, len(octets)), "LLC")
    head = octets[:3]
    if head not in hdlc.LLC:
        fits = (b"\xe6", b"\xe6\xe7", b"\0")
        at = next((k for k, x in enumerate(head) if x not in fits[k]), len(head))
        wrong(piece.node, "%s; expected E6 E6 00 or E6 E7 00" % head.hex(" ").upper(), at)
        return piece
    piece.is_command = head[1] == 0xE6
    piece.text = hdlc.LLC[head]
    piece.node.children.append(field("LLC", 0, 3, head.hex(), piece.text))
    piece.apdu = (3, len(octets))
    return piece


def _garbage(octets):
    node = field("octets", 0, len(octets))
    at = next((k for k, x in enumerate(octets) if not _is_character(octets, k, x)), None)
    if octets[:1] == b"/" and at is not None:
        wrong(node, "%02X; expected characters of IEC 62056-21 behind /" % octets[at], at)
    sentence = "%02X begins no message; expected 7E (HDLC), 00 01 (wrapper), /, 01 or 02 and text "
    sentence += "(IEC 62056-21), or an APDU"
    return Piece(wrong(node, sentence % octets[0]), "", "%d octets of no message" % len(octets))


def _is_text(data, pos):
    """Is this a message of IEC 62056-21, as far as its characters tell?"""
    x = data[pos] & 0x7F
    if x in (0x06, 0x15):
        return True
    if not x:
        return data[pos : pos + 8] == bytes(8)
    part = data[pos + 1 : pos + 12]
    return all(_is_character(part, k, x) for k, x in enumerate(part))


def _is_character(octets, k, x):
    """Or an end of text, or a block check character behind one."""
    x &= 0x7F
    return x >= 0x20 or x in (2, 3, 4, 10, 13) or octets[k - 1] & 0x7F in (3, 4)


def _faultless(node, octets):
    return node.end == len(octets) and not node.faults()


def _whole(octets):
    """The layer of octets that are one message without a frame, beyond doubt; or None."""
    x = octets[0]
    if octets[:3] in hdlc.LLC and len(octets) > 3 and octets[3] in TABLE:
        return "llc"
    if plc.is_m_sdu(octets):
        return "m_sdu"
    if x >> 4 == 6 and plc.is_ipv6(octets):
        return "ipv6"
    if x in TABLE and _faultless(decode_apdu(octets), octets):
        return "apdu"
    if plc.is_mac_frame(octets):
        return "mac_frame"
    return None


def _guess(octets):
    """The layer of octets that are no message as they are."""
    x = octets[0]
    if _faultless(axdr.decode_data(octets), octets):
        return "data"
    return "apdu" if _begins_apdu(x) else "octets"


def _begins_apdu(x):
    """Lower tags than these may be anything."""
    return x in TABLE and x >= 0x21


def _of_another_version(data, pos):
    """The end of what is a wpdu but for its version, or 0."""
    if pos + 8 >= len(data) or data[pos + 8] not in TABLE or _begins_apdu(data[pos]):
        return 0
    end = pos + 8 + (data[pos + 6] << 8 | data[pos + 7])
    return end if end == len(data) or data[end : end + 2] == b"\0\1" else 0


def _next(data, pos):
    """Where a message may begin, at pos or later."""
    n = len(data)
    at = pos
    while True:
        at = data.find(b"\x7e", at)
        if at < 0:
            flag = n
            break
        if at + 1 < n and data[at + 1] & 0xF0 == 0xA0:
            flag = at
            break
        at += 1
    at = pos
    while True:
        at = data.find(b"\0\1", at)
        if at < 0 or at >= flag:
            return flag
        if at + 8 < n and data[at + 8] in TABLE and wrapper.find(data, at):
            return at
        at += 1
