# SPDX-License-Identifier: MIT
"""lib/profiles/modems/amis49587.py and stx.py against a double of the modem, octet by octet.

Vectors of local frames: the examples of ST's manual UM0934. The table of what happens in which
state of an exchange is written out here a second time, in words.
"""

import pytest
from doubles import local_frames
from doubles.amis49587 import Double
from doubles.faults import play
from doubles.wire import CONFIRM, DATA, DOWN, FAULT, UP, Bench
from profiles.modems import amis49587, local_modem, stx

INITIATOR, ADDRESS = 0xC00, 0x012
SDU = b"\x90\x01\x01" + bytes(range(40))


def started(reset=True):
    double = Double()
    modem = amis49587.Modem(double.uart, double.t_req, double.reset if reset else None)
    bench = Bench((modem, double))
    bench.open()
    bench.run(800)
    assert double.config is not None and bench.events == []
    return modem, double, bench


def up():
    modem, double, bench = started()
    modem.set(0x01, ADDRESS, INITIATOR)
    double.synchronize(INITIATOR, ADDRESS)
    bench.until(UP, 500)
    bench.run(100)
    return modem, double, bench


def send(modem, sdu=SDU, destination=INITIATOR, credits=0):
    return modem.send(sdu, 0, len(sdu), destination, credits)


def hear(double, sdu):
    double.hear(INITIATOR, ADDRESS, sdu)


def synchronize(double):
    if double.config is not None and double.synchronized is None:
        double.synchronize(INITIATOR, ADDRESS)


# --- Frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command, text", [(0x41, "0209410100010000 0C5800"), (0x42, "0209420100010000 0C5900")]
)
def test_frames_of_the_manual(command, text):
    """UM0934: own address 1 and initiator C00 go to the data base."""
    buf = bytearray(b"\xaa\xaa\xaa\x01\x00\x01\x00\x00\x0c\xaa\xaa")
    assert stx.frame(buf, 0, command, 6, False) == 11
    assert buf == bytes.fromhex(text)


def test_the_length_of_an_st7580_frame_is_that_of_its_data():
    buf = bytearray(b"\xaa\xaa\xaa\x00\x11\xaa\xaa")
    assert stx.frame(buf, 0, 0x08, 2, True) == 7
    assert buf == bytes.fromhex("02 02 08 00 11 1B 00")


def test_a_setting_is_the_frame_of_the_manual():
    modem, double, bench = started()
    double.uart.heard()
    modem.set(0x01, 0x001, 0xC00)
    octets = bytearray()
    for _ in range(50):
        octets += bytes(double.uart.from_host)
        bench.turn()
    assert modem.address == 1 and double.data_base == {1: bytes.fromhex("0100000C")}
    assert double.frames[-1] == (0x41, bytes.fromhex("01000100000C"))


# --- Starting -----------------------------------------------------------------------------------


def test_it_is_reset_and_configured():
    modem, double, bench = started()
    assert [f[0] for f in double.frames] == [0x71]
    # FIMA, LIMA, NEW, no initiator, time-outs; slave at 38400 and 50 Hz.
    assert double.config[:14] == bytes.fromhex("000CFF0DFE0F00001E002D003C00")
    assert double.config[30] == 0x16 and len(double.config) == 36
    assert not modem.is_up and send(modem) == 0


def test_without_a_pin_it_is_reset_by_a_command():
    _, double, _ = started(reset=False)
    assert [f[0] for f in double.frames] == [0x21, 0x71]


def test_settings_stay_over_open():
    modem, double, bench = started()
    for item, a, b in ((2, 20, 0), (5, 3, 0xE05), (0xC, 6330, 7400), (0xF, 1, 0), (0x11, 600, 0)):
        assert modem.set(item, a, b) == 1
    bench.open()
    bench.run(800)
    config = double.config
    assert config[8:10] == b"\x14\x00" and config[20:22] == b"\x05\x0e"
    assert config[24:28] == bytes.fromhex("E81CBA18") and config[29] == 0x80
    assert config[34:] == b"\x58\x02"


@pytest.mark.parametrize(
    "item, a, b", [(0x15, 1, 0), (0x77, 0, 0), (5, 5, 1), (5, 0, 0x1000), (0xB, 3, 0), (2, -1, 0)]
)
def test_what_it_does_not_have_it_refuses(item, a, b):
    modem, _, _ = started()
    assert modem.set(item, a, b) == -1


def test_a_wrong_echo_is_no_configuration():
    double = Double()
    double.wrong_echo = 1
    modem = amis49587.Modem(double.uart, double.t_req, double.reset)
    bench = Bench((modem, double))
    bench.open()
    assert bench.until(FAULT, 1000) == 4
    bench.run(5000)
    assert bench.names() == ["FAULT"] and [f[0] for f in double.frames] == [0x71, 0x71]
    assert modem.n_faults == 1


# --- Data ---------------------------------------------------------------------------------------


def test_it_sends():
    modem, double, bench = up()
    assert modem.is_up and modem.initiator == INITIATOR
    assert send(modem, credits=0x24) == 1
    assert send(modem) == 0
    assert bench.until(CONFIRM, 500) == 0
    assert double.sent == [bytes.fromhex("24 012C00 00") + SDU]
    assert send(modem) == 1 and modem.n_sent == 1


def test_it_hears():
    modem, double, bench = up()
    double.hear(INITIATOR, ADDRESS, SDU, credits=0xA2)
    assert bench.until(DATA, 100) == SDU
    assert (modem.source, modem.destination, modem.options) == (INITIATOR, ADDRESS, 0xA2)
    assert (modem.quality, modem.n_ok) == (-1, 1)


def test_the_longest():
    modem, double, bench = up()
    sdu = bytes(242)
    assert send(modem, sdu) == 1 and bench.until(CONFIRM, 500) == 0
    double.hear(INITIATOR, ADDRESS, sdu)
    assert bench.until(DATA, 300) == sdu


@pytest.mark.parametrize(
    "n, destination, credits", [(0, 1, 0), (243, 1, 0), (5, 0, 0), (5, 0x1000, 0), (5, 1, 256)]
)
def test_what_can_never_be_sent(n, destination, credits):
    modem, _, _ = up()
    assert modem.send(bytes(300), 0, n, destination, credits) == -1


@pytest.mark.parametrize("code, status", [(0x00, 1), (0x03, 3), (0x0A, 3), (0x14, 2), (0x1E, 2)])
def test_codes_of_a_confirm(code, status):
    modem, double, bench = up()
    double._data = lambda data: double.send(0x52, bytes((code,)))
    send(modem)
    assert bench.until(CONFIRM, 300) == status


def test_loss_of_synchronization():
    modem, double, bench = up()
    double.lose(3)
    assert bench.until(DOWN, 100) == 3
    assert not modem.is_up and send(modem) == 0
    double.synchronize(INITIATOR, ADDRESS)
    bench.until(UP, 200)


def test_what_was_taken_and_not_handed_over_is_confirmed_before_down():
    modem, double, bench = up()
    double.lose(1)
    assert send(modem) == 1
    assert bench.until(DOWN, 300) == 1
    assert [e[2:] for e in bench.events[-2:]] == [(CONFIRM, 1), (DOWN, 1)]


def test_synchronization_is_lost_as_was_asked_for():
    modem, double, bench = up()
    assert modem.set(0x09, 0, 0) == 1
    assert bench.until(DOWN, 200) == 5


def test_what_it_said_and_nobody_heard_is_seen_at_the_next_look():
    modem, double, bench = up()
    double.synchronized = None
    assert bench.until(DOWN, 11000) == 0
    double.synchronized = (INITIATOR, ADDRESS)
    bench.until(UP, 11000)
    assert send(modem) == 1 and bench.until(CONFIRM, 500) == 0


def test_status_is_looked_at_now_and_then():
    modem, _, bench = up()
    bench.run(11000)
    assert (modem.delta_phase, modem.min_delta_credit, modem.is_repeater) == (3, 2, True)
    assert bench.names() == ["UP"]


def test_damaged_frames_of_the_line_are_counted():
    modem, double, bench = up()
    double.send(0x53, b"\x00")
    bench.run(50)
    assert modem.n_bad == 1 and bench.names() == ["UP"]


def test_a_reset_in_between_is_noticed():
    modem, double, bench = up()
    double.power_on()
    double.is_reset()
    bench.until(FAULT, 11000)
    assert not modem.is_up
    bench.run(3000)
    assert double.config is not None and modem.n_faults == 1


def test_a_repeater_call_is_not_known():
    assert up()[0].call(0, 10, 100) == -1


# --- What goes wrong ----------------------------------------------------------------------------

# Fault: how often, what the driver says while it sends and hears one frame, what it counts.
FAULTS = {
    "busy": (3, ["CONFIRM 0", "DATA"], "n_busy"),
    "nak": (2, ["CONFIRM 0", "DATA"], "n_nak"),
    "lost_ack": (1, ["CONFIRM 0", "DATA"], "n_retries"),
    "split": (0, ["CONFIRM 0", "DATA"], ""),
    "merged": (0, ["CONFIRM 0", "DATA"], ""),
    "garbage": (2, ["CONFIRM 0", "DATA"], "n_stray"),
    "bad_checksum": (1, ["CONFIRM 0", "DATA"], "n_garbled"),
    # Frames of the modem are not repeated if nobody answers: what was cut is lost.
    "cut": (1, ["CONFIRM 4", "DATA"], "n_garbled"),
    "reset_in_frame": (1, ["CONFIRM 4", "FAULT", "UP", "DATA"], "n_faults"),
    "late_confirm": (1, ["CONFIRM 4", "DATA"], "n_late"),
    "confirm_twice": (1, ["CONFIRM 0", "DATA"], "n_late"),
    "full": (1, ["CONFIRM 2", "DATA"], "n_busy"),
    "silence": (1, ["CONFIRM 4", "FAULT+", "UP", "DATA"], "n_no_answer"),
    "hangs": (1, ["CONFIRM 4", "FAULT", "UP", "DATA"], "n_faults"),
    "our_ack_lost": (1, ["CONFIRM 0", "DATA"], "n_late"),
}


def test_every_fault_is_in_the_table():
    assert sorted(FAULTS) == sorted(local_frames.FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    play(name, FAULTS[name], up(), send, hear, SDU, 12000, (9, 30), synchronize)


def test_a_modem_that_is_never_there_is_asked_less_and_less():
    double = Double()
    double.silent_until = 1 << 40
    modem = amis49587.Modem(double.uart, double.t_req, double.reset)
    bench = Bench((modem, double), step_ms=5)
    bench.open()
    bench.run(300000)
    assert set(bench.names()) == {"FAULT"} and 8 <= len(bench.events) <= 14


# --- The limit between characters ---------------------------------------------------------------


class Paced:
    """A UART at 38400 baud with a FIFO of 64 octets each way, which is all that a board has while
    its loop is elsewhere. times: when each octet has left it, in ms; lost: what had no room."""

    octets_a_ms = 4
    fifo_len = 64

    def __init__(self, wire):
        self.wire = wire
        self.out, self.came = bytearray(), bytearray()
        self.times = []
        self.lost = 0

    def readinto(self, buf):
        n = min(len(self.came), len(buf))
        buf[:n] = self.came[:n]
        del self.came[:n]
        return n

    def write(self, buf, pos, n):
        n = min(n, self.fifo_len - len(self.out))
        self.out += buf[pos : pos + n]
        return n

    def tick(self, ms):
        octets = self.out[: self.octets_a_ms]
        del self.out[: self.octets_a_ms]
        self.wire.write(octets, 0, len(octets))
        self.times += [(ms, octet) for octet in octets]
        octets = self.wire.to_host[: self.octets_a_ms]
        del self.wire.to_host[: self.octets_a_ms]
        room = self.fifo_len - len(self.came)
        self.came += octets[:room]
        self.lost += len(octets[room:])


@pytest.mark.parametrize("loop_ms", [1, 5, 10])
def test_10_ms_between_characters_are_kept_by_chunks(loop_ms):
    """The driver is polled each 10 ms at most, as links/plc.py does it: frames of 250 octets come
    in whole, and within none that goes out is a pause of more than 10 ms."""
    double = Double()
    uart = Paced(double.uart)
    modem = amis49587.Modem(uart, double.t_req, double.reset)
    events, sdus = [], []
    long = bytes(range(242))

    def run(ms):
        for _ in range(ms):
            run.now += 1
            double.turn(run.now)
            uart.tick(run.now)
            if not run.now % loop_ms:
                event = modem.poll(run.now)
                while event:
                    events.append(event)
                    if event == DATA:
                        sdus.append(bytes(modem.buf[modem.pos : modem.end]))
                    event = modem.poll(run.now)

    run.now = 0
    modem.open(0)
    run(1500)
    modem.set(0x01, ADDRESS, INITIATOR)
    double.synchronize(INITIATOR, ADDRESS)
    run(1000)
    assert modem.is_up
    begin = len(uart.times)
    assert send(modem, long) == 1
    run(1000)
    assert events[-1] == CONFIRM and double.sent[-1].endswith(long)
    hear(double, long[::-1])
    run(1000)
    assert sdus == [long[::-1]] and uart.lost == 0
    frames = b"".join(bytes((octet,)) for _, octet in uart.times[begin:])
    at = begin + frames.index(long) - 8  # the frame begins with STX, length, command and MAC head
    times = [ms for ms, _ in uart.times[at : at + len(long) + 10]]
    assert max(b - a for a, b in zip(times, times[1:])) <= 10
    assert modem.n_garbled == modem.n_retries == modem.n_faults == 0


# --- States of an exchange ----------------------------------------------------------------------

STATES = ("IDLE", "PAUSE", "ASKED", "SENT", "ANSWER")
# What happens: the state that follows from each of them, and the counter that says so.
TABLE = {
    "ready": ("IDLE n_stray", "PAUSE n_stray", "SENT", "SENT n_stray", "ANSWER n_stray"),
    "busy": ("IDLE n_stray", "PAUSE n_stray", "PAUSE n_busy", "SENT n_stray", "ANSWER n_stray"),
    "ack": ("IDLE n_stray", "PAUSE n_stray", "ASKED n_stray", "ANSWER", "ANSWER n_stray"),
    "nak": ("IDLE n_stray", "PAUSE n_stray", "ASKED n_stray", "PAUSE n_nak", "ANSWER n_stray"),
    "answer": ("IDLE n_late", "IDLE n_frames", "IDLE n_frames", "IDLE n_frames", "IDLE n_frames"),
    "time": ("IDLE", "ASKED", "PAUSE n_retries", "PAUSE n_retries", "IDLE n_no_answer"),
}
OCTETS = {
    "ready": b"\x3f\x00\x00\x00",
    "busy": b"\x3f\x01\x00\x00",
    "ack": b"\x06",
    "nak": b"\x15",
    "answer": Double().pack(0x42, b"\x02\x00\x1e\x00"),
    "time": b"",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("what", TABLE)
def test_what_happens_in_which_state(what, state):
    double = Double()
    modem = amis49587.Modem(double.uart, double.t_req, double.reset)
    modem._enter_phase(local_modem._RUN, 0)
    now = 1000
    modem.set(0x02, 30, 0)
    modem.poll(now)
    assert modem.state == 2 and double.t_req() == 0
    if state in ("SENT", "ANSWER"):
        double.uart.to_host += OCTETS["ready"]
        modem.poll(now)
    if state == "ANSWER":
        double.uart.to_host += OCTETS["ack"]
        modem.poll(now)
    if state == "PAUSE":
        double.uart.to_host += OCTETS["busy"]
        modem.poll(now)
    if state == "IDLE":
        double.uart.to_host += OCTETS["answer"]
        modem.poll(now)
        now += 1
    assert STATES[modem.state] == state
    follows, _, counter = TABLE[what][STATES.index(state)].partition(" ")
    before = getattr(modem, counter) if counter else 0
    double.uart.to_host += OCTETS[what]
    modem.poll(now + (1000 if what == "time" else 0))
    assert STATES[modem.state] == follows
    assert not counter or getattr(modem, counter) == before + 1
    assert double.t_req() == (1 if follows in ("IDLE", "PAUSE", "SENT", "ANSWER") else 0)
