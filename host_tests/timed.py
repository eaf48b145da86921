# SPDX-License-Identifier: MIT
"""The meter of definitions/timing.toml, asked over its server, and time that passes in it.

meter = Timed("2026-06-15 12:00:00")        a Monday; local time
meter.set(10, "0.0.12.0.0", 2, array(...))  a SET: data_access_result
meter.act(9, "0.0.10.0.0", 1, u16(1))       an ACTION: action_result
meter.get(8, "0.0.1.0.0", 2)                a GET: the value, or {"result": data_access_result}
meter.run(3600)                             seconds pass; the class modules tick
meter.marks                                 what scripts have done: (local time, mark)
"""

import os
from pathlib import Path
from zlib import crc32

import pytest
import small
from fakes import Storage, array, boolean, date_time, octets, obis, struct_, value

from cosem.class_modules import ClassModules

DEFINITION = Path(__file__).parent / "definitions" / "timing.toml"

DENIED, UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 3, 4, 12, 250
EXCEPTION = "exception-response"  # octets that are no APDU
CLOCK = (8, "0.0.1.0.0")


BOTH = os.environ.get("PICOMETER_ALL")


@pytest.fixture(autouse=True, params=("awake", "asleep") if BOTH else ("",))
def sleep(request, monkeypatch):
    """Of the file that names it: in half of its tests all that can sleeps after each second, as
    between the clients of a board. PICOMETER_ALL=1: each is run both ways."""
    asleep = request.param == "asleep" if BOTH else crc32(request.node.name.encode()) & 1
    if asleep:
        tick = ClassModules.tick

        def and_sleep(self, now):
            tick(self, now)
            self.sleep()

        monkeypatch.setattr(ClassModules, "tick", and_sleep)


def when(text, status=0xFF):
    """Octets of a date-time of local time, such as 2026-06-15 12:00:00."""
    date, _, time = text.partition(" ")
    return date_time(*map(int, date.split("-")), *map(int, time.split(":")), status=status)


class Timed(small.Meter):
    WATCHED = 1, "0.0.96.50.0", 2  # what scripts write

    def __init__(self, now="2026-06-15 12:00:00", image=None, status=0xFF, storage=None, flags=0):
        self.storage = storage or Storage()
        small.Meter.__init__(self, DEFINITION, None, image, self.storage)
        self.clock = self.model.handler("clock")
        self.marks = []
        self.events = []
        self.model.on_edit = self._on_edit
        self.model.event = self.events.append
        self.watched = self.row(*self.WATCHED[:2]), self.WATCHED[2]
        minute = self.clock.minute_of(when(now, status), 0)
        self.clock.set_utc(minute, self.clock.last_second)
        self.clock.set_flags(flags)  # 1: it does not know the time
        self.client = self.management()
        self.tick()

    def _on_edit(self, row, attribute):
        if self.watched == (row, attribute):
            self.marks.append((self.now(), self.read(row, attribute)))

    def off(self, now, status=0xFF, flags=0):
        """The same meter after a power failure, at another time. Its state was saved just now."""
        return type(self)(now, bytes(self.model.image), status, self.storage, flags)

    # --- Time -------------------------------------------------------------------------------

    def now(self):
        t = self.clock.local
        return "%02d-%02d %02d:%02d:%02d" % (t[2], t[3], t[5], t[6], t[7])

    def tick(self):
        self.model.tick(self.clock.minute)

    def run(self, seconds, step=1):
        while seconds > 0:
            self.clock.advance(min(step, seconds) * 1000)
            seconds -= step
            self.tick()

    def set_clock(self, text, status=0xFF):
        """A client sets the clock, and the next second begins."""
        assert self.set(*CLOCK, 2, octets(when(text, status))) == 0
        self.tick()

    def switch(self, name, on):
        """Enable or disable a function of the Function control."""
        status = array(struct_(octets(name), boolean(on)))
        assert self.act(122, "0.0.44.1.0", 1, status) == 0

    def said(self):
        """The marks since the last call."""
        marks, self.marks[:] = list(self.marks), []
        return marks

    # --- Services ---------------------------------------------------------------------------

    def row(self, class_id, name):
        row = self.model.find(0, class_id.to_bytes(2, "big") + obis(name + ".255"), 0)
        assert row >= 0, "no such object"
        return row

    def read(self, row, attribute):
        out = bytearray(2000)
        end = self.model.read(row, attribute, out, 0, len(out))
        return value(out[:end])

    def ask(self, head, class_id, name, index, tail):
        about = class_id.to_bytes(2, "big") + obis(name + ".255") + bytes((index,))
        return bytes.fromhex(self.client.say((bytes.fromhex(head) + about + tail).hex()))

    def octets(self, class_id, name, attribute):
        """The encoding of an attribute, None if it cannot be read."""
        answer = self.ask("C00141", class_id, name, attribute, b"\0")
        assert answer[:3] == bytes.fromhex("C40141")
        return None if answer[3] else answer[4:]

    def get(self, class_id, name, attribute):
        answer = self.ask("C00141", class_id, name, attribute, b"\0")
        assert answer[:3] == bytes.fromhex("C40141")
        return {"result": answer[4]} if answer[3] else value(answer[4:])

    def set(self, class_id, name, attribute, data):
        answer = self.ask("C10141", class_id, name, attribute, b"\0" + data)
        return self._result(answer, "C50141")

    def act(self, class_id, name, method, data=b"\x0f\x00"):
        answer = self.ask("C30141", class_id, name, method, b"\1" + data if data else b"\0")
        return self._result(answer, "C70141")

    def _result(self, answer, head):
        if answer[:1] == b"\xd8":
            return EXCEPTION
        assert answer[:3] == bytes.fromhex(head)
        return answer[3]


def refuses(meter, what, class_id, name, index, data, result):
    """A SET or an ACTION is answered with this result, and changes nothing in the object."""
    row = meter.row(class_id, name)
    n = meter.model.n_attributes(row)
    before = [meter.octets(class_id, name, k) for k in range(1, n + 1)]
    assert getattr(meter, what)(class_id, name, index, data) == result
    assert [meter.octets(class_id, name, k) for k in range(1, n + 1)] == before
