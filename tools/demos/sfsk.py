# SPDX-License-Identifier: MIT
"""S-FSK: a concentrator finds three meters on a simulated line, each behind the one before, and
reads the last of them. Time is that of the simulation; lib/profiles/sfsk.md explains the frames.
"""

from bootstrap import Trouble
from decoding.conversation import Conversation
from decoding.show import lines
from plc.initiator import Initiator, whole
from plc.meters import Meter, full
from plc.network import Clock
from plc.sfsk import Line

_LOSS = 0.15
_CREDIT = 3
_SLOTS = 12
_CLIENT = 1
_AARQ = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738"
    "BE10040E01000000065F1F0400FEFF1F00EF"
)
_REGISTER = bytes.fromhex("C001C100030100010800FF0200")
_LONG = bytes.fromhex("C001C100010000600109FF0200")
_RLRQ = bytes.fromhex("6200")
_ABOUT = (
    "A street, simulated: a concentrator, and METER1, METER2, METER3 behind each other, who hear "
    "their neighbours alone and repeat for those behind; %d %% of the frames are lost on each "
    "link, in bursts. Seconds are those of the line. A frame is shown when it is first sent, and "
    "not when it is repeated on its way."
)
AGAIN = "again: no answer has come"
SAME = "again: it has been asked once more"


class _Street:
    def __init__(self, show):
        self.show = show
        self.decoder = Conversation(layer="mac_frame")
        self.clock = Clock()
        self.line = Line(self.clock, seed=5)
        self.conc = Initiator(self.line, ic=_CREDIT)
        self.meters = [Meter(self.line, b"METER%d" % k) for k in (1, 2)]
        self.meters.append(full(self.line, b"METER3"))
        last = self.conc.modem
        for meter in self.meters:
            self.line.connect(last, meter.modem, _LOSS)
            last = meter.modem
        self.said = {}  # what each has said last
        self.transmit = self.line.transmit
        self.line.transmit = self.shown

    def shown(self, source, frame, ms):
        """Each frame once; its repetitions look the same but for CC."""
        if frame.ic == frame.cc:
            who = "conc." if source is self.conc.modem else self.name(source)
            (unit,) = self.decoder.octets(None, frame.octets())
            means = ["%.2f s" % (self.clock.now_ms / 1000), *lines(unit)]
            if self.said.get(who) == frame.data:
                means.append(AGAIN if who == "conc." else SAME)
            self.said[who] = frame.data
            self.show.says(who, frame.octets(), *means)
        self.transmit(source, frame, ms)

    def name(self, modem):
        return next(m.title.decode() for m in self.meters if m.modem is modem)

    def ask(self, apdu):
        answer = self.conc.ask(self.meters[-1].ciase.address, apdu, client=_CLIENT)
        if answer is None:
            raise Trouble("The meter has not answered.")
        return answer


def run(show, options):
    show.about(_ABOUT % (_LOSS * 100))
    street = _Street(show)
    conc = street.conc
    found = {}
    while len(found) < len(street.meters) and street.clock.now_ms < 600000:
        show.step("Discover: who has no address yet?")
        new = [t for t in conc.discover(_SLOTS, credit=_CREDIT) if t not in found]
        found.update({title: len(found) + 1 + k for k, title in enumerate(new)})
        if found:
            show.step("Register: %d of %d have been heard" % (len(found), len(street.meters)))
            conc.register(found)
    if not all(m.ciase.is_registered() for m in street.meters):
        raise Trouble("Not all meters have registered.")
    show.step("An association with the last meter, by way of the others")
    street.ask(_AARQ)
    show.step("Its energy: 1.0.1.8.0")
    answer = street.ask(_REGISTER)
    show.step("400 octets, in blocks")
    value = whole(street.ask, _LONG)[5:]
    show.step("Release")
    street.ask(_RLRQ)
    if answer[:5] != bytes.fromhex("C401C10006") or len(value) != 400:
        raise Trouble("The meter has answered something else.")
    text = "METER3 has counted %d Wh. %.1f s on the line, %d requests for 5 that were needed."
    energy = int.from_bytes(answer[5:], "big")
    show.result(text % (energy, street.clock.now_ms / 1000, conc.n_asked))
