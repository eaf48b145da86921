# SPDX-License-Identifier: MIT
"""lib/profiles/st7580.py: two boards on a bench line. One has a meter, the other a client of HDLC;
each has the driver of an ST7580 and its double, and the doubles are joined back to back.
"""

import pytest
import small
from doubles.meters import Bench

AARQ = small.aarq(b"12345678")
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
