# SPDX-License-Identifier: MIT
"""firmware/meter/running.py: what it does with what the server tells it."""

from types import SimpleNamespace

import pytest
from secure import Client
from small import Meter as Small

from firmware.meter.running import Meter


class Running:
    """The running meter around the server of small.toml; events are gathered in a list."""

    def __init__(self):
        self.small = Small()
        self.events = []
        self.small.model.event = self.events.append
        clock = self.clock = SimpleNamespace(minute=1000)
        program = SimpleNamespace(
            clock=clock,
            work=None,
            tick=lambda ms: None,
            registers=SimpleNamespace(count=lambda *a: None),
        )
        self.meter = Meter(self.small.model, self.small.server, program, None, 0, 1)
        self.now = 0

    def wait(self, minutes):
        self.clock.minute += minutes
        self.now += 1000
        self.meter.tick(self.now)


@pytest.fixture
def running():
    return Running()


def client(running):
    return Client(running.small.talk(client=40, server=17)).open()


GET = "C00141 0001 0000603C01FF 02 00"


def test_an_apdu_that_cannot_be_deciphered_is_noted(running):
    c = client(running)
    running.wait(0)
    assert c.ask(GET, key=bytes(16)) == "!D80105"
    assert running.events == [49]


def test_a_counter_that_came_before_is_another_event(running):
    c = client(running)
    running.wait(0)
    c.ic = 0
    assert c.ask(GET).startswith("!D80106")
    assert running.events == [50]


def test_no_more_than_once_a_minute(running):
    c = client(running)
    running.wait(0)
    for _ in range(5):
        c.ask(GET, key=bytes(16))
    running.wait(0)
    c.ask(GET, key=bytes(16))
    assert running.events == [49]
    running.wait(1)
    c.ask(GET, key=bytes(16))
    assert running.events == [49, 49]


def test_a_request_weaker_than_the_policy_is_no_attack(running):
    c = Client(running.small.talk(client=41, server=17)).open()
    running.wait(0)
    assert c.ask(GET, sc=0x10) == "!D80101"
    assert running.events == []


@pytest.mark.parametrize(
    "name, noted",
    [("hdlc-uart", [158]), ("hdlc-pty", [158]), ("hdlc-tcp", []), ("wrapper-tcp", [])],
)
def test_who_opens_an_association_at_a_local_port_is_noted_once_a_minute(running, name, noted):
    gate = running.small.server.guard.anywhere
    gate.opened = False
    running.meter.program.events = SimpleNamespace(start_row=-1)
    running.meter.connect(None, None, [SimpleNamespace(name=name, gate=gate)])
    running.wait(1)
    assert running.events == []
    client(running)
    assert gate.opened
    running.wait(0)
    assert running.events == noted
    gate.opened = True
    running.wait(0)
    running.wait(1)
    assert running.events == noted
    gate.opened = True
    running.wait(0)
    assert running.events == 2 * noted


def test_while_a_request_waits_for_work_nobody_sleeps(running):
    running.small.server.todo = 1
    assert running.meter.wait_ms() == 0
    running.small.server.todo = 0
    assert running.meter.wait_ms() == 1000
