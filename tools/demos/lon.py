# SPDX-License-Identifier: MIT
"""LON: a concentrator reads a meter on a simulated network that loses frames. Time is that of the
simulation; lib/profiles/lon.md explains the messages, which are the project's own.
"""

from bootstrap import Trouble
from decoding.conversation import Conversation
from decoding.show import lines
from demos.sfsk import AGAIN, SAME
from plc.lon import Concentrator, Line, meter
from plc.network import Clock

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


def run(show, options):
    show.about(_ABOUT % (_LOSS * 100))
    clock = Clock()
    line = Line(clock, seed=7)
    station = meter(line)
    conc = Concentrator(line, tries=20)
    line.connect(conc.modem, station.modem, _LOSS)
    transmit = line.transmit
    decoder = Conversation(layer="lon")
    said = {}  # what each has said last

    def shown(source, octets, ms):
        who = "conc." if source is conc.modem else "meter"
        octets = bytes(octets)
        (unit,) = decoder.octets(who, octets)
        means = ["%.2f s, %d ms" % (clock.now_ms / 1000, ms), *lines(unit)]
        if said.get(who) == octets:
            means.append(AGAIN if who == "conc." else SAME)
        said[who] = octets
        show.says(who, octets, *means)
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
