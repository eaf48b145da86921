# SPDX-License-Identifier: MIT
"""lib/cosem/key_places.py, tools/tables/key_places.py: which keys of a meter may be the same."""

import itertools

import pytest
import tables
from certified import Certified, act, array, key
from cosem import key_places
from secure import GAK, GUEK, KEK, SECOND_GUEK, THIRD_GUEK
from small import HERE, Meter
from tables import source
from test_key_agreement import AGREE, OTHER_REASON, offer
from test_security_setup import DONE, GAK_ID, GBEK_ID, GET, GUEK_ID, NEW, VALUE, client, transfer

REFUSED = "C70141FA00"
ROLES = ("guek", "gbek", "gak", "kek")
PLACES = list(itertools.product((0, 1), range(4)))  # Security setup, key_id
# Besides one place with itself: those that may have one key.
TOGETHER = {(((0, k), (1, k))) for k in (2, 3)} | {(((1, k), (0, k))) for k in (2, 3)}
PAIRS = list(itertools.product(PLACES, PLACES))


def key_of(place):
    return bytes([0x80 + 16 * place[0] + place[1]]) * 16


def meter_with_keys():
    meter = Meter()
    for setup, key_id in PLACES:
        at = meter.model.state(meter.model.rows(64)[setup], 0) + 32 * key_id
        meter.model.image[at : at + 16] = key_of((setup, key_id))
    return meter


def state(meter):
    rows = meter.model.rows(64)[:2]
    return [bytes(meter.model.image[meter.model.state(r, 0) :][:128]) for r in rows]


@pytest.mark.parametrize("new, old", PAIRS)
def test_a_key_that_comes_and_one_that_is_there(new, old):
    meter = meter_with_keys()
    c = client(meter, guek=key_of((0, 0)), gak=key_of((0, 2))).open()
    before = state(meter)
    request = transfer((new[1], key_of(old)), kek=key_of((new[0], 3)))
    got = c.ask(request.replace("2B0001FF", "2B000%dFF" % (new[0] + 1)))
    if new == old:
        assert got == DONE and state(meter) == before
        assert c.ask(GET) == VALUE, "nothing begins anew"
    elif (new, old) in TOGETHER:
        assert got == DONE and state(meter) != before
    else:
        assert got == REFUSED and state(meter) == before
        assert c.ask(GET) == VALUE


@pytest.mark.parametrize("one, two", PAIRS)
def test_the_rule_of_tables(one, two):
    setups = {n: {role: key_of((n, k)) for k, role in enumerate(ROLES)} for n in (0, 1)}
    assert tables.clash(setups) is None
    setups[one[0]][ROLES[one[1]]] = key_of(two)
    found = tables.clash(setups)
    if one == two or (one, two) in TOGETHER:
        assert found is None
    else:
        assert sorted(found) == sorted((n, ROLES[k]) for n, k in (one, two))


def test_two_of_one_list():
    meter = Meter()
    c = client(meter).open()
    before = state(meter)
    assert c.ask(transfer((GUEK_ID, NEW), (GBEK_ID, NEW))) == REFUSED
    # What goes with this list is there yet.
    assert c.ask(transfer((GUEK_ID, NEW), (GAK_ID, GUEK))) == REFUSED
    assert state(meter) == before
    assert c.ask(GET) == VALUE


def test_a_key_of_zeros_is_none():
    """The second GBEK is none here, and so may be the first."""
    meter = Meter()
    at = meter.model.state(meter.model.rows(64)[1], 0) + 32
    meter.model.image[at : at + 16] = bytes(16)
    assert client(meter).open().ask(transfer((GBEK_ID, bytes(16)))) == DONE


def test_keys_of_other_lengths_are_others():
    meter = Certified()  # that of suite 2 begins with that of suite 1
    one, two = meter.rows[1], meter.rows[2]
    assert key_places.is_taken(meter.model, [(one, GBEK_ID, GUEK)])
    assert not key_places.is_taken(meter.model, [(two, GBEK_ID, GUEK + bytes(16))])
    assert key_places.is_taken(meter.model, [(two, GBEK_ID, GUEK * 2)])


def test_a_key_that_is_about_to_be_one():
    """The job of another association has ended, and its answer has not been made yet."""
    meter = Meter()
    c = client(meter).open()
    other = next(a for a in meter.model.associations if not a.state)
    other.agreed = [(meter.model.rows(64)[1], GUEK_ID, NEW)]
    assert c.ask(transfer((GUEK_ID, NEW))) == REFUSED
    other.agreed = None
    assert c.ask(transfer((GUEK_ID, NEW))) == DONE


def test_a_key_that_is_agreed(monkeypatch):
    """Chance does not make one that is there; here it does."""
    meter = Certified()
    c = meter.client(1)
    ask = array(offer(1, meter.client_key[1], GUEK_ID, key(1)))
    monkeypatch.setattr("cosem.key_agreement.kdf.derive", lambda *args: THIRD_GUEK)
    assert act(c, AGREE, ask) == (OTHER_REASON, b"")
    assert c.ask(GET) == VALUE


def test_all_keys_are_looked_at(monkeypatch):
    """Whichever is the same, or none."""
    calls = []

    def counted(*args):
        calls.append(same(*args))
        return calls[-1]

    same = key_places.same
    monkeypatch.setattr(key_places, "same", counted)
    numbers = set()
    for setup, key_id in [*PLACES, (3, 3)]:
        if (setup, key_id) != (0, 0):
            meter = meter_with_keys()
            del calls[:]
            octets = key_of((setup, key_id))
            new = [(meter.model.rows(64)[0], GUEK_ID, octets)]
            assert key_places.is_taken(meter.model, new) == (setup < 3)
            numbers.add(len(calls))
    assert len(numbers) == 1


# --- Definitions ------------------------------------------------------------------------------


def test_a_definition_that_would_forget_counters():
    text = (HERE / "definitions/small.toml").read_text()
    where = '{obis = "0.0.43.0.2", '
    line = text[: text.index(where)].count("\n") + 1
    text = text.replace(where, where + "volatile = true, ")
    with pytest.raises(tables.TableError) as e:
        tables.load_definition(source.Document(text, "small.toml"))
    assert "expected it to be saved" in str(e.value) and e.value.line == line


@pytest.mark.parametrize(
    "which, instead, said",
    [
        (SECOND_GUEK, GUEK, "guek is the guek of Security setup 0.0.43.0.1"),
        (SECOND_GUEK[::-1], GUEK, "gbek is the guek of Security setup 0.0.43.0.1"),
        (SECOND_GUEK, GAK, "guek is the gak of Security setup 0.0.43.0.1"),
        (SECOND_GUEK[::-1], SECOND_GUEK, "gbek is the guek of Security setup 0.0.43.0.2"),
        (THIRD_GUEK, KEK, "guek is the kek of Security setup 0.0.43.0.1"),
    ],
)
def test_a_definition(which, instead, said):
    text = (HERE / "definitions/small.toml").read_text()
    old = which.hex().upper()
    assert text.count(old) == 1
    line = text[: text.index(old)].count("\n") + 1
    text = text.replace(old, instead.hex())
    with pytest.raises(tables.TableError) as e:
        tables.load_definition(source.Document(text, "small.toml"))
    assert said in str(e.value) and "expected another key" in str(e.value)
    assert instead.hex() not in str(e.value).lower()
    assert e.value.line == line
