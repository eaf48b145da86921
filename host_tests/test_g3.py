# SPDX-License-Identifier: MIT
"""lib/profiles/g3.py, with a server, the driver of a G3 device and its double; and classes 90 to
92. Read as conversations: a client at the coordinator, and a meter.
"""

import pytest
import small
from doubles.meters import CLIENT, OWN, PORT, action, get, packet, set_
from doubles.meters import G3Meter as Meter

OTHER = bytes.fromhex("FE80000000000000781D00FFFE000009")
ALL_NODES = bytes.fromhex("FF020000000000000000000000000001")
PREFIX = bytes.fromhex("FD00000000000001")
AARQ = small.aarq(b"12345678")


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
    assert meter.ask(bytes.fromhex("6203800100")).startswith("63")
    station = meter.station
    assert (station.n_lost, station.llc.n_bad, station.n_foreign) == (0, 0, 0)


def test_an_answer_fits_into_a_packet(open_meter):
    row = open_meter.meter.model.find_any(bytes.fromhex("000100006001 09FF"), 0)
    open_meter.meter.model.write(row, 2, b"\x09\x82\x10\x00" + bytes(4096), 0, 4100)
    found = open_meter.ask(get(1, "0.0.96.1.9", 2))
    assert found.startswith("C402C100") and len(open_meter.double.sent[-1]) == 1280


def test_a_second_client_is_not_heard_while_the_first_is_there(open_meter):
    for options in ({"source": OTHER}, {"port": PORT + 1}):
        open_meter.say(AARQ, **options)
    open_meter.run(500)
    assert len(open_meter.double.sent) == 1 and open_meter.station.n_foreign == 2
    open_meter.ask(bytes.fromhex("6203800100"))
    assert open_meter.ask(AARQ, source=OTHER).startswith("61")


@pytest.mark.parametrize(
    "options, counter",
    [
        ({"own": OTHER}, "n_foreign"),
        ({"own": PREFIX + OWN[8:]}, "n_foreign"),
        ({"to": 4060}, "n_foreign"),
        ({"port": 0}, "n_foreign"),
        ({"own": ALL_NODES}, None),
        ({"sap": 9}, None),
    ],
)
def test_what_is_not_for_us_is_not_answered(meter, options, counter):
    meter.say(AARQ, **options)
    meter.run(500)
    assert meter.double.sent == []
    if counter:
        assert getattr(meter.station, counter) == 1


def test_garbage_is_counted(meter):
    for octets in (b"\x00", b"\x60" + bytes(60), packet(b"\x00\x01", CLIENT, OWN, wrong=5)):
        meter.double.hear(octets)
    meter.run(200)
    assert meter.double.sent == [] and meter.station.llc.n_bad == 3
    meter.double.hear(packet(b"\x00\x02\x00\x01", CLIENT, OWN, (PORT, 4059)))
    meter.run(200)
    assert meter.ask(AARQ).startswith("61")


def test_an_address_with_a_prefix():
    meter = Meter(prefix=PREFIX).up()
    own = PREFIX + OWN[8:]
    assert meter.ask(AARQ, own=own).startswith("61")
    assert meter.ask(get(3, "1.0.1.8.0", 2)).endswith("060001E240")
    with pytest.raises(ValueError):
        Meter(prefix=b"1")


def test_a_request_for_many_is_not_answered_and_what_follows_is(open_meter):
    open_meter.say(set_(8, "0.0.1.0.0", 3, bytes.fromhex("100001")), own=ALL_NODES)
    open_meter.run(300)
    assert len(open_meter.double.sent) == 1
    assert open_meter.value(3, "1.0.1.8.0", 2) == "060001E240"


def test_a_short_address_that_changes_ends_the_association(open_meter):
    double = open_meter.double
    double.short_address = 0x0077
    double.kick()
    open_meter.until(lambda: not open_meter.modem.is_up, 500).up()
    own = OWN[:14] + b"\x00\x77"
    assert open_meter.ask(get(3, "1.0.1.8.0", 2), own=own).startswith("D8")


def test_a_network_that_comes_back_finds_the_association(open_meter):
    open_meter.double.kick()
    open_meter.until(lambda: not open_meter.modem.is_up, 500).up()
    assert open_meter.value(3, "1.0.1.8.0", 2) == "060001E240"


def test_a_modem_that_was_reset_in_mid_answer(open_meter):
    open_meter.double.faults["reset_in_frame"] = 1
    open_meter.say(get(3, "1.0.1.8.0", 2))
    open_meter.until(lambda: not open_meter.modem.is_up, 70000)
    open_meter.until(lambda: open_meter.modem.is_up, 20000)
    assert open_meter.station.n_lost >= 1
    assert open_meter.value(3, "1.0.1.8.0", 2) == "060001E240"


def test_what_is_sent_unasked(meter):
    """To the coordinator, if nobody has asked yet; else to whoever did."""
    buf = bytearray(8) + b"\x0f\x00\x00\x00\x01\x00\x11\x07"
    wpdu = b"\x00\x01\x00\x01\x00\x01\x00\x08" + bytes(buf[8:])
    assert meter.station.notify(1, 1, buf, 8, 8)
    assert meter.answer() == packet(wpdu, OWN, CLIENT, (4059, 4059))
    assert meter.station.is_notifying() and not meter.station.notify(1, 1, buf, 8, 8)
    meter.run(500)
    assert not meter.station.is_notifying() and meter.station.llc.note_good
    assert meter.ask(AARQ, source=OTHER).startswith("61")
    meter.double.faults["full"] = 1
    assert meter.station.notify(1, 1, buf, 8, 8)
    meter.run(500)
    assert not meter.station.is_notifying() and not meter.station.llc.note_good
    assert meter.station.notify(1, 1, buf, 8, 8)
    assert meter.answer() == packet(wpdu, OWN, OTHER, (4059, PORT))
    assert not meter.station.notify(1, 1, bytearray(2000), 8, 1300)


def test_throughput():
    """Blocks of an answer of 12,000 octets, where the network takes 20 kbit/s and the modem 60 ms
    to turn around: nine tenths of what these allow."""
    meter = Meter(step_ms=1).up()
    meter.ask(AARQ)
    row = meter.meter.model.find_any(bytes.fromhex("000100006001 09FF"), 0)
    meter.meter.model.write(row, 2, b"\x09\x82\x2e\xe0" + bytes(12000), 0, 12004)
    rate, turn_ms = 20, 60  # bits a ms
    net = meter.double
    confirm = net.confirm

    def on_air(octets):
        return octets * 8 // rate + turn_ms

    net.confirm = lambda data: confirm(data, on_air(len(net.sent[-1])))
    meter.run(30000)  # values of the modem are read all the while
    began = meter.passed_ms
    allowed = taken = 0
    request = get(1, "0.0.96.1.9", 2)
    while True:
        n = len(request) + 56
        meter.say(request, after_ms=on_air(n))
        block = meter.answer()
        # It has to leave before the client can answer.
        meter.run(on_air(len(block)))
        allowed += on_air(n) + on_air(len(block))
        taken += len(block)
        if block[56 + 3 : 56 + 4] != b"\x00":
            break
        request = bytes.fromhex("C002C1") + block[56 + 4 : 56 + 8]
    spent = meter.passed_ms - began
    assert taken > 12000
    assert allowed / spent >= 0.9, (allowed, spent)


# --- Classes 90 to 92 ---------------------------------------------------------------------------

VALUES = [
    (90, 0, 2, "0600010203"), (90, 0, 8, "06FFFFFFFF"), (90, 0, 10, "0600000000"),
    (91, 1, 2, "120005"), (91, 1, 3, "120010"), (91, 1, 4, "12781D"), (91, 1, 6, "0600000123"),
    (91, 1, 25, "01010203120003115A11FF"),
    (92, 2, 8, "010202061200001200031200101102110112012C"
               "0206120003120003120008110111001201 00"),
    (92, 2, 10, "0100"), (92, 2, 11, "0100"), (92, 2, 12, "0101128001"), (92, 2, 21, "0100"),
]  # fmt: skip


def test_values_are_the_modems():
    meter = Meter(step_ms=20).up().run(40000)
    meter.ask(AARQ)
    for class_id, e, attribute, expected in VALUES:
        found = meter.value(class_id, "0.0.29.%d.0" % e, attribute)
        assert found == expected.replace(" ", ""), (class_id, attribute)


def test_before_it_was_asked_there_is_nothing():
    meter = small.Meter(small.HERE / "definitions/g3.toml", handlers=None)
    t = meter.talk()
    t.open()
    for class_id, e, attribute, expected in VALUES:
        found = t.say(get(class_id, "0.0.29.%d.0" % e, attribute).hex())
        n = {"12": 4, "06": 8}.get(expected[:2], 2)
        assert found == "C401C100" + expected[:2] + "0" * n, found
    assert t.say(action(90, "0.0.29.0.0", 1).hex()).startswith("C701C1FA")


def test_what_a_client_sets_goes_to_the_modem(open_meter):
    open_meter.run(3000)
    double = open_meter.double
    assert double.mac[0x110, 0] == bytes.fromhex("FFFFFFFFF000000000")
    assert (double.mac[0x47, 0], double.adp[0x12, 0]) == (b"\x08", b"\x01\x68")
    assert open_meter.ask(set_(91, "0.0.29.1.0", 20, b"\x11\x09")) == "C501C100"
    routing = bytes.fromhex(
        "0101020E 1114 120200 1101 1102 1103 1104 1105 1106 1107 1108 120009 0300 0301 110B"
    )
    assert open_meter.ask(set_(92, "0.0.29.2.0", 6, routing)) == "C501C100"
    open_meter.run(1000)
    assert double.mac[0x47, 0] == b"\x09"
    found = [double.adp[k, 0].hex() for k in (
        0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x1B, 0x18, 0x19, 0x1F, 0x0D, 0x09, 0x0A
    )]  # fmt: skip
    assert found == "14 0200 01 02 03 04 05 06 07 08 0009 00 01 0b".split()
    assert open_meter.station.attributes.n_refused == 0
    assert open_meter.ask(set_(92, "0.0.29.2.0", 6, b"\x01\x00")) == "C501C100"
    open_meter.run(1000)
    assert double.adp[0x11, 0] == b"\x14"


def test_counters_begin_anew():
    meter = Meter(step_ms=20).up().run(30000)
    meter.ask(AARQ)
    assert meter.ask(action(90, "0.0.29.0.0", 1)) == "C701C10000"
    assert meter.value(90, "0.0.29.0.0", 2) == "0600000000"
    meter.double.mac[0x101, 0] = bytes.fromhex("00010300")
    meter.run(30000)
    assert meter.value(90, "0.0.29.0.0", 2) == "06000000FD"
    assert not meter.ask(action(91, "0.0.29.1.0", 1)).startswith("C701C100")
