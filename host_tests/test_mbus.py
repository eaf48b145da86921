# SPDX-License-Identifier: MIT
"""profiles/mbus.py: frames of the M-Bus, and what a master makes of what comes back.

Frames are those of the public "The M-Bus: A Documentation", rev. 4.8 (5.2 to 5.4, 6.4, 7.1).
"""

import random

import pytest
from doubles.water_meter import FAULTS, WaterMeter, bcd, long_frame
from on_mbus import Line
from profiles import mbus

NOTHING, ACKNOWLEDGED, ANSWER = 0, 1, 2
BUSY, GOOD, SILENT, DAMAGED, NO_DATA = -1, 0, 1, 2, 3
SND_NKE, REQ_UD2 = 0x40, 0x7B
ANSWERS = long_frame(bytes((0x08, 5, 0x72)) + bytes(12))


def sent(master):
    n = master.transmit(0)
    return bytes(master.out[:n]).hex().upper()


def master_after(c=REQ_UD2, address=5, want=ANSWER):
    master = mbus.Master()
    master.short(c, address, want)
    master.transmit(0)
    return master


def test_short_frames():
    master = mbus.Master()
    master.short(SND_NKE, 1, ACKNOWLEDGED)
    assert sent(master) == "1040014116"
    master.short(REQ_UD2, 1, ANSWER)
    assert sent(master) == "107B017C16"


def test_setting_a_primary_address():
    """Of 6.4.2, with address 0 for FE: the slave gets address 1."""
    master = mbus.Master()
    master.long(0x53, 0, 0x51, mbus.put(master.out, 7, b"\x01\x7a\x01") - 7, ACKNOWLEDGED)
    assert sent(master) == "680606685300 51017A0120 16".replace(" ", "")


def test_selecting_a_slave():
    """Of 7.1: number 14491001, manufacturer 1057, version 1, medium 6."""
    master = mbus.Master()
    n = mbus.secondary(master.out, 7, bytes.fromhex("14491001"), 0x4567, 1, 6) - 7
    master.long(0x53, 0xFD, 0x52, n, ACKNOWLEDGED)
    assert sent(master) == "680B0B6853FD520110491467450106C316"


def test_an_answer_octet_by_octet():
    master = master_after()
    assert master.result == BUSY
    for octet in ANSWERS:
        assert master.result == BUSY
        master.receive(bytes((octet,)), 0, 1, 0)
    assert master.result == GOOD and bytes(master.rx[: master.n]) == ANSWERS
    assert (master.sent, master.good, master.bad) == (1, 1, 0)


@pytest.mark.parametrize(
    "want, octets, result",
    [
        (ACKNOWLEDGED, b"\xe5", GOOD),
        (ANSWER, b"\xe5", NO_DATA),
        (ANSWER, ANSWERS, GOOD),
        (ANSWER, long_frame(b"\x38" + ANSWERS[5:-2]), GOOD),  # with ACD and DFC
        (ACKNOWLEDGED, ANSWERS, DAMAGED),
        (ANSWER, long_frame(b"\x08\x06\x72"), DAMAGED),  # of another slave
        (ANSWER, long_frame(b"\x48\x05\x72"), DAMAGED),  # of another master
        (ANSWER, b"\x68\x02\x02\x68\x08\x05\x0d\x16", DAMAGED),  # no CI
        (ANSWER, b"\x10\x08\x05\x0d\x16", DAMAGED),  # a short frame
        (ANSWER, b"", SILENT),
    ],
)
def test_what_may_come(want, octets, result):
    """The same each time: three times it is asked, unless that was an answer."""
    master = master_after(want=want)
    for n in range(1, 4):
        master.receive(octets, 0, len(octets), 0)
        if master.result < 0:
            master.tick(400 * n)
            master.transmit(400 * n)
    assert master.result == result
    assert master.sent == (1 if result in (GOOD, NO_DATA) else 3)
    assert (master.good, master.bad) == ((1, 0) if master.sent == 1 else (0, 3 * bool(octets)))


def test_whoever_answers():
    master = master_after(address=0xFE)
    master.receive(ANSWERS, 0, len(ANSWERS), 0)
    assert master.result == GOOD


def test_nobody_answers_a_broadcast():
    master = master_after(SND_NKE, 0xFF, NOTHING)
    assert master.result == GOOD
    assert master.receive(b"\xe5", 0, 1, 0) == 1 and master.result == GOOD


def test_patience_goes_with_the_speed():
    for bauds, patience_ms in ((300, 1300 + 183), (2400, 337 + 22), (38400, 208 + 1)):
        master = mbus.Master()
        master.configure(bauds)
        master.short(SND_NKE, 1, ACKNOWLEDGED)
        master.transmit(0)
        master.tick(patience_ms - 3)
        assert not master.transmit(patience_ms - 3)
        master.tick(patience_ms + 3)
        assert master.transmit(patience_ms + 3) == 5


def test_once():
    master = mbus.Master()
    master.short(REQ_UD2, 1, ANSWER)
    master.once()
    master.transmit(0)
    master.tick(1000)
    assert master.result == SILENT and master.sent == 1


def test_the_line_goes():
    master = master_after()
    master.reset()
    assert master.result == SILENT
    master = mbus.Master()
    master.short(REQ_UD2, 1, ANSWER)
    master.reset()  # it has just come up: the frame is still to be sent
    assert master.result == BUSY and master.transmit(0) == 5


@pytest.mark.parametrize("fault", FAULTS)
def test_with_the_double(fault):
    """An answer that goes wrong twice; the third time it is the one of the first time."""
    slave = WaterMeter(address=5)
    line = Line(slave)
    line.master.short(SND_NKE, 5, ACKNOWLEDGED)
    assert line.run() == GOOD
    slave.fault, slave.faults_left = fault, 2
    line.master.short(REQ_UD2, 5, ANSWER)
    assert line.run() == GOOD
    assert slave.access_number == 1
    rx = bytes(line.master.rx[: line.master.n])
    assert rx[7:11] == bcd(12345678, 4) and rx[6] == 0x72


def test_any_octets():
    """Whatever comes, it ends, and what is good is heard after it."""
    rng = random.Random(1)
    for _ in range(300):
        master = master_after()
        now_ms = 0
        noise = bytes(rng.choice((0x68, 0xE5, 0x16, 3, rng.randrange(256))) for _ in range(40))
        for _ in range(4):
            if master.result < 0:
                master.receive(noise, 0, len(noise), now_ms)
                now_ms += 1000
                master.tick(now_ms)
                master.transmit(now_ms)
        assert master.result in (DAMAGED, NO_DATA)
        master.short(REQ_UD2, 5, ANSWER)
        master.transmit(now_ms)
        master.receive(ANSWERS, 0, len(ANSWERS), now_ms)
        assert master.result == GOOD
