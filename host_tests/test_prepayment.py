# SPDX-License-Identifier: MIT
"""firmware/definitions/prepayment.toml: the meter of it counts money as its program counts energy,
over power failures too, and its customer enters tokens over TCP.

Prices are those of the definition, written down again here.
"""

import os
import types
from fractions import Fraction

import pytest
from conftest import ROOT
from demo_token import token
from running import Running, Wrapper, aarq_with
from test_program import Constant, Counting, Meter, stored
from test_store import MemoryFiles, PowerCut

PREPAYMENT = os.path.join(ROOT, "firmware", "definitions", "prepayment.toml")
TITLE = b"PMT" + (1000000000003).to_bytes(5, "big")
CREDIT, EMERGENCY, GATEWAY = "0.0.19.10.0", "0.0.19.10.1", "0.0.19.40.0"
ENERGY, STANDING, DEBT = ("0.0.19.20.%d" % k for k in range(3))
DISCONNECTOR, PROFILE, LOG = "0.0.96.3.10", "1.0.99.1.0", "0.0.99.98.2"

# Cents a Wh, by tariff; a day.
PRICES = {1: Fraction(3125, 100000), 2: Fraction(2150, 100000)}
A_DAY = 48
EXECUTED, INVALID, RECEIVED = 3, 6, 8
DISCONNECTED_LOCALLY, CONNECTED_LOCALLY = 64, 69


@pytest.fixture(scope="module")
def prepayment():
    from tables import pack, show

    module = types.ModuleType("definition")
    exec(show.module(pack.compile(PREPAYMENT)), module.__dict__)
    return module


class Customer:
    """What somebody in front of the meter sees of it, and does."""

    def __init__(self, definition, start="2026-06-01T10:00", source=None, storage=None):
        self.meter = Meter(definition, start, source or Constant(a_plus=2000), storage)
        self.model = self.meter.model
        self.step = self.meter.program.step
        self.model.save = self.meter.program.save_now

    def seconds(self, n):
        for _ in range(n):
            self.step(1)

    def number(self, class_id, name, attribute):
        return self.meter.number(class_id, name, attribute)

    def amounts(self):
        return [self.number(112, name, 2) for name in (CREDIT, EMERGENCY)]

    def paid(self):
        return [self.number(113, name, 2) for name in (ENERGY, STANDING, DEBT)]

    def due(self, name):
        """What is due of a charge and not collected, with its remainder."""
        at = self.model.state(self.meter.row(113, name), 0)
        octets = self.model.image
        whole = int.from_bytes(octets[at + 8 : at + 16], "big", signed=True)
        return whole + Fraction(int.from_bytes(octets[at : at + 8], "big"), 10**12)

    def act(self, class_id, name, method, data=b"\x0f\x00"):
        row = self.meter.row(class_id, name)
        return self.model.act(row, method, bytearray(data), 0, len(data))

    def enter(self, amount, identifier):
        octets = token(TITLE, amount, identifier)
        return self.act(115, GATEWAY, 1, bytes((9, len(octets))) + octets)

    def tokens(self):
        """The amounts of those that the meter remembers, of script()."""
        at = self.model.state(self.meter.row(115, GATEWAY), 0)
        image = self.model.image
        known = [image[at + 3 + 8 * k + 7] for k in range(image[at + 2])]
        return sum({1: 700, 2: 900}[k] for k in known)

    def token_status(self):
        at = self.model.slot(self.meter.row(115, GATEWAY), 6)
        return self.model.image[at + 3]

    def is_connected(self):
        return self.number(70, DISCONNECTOR, 2) == 1

    def energy_by_price(self):
        return sum(self.meter.energy("1.0.1.8.%d" % t) * PRICES[t] for t in PRICES)


# --- Everything adds up ----------------------------------------------------------------------


def test_two_weeks_of_a_household(prepayment):
    """Energy of each tariff times its price is what was taken, to the fraction; and each row of
    the profile agrees with itself."""
    c = Customer(prepayment, "2026-10-20T10:00", Counting(7))
    assert c.act(112, CREDIT, 2, b"\x05\x00\x01\x86\xa0") == 0  # 1000 EUR
    c.step(1)
    before = c.amounts()[0]
    for identifier in range(1, 4):
        assert c.enter(6000, identifier) == 0
        c.step(4 * 86400 + 3600 * identifier)  # over the end of daylight saving
    taken = c.paid()
    assert taken[0] > 500
    assert taken[0] + c.due(ENERGY) == c.energy_by_price()
    assert taken[1] == 12 * A_DAY
    # At most 10 EUR a week, which begins on Saturday: Tuesday; Saturday and Wednesday.
    assert taken[2] == 600 + 600 + 400
    assert c.number(113, DEBT, 12) == 2000 - 1600
    assert c.amounts()[0] == before + 3 * 6000 - sum(taken)
    rows = c.meter.rows(PROFILE)
    assert len(rows) == 294
    for one, next_ in zip(rows, rows[1:]):
        assert 0 <= next_[1] - one[1] < 20000
        assert next_[3] == next_[2]


def test_the_life_of_a_prepayment_customer(prepayment):
    c = Customer(prepayment)
    c.step(8 * 3600)
    assert (c.amounts(), c.is_connected()) == ([0, 0], False)  # 16 kWh for 5 EUR
    c.step(60)
    assert c.act(112, EMERGENCY, 3) == 0
    c.step(1)
    assert c.is_connected()
    c.step(13 * 3600)
    assert not c.is_connected()
    spent = sum(c.paid())
    assert sum(c.amounts()) == 500 + 500 - spent
    assert c.enter(2000, 1) == 0
    assert c.token_status() == RECEIVED
    c.seconds(2)
    assert (c.token_status(), c.is_connected()) == (EXECUTED, True)
    assert c.paid()[2] == 200
    credit, emergency = c.amounts()
    assert emergency == 500  # paid back
    assert credit + emergency == 1000 + 2000 - sum(c.paid())
    assert c.enter(2000, 1) == 0
    c.seconds(2)
    assert c.token_status() == INVALID
    transfers = c.meter.rows("0.0.99.17.0")
    assert [row[3][0] for row in transfers] == [EXECUTED, INVALID]
    assert transfers[0][1] == transfers[1][1] == token(TITLE, 2000, 1)
    assert [row[1] for row in c.meter.rows("0.0.99.15.0")] == [[b"credit", b"2000"]]
    assert [code for _time, code in c.meter.log(LOG)] == [
        DISCONNECTED_LOCALLY, CONNECTED_LOCALLY, DISCONNECTED_LOCALLY, CONNECTED_LOCALLY,
    ]  # fmt: skip


# --- Power failures --------------------------------------------------------------------------


def script(files, definition):
    """Hours with a token, with emergency credit, and with another token."""
    c = Customer(definition, "2026-06-01T18:30", Constant(a_plus=8000), stored(files))
    c.step(4500)
    c.enter(700, 1)
    c.seconds(3)
    c.step(4 * 3600)
    c.act(112, EMERGENCY, 3)
    c.step(600)
    c.enter(900, 2)
    c.seconds(3)
    c.step(1200)


def test_power_cut_at_any_write(prepayment):
    """Afterwards money and energy agree, a token is paid and used, or neither, and it goes on."""
    files = MemoryFiles()
    script(files, prepayment)
    total = files.n_writes
    tried = paid = 0
    for cut_at in range(total):
        files = MemoryFiles()
        files.cut_at = cut_at
        files.part = cut_at * 5 % 9
        with pytest.raises(PowerCut):
            script(files, prepayment)
        files = MemoryFiles(files.data)
        c = Customer(prepayment, "2026-06-02T20:00", Constant(), stored(files))
        granted = 500 * c.model.image[c.model.state(c.meter.row(112, EMERGENCY), 0)]
        put_in = 500 + granted + c.tokens() - sum(c.paid())
        assert sum(c.amounts()) == put_in
        assert c.paid()[0] + c.due(ENERGY) == c.energy_by_price()
        c.seconds(3)
        for identifier, amount in ((1, 700), (2, 900)):
            before = c.tokens()
            c.enter(amount, identifier)
            c.seconds(2)
            took = c.tokens() - before
            assert took in (0, amount)
            assert c.token_status() == (EXECUTED if took else INVALID)
            paid += took > 0
        assert c.tokens() == 1600
        tried += 1
    assert tried == total > 50 and paid
    print("power cuts tried: %d of %d writes" % (tried, total))


# --- Over TCP --------------------------------------------------------------------------------


def name(class_id, text, index):
    return bytes((0, class_id, *(int(n) for n in text.split(".")), 255, index))


def ask(client, kind, class_id, text, index, data=None):
    tail = b"\x00" if data is None else b"\x01" + data
    return client.ask(bytes((kind, 1, 0xC1)) + name(class_id, text, index) + tail)


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_customer_enters_tokens(runtime, request):
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    options = ["--definition", PREPAYMENT, "--runtime", runtime, "--wrapper-tcp", "0"]
    with Running(*options, "--start", "2026-06-01T10:00:00", "--speed", "10") as meter:
        client = Wrapper(meter.connect("wrapper-tcp"), client=2)
        assert client.ask(aarq_with(b"demo-customer"))[:1] == b"\x61"

        def status():
            """The token_status when it is no more that the token has been received."""
            while True:
                answer = ask(client, 0xC0, 115, GATEWAY, 6)
                assert answer[:7] == bytes.fromhex("C401C100020216")
                if answer[7] != RECEIVED:
                    return answer[7]

        def pay(octets):
            return ask(client, 0xC3, 115, GATEWAY, 1, bytes((9, len(octets))) + octets)

        good = token(TITLE, 2000, 5)
        for octets, expected in (
            (b"none", 4),
            (token(b"PMT00000", 2000, 5), 5),
            (good, EXECUTED),
            (good, INVALID),
            (token(TITLE, 100, 6), EXECUTED),
        ):
            assert pay(octets) == bytes.fromhex("C701C10000")
            assert status() == expected
        remaining = ask(client, 0xC0, 113, DEBT, 12)
        assert remaining == bytes.fromhex("C401C10005") + (2000 - 210).to_bytes(4, "big")
        # What a customer may not: give himself credit.
        gift = ask(client, 0xC3, 112, CREDIT, 1, b"\x05\x00\x00\x10\x00")
        assert gift == bytes.fromhex("C701C10300")
        assert meter.stop() == 0 and meter.errors == ""
