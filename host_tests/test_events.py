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

    def run(self, seconds=2):
        for _ in range(seconds):
            self.program.tick(1000)


def codes():
    """{log: codes} of the docstring."""
    found = {}
    text = events.__doc__.split("standard        ")[1].split("later()")[0]
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
    assert len(wanted) > 5
    meter = Meter()
    before = [meter.entries(k) for k in range(5)]
    for code in sorted(wanted):
        assert meter.program.events.note(code)
        assert meter.number("0.0.96.11.%d" % e) == code
    after = [meter.entries(k) for k in range(5)]
    assert [b - a for a, b in zip(before, after)] == [len(wanted) * (k == e) for k in range(5)]


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
