# SPDX-License-Identifier: MIT
"""lib/profiles/st7580.py: two boards on a bench line. One has a meter, the other a client of HDLC;
each has the driver of an ST7580 and its double, and the doubles are joined back to back.
"""

import pytest
import small
from doubles.st7580 import Double
from profiles.hdlc_client import HDLCClient
from profiles.llc_hdlc import LLCHDLC
from profiles.modems import st7580
from profiles.st7580 import RawLink

AARQ = small.aarq(b"12345678")
GET = bytes.fromhex("C001C1000100002A0000FF0200")  # logical device name
MASK = 0x3FFFFFFF
DATA, ANSWERED = 3, 4


class Bench:
    """The client is on the left, the meter on the right."""

    def __init__(self):
        self.doubles = [Double(), Double()]
        self.doubles[0].line, self.doubles[1].line = self.doubles[1], self.doubles[0]
        self.modems = [st7580.Modem(d.uart, d.t_req, d.reset) for d in self.doubles]
        self.meter = small.Meter()
        channel = self.meter.server.channel()
        llc = LLCHDLC(self.meter.server, channel, self.modems[1].max_data)
        self.station = RawLink(channel, self.modems[1], llc)
        self.client = HDLCClient(1000, 60000)
        self.out = 0
        self.passed_ms = 0
        self.modems[0].open(0)
        self.station.open(0)
        self.run(2000)
        assert self.modems[0].is_up and self.modems[1].is_up

    def turn(self):
        self.passed_ms += 2
        now = self.passed_ms & MASK
        for double in self.doubles:
            double.turn(self.passed_ms)
        while self.station.poll(now) or self.meter.server.todo:
            while self.meter.server.todo:
                self.meter.server.work()
        client, modem = self.client, self.modems[0]
        event = modem.poll(now)
        if event == DATA:
            client.receive(modem.buf, modem.pos, modem.end, now)
        client.tick(now)
        self.out = self.out or client.transmit(now)
        if self.out and modem.send(client.out, client.out_pos, client.out_pos + self.out, 0, 0):
            self.out = 0

    def run(self, ms):
        end = self.passed_ms + ms
        while self.passed_ms < end:
            self.turn()

    def ask(self, apdu, limit_ms=20000):
        client = self.client
        if client.owner is None:
            client.begin(self, 1, 1, 0)
        assert client.ask(apdu, 0, len(apdu), True)
        end = self.passed_ms + limit_ms
        while client.state != ANSWERED:
            assert self.passed_ms < end and client.state < 5, client.state
            self.turn()
        found = bytes(client.buf[client.pos : client.end]).hex().upper()
        client.taken()
        return found


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
@pytest.mark.parametrize("fault", ["full", "nak", "lost_ack", "bad_checksum", "reset_in_frame"])
def test_what_is_lost_is_sent_again(fault, end):
    bench = Bench()
    bench.ask(AARQ)
    bench.doubles[end].faults[fault] = 1
    try:
        found = bench.ask(GET)
    except AssertionError:
        # A modem that starts again takes longer than a data link waits: it is set up anew.
        assert fault == "reset_in_frame"
        bench.client.release()
        bench.run(5000)
        assert bench.ask(AARQ).startswith("61")
        found = bench.ask(GET)
    assert found.startswith("C401C10009")
    assert fault in bench.doubles[end].happened
