# SPDX-License-Identifier: MIT
"""firmware/meter/sender.py and what wakes it: the reference meter pushes when it has started, when
an alarm is raised, on interval; it counts, and lets go of what it has loaded."""

import socket
import types

import pytest
import tables
from cosem import notifier
from fakes import obis
from pushing import (
    Looped, accepted, address, destination,
    listening,  # noqa: F401  a fixture
    received, wpdu, wrapped,
)  # fmt: skip
from running import AARQ, DEFAULT_DEFINITION, aarq_with
from tables import show
from test_store import MemoryFiles, PowerCut

from firmware import app
from firmware.links.make import make_links
from firmware.meter import sender
from firmware.ports import cpython
from firmware.store import FileStorage, RAMStorage

INTERVAL, ALARM, START = "0.4.25.9.0.255", "0.1.25.9.0.255", "0.7.25.9.0.255"
MINUTE = 13936920  # 2026-07-01 10:00 UTC, 12:00 local time
FRAUD = 44  # event code: cover off
ALARM_BIT = 1 << 13
EVENT_NOTIFICATION = 0x000002


@pytest.fixture(scope="module")
def definition():
    module = types.ModuleType("definition")
    exec(show.module(tables.compile(DEFAULT_DEFINITION)), module.__dict__)
    return module


class Whole(Looped):
    """A meter with its links and a main loop; its time is the test's."""

    def __init__(self, definition, storage=None, minute=MINUTE, **destinations):
        self.meter = app.build(definition, storage or RAMStorage(), cpython, 1, minute)
        self.model = self.meter.model
        self.poller = cpython.Poller()
        self.links = make_links([["wrapper-tcp", "127.0.0.1", 0]], self.meter, cpython)
        for link in self.links:
            link.open(self.poller)
        self.now_ms = cpython.ticks_ms()
        for name, to in destinations.items():
            self.set(name, to)
        self.meter.connect(cpython, self.poller, self.links)

    def row(self, class_id, name):
        row = self.model.find_any(class_id.to_bytes(2, "big") + obis(name), 0)
        assert row >= 0
        return row

    def set(self, name, to):
        data = destination(to)
        assert self.model.write(self.row(40, name), 3, data, 0, len(data)) == 0

    def number(self, name):
        return self.model.get_int(self.row(1, name), 2)

    def turn(self, ms=0):
        self.poller.wait(5)
        self.now_ms += ms
        for link in self.links:
            link.poll(self.now_ms)
        self.meter.tick(self.now_ms)
        while self.meter.program.work is not None:
            self.meter.tick(self.now_ms)

    def pass_(self, seconds):
        for _ in range(seconds):
            self.turn(1000)


@pytest.fixture
def meter(definition):
    made = []

    def make(storage=None, minute=MINUTE, **destinations):
        made.append(Whole(definition, storage, minute, **destinations))
        return made[-1]

    yield make
    for whole in made:
        whole.close()


def heard(whole, listener):
    """A notification, ciphered for client 1."""
    with accepted(whole, listener) as s:
        source, to, apdu = wpdu(received(whole, s))
    assert (source, to) == (1, 1) and apdu[0] == 0xDB
    return apdu


def test_nothing_by_itself(meter):
    """No destination: nothing is loaded, whatever happens."""
    whole = meter()
    whole.meter.program.event("fraud", FRAUD)
    whole.meter.program.clock.set_utc(MINUTE + 4, 50)
    whole.pass_(30)
    assert whole.meter.sender is None and not whole.meter.rests
    assert (whole.number("0.0.96.15.4.255"), whole.number("0.0.96.15.5.255")) == (0, 0)


def test_started(meter, listener):
    whole = meter(**{START: address(listener)})
    whole.pass_(1)
    heard(whole, listener)
    whole.until(lambda: whole.number("0.0.96.15.4.255") == 1)


def test_an_alarm(meter, listener):
    """Once for each bit that is set; not for one that the filter keeps back."""
    whole = meter(**{ALARM: address(listener)})
    whole.pass_(1)
    assert whole.meter.sender is None
    whole.meter.program.event("fraud", FRAUD)
    whole.pass_(1)
    heard(whole, listener)
    assert whole.number("0.0.97.98.20.255") == ALARM_BIT
    whole.pass_(10)
    assert whole.meter.sender is None
    whole.meter.program.event("fraud", FRAUD)
    whole.pass_(2)
    assert whole.meter.sender is None
    # The client has read it and written it back.
    zero = b"\x06\0\0\0\0"
    whole.model.write(whole.row(1, "0.0.97.98.20.255"), 2, zero, 0, 5)
    whole.meter.program.event("fraud", FRAUD)
    whole.pass_(1)
    heard(whole, listener)
    whole.model.write(whole.row(1, "0.0.97.98.10.255"), 2, zero, 0, 5)
    whole.model.write(whole.row(1, "0.0.97.98.20.255"), 2, zero, 0, 5)
    whole.pass_(10)
    whole.meter.program.event("fraud", FRAUD)
    whole.pass_(2)
    assert whole.meter.sender is None and whole.number("0.0.96.15.4.255") == 2


def test_on_interval(meter, listener):
    """By the schedule and the script, within 30 s after five past."""
    whole = meter(**{INTERVAL: address(listener)})
    whole.meter.program.clock.set_utc(MINUTE + 4, 55)
    whole.pass_(3)
    assert whole.meter.sender is None
    whole.pass_(40)
    heard(whole, listener)


def test_given_up_is_counted(meter, listener):
    to = address(listener)
    listener.close()
    whole = meter(**{START: to})
    # Three repetitions, after 60, 120 and 240 s.
    whole.pass_(430)
    assert whole.number("0.0.96.15.5.255") == 1 and whole.number("0.0.96.15.4.255") == 0
    assert whole.meter.sender is None


def test_it_is_let_go_of_and_loaded_again(meter, listener):
    whole = meter(**{START: address(listener)})
    whole.pass_(1)
    heard(whole, listener)
    assert whole.meter.sender is not None
    whole.pass_(10)
    assert whole.meter.sender is None and whole.meter.rests
    assert whole.model.handler("push_setup").notifier is None
    assert whole.meter.server.on_confirm is None
    whole.model.act(whole.row(40, START), 1, b"\x0f\x00", 0, 2)
    whole.pass_(1)
    heard(whole, listener)
    whole.pass_(10)
    assert whole.number("0.0.96.15.4.255") == 2


def test_security_goes_after_it_and_comes_with_the_next(meter, listener):
    """Not while it may be needed; the counter of the meter goes on."""
    whole = meter(**{START: address(listener)})
    server = whole.meter.server
    counters = []
    for n in (1, 2, 3):
        whole.pass_(1)
        server.forget()
        assert not whole.model.handler("security_setup").sleeps()
        counters.append(int.from_bytes(heard(whole, listener)[12:16], "big"))
        whole.pass_(10)
        assert whole.meter.sender is None and whole.number("0.0.96.15.4.255") == n
        server.forget()
        assert whole.model.handler("security_setup") is None and whole.model.aes is None
        whole.model.act(whole.row(40, START), 1, b"\x0f\x00", 0, 2)
    assert counters == [counters[0] + n for n in range(3)]


def test_no_room_for_it(meter, listener, monkeypatch):
    """It is tried again each second."""
    whole = meter(**{START: address(listener)})

    def full(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(sender, "Sender", full)
        whole.pass_(5)
        assert whole.meter.sender is None
    whole.pass_(1)
    heard(whole, listener)


def test_no_room_to_tell_of_an_alarm(meter, monkeypatch):
    """It is lost and counted; the meter goes on."""
    whole = meter()
    with socket.create_connection(("127.0.0.1", whole.links[0].number)) as s:
        s.setblocking(False)
        s.sendall(wrapped(16, 1, AARQ))
        assert received(whole, s)
        (a,) = (a for a in whole.meter.server.associations if a.state)
        a.conformance |= EVENT_NOTIFICATION

        def full(*_):
            raise MemoryError

        monkeypatch.setattr(notifier.Notifier, "event", full)
        whole.meter.program.event("fraud", FRAUD)
        whole.pass_(2)
    assert whole.number("0.0.96.15.5.255") == 1


# --- Power failures -----------------------------------------------------------------------------


def after(meter, files, minute=MINUTE + 60):
    """The meter that starts on what a power failure has left."""
    return meter(FileStorage("s", MemoryFiles(files.data)), minute)


@pytest.mark.parametrize("orderly", [False, True])
def test_an_alarm_survives_a_power_failure(meter, listener, orderly):
    """Nobody could be reached; after the start it is made anew, once."""
    to = address(listener)
    files = MemoryFiles()
    whole = meter(FileStorage("s", files), **{ALARM: to})
    whole.links[0].free = lambda: None
    whole.meter.program.event("fraud", FRAUD)
    whole.pass_(3)
    assert whole.meter.sender is not None
    if orderly:
        whole.meter.close()
    again = after(meter, files)
    again.pass_(1)
    heard(again, listener)
    again.until(lambda: again.number("0.0.96.15.4.255") == 1)
    again.pass_(10)
    assert again.meter.sender is None
    again.meter.close()
    last = after(meter, again.meter.storage.files, MINUTE + 120)
    last.pass_(3)
    assert last.meter.sender is None


def test_no_alarm_is_lost_wherever_the_power_fails(meter, listener):
    """Cut at every write, torn ones included, of a meter that raises an alarm, pushes it, and
    saves: if the alarm is in what was saved, it was delivered, or it is after the start."""
    to = address(listener)

    def live(files):
        """Was it delivered?"""
        try:
            whole = meter(FileStorage("s", files), **{ALARM: to})
        except PowerCut:
            return 0
        try:
            whole.meter.program.save()
            whole.pass_(1)
            whole.meter.program.event("fraud", FRAUD)
            whole.pass_(2)
            heard(whole, listener)
            whole.until(lambda: whole.number("0.0.96.15.4.255") == 1)
            whole.meter.program.save()
        except PowerCut:
            pass
        whole.close()
        return whole.number("0.0.96.15.4.255")

    files = MemoryFiles()
    assert live(files) == 1
    total = files.n_writes
    kept = pushed = 0
    for cut_at in range(total):
        for part in (0, 4, 8):
            files = MemoryFiles()
            files.cut_at = cut_at
            files.part = part
            delivered = live(files)
            assert files.off
            drain(listener)
            again = after(meter, files)
            raised = again.number("0.0.97.98.20.255") == ALARM_BIT
            again.pass_(2)
            if again.meter.sender is not None:
                heard(again, listener)
                pushed += 1
            elif raised:
                assert delivered, (cut_at, part)
            kept += raised
            again.close()
    assert 0 < pushed <= kept
    print("power cuts: %d, alarm kept: %d, pushed after the start: %d" % (3 * total, kept, pushed))


def drain(listener):
    """Take what was on its way when the power failed."""
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return


def test_an_alarm_in_an_association(meter):
    """Who has negotiated EventNotification is told of the alarm descriptor; others are not."""
    whole = meter()
    with socket.create_connection(("127.0.0.1", whole.links[0].number)) as s:
        s.setblocking(False)
        s.sendall(wrapped(2, 1, aarq_with(b"demo-reading")))
        assert wpdu(received(whole, s))[2][0] == 0x61
        whole.meter.program.event("fraud", FRAUD)
        apdu = wpdu(received(whole, s))[2]
        assert apdu[:3] == b"\xc2\x01\x0c"
        assert apdu[15:] == bytes.fromhex("0001 0000616214FF 02 06") + ALARM_BIT.to_bytes(4, "big")
        (a,) = (a for a in whole.meter.server.associations if a.state)
        at = whole.model.slot(whole.row(1, "0.0.97.98.20.255"), 2)
        whole.model.image[at + 1 : at + 5] = bytes(4)
        whole.pass_(2)
        a.conformance &= ~EVENT_NOTIFICATION
        whole.meter.program.event("fraud", FRAUD)
        whole.pass_(2)
        assert whole.meter.sender is None
    assert whole.number("0.0.96.15.4.255") == 1
