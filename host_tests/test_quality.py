# SPDX-License-Identifier: MIT
"""firmware/meter/quality.py: weeks of bad voltage.

EN 50160:2010, 4.2.2: of the means of ten minutes of a week, 95 per cent within 10 per cent of the
nominal voltage, all above -15 per cent: 207.0 to 253.0 V, and 195.5 V.
"""

import types

import pytest

from firmware.meter.quality import Quality

WEEK = 1008
LIMITS = (2070, 2530)


def weeks(means, missing=0, step=600):
    """Bits of each end of a week; means: of ten minutes each, of L1."""
    q = Quality(types.SimpleNamespace(limits=LIMITS))
    found = []
    for k, u in enumerate(means):
        for _ in range(600 // step):
            bits = q.look((u, 2300, 2300), missing, step)
            if not q.intervals and not q.seconds:
                found.append(bits >> 22)
            else:
                assert not bits
    return found


@pytest.mark.parametrize(
    "n, u, bad",
    [
        (0, 2300, 0),
        (50, 2069, 0),
        (51, 2069, 1),
        (51, 2070, 0),
        (51, 2531, 1),
        (51, 2530, 0),
        (1, 1955, 0),
        (1, 1954, 1),
        (50, 2600, 0),
        (1008, 100, 1),
    ],
)
def test_a_week(n, u, bad):
    assert weeks([u] * n + [2300] * (WEEK - n)) == [bad]


def test_the_next_week_begins_anew():
    assert weeks([2000] * 60 + [2300] * (2 * WEEK - 60)) == [1, 0]
    assert weeks([2000] * 40 + [2300] * (WEEK - 40) + [2000] * 40 + [2300] * 968) == [0, 0]


def test_steps_of_any_size():
    means = [2000] * 51 + [2300] * (WEEK - 51)
    assert weeks(means, step=60) == weeks(means) == [1]
    q = Quality(types.SimpleNamespace(limits=LIMITS))
    assert q.look((2000, 2300, 2300), 0, 600 * WEEK) >> 22 == 1
    assert (q.seconds, q.intervals) == (0, 0)


def test_what_was_missing_does_not_count():
    assert weeks([0] * WEEK, missing=1) == [0]
    assert weeks([0] * WEEK, missing=2) == [1]


def test_a_mean_is_that_of_its_seconds():
    """Half of the time 190.0 V, half of it 225.0 V, is 207.5 V."""
    q = Quality(types.SimpleNamespace(limits=LIMITS))
    bits = 0
    for _ in range(WEEK):
        bits |= q.look((1900, 1900, 1900), 0, 300)
        bits |= q.look((2250, 2238, 2240), 0, 300)
    assert bits >> 22 == 2
