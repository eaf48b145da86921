# SPDX-License-Identifier: MIT
"""lib/profiles/modems/st7580.py against a double of the modem, octet by octet; and two of them at
the two ends of a line. What a local frame looks like: test_modem_amis49587.py.
"""

import pytest
from doubles import local_frames
from doubles.faults import play
from doubles.st7580 import Double
from doubles.wire import CONFIRM, DATA, FAULT, UP, Bench
from profiles.modems import st7580

SDU = bytes(range(100))
# Of a public driver of the shield: 86 and 72 kHz, FSK deviation and baud rate, gains, thresholds.
PHY = bytes.fromhex("01C908018E700E15000002359B58")


def up(reset=True, phy=b""):
    double = Double()
    modem = st7580.Modem(double.uart, double.t_req, double.reset if reset else None, phy)
    bench = Bench((modem, double))
    bench.open()
    bench.until(UP, 4000)
    bench.run(100)
    return modem, double, bench


def send(modem, sdu=SDU, options=0):
    return modem.send(sdu, 0, len(sdu), 0, options)


@pytest.mark.parametrize("reset", [True, False])
def test_it_is_reset_and_set_up(reset):
    modem, double, bench = up(reset)
    assert modem.is_up and double.mib == {0: b"\x11"} and bench.names() == ["UP"]
    assert [f[0] for f in double.frames] == ([] if reset else [0x3C]) + [0x08]


def test_the_physical_layer_is_set_up_before():
    _, double, bench = up(phy=PHY)
    assert [f[1][:1] for f in double.frames] == [b"\x01", b"\x00"] and double.mib[1] == PHY


def test_half_a_physical_layer_is_none():
    with pytest.raises(ValueError):
        st7580.Modem(None, None, None, PHY[:-1])


def test_it_sends_and_hears():
    modem, double, bench = up()
    assert send(modem, options=0xC0) == 1 and send(modem) == 0
    assert bench.until(CONFIRM, 1000) == 0
    assert double.sent == [b"\xc0" + SDU] and modem.n_sent == 1
    double.hear(SDU)
    assert bench.until(DATA, 1000) == SDU and modem.n_ok == 1


@pytest.mark.parametrize("n, options", [(0, 0), (243, 0), (5, 0x08), (5, 0x04), (5, 0x100)])
def test_what_can_never_be_sent(n, options):
    modem, _, _ = up()
    assert modem.send(bytes(300), 0, n, 0, options) == -1


def test_a_refused_mib_is_a_fault():
    modem, double, bench = up()
    double.takes = lambda command, data: double.send(0x0B, b"\x02")
    bench.open()
    bench.until(FAULT, 3000)
    del double.takes
    bench.until(UP, 6000)


def test_what_it_does_not_understand_is_refused():
    modem, double, bench = up()
    double.mib = {}
    send(modem)
    assert bench.until(CONFIRM, 1000) == 3


# Fault: how often, what the driver says while it sends and hears one frame, what it counts.
FAULTS = {
    "busy": (3, ["CONFIRM 0", "DATA"], "n_busy"),
    "nak": (2, ["CONFIRM 0", "DATA"], "n_nak"),
    "lost_ack": (1, ["CONFIRM 0", "DATA"], "n_retries"),
    "split": (0, ["CONFIRM 0", "DATA"], ""),
    "merged": (0, ["CONFIRM 0", "DATA"], ""),
    "garbage": (2, ["CONFIRM 0", "DATA"], "n_stray"),
    "bad_checksum": (1, ["CONFIRM 0", "DATA"], "n_garbled"),
    "cut": (1, ["CONFIRM 4", "DATA"], "n_garbled"),
    "reset_in_frame": (1, ["CONFIRM 4", "FAULT", "UP", "DATA"], "n_faults"),
    "late_confirm": (1, ["CONFIRM 4", "DATA"], "n_late"),
    "confirm_twice": (1, ["CONFIRM 0", "DATA"], "n_late"),
    "full": (1, ["CONFIRM 1", "DATA"], ""),
    "silence": (1, ["CONFIRM 4", "FAULT+", "UP", "DATA"], "n_no_answer"),
    "hangs": (1, ["CONFIRM 4", "FAULT", "UP", "DATA"], "n_faults"),
    "our_ack_lost": (1, ["CONFIRM 0", "DATA"], "n_twice"),
}


def test_every_fault_is_in_the_table():
    assert sorted(FAULTS) == sorted(local_frames.FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    play(name, FAULTS[name], up(), send, Double.hear, SDU, 12000, (26, 150))


def test_a_lost_acknowledgement_sends_nothing_twice():
    modem, double, bench = up()
    double.faults["lost_ack"] = 1
    send(modem)
    assert bench.until(CONFIRM, 1000) == 0
    assert len(double.sent) == 1


def test_two_of_them_on_a_line():
    doubles = [Double(), Double()]
    doubles[0].line, doubles[1].line = doubles[1], doubles[0]
    modems = [st7580.Modem(d.uart, d.t_req, d.reset) for d in doubles]
    bench = Bench(*zip(modems, doubles))
    bench.open()
    bench.run(2000)
    assert bench.names(0) == bench.names(1) == ["UP"]
    for number in (0, 1):
        assert send(modems[number], b"from %d" % number) == 1
        assert bench.until(DATA, 1000, 1 - number) == b"from %d" % number
        bench.run(500)
    assert bench.names(0) == ["UP", "CONFIRM", "DATA"]
