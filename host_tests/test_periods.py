# SPDX-License-Identifier: MIT
"""cosem/clock.py: boundaries of periods against CPython's datetime and zoneinfo."""

import datetime
import zoneinfo

from fakes import CLOCK, Meter
from hypothesis import given
from hypothesis import strategies as st

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=UTC)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
METER = Meter(CLOCK)


def number(moment, period):
    seconds = int((moment - EPOCH).total_seconds())
    METER.clock.set_utc(seconds // 60, seconds % 60)
    return METER.clock.period_number(period)


moments = st.datetimes(datetime.datetime(2001, 1, 1), datetime.datetime(2037, 12, 1))
periods = st.sampled_from([1, 10, 60, 300, 900, 1800, 3600, 7200, 14400, 86400])


@given(moments, periods)
def test_a_boundary_is_where_local_time_is_a_multiple_of_the_period(naive, period):
    moment = naive.replace(microsecond=0, tzinfo=UTC)
    before = moment - datetime.timedelta(seconds=1)
    local = moment.astimezone(BERLIN)
    if local.utcoffset() != before.astimezone(BERLIN).utcoffset():
        return
    second = local.hour * 3600 + local.minute * 60 + local.second
    boundary = number(moment, period) - number(before, period)
    assert boundary == (second % period == 0)


@given(moments, st.sampled_from([900, 3600]))
def test_short_periods_are_all_as_long(naive, period):
    moment = naive.replace(microsecond=0, tzinfo=UTC)
    later = moment + datetime.timedelta(seconds=period)
    assert number(later, period) - number(moment, period) == 1


@given(moments, st.sampled_from([7, 420, 604800]))
def test_periods_that_do_not_divide_a_day(naive, period):
    moment = naive.replace(microsecond=0, second=0, tzinfo=UTC)
    later = moment + datetime.timedelta(seconds=period)
    # Local time may jump by an hour in between.
    away = abs(number(later, period) - number(moment, period) - 1)
    assert away <= 3600 // period + 1
