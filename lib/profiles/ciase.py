# SPDX-License-Identifier: MIT
"""CIASE, the configuration initiation application service element (IEC 61334-4-511, as IEC
62056-8-3 uses it), the server's side: how a meter is discovered, gets its MAC address, loses it.

    Discover       1D response_probability allowed_time_slots(2) initial_credit IC_equal_credit
    DiscoverReport 1E N, N x (system title, flag, alarm if the flag is set)
    Register       1C initiator's system title, N, N x (system title, MAC address(2))
    Ping           19 system title          answer: 1A system title
    RepeaterCall   1F max_adr_mac(2) nb_tslot_for_new reception_threshold
    ClearAlarm     39 choice, see _clears()

What is malformed, of another initiator, or for another meter gets silence. A meter that starts
has no address: registration is not kept over a power failure (project-defined).

uncertain: all of the bodies; who answers a Discover but a system without an address (here: one
with an alarm); what IC_equal_credit means, see _is_admitted(), and a time slot, see _plan().

Allocates at construction the list of reporting systems, nothing later. Randomness is handed in:
random(n) gives 0..n - 1.
"""

from dlms.prim import compare, copy
from micropython import const

# States. Tests are made from the table.
_LOST = const(0)  # no address, not synchronized
_NEW = const(1)  # no address, synchronized
_REPORTING = const(2)  # a DiscoverReport waits for its time slot
_DISCOVERED = const(3)  # it was sent
_REGISTERED = const(4)  # address and initiator are there; only this initiator is heard
_ADRIFT = const(5)  # registered, but not synchronized

# Events
_EV_UP = const(0)  # the modem is synchronized
_EV_DOWN = const(1)  # it is not
_EV_DISCOVER = const(2)  # a Discover that is to be answered
_EV_REPORTED = const(3)  # the DiscoverReport has left
_EV_REGISTER = const(4)  # a Register that names this meter, with an address it may have
_EV_EXPIRED = const(5)  # not addressed for time_out_not_addressed
_EV_RESET = const(6)  # reset_NEW_not_synchronized of Active initiator (class_id 51)

# Actions
_NONE = const(0)
_PLAN = const(1)  # a time slot is drawn
_CANCEL = const(2)  # no DiscoverReport any more
_ADOPT = const(3)  # address and initiator are taken; if they are others, associations dropped
_FORGET = const(4)  # no address, no initiator, not synchronized; associations dropped

# Row = state, column = event: action << 4 | next state
# fmt: off
TABLE = bytes((
    # UP  DOWN  DISC. REP.  REG.  EXP.  RESET
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40,  # LOST
    0x01, 0x00, 0x12, 0x01, 0x34, 0x01, 0x40,  # NEW
    0x02, 0x20, 0x02, 0x03, 0x34, 0x02, 0x40,  # REPORTING
    0x03, 0x00, 0x12, 0x03, 0x34, 0x03, 0x40,  # DISCOVERED
    0x04, 0x25, 0x14, 0x04, 0x34, 0x40, 0x40,  # REGISTERED
    0x04, 0x05, 0x05, 0x05, 0x05, 0x40, 0x40,  # ADRIFT
))
# fmt: on
_N_EVENTS = const(7)

_PING_REQUEST = const(0x19)
_PING_RESPONSE = const(0x1A)
_REGISTER = const(0x1C)
_DISCOVER = const(0x1D)
_DISCOVER_REPORT = const(0x1E)
_REPEATER_CALL = const(0x1F)
_CLEAR_ALARM = const(0x39)

_NEW_ADDRESS = const(0xFFE)
_REPORTING_LEN = const(8)
_MINUTE_MS = const(60000)
_TICKS_MASK = const(0x3FFFFFFF)
_FUTURE = const(0x20000000)


class Ciase:
    """state        of the table
    address      0xFFE: NEW
    initiator    MAC address of the active initiator, 0: none
    initiator_title  its system title, title_len octets
    alarm        alarm descriptor, 0: none
    only         the one initiator to be heard while there is none, 0: any
    planned      a DiscoverReport waits for its time slot
    due          tag of the CI-PDU that is to be sent now, 0: none
    credit       initial credit that it is to be sent with
    reporting    system titles of others that have reported, newest first: n_reporting
    """

    # Project-defined: no answer to Register, which public sources say to be unconfirmed; one
    # client answers with a DiscoverReport.
    answers_register = False

    def __init__(self, station, title, random, slot_ms):
        """title: own system title, 6 octets with LLC 61334-4-32, 8 with HDLC. station: has
        adopt(same), forget(), expired(), call(position, n, threshold), n_subframes(length)."""
        self.station = station
        self.title = title
        self.title_len = len(title)
        self.random = random
        self.slot_ms = slot_ms
        self.state = _LOST
        self.address = _NEW_ADDRESS
        self.initiator = 0
        self.initiator_title = bytearray(self.title_len)
        self.alarm = 0
        self.only = 0
        self.first_initiator = 0xC00
        self.last_initiator = 0xDFF
        self.due = 0
        self.credit = 0
        self.reporting = bytearray(_REPORTING_LEN * self.title_len)
        self.n_reporting = 0
        self.dropped = 0
        self.time_out_not_addressed = 0  # minutes, 0: never
        self._minutes = 0
        self._minute_ms = 0
        self.planned = False
        self._at_ms = 0

    def event(self, event):
        """Do what the table says."""
        cell = TABLE[self.state * _N_EVENTS + event]
        action = cell >> 4
        self.state = cell & 15
        if action == _CANCEL or action >= _ADOPT:
            self.planned = False
            if self.due == _DISCOVER_REPORT:
                self.due = 0
        if action == _FORGET:
            self.address = _NEW_ADDRESS
            self.initiator = 0
            self.n_reporting = 0
            self.station.forget()

    def _takes(self, event):
        return TABLE[self.state * _N_EVENTS + event] >> 4 != _NONE

    def is_registered(self):
        return self.state == _REGISTERED

    def is_initiator(self, address):
        """May this one be heard?"""
        if self.initiator:
            return address == self.initiator
        if self.only:
            return address == self.only
        return self.first_initiator <= address and address <= self.last_initiator

    # --- CI-PDUs -------------------------------------------------------------------------------

    def receive(self, buf, pos, end, source, ic, cc, now_ms):
        """The CI-PDU buf[pos:end] of the MAC address source; ic, cc: its credits."""
        tag = buf[pos]
        pos += 1
        if tag == _DISCOVER_REPORT:
            good = self._hear(buf, pos, end)
        elif not self.is_initiator(source):
            good = False
        elif tag == _DISCOVER:
            good = end - pos == 5
            if good and self._is_admitted(buf, pos, ic, cc):
                self._plan(buf, pos, cc, now_ms)
                self.event(_EV_DISCOVER)
        elif tag == _REGISTER:
            good = self._register(buf, pos, end, source)
        elif tag == _PING_REQUEST:
            good = end - pos == self.title_len
            if good and self.state == _REGISTERED and self._is_own(buf, pos):
                self.due = _PING_RESPONSE
                self.credit = ic
        elif tag == _REPEATER_CALL:
            good = end - pos == 4
            if good:
                self._repeat(buf, pos)
        elif tag == _CLEAR_ALARM:
            good = self._clear(buf, pos, end)
        else:
            good = False
        if not good:
            self.dropped = self.dropped + 1 & 0xFFFFFF

    def _is_own(self, buf, pos):
        return compare(buf, pos, self.title, 0, self.title_len) == 0

    def _is_admitted(self, buf, pos, ic, cc):
        if not self._takes(_EV_DISCOVER) or self.state == _REGISTERED and not self.alarm:
            return False
        if not (buf[pos + 1] or buf[pos + 2]):
            return False
        # uncertain: IC_equal_credit set: only those who have heard it first hand, IC = CC.
        if buf[pos + 4] and ic != cc:
            return False
        return self.random(100) < buf[pos]

    def _plan(self, buf, pos, cc, now_ms):
        """Draw a time slot, unless one is drawn already.

        uncertain: a time slot is as long as a report takes with all its repetitions; the first
        begins when the repetitions of the Discover, of one sub-frame, are over.
        """
        if self.planned or self.due == _DISCOVER_REPORT:
            return
        self.credit = buf[pos + 3] & 7
        n = self.station.n_subframes(3 + self.title_len)
        slot = self.random(buf[pos + 1] << 8 | buf[pos + 2])
        self.planned = True
        self._at_ms = now_ms + (cc + slot * n * (self.credit + 1)) * self.slot_ms & _TICKS_MASK

    def _register(self, buf, pos, end, source):
        size = self.title_len
        at = pos + size + 1
        if at > end or end - at != buf[at - 1] * (size + 2):
            return False
        while at < end:
            address = buf[at + size] << 8 | buf[at + size + 1]
            if not self._is_own(buf, at):
                self._unreport(buf, at)
            elif 0 < address and address < self.first_initiator and self._takes(_EV_REGISTER):
                same = address == self.address and source == self.initiator
                self.address = address
                self.initiator = source
                copy(self.initiator_title, 0, buf, pos, size)
                self.station.adopt(same)
                self.event(_EV_REGISTER)
                if self.answers_register:
                    self.due = _DISCOVER_REPORT
            at += size + 2
        return True

    def _repeat(self, buf, pos):
        """Take part in a repeater call: at the place of the own address, or, without one, at a
        random one behind."""
        last = buf[pos] << 8 | buf[pos + 1]
        n_new = buf[pos + 2]
        place = self.address
        if self.state != _REGISTERED:
            if not n_new or self.state == _LOST:
                return
            place = last + 1 + self.random(n_new)
        elif place > last:
            return
        self.station.call(place, last + n_new, buf[pos + 3])

    def _clear(self, buf, pos, end):
        """ClearAlarm. False: malformed.

        uncertain: the choice. 0: alarm; 1: n, alarms; 2: n, alarms, n, system titles; 3: n, system
        titles with an alarm each.
        """
        if end - pos < 2:
            return False
        choice = buf[pos]
        size = self.title_len
        n = buf[pos + 1]
        at = pos + 2
        own = True
        if choice == 0:
            at = pos + 1
            n = 1
        elif choice == 2:
            if at + n >= end or end - (at + n + 1) != buf[at + n] * size:
                return False
            own = False
            k = at + n + 1
            while k < end:
                own = own or self._is_own(buf, k)
                k += size
            end = at + n
        elif choice == 3:
            if end - at != n * (size + 1):
                return False
            while at < end:
                if self._is_own(buf, at) and buf[at + size] == self.alarm:
                    self.alarm = 0
                at += size + 1
            return True
        elif choice != 1:
            return False
        if end - at != n:
            return False
        while own and at < end:
            if buf[at] == self.alarm:
                self.alarm = 0
            at += 1
        return True

    # --- Systems that report -------------------------------------------------------------------

    def _hear(self, buf, pos, end):
        """The DiscoverReport of another one. False: malformed."""
        size = self.title_len
        n = buf[pos] if pos < end else 0
        at = pos + 1
        while n:
            if at + size >= end:
                return False
            at += size + 1
            if buf[at - 1]:
                at += 1
            n -= 1
        if at != end:
            return False
        n = buf[pos]
        at = pos + 1
        while n:
            self._report(buf, at)
            at += size + 1
            if buf[at - 1]:
                at += 1
            n -= 1
        return True

    def _find(self, buf, pos):
        size = self.title_len
        for k in range(self.n_reporting):
            if compare(self.reporting, k * size, buf, pos, size) == 0:
                return k
        return -1

    def _report(self, buf, pos):
        """Put a system title in front of the list; the oldest goes when it is full."""
        size = self.title_len
        k = self._find(buf, pos)
        if k < 0:
            k = min(self.n_reporting, _REPORTING_LEN - 1)
            self.n_reporting = k + 1
        titles = self.reporting
        at = (k + 1) * size
        while at > size:
            at -= 1
            titles[at] = titles[at - size]
        copy(titles, 0, buf, pos, size)

    def _unreport(self, buf, pos):
        k = self._find(buf, pos)
        if k >= 0:
            size = self.title_len
            self.n_reporting -= 1
            rest = (self.n_reporting - k) * size
            copy(self.reporting, k * size, self.reporting, (k + 1) * size, rest)

    # --- Out and time --------------------------------------------------------------------------

    def write(self, out, pos):
        """Write the CI-PDU that is due at out[pos:]; its end. reported() says that it has left."""
        size = self.title_len
        out[pos] = self.due
        pos += 1
        if self.due == _PING_RESPONSE:
            copy(out, pos, self.title, 0, size)
            return pos + size
        out[pos] = 1
        copy(out, pos + 1, self.title, 0, size)
        pos += 1 + size
        if not self.alarm:
            out[pos] = 0
            return pos + 1
        out[pos] = 1
        out[pos + 1] = self.alarm
        return pos + 2

    def reported(self):
        """The modem has the CI-PDU that was due."""
        tag = self.due
        self.due = 0
        if tag == _DISCOVER_REPORT:
            self.event(_EV_REPORTED)

    def addressed(self, now_ms):
        """A frame for the own address has come."""
        self._minutes = 0
        self._minute_ms = now_ms

    def tick(self, now_ms):
        if self.planned and (now_ms - self._at_ms & _TICKS_MASK) < _FUTURE:
            self.planned = False
            self.due = _DISCOVER_REPORT
        if (now_ms - self._minute_ms & _TICKS_MASK) >= _MINUTE_MS:
            self._minute_ms = self._minute_ms + _MINUTE_MS & _TICKS_MASK
            if self._minutes < 0xFFFF:
                self._minutes += 1
            limit = self.time_out_not_addressed
            if limit and self._minutes >= limit and self.state >= _REGISTERED:
                self.station.expired()
