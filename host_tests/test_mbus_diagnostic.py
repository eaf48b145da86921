# SPDX-License-Identifier: MIT
"""cosem/mbus_diagnostic.py: what the meter's M-Bus port has counted."""

import pytest
from fakes import i8, u8
from on_mbus import DENIED, DIAGNOSTIC, TYPE_UNMATCHED, UNDEFINED, OnBus

NEVER = bytes.fromhex("FFFFFFFFFFFFFFFFFF8000FF")
SIGNAL, CHANNEL, LINK, BROADCASTS, SENT, GOOD, BAD, CAPTURE_TIME = range(2, 10)
STATUS = ["no link", "normal", "temporarily interrupted", "permanently interrupted"]


@pytest.fixture
def meter():
    m = OnBus()
    m.diagnostic = m.model.handler("mbus_diagnostic")
    return m


def counted(meter):
    return [meter.get(DIAGNOSTIC, k) for k in (SENT, GOOD, BAD)]


def test_at_the_start(meter):
    assert counted(meter) == [0, 0, 0]
    assert [meter.get(DIAGNOSTIC, k) for k in (SIGNAL, CHANNEL, LINK, BROADCASTS)] == [0, 0, 0, []]
    assert meter.get(DIAGNOSTIC, CAPTURE_TIME) == [0, NEVER]


def test_frames_are_counted(meter):
    meter.diagnostic.note(2, 1, 0)
    assert counted(meter) == [2, 1, 0]
    assert meter.get(DIAGNOSTIC, CAPTURE_TIME) == [GOOD, bytes(meter.clock.local)]
    meter.run(1)
    meter.diagnostic.note(0, 0, 3)
    assert counted(meter) == [2, 1, 3]
    assert meter.get(DIAGNOSTIC, CAPTURE_TIME) == [BAD, bytes(meter.clock.local)]
    meter.diagnostic.note(0, 0, 0)
    assert meter.get(DIAGNOSTIC, CAPTURE_TIME)[0] == BAD


def test_counters_go_round(meter):
    at = meter.model.slot(meter.row(*DIAGNOSTIC), SENT)
    meter.model.image[at + 1 : at + 5] = b"\xff\xff\xff\xfe"
    meter.diagnostic.note(3, 0, 0)
    assert counted(meter) == [1, 0, 0]


def test_the_state_of_the_link(meter):
    said = []
    for good in (True, False, True) + (False,) * 11 + (True,):
        meter.diagnostic.heard(good)
        said.append(STATUS[meter.get(DIAGNOSTIC, LINK)].partition(" ")[0])
    assert said == ["normal", "temporarily", "normal"] + ["temporarily"] * 9 + [
        "permanently",
        "permanently",
        "normal",
    ]


def test_it_begins_without_a_link_after_a_power_failure(meter):
    meter.diagnostic.heard(True)
    meter.diagnostic.note(1, 1, 0)
    meter = meter.off_and_on()
    assert meter.get(DIAGNOSTIC, LINK) == 0
    assert counted(meter) == [1, 1, 0]


def test_reset(meter):
    meter.diagnostic.note(2, 1, 3)
    assert meter.act(DIAGNOSTIC, 1) == 0
    assert counted(meter) == [0, 0, 0]
    assert meter.get(DIAGNOSTIC, CAPTURE_TIME) == [0, b"\xff" * 12]


@pytest.mark.parametrize(
    "method, data, result",
    [
        (1, u8(0), TYPE_UNMATCHED),
        (1, i8(1), TYPE_UNMATCHED),
        (2, i8(0), UNDEFINED),
        (0, i8(0), UNDEFINED),
    ],
)
def test_methods_that_are_refused(meter, method, data, result):
    meter.diagnostic.note(2, 1, 3)
    before = meter.all(DIAGNOSTIC)
    assert meter.act(DIAGNOSTIC, method, data) == result
    assert meter.all(DIAGNOSTIC) == before


@pytest.mark.parametrize("attribute", range(1, 10))
def test_nothing_of_it_is_set(meter, attribute):
    """The meter gives the rights to, but what a port counts is not for clients to say."""
    data = meter.ask("C001C1", DIAGNOSTIC, attribute, b"\0")[4:]
    before = meter.all(DIAGNOSTIC)
    assert meter.set(DIAGNOSTIC, attribute, data) == DENIED
    assert meter.all(DIAGNOSTIC) == before
