# SPDX-License-Identifier: MIT
"""General block transfer. The cases are ours; the rules are those of IEC 62056-5-3. What ends a
transfer no public source settles [?]: there a meter may do more than one thing."""

from .application import initiate
from .case import expect, fail, group_of, inapplicable
from .client import length, take_length
from .session import BITS, NAME, OBJECT_LIST, is_answer

CASES, case = group_of("gbt", "ours; IEC 62056-5-3, general block transfer: ")

_LAST, _STREAMING = 0x80, 0x40
_ANSWER = b"\xc4\x01\xc1\0"
_SMALL = 128


def general_block(control, number, ack, octets=b""):
    return (
        b"\xe0" + bytes((control,)) + number.to_bytes(2, "big") + ack.to_bytes(2, "big")
        + length(len(octets)) + octets
    )  # fmt: skip


class Block:
    def __init__(self, apdu):
        expect(
            apdu[:1] == b"\xe0" and len(apdu) > 6,
            "%s came; expected a general block." % apdu[:4].hex(" "),
        )
        self.last, self.streaming = bool(apdu[1] & _LAST), bool(apdu[1] & _STREAMING)
        self.number, self.ack = (int.from_bytes(apdu[k : k + 2], "big") for k in (2, 4))
        n, at = take_length(apdu, 6)
        expect(at + n == len(apdu), "The length of a general block is not that of its octets.")
        self.octets = apdu[at:]


class Transfer:
    """One exchange in general blocks over a session's link. said: blocks of ours."""

    def __init__(self, t, window=1):
        entry = t.plain(secret=True)
        self.s = t.session(entry)
        self.s.ready(initiate=initiate(0x7EFF1F, _SMALL).hex())
        if not self.s.has("general-block-transfer"):
            inapplicable("general-block-transfer is not negotiated.")
        self.t, self.link, self.window = t, self.s.link, window
        self.said = self.heard = 0

    def say(self, octets=b"", last=True, streaming=False, number=None, ack=None):
        """One block of ours; the number goes on unless it is given."""
        if number is None:
            self.said += 1
            number = self.said
        control = (_LAST if last else 0) | (_STREAMING if streaming else 0) | self.window
        apdu = general_block(control, number, self.heard if ack is None else ack, octets)
        self.t.keep("asked", apdu)
        self.link.say(apdu)

    def first(self, seconds=None):
        """The first APDU of an answer, or None."""
        got = self.link.hear(seconds)
        if got:
            self.t.keep("answered", got)
        return got

    def hear(self, got=None):
        """Blocks up to the end of the meter's window."""
        got = self.first() if got is None else got
        found = []
        while True:
            if got is None:
                fail("A window does not go on.")
            b = Block(got)
            found.append(b)
            if not b.streaming:
                return found
            expect(
                len(found) < self.window,
                "%d blocks come in a window of %d." % (len(found) + 1, self.window),
            )
            got = self.link.next()
            if got:
                self.t.keep("answered", got)

    def rest(self, lose=()):
        """The whole answer. lose: numbers of blocks that are taken as lost at first."""
        octets, lose = b"", set(lose)
        for _ in range(3000):
            for b in self.hear():
                if b.number in lose:
                    lose.discard(b.number)
                elif b.number == self.heard + 1:
                    self.heard += 1
                    octets += b.octets
                    if b.last:
                        return octets
            self.say()
        return fail("The answer does not come to an end.")

    def is_alive(self):
        s = self.s
        expect(
            is_answer(bytes.fromhex(s.talk.say(NAME.hex()))),
            "After it the association is not usable any more.",
        )


def wanted(t):
    """The answer to OBJECT_LIST, as it comes to a client that takes everything."""
    s = t.session(t.plain(secret=True)).ready(
        initiate=initiate(0x7EFF1F & ~BITS["general-block-transfer"]).hex()
    )
    data = s.get(15, "0.0.40.0.0", 2)[1]
    s.leave()
    return _ANSWER + data


@case("PMT_GBT_P1", "An answer in general blocks", "window 1")
def one(t):
    """A GET in one block, window 1: the answer comes block by block, numbered from 1, each of them
    when the one before is acknowledged; in all the same octets as without blocks."""
    expected = wanted(t)
    x = Transfer(t)
    x.say(OBJECT_LIST)
    expect(x.rest() == expected, "In general blocks the answer is another.")
    x.is_alive()
    return "%d blocks" % x.heard


@case("PMT_GBT_P2", "Windows of three blocks, streaming", "window 3")
def three(t):
    """As before with a window of 3: all blocks of a window but the last say that it goes on."""
    expected = wanted(t)
    x = Transfer(t, 3)
    x.say(OBJECT_LIST)
    expect(x.rest() == expected, "In windows of 3 the answer is another.")
    x.is_alive()


@case("PMT_GBT_P3", "A request in several blocks", "streaming of the client")
def request(t):
    """A GET in three blocks, streaming and one by one: acknowledged, and answered once."""
    expected = wanted(t)
    cut = [OBJECT_LIST[:5], OBJECT_LIST[5:9], OBJECT_LIST[9:]]
    for streaming in (True, False):
        x = Transfer(t, 5)
        for n, part in enumerate(cut):
            last = n == 2
            x.say(part, last, streaming and not last)
            if not last:
                quiet = x.link.line.quiet_s if streaming else None
                got = x.first(quiet)
                if streaming:
                    expect(got is None, "A block that goes on is answered.")
                else:
                    b = Block(got or b"")
                    expect(b.ack == n + 1, "Block %d is acknowledged with %d." % (n + 1, b.ack))
                    x.heard = b.number
        expect(x.rest() == expected, "The answer to a request in blocks is another.")
        x.is_alive()
        t.done()


@case("PMT_GBT_P4", "A block of the meter is lost", "recovery")
def lost(t):
    """Blocks 2 and 4 are taken as lost: they come again when the acknowledgement says so."""
    expected = wanted(t)
    x = Transfer(t, 3)
    x.say(OBJECT_LIST)
    expect(x.rest(lose=(2, 4)) == expected, "After losses the answer is another.")
    x.is_alive()


@case("PMT_GBT_N1", "A block of the client is lost", "recovery")
def gap(t):
    """Blocks 1 and 3 of a request come, 2 does not: block 1 is acknowledged, and nothing served;
    then 2 and 3 bring the answer."""
    expected = wanted(t)
    x = Transfer(t, 5)
    x.say(OBJECT_LIST[:5], False, True, number=1)
    x.first(x.link.line.quiet_s)
    x.say(OBJECT_LIST[9:], True, False, number=3)
    b = x.hear()[-1]
    expect(b.ack == 1, "Blocks 1 and 3 are acknowledged with %d." % b.ack)
    expect(not b.octets, "A request with a gap is answered.")
    x.heard = b.number
    x.say(OBJECT_LIST[5:9], False, True, number=2)
    x.first(x.link.line.quiet_s)
    x.say(OBJECT_LIST[9:], True, False, number=3)
    x.said = 3
    expect(x.rest() == expected, "The answer after a gap is another.")
    x.is_alive()


@case("PMT_GBT_N2", "An acknowledgement of what was never sent", "aborting [?]")
def unsent(t):
    """Block 40 is acknowledged after the first: the transfer ends, the answer does not go on, and
    the association does."""
    x = Transfer(t)
    x.say(OBJECT_LIST)
    x.hear()
    x.say(ack=40)
    got = x.first(x.link.line.quiet_s)
    if got and got[:1] == b"\xe0":
        b = Block(got)
        expect(not b.octets or b.number <= 1, "The answer goes on with block %d." % b.number)
    elif got:
        expect(got[:1] in (b"\xd8", b"\x0e"), "It is answered with %s." % got[:3].hex(" "))
    x.is_alive()


@case("PMT_GBT_N3", "General blocks that were not negotiated", "conformance")
def not_negotiated(t):
    """A GET in a general block in an association without them: refused."""
    s = t.session(t.plain(secret=True)).ready(initiate=initiate(BITS["get"]).hex())
    apdu = general_block(_LAST | 1, 1, 0, NAME)
    t.keep("asked", apdu)
    got = bytes.fromhex(s.talk.say(apdu.hex()))
    expect(not got or got[0] in (0xD8, 0x0E), "It is answered with %s." % got[:4].hex(" "))
    expect(s.is_alive(), "After it the association is not usable any more.")


@case("PMT_GBT_N4", "A general block that is malformed", "aborting [?]")
def malformed(t):
    """A block that is cut, one whose length is not that of its octets, an empty request: no
    success, and the association goes on."""
    x = Transfer(t)
    for apdu in (b"\xe0\x81", general_block(0x81, 1, 0, NAME)[:-3], general_block(0x81, 1, 0)):
        t.keep("asked", apdu)
        x.link.say(apdu)
        got = x.first(x.link.line.quiet_s)
        expect(not got or _ANSWER not in got, "%s is served." % apdu.hex(" "))
        x.is_alive()
