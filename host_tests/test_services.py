# SPDX-License-Identifier: MIT
"""Random sequences of services against a simple model of the meter: GET, SET, ACTION, ACCESS,
Read, Write, lists and blocks, by clients with logical and with short names, over wrapper and HDLC;
associations that open, close and are lost; long transfers of several clients at once, and what
does not belong to them. Every answer is compared. The meter is that of definitions/services.toml.
"""

from device import converse
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from small import HERE, Meter, aarq

SERVICES = HERE / "definitions/services.toml"
LIMIT = 300  # of the meter, both ways
SECRET = b"12345678"
LN_CONFORMANCE, SN_CONFORMANCE = "20FE5F", "1CFF3F"

# name: class_id and logical_name, short name of attribute 2
OBJECTS = {
    "number": ("0001 0000603201FF", "1008"),
    "short": ("0001 0000603202FF", "1108"),
    "other": ("0001 0000603203FF", "1208"),
    "long": ("0001 0000603204FF", "1308"),
    "hidden": ("0001 0000603205FF", "1408"),
    "title": ("0001 00002A0000FF", "FD08"),
    "energy": ("0003 0100010800FF", "1508"),
    "nothing": ("0001 0000630000FF", "4008"),
}
RESET = "1528"  # of `energy`, with short names
ROOM = {"number": 2, "short": 62, "other": 62, "long": 403, "hidden": 2}
DENIED, UNDEFINED, UNMATCHED, TOO_MUCH = 3, 4, 12, 250
ABORTED, NO_GET, SET_NOT, WRONG_NUMBER = 15, 16, 18, 19
NO_ASSOCIATION, MALFORMED, NOT_SUPPORTED = (
    bytes.fromhex(x) for x in ("D80101", "D80103", "D80102")
)


def length(n):
    return (
        bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big")
    )


def take_length(octets, at):
    n = octets[at]
    if n < 128:
        return n, at + 1
    size = n & 0x7F
    return int.from_bytes(octets[at + 1 : at + 1 + size], "big"), at + 1 + size


def string(octets):
    return b"\x09" + length(len(octets)) + octets


def u(value, size):
    return value.to_bytes(size, "big")


def descriptor(name, index=2):
    return bytes.fromhex(OBJECTS[name][0]) + bytes([index])


def short_name(name):
    return b"\x02" + bytes.fromhex(OBJECTS[name][1])


class Model:
    """What the meter has, and what it says to who asks for it."""

    def __init__(self):
        self.values = {
            "number": b"\x11\x07",
            "short": string(bytes(range(30))),
            "other": string(bytes(range(60))),
            "long": string(bytes(range(200))),
            "hidden": b"\x11\x01",
            "title": string(b"PMT0000000000001"),
            "energy": b"\x06" + u(5009, 4),
        }
        self.sessions = []

    def may_read(self, name):
        return DENIED if name == "hidden" else 0 if name in self.values else UNDEFINED

    def result(self, name):
        """A value behind its choice, or the other choice, as pieces of a Walk."""
        dar = self.may_read(name)
        return [bytes([1, dar])] if dar else [b"\0", name]

    def results(self, names):
        return [length(len(names))] + [piece for name in names for piece in self.result(name)]

    def octets(self, pieces):
        return b"".join(self.values[p] if isinstance(p, str) else p for p in pieces)

    def write(self, name, value):
        """data_access_result"""
        if name not in self.values:
            return UNDEFINED
        if name in ("title", "energy"):
            return DENIED
        if value[0] != self.values[name][0]:
            return UNMATCHED
        if len(value) > ROOM[name]:
            return TOO_MUCH
        self.put(name, value)
        return 0

    def reset(self, name):
        """action_result"""
        if name == "energy":
            self.put(name, b"\x06" + bytes(4))
            return 0
        return UNDEFINED

    def put(self, name, value):
        self.values[name] = value
        for session in self.sessions:
            if session.walk is not None:
                session.walk.changed(name)


class Walk:
    """A long answer that comes in blocks. A value is the one that there was when its first octet
    came; if it changes after that and before its last one, the answer ends."""

    def __init__(self, model, pieces):
        self.model, self.pieces = model, pieces
        self.at = self.pos = 0
        self.octets = b""
        self.broken = False

    def changed(self, name):
        if self.pos and self.pieces[self.at] == name:
            self.broken = True

    def take(self, raw):
        while raw:
            piece = self.pieces[self.at]
            if not self.pos:
                self.octets = self.model.values[piece] if isinstance(piece, str) else piece
            n = min(len(self.octets) - self.pos, len(raw))
            assert raw[:n] == self.octets[self.pos : self.pos + n]
            raw = raw[n:]
            self.pos += n
            if self.pos == len(self.octets):
                self.at += 1
                self.pos = 0

    def done(self):
        return self.at == len(self.pieces)


class BlocksWalk(Walk):
    """The same in general blocks, which the meter makes before they are asked for: a value is any
    of those that there were since the answer was begun."""

    def __init__(self, model, pieces):
        super().__init__(model, pieces)
        self.since = {name: [value] for name, value in model.values.items()}
        self.got = b""

    def changed(self, name):
        self.since[name].append(self.model.values[name])

    def take(self, raw):
        self.got += raw

    def check(self):
        ways = {0}
        for piece in self.pieces:
            values = self.since[piece] if isinstance(piece, str) else [piece]
            ways = {at + len(v) for at in ways for v in values if self.got.startswith(v, at)}
        assert len(self.got) in ways


class Session:
    """A client on a link. doing: what runs, None or one of the words below."""

    def __init__(self, link, client):
        self.link, self.client = link, client
        self.short = client == 2
        self.close()
        self.iip = 0x40

    def close(self):
        self.open = False
        self.over()

    def over(self):
        self.doing = None
        self.walk = None
        self.number = 0
        self.name, self.rest = "", b""

    def begin(self):
        """The invoke-id of a new request."""
        self.over()
        self.iip = 0x40 | (self.iip + 1 & 0x0F)


SESSIONS = st.integers(0, 59)
NAMES = st.sampled_from([*OBJECTS, "short", "other", "long", "short", "other", "long"])
LISTS = st.lists(NAMES, min_size=4, max_size=9)
VALUES = st.one_of(
    st.integers(0, 255).map(lambda k: bytes([0x11, k])),
    st.integers(0, 70).map(lambda n: string(bytes([n]) * n)),
    st.integers(100, 200).map(lambda n: string(bytes([n & 0xFF]) * n)),
    st.integers(0, 9999).map(lambda k: b"\x06" + u(k, 4)),
)
LONG_VALUES = st.one_of(VALUES, st.integers(150, 420).map(lambda n: string(bytes([n & 0xFF]) * n)))
# Whether what goes on with a transfer does so rightly.
HOW = st.sampled_from(["right"] * 12 + ["number", "again", "id"])


class Services(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.meter = Meter(SERVICES, handlers=None)
        self.links = {
            "wrapper": converse.WrapperClient(self.meter),
            "hdlc": converse.HDLCClient(self.meter),
        }
        self.model = Model()
        self.sessions = [Session(link, client) for link in self.links for client in (1, 2)]
        self.model.sessions = self.sessions
        for name in ("short", "other", "long"):
            row = self.meter.model.find_any(descriptor(name), 0)
            value = self.model.values[name]
            assert self.meter.model.write(row, 2, value, 0, len(value)) == 0

    @initialize(max_pdus=st.lists(st.sampled_from([64, 128, 300]), min_size=4, max_size=4))
    def all_are_open(self, max_pdus):
        for s, max_pdu in zip(self.sessions, max_pdus):
            self.open_one(s, max_pdu)

    def pick(self, k, *doing, short=None):
        """A client: one that does this, mostly; else one that is open, mostly."""
        some = [s for s in self.sessions if short in (None, s.short)]
        wanted = [s for s in some if s.doing in doing]
        usable = [s for s in some if s.open]
        if wanted and k % 8:
            some = wanted
        elif usable and k % 7:
            some = usable
        return some[k % len(some)]

    def most_are_open(self):
        return sum(s.open for s in self.sessions) > 2

    @invariant()
    def nothing_fails_inside(self):
        assert self.meter.server.fault is None

    # --- What goes over a link

    operations = 0  # requests, valid and invalid, of all examples

    def say(self, s, apdu):
        """The answer. On HDLC a client has to break the link of the other."""
        Services.operations += 1
        link = self.links[s.link]
        who = (s.client, 1)
        if s.link == "hdlc" and link.who != who:
            for other in self.sessions:
                if other.link == s.link:
                    other.close()
        got = converse.ask(link, self.meter, who, s.link, apdu, 1000)
        return got or b""

    def expect(self, s, apdu, answer):
        if not s.open:
            answer = NO_ASSOCIATION
        if not s.open and s.link == "hdlc":
            self.say(s, apdu)  # perhaps the other client's link ends with it
        got = self.say(s, apdu)
        assert got == answer, (apdu.hex(), got.hex(), answer.hex())

    # --- Associations

    @rule(k=SESSIONS, max_pdu=st.sampled_from([64, 128, 300, 0xFFFF]))
    def open(self, k, max_pdu):
        closed = [s for s in self.sessions if not s.open] or self.sessions
        self.open_one(closed[k % len(closed)], max_pdu)

    def open_one(self, s, max_pdu):
        conformance = SN_CONFORMANCE if s.short else LN_CONFORMANCE
        got = self.say(s, aarq(SECRET, conformance, max_pdu, context=2 if s.short else 1))
        assert bytes.fromhex("A203020100") in got
        s.close()
        s.open = True
        s.limit = min(max_pdu, LIMIT)

    @rule(k=SESSIONS)
    def open_in_a_context_that_is_not_there(self, k):
        """It is refused. An association that is open stays so; what runs in it is over."""
        s = self.pick(k)
        got = self.say(s, aarq(SECRET, LN_CONFORMANCE, 300, context=1 if s.short else 2))
        assert bytes.fromhex("A203020101") in got
        s.over()

    @precondition(most_are_open)
    @rule(k=SESSIONS)
    def release(self, k):
        s = self.pick(k)
        assert self.say(s, b"\x62\x00") == bytes.fromhex("6303800100")
        s.close()

    @precondition(most_are_open)
    @rule(link=st.sampled_from(["wrapper", "hdlc"]))
    def lose(self, link):
        self.links[link].profile.reset()
        if link == "hdlc":
            self.links[link].who = None
        for s in self.sessions:
            if s.link == link:
                s.close()

    # --- Reading

    @rule(k=SESSIONS, name=NAMES)
    def get(self, k, name):
        s = self.pick(k)
        s.begin()
        if s.short:
            return self.read_list(s, [name])
        apdu = bytes([0xC0, 1, s.iip]) + descriptor(name) + b"\0"
        dar = self.model.may_read(name)
        if dar:
            return self.expect(s, apdu, bytes([0xC4, 1, s.iip, 1, dar]))
        return self.long(s, apdu, bytes([0xC4, 1, s.iip, 0]), [name])

    @rule(k=SESSIONS, names=LISTS)
    def get_list(self, k, names):
        s = self.pick(k)
        s.begin()
        if s.short:
            return self.read_list(s, names)
        apdu = bytes([0xC0, 3, s.iip, len(names)])
        apdu += b"".join(descriptor(name) + b"\0" for name in names)
        return self.long(s, apdu, bytes([0xC4, 3, s.iip]), self.model.results(names))

    def read_list(self, s, names):
        apdu = bytes([5, len(names)]) + b"".join(map(short_name, names))
        return self.long(s, apdu, b"\x0c", self.model.results(names))

    def long(self, s, apdu, head, pieces):
        """An answer that comes in blocks if it has no room."""
        if not s.open:
            return self.expect(s, apdu, b"")
        answer = head + self.model.octets(pieces)
        if len(answer) <= s.limit:
            return self.expect(s, apdu, answer)
        s.doing = "read" if s.short else "get"
        s.walk = Walk(self.model, pieces)
        return self.block(s, self.say(s, apdu))

    def block(self, s, got):
        """The next block of the answer has come."""
        assert len(got) <= s.limit
        s.number += 1
        if s.short:
            assert got[:3] == b"\x0c\x01\x02" and got[4:6] == u(s.number, 2)
            last, at = got[3], 6
        else:
            assert got[:3] == bytes([0xC4, 2, s.iip]) and got[4:9] == u(s.number, 4) + b"\0"
            last, at = got[3], 9
        n, at = take_length(got, at)
        assert at + n == len(got) and n
        s.walk.take(got[at:])
        assert bool(last) == s.walk.done()
        if last:
            s.over()

    @rule(k=SESSIONS, how=HOW)
    def next(self, k, how):
        self.next_block(self.pick(k, "get", "read"), how)

    def next_block(self, s, how):
        number = s.number + {"number": 1, "again": -1}.get(how, 0)
        number = max(number, 0)
        iip = s.iip ^ 1 if how == "id" else s.iip
        runs = s.doing == ("read" if s.short else "get")
        if s.short:
            apdu = b"\x05\x01\x05" + u(number, 2)
            failed = b"\x0c\x01\x01"
        else:
            apdu = bytes([0xC0, 2, iip]) + u(number, 4)
            failed = bytes([0xC4, 2, iip, 1]) + u(number, 4) + b"\1"
        if not s.open or not runs or how == "id" and not s.short:
            self.expect(s, apdu, failed + bytes([NO_GET]))
            s.iip = iip if s.open else s.iip
            return s.over()
        if number != s.number:
            self.expect(s, apdu, failed + bytes([WRONG_NUMBER]))
            return s.over()
        if s.walk.broken:
            if not s.short:
                failed = bytes([0xC4, 2, iip, 1]) + u(number + 1, 4) + b"\1"
            self.expect(s, apdu, failed + bytes([ABORTED]))
            return s.over()
        return self.block(s, self.say(s, apdu))

    @precondition(lambda self: any(s.walk for s in self.sessions))
    @rule(k=st.integers(0, 3))
    def go_on_with_a_long_answer(self, k):
        some = [s for s in self.sessions if s.walk]
        s = some[k % len(some)]
        if s.doing == "access":
            self.general_block_of(s, "right")
        else:
            self.next_block(s, "right")

    @precondition(lambda self: any(s.walk for s in self.sessions))
    @rule(k=st.integers(0, 3), value=VALUES, again=st.booleans())
    def change_what_is_being_read(self, k, value, again):
        """By another client; and perhaps the answer goes on then."""
        some = [s for s in self.sessions if s.walk]
        reader = some[k % len(some)]
        others = [s for s in self.sessions if s.open and s is not reader]
        pieces = [p for p in reader.walk.pieces[reader.walk.at :] if isinstance(p, str)]
        if others and pieces:
            self.set_one(others[k % len(others)], pieces[0], value)
        if again and reader.walk and reader.doing != "access":
            self.next_block(reader, "right")

    # --- Writing

    def write(self, s, name, value):
        """What the meter makes of it, if it is asked at all."""
        return self.model.write(name, value) if s.open else 0

    @rule(k=SESSIONS, name=NAMES, value=VALUES)
    def set(self, k, name, value):
        self.set_one(self.pick(k), name, value)

    def set_one(self, s, name, value):
        s.begin()
        dar = self.write(s, name, value)
        if s.short:
            apdu = b"\x06\x01" + short_name(name) + b"\x01" + value
            return self.expect(s, apdu, b"\x0d\x01\x01" + bytes([dar]) if dar else b"\x0d\x01\x00")
        apdu = bytes([0xC1, 1, s.iip]) + descriptor(name) + b"\0" + value
        return self.expect(s, apdu, bytes([0xC5, 1, s.iip, dar]))

    @rule(k=SESSIONS, name=NAMES, value=VALUES)
    def set_in_silence(self, k, name, value):
        """What is not confirmed is not answered; without an association, it is refused."""
        s = self.pick(k)
        s.begin()
        self.write(s, name, value)
        if s.short:
            apdu = b"\x16\x01" + short_name(name) + b"\x01" + value
        else:
            apdu = bytes([0xC1, 1, s.iip & 0x0F]) + descriptor(name) + b"\0" + value
        self.expect(s, apdu, b"")

    @rule(k=SESSIONS, items=st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3))
    def set_list(self, k, items):
        s = self.pick(k)
        items = [item for item in items if len(item[1]) < 80] or [("number", b"\x11\x63")]
        s.begin()
        results = [self.write(s, *item) for item in items]
        n = bytes([len(items)])
        values = n + b"".join(value for _, value in items)
        if s.short:
            apdu = b"\x06" + n + b"".join(short_name(name) for name, _ in items) + values
            answer = b"".join(bytes([1, dar]) if dar else b"\0" for dar in results)
            return self.expect(s, apdu, b"\x0d" + n + answer)
        apdu = bytes([0xC1, 4, s.iip]) + n
        apdu += b"".join(descriptor(name) + b"\0" for name, _ in items) + values
        return self.expect(s, apdu, bytes([0xC5, 5, s.iip]) + n + bytes(results))

    @rule(k=SESSIONS, name=NAMES, value=LONG_VALUES, size=st.integers(20, 200))
    def begin_set(self, k, name, value, size):
        """The first block of a long SET, or Write."""
        s = self.pick(k)
        s.begin()
        s.doing, s.name = "write" if s.short else "set", name
        s.whole = value
        s.rest = b"\x01" + short_name(name) + b"\x01" + value if s.short else value
        self.set_block(s, size, 1, descriptor(name) + b"\0", 2)

    @rule(k=SESSIONS, size=st.integers(20, 200), how=HOW)
    def go_on_with_set(self, k, size, how):
        s = self.pick(k, "set", "write")
        number = max(s.number + {"number": 2, "again": 0}.get(how, 1), 0)
        if how == "id" and not s.short:
            s.iip ^= 1
            s.over()
        if s.short and number < 2:
            number = 3  # 1 would begin another
        self.set_block(s, size, number, b"", 3)

    def set_block(self, s, size, number, head, choice):
        raw, rest = s.rest[:size] or b"\x11", s.rest[size:]
        last = b"\0" if rest else b"\1"
        if s.short:
            apdu = b"\x06\x01\x07" + last + u(number, 2) + b"\x01" + string(raw)
        else:
            apdu = bytes([0xC1, choice, s.iip]) + head + last + u(number, 4)
            apdu += length(len(raw)) + raw
        if s.doing != ("write" if s.short else "set"):
            return self.end_of_set(s, apdu, SET_NOT, number)
        if number != s.number + 1:
            return self.end_of_set(s, apdu, WRONG_NUMBER, number)
        s.number = number
        s.rest = rest
        if rest:
            self.expect(s, apdu, b"\x0d\x01\x02" + u(number, 2) if s.short else
                        bytes([0xC5, 2, s.iip]) + u(number, 4))  # fmt: skip
            if not s.open:
                s.over()
            return None
        return self.end_of_set(s, apdu, self.write(s, s.name, s.whole), number)

    def end_of_set(self, s, apdu, dar, number):
        if s.short:
            answer = b"\x0d\x01\x01" + bytes([dar]) if dar else b"\x0d\x01\x00"
        else:
            answer = bytes([0xC5, 3, s.iip, dar]) + u(number, 4)
        self.expect(s, apdu, answer)
        s.over()

    # --- Methods

    @rule(k=SESSIONS, name=NAMES)
    def act(self, k, name):
        s = self.pick(k)
        s.begin()
        if s.short:
            if s.open:
                self.model.reset("energy")
            apdu = b"\x06\x01\x02" + bytes.fromhex(RESET) + b"\x01\x0f\x00"
            return self.expect(s, apdu, b"\x0d\x01\x00")
        result = self.model.reset(name) if s.open else 0
        apdu = bytes([0xC3, 1, s.iip]) + descriptor(name, 1) + b"\x01\x0f\x00"
        return self.expect(s, apdu, bytes([0xC7, 1, s.iip, result, 0]))

    @rule(k=SESSIONS, names=st.lists(NAMES, min_size=1, max_size=4))
    def act_list(self, k, names):
        s = self.pick(k, short=False)
        s.begin()
        n = bytes([len(names)])
        apdu = bytes([0xC3, 3, s.iip]) + n + b"".join(descriptor(name, 1) for name in names)
        results = [self.model.reset(name) if s.open else 0 for name in names]
        answer = b"".join(bytes([result, 0]) for result in results)
        self.expect(s, apdu + n + b"\x0f\x00" * len(names), bytes([0xC7, 3, s.iip]) + n + answer)

    @rule(k=SESSIONS, name=NAMES)
    def begin_act(self, k, name):
        s = self.pick(k, short=False)
        s.begin()
        apdu = bytes([0xC3, 4, s.iip]) + descriptor(name, 1) + b"\0" + u(1, 4) + b"\x01\x0f"
        self.expect(s, apdu, bytes([0xC7, 4, s.iip]) + u(1, 4))
        if s.open:
            s.doing, s.name, s.number = "action", name, 1

    @rule(k=SESSIONS, how=HOW)
    def go_on_with_act(self, k, how):
        s = self.pick(k, "action", short=False)
        number = max(s.number + {"number": 2, "again": 0}.get(how, 1), 0)
        if how == "id":
            s.iip ^= 1
            s.over()
        apdu = bytes([0xC3, 6, s.iip, 1]) + u(number, 4) + b"\x01\x00"
        if s.doing != "action":
            result = NO_GET
        elif number != 2:
            result = ABORTED
        else:
            result = self.model.reset(s.name)
        self.expect(s, apdu, bytes([0xC7, 1, s.iip, result, 0]))
        s.over()

    @rule(k=SESSIONS)
    def next_of_an_answer_to_act(self, k):
        """No method here has such long return data."""
        s = self.pick(k, short=False)
        self.expect(s, bytes([0xC3, 2, s.iip]) + u(1, 4), bytes([0xC7, 1, s.iip, NO_GET, 0]))
        s.over()

    # --- ACCESS

    @rule(
        k=SESSIONS,
        items=st.lists(st.tuples(st.integers(1, 3), NAMES, VALUES), min_size=1, max_size=6),
        breaks=st.booleans(),
        repeats=st.booleans(),
    )
    def access(self, k, items, breaks, repeats):
        s = self.pick(k, short=False)
        items = [item for item in items if len(item[2]) < 70 or item[0] != 2]
        items = [item for item in items if item[1] != "long" or item[0] != 1]
        items = items[:3] or [(1, "number", b"")]
        s.begin()
        flags = 0x40 | (0x20 if breaks else 0) | (0x10 if repeats else 0)
        head = bytes([flags, 0, 0, s.iip & 0x0F, 0])
        n = bytes([len(items)])
        specs = n + b"".join(bytes([c]) + descriptor(m, 1 if c == 3 else 2) for c, m, _ in items)
        sent = b"".join({1: b"\0", 2: value, 3: b"\x0f\x00"}[c] for c, _, value in items)
        values, results, broken = b"", b"", False
        worst = len(head) + 2 + 2 * len(n) + (len(specs) if repeats else 0) + len(items) * (2 + 62)
        if s.open and worst > s.limit:
            items = []  # it might be long: that is the next rule
        for choice, name, value in items if s.open else ():
            result, got = TOO_MUCH, b"\0"
            if not broken:
                if choice == 1:
                    result = self.model.may_read(name)
                    got = b"\0" if result else self.model.values[name]
                elif choice == 2:
                    result = self.model.write(name, value)
                else:
                    result = self.model.reset(name)
            broken = broken or breaks and result != 0
            values += got
            results += bytes([choice, result])
        if not items:
            return
        answer = b"\xda" + head + (b"\x01" + specs if repeats else b"\0")
        self.expect(s, b"\xd9" + head + specs + n + sent, answer + n + values + n + results)

    @rule(k=SESSIONS, names=st.lists(NAMES, min_size=1, max_size=14))
    def access_in_blocks(self, k, names):
        """Gets alone, and so many that the answer may take general blocks."""
        s = self.pick(k, short=False)
        s.begin()
        head = bytes([0x40, 0, 0, s.iip & 0x0F, 0])
        n = bytes([len(names)])
        apdu = b"\xd9" + head + n + b"".join(b"\1" + descriptor(name) for name in names)
        apdu += n + bytes(len(names))
        dars = [self.model.may_read(name) for name in names]
        pieces = [b"\xda" + head + b"\0" + n]
        pieces += [b"\0" if dar else name for name, dar in zip(names, dars)]
        pieces += [n + b"".join(bytes([1, dar]) for dar in dars)]
        answer = self.model.octets(pieces)
        if not s.open or len(answer) <= s.limit:
            return self.expect(s, apdu, answer)
        s.doing = "access"
        s.walk = BlocksWalk(self.model, pieces)
        return self.general_block(s, self.say(s, apdu))

    def general_block(self, s, got):
        assert len(got) <= s.limit
        s.number += 1
        assert got[0] == 0xE0 and got[2:4] == u(s.number, 2)
        n, at = take_length(got, 6)
        assert at + n == len(got)
        s.walk.take(got[at:])
        if got[1] & 0x80:
            s.walk.check()
            s.doing = "access is over"
            s.walk = None

    @rule(k=SESSIONS, how=st.sampled_from(["right"] * 5 + ["number", "again"]))
    def next_general_block(self, k, how):
        self.general_block_of(self.pick(k, "access", "access is over", short=False), how)

    def general_block_of(self, s, how):
        if s.open and s.doing not in ("access", "access is over"):
            return
        number = s.number + {"number": 1, "again": -1}.get(how, 0)
        apdu = bytes([0xE0, 0x81]) + u(s.number, 2) + u(max(number, 0), 2) + b"\0"
        if not s.open:
            return self.expect(s, apdu, b"")
        got = self.say(s, apdu)
        if number > s.number:
            assert got == MALFORMED
            return s.over()
        if number < s.number:
            # The last block comes again.
            assert got[0] == 0xE0 and got[2:4] == u(s.number, 2)
            return None
        if s.doing == "access is over":
            assert got == b""
            return s.over()
        if got == MALFORMED:
            # A value that it was in the middle of has changed.
            assert any(len(values) > 1 for values in s.walk.since.values())
            return s.over()
        return self.general_block(s, got)

    # --- What is no request

    @rule(k=SESSIONS)
    def what_has_not_been_negotiated(self, k):
        """A service of the other kind of names; what runs goes on, but in general blocks."""
        s = self.pick(k)
        apdu = bytes.fromhex("C001C1" + OBJECTS["number"][0] + "0200") if s.short else (
            b"\x05\x01" + short_name("number")
        )  # fmt: skip
        self.expect(s, apdu, NOT_SUPPORTED)
        self.general_blocks_end(s)

    @rule(k=SESSIONS, tag=st.sampled_from([0xC0, 0xC1, 0xC3, 0xD9]))
    def what_is_not_whole(self, k, tag):
        """What runs goes on, but in general blocks."""
        s = self.pick(k, short=False)
        self.expect(s, bytes([tag, 1 if tag != 0xD9 else 0x40]), MALFORMED)
        if tag == 0xD9:
            s.over()
        self.general_blocks_end(s)

    def general_blocks_end(self, s):
        if s.doing in ("access", "access is over"):
            s.over()

    def teardown(self):
        """At the end the meter has what the model has."""
        s = self.sessions[0]
        self.open_one(s, 0xFFFF)
        for name, value in self.model.values.items():
            if name != "hidden":
                apdu = bytes([0xC0, 1, s.iip]) + descriptor(name) + b"\0"
                got = self.say(s, apdu)
                assert got == bytes([0xC4, 1, s.iip, 0]) + value or got[:2] == b"\xc4\x02"


class TestServices(Services.TestCase):
    settings = settings(max_examples=200, stateful_step_count=60, deadline=None)

    def runTest(self):
        Services.operations = 0
        super().runTest()
        print("operations compared with the model: %d" % Services.operations)
        assert Services.operations >= 10_000
