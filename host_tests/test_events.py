# SPDX-License-Identifier: MIT
"""firmware/meter/events.py: which log hears of what, limits of voltages, alarms and their filter.

The logs are those that issue 6 lists; codes and bits are those of the module's docstring.
"""

import re

import pytest
from fakes import CLOCK, define, obis, u32
from test_program import Constant

from cosem.model import Model
from firmware.meter import events
from firmware.meter.program import Program
from firmware.store import RAMStorage

LOGS = ("standard", "fraud", "disconnect", "power_quality", "communication")
OBJECTS = CLOCK + "".join(
    '{class = 1, obis = "0.0.96.11.%d.255", data_type = "unsigned", source = "event.%s"},\n'
    '{class = 7, obis = "0.0.99.98.%d.255", profile_entries = 50, sort_method = 1,'
    ' capture_objects = ["8/0.0.1.0.0.255/2", "1/0.0.96.11.%d.255/2"]},\n' % (e, log, e, e)
    for e, log in enumerate(LOGS)
) + """
    {class = 1, obis = "0.0.97.97.0.255", data_type = "double-long-unsigned", source = "status.error"},
    {class = 1, obis = "0.0.97.98.0.255", data_type = "double-long-unsigned", source = "status.alarm"},
    {class = 1, obis = "0.0.97.98.10.255", data_type = "double-long-unsigned", ram = ["value"], value = 0x2800},
    {class = 1, obis = "0.0.97.98.20.255", data_type = "double-long-unsigned", ram = ["value"]},
"""  # fmt: skip  # noqa: E501
LIMITS = """
    {class = 3, obis = "1.0.12.31.0.255", data_type = "long-unsigned", scaler = -1, unit = "V", value = 2200},
    {class = 3, obis = "1.0.12.35.0.255", data_type = "long-unsigned", scaler = -1, unit = "V", value = 2400},
    {class = 3, obis = "1.0.12.39.0.255", data_type = "long-unsigned", scaler = %d, unit = "V", value = 2000},
"""  # noqa: E501


class Meter:
    def __init__(self, more=""):
        self.model = Model(define(OBJECTS + more))
        self.model.storage = RAMStorage()
        self.model.handler("clock").set_utc(13675680, 0)
        self.model.start()
        self.source = Constant()
        self.program = Program(self.model, self.source)

    def row(self, class_id, name):
        return self.model.find(0, bytes((0, class_id)) + obis(name + ".255"), 0)

    def number(self, name):
        return self.model.get_int(self.row(1, name), 2)

    def entries(self, e):
        return (
            self.model.handler("profile_generic").profiles[self.row(7, "0.0.99.98.%d" % e)].ring.n
        )

    def set(self, name, value):
        assert self.model.write(self.row(1, name), 2, bytearray(u32(value)), 0, 5) == 0

    def clear(self):
        self.run()
        for row, _filter, descriptor, *_ in self.program.events.registers:
            for r in (row, descriptor):
                if r >= 0:
                    at = self.model.slot(r, 2) + 1
                    self.model.image[at : at + 4] = bytes(4)

    def run(self, seconds=2):
        for _ in range(seconds):
            self.program.tick(1000)


def codes():
    """{log: codes} of the docstring."""
    found = {}
    text = events.__doc__.split("standard        ")[1].split("\nWhere those come from")[0]
    for name, part in zip(LOGS, re.split(r"\n    (?=[a-z_]+ {2,})", text)):
        part = re.sub(r"^[a-z_]+ +", "", part)
        numbers = set()
        for first, last in re.findall(r"\b(\d+)(?:\.\.|/)?(\d+)?", part):
            numbers |= set(range(int(first), int(last or first) + 1))
        found[name] = numbers
    return found


@pytest.mark.parametrize("e, log", list(enumerate(LOGS)))
def test_each_log_has_its_events(e, log):
    wanted = codes()[log]
    assert wanted
    meter = Meter()
    before = [meter.entries(k) for k in range(5)]
    for code in sorted(wanted):
        assert meter.program.events.note(code)
        assert meter.number("0.0.96.11.%d" % e) == code
    after = [meter.entries(k) for k in range(5)]
    assert [b - a for a, b in zip(before, after)] == [len(wanted) * (k == e) for k in range(5)]


def bits(which):
    """{bit: codes} of the docstring."""
    text = events.__doc__.split("    alarm %d   " % which)[1]
    text = re.split(r"\n\n|\n    alarm", text)[0]
    found = {}
    parts = re.split(r"(\d+)(?:\.\.(\d+))?:", text)
    for first, last, codes in zip(parts[1::3], parts[2::3], parts[3::3]):
        numbers = []
        for x, y in re.findall(r"(\d+)(?:\.\.(\d+))?", codes):
            numbers += range(int(x), int(y or x) + 1)
        if last:
            for k, bit in enumerate(range(int(first), int(last) + 1)):
                found[bit] = {numbers[k]}
        else:
            found[int(first)] = set(numbers)
    return found


SECOND = """
    {class = 1, obis = "0.0.97.98.1.255", data_type = "double-long-unsigned", source = "status.alarm2"},
    {class = 1, obis = "0.0.97.98.11.255", data_type = "double-long-unsigned", ram = ["value"], value = %d},
    {class = 1, obis = "0.0.97.98.21.255", data_type = "double-long-unsigned", ram = ["value"]},
"""  # noqa: E501


@pytest.mark.parametrize("code", range(256))
def test_bits_of_the_registers(code):
    """Each event sets the bits that the docstring says, in registers and descriptors."""
    meter = Meter(SECOND % 0xFFFFFFFF)
    meter.set("0.0.97.98.10", 0xFFFFFFFF)
    meter.clear()
    meter.program.events.note(code)
    first, second = bits(1), bits(2)
    error = sum(1 << bit for bit, codes in first.items() if code in codes and bit != 13)
    alarm = sum(1 << bit for bit, codes in first.items() if code in codes)
    alarm2 = sum(1 << bit for bit, codes in second.items() if code in codes)
    assert meter.number("0.0.97.97.0") == error
    assert meter.number("0.0.97.98.0") == meter.number("0.0.97.98.20") == alarm
    assert meter.number("0.0.97.98.1") == meter.number("0.0.97.98.21") == alarm2


def test_the_second_register_has_a_filter_and_says_what_is_new_once():
    meter = Meter(SECOND % (1 << 3 | 1 << 11))
    said = []
    meter.program.events.on_alarm = said.append
    for code in (82, 83, 83, 88, 84):
        meter.program.events.note(code)
    assert meter.number("0.0.97.98.1") == meter.number("0.0.97.98.21") == 1 << 3 | 1 << 11
    assert said == [meter.row(1, "0.0.97.98.21")] * 2
    meter.set("0.0.97.98.21", 0)
    meter.program.events.note(83)
    assert len(said) == 3


def test_a_register_that_is_written_was_cleared():
    meter = Meter(SECOND % 0xFFFFFFFF)
    for name, code in (("0.0.97.97.0", 10), ("0.0.97.98.0", 11), ("0.0.97.98.1", 11)):
        meter.set(name, 0)
        meter.run()
        assert meter.number("0.0.96.11.0") == code


MONITOR = """
    {class = 21, obis = "0.0.16.1.0.255",
     thresholds = [{type = "double-long-unsigned", value = 0}],
     monitored_value = "1/0.0.97.98.21/2", actions = [[["0.0.10.0.108", 1], ["0.0.10.0.0", 0]]]},
    {class = 9, obis = "0.0.10.0.108.255", scripts = [[1, ["1/1/0.0.96.13.1.255/2/unsigned:7"]]]},
    {class = 1, obis = "0.0.96.13.1.255", data_type = "unsigned", ram = ["value"]},
"""


def test_a_register_monitor_hears_of_the_second_descriptor():
    meter = Meter(SECOND % (1 << 11) + MONITOR)
    meter.run()
    assert meter.number("0.0.96.13.1") == 0
    meter.program.events.note(88)
    meter.run()
    assert meter.number("0.0.96.13.1") == 7


TIMES = LIMITS + "".join(
    '{class = 3, obis = "1.0.12.%d.0.255", data_type = "long-unsigned", unit = "s", scaler = 0,'
    " value = %d}," % pair
    for pair in ((43, 3), (44, 5), (45, 2))
)


# Seconds of each voltage; codes of L1.
LASTING = [
    ([(2100, 4), (2300, 2)], [76, 85]),
    ([(2100, 3), (2300, 2)], [76, 85]),
    ([(2100, 2), (2300, 2)], []),
    ([(2500, 5), (2300, 1)], [79, 85]),
    ([(2500, 4), (2300, 1)], []),
    ([(100, 2), (2300, 1)], [82, 85]),
    ([(100, 1), (2100, 2), (2300, 1)], []),
    ([(2100, 4), (100, 1), (2100, 9), (2300, 1)], [76, 85]),
    ([(2100, 4), (100, 3), (2100, 4), (2300, 1)], [76, 82, 76, 85]),
    ([(2100, 2), (2500, 2), (2100, 2), (2300, 1)], []),
]


@pytest.mark.parametrize("volts, wanted", LASTING)
def test_how_long_a_voltage_has_to_last(volts, wanted):
    meter = Meter(TIMES % -1)
    heard = []
    meter.program.events.on_event = heard.append
    for u, seconds in volts:
        meter.source.volts = u
        meter.run(seconds)
    assert [code for code in heard if code in (76, 79, 82, 85)] == wanted


@pytest.mark.parametrize(
    "volts, code",
    [(2300, 85), (2199, 76), (2200, 85), (2401, 79), (2400, 85), (1999, 82), (2000, 76)],
)
def test_limits_of_the_voltage_are_those_of_the_objects(volts, code):
    meter = Meter(LIMITS % -1)
    meter.source.volts = volts
    meter.run()
    assert meter.program.events.voltage[0] == code
    assert meter.number("0.0.96.11.3") == (0 if code == 85 else code + 2)


def test_a_limit_that_a_client_has_set_counts_at_once():
    meter = Meter(LIMITS % -1)
    meter.run()
    assert meter.number("0.0.96.11.3") == 0
    row = meter.row(3, "1.0.12.31.0")
    assert meter.model.write(row, 2, bytearray(b"\x12\x09\x06"), 0, 3) == 0  # 231.0 V
    meter.run()
    assert meter.number("0.0.96.11.3") == 78


def test_without_the_objects_and_with_another_scaler_they_are_ten_per_cent():
    for meter in (Meter(), Meter(LIMITS % 0)):
        meter.source.volts = 1990
        meter.run()
        assert meter.number("0.0.96.11.3") == 78, "low, not missing"
    meter.source.volts = 1149
    meter.run()
    assert meter.number("0.0.96.11.3") == 84


def test_an_alarm_passes_the_filter_into_the_descriptor_and_is_said_once():
    meter = Meter()
    said = []
    meter.program.events.on_alarm = said.append
    meter.program.events.note(16)  # measurement error: bit 11, in the filter
    meter.program.events.note(16)
    meter.program.events.note(14)  # memory: bit 10, not in it
    assert meter.number("0.0.97.97.0") == 1 << 11 | 1 << 10
    assert meter.number("0.0.97.98.0") == meter.number("0.0.97.98.20") == 1 << 11
    assert said == [meter.row(1, "0.0.97.98.20")]
    descriptor = meter.row(1, "0.0.97.98.20")
    assert meter.model.write(descriptor, 2, bytearray(u32(0)), 0, 5) == 0
    meter.program.events.note(44)  # fraud: bit 13
    assert meter.number("0.0.97.98.20") == 1 << 13 and len(said) == 2
