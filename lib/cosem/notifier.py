# SPDX-License-Identifier: MIT
"""What the meter sends unasked: from a mark of a Push setup object to what became of it.

Loaded when something is to be sent, and let go of when is_idle() again. tick() is called each
second: notifications are made, and time passes for those that wait. turn() is called between two
requests: the oldest one that is due is protected and handed to a path (firmware/links/push.py),
one at a time. Both may allocate; making a notification does not.

An object is in one of these states, for the oldest of its notifications in the outbox:

    IDLE        nothing waits
    WINDOW      the communication window is closed
    DELAY       it is open; the random part of randomisation_start_interval passes
    READY       it goes as soon as there is a path, and the object's turn comes
    SENDING     its turn: it is protected, and a path has it
    CONFIRMING  it has been sent; the client's confirmation is awaited, 30 s
    REPEATING   it failed; repetition_delay passes

TRANSITIONS says what happens, and the only places where it does are marked by _event(). After the
first that was done, the next of the same object are READY at once.

No path (no such link, all its places taken, nobody on the line) is not a failure: it waits.
Refused, closed before all was sent, not taken within 20 s: a failure, repeated number_of_retries
times; then it is given up and counted. So is what no path can carry, and what cannot be protected.
With push_operation_method 1 so is what the layer below does not confirm (links/push.py).

Project-defined: a repetition is a new APDU with the same long-invoke-id.
"""

from cosem import push_terms as terms
from cosem.envelope import Envelope
from cosem.event_notification import EventNotification
from cosem.push_list import PushList
from dlms import notification
from dlms.axdr import get_small_u32, get_u16
from dlms.outbox import Outbox
from micropython import const

_IDLE = const(0)
_WINDOW = const(1)
_DELAY = const(2)
_READY = const(3)
_SENDING = const(4)
_CONFIRMING = const(5)
_REPEATING = const(6)

_PUSHED = const(0)  # a notification has been made
_OPENED = const(1)  # the window is open
_CLOSED = const(2)
_DUE = const(3)  # time has passed; in IDLE: there is another one
_TAKEN = const(4)  # its turn has come
_SENT = const(5)  # it has been sent, and is to be confirmed
_DONE = const(6)  # it has been sent, or confirmed
_FAILED = const(7)  # and will be repeated
_GIVEN_UP = const(8)
_RESET = const(9)  # nothing waits any more

# Next state, by state and event; a dot: nothing changes.
TRANSITIONS = (
    # PUSHED OPENED CLOSED DUE TAKEN SENT DONE FAILED GIVEN_UP RESET
    b"1..3......",  # IDLE
    b".2.......0",  # WINDOW
    b"..13.....0",  # DELAY
    b"..1.4....0",  # READY
    b".....50600",  # SENDING
    b"......0600",  # CONFIRMING
    b"...3.....0",  # REPEATING
)
_SAME = const(46)
_ZERO = const(48)

_TO_PUSH = const(1)  # marks of push_setup.py
_TO_RESET = const(2)

_CONFORMANCE = const(4)  # field of a row of ASSOCIATIONS in the definition
_CONFORMANCE_GENERAL_BLOCK_TRANSFER = const(0x200000)

# What a path says: of what it was given, and has; busy at first.
_BUSY = const(0)
_GONE = const(1)
_NEVER = const(3)

_CONFIRM_S = const(30)
_JUMP_S = const(3600)  # more than that has not just passed: the clock was set

_PUSH_SETUP = const(40)
_PUSH = const(0)  # owner in the outbox

_LAST_NUMBER = const(0xFFFFFF)


class Notifier(EventNotification):
    """
    outbox      what waits; others post() to it
    lost, done  notifications that were given up or had no room, and those that went out, since
                somebody has reset these
    paths       handed in, see firmware/links/push.py: is_ready(service), begin(...) and outcome(),
                is_lost(), stop(done), tell(a, ...), is_idle()
    states      of each object, in the order of push_setup.rows
    """

    def __init__(self, model, server, paths, size, keeps_oldest):
        self.model = model
        self.server = server
        self.paths = paths
        rows = model.rows(_PUSH_SETUP)
        self.handler = model.awake(rows[0]) if rows else None
        self.clock = model.handler("clock")
        self.outbox = Outbox(size, keeps_oldest)
        self.lost = self.done = 0
        self.envelope = Envelope(model, server)
        self.values = PushList(self.envelope.client)
        n = 0 if self.handler is None else len(self.handler.marks)
        self.states = bytearray(n)
        self._tries = bytearray(n)
        self._left = [0] * n  # seconds
        self._work = None  # what is being sent: a generator
        self._k = -1  # and of which object, -1: of an association
        self._last = -1  # the object that had its turn last
        self._serial = 0
        self._confirmed = False
        self._plain = None
        self._seconds = self._now()
        server.on_confirm = self.confirm
        if rows:
            self.handler.notifier = self

    def close(self):
        """It is let go of."""
        self.server.on_confirm = None
        if self.handler is not None:
            self.handler.notifier = None

    def is_idle(self):
        if self.outbox.n or self._work is not None or not self.paths.is_idle():
            return False
        return self.handler is None or not any(self.handler.marks)

    def is_busy(self):
        """Is something being sent?"""
        return self._work is not None

    # --- States -------------------------------------------------------------------------------

    def _event(self, k, what):
        after = TRANSITIONS[self.states[k]][what]
        if after == _SAME:
            return
        self.states[k] = after - _ZERO
        if after == _ZERO:
            self._tries[k] = 0
            if self.outbox.find(_PUSH, self._row(k)) >= 0:
                self._event(k, _DUE)
            else:
                self.handler.wait(self._row(k), False)

    def _row(self, k):
        return get_u16(self.handler.rows, 2 * k)

    def tick(self):
        """A second of the meter's time has passed, or some."""
        now = self._now()
        elapsed = now - self._seconds
        self._seconds = now
        if not 0 <= elapsed <= _JUMP_S:
            elapsed = 1
        marks = self.handler.marks
        for k in range(len(marks)):
            mark = marks[k]
            marks[k] = 0
            if mark & _TO_RESET:
                self._reset(k)
            if mark & _TO_PUSH:
                try:
                    self.make(k)
                except MemoryError:
                    self.lost += 1
                self.handler.wait(self._row(k), self.outbox.find(_PUSH, self._row(k)) >= 0)
            self._pass(k, elapsed)

    def _now(self):
        clock = self.clock
        return 0 if clock is None else clock.minute * 60 + clock.second

    def _pass(self, k, elapsed):
        state = self.states[k]
        self._left[k] = max(0, self._left[k] - elapsed)
        if state == _IDLE or state == _SENDING or state == _CONFIRMING:
            return
        if state == _WINDOW:
            if not terms.is_open(self.model, self._row(k), self.clock):
                return
            self._left[k] = terms.random(self.model, self._row(k))
            self._event(k, _OPENED)
        elif state != _REPEATING and not terms.is_open(self.model, self._row(k), self.clock):
            self._event(k, _CLOSED)
            return
        if state != _READY and not self._left[k]:
            self._event(k, _DUE)

    def _reset(self, k):
        """What waits is taken back, and what is being sent is stopped."""
        if self._k == k:
            self._stop()
        self.outbox.clear(_PUSH, self._row(k))
        self._event(k, _RESET)

    def _stop(self):
        self._work = self._plain = None
        self._k = -1
        self.paths.stop(False)

    # --- Making -------------------------------------------------------------------------------

    def make(self, k):
        """Make a notification of an object, if it still says what goes to whom."""
        row = self._row(k)
        if self._k < 0:
            self._make(k, row)
            return
        # The one that is on its way stays its client's.
        kept = self.envelope.kept()
        try:
            self._make(k, row)
        finally:
            self.envelope.restore(*kept)

    def _make(self, k, row):
        if not terms.is_ready(self.model, row) or not self.envelope.become(row):
            self.lost += 1
            return
        box = self.outbox
        number = self.model.invoke_id = self.model.invoke_id + 1 & _LAST_NUMBER
        confirmed = terms.is_confirmed(self.model, row, self.clock)
        while True:
            at = box.open()
            end = self.put(row, box.buf, at, box.limit, number, confirmed)
            if end >= 0:
                break
            # Nothing that is older goes for what never fits.
            never = self.values.exceeds(row, box.limit)
            made_room = not never and box.make_room()
            self.lost += box.lost + never
            box.lost = 0
            if not made_room:
                return
        box.close(end, _PUSH, row)
        self._event(k, _PUSHED)

    def put(self, row, buf, pos, end, number, confirmed):
        """Write the DataNotification of an object for the client whose envelope it is; its end, or
        -1: there is no room. Nothing is allocated."""
        time = None if self.clock is None else self.clock.local
        pos = notification.put_head(buf, pos, end, number, confirmed, time)
        return pos if pos < 0 else self.values.put(row, buf, pos, end)

    # --- Sending ------------------------------------------------------------------------------

    def turn(self):
        """Between two requests: go on with what is being sent, or begin with the next."""
        try:
            if self._work is None and not self._begin():
                return
            for _ in self._work:
                return
        except MemoryError:
            if self._work is None:
                return  # with the next turn
            # As if the path had broken.
            if self._k >= 0:
                self._failed(self._k, True)
            else:
                self.outbox.remove(self._serial)
                self.lost += 1
        self._work = self._plain = None
        self._k = -1

    def _begin(self):
        """Choose what is sent next; False: nothing can be now."""
        if self.outbox.find(-1) >= 0:
            self._work = self._tell()
            return True
        n = len(self.states)
        for i in range(n):
            # Who comes after the last one has its turn first.
            k = (self._last + 1 + i) % n
            if self.states[k] != _READY:
                continue
            row = self._row(k)
            if self.paths.is_ready(terms.service(self.model, row)):
                if not terms.is_open(self.model, self._row(k), self.clock):
                    self._event(k, _CLOSED)
                elif self.outbox.find(_PUSH, row) < 0:
                    self._event(k, _RESET)  # it had to make room for others
                else:
                    self._work = self._send(k)
                    self._k = self._last = k
                    self._event(k, _TAKEN)
                    return True
        return False

    def _send(self, k):
        """Generator: one attempt to send the oldest notification of an object."""
        row = self._row(k)
        at = self.outbox.find(_PUSH, row)
        self._serial = self.outbox.found
        plain = self._plain = bytes(self.outbox.buf[at : self.outbox.found_end])
        self._confirmed = False
        envelope = self.envelope
        if not terms.is_ready(self.model, row) or not envelope.become(row):
            self._failed(k, False)
            return
        # Of now: the object may be set while this goes on.
        service = terms.service(self.model, row)
        to = terms.destination(self.model, row)
        acknowledged = terms.is_acknowledged(self.model, row)
        made = yield from envelope.seal(row, plain)
        if made is None:
            self._failed(k, True)
            return
        buf, pos, end = made
        code = yield from self._hand_over(service, to, acknowledged, buf, pos, end)
        conformance = get_small_u32(envelope.client.config[_CONFORMANCE], 0)
        if code == _NEVER and conformance & _CONFORMANCE_GENERAL_BLOCK_TRANSFER:
            from dlms.gbt_unasked import blocks

            for block, start, after in blocks(buf, pos, end, self.paths.room()):
                code = yield from self._hand_over(service, to, False, block, start, after)
                if code != _GONE:
                    break
        if code != _GONE:
            self._failed(k, code != _NEVER)
            return
        if notification.wants_confirmation(plain, 0):
            self._event(k, _SENT)
            self._left[k] = _CONFIRM_S
            while not self._confirmed and self._left[k] and not self.paths.is_lost():
                yield
            if not self._confirmed:
                self._failed(k, True)
                return
            terms.put_confirmed(self.model, row, self.clock)
        self.paths.stop(True)
        self.outbox.remove(self._serial)
        self.done += 1
        self._event(k, _DONE)

    def _hand_over(self, service, to, acknowledged, buf, pos, end):
        """Generator: give a path the APDU buf[pos:end]; what has become of it."""
        code = self.paths.begin(
            service,
            to,
            acknowledged,
            self.envelope.client.client_sap,
            self.envelope.client.server_sap,
            buf,
            pos,
            end - pos,
        )
        while code == _BUSY:
            yield
            code = self.paths.outcome()
        return code

    def _failed(self, k, again):
        """An attempt has failed; again: another one may not."""
        self.paths.stop(False)
        row = self._row(k)
        n = self._tries[k]
        if again and n < terms.retries(self.model, row):
            self._left[k] = terms.delay(self.model, row, n)
            self._tries[k] = n + 1
            self._event(k, _FAILED)
            return
        self.outbox.remove(self._serial)
        self.lost += 1
        self._event(k, _GIVEN_UP)

    def confirm(self, client_sap, server_sap, buf, pos, end, opened):
        """An APDU has come that may confirm what was sent (opened: it is plain now): 1: it does;
        0: it does not; -1: the server has work to do first. Nothing is allocated."""
        a = self.envelope.client
        if self._plain is None or a.client_sap != client_sap or a.server_sap != server_sap:
            return 0
        if not opened:
            wrong = self.envelope.opens(buf, pos, end)
            if wrong:
                return -1 if wrong < 0 else 0
            pos = a.plain_pos
            end = a.plain_end
        if not notification.confirms(buf, pos, end, self._plain, 0):
            return 0
        self._confirmed = True
        return 1
