# SPDX-License-Identifier: MIT
"""lib/profiles/modems/g3_adp.py against a double of a G3 device with Microchip's modem firmware.
Frames: test_modem_usi.py; what all modems with USI do: test_modem_prime_node.py.
"""

import pytest
from doubles import usi
from doubles.faults import play
from doubles.g3_adp import Double
from doubles.wire import CONFIRM, DATA, DOWN, FAULT, UP, Bench
from profiles.modems import g3_adp

SDU = b"\x60" + bytes(range(100))
EUI64 = bytes.fromhex("0080E10000000001")
KEY = bytes(range(16))


def started(**options):
    double = Double()
    modem = g3_adp.Modem(double.uart, double.reset, **options)
    bench = Bench((modem, double), step_ms=2)
    bench.open()
    return modem, double, bench


def up(**options):
    modem, double, bench = started(**options)
    bench.until(UP, 10000)
    return modem, double, bench


def send(modem, sdu=SDU, options=0):
    return modem.send(sdu, 0, len(sdu), -1, options)


def test_it_joins():
    modem, double, bench = up(eui64=EUI64, key=KEY)
    assert (modem.address, modem.pan, modem.n_joined) == (0x0005, 0x781D, 1)
    assert [m[0] for m in double.messages] == [0x10, 0x0A, 0x16, 0x11, 0x0C, 0x0E]
    assert double.messages[1] == b"\x0a\x00\x00"
    assert double.messages[2] == bytes.fromhex("16 08000001 0000 08") + EUI64
    assert double.messages[3] == bytes.fromhex("11 080000C2 0000 10") + KEY
    assert double.messages[5] == bytes.fromhex("0E 781D 0000")


def test_the_network_with_the_lowest_cost_is_joined():
    modem, double, bench = started()
    double.networks = [(0x1001, 90, 5, 40), (0x781D, 40, 3, 16), (0x1002, 80, 4, 30)]
    bench.until(UP, 10000)
    assert double.messages[-1] == bytes.fromhex("0E 781D 0003")


def test_hybrid_firmware_is_told_the_medium():
    modem, double, bench = started(hybrid=True)
    double._join = lambda pan, lba: None
    double.takes = lambda command, data, takes=double.takes: (
        command != 0x0E and takes(command, data)
    )
    bench.run(10000)
    assert double.messages[-1] == bytes.fromhex("0E 781D 0000 00")


@pytest.mark.parametrize("options", [{"eui64": b"1"}, {"key": b"1"}])
def test_keys_have_their_lengths(options):
    with pytest.raises(ValueError):
        started(**options)


def test_the_wrong_key_is_refused_and_it_goes_on_looking():
    modem, double, bench = started(key=KEY)
    double.key = bytes(16)
    bench.run(20000)
    assert bench.events == [] and modem.n_refused >= 2
    double.key = KEY
    bench.until(UP, 20000)


def test_without_a_network_it_goes_on_looking():
    modem, double, bench = started()
    networks, double.networks = double.networks, []
    bench.run(60000)
    assert bench.events == []
    double.networks = networks
    bench.until(UP, 20000)


def test_it_sends():
    modem, double, bench = up()
    assert send(modem, options=1) == 1 and send(modem) == 0
    assert bench.until(CONFIRM, 500) == 0
    assert double.sent == [SDU]
    assert double.messages[-1] == bytes.fromhex("0B 01 01 01 0065") + SDU


def test_it_hears():
    modem, double, bench = up()
    double.hear(SDU, lqi=77)
    assert bench.until(DATA, 500) == SDU
    assert (modem.quality, modem.source, modem.n_ok) == (77, -1, 1)


def test_the_longest():
    modem, double, bench = up()
    sdu = bytes(range(256)) * 5
    assert send(modem, sdu) == 1 and bench.until(CONFIRM, 500) == 0
    assert double.sent == [sdu]
    double.hear(sdu)
    assert bench.until(DATA, 500) == sdu


@pytest.mark.parametrize("n, options", [(0, 0), (1281, 0), (5, 2)])
def test_what_can_never_be_sent(n, options):
    assert up()[0].send(bytes(1300), 0, n, -1, options) == -1


@pytest.mark.parametrize("code, status", [(0xA1, 2), (0xA3, 3), (0xA5, 1), (0xA6, 1)])
def test_codes_of_a_confirm(code, status):
    modem, double, bench = up()
    double.confirm = lambda data: double.say(data[:1] + bytes((code,)) + data[2:])
    send(modem)
    assert bench.until(CONFIRM, 500) == status


def test_a_full_buffer_is_waited_for():
    modem, double, bench = up()
    double.say(b"\x2f\x00")
    bench.run(50)
    assert send(modem) == 0
    double.say(b"\x2f\x01")
    bench.run(50)
    assert send(modem) == 1
    bench.until(CONFIRM, 500)
    double.say(b"\x2f\x00")
    bench.run(11000)
    assert send(modem) == 1


def test_it_is_made_to_leave_and_joins_again():
    modem, double, bench = up()
    send(modem)
    bench.run(20)
    double.kick()
    assert bench.until(DOWN, 500) == 1 and bench.names()[-2:] == ["CONFIRM", "DOWN"]
    assert not modem.is_up and modem.address == 0xFFFF and send(modem) == 0
    double.short_address = 0x0077
    bench.until(UP, 20000)
    assert modem.address == 0x0077


def test_that_it_had_to_leave_is_noticed_when_nobody_said_so():
    modem, double, bench = up()
    double.kick(False)
    assert bench.until(DOWN, 40000) == 1 and modem.n_faults == 0
    bench.until(UP, 20000)
    assert modem.n_joined == 2


def test_a_reset_in_between_is_noticed():
    modem, double, bench = up()
    double.power_on()
    assert bench.until(FAULT, 40000) == 4
    bench.until(UP, 20000)


def test_what_means_nothing_to_it_is_dropped():
    modem, double, bench = up()
    for message in (
        "1F3200FF01",
        "1F",
        "20781D0200000200A10000",
        "31",
        "32",
        "3300",
        "77",
        "0000",
    ):
        double.say(bytes.fromhex(message))
    bench.run(200)
    assert bench.names() == ["UP"] and modem.n_stray == 2 and modem.n_late == 1


def test_the_confirm_of_something_before_is_none_of_this():
    modem, double, bench = up()
    send(modem)
    bench.run(20)
    double.say(b"\x1e\xa5\x00")
    assert bench.until(CONFIRM, 500) == 0 and modem.n_late == 1


def test_attributes_of_both_layers():
    modem, double, bench = up()
    assert modem.read(0x0F) == 1 and usi.value(modem, bench) == b"\x08"
    assert modem.read(0x8101) == 1 and usi.value(modem, bench) == bytes.fromhex("00010203")
    assert double.messages[-1] == bytes.fromhex("17 00000101 0000")
    assert modem.read(0x0C, 5) == 1 and usi.value(modem, bench) is None
    assert modem.write(0x0F, 0, b"\x09", 0, 1) == 1 and usi.value(modem, bench) == b"\x09"
    assert double.adp[0x0F, 0] == b"\x09"
    assert modem.write(0x0F, 0, b"\x09\x09", 0, 2) == 1 and usi.value(modem, bench) is None


# Fault: how often, what the driver says while it sends and hears one message, what it counts.
FAULTS = {
    "split": (0, ["CONFIRM 0", "DATA"], ""),
    "merged": (0, ["CONFIRM 0", "DATA"], ""),
    "garbage": (2, ["CONFIRM 0", "DATA"], "usi.n_garbled"),
    "bad_check": (1, ["CONFIRM 4", "DATA"], "usi.n_garbled"),
    "cut": (1, ["CONFIRM 4", "DATA"], "n_no_answer"),
    "lost": (1, ["CONFIRM 4", "DATA"], "n_no_answer"),
    "reset_in_frame": (1, ["CONFIRM 4", "FAULT", "UP", "DATA"], "n_faults"),
    "late_confirm": (1, ["CONFIRM 4", "DATA"], "n_late"),
    "confirm_twice": (1, ["CONFIRM 0", "DATA"], "n_late"),
    "full": (1, ["CONFIRM 2", "DATA"], "n_refused"),
    "silence": (1, ["CONFIRM 4", "FAULT+", "UP", "DATA"], "n_faults"),
    "hangs": (1, ["CONFIRM 4", "FAULT", "UP", "DATA"], "n_faults"),
}


def test_every_fault_is_in_the_table():
    assert sorted(FAULTS) == sorted(usi.FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    play(name, FAULTS[name], up(), send, Double.hear, SDU, 50000)
