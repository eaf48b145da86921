# SPDX-License-Identifier: MIT
"""lib/dlms/undo.py: what was set and cannot be saved is as before. SET in all its forms, ACCESS
and Write, over a save that fails. The meters: definitions/small.toml, short_names.toml."""

import random

import pytest
from dlms.undo import Undo
from short import ShortMeter
from small import Meter
from test_access import BREAK, CONFIRMED, SET, access, manager, spec

UNSIGNED = "0001 0000603201FF "
LONG_UNSIGNED = "0001 0000603202FF "
LONG = "0001 0000603203FF "
SECRET = "000F 0000280002FF "
IMPOSSIBLE = "D80101"
MANY = "09820140" + "5A" * 0x140


class Failing:
    """A save that fails while `fails`."""

    def __init__(self, meter):
        self.meter, self.fails, self.n = meter, False, 0
        meter.server.keeps = True
        meter.model.save = self.save

    def save(self):
        self.n += 1
        return not self.fails


@pytest.fixture
def meter():
    return Meter()


def remembered(meter):
    return meter.server.parts.get("dlms.undo")


def failing(meter):
    store = Failing(meter)
    store.fails = True
    return store


def content(meter):
    """All values, as anybody may read them: what lies behind one in its slot is nobody's."""
    model = meter.model
    out = []
    for row in range(model.n_rows()):
        for k in range(1, model.n_attributes(row) + 1):
            if model.slot(row, k) >= 0:
                at = model.slot(row, k)
                out.append(bytes(model.image[at : at + model.value_len(row, k)]))
    return out


def in_blocks(data, what=LONG):
    """A SET of a value in two blocks."""
    half = len(data) // 2
    first = "C102C1" + what + "02 00 00 00000001 82%04X" % half + data[:half].hex()
    rest = data[half:]
    return [first, "C103C1 01 00000002 82%04X" % len(rest) + rest.hex()]


REQUESTS = {
    "one": ["C101C1" + UNSIGNED + "02 00 1163"],
    "shorter": ["C101C1" + LONG + "02 00 090155"],
    "longer": ["C101C1" + LONG + "02 00 " + MANY],
    "list": [
        "C104C1 03" + UNSIGNED + "02 00" + LONG + "02 00" + LONG_UNSIGNED + "02 00"
        "03 1101 0900 120002"
    ],
    "same twice": ["C104C1 02" + (LONG + "02 00") * 2 + "02 0909313233343536373839 090141"],
    "all attributes": ["C101C1" + UNSIGNED + "00 00 0202 00 1155"],
    "blocks": in_blocks(bytes.fromhex(MANY)),
    "a secret": ["C101C1" + SECRET + "07 00 0908 3837363534333231"],
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_set_that_cannot_be_saved_has_not_been(meter, name):
    store = Failing(meter)
    t = meter.management()
    before = content(meter)
    store.fails = True
    for request_ in REQUESTS[name]:
        answer = t.say(request_)
    assert answer == IMPOSSIBLE
    assert content(meter) == before and remembered(meter).end == 0
    # The same once more, now that there is room.
    store.fails = False
    for request_ in REQUESTS[name]:
        answer = t.say(request_)
    assert "D801" not in answer
    changed = content(meter)
    assert changed != before and remembered(meter).end == 0
    # What was saved does not come back when something else cannot be.
    store.fails = True
    assert t.say("C101C1" + LONG_UNSIGNED + "02 00 127777") == IMPOSSIBLE
    assert content(meter) == changed


def test_the_same_value_twice_and_longer_each_time(meter):
    """What is written over the second time is the end of the first one's old value: refused."""
    store = Failing(meter)
    t = meter.management()
    before = content(meter)
    request_ = "C104C1 02" + (LONG + "02 00") * 2 + "02 090141 0903414243"
    store.fails = True
    assert t.say(request_) == IMPOSSIBLE
    assert content(meter) == before
    store.fails = False
    assert t.say(request_) == "C505C10200FA"


def test_access_and_short_names():
    meter = Meter()
    t = manager(meter)
    before = content(meter)
    failing(meter)
    items = [
        (spec(SET, UNSIGNED), bytes((0x11, 9))),
        (spec(SET, LONG), bytes.fromhex(MANY)),
        (spec(SET, UNSIGNED), bytes((0x12, 0, 9))),  # type-unmatched
    ]
    assert t.say(access(items, CONFIRMED | BREAK).hex()) == IMPOSSIBLE
    assert content(meter) == before


def test_write():
    meter = ShortMeter()
    t = meter.short()
    before = content(meter)
    store = failing(meter)
    row = meter.model.find(0, bytes.fromhex(UNSIGNED.replace(" ", "")), 0)
    base = int.from_bytes(meter.model.objects[(row << 4) + 14 : (row << 4) + 16], "big")
    apdu = "06 01 02 %04X 01 1108" % (base + 8)
    assert t.say(apdu) == IMPOSSIBLE
    assert content(meter) == before
    store.fails = False
    assert t.say(apdu) == "0D0100" and content(meter) != before


def test_nobody_hears_of_an_unconfirmed_one(meter):
    """It stands, to be saved with what comes next; a later refusal is not about it."""
    store = Failing(meter)
    t = meter.management()
    assert t.say("C10101" + UNSIGNED + "02 00 1163") == ""
    store.fails = True
    after = content(meter)
    assert t.say("C101C1" + UNSIGNED + "02 00 1164") == IMPOSSIBLE
    assert content(meter) == after


def test_it_goes_with_the_service_but_not_while_an_answer_waits(meter):
    Failing(meter)
    t = meter.management()
    assert remembered(meter) is None
    t.say(REQUESTS["one"][0])
    assert remembered(meter) is not None
    meter.server.forget(True)
    assert remembered(meter) is None
    apdu = bytearray.fromhex(REQUESTS["one"][0].replace(" ", ""))
    while meter.server.held is None:
        assert meter.server.request(t.channel, 1, 1, apdu, 0, len(apdu)) == -1
        if meter.server.held is None:
            meter.server.work()
    meter.server.forget(True)
    assert remembered(meter).end


def test_where_nothing_is_kept_nothing_is_remembered(meter):
    t = meter.management()
    t.say(REQUESTS["one"][0])
    assert remembered(meter) is None


class Slots:
    """Two values of a model that has no more, and what Undo asks of it."""

    limits = (1, 40, 40, 40, 0)

    def __init__(self, r):
        self.image = bytearray(r.randrange(256) for _ in range(100))
        self.image[0:2] = b"\0" + bytes((r.randrange(41),))
        self.image[50:52] = b"\0" + bytes((r.randrange(41),))

    def slot(self, row, attribute):
        return 2 + 50 * row

    def value_len(self, row, attribute):
        return self.image[50 * row + 1]

    def store(self, row, attribute, buf, pos, end):
        at = self.slot(row, attribute)
        self.image[at : at + end - pos] = buf[pos:end]
        self.image[at - 1] = end - pos

    def values(self):
        return [bytes(self.image[2 + 50 * r : 2 + 50 * r + self.value_len(r, 2)]) for r in (0, 1)]


def test_any_values_in_any_order():
    for seed in range(400):
        r = random.Random(seed)
        slots = Slots(r)
        undo = Undo(slots)
        before = slots.values()
        for _ in range(r.randrange(1, 9)):
            row, n = r.randrange(2), r.randrange(41)
            if undo.keep(row, 2, n):
                slots.store(row, 2, bytes(r.randrange(256) for _ in range(n)), 0, n)
        undo.restore(0)
        assert slots.values() == before, seed


def test_what_there_is_no_room_for_is_refused():
    slots = Slots(random.Random(1))
    undo = Undo(slots)
    undo._log = bytearray(30)
    slots.image[1] = slots.image[51] = 40
    assert undo.keep(0, 2, 20) and undo.end == 27
    assert not undo.keep(1, 2, 1) and undo.end == 27
    assert undo.keep(0, 2, 20)
