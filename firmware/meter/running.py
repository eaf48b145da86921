# SPDX-License-Identifier: MIT
"""A running meter: what app.py has put together, and how its time passes."""

import gc
import sys

from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)
# Of fast time at most so much passes between two looks at the links.
_STEP_MS = const(60000)
_SECOND_MS = const(1000)
_MOST_WORK = const(4)  # times in one turn
_MOST_CRAMPED = const(63)  # and one, that find no room (a mask)
_NO_ROOM = const(3)  # its place in what has been noted
_AUTHENTICATION_FAILED = const(46)  # event code, see meter/events.py
_RAM_ERROR = const(13)
_DECIPHERING_FAILED = const(49)  # and the next one: replayed invocation counter
_LOCAL_COMMUNICATION = const(158)
_FAILED_AUTHENTICATIONS = const(6)  # counter, see meter/sources.py
_BUSY_MS = const(10)
# Who still runs so long after a power-fail signal has power.
_POWER_IS_BACK_MS = const(1000)

_OPEN = const(2)  # state of an association
_EVENT_NOTIFICATION = const(0x000002)  # of the conformance
_INFORMATION_REPORT = const(0x000100)  # with short names
_VALUE = const(2)


class Meter:
    """model, server, program, storage; tick() makes the meter's time pass."""

    gateways = ()  # see links/outward.py; of the class: few have some
    outputs = ()  # pulses and a display, see fittings.py; of the class: few have some
    # The main loop waits for something to do; power fails; all is stored because of that.
    _idle = _failing = _stored = False
    sender = None  # while something is sent unasked, see sender.py
    rests = False  # what that has loaded, or a class that acts, is not needed any more
    _links = None
    _local = ()  # ports that only somebody who is there can reach

    def __init__(self, model, server, program, storage, now_ms, speed):
        self.model = model
        self.server = server
        self.program = program
        self.storage = storage
        self.speed = speed
        self.record = None  # see app.build()
        self.terminals = {}  # see links/outward.py
        # A client has changed a setup object; main.py hands it on to the links, and resets this.
        self.setup_changed = True
        self._last_ms = now_ms
        self._owed_ms = 0  # time of the meter that has not passed yet
        model.on_setup = self._set_up
        server.on_authentication_failed = self._refused
        server.on_protection_failed = self._misprotected
        # Which of the two, local communication, and that there was no room, has been noted in this
        # minute.
        self._noted = bytearray(4)
        self._minute = -1
        self._tries = 0  # of work() since there was room for it

    def _set_up(self, row):
        self.setup_changed = True

    def _refused(self, association):
        self.program.registers.count(_FAILED_AUTHENTICATIONS, 1)
        self.model.event(_AUTHENTICATION_FAILED)

    def _misprotected(self, replayed):
        """Noted once a minute: anybody can send such APDUs, but not fill the log with them."""
        if not self._noted[replayed]:
            self._noted[replayed] = 1
            self.model.event(_DECIPHERING_FAILED + replayed)

    # --- Power fails --------------------------------------------------------------------------

    def power_fails(self, *_):
        """The port's signal that power will be gone, some 20 ms before. It comes between any two
        steps of the program: what is at work is ended first."""
        self._failing = not self._idle
        if self._idle:
            self._idle = False  # another signal meanwhile says nothing new
            if not self._stored:
                self._stored = True
                self._stored_ms = self._last_ms
                self.program.power_fails()

    def wait(self, poller, ms):
        """Wait for what the poller knows, or so long."""
        self._idle = True
        if self._failing:
            self.power_fails()
        poller.wait(ms)
        self._idle = False

    # --- Security -----------------------------------------------------------------------------

    def lock_up(self, ring):
        """Ciphers, and the vault, whose ring this is (None: there is none), come with a client
        that needs them, and go with the last one."""
        self._vault = ring
        if ring is not None:
            self.model.vault = False
            self.model.open_vault = self._open_vault
        self.model.on_security = self._unlock

    def _unlock(self, wanted):
        model = self.model
        if wanted:
            from firmware.ports import ciphers

            model.aes = ciphers.aes
            model.new_hash = ciphers.new_hash
            model.elliptic = ciphers.work
            return
        model.aes = model.new_hash = model.elliptic = None
        if self._vault is not None:
            model.vault = False

    def _open_vault(self):
        from firmware.vault import Vault

        self.model.vault = Vault(self._vault)

    # --- What is sent unasked ---------------------------------------------------------------

    def connect(self, port, poller, links):
        """The links are open: what is sent unasked has a way."""
        self._links = (port, poller, links)
        self._local = [
            link.gate for link in links if link.name[:5] == "hdlc-" and link.name != "hdlc-tcp"
        ]
        events = self.program.events
        events.on_alarm = self._alarmed
        self.model.notifier = self.notifier
        if events.start_row >= 0:
            self.model.awake(events.start_row).push(events.start_row)

    def notifier(self):
        """What sends unasked, see cosem/notifier.py: loaded now, if it is not there. Between two
        requests. None: there is no room for it now."""
        if self.sender is None and self._links is not None:
            try:
                from firmware.meter.sender import Sender

                self.sender = Sender(self, *self._links)
            except MemoryError:
                self.rests = True  # what was loaded of it goes
        return None if self.sender is None else self.sender.notifier

    def _alarmed(self, row):
        """A bit of the alarm register is set: clients that want to know of events do."""
        for a in self.server.associations:
            wants = _INFORMATION_REPORT if a.own_name else _EVENT_NOTIFICATION
            if a.state == _OPEN and a.conformance & wants and self.notifier():
                try:
                    self.sender.notifier.event(a, row, _VALUE)
                except MemoryError:
                    self.sender.notifier.lost += 1

    # --- Time -------------------------------------------------------------------------------

    def work(self, links, now_ms):
        """Do what requests wait for, and serve them: keys, random numbers, counters to be saved.
        It may allocate; where there is no room for it the meter goes on without, and it is tried
        again: True, and whoever calls lets go of what he can."""
        n = _MOST_WORK
        while n and self.server.todo:
            try:
                self.server.work()
            except MemoryError as e:
                gc.collect()
                self._tries = self._tries + 1 & _MOST_CRAMPED
                if not self._tries:
                    self.server.refuse(e)
                return True
            except Exception as e:
                # A fault of ours is the end of this request, not of the meter.
                self.server.refuse(e)
                return False
            self._tries = 0
            for link in links:
                link.poll(now_ms)
            n -= 1
        return False

    def tick(self, now_ms):
        """Let the time pass that is due. now_ms: ticks of the port.

        With a speed that the processor cannot follow, what it cannot do is dropped rather than
        piled up: the clock runs as fast as it can.
        """
        self._owed_ms += ((now_ms - self._last_ms) & _TICKS_MASK) * self.speed
        self._last_ms = now_ms
        if self._stored and now_ms - self._stored_ms & _TICKS_MASK >= _POWER_IS_BACK_MS:
            self._stored = False
            from firmware.meter.power_up import is_back

            is_back(self.program)
        step_ms = self._owed_ms
        if step_ms > _STEP_MS:
            step_ms = _STEP_MS
            self._owed_ms = min(self._owed_ms, _STEP_MS + _SECOND_MS * self.speed)
        self._owed_ms -= step_ms
        if step_ms or self.program.work is not None:
            try:
                self.program.tick(step_ms)
            except MemoryError:
                # What was left to do of this instant is not done; what comes next is.
                # Who has to be woken for it tries again with each second.
                gc.collect()
                self.rests = True
                if not self._noted[_NO_ROOM]:
                    self._noted[_NO_ROOM] = 1
                    self.model.event(_RAM_ERROR)
            if self.model.stirred:
                self.model.stirred = False
                self.rests = True
            self.server.guard.tick(step_ms)
            minute = self.program.clock.minute & 0xFF
            if minute != self._minute:
                self._minute = minute
                for k in range(len(self._noted)):
                    self._noted[k] = 0
                security = self.model.handler("security_setup")
                if security is not None:
                    security.tick(minute)
        for gate in self._local:
            if gate.opened:
                gate.opened = False
                if not self._noted[2]:
                    self._noted[2] = 1
                    self.model.event(_LOCAL_COMMUNICATION)
        images = self.model.images
        if images is not None:
            images.turn(self, now_ms)
        if self.sender is not None and not self.sender.turn(now_ms):
            self.sender = None
            self.rests = True
        for output in self.outputs:
            output.turn(now_ms)

    def wait_ms(self):
        """How long nothing happens if nobody asks: until the next second of the meter."""
        if self._owed_ms >= _SECOND_MS or self.program.work is not None or self.server.todo:
            return 0
        images = self.model.images
        if images is not None and images.is_busy():
            return 0
        if self.sender is not None and self.sender.notifier.is_busy():
            return _BUSY_MS
        ms = (_SECOND_MS // self.speed or 1) if self.speed else _SECOND_MS
        for output in self.outputs:
            ms = min(ms, output.wait_ms(self._last_ms))
        return ms

    def wants_restart(self):
        """Is the firmware to be started again: a new one, or that of before?"""
        images = self.model.images
        return images is not None and images.wants_restart

    def close(self):
        """The orderly end: it is noted, and the state saved."""
        for output in self.outputs:
            output.close()
        self.program.power_down()
        if self.model.images is not None:
            self.model.images.close()
        self.storage.close()


def forget(names):
    """Let go of the code of modules; True if one of them was loaded."""
    found = False
    for name in names:
        if name in sys.modules:
            del sys.modules[name]
            package, _dot, last = name.rpartition(".")
            delattr(sys.modules[package], last)
            found = True
    return found


def random_of(port):
    """For model.random: below(n) is 0..n - 1, a number that nobody can guess; n <= 65536."""
    octets = bytearray(3)

    def below(n):
        port.random_fill(octets)
        return (octets[0] << 16 | octets[1] << 8 | octets[2]) % n

    return below
