# SPDX-License-Identifier: MIT
"""cosem/mbus_client.py and firmware/meter/mbus.py: the meter of heat.toml and a water meter on its
M-Bus, as conversations; what is refused, and what a slave's faults come to."""

import subprocess
from pathlib import Path

import pytest
from doubles.water_meter import BCD_ID, FAULTS, WaterMeter, manufacturer_id
from fakes import array, enum, i8, i32, obis, octets, struct_, u8, u16, u32, u64, value
from on_mbus import (
    DEFINITION,
    DIAGNOSTIC,
    FLOW,
    HARDWARE_FAULT,
    HEAT,
    NUMBER,
    OTHER_REASON,
    PORT,
    TEMPORARY_FAILURE,
    TIME,
    TYPE_UNMATCHED,
    UNDEFINED,
    VOLUME,
    WATER,
    OnBus,
)

from small import aarq
from tables import pack, show

ROOT = Path(__file__).parent.parent
INSTALL, DEINSTALL, CAPTURE, RESET_ALARM, SYNCHRONIZE, SEND, SET_KEY, TRANSFER = range(1, 9)
NEVER = bytes.fromhex("FFFFFFFFFFFFFFFFFF8000FF")
KEY = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")


def installed(slave=None, **options):
    meter = OnBus(slave or WaterMeter(), **options)
    assert meter.act(WATER, INSTALL, u8(5)) == 0
    return meter


def cbc(key):
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return lambda plain, iv: (
        Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(bytes(plain))
    )


# --- Installing ------------------------------------------------------------------------------


def test_a_slave_is_installed():
    slave = WaterMeter()
    meter = OnBus(slave)
    assert meter.act(WATER, INSTALL, u8(17)) == 0
    assert slave.address == 17
    who = [17, BCD_ID, manufacturer_id("PMT"), 1, 7]
    assert [meter.get(WATER, k) for k in range(5, 10)] == who
    assert meter.get(WATER, 10) == slave.access_number
    assert meter.get(VOLUME) == 0, "nothing is captured yet"


def test_the_first_address_that_is_free():
    meter = OnBus(WaterMeter())
    assert meter.act(WATER, INSTALL, u8(0)) == 0
    assert meter.get(WATER, 5) == 1
    meter.line.slaves += (WaterMeter(identification=0x11),)
    assert meter.act(HEAT, INSTALL, u8(1)) == OTHER_REASON
    assert meter.act(HEAT, INSTALL, u8(0)) == 0
    assert meter.get(HEAT, 5) == 2 and meter.line.slaves[1].address == 2
    assert meter.get(HEAT, 6) == 0x11


def test_nobody_is_there_to_be_installed():
    meter = OnBus(WaterMeter(address=3))
    assert meter.act(WATER, INSTALL, u8(5)) == TEMPORARY_FAILURE
    assert meter.get(WATER, 5) == 0


def test_a_slave_that_has_its_address_already():
    """Its address is written; capture learns who it is."""
    slave = WaterMeter(address=9)
    meter = OnBus(slave)
    assert meter.set(WATER, 5, u8(9)) == 0
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(WATER, 6) == BCD_ID
    assert meter.get(VOLUME) == slave.litres


def test_by_secondary_address():
    slave = WaterMeter(address=0)
    meter = OnBus(WaterMeter(identification=0x87654321), slave)
    row = meter.row(*WATER)
    for attribute, data in (
        (5, u8(253)),
        (6, u32(BCD_ID)),
        (7, u16(0xFFFF)),
        (8, u8(1)),
        (9, u8(7)),
    ):
        assert meter.model.write(row, attribute, data, 0, len(data)) == 0
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == slave.litres
    assert slave.access_number == 1 and meter.line.slaves[0].access_number == 0
    # Nobody there has that one.
    assert meter.model.write(row, 6, u32(0x99), 0, 5) == 0
    assert meter.act(WATER, CAPTURE) == TEMPORARY_FAILURE


def test_a_slave_is_deinstalled():
    slave = WaterMeter()
    meter = installed(slave)
    assert meter.trusted(WATER, SET_KEY, octets(KEY)) == 0
    assert meter.act(WATER, DEINSTALL) == 0
    assert slave.address == 0
    assert [meter.get(WATER, k) for k in range(5, 15)] == [0] * 10
    # Then there is room for another one.
    assert meter.act(WATER, INSTALL, u8(0)) == 0


def test_a_slave_that_is_broken_is_deinstalled_all_the_same():
    slave = WaterMeter()
    meter = installed(slave)
    slave.fault = "silent"
    assert meter.act(WATER, DEINSTALL) == 0
    assert meter.get(WATER, 5) == 0 and slave.address == 5


# --- Capture ---------------------------------------------------------------------------------


def test_values_are_captured():
    slave = WaterMeter()
    slave.status = 0x04  # power low
    slave.time = bytes.fromhex("32371F15")
    meter = installed(slave)
    assert meter.act(WATER, CAPTURE) == 0
    now = bytes(meter.clock.local[:5])
    assert meter.get(VOLUME) == 1234567
    assert meter.get(VOLUME, 3) == [-3, 13]  # litres
    assert meter.get(VOLUME, 4) == 0x04 and meter.get(VOLUME, 5)[:5] == now
    # 50 past 23 on the last of May 2008, of the example of OMS.
    assert meter.get(TIME) == bytes.fromhex("07D8051FFF173200FF800000")
    assert meter.get(FLOW) == 42 and meter.get(FLOW, 3) == [-3, 15]
    assert meter.get(NUMBER) == b"TMP-0815"
    assert meter.get(WATER, 11) == 0x04
    assert meter.get(WATER, 10) == slave.access_number == 2


def test_a_value_comes_with_the_scaler_that_the_definition_has(tmp_path):
    """The slave says litres in an hour; the object has another scaler, or another unit."""
    text = DEFINITION.read_text()
    for scaler, expected in ((-3, 42), (-4, 420), (-2, 4), (0, 0)):
        path = written(
            tmp_path / ("scaler%d.toml" % scaler),
            text.replace("scaler = -3", "scaler = %d" % scaler),
        )
        meter = installed(path=path)
        assert meter.act(WATER, CAPTURE) == 0
        assert meter.get(FLOW) == expected and meter.get(FLOW, 3) == [scaler, 15]
    path = written(tmp_path / "unit.toml", text.replace('unit = "m3/h"', 'unit = "m3"'))
    meter = installed(path=path)
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(FLOW) == 0 and meter.get(FLOW, 5) == NEVER, "it was not captured"
    assert meter.get(VOLUME) == 1234567


def written(path, text):
    path.write_text(text)
    return path


def test_a_value_that_does_not_fit(tmp_path):
    text = DEFINITION.read_text()
    text = text.replace('data_type = "double-long"', 'data_type = "unsigned"')
    meter = installed(path=written(tmp_path / "narrow.toml", text))
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == 0 and meter.get(FLOW) == 42


def test_what_is_said_in_two_answers():
    slave = WaterMeter()
    slave.in_two = True
    meter = installed(slave)
    assert meter.act(WATER, CAPTURE) == 0
    assert [meter.get(VOLUME), meter.get(FLOW)] == [1234567, 42]


def test_by_the_capture_period():
    slave = WaterMeter()
    meter = installed(slave)
    meter.run(59)
    assert meter.get(VOLUME) == 0
    meter.run(1)
    assert meter.get(VOLUME) == 1234567
    slave.litres += 1
    meter.run(60)
    assert meter.get(VOLUME) == 1234568
    # Another period begins anew, and 0 is none.
    data = u32(0)
    assert meter.model.write(meter.row(*WATER), 4, data, 0, 5) == 0
    slave.litres += 1
    meter.run(200)
    assert meter.get(VOLUME) == 1234568
    # The slave of channel 2, which is not there, was asked for nothing.
    assert {frame[2] for frame in meter.line.said if frame[0] == 0x10} == {0, 5}


def test_by_a_script():
    meter = installed()
    assert meter.trusted(WATER, CAPTURE, i8(0)) == 0
    assert meter.get(VOLUME) == 0
    meter.run(1)
    assert meter.get(VOLUME) == 1234567


def test_installed_and_captured_before_the_power_failed():
    slave = WaterMeter()
    meter = installed(slave)
    assert meter.act(WATER, CAPTURE) == 0
    meter = meter.off_and_on()
    assert [meter.get(WATER, k) for k in (5, 6)] == [5, BCD_ID]
    assert meter.get(VOLUME) == 1234567 and meter.get(VOLUME, 3) == [-3, 13]
    slave.litres = 1
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == 1


# --- What the bus does to it -----------------------------------------------------------------

HARMLESS = ("split", "late rest")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes(fault):
    """One or two answers go wrong: the request is repeated, and nothing is lost."""
    slave = WaterMeter()
    meter = installed(slave)
    slave.fault, slave.faults_left = fault, 2
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == 1234567
    assert slave.access_number == 2, "repeated, it says the same again"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays(fault):
    slave = WaterMeter()
    meter = installed(slave)
    slave.fault = fault
    assert meter.act(WATER, CAPTURE) == (0 if fault in HARMLESS else TEMPORARY_FAILURE)
    assert meter.get(VOLUME) == (1234567 if fault in HARMLESS else 0)
    slave.fault = None
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == 1234567


@pytest.mark.parametrize("fault", ["silent", "half", "noise"])
@pytest.mark.parametrize(
    "method, data", [(INSTALL, u8(1)), (RESET_ALARM, i8(0)), (SYNCHRONIZE, i8(0))]
)
def test_no_method_succeeds_without_the_slave(method, data, fault):
    slave = WaterMeter()
    meter = OnBus(slave) if method == INSTALL else installed(slave)
    slave.fault = fault
    before = meter.all(WATER)
    assert meter.act(WATER, method, data) == TEMPORARY_FAILURE
    assert meter.all(WATER) == before


def test_another_meter_answers():
    slave = WaterMeter()
    meter = installed(slave)
    slave.identification = 0x55
    assert meter.act(WATER, CAPTURE) == TEMPORARY_FAILURE
    assert meter.get(VOLUME) == 0 and meter.get(WATER, 6) == BCD_ID


def test_no_line():
    meter = OnBus(WaterMeter(), line=False)
    assert meter.act(WATER, INSTALL, u8(1)) == HARDWARE_FAULT


def test_no_port():
    meter = installed()
    assert meter.set(WATER, 2, octets(bytes(6))) == 0
    assert meter.act(WATER, CAPTURE) == HARDWARE_FAULT
    meter.run(120)
    assert meter.get(VOLUME) == 0


def test_the_line_breaks_meanwhile():
    meter = installed()
    task = meter.bus.begin(meter.row(*WATER), CAPTURE, b"")
    meter.bus.turn()
    meter.line.master.transmit(0)
    meter.line.master.reset()
    meter.bus.fail()
    meter.bus.turn()
    assert task.result == HARDWARE_FAULT
    assert meter.act(WATER, CAPTURE) == 0


# --- Alarms, clock, data ---------------------------------------------------------------------


def test_alarms():
    slave = WaterMeter()
    slave.alarm = 0x21
    meter = installed(slave)
    assert meter.get(WATER, 12) == 0
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(WATER, 12) == 0x21
    assert meter.act(WATER, RESET_ALARM) == 0
    assert slave.alarm == 0 and meter.get(WATER, 12) == 0
    # A slave without alarms says nothing to who asks for them: its values are captured.
    slave.alarm = -1
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == 1234567


def test_the_clock_of_the_slave():
    slave = WaterMeter()
    meter = installed(slave)
    assert meter.act(WATER, SYNCHRONIZE) == 0
    assert meter.act(WATER, CAPTURE) == 0
    # 2026-01-01 01:00, local time in winter.
    assert meter.get(TIME) == bytes.fromhex("07EA0101FF010000FF800000")


def block(dib, vib, data):
    return struct_(octets(bytes.fromhex(dib)), octets(bytes.fromhex(vib)), data)


def test_data_are_sent():
    slave = WaterMeter()
    meter = installed(slave)
    assert meter.act(WATER, SEND, array(block("0C", "13", u32(98765432)))) == 0
    assert slave.litres == 98765432
    before = len(slave.heard)
    for data in (i8(-2), u8(1), u16(7), i32(99), u64(5)):
        assert meter.act(WATER, SEND, array(block("07", "FD60", data))) == TEMPORARY_FAILURE
    assert slave.heard[before + 1][3].hex() == "07fd60feffffffffffffff"


TOO_MUCH = array(*[block("07", "13", u64(1))] * 26)


@pytest.mark.parametrize(
    "data, result",
    [
        (array(block("01", "13", u16(256))), OTHER_REASON),  # does not fit
        (array(block("09", "13", u8(100))), OTHER_REASON),  # nor into two digits
        (array(block("09", "13", i8(-1))), OTHER_REASON),
        (array(block("05", "13", u8(1))), OTHER_REASON),  # a real
        (array(block("00", "13", u8(1))), OTHER_REASON),  # no data
        (array(block("81", "13", u8(1))), OTHER_REASON),  # a DIB that goes on
        (array(block("0101", "13", u8(1))), OTHER_REASON),  # two
        (array(block("", "13", u8(1))), OTHER_REASON),
        (array(block("01", "", u8(1))), OTHER_REASON),
        (array(block("01", "FD", u8(1))), OTHER_REASON),  # a VIB that goes on
        (array(block("01", "13", octets(b"1"))), OTHER_REASON),
        (array(block("01", "13", array(u8(1)))), OTHER_REASON),
        (array(block("0D", "13", u8(1))), OTHER_REASON),
        (TOO_MUCH, OTHER_REASON),
        (array(struct_(octets(b"\1"), octets(b"\x13"))), TYPE_UNMATCHED),
        (array(u8(1)), TYPE_UNMATCHED),
        (u8(1), TYPE_UNMATCHED),
        (b"", TYPE_UNMATCHED),
    ],
)
def test_data_that_cannot_be_sent(data, result):
    slave = WaterMeter()
    meter = installed(slave)
    before = meter.all(WATER)
    n = len([frame for frame in slave.heard if frame[0] & 0x4F == 0x43])
    assert meter.act(WATER, SEND, data) == result
    assert meter.all(WATER) == before
    assert len([frame for frame in slave.heard if frame[0] & 0x4F == 0x43]) == n


# --- Keys ------------------------------------------------------------------------------------


def test_answers_with_a_key():
    slave = WaterMeter()
    meter = installed(slave)
    assert meter.get(WATER, 14) == 0
    assert meter.trusted(WATER, SET_KEY, octets(KEY)) == 0
    assert meter.get(WATER, 14) == 1
    # Until the slave uses it, what it says in the clear is believed.
    assert meter.act(WATER, CAPTURE) == 0 and meter.get(WATER, 14) == 1
    slave.key = cbc(KEY)
    slave.litres = 7
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == 7
    assert meter.get(WATER, 14) == 4 and meter.get(WATER, 13) & 0x1F00 == 0x0500
    # And not any more after that.
    slave.key = None
    slave.litres = 8
    assert meter.act(WATER, CAPTURE) == TEMPORARY_FAILURE
    assert meter.get(VOLUME) == 7
    # Across power cuts, too; until there is no key.
    meter = meter.off_and_on()
    assert meter.act(WATER, CAPTURE) == TEMPORARY_FAILURE and meter.get(WATER, 14) == 4
    assert meter.trusted(WATER, SET_KEY, octets(b"")) == 0
    assert meter.act(WATER, CAPTURE) == 0
    assert [meter.get(VOLUME), meter.get(WATER, 14)] == [8, 0]


@pytest.mark.parametrize("key", [b"", bytes(16)])
def test_answers_with_another_key(key):
    slave = WaterMeter()
    meter = installed(slave)
    if key:
        assert meter.trusted(WATER, SET_KEY, octets(key)) == 0
    slave.key = cbc(KEY)
    assert meter.act(WATER, CAPTURE) == TEMPORARY_FAILURE
    assert meter.get(VOLUME) == 0 and meter.get(WATER, 14) == (1 if key else 0)


def test_what_only_pretends_to_be_ciphered():
    slave = WaterMeter()
    meter = installed(slave)
    assert meter.trusted(WATER, SET_KEY, octets(KEY)) == 0
    slave.pretends = True
    assert meter.act(WATER, CAPTURE) == TEMPORARY_FAILURE
    assert [meter.get(VOLUME), meter.get(WATER, 14)] == [0, 1]
    slave.pretends, slave.key = False, cbc(KEY)
    slave.litres = 5
    slave.appended = b"\x0c\x13\x99\0\0\0"  # in the clear, behind the blocks
    assert meter.act(WATER, CAPTURE) == 0
    assert [meter.get(VOLUME), meter.get(WATER, 14)] == [5, 4]


@pytest.mark.parametrize("address", [5, 253])
@pytest.mark.parametrize("short_header", [False, True])
def test_the_initial_value_has_the_address_of_the_slave(address, short_header):
    """Of the header, where it has one; of a client that selects with FF for any, too."""
    slave = WaterMeter()
    meter = installed(slave)
    slave.key = cbc(KEY)
    slave.short_header = short_header
    assert meter.trusted(WATER, SET_KEY, octets(KEY)) == 0
    assert meter.set(WATER, 5, u8(address)) == 0
    if not short_header:
        assert meter.set(WATER, 8, u8(0xFF if address == 253 else 1)) == 0
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == slave.litres


def test_a_slave_with_a_key_is_installed_before_its_key_is_known():
    slave = WaterMeter()
    slave.key = cbc(KEY)
    meter = installed(slave)
    assert meter.get(WATER, 6) == BCD_ID
    assert meter.trusted(WATER, SET_KEY, octets(KEY)) == 0
    assert meter.act(WATER, CAPTURE) == 0
    assert meter.get(VOLUME) == 1234567


@pytest.mark.parametrize("n", [1, 15, 17, 32])
def test_keys_that_are_none(n):
    meter = installed()
    for method in (SET_KEY, TRANSFER):
        assert meter.trusted(WATER, method, octets(bytes(n))) == OTHER_REASON
    assert meter.get(WATER, 14) == 0


def test_a_key_is_transferred():
    slave = WaterMeter()
    meter = installed(slave)
    task = meter.bus.begin(meter.row(*WATER), TRANSFER, octets(KEY))
    while task.result < 0:
        meter.pump()
    assert task.result == 0 and slave.new_key == KEY
    assert meter.get(WATER, 14) == 2
    assert meter.trusted(WATER, SET_KEY, octets(KEY)) == 0
    assert meter.get(WATER, 14) == 3


def test_no_key_can_be_read():
    meter = installed()
    assert meter.trusted(WATER, SET_KEY, octets(KEY)) == 0
    seen = repr([meter.all(what) for what in (WATER, HEAT, PORT, DIAGNOSTIC)])
    assert repr(KEY)[2:-1] not in seen


def test_what_nobody_waits_for_is_done_once():
    meter = installed()
    for _ in range(3):
        assert meter.trusted(WATER, CAPTURE, i8(0)) == 0
    assert meter.trusted(WATER, SYNCHRONIZE, i8(0)) == 0
    before = len(meter.line.said)
    meter.run(1)
    frames = [frame[1] for frame in meter.line.said[before:] if frame[0] == 0x10]
    assert frames == [0x40, 0x7B, 0x5A, 0x40]
    # What has a parameter has nobody to say it.
    for method, data in ((SEND, array()), (TRANSFER, octets(KEY))):
        assert meter.trusted(WATER, method, data) == OTHER_REASON


def test_with_the_heap_locked(micropython, tmp_path):
    """Of a meter without a line: the same APDUs, and the same answers, on MicroPython."""
    meter = OnBus(line=False)
    lines = ["as 2 1"]

    def say(request):
        answer = meter.talk.say(request.hex())
        lines.extend(("> " + spaced(request.hex()), "< " + spaced(answer)))

    def about(what, index):
        return what[0].to_bytes(2, "big") + obis(what[1]) + bytes((index,))

    say(aarq(b"demo-installer"))
    pair = struct_(octets(b"\x0c"), octets(b"\x13"))
    for attribute, data in (
        (2, octets(b"\0\0\x18\6\0\xff")), (2, octets(bytes(6))), (2, octets(b"123456")),
        (3, array(pair)), (3, array(struct_(octets(b""), octets(b"")))), (4, u32(1)), (5, u8(3)),
        (5, u8(251)), (6, u32(1)),
    ):  # fmt: skip
        say(b"\xc1\1\xc1" + about(WATER, attribute) + b"\0" + data)
        say(b"\xc0\1\xc1" + about(WATER, attribute) + b"\0")
    say(b"\xc0\1\xc1" + about(WATER, 14) + b"\0")
    for what, method in (
        (WATER, 1),
        (WATER, 2),
        (WATER, 3),
        (HEAT, 2),
        (WATER, 7),
        (DIAGNOSTIC, 1),
    ):
        data = u8(3) if method == 1 and what is WATER else i8(0)
        say(b"\xc3\1\xc1" + about(what, method) + b"\1" + data)
    assert {line[-5:-3] for line in lines if line.startswith("< C7")} == {"01", "FA", "03", "00"}
    said = tmp_path / "said.txt"
    said.write_text("\n".join(lines) + "\n")
    (tmp_path / "definition.py").write_text(show.module(pack.compile(str(DEFINITION))))
    done = subprocess.run(
        [micropython, "-X", "heapsize=1M", ROOT / "host_tests/device/converse.py", tmp_path,
         "wrapper", "-", said],
        env={"MICROPYPATH": ":".join(str(ROOT / p) for p in ("lib", ""))},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "ok %s %d\n" % (said, len(lines) // 2), done.stdout + done.stderr


def spaced(text):
    return " ".join(text[k : k + 2] for k in range(0, len(text), 2))


# --- Outcomes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, data, result",
    [
        (INSTALL, u8(6), OTHER_REASON),  # it is installed
        (INSTALL, u16(6), TYPE_UNMATCHED),
        (INSTALL, b"", TYPE_UNMATCHED),
        (DEINSTALL, u8(0), TYPE_UNMATCHED),
        (DEINSTALL, i8(1), TYPE_UNMATCHED),
        (CAPTURE, u8(0), TYPE_UNMATCHED),
        (RESET_ALARM, u8(0), TYPE_UNMATCHED),
        (SYNCHRONIZE, octets(b""), TYPE_UNMATCHED),
        (SET_KEY, u8(0), TYPE_UNMATCHED),
        (TRANSFER, u8(0), TYPE_UNMATCHED),
        (9, i8(0), UNDEFINED),
        (0, i8(0), UNDEFINED),
    ],
)
def test_methods_that_are_refused(method, data, result):
    meter = installed()
    before = meter.all(WATER)
    assert meter.trusted(WATER, method, data) == result
    assert meter.all(WATER) == before


@pytest.mark.parametrize("address", [251, 252, 254, 255])
def test_addresses_that_are_none(address):
    meter = OnBus(WaterMeter())
    assert meter.act(WATER, INSTALL, u8(address)) == OTHER_REASON
    assert meter.model.write(meter.row(*WATER), 5, u8(address), 0, 2) == OTHER_REASON


@pytest.mark.parametrize("method", [DEINSTALL, CAPTURE, RESET_ALARM, SYNCHRONIZE])
def test_nothing_is_installed(method):
    meter = OnBus(WaterMeter())
    assert meter.act(WATER, method) == OTHER_REASON
    assert meter.act(WATER, SEND, array(block("01", "13", u8(1)))) == OTHER_REASON
    assert not meter.line.said


PAIR = struct_(octets(b"\x0c"), octets(b"\x13"))
MANY = array(*[PAIR] * 9)


@pytest.mark.parametrize(
    "what, attribute, data, result",
    [
        (WATER, 2, octets(b"\0\0\x18\6\0\xff"), 0),
        (WATER, 2, octets(bytes(6)), 0),  # none: nothing is behind it
        (WATER, 2, octets(b"\0\1\x18\6\0\xff"), OTHER_REASON),  # no port of that name
        (WATER, 2, octets(b"\0\0\1\0\0\xff"), OTHER_REASON),  # that is the clock
        (WATER, 2, octets(b"12345"), TYPE_UNMATCHED),
        (WATER, 3, array(), 0),
        (WATER, 3, array(PAIR), 0),
        (WATER, 3, array(struct_(octets(b""), octets(b"\x13"))), OTHER_REASON),
        (WATER, 3, array(struct_(octets(b"\x0c"), octets(b""))), OTHER_REASON),
        (WATER, 3, array(struct_(octets(b"\x0c"))), TYPE_UNMATCHED),
        (WATER, 3, array(u8(1)), TYPE_UNMATCHED),
        (WATER, 3, MANY, OTHER_REASON),  # no room
        (WATER, 4, u32(0xFFFFFFFF), 0),
        (WATER, 4, u16(60), TYPE_UNMATCHED),
        (WATER, 5, u8(250), 0),
        (WATER, 5, u8(253), 0),
        (WATER, 5, u16(1), TYPE_UNMATCHED),
        (WATER, 6, u32(1), 0),
        (WATER, 6, u16(1), TYPE_UNMATCHED),
        (WATER, 7, u16(1), 0),
        (WATER, 7, u8(1), TYPE_UNMATCHED),
        (WATER, 8, u8(1), 0),
        (WATER, 8, i8(1), TYPE_UNMATCHED),
        (WATER, 9, u8(1), 0),
        (WATER, 9, u32(1), TYPE_UNMATCHED),
        (WATER, 15, u8(1), UNDEFINED),
        (WATER, 14, enum(1), 3),
        (PORT, 2, enum(9), 0),
        (PORT, 2, enum(10), TYPE_UNMATCHED),
        (PORT, 2, u8(1), TYPE_UNMATCHED),
        (PORT, 3, u8(1), UNDEFINED),
    ],
)
def test_every_set(what, attribute, data, result):
    meter = OnBus(WaterMeter())
    row = meter.row(*what)
    before = meter.all(what)
    assert meter.model.write(row, attribute, data, 0, len(data)) == result
    if result:
        assert meter.all(what) == before
    else:
        assert meter.get(what, attribute) == value(data)


def test_an_address_that_another_client_has():
    meter = installed()
    assert meter.model.write(meter.row(*HEAT), 5, u8(5), 0, 2) == OTHER_REASON
    assert meter.model.write(meter.row(*HEAT), 5, u8(253), 0, 2) == 0
    assert meter.model.write(meter.row(*WATER), 5, u8(253), 0, 2) == 0
