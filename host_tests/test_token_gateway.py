# SPDX-License-Identifier: MIT
"""cosem/token_gateway.py: tokens of a scheme of this file, what comes of them, none twice."""

from types import SimpleNamespace

import pytest
from fakes import array, i32, octets, u8
from payment import (
    ACTIVE,
    BESIDE,
    ENERGY,
    GATEWAY,
    LEAST,
    MOST,
    NEW,
    OBJECT_UNAVAILABLE,
    OTHER_REASON,
    TEMPORARY_FAILURE,
    TYPE_UNMATCHED,
    Talk,
    account,
    charge,
    credit,
)

TOKEN, TIME, DESCRIPTION, DELIVERY, STATUS = range(2, 7)
OK, PAID, MALFORMED, NOT_AUTHENTIC, INVALID, NOT_EXECUTED, RECEIVED = 2, 3, 4, 5, 6, 7, 8
MANUAL = 2


def token(identifier, amount, code=OK):
    """A token that says all this itself: 8 octets, 4, 1."""
    return identifier.to_bytes(8, "big") + amount.to_bytes(4, "big", signed=True) + bytes((code,))


def scheme(row, octets):
    if len(octets) != 13:
        return MALFORMED, 0, 0, ()
    amount = int.from_bytes(octets[8:12], "big", signed=True)
    return octets[12], amount, int.from_bytes(octets[:8], "big"), (b"amount", octets[8:12])


def one(status=ACTIVE, again=None, beside=BESIDE, **values):
    lines = credit(0, **values), charge(0), account(1, 1, status=status)
    m = Talk(*lines, beside=beside) if again is None else again
    m.gateway = m.row(115, GATEWAY)
    m.model.tokens = scheme
    m.limit = m.model.capacity(m.gateway, TOKEN)
    return m


@pytest.fixture
def meter():
    return one()


def result(m, octets):
    """Enter a token; its status when it is there, and the amount of the credit."""
    assert m.enter(octets) == 0
    assert m.token_status() == RECEIVED
    m.run(1)
    return m.token_status(), m.amount()


def test_a_token(meter):
    one_token = token(1, 500)
    assert meter.enter(one_token) == 0
    assert meter.read(meter.gateway, TOKEN) == one_token
    assert meter.read(meter.gateway, TIME)[5:8] == bytes((12, 0, 1))
    assert meter.read(meter.gateway, DESCRIPTION) == []
    assert meter.read(meter.gateway, DELIVERY) == 0
    assert meter.get(meter.gateway, STATUS) == b"\x02\x02\x16\x08\x04\x00"
    meter.run(1)
    assert (meter.token_status(), meter.amount()) == (PAID, 500)
    assert (meter.gateway, 0) in meter.edits
    assert meter.read(meter.gateway, DESCRIPTION) == [b"amount", b"\0\0\1\xf4"]


def test_it_is_saved_before_it_is_shown(meter):
    saved = []
    meter.model.save = lambda: saved.append((meter.amount(), meter.token_status())) or True
    assert result(meter, token(1, 500)) == (PAID, 500)
    assert saved == [(500, PAID)]  # one image: paid, used, and shown
    assert result(meter, token(1, 500)) == (INVALID, 500)
    assert len(saved) == 1


def test_what_cannot_be_saved_has_not_happened():
    m = Talk(
        credit(0, current_credit_amount=-5),
        charge(0, 7, charge_type=2),
        account(1, 1),
    )
    m.gateway = m.row(115, GATEWAY)
    m.model.tokens = scheme
    m.model.save = lambda: False
    assert m.bits() == {"out_of_credit"}
    assert result(m, token(1, 500)) == (NOT_EXECUTED, -5)
    m.run(5)
    assert (m.paid(), m.bits(), m.connected()) == (0, {"out_of_credit"}, False)
    m.model.save = lambda: True
    assert result(m, token(1, 500)) == (PAID, 488)
    m.run(1)
    assert (m.paid(), m.connected()) == (7, True)


@pytest.mark.parametrize(
    "octets, status",
    [
        (b"short", MALFORMED),
        (token(1, 5, MALFORMED), MALFORMED),
        (token(1, 5, NOT_AUTHENTIC), NOT_AUTHENTIC),
        (token(1, 5, INVALID), INVALID),
        (token(1, 0), NOT_EXECUTED),
        (token(1, -5), NOT_EXECUTED),
        (token(1, LEAST), NOT_EXECUTED),
        (token(1, MOST), PAID),
    ],
)
def test_results(meter, octets, status):
    amount = MOST if status == PAID else 0
    assert result(meter, octets) == (status, amount)
    # What was not paid was not used.
    assert result(meter, token(1, 1))[0] == (INVALID if status == PAID else PAID)


@pytest.mark.parametrize("n", [1, 127, 128, 255, 256, 300])
def test_the_scheme_has_the_octets_of_the_token_and_no_more(n):
    lines = credit(0), charge(0), account(1, 1)
    m = Talk(*lines, beside=BESIDE.replace("token = 20", "token = 400"))
    tokens = []
    m.model.tokens = lambda row, octets: tokens.append(octets) or (INVALID, 0, 0, ())
    sent = bytes(k & 0xFF for k in range(n))
    size = bytes((n,)) if n < 128 else b"\x81%c" % n if n < 256 else b"\x82" + n.to_bytes(2, "big")
    assert m.act(m.row(115, GATEWAY), 1, b"\x09" + size + sent) == 0
    m.run(1)
    assert tokens == [sent]


def test_a_token_that_finds_no_room_may_come_again(meter):
    meter.put(0, MOST)
    assert result(meter, token(1, 5)) == (NOT_EXECUTED, MOST)
    meter.put(0, 0)
    assert result(meter, token(1, 5)) == (PAID, 5)


def test_an_account_that_is_not_active_takes_none():
    m = one(NEW)
    assert result(m, token(1, 5)) == (NOT_EXECUTED, 0)
    assert m.act(m.account, 1) == 0
    assert result(m, token(1, 5)) == (PAID, 5)


def test_no_token_is_taken_twice(meter):
    assert result(meter, token(7, 100)) == (PAID, 100)
    assert result(meter, token(7, 100)) == (INVALID, 100)
    assert result(meter, token(7, 200)) == (INVALID, 100)
    again = one(again=meter.restart())
    assert result(again, token(7, 100)) == (INVALID, 100)
    assert again.act(again.account, 3) == 0  # a reset forgets much, but not that
    assert again.act(again.account, 1) == 0
    assert result(again, token(7, 100)) == (INVALID, 0)


def test_tokens_may_come_in_another_order_but_not_for_ever(meter):
    paid = 0
    for k in (30, 10, *range(40, 54)):
        paid += 1
        assert result(meter, token(k, 1)) == (PAID, paid)
    # Sixteen are known; the lowest of them is 10.
    assert result(meter, token(9, 1)) == (INVALID, paid)
    assert result(meter, token(20, 1)) == (PAID, paid + 1)
    assert result(meter, token(10, 1)) == (INVALID, paid + 1)
    assert result(meter, token(15, 1)) == (INVALID, paid + 1)
    assert result(meter, token((1 << 63) - 1, 1)) == (PAID, paid + 2)
    assert result(meter, token(30, 1)) == (INVALID, paid + 2)
    assert result(meter, token(25, 1)) == (INVALID, paid + 2)
    assert result(meter, token(29, 1)) == (INVALID, paid + 2)


# --- One at a time ---------------------------------------------------------------------------


def test_a_second_token_waits_for_the_result_of_the_first(meter):
    assert meter.enter(token(1, 5)) == 0
    image = bytes(meter.model.image)
    assert meter.enter(token(2, 5)) == TEMPORARY_FAILURE
    assert meter.model.image == image
    meter.run(1)
    assert result(meter, token(2, 5)) == (PAID, 10)


def test_power_fails_at_every_instant():
    """Saved is what was in the image at one of these instants."""
    m = one()
    assert m.enter(token(1, 500)) == 0
    for _ in range(4):
        again = one(again=m.restart())
        again.run(3)
        assert (again.token_status(), again.amount()) == (PAID, 500)
        m.run(1)


def test_a_token_that_was_received_waits_for_a_scheme():
    m = one()
    assert m.enter(token(1, 500)) == 0
    again = m.restart()
    again.run(5)
    assert (again.token_status(), again.amount()) == (RECEIVED, 0)


# --- What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameter, expected",
    [
        (octets(b""), OTHER_REASON),
        (octets(bytes(21)), OTHER_REASON),
        (octets(bytes(20)), 0),
        (octets(b"x")[:-1], TYPE_UNMATCHED),
        (octets(b"x") + b"\0", TYPE_UNMATCHED),
        (b"\x09\x81\x01x", TYPE_UNMATCHED),
        (u8(1), TYPE_UNMATCHED),
        (b"\x0a\x01x", TYPE_UNMATCHED),
        (array(octets(b"x")), TYPE_UNMATCHED),
        (i32(5), TYPE_UNMATCHED),
        (b"", TYPE_UNMATCHED),
    ],
)
def test_enter(meter, parameter, expected):
    image = bytes(meter.model.image)
    assert meter.act(meter.gateway, 1, parameter) == expected
    if expected:
        assert meter.model.image == image


def test_another_method_is_none(meter):
    assert meter.act(meter.gateway, 2) == 4


def test_a_meter_without_a_scheme_takes_no_tokens(meter):
    meter.model.tokens = None
    image = bytes(meter.model.image)
    assert meter.enter(token(1, 5)) == OBJECT_UNAVAILABLE
    assert meter.model.image == image


@pytest.mark.parametrize("setup, method", [("local port", 1), ("other", 0), (None, 0)])
def test_it_says_by_what_port_a_client_has_entered_a_token(setup, method):
    port = '{class = 19, obis = "0.0.20.0.0.255"},'
    m = one(beside=BESIDE + port)
    rows = {"local port": m.row(19, "0.0.20.0.0.255"), "other": m.row(3, ENERGY), None: -1}
    octets = b"\x09\x14" + token(1, 5)
    s = m.stream
    s.row = m.gateway
    gate = SimpleNamespace(setup=rows[setup])
    s.association = SimpleNamespace(channel=SimpleNamespace(gate=gate))
    assert m.model.handler("token_gateway").invoke(s, 1, octets, 0, len(octets)) == 0
    assert m.number(m.gateway, DELIVERY) == method


def test_the_firmware_enters_what_is_typed(meter):
    handler = meter.model.handler("token_gateway")
    data = bytearray(octets(token(1, 5)))
    assert handler.enter(meter.gateway, data, 0, len(data), MANUAL) == 0
    meter.run(2)
    assert (meter.token_status(), meter.read(meter.gateway, DELIVERY)) == (PAID, MANUAL)


LOGS = (
    BESIDE
    + """
    {class = 7, obis = "0.0.99.17.0.255", capture_period = 0, profile_entries = 5,
     capture_objects = ["115/0.0.19.40.0.255/2", "115/0.0.19.40.0.255/6"]},
    {class = 7, obis = "0.0.99.15.0.255", capture_period = 0, profile_entries = 5,
     capture_objects = ["112/0.0.19.10.0.255/2"]},
"""
)


def test_tokens_are_logged():
    m = Talk(credit(0), charge(0), account(1, 1), beside=LOGS)
    m.gateway = m.row(115, GATEWAY)
    m.model.tokens = scheme
    for one_token in (token(1, 5), b"none", token(1, 5), token(2, 5)):
        result(m, one_token)
    log = m.read(m.row(7, "0.0.99.17.0.255"), 2)
    assert [(row[0], row[1][0]) for row in log] == [
        (token(1, 5), PAID), (b"none", MALFORMED), (token(1, 5), INVALID), (token(2, 5), PAID),
    ]  # fmt: skip
    assert m.read(m.row(7, "0.0.99.15.0.255"), 2) == [[5], [10]]


def test_a_result_is_logged_after_a_power_failure():
    """Saved with the payment is that it has to be logged."""
    m = Talk(credit(0), charge(0), account(1, 1), beside=LOGS)
    m.gateway = m.row(115, GATEWAY)
    m.model.tokens = scheme
    images = []
    m.model.save = lambda: images.append(bytes(m.model.image)) or True
    assert result(m, token(1, 5)) == (PAID, 5)
    m.model.image[:] = images[0]
    m.storage.rings.clear()
    again = m.restart()
    assert len(again.read(again.row(7, "0.0.99.17.0.255"), 2)) == 1
    assert again.amount() == 5


def test_a_description_that_has_no_room_is_cut(meter):
    meter.model.tokens = lambda row, octets: (INVALID, 0, 0, (b"one", b"x" * 16, b"two"))
    assert result(meter, b"x")[0] == INVALID
    assert meter.read(meter.gateway, DESCRIPTION) == [b"one"]


def test_a_gateway_without_an_account():
    m = Talk(credit(0), charge(0), account(1, 1), beside=BESIDE.replace("0.0.19.40", "0.0.19.41"))
    m.model.tokens = scheme
    m.gateway = m.row(115, "0.0.19.41.0.255")
    assert m.act(m.gateway, 1, octets(token(1, 5))) == 0
    m.run(2)
    assert m.get(m.gateway, STATUS)[3] == NOT_EXECUTED
