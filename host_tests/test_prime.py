# SPDX-License-Identifier: MIT
"""lib/profiles/prime.py, with a server, the driver of a service node and its double; and classes
80 to 86. Read as conversations: a base node with a client behind it, and a meter.
"""

import pytest
import small
from doubles.meters import ID, action, get, set_
from doubles.meters import PRIMEMeter as Meter

AARQ = small.aarq(b"12345678")
PUBLIC = small.aarq(None)


@pytest.fixture
def meter():
    return Meter().up()


@pytest.fixture
def open_meter(meter):
    assert meter.ask(AARQ).startswith("61")
    return meter


def test_association_get_release(meter):
    assert meter.ask(AARQ).startswith("6129A109060760857405080101A203020100")
    assert meter.value(3, "1.0.1.8.0", 2) == "060001E240"
    assert meter.ask(bytes.fromhex("6200")).startswith("63")
    assert (meter.station.n_lost, meter.station.n_foreign) == (0, 0)


def test_a_release_with_nothing_in_it(open_meter):
    assert open_meter.ask(bytes.fromhex("6203800100"))[:2] == "63"


def test_two_clients(open_meter):
    assert open_meter.ask(PUBLIC, client=16).startswith("61")
    assert open_meter.ask(get(1, "0.0.42.0.0", 2), client=16) == "C401C1000910" + (
        b"PMT2000000000001".hex().upper()
    )


def test_long_answers_come_in_blocks(open_meter):
    found = open_meter.ask(get(15, "0.0.40.0.2", 2))
    assert found.startswith("C402C100") and len(found) // 2 <= 1018


def test_what_is_for_nobody_here_is_not_answered(open_meter):
    for options in ({"sap": 9}, {"source": 0x77}, {"destination": 0x456}):
        open_meter.say(get(1, "0.0.42.0.0", 2), **options)
    open_meter.run(500)
    assert len(open_meter.double.sent) == 1
    assert open_meter.station.n_foreign == 2 and open_meter.station.llc.dropped == 1


def test_a_broadcast_is_not_answered(open_meter):
    open_meter.say(set_(8, "0.0.1.0.0", 3, bytes.fromhex("100001")), destination=0x0FFF)
    open_meter.run(500)
    assert len(open_meter.double.sent) == 1


def test_a_lost_answer_is_asked_for_again(open_meter):
    open_meter.double.faults["full"] = 1
    open_meter.say(get(1, "0.0.42.0.0", 2))
    open_meter.run(500)
    assert open_meter.station.n_lost == 1
    assert open_meter.value(3, "1.0.1.8.0", 2) == "060001E240"


def test_a_network_that_comes_back_finds_the_association(open_meter):
    double = open_meter.double
    double.unregister()
    open_meter.until(lambda: not open_meter.modem.is_up, 500)
    double.network = True
    open_meter.up()
    assert open_meter.value(3, "1.0.1.8.0", 2) == "060001E240"


def test_an_address_that_changes_ends_the_association(open_meter):
    open_meter.double.identifiers[ID] = 0x456
    open_meter.double.unregister()
    open_meter.until(lambda: not open_meter.modem.is_up, 500)
    open_meter.double.network = True
    open_meter.up()
    assert open_meter.station.address == 0x456
    assert open_meter.ask(get(3, "1.0.1.8.0", 2)).startswith("D8")


def test_a_modem_that_was_reset_in_mid_answer(open_meter):
    open_meter.double.faults["reset_in_frame"] = 1
    open_meter.say(get(1, "0.0.42.0.0", 2))
    open_meter.until(lambda: not open_meter.modem.is_up, 3000).up()
    assert open_meter.value(3, "1.0.1.8.0", 2) == "060001E240"


def test_what_is_sent_unasked(open_meter):
    station = open_meter.station
    assert station.can_notify()
    buf = bytearray(3) + b"\x0f\x00\x00\x00\x01\x00\x11\x07"
    assert station.notify(1, 1, buf, 3, 8)
    assert open_meter.answer() == (1, 1, 0, bytes(buf[3:]))
    assert station.is_notifying() and not station.notify(1, 1, buf, 3, 8)
    open_meter.run(500)
    assert not station.is_notifying() and station.llc.note_good
    open_meter.double.faults["full"] = 1
    assert station.notify(1, 1, buf, 3, 8)
    open_meter.run(500)
    assert not station.is_notifying() and not station.llc.note_good
    assert not station.notify(1, 1, bytearray(2000), 3, 1500)
    open_meter.double.unregister()
    open_meter.until(lambda: not open_meter.modem.is_up, 500)
    assert not station.notify(1, 1, buf, 3, 8)


# --- Classes 80 to 86 ---------------------------------------------------------------------------


def test_addresses(open_meter):
    assert open_meter.value(80, "0.0.28.0.0", 2) == "120123"
    assert open_meter.value(80, "0.0.28.0.0", 3) == "120000"


VALUES = [
    (81, 1, 2, "120011"), (81, 1, 5, "120014"),
    (83, 3, 2, "100007"), (83, 3, 3, "1105"), (83, 3, 4, "1102"), (83, 3, 5, "09060080E1000001"),
    (83, 3, 6, "1601"), (83, 3, 7, "100064"), (83, 3, 13, "1103"), (83, 3, 14, "1200C7"),
    (84, 4, 2, "0600010203"), (84, 4, 3, "06FFFFFFFE"), (84, 4, 7, "0600000000"),
    (85, 5, 2, "0102" "02020F05100001" "02020F06100002"), (85, 5, 3, "0101100009"),
    (85, 5, 4, "0100"), (85, 5, 5, "010102050906" "0080E1000002" "1000030F010F500F07"),
    (85, 5, 6, "010102090906" "0080E1000009" "0F010F020F030F040F050F060F070F08"),
    (86, 7, 2, "0906" "5331342E3033"), (86, 7, 3, "12001C"), (86, 7, 4, "120002"),
]  # fmt: skip


def test_values_are_the_modems():
    meter = Meter(step_ms=20).up()
    meter.double.lists = {
        0x52: bytes.fromhex("050001 060002"),
        0x53: bytes.fromhex("0009"),
        0x56: bytes.fromhex("0080E1000002 0003 01 50 07"),
        0x57: bytes.fromhex("0080E1000009 0102030405060708"),
    }
    meter.run(20000)
    meter.ask(AARQ)
    for class_id, e, attribute, expected in VALUES:
        assert meter.value(class_id, "0.0.28.%d.0" % e, attribute) == expected, (
            class_id,
            attribute,
        )


def test_before_it_was_asked_there_is_nothing():
    meter = small.Meter(small.HERE / "definitions/prime.toml", handlers=None)
    t = meter.talk()
    t.open()
    for class_id, e, attribute, expected in VALUES:
        found = t.say(get(class_id, "0.0.28.%d.0" % e, attribute).hex())
        n = {"12": 4, "10": 4, "11": 2, "16": 2, "06": 8}.get(expected[:2], 2)
        assert found == "C401C100" + expected[:2] + "0" * n, found
    assert t.say(get(80, "0.0.28.0.0", 2).hex()) == "C401C10012FFFF"
    assert t.say(action(84, "0.0.28.4.0", 1).hex()).startswith("C701C1FA")


def test_what_a_client_sets_goes_to_the_modem(open_meter):
    open_meter.run(500)
    assert [m for m in open_meter.double.messages if m[0] == 0x31][:2] == [
        bytes.fromhex("310010 01 18"),
        bytes.fromhex("310011 01 02"),
    ]
    assert open_meter.ask(set_(82, "0.0.28.2.0", 6, b"\x11\x07")) == "C501C100"
    open_meter.run(500)
    assert open_meter.double.pib[0x14] == b"\x07"
    # A modem that was reset has its own again, and gets ours again.
    open_meter.double.power_on()
    open_meter.double.pib[0x14] = b"\x05"
    open_meter.until(lambda: not open_meter.modem.is_up, 3000).up().run(500)
    assert open_meter.double.pib[0x14] == b"\x07"


def test_counters_begin_anew():
    meter = Meter(step_ms=10).up().run(20000)
    meter.ask(AARQ)
    assert meter.ask(action(84, "0.0.28.4.0", 1)) == "C701C10000"
    assert meter.value(84, "0.0.28.4.0", 3) == "0600000000"
    meter.double.pib[0x40] = bytes.fromhex("00010302")
    meter.run(20000)
    assert meter.value(84, "0.0.28.4.0", 2) == "06000000FF"
    # The modem was reset: it counts from 0, and so do we.
    meter.double.pib[0x40] = bytes.fromhex("00000005")
    meter.run(20000)
    assert meter.value(84, "0.0.28.4.0", 2) == "0600000005"
    assert meter.ask(action(86, "0.0.28.7.0", 1)).startswith("C701C1")


def test_reset_of_the_sublayer_starts_the_modem_again(open_meter):
    assert open_meter.ask(action(80, "0.0.28.0.0", 1)) == "C701C10000"
    open_meter.until(lambda: not open_meter.modem.is_up, 1000).up()
    assert open_meter.ask(get(3, "1.0.1.8.0", 2)).startswith("D8")
