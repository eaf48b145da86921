# SPDX-License-Identifier: MIT
"""What two parties say on one link: octets in, explained trees out.

    c = Conversation(keys, names)
    c.octets("rx", octets, time)     list of Unit, whole messages as they complete. "rx": towards
                                     the meter, "tx": from it, None: it shows by itself; another
                                     word: all octets with it go the same way
    c.end()                          what is left when nothing more comes

Layers are found by themselves: 62056-21, HDLC, wrapper, the frames of PLC modems, bare APDUs. What
is no message is handed out, too, as far as the next that is one. Kept are the octets of messages
that are not whole, segments and blocks, and of each association what application.py remembers:
no more than _LONGEST octets of each.
"""

from . import hdlc, plc, wrapper
from .apdu import TABLE, decode
from .application import Application, innermost, summary
from .layers import Finder
from .layers import decode as decode_layer
from .node import Node, encoded
from .pieces import FIELD, wrong

_LONGEST = 1 << 20
_LINES = 256  # pairs of HDLC addresses
_MANAGEMENT = {0x66, 0x67}  # addresses of CIASE over HDLC, see lib/profiles/llc_hdlc.py
# What a meter sends by itself.
_UNASKED = ("data-notification", "event-notification-request", "informationReportRequest")


class Unit(Node):
    """A message, the root of its tree; its range counts in its own octets.

    direction, time   as they were given, or found
    line     where it is from: a line of a trace, a packet of a capture; 0: unknown
    link     the name of the link, or ""
    hidden   offsets of octets that nobody knows
    layers   [(label, text), ...]: a line each
    client, server    addresses, or None
    apdu     the Node of the APDU that it completes, deciphered where that is possible, or None
    """

    __slots__ = (
        "direction",
        "time",
        "line",
        "link",
        "hidden",
        "layers",
        "client",
        "server",
        "apdu",
    )

    def __init__(self, node, octets, direction, time, hidden):
        Node.__init__(self, node.name, node.kind, node.value, 0, len(octets))
        self.children = node.children
        self.error = node.error
        if node.kind is FIELD:
            self.text = node.text
        self.octets = octets
        self.direction = direction
        self.time = time
        self.hidden = hidden
        self.line = 0
        self.link = ""
        self.layers = []
        self.client = self.server = self.apdu = None

    def json(self):
        d = {"link": self.link} if self.link else {}
        if self.line:
            d["line"] = self.line
        if self.time:
            d["time"] = self.time
        if self.direction:
            d["direction"] = self.direction
        if self.client is not None:
            d["client"], d["server"] = self.client, self.server
        d["octets"] = self.octets.hex()
        hidden = [*self.hidden, *_secrets(self)]
        if hidden:
            shown = self.octets.hex(" ").split()
            for k in hidden:
                shown[k] = "**"
            d["octets"] = "".join(shown)
        d["layers"] = self.layers
        return encoded(d)[:-1] + ", " + Node.json(self)[1:]


def _secrets(node):
    """Where octets of a message are passwords and keys."""
    found = []
    for child in node.children:
        if child.octets is None:
            if child.kind.secret:
                found += range(child.start, child.end)
            elif child.children:
                found += _secrets(child)
    return found


class _Buffer:
    """Octets of one direction that are no whole message yet."""

    def __init__(self):
        self.octets = b""
        self.hidden = ()
        self.time = None
        self.flag = False  # the flag at the end of the last frame may begin the next

    def add(self, octets, hidden, time):
        if self.flag and not self.octets and octets[:1] and octets[0] & 0xF0 == 0xA0:
            octets = b"\x7e" + octets
            hidden = [k + 1 for k in hidden]
        self.flag = False
        n = len(self.octets)
        if hidden:
            self.hidden = (*self.hidden, *(n + k for k in hidden))
        if n:
            self.octets += octets
        else:
            self.octets = octets
            self.time = time

    def drop(self, n):
        self.octets = self.octets[n:]
        if self.hidden:
            self.hidden = tuple(k - n for k in self.hidden if k >= n)


class _Line:
    """HDLC between a client and a server."""

    def __init__(self):
        self.expected = {}  # direction -> N(S) of the next frame
        self.last = {}  # (direction, N(S)) -> octets of the last frame with it
        self.parts = {}  # direction -> [octets, hidden, number of segments]


class Conversation:
    """layer: of layers.LAYERS, None: found. turns: who speaks has let the other one finish; what
    is not whole then will never be."""

    def __init__(self, keys=None, names=None, layer=None, turns=True):
        self.turns = turns
        self.application = Application(keys, names)
        self._finder = Finder(layer)
        self._ways = {"rx": True, "tx": False}  # direction -> is_command
        self._buffers = {}
        self._lines = {}
        self._parts = {}  # (is_command, client, server) -> (octets of segments, their number)
        self._servers = set()  # addresses that are for certain a server's

    def octets(self, direction, octets, time=None, hidden=(), whole=False):
        """whole: nothing of what is in them comes later."""
        buffers = self._buffers
        buffer = buffers.get(direction)
        if buffer is None:
            buffer = buffers[direction] = _Buffer()
        units = []
        if buffer.octets and self._finder.begins(octets):
            self._cut(buffer, direction, True, units)
        if self.turns:
            for other, waiting in buffers.items():
                if waiting.octets and other != direction:
                    self._cut(waiting, other, True, units)
        buffer.add(octets, hidden, time)
        self._cut(buffer, direction, whole or len(buffer.octets) > _LONGEST, units)
        return units

    def end(self):
        return [unit for direction in self._buffers for unit in self.lost(direction)]

    def lost(self, direction):
        """What is left when the octets that come next in a direction are missing."""
        units = []
        buffer = self._buffers.get(direction)
        if buffer is not None and buffer.octets:
            self._cut(buffer, direction, True, units)
        return units

    def gap(self):
        """Octets are missing in both directions: what was not whole will not be. What ciphering
        needs is kept."""
        self._buffers.clear()
        self._lines.clear()
        self._parts.clear()
        self.application.gap()

    # --- Which octets are a message, and of what layer ------------------------------------------

    def _cut(self, buffer, direction, final, units):
        data = buffer.octets
        hidden = buffer.hidden
        pos = 0
        n = len(data)
        while pos < n:
            layer, end = self._finder.find(data, pos, final)
            if not end:
                break
            if layer:
                part = data[pos:end]
                inside = tuple(k - pos for k in hidden if pos <= k < end) if hidden else ()
                units.append(self._unit(layer, direction, part, inside, buffer.time))
                if layer == "hdlc" and data[end - 1] == hdlc.FLAG and end - pos > 1:
                    # Of frames that follow one another the flag between may be one for both.
                    if end == n:
                        buffer.flag = True
                    elif data[end] & 0xF0 == 0xA0:
                        end -= 1
            pos = end
        if pos:
            buffer.drop(pos)

    # --- A message ------------------------------------------------------------------------------

    def _unit(self, layer, direction, octets, hidden, time):
        piece = decode_layer(layer, octets, hidden)
        unit = Unit(piece.node, octets, direction, time, hidden)
        is_command = self._ways.get(direction)
        node = unit
        while True:
            if piece.label or piece.text:
                unit.layers.append((piece.label, piece.text))
            if piece.message:
                unit.layers.append(("message", piece.message))
            if is_command is None:
                is_command = piece.is_command
            if piece.__class__ is hdlc.Frame:
                is_command = self._frame(unit, node, piece, octets, is_command, hidden)
                break
            if piece.client is not None:
                unit.client, unit.server = piece.client, piece.server
            if piece.apdu:
                is_command = self._apdu(unit, node, piece, octets, is_command, hidden)
                break
            if piece.part:
                self._numbered(unit, node, piece, octets, is_command)
            if piece.inner is None:
                break
            layer, octets = piece.inner
            hidden = ()
            piece = decode_layer(layer, octets, hidden)
            piece.node.octets = octets
            node.children.append(piece.node)
            node = piece.node
        if is_command is not None:
            unit.direction = "rx" if is_command else "tx"
            if direction is not None:
                self._ways.setdefault(direction, is_command)
        elif direction not in ("rx", "tx"):
            unit.direction = None
        return unit

    def _apdu(self, unit, node, piece, octets, is_command, hidden):
        start, end = piece.apdu
        if is_command is None:
            is_command = _is_command(octets[start])
        if piece.__class__ is wrapper.WPDU:
            if is_command is None:
                is_command = piece.destination in self._servers
            ends = piece.source, piece.destination
            unit.client, unit.server = ends if is_command else ends[::-1]
            self._servers.add(unit.server)
        elif piece.node.name == "l-pdu" and is_command:
            unit.client, unit.server = piece.server, piece.client
        self._take(unit, node, octets, start, end, is_command, hidden)
        if is_command and innermost(unit.apdu).name in _UNASKED:
            # A meter has opened the connection, to the port that is a meter's otherwise.
            unit.client, unit.server = unit.server, unit.client
            is_command = False
            if unit.direction is not None:
                self._ways[unit.direction] = False
        return is_command

    def _take(self, unit, node, octets, start, end, is_command, hidden=(), own=False):
        apdu = self.application.take(
            is_command, unit.client, unit.server, octets, start, end, hidden
        )
        if own:
            apdu.octets = octets
            node.children.append(apdu)
        else:
            _within(node).append(apdu)
        unit.apdu = apdu
        unit.layers.append(("APDU", summary(apdu)))

    def _numbered(self, unit, node, piece, octets, is_command):
        """A segment with a number, of a LON message."""
        number, more, start, end = piece.part
        key = is_command, unit.client, unit.server
        before, n = self._parts.get(key, (b"", 0)) if number else (b"", 0)
        if number != n:
            return  # it is there already, or one before it is not
        before += octets[start:end]
        self._parts[key] = before, n + 1
        if not more:
            del self._parts[key]
            self._take(unit, node, before, 0, len(before), is_command, own=True)

    # --- HDLC -----------------------------------------------------------------------------------

    def _frame(self, unit, node, f, octets, is_command, hidden):
        if is_command is None:
            if f.source in self._servers:
                is_command = False
            elif f.destination in self._servers:
                is_command = True
        if f.source[0] is None:
            return is_command
        client, server = (f.source, f.destination)
        if is_command is False:
            client, server = server, client
        unit.client = client[0]
        unit.server = server[0]
        if is_command is None:
            unit.client = unit.server = None
        elif f.good:
            self._servers.add(server)
        key = frozenset((client, server))
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= _LINES:
                del self._lines[next(iter(self._lines))]
            line = self._lines[key] = _Line()
        if f.control in ("SNRM", "DISC") and f.good:
            self._lines[key] = _Line()
            self.application.forget(unit.client, unit.server)
        if not f.apdu or f.apdu[0] == f.apdu[1]:
            return is_command
        if (
            f.control == "I"
            and f.good
            and self._is_repeated(unit, node, line, f, octets, is_command)
        ):
            return is_command
        self._segment(unit, node, line, f, octets, is_command, hidden)
        return is_command

    def _is_repeated(self, unit, node, line, f, octets, is_command):
        """Sees to N(S)."""
        expected = line.expected.get(is_command)
        info = octets[f.apdu[0] : f.apdu[1]]
        key = is_command, f.ns
        if expected not in (None, f.ns) and line.last.get(key) == info:
            unit.layers.append(("HDLC", "the same frame again"))
            return True
        line.expected[is_command] = f.ns + 1 & 7
        line.last[key] = info
        if expected in (None, f.ns):
            return False
        wrong(node.get("control"), "N(S) %d; expected %d: a frame is missing" % (f.ns, expected))
        line.parts.pop(is_command, None)
        return False

    def _segment(self, unit, node, line, f, octets, is_command, hidden):
        start, end = f.apdu
        parts = line.parts.get(is_command)
        if f.good and (f.segmented or parts) and f.control in ("I", "UI"):
            if f.first:
                parts = None
            if parts is None:
                if not f.first:
                    unit.layers.append(("HDLC", "a segment of something that began before"))
                    if not f.segmented:
                        line.parts.pop(is_command, None)
                    return
                parts = line.parts[is_command] = [b"", (), 0]
            n = len(parts[0])
            parts[0] += octets[start:end]
            parts[1] += tuple(n + k - start for k in hidden if start <= k < end)
            parts[2] += 1
            if f.segmented:
                unit.layers.append(
                    ("HDLC", "segment %d, %d octets so far" % (parts[2], len(parts[0])))
                )
                if len(parts[0]) > _LONGEST:
                    del line.parts[is_command]
                return
            del line.parts[is_command]
            unit.layers.append(("HDLC", "%d segments, %d octets" % (parts[2], len(parts[0]))))
            self._take(unit, node, parts[0], 0, len(parts[0]), is_command, parts[1], own=True)
            return
        if (
            f.control == "UI"
            and octets[start] in plc.CIASE
            and _MANAGEMENT & {f.source[0], f.destination[0]}
        ):
            piece = plc.ciase(octets[start:end], 8)
            piece.node.octets = octets[start:end]
            node.children.append(piece.node)
            unit.layers.append((piece.label, piece.text))
            return
        if not f.first:
            return
        if f.good:
            self._take(unit, node, octets, start, end, is_command, hidden)
        else:
            # It is dropped by whoever gets it, but may be looked at.
            apdu = decode(octets, start, end)
            _within(node).append(apdu)
            unit.layers.append(("APDU", summary(apdu)))


def _within(node):
    """Where the APDU of a message belongs: in its information field, if it has one."""
    return (node.get("information") or node).children


def _is_command(tag):
    """Does an APDU with this tag go to a meter? None: it may go either way."""
    name = TABLE[tag][0] if tag in TABLE else ""
    if name[:4] in ("glo-", "ded-"):
        name = name[4:]
    if name in ("aarq", "rlrq"):
        return True
    if name in ("aare", "rlre", "confirmedServiceError", *_UNASKED) or name.lower().endswith(
        "response"
    ):
        return False
    return True if name.lower().endswith("request") else None
