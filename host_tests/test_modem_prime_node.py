# SPDX-License-Identifier: MIT
"""lib/profiles/modems/prime_node.py and usi_modem.py against a double of a service node with
Microchip's modem firmware. Frames: test_modem_usi.py.
"""

import pytest
from doubles import local_frames, usi
from doubles.faults import play
from doubles.prime_node import SNA, Double
from doubles.wire import CONFIRM, DATA, DOWN, FAULT, UP, Bench
from profiles.modems import prime_node

ID = b"PRIME0000000001"
ADDRESS, BASE = 0x123, 0x000
SDU = bytes(range(0x60, 0x90))
LSAPS = 0x1001


def started(reset=True, identifier=ID):
    double = Double()
    modem = prime_node.Modem(double.uart, double.reset if reset else None, identifier)
    bench = Bench((modem, double), step_ms=2)
    bench.open()
    return modem, double, bench


def up():
    modem, double, bench = started()
    bench.until(UP, 6000)
    return modem, double, bench


def send(modem, sdu=SDU, destination=BASE):
    return modem.send(sdu, 0, len(sdu), destination, LSAPS)


def hear(double, sdu):
    double.hear(1, 0x10, sdu)


@pytest.mark.parametrize("reset", [True, False])
def test_it_registers_and_establishes_the_connection(reset):
    modem, double, bench = started(reset)
    assert send(modem) == 0
    bench.until(UP, 6000)
    assert (modem.address, modem.base_address, bytes(modem.sna)) == (ADDRESS, BASE, SNA)
    assert [m[0] for m in double.messages] == [0x2B, 0x33]
    assert double.messages[1] == b"\x33\x0f" + ID + b"\x00"


@pytest.mark.parametrize("identifier", [b"", bytes(33)])
def test_an_identifier_is_wanted(identifier):
    with pytest.raises(ValueError):
        started(identifier=identifier)


def test_it_sends():
    modem, double, bench = up()
    assert send(modem) == 1 and send(modem) == 0
    assert bench.until(CONFIRM, 500) == 0
    assert double.sent == [(0x10, 0x01, BASE, SDU)] and modem.n_sent == 1
    assert double.messages[-1] == b"\x37\x10\x01\x00\x00\x00\x30" + SDU + b"\x00"


def test_it_hears():
    modem, double, bench = up()
    double.hear(0x01, 0x10, SDU)
    assert bench.until(DATA, 500) == SDU
    assert (modem.source, modem.destination, modem.options) == (BASE, ADDRESS, 0x0110)


def test_the_longest():
    modem, double, bench = up()
    sdu = bytes(range(256)) * 3 + bytes(253)
    assert len(sdu) == modem.max_data == 1021
    assert send(modem, sdu) == 1 and bench.until(CONFIRM, 500) == 0
    assert double.sent[0][3] == sdu
    double.hear(1, 0x10, sdu)
    assert bench.until(DATA, 500) == sdu


@pytest.mark.parametrize(
    "n, destination, lsaps",
    [(0, 0, 0), (1022, 0, 0), (5, 0xFFFF, 0), (5, -1, 0), (5, 0, 0x10000)],
)
def test_what_can_never_be_sent(n, destination, lsaps):
    modem, _, _ = up()
    assert modem.send(bytes(1100), 0, n, destination, lsaps) == -1


@pytest.mark.parametrize("code, status", [(2, 1), (0x80, 2), (0xC0, 3), (0xC1, 3), (0xC2, 2)])
def test_codes_of_a_confirm(code, status):
    modem, double, bench = up()
    double.confirm = lambda data: double.say(data[:-1] + bytes((code,)))
    send(modem)
    assert bench.until(CONFIRM, 500) == status and modem.n_refused == 1


def test_who_is_not_known_asks_again():
    modem, double, bench = started()
    double.identifiers = {}
    bench.run(14000)
    assert bench.events == [] and not modem.is_up and modem.n_refused == 2
    double.identifiers = {ID: 0x124}
    bench.until(UP, 11000)
    assert modem.address == 0x124


def test_without_a_network_it_waits():
    modem, double, bench = started()
    double.network = False
    bench.run(100000)
    assert bench.events == [] and double.messages[-1] == b"\x2d\x00\x24"
    double.network = True
    bench.until(UP, 3000)


def test_it_loses_its_network_and_finds_it_again():
    modem, double, bench = up()
    double.unregister()
    assert bench.until(DOWN, 500) == 1
    assert not modem.is_up and modem.address == 0xFFFF and send(modem) == 0
    double.network = True
    bench.until(UP, 3000)


def test_the_base_node_releases_the_connection():
    modem, double, bench = up()
    send(modem)
    bench.run(20)
    double.release()
    assert bench.until(DOWN, 500) == 2
    assert bench.names()[-2:] == ["CONFIRM", "DOWN"]
    bench.until(UP, 3000)


def test_its_address_changes():
    modem, double, bench = up()
    double.identifiers[ID] = 0x456
    double.say(b"\x21" + SNA + b"\x02")
    bench.until(DOWN, 500)
    bench.until(UP, 1000)
    assert modem.address == 0x456


def test_a_reset_in_between_is_noticed():
    modem, double, bench = up()
    double.power_on()
    bench.until(DOWN, 5000)
    bench.until(UP, 1000)


def test_data_that_is_none_is_dropped():
    modem, double, bench = up()
    double.say(b"\x38\x01\x10\x01\x23\x00\x00\x00\x30" + SDU[:-1])
    double.say(b"\x38\x01\x10\x01")
    double.say(b"\x77")
    bench.run(100)
    assert bench.names() == ["UP"] and modem.n_stray == 3


# --- Attributes -------------------------------------------------------------------------------


def test_attributes_are_read_and_written():
    modem, double, bench = up()
    assert modem.read(0x0040) == 1 and modem.read(0x0020) == 0
    assert usi.value(modem, bench) == bytes.fromhex("00010203")
    assert modem.read(0x0FFF) == 1 and usi.value(modem, bench) is None
    assert modem.write(0x0014, 0, b"\x09", 0, 1) == 1
    usi.value(modem, bench)
    assert double.pib[0x0014] == b"\x09"
    assert modem.write(0x0014, 0, b"\x09\x09", 0, 2) == 1 and usi.value(modem, bench) is None
    assert modem.write(0x0014, 0, b"", 0, 0) == -1


def test_lists_are_read():
    modem, double, bench = up()
    double.lists[0x0052] = bytes(range(200))
    modem.read(0x0052)
    assert usi.value(modem, bench) == bytes(range(200))
    double.lists[0x0052] = bytes(300)
    modem.read(0x0052)
    assert usi.value(modem, bench) is None


def test_data_goes_before_attributes():
    modem, double, bench = up()
    modem.read(0x0040)
    send(modem)
    bench.until(CONFIRM, 500)
    assert double.messages[-1][0] == 0x37
    assert usi.value(modem, bench) is not None


# --- What goes wrong --------------------------------------------------------------------------

# Fault: how often, what the driver says while it sends and hears one message, what it counts.
FAULTS = {
    "split": (0, ["CONFIRM 0", "DATA"], ""),
    "merged": (0, ["CONFIRM 0", "DATA"], ""),
    "garbage": (2, ["CONFIRM 0", "DATA"], "usi.n_garbled"),
    "bad_check": (1, ["CONFIRM 4", "DATA"], "usi.n_garbled"),
    "cut": (1, ["CONFIRM 4", "DATA"], "n_no_answer"),
    "lost": (1, ["CONFIRM 4", "DATA"], "n_no_answer"),
    "reset_in_frame": (1, ["CONFIRM 1", "DOWN", "UP", "DATA"], "n_refused"),
    "late_confirm": (1, ["CONFIRM 4", "DATA"], "n_late"),
    "confirm_twice": (1, ["CONFIRM 0", "DATA"], "n_late"),
    "full": (1, ["CONFIRM 2", "DATA"], "n_refused"),
    "silence": (1, ["CONFIRM 4", "FAULT+", "UP", "DATA"], "n_faults"),
    "hangs": (1, ["CONFIRM 4", "FAULT", "UP", "DATA"], "n_faults"),
}


def test_every_fault_is_in_the_table():
    assert sorted(FAULTS) == sorted(usi.FAULTS)
    assert set(local_frames.FAULTS) <= set(usi.FAULTS) | set(usi.NOT_HERE)


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    play(name, FAULTS[name], up(), send, hear, SDU, 40000)


def test_a_modem_that_is_never_there_is_asked_less_and_less():
    modem, double, bench = started()
    double.silent_until = 1 << 40
    bench.step_ms = 20
    bench.run(600000)
    assert set(bench.names()) == {"FAULT"} and 8 <= len(bench.events) <= 20
    assert bench.events[0][3] == 4
    double.silent_until = 0
    bench.until(UP, 60000)
    assert FAULT not in [e[2] for e in bench.events[-1:]]
