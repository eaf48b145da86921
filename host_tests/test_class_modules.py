# SPDX-License-Identifier: MIT
"""Which class modules a request needs; and requests to all of them on MicroPython with the heap
locked, and the same answers as here.

These are made from the tests of the modules: their objects, and what they ask for.
"""

import subprocess
from binascii import crc32
from pathlib import Path
from types import SimpleNamespace

import fakes
import payment
import pytest
import small
import test_activity_calendar
import test_arbitrator
import test_account
import test_array_manager
import test_compact_data
import test_demand_register
import test_disconnect_control
import test_function_control
import test_hdlc_setup
import test_image_transfer
import test_limiter
import test_network_setup
import test_parameter_monitor
import test_profile_compact_array
import test_profile_compression
import test_profile_generic
import test_profile_v0
import test_register
import test_register_activation
import test_register_table
import test_sap_assignment
import test_schedule
import test_script_table
import test_sensor_manager
import test_special_days
import test_register_monitor as monitor
import test_single_action_schedule as schedule
import test_status_mapping
import test_utility_tables
from fakes import (
    CLOCK,
    array,
    boolean,
    date_time,
    enum,
    i8,
    i16,
    i32,
    octets,
    struct_,
    u8,
    u16,
    u32,
)

ROOT = Path(fakes.ROOT)
HEAP = ("-X", "heapsize=512k")
NOTHING = b"\x0f\x00"
P = test_profile_generic


TIMING = "definitions/timing.toml"


def timing():
    """That definition, as fakes.define() gives one."""
    packed = dict(small.packed(small.HERE / TIMING))
    packed["HANDLERS"] = tuple(n if n != "association_ln" else "" for n in packed["HANDLERS"])
    return SimpleNamespace(**packed)


class Log(fakes.Meter):
    """A meter that notes what it was asked and what it answered."""

    def __init__(self, objects, late_len=0):
        head = fakes.HEAD
        if late_len:
            head = head.replace("limits = {", "limits = {late_len = %d, " % late_len)
        super().__init__(timing() if objects is TIMING else objects, head)
        self.log = []
        self.portion = 100000  # as test_profile_compression.Talk
        self.clock.set_utc(13910000, 0)
        self.model.tokens = lambda row, octets: (5, 0, 0, ())  # as on MicroPython

    def get(self, row, attribute, selector=0, data=b""):
        answer = super().get(row, attribute, selector, data)
        result = answer if isinstance(answer, int) else 0
        seen = b"" if result else answer
        self.log.append(("get", row, attribute, selector, data, result, crc32(seen)))
        return answer

    def set(self, row, attribute, data):
        result = super().set(row, attribute, data)
        self.log.append(("set", row, attribute, 0, data, result, 0))
        return result

    def act(self, row, method, data=NOTHING):
        result = super().act(row, method, data)
        self.log.append(("act", row, method, 0, data, result, 0))
        return result

    def call(self, row, method, data=NOTHING):
        result, made = super().call(row, method, data)
        self.log.append(("call", row, method, 0, data, result, crc32(made)))
        return result, made

    def run(self, seconds, step=1):
        super().run(seconds)
        self.log.append(("run", seconds, 0, 0, b"", 0, 0))


ALL, NOBODY = "", None

# Class, is it a method: what is woken where everything sleeps, and where its own is there.
WAKES = {
    (1, False): (NOBODY, NOBODY),
    (3, False): ("register", NOBODY),
    (3, True): ("register", NOBODY),
    (7, False): (NOBODY, NOBODY),
    (7, True): (ALL, ALL),
    (9, False): (NOBODY, NOBODY),
    (9, True): (ALL, ALL),
    (62, False): ("compact_data", NOBODY),
    (62, True): (ALL, ALL),
}


@pytest.mark.parametrize("class_id, method", WAKES)
def test_what_a_request_wakes(class_id, method):
    """Profile generic and Script table never sleep: others do, that their methods come to."""
    m = fakes.Meter(test_compact_data.OBJECTS, test_compact_data.HEAD)
    model = m.model
    row = model.rows(class_id)[0]
    wanted = []
    model.wants = wanted.append
    for all_sleep in True, False:
        model.sleep()
        if not all_sleep:
            model.awake(row)
        wanted.clear()
        name = WAKES[class_id, method][0 if all_sleep else 1]
        assert model.wakes(row, method) is (name is not NOBODY)
        assert wanted == ([] if name is NOBODY else [name])
    model.wake()
    wanted.clear()
    assert not model.wakes(row, method) and not wanted


@pytest.mark.parametrize(
    "objects,class_id", [(test_array_manager.PLAIN, 123), (test_register_table.PLAIN, 61)]
)
def test_methods_that_come_to_any_object_wake_all(objects, class_id):
    model = fakes.Meter(objects).model
    row = model.rows(class_id)[0]
    wanted = []
    model.wants = wanted.append
    model.sleep()
    model.awake(row)
    assert not model.wakes(row) and model.wakes(row, True)
    assert wanted == [ALL]


def get_all(m, row):
    for attribute in range(1, m.model.n_attributes(row) + 1):
        m.get(row, attribute)


def clock(m):
    row = m.row(8, "0.0.1.0.0.255")
    rule = octets(date_time(0xFFFF, 3, 0xFE, 2, 0, 0, weekday=7))
    for attribute, data in (
        (2, octets(date_time(2026, 6, 15, 12, 34, 56))),
        (2, octets(date_time(2026, 10, 25, 2, 30, 0))),
        (2, octets(date_time(2026, 13, 15, 12, 34, 56))),
        (3, i16(-120)),
        (5, rule),
        (6, octets(date_time(2026, 3, 29, 2, 0, 0))),
        (7, i8(30)),
        (8, boolean(False)),
        (8, boolean(True)),
        (7, i8(121)),
    ):
        m.set(row, attribute, data)
        get_all(m, row)
    day = [octets(date_time(2026, 6, 15, h, 0, 0)) for h in (12, 0, 23)]
    for method, data in (
        (1, NOTHING), (2, NOTHING), (3, NOTHING), (4, NOTHING), (5, struct_(*day)), (4, NOTHING),
        (6, i16(-900)), (6, i16(901)), (6, u8(1)),
    ):  # fmt: skip
        m.act(row, method, data)


def profile(m):
    row = m.row(7, P.NAME)
    m.run(2000)
    for order in (1, 2, 3, 5):
        m.set(row, P.SORT_METHOD, enum(order))
        m.set(row, P.SORT_OBJECT, P.THE_POWER)
        for n in range(25):
            m.set(m.row(3, P.POWER), 2, fakes.i32(n * 7 % 11 - 5))
            m.act(row, P.CAPTURE)
            m.run(100)
        get_all(m, row)
        year = [octets(date_time(y, 1, 1, 0, 0)) for y in (2020, 2030)]
        for selector, data in (
            (1, P.by_range(*year)),
            (1, P.by_range(*year, P.THE_CLOCK)),
            (1, P.by_range(i8(-2), u8(3), of=P.THE_POWER)),
            (1, P.by_range(*year, of=P.THE_POWER)),
            (1, P.by_range(*year, of=capture_of_nothing)),
            (2, P.by_entry(2, 0, 2, 3)),
            (2, P.by_entry(0, 0)),
            (3, P.by_entry(1, 0)),
        ):
            m.get(row, P.BUFFER, selector, data)
    m.set(row, P.CAPTURE_OBJECTS, array(P.THE_CLOCK, P.THE_ENERGY))
    m.set(row, P.CAPTURE_OBJECTS, array(capture_of_nothing))
    m.set(row, P.CAPTURE_OBJECTS, array(fakes.capture_object(1, P.LIST, 2, 2)))
    m.set(row, P.PERIOD, u32(60))
    m.set(row, P.ENTRIES, u32(50))
    m.act(row, P.CAPTURE)
    get_all(m, row)
    m.act(row, P.RESET)


capture_of_nothing = fakes.capture_object(3, "9.9.9.9.9.9", 2)


def register(m):
    for class_id, name in ((3, "1.0.1.8.0.255"), (3, "1.0.3.8.0.255"), (4, "1.0.1.6.0.255")):
        m.act(m.row(class_id, name), 1)
        get_all(m, m.row(class_id, name))


def demand(m):
    row = m.row(5, "1.0.1.4.0.255")
    m.run(60)
    m.act(row, 2)
    m.set(row, 9, u16(3))
    for _ in range(4):
        m.act(row, 2)
        get_all(m, row)
    m.set(row, 8, u32(300))
    m.set(row, 8, u32(0))
    m.act(row, 1)


def activation(m):
    a = test_register_activation
    row = m.row(6, "0.0.14.0.0.255")
    m.act(row, a.ADD_REGISTER, a.register(a.RATES[2]))
    m.act(row, a.ADD_MASK, a.mask(b"R3", 3))
    m.act(row, a.ADD_MASK, a.mask(b"R1", 2))
    m.act(row, a.DELETE_MASK, octets(b"R2"))
    m.set(row, a.ACTIVE, octets(b"R3"))
    m.set(row, a.MASKS, array(a.mask(b"R1", 1), a.mask(b"R3", 1, 2)))
    m.set(row, a.ASSIGNMENT, array(*map(a.register, a.RATES)))
    get_all(m, row)


def scripts(m):
    row = m.row(9, "0.0.10.0.0.255")
    for n in (0, 1, 2, 3, 4, 5, 500):
        m.act(row, 1, u16(n))


def schedules(m):
    row = m.row(22, "0.0.15.0.0.255")
    m.set(row, schedule.TIMES, array(schedule.entry(0xFF, 0xFF)))
    m.run(120)
    m.set(row, schedule.TYPE, enum(2))
    m.set(row, schedule.TIMES, array(schedule.entry(1, 2)))
    get_all(m, row)


def monitors(m):
    row = m.row(21, "0.0.16.0.0.255")
    for name in (("1.0.1.7.0.255", 2), ("1.0.1.7.9.255", 2), ("1.0.1.7.0.255", 9)):
        m.set(row, monitor.MONITORED, monitor.monitored(3, *name))
    for threshold in (i32(5), b"\x0a\x01x", b"\x11\x05"):
        m.set(row, monitor.THRESHOLDS, array(threshold))
    m.set(row, monitor.ACTIONS, array(struct_(monitor.script(1), monitor.script(2))))
    get_all(m, row)


def disconnector(m):
    row = m.row(70, "0.0.96.3.10.255")
    for mode in range(7):
        m.set(row, 4, enum(mode))
        for method in (1, 2, 1, 1, 2, 2, 3):
            m.act(row, method)
            get_all(m, row)


def saps(m):
    row = m.row(17, "0.0.41.0.0.255")
    m.act(row, 1, struct_(u16(1), octets(b"TST0000000000001")))
    m.act(row, 1, struct_(u16(2), octets(b"TST0000000000001")))


def hdlc(m):
    for name in ("0.0.22.0.0.255", "0.1.22.0.0.255"):
        row = m.row(23, name)
        for attribute, data in (
            (2, enum(9)),
            (3, u8(7)),
            (6, u16(2030)),
            (6, u8(128)),
            (9, u16(1)),
        ):
            m.set(row, attribute, data)


class Images(test_image_transfer.Store):
    """As that of device/class_modules.py: blocks in turn have come."""

    def __init__(self, row):
        super().__init__(row)
        self.status, self.n_blocks = 1, 704
        self.blocks = {k: b"" for k in range(0, 704, 2)}

    missing = 0

    def start(self, activate):
        self.status = 3 + activate

    def about(self, buf, pos):
        buf[pos] = 0
        return pos + 1


def images(m):
    t = test_image_transfer
    row = m.row(18, t.NAME)
    m.model.images = Images(row)
    for method in t.METHODS:
        m.act(row, method)
    m.act(row, t.INITIATE, struct_(octets(b"x"), u32(0)))
    m.act(row, t.BLOCK, struct_(u32(0), octets(b"x")))
    for state in (0, 1):
        m.set(row, t.ENABLED, boolean(state))
        get_all(m, row)
        m.act(row, t.VERIFY)
        get_all(m, row)
    m.act(row, t.VERIFY)
    m.act(row, t.ACTIVATE)
    m.act(m.row(18, "0.0.44.0.1.255"), t.VERIFY)


def network(m):
    n = test_network_setup
    row = m.row(42, "0.0.25.1.0.255")
    for method in (1, 1, 2, 3, 1):
        m.act(row, method, n.ip("239.0.0.1"))
    m.set(row, 4, array(n.ip("239.0.0.1"), n.ip("239.0.0.2")))
    m.set(row, 6, n.ip("255.255.0.0"))
    m.set(m.row(41, "0.0.25.0.0.255"), 2, u16(4059))
    get_all(m, row)


def compact(m):
    c = test_compact_data
    called, implied, limited, profile = (
        m.row(62, c.CALLED),
        m.row(62, c.IMPLIED),
        m.row(62, c.RESTRICTED),
        m.row(7, c.PROFILE),
    )
    for _ in range(5):
        m.run(60)
        m.act(profile, 2)
    for row in (called, implied, limited):
        get_all(m, row)
        m.act(row, c.CAPTURE)
        get_all(m, row)
    m.act(called, c.RESET)
    get_all(m, called)
    eight = [(1, c.LIST, 2), (1, c.TEXT, 2), (1, c.BITS, 2), (1, c.MIXED, 2), (3, c.ENERGY, 2)]
    eight += [(3, c.ENERGY, 3), (8, "0.0.1.0.0.255", 2), (62, c.IMPLIED, 4)]
    m.set(implied, c.CAPTURE_OBJECTS, array(*(c.v1(*one) for one in eight)))
    get_all(m, implied)
    for one, _ in list(c.REFUSED.values()) + list(c.FAILS.values()):
        m.set(implied, c.CAPTURE_OBJECTS, array(one))
        get_all(m, implied)
    dates = c.by_date(c.NOON, date_time(2030, 1, 1, 0, 0))
    m.set(implied, c.CAPTURE_OBJECTS, array(c.v1(7, c.PROFILE, 2, 0, dates)))
    get_all(m, implied)


def compression(m):
    c = test_profile_compression
    rows = [m.row(7, name) for name in (c.PLAIN, c.NULLS, c.DELTAS)]
    numbers = [m.row(3, name) for name in c.COLUMNS]
    for k in range(30):
        for j, (_type, tag, size) in enumerate(c.COLUMNS.values()):
            n = ((k * k << 8 * (j % 4)) if j % 2 else -k * k) % (1 << 8 * size)
            m.set(numbers[j], 2, bytes.fromhex(tag) + n.to_bytes(size, "big"))
        m.run(900 if k % 7 else 60)
        for row in rows:
            m.act(row, c.CAPTURE)
    client = SimpleNamespace(conformance=c.DELTA_VALUE_ENCODING)
    for order in (c.FIFO, c.LIFO):
        for row in rows[1:]:
            m.set(row, c.SORT_METHOD, enum(order))
            for k in range(5):
                m.act(row, c.CAPTURE)
                m.run(900)
            get_all(m, row)
            entries = struct_(u32(2), u32(4), u16(1), u16(5))
            for selector, data in ((0, b""), (c.ENTRY, entries)):
                answer = c.Talk.get(m, row, c.BUFFER, selector, data, client)
                m.log.append(("ask", row, c.BUFFER, selector, data, 0, crc32(answer)))


def compact_array(m):
    c = test_profile_compact_array
    row, energy = m.row(7, c.COMPACT), m.row(3, c.ENERGY)
    get_all(m, row)
    for k in range(12):
        m.set(energy, 2, u32(k << 20))
        m.run(60)
        m.act(row, c.CAPTURE)
    for order in (c.LIFO, c.FIFO):
        m.set(row, c.SORT_METHOD, enum(order))
        for _ in range(5):
            m.act(row, c.CAPTURE)
        get_all(m, row)
        for data in (c.by_entry(2, 4), c.by_entry(1, 0, 2, 4), c.by_entry(6, 9)):
            m.get(row, c.BUFFER, c.ENTRY, data)
    get_all(m, m.row(62, c.SNAPSHOT))


def bad(m, name, sets, acts):
    """All that the tests of a class in TIMING say is refused."""
    row = m.row(name[0], name[1] + ".255")
    for attribute, cases in sets.items():
        for data, _result in cases.values():
            if len(data) < 1400:  # a line that this heap has room for
                m.set(row, attribute, data)
    for method, data, _result in acts:
        m.act(row, method, data)
    get_all(m, row)
    return row


def calendar(m):
    c = test_activity_calendar
    row = bad(m, c.CALENDAR, c.BAD, [(1, NOTHING, 0)])
    for data, _result in c.BAD_TIMES.values():
        m.set(row, c.TIME, octets(data))
    m.set(row, c.SEASONS, array(c.season(b"s", c.pattern(), b"S")))
    m.set(row, c.TIME, octets(c.when("2026-06-15 12:00:00")))
    m.run(60)
    m.act(row, 1)
    get_all(m, row)


def special_days(m):
    c = test_special_days
    row = bad(m, c.TABLE, {c.ENTRIES: c.BAD}, c.BAD_ACTIONS.values())
    for k in range(6):
        m.act(row, c.INSERT, c.entry(k, k, month=1 + k % 4))
    m.act(row, c.DELETE, u16(2))
    get_all(m, row)


def schedule_entries(m):
    c = test_schedule
    row = bad(m, c.SCHEDULE, {c.ENTRIES: c.BAD}, c.BAD_ACTIONS.values())
    m.set(row, c.ENTRIES, array(*c.MISSED))
    m.run(120)
    m.act(row, c.INSERT, c.entry(5, "12:05:00"))
    for method, numbers in ((c.ENABLE_DISABLE, (1, 3, 2, 2)), (c.DELETE, (2, 4))):
        m.act(row, method, struct_(*map(u16, numbers)))
        get_all(m, row)


def limits(m):
    c = test_limiter
    row = bad(m, c.LIMITER, c.BAD, [(1, NOTHING, 0)])
    m.set(row, c.GROUPS, array(u16(7)))
    m.set(row, c.PROFILE, c.profile(7, "2026-06-15 12:00:00", 60))
    m.set(row, c.NORMAL, u32(5))
    m.run(30)
    get_all(m, row)


def sensors(m):
    c = test_sensor_manager
    row = bad(m, c.SENSOR, c.BAD, [(1, u8(0), 0), (2, NOTHING, 0)])
    m.set(row, c.RAW_THRESHOLDS, array(i16(3)))
    m.act(row, 1)
    get_all(m, row)


def arbitration(m):
    c = test_arbitrator
    row = bad(m, c.ARBITRATOR, c.BAD, c.BAD_ACTIONS.values())
    for actor, wanted in ((2, "0100"), (3, "0011"), (1, "1111"), (2, "0011"), (3, "")):
        m.act(row, c.REQUEST, c.asks(actor, wanted))
        get_all(m, row)
    m.act(row, c.RESET)
    m.set(row, c.PERMISSIONS, array(c.bits("1")))
    m.set(row, c.ACTIONS, array(c.script(1)))
    get_all(m, row)


def parameters(m):
    c = test_parameter_monitor
    for name in (c.MONITOR, c.OLD):
        bad(m, name, {c.LIST: c.BAD}, c.BAD_ACTIONS.values())
    row, number = (m.row(n[0], n[1] + ".255") for n in (c.MONITOR, c.NUMBER))
    m.act(m.row(10, "0.0.12.0.0.255"), 2, c.entry(1, "12:00:00"))
    for k in range(4):
        m.set(number, 2, i16(k))
        m.act(row, c.ADD + k % 2, c.GOOD)
        get_all(m, row)
    get_all(m, m.row(7, "0.0.99.16.0.255"))


def payments(m):
    p = payment
    rows = {
        111: [m.row(111, p.ACCOUNT)],
        112: [m.row(112, p.CREDIT % k) for k in range(3)],
        113: [m.row(113, p.CHARGE % k) for k in range(3)],
        115: [m.row(115, p.GATEWAY)],
    }
    account = rows[111][0]
    token = octets(b"a token")
    table = array(p.entry(b"A", 7), p.entry(b"B", -7))
    amounts = [i32(n) for n in (5, -5, p.MOST, p.LEAST)]
    for step in range(3):
        for attribute, data, _result in [row[-3:] for row in test_account.SETS]:
            m.set(account, attribute, data)
        for row in rows[112]:
            for attribute, data in ((4, u8(step)), (6, i32(-step)), (9, i32(40)), (9, i32(-1))):
                m.set(row, attribute, data)
            for method, data in [(2, i32(100 - 50 * step)), (3, NOTHING)]:
                m.act(row, method, data)
            for data in amounts:
                m.act(row, 1, data)
        for row in rows[113]:
            for scale in (3, 13):
                unit_charge = p.unit_charge(p.entry(b"", 5), commodity_scale=scale)
                m.set(row, 6, unit_charge)
            for attribute, data in ((7, octets(p.UNSPECIFIED)), (8, u32(60)), (13, u16(500))):
                m.set(row, attribute, data)
            for method, data in ((1, table), (2, NOTHING), (3, NOTHING), (1, array())):
                m.act(row, method, data)
            for data in amounts:
                m.act(row, 4, data)
                m.act(row, 5, data)
        m.act(rows[115][0], 1, token)
        m.act(rows[115][0], 1, token)
        for row in sum(rows.values(), []):
            get_all(m, row)
        m.run(61)
        for row in sum(rows.values(), []):
            get_all(m, row)
        for method in (2, 3, 1, 1) if step else (2,):
            m.act(account, method)


PAYMENTS = payment.objects(
    payment.credit(0, current_credit_amount=1000),
    payment.credit(1),
    payment.emergency(2),
    payment.charge(0, 2),
    payment.charge(1, charge_type=1, period=60),
    payment.charge(2, charge_type=2, charge_configuration="00"),
    payment.account(3, 3),
)


def arrays(m):
    c = test_array_manager
    row = m.row(123, c.NAME)
    get_all(m, row)
    for number in c.ALL:
        m.call(row, c.NUMBER, u8(number))
        m.call(row, c.RETRIEVE, c.entries(number, 1, 0))
        m.call(row, c.UPDATE, c.entry(number, 1, u16(1)))
    for method, data, _ in c.REFUSED:
        m.call(row, method, data)
    for k in range(4):
        m.call(row, c.INSERT, c.entry(c.NUMBERS, k + 1, u16(k)))
        m.call(row, c.RETRIEVE, c.entries(c.NUMBERS, 2, 3))
    m.call(row, c.INSERT, c.entry(c.SCRIPTS, 1, struct_(u16(7), array())))
    m.call(row, c.INSERT, c.entry(c.MASKS, 1, struct_(octets(b"R2"), array(u8(1)))))
    for k in range(3):
        m.call(row, c.REMOVE, c.entries(c.NUMBERS, 2, k))
        m.call(row, c.RETRIEVE, c.entries(c.NUMBERS, 1, 0))
    m.set(row, c.LIST, array(c.element(1, 123, c.NAME, 2)))
    m.set(row, c.LIST, array(c.element(1, 123, c.NAME, 1)))


def functions(m):
    c = test_function_control
    row = m.row(122, c.NAME)
    for names in (["load"], ["load", "tariff"], ["none"], ["load", "unknown"]):
        for on in (False, True, False):
            m.act(row, c.SET_STATUS, c.status(*((name, on) for name in names)))
            m.get(row, c.STATUS)
            m.act(m.row(*c.PROFILE), 2)
            m.act(m.row(*c.SCRIPTS), 1, u16(1))
        m.run(130)
    m.get(m.row(*c.PROFILE), 7)
    for new, _ in c.REFUSED:
        m.act(row, c.ADD, new)
        m.set(row, c.FUNCTIONS, array(new))
    m.act(row, c.ADD, c.function("new", c.REGISTER))
    m.act(row, c.REMOVE, octets(b"tariff"))
    get_all(m, row)
    m.set(row, c.FUNCTIONS, array(c.function("a"), c.function("load", c.REGISTER)))
    get_all(m, row)


def tables_of_registers(m):
    c = test_register_table
    row = m.row(61, c.NAME)
    wide = c.cells(3, c.NAME, [0, 1, 2, 3, 4, 0, 1, 2])
    for definition in (None, c.cells(3, c.NAME, [1, 2], 3), wide, *(x for x, _ in c.REFUSED)):
        if definition:
            m.set(row, c.CELLS, definition)
        m.act(row, c.CAPTURE)
        get_all(m, row)
    m.act(row, c.RESET)
    get_all(m, row)


def utility(m):
    c = test_utility_tables
    row = m.row(26, c.NAME)
    for data in (octets(b""), octets(bytes(100)), u8(1), b"\x09\x82\x01\x2c" + bytes(300)):
        m.set(row, c.BUFFER, data)
        get_all(m, row)


def mappings(m):
    c = test_status_mapping
    for k, (_, bits) in enumerate(c.WORDS):
        row = m.row(63, c.NAME % k)
        for n in (0, bits, bits + 1):
            m.set(row, c.MAPPING_TABLE, struct_(u8(1), array(*map(u16, range(n)))))
            get_all(m, row)
        m.set(row, c.MAPPING_TABLE, struct_(u8(1), u16(0xFFFF)))


def profile_v0(m):
    c = test_profile_v0
    row = m.row(7, P.NAME)
    for k in range(10):
        m.run(900 if k % 3 else 60)
        m.act(row, P.CAPTURE)
    year = [octets(date_time(y, 1, 1, 0, 0)) for y in (2020, 2030)]
    for order in (P.FIFO, P.LIFO):
        m.set(row, P.SORT_METHOD, enum(order))
        for k in range(5):
            m.act(row, P.CAPTURE)
        get_all(m, row)
        m.call(row, c.GET_BUFFER_BY_INDEX, P.by_entry(2, 4))
        m.call(row, c.GET_BUFFER_BY_INDEX, P.by_entry(0, 4))
        m.call(row, c.GET_BUFFER_BY_RANGE, P.by_range(*year))
        m.call(row, c.GET_BUFFER_BY_RANGE, P.by_range(*year, P.THE_ENERGY))
        m.call(row, c.GET_BUFFER_BY_RANGE, P.by_range(u32(0), u32(3), of=P.THE_ENERGY))


CASES = {
    "account": (PAYMENTS, payments),
    "parameter_monitor": (TIMING, parameters),
    "arbitrator": (TIMING, arbitration),
    "limiter": (TIMING, limits),
    "sensor_manager": (TIMING, sensors),
    "activity_calendar": (TIMING, calendar),
    "schedule": (TIMING, schedule_entries),
    "special_days": (TIMING, special_days),
    "array_manager": (test_array_manager.PLAIN, arrays),
    "function_control": (test_function_control.OBJECTS, functions),
    "profile_generic v0": (test_profile_v0.OBJECTS % 20, profile_v0),
    "register_table": (CLOCK + test_register_table.PLAIN, tables_of_registers),
    "status_mapping": (CLOCK + test_status_mapping.OBJECTS, mappings),
    "utility_tables": (CLOCK + test_utility_tables.OBJECTS, utility),
    "clock": (CLOCK, clock),
    "compact_data": (test_compact_data.OBJECTS, compact),
    "profile_generic": (P.OBJECTS % 20, profile),
    "profile_compact_array": (test_profile_compact_array.definition(20), compact_array),
    "profile_compression": (test_profile_compression.definition(40), compression),
    "register": (test_register.OBJECTS, register),
    "demand_register": (
        test_demand_register.OBJECTS % ("double-long", "double-long", 0, 1),
        demand,
    ),
    "register_activation": (test_register_activation.OBJECTS, activation),
    "register_monitor": (monitor.OBJECTS, monitors),
    "script_table": (test_script_table.OBJECTS, scripts),
    "single_action_schedule": (schedule.OBJECTS, schedules),
    "disconnect_control": (test_disconnect_control.OBJECTS, disconnector),
    "sap_assignment": (test_sap_assignment.OBJECTS, saps),
    "image_transfer": (CLOCK + test_image_transfer.OBJECTS % 16, images),
    "link_setup of HDLC": (test_hdlc_setup.OBJECTS, hdlc),
    "link_setup of IP": (test_network_setup.OBJECTS, network),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_request_allocates(name, micropython, tmp_path):
    """Nor does it show that late values are in ROM until they are changed."""
    objects, talk = CASES[name]
    plain, meter = Log(objects), Log(objects, 4000)
    talk(plain)
    talk(meter)
    assert meter.log == plain.log
    text = "".join(
        "%s %d %d %d x%s %d %d\n" % (what, row, index, selector, data.hex(), result, crc)
        for what, row, index, selector, data, result, crc in meter.log
    )
    (tmp_path / "requests").write_text(text)
    fields = vars(meter.definition).items()
    (tmp_path / "definition.py").write_text(
        "".join(
            "%s = %r\n" % (k, v) for k, v in fields if isinstance(v, (bytes, tuple, list, int))
        )
    )
    script = ROOT / "host_tests" / "device" / "class_modules.py"
    done = subprocess.run(
        [micropython, *HEAP, str(script), str(ROOT / "lib"), str(tmp_path), "requests"],
        capture_output=True, text=True, timeout=120, cwd=str(tmp_path),
    )  # fmt: skip
    n = sum(1 for line in meter.log if line[0] != "run")
    assert done.stdout.splitlines() == ["%d requests" % n], done.stdout + done.stderr
