# SPDX-License-Identifier: MIT
"""LON: a concentrator reads a meter on a simulated network that loses frames. Time is that of the
simulation; lib/profiles/lon.md explains the messages, which are the project's own.
"""

from bootstrap import Trouble
from demos.sfsk import AGAIN, SAME
from plc import decode
from plc.lon import Concentrator, Line, meter
from plc.network import Clock
from profiles.lon_frame import Frame

_LOSS = 0.2
_METER = (3, 2)
_CLIENT = 1
_AARQ = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738"
    "BE10040E01000000065F1F0400FEFF1F0200"
)
_REGISTER = bytes.fromhex("C001C100030100010800FF0200")
_LONG = bytes.fromhex("C001C100010000600109FF0200")
_SET_LONG = bytes.fromhex("C101C100010000600109FF02000981FA") + b"Picometer " * 25
_RLRQ = bytes.fromhex("6200")
_ABOUT = (
    "A network, simulated: a concentrator (node 5 of subnet 1) and a meter (node 2 of subnet 3), "
    "and %d %% of the frames are lost each way. What is in the requests and responses, from "
    "code 2D on, is the project's own form, not that of IEC 62056-8-8. Seconds are those of the "
    "line, then how long it is taken."
)
_KINDS = ("TPDU", "SPDU", "AuthPDU", "APDU")
_TPDU = ("acknowledged", "repeated", "acknowledgement", "", "reminder", "reminder and message")
_SPDU = ("request", "", "response", "", "reminder", "reminder and message")
_FLAGS = ((8, "more follows"), (4, "protected"), (2, "numbered"), (1, "pull"))


def _fields(octets):
    """What the octets of a frame mean, line by line."""
    f = Frame()
    if not f.read(octets, 0, len(octets)):
        return ["no frame"]
    types = _TPDU if f.kind == 0 else _SPDU
    path = ", alternate path" if f.alternate else ""
    lines = [
        "node %d of subnet %d to node %d of subnet %d: %s, %s %d%s"
        % (
            *(f.source_node, f.source_subnet, f.node, f.subnet),
            *(_KINDS[f.kind], types[f.type], f.number, path),
        )
    ]
    apdu = octets[f.at : f.end]
    if len(apdu) >= 4:
        control = apdu[1]
        words = [word for bit, word in _FLAGS if control & bit]
        n = 5 if control & 2 else 4
        text = "code %02X, client %d, server %d" % (apdu[0], apdu[2], apdu[3])
        if control & 2:
            text += ", segment %d" % apdu[4]
        part = "%d octets of an APDU" % (len(apdu) - n)
        if not control & 6 and len(apdu) > n:
            part = decode.apdu(apdu[n:])
        lines.append(", ".join([text, *words, part]))
    return lines


def run(show, options):
    show.about(_ABOUT % (_LOSS * 100))
    clock = Clock()
    line = Line(clock, seed=7)
    station = meter(line)
    conc = Concentrator(line, tries=20)
    line.connect(conc.modem, station.modem, _LOSS)
    transmit = line.transmit
    said = {}  # what each has said last

    def shown(source, octets, ms):
        who = "conc." if source is conc.modem else "meter"
        lines = ["%.2f s, %d ms" % (clock.now_ms / 1000, ms), *_fields(octets)]
        if said.get(who) == octets:
            lines.append(AGAIN if who == "conc." else SAME)
        said[who] = bytes(octets)
        show.says(who, octets, *lines)
        transmit(source, octets, ms)

    line.transmit = shown

    def ask(apdu):
        answer = conc.ask(_METER, apdu, client=_CLIENT)
        if not isinstance(answer, bytes):
            raise Trouble("The meter has not answered.")
        return answer

    show.step("An association")
    ask(_AARQ)
    show.step("Its energy: 1.0.1.8.0")
    answer = ask(_REGISTER)
    show.step("250 octets are set, in segments")
    ask(_SET_LONG)
    show.step("And read again")
    value = ask(_LONG)[7:]
    show.step("Release")
    ask(_RLRQ)
    if answer[:5] != bytes.fromhex("C401C10006") or value != _SET_LONG[-250:]:
        raise Trouble("The meter has answered something else.")
    text = "The meter has counted %d Wh. %.1f s on the line, %d frames of the concentrator."
    show.result(text % (int.from_bytes(answer[5:], "big"), clock.now_ms / 1000, conc.n_sent))
