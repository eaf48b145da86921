# SPDX-License-Identifier: MIT
"""lib/profiles/st7580.py: two boards on a bench line. One has a meter, the other a client of HDLC;
each has the driver of an ST7580 and its double, and the doubles are joined back to back.
"""

import pytest
import small
from doubles.meters import Bench

AARQ = small.aarq(b"12345678")
ACTION = bytes.fromhex("C301C1000900000A0064FF0101120001")
LOST = 5  # state of profiles/client.py
GET = bytes.fromhex("C001C1000100002A0000FF0200")  # logical device name


def test_a_client_reads_a_meter():
    bench = Bench()
    assert bench.ask(AARQ).startswith("6129A109060760857405080101A203020100")
    assert bench.ask(GET).startswith("C401C10009")
    assert bench.ask(bytes.fromhex("6203800100")).startswith("63")
    assert bench.station.n_lost == 0
    # Every frame that went over the line is one of HDLC, whole.
    for double in bench.doubles:
        for frame in double.sent:
            assert frame[1:3] == b"\x7e\xa0" and frame[-1] == 0x7E and len(frame) <= 243


def test_long_answers_take_several_frames():
    bench = Bench()
    bench.ask(AARQ)
    n = len(bench.doubles[1].sent)
    found = bench.ask(bytes.fromhex("C001C1000F0000280001FF0200"))
    assert len(found) // 2 > 242 and len(bench.doubles[1].sent) > n + 2


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("fault", ["full", "nak", "lost_ack", "bad_checksum"])
def test_what_is_lost_is_sent_again(fault, end):
    bench = Bench()
    bench.ask(AARQ)
    bench.doubles[end].faults[fault] = 1
    assert bench.ask(GET).startswith("C401C10009")
    assert fault in bench.doubles[end].happened


@pytest.mark.parametrize("end", [0, 1])
def test_a_modem_that_was_reset(end):
    """The data link goes on where the client is patient enough; else it is set up anew."""
    bench = Bench()
    bench.ask(AARQ)
    bench.doubles[end].faults["reset_in_frame"] = 1
    assert bench.client.ask(GET, 0, len(GET), True)
    bench.run(15000)
    assert "reset_in_frame" in bench.doubles[end].happened
    bench.client.release()
    bench.run(5000)
    assert bench.ask(AARQ).startswith("61")
    assert bench.ask(GET).startswith("C401C10009")


# --- What goes wrong on the line ----------------------------------------------------------------


class Wire:
    """What a modem says reaches the other one through here; each disturbance is one frame's."""

    def __init__(self, bench, end):
        self.other = bench.doubles[1 - end]
        self.todo = []
        self.passed = []
        bench.doubles[end].line = self

    def hear(self, payload):
        self.passed.append(payload)
        frames = self.todo.pop(0)(payload) if self.todo else [payload]
        for frame in frames:
            self.other.hear(frame)


def opened():
    bench = Bench()
    assert bench.ask(AARQ).startswith("61")
    return bench, [Wire(bench, end) for end in (0, 1)]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("end", [0, 1])
def test_a_frame_that_is_lost_is_said_again(end, n):
    bench, wires = opened()
    wires[end].todo = [lambda payload: []] * n
    assert bench.ask(GET).startswith("C401C10009")
    assert len(wires[0].passed) == 1 + n


@pytest.mark.parametrize("end", [0, 1])
def test_a_frame_that_comes_twice_is_heard_once(end):
    """An ACTION is done once: N(S) tells."""
    bench, wires = opened()
    done = []
    request = bench.meter.server.request

    def counted(*args):
        n = request(*args)
        if n >= 0:  # it need not come again
            done.append(args[3][args[4]])
        return n

    bench.meter.server.request = counted
    wires[end].todo = [lambda payload: [payload, payload]]
    assert bench.ask(ACTION)[:4] == "C701"
    assert done == [0xC3]
    assert bench.ask(GET).startswith("C401C10009")


def test_frames_in_another_order():
    """The segments of a long answer: one that is not in turn is asked for again."""
    bench, wires = opened()
    long = bytes.fromhex("C001C1000F0000280001FF0200")
    expected = bench.ask(long)
    held = []

    def hold(payload):
        held.append(payload)
        return []

    wires[1].todo = [hold, lambda payload: [payload, *held]]
    assert bench.ask(long) == expected


def test_corrupted_lengths():
    """Each of the first octets of a frame wrong, and each length: silence, and the next try is
    heard."""
    bench, wires = opened()
    for k in range(12):
        wires[0].todo = [lambda payload, k=k: [payload[:k] + b"\x55" + payload[k + 1 :]]]
        assert bench.ask(GET).startswith("C401C10009"), k
    for k in (1, 2, 3, 5, 9, 12):
        wires[0].todo = [lambda payload, k=k: [payload[:k]]]
        assert bench.ask(GET).startswith("C401C10009"), k
        wires[0].todo = [lambda payload, k=k: [payload + bytes(k)]]
        assert bench.ask(GET).startswith("C401C10009"), k


def test_a_client_that_restarts():
    """It begins with SNRM, which ends what was open."""
    bench = opened()[0]
    bench.client.owner = None
    bench.client.reset()
    assert bench.ask(GET) == "D80101"
    assert bench.ask(AARQ).startswith("61") and bench.ask(GET).startswith("C401C10009")


def test_two_clients():
    """Each has its own link and association, by its SAP, as far as there is room: the meter has
    one for all on this line. The second is told so (DM), and the first goes on."""
    bench = opened()[0]
    first, bench.client = bench.client, type(bench.client)(1000, 5000)
    bench.client_sap = 16
    bench.client.begin(bench, 16, 1, 0)
    assert bench.client.ask(AARQ, 0, len(AARQ), True)
    bench.run(6000)
    second, bench.client = bench.client, first
    found = second.state
    assert found == LOST, found
    assert bench.ask(GET).startswith("C401C10009")


def test_the_device_address_changes_while_an_association_is_open():
    """With the next frame: the old address is silent; at the new one there is no data link, so
    that the client begins with SNRM, and no association."""
    bench = Bench()
    bench.client.begin(bench, 1, 1, 17)
    assert bench.ask(AARQ).startswith("61")
    assert bench.station.llc.hdlc.configure(device_address=18)
    wires = [Wire(bench, end) for end in (0, 1)]
    assert bench.client.ask(GET, 0, len(GET), True)
    bench.run(20000)
    assert bench.client.state == LOST and len(wires[0].passed) > 1 and not wires[1].passed
    bench.client.owner = None
    bench.client.reset()
    bench.client.begin(bench, 1, 1, 18)
    assert bench.ask(GET) == "D80101"
    assert bench.ask(AARQ).startswith("61") and bench.ask(GET).startswith("C401C10009")


def power_fails(bench):
    bench.doubles[1].is_reset()
    bench.meter = small.Meter()
    bench.restart()


@pytest.mark.parametrize("after_ms", range(0, 2400, 150))
def test_power_fails_while_the_link_is_made(after_ms):
    """There is no registration but SNRM: a meter that starts again is found by the next one."""
    bench = Bench(run=False)
    bench.client.begin(bench, 1, 1, 0)
    bench.client.ask(AARQ, 0, len(AARQ), True)
    bench.run(after_ms)
    power_fails(bench)
    bench.run(15000)
    bench.client.owner = None
    bench.client.reset()
    assert bench.ask(AARQ).startswith("61") and bench.ask(GET).startswith("C401C10009")


def test_power_fails_while_an_association_is_open():
    """The data link is gone: its frames hear DM."""
    bench = opened()[0]
    power_fails(bench)
    bench.run(2000)
    assert bench.client.ask(GET, 0, len(GET), True)
    bench.run(1000)
    assert bench.client.state == LOST
    bench.client.owner = None
    bench.client.reset()
    assert bench.ask(GET) == "D80101"
    assert bench.ask(AARQ).startswith("61") and bench.ask(GET).startswith("C401C10009")
