# SPDX-License-Identifier: MIT
"""A node of an ISO/IEC 14908-1 network: its addresses, transactions, and what comes twice.

    receive(buf, pos, end, now_ms)   an LPDU without CRC -> 1: an APDU has come, see came.at, .end;
                                     `wants`: respond() is to follow, and nothing else is taken
                                     before that, or before receive_ms are over
    respond(n)                       the answer, out[BODY:BODY + n], becomes a frame
    ignore()                         there will be none
    reset()                          what was to be sent, or answered, is forgotten
    forget(now_ms)                   transactions that are over; at least once in 17 minutes
    send(form, subnet, place, n, now_ms)    what nobody has asked for, out[BODY:BODY + n]; it goes
                                     out several times
    poll(now_ms)                     -> 1: out[out_pos:out_pos + out_n] is to be sent (again)
    sent()                           the modem has taken it

A request that comes again, since its answer was lost, hears that answer again, as long as no other
frame has been made since, and is not carried out twice: what came in the time of receive_ms is
remembered in rows. Authentication of this network (an old digest, which is broken) is not spoken:
a frame that asks for it is dropped. Nothing is allocated but at construction.
"""

from dlms.prim import copy, same
from micropython import const

from profiles.lon_frame import (
    ACKNOWLEDGED,
    ACKNOWLEDGEMENT,
    APDU,
    AUTH_PDU,
    BROADCAST,
    DOMAIN_LEN,
    GROUP,
    GROUP_ACKNOWLEDGED,
    LONGEST_HEAD,
    NODE,
    REPEATED,
    RESPONSE,
    SPDU,
    TPDU,
    UNIQUE,
    UNIQUE_LEN,
    Frame,
)
from profiles.modems import more

BODY = LONGEST_HEAD

_N_GROUPS = const(15)
# Rows of sources: subnet, node, kind << 4 | form, group, number of the transaction, state, time.
_N_ROWS = const(8)
_ROW_LEN = const(8)
_STATE = const(5)
_TIME = const(6)
_FREE = const(0)
_TAKEN = const(1)
_UNIT_SHIFT = const(4)  # times of rows are in 16 ms
_TICKS_MASK = const(0x3FFFFFFF)
_SOON = const(0x1FFFFFFF)  # half of all ticks: a time that has come


class Node:
    """max_data: octets of the longest APDU.

    subnet, node      0, 0: not configured yet, only its unique identifier and broadcasts reach it
    domain, domain_code   see lon_frame.py
    unique            6 octets
    groups            15 octets, a group each, 0: none; member: its number in each
    receive_ms        for so long a transaction is remembered
    held              the host has no room for another message now
    repeat_ms, repeats    of what nobody has asked for
    """

    def __init__(self, max_data):
        self.max_data = max_data
        self.subnet = self.node = 0
        self.domain = bytearray(6)
        self.domain_code = 0
        self.unique = bytearray(UNIQUE_LEN)
        self.groups = bytearray(_N_GROUPS)
        self.members = bytearray(_N_GROUPS)
        self.receive_ms = 6144
        self.repeat_ms = 384
        self.repeats = 3
        self.came = Frame()
        self.wants = 0
        self.held = False
        self.out = bytearray(BODY + max_data)
        self.out_pos = self.out_n = 0
        self._goes = Frame()
        self._domain = bytearray(6)
        self._last = 0  # octets of the frame that out holds, for its repetition
        self._answered = -1  # the row that this frame answers
        self._open = -1  # the row of the message that respond() would answer
        self._number = 0
        self._left = 0  # repetitions of what is sent unasked
        self._next_ms = 0
        self._rows = bytearray(_N_ROWS * _ROW_LEN)
        # layer3_received, lost_messages, missed_messages, receive_tx_full, transmit_tx_retries,
        # late_ack of classes 132 and 133.
        self.n_received = self.n_lost = self.n_missed = self.n_full = self.n_again = 0
        self.n_late = 0

    # --- Is it for this node? ------------------------------------------------------------------

    def _is_here(self, f):
        n = DOMAIN_LEN[f.domain_code]
        if f.form == UNIQUE:
            # Whoever knows it need not know the domain that the node was in.
            return same(f.unique_in, f.unique, self.unique, 0, UNIQUE_LEN)
        if f.domain_code != self.domain_code or not same(f.domain_in, f.domain, self.domain, 0, n):
            return 0
        if f.form == BROADCAST:
            return not f.subnet or f.subnet == self.subnet
        if f.form == GROUP:
            return f.group and self.groups.find(f.group) >= 0
        return f.node and f.subnet == self.subnet and f.node == self.node

    # --- What has come already ------------------------------------------------------------------

    def _row(self, f, now):
        """The row of the source of f, for its transaction; ~row: that has come before; a number
        beyond all rows: there is no room for it."""
        rows = self._rows
        kind = f.kind << 4 | f.form
        free = _N_ROWS
        for row in range(_N_ROWS):
            at = row * _ROW_LEN
            if rows[at + _STATE] == _FREE:
                free = row
            elif (
                rows[at] == f.source_subnet
                and rows[at + 1] == f.source_node
                and rows[at + 2] == kind
                and rows[at + 3] == f.group
            ):
                if rows[at + 4] == f.number:
                    return ~row
                # One at a time: a new number is the end of the transaction before.
                free = row
                if self._answered == row:
                    self._answered = -1
                break
        if free < _N_ROWS:
            at = free * _ROW_LEN
            rows[at] = f.source_subnet
            rows[at + 1] = f.source_node
            rows[at + 2] = kind
            rows[at + 3] = f.group
            rows[at + 4] = f.number
            rows[at + _STATE] = _TAKEN
            rows[at + _TIME] = now >> 8
            rows[at + _TIME + 1] = now & 0xFF
        return free

    def forget(self, now_ms):
        """Rows of transactions that are over."""
        now = now_ms >> _UNIT_SHIFT & 0xFFFF
        rows = self._rows
        for at in range(0, _N_ROWS * _ROW_LEN, _ROW_LEN):
            if rows[at + _STATE]:
                age = now - (rows[at + _TIME] << 8 | rows[at + _TIME + 1]) & 0xFFFF
                if age << _UNIT_SHIFT > self.receive_ms:
                    rows[at + _STATE] = _FREE
                    if self._open * _ROW_LEN == at:
                        self._open = -1
                    if self._answered * _ROW_LEN == at:
                        self._answered = -1

    # --- Receive -----------------------------------------------------------------------------

    def receive(self, buf, pos, end, now_ms):
        f = self.came
        self.wants = 0
        if not f.read(buf, pos, end) or not self._is_here(f):
            return 0
        self.n_received = more(self.n_received)
        self.forget(now_ms)
        if f.kind == APDU:
            if self.held or self._open >= 0:
                # It would take the place of the request that waits for its answer.
                self.n_lost = more(self.n_lost)
                return 0
            return 1
        if f.kind == AUTH_PDU or f.authenticated:
            self.n_missed = more(self.n_missed)
            return 0
        if f.type == (ACKNOWLEDGEMENT if f.kind == TPDU else RESPONSE):
            # This node asks nobody: it is the answer to something of before its restart.
            self.n_late = more(self.n_late)
            return 0
        if f.type != ACKNOWLEDGED and not (f.kind == TPDU and f.type == REPEATED):
            # Reminders are for members of groups that have not answered; what they remind of comes
            # again to those, too. uncertain: the layout of their list of members.
            self.n_missed = more(self.n_missed)
            return 0
        if self.held or self.out_n or self._open >= 0:
            # One at a time: who has asked asks again.
            self.n_lost = more(self.n_lost)
            return 0
        row = self._row(f, now_ms >> _UNIT_SHIFT & 0xFFFF)
        if row == _N_ROWS:
            self.n_full = more(self.n_full)
            return 0
        confirmed = f.type != REPEATED and self._can_answer(f)
        if row < 0:
            row = ~row
            if confirmed and row == self._answered:
                self.n_again = more(self.n_again)
                self.out_n = self._last
            elif confirmed and f.kind == TPDU:
                self._acknowledge(row)
            return 0
        if confirmed and f.kind == TPDU:
            self._acknowledge(row)
        elif confirmed:
            self.wants = 1
            self._open = row
            self._to_source(SPDU)
        return 1

    def _can_answer(self, f):
        """A source without an address cannot be; and a broadcast is not confirmed."""
        return f.source_node and f.form != BROADCAST

    # --- Send ----------------------------------------------------------------------------------

    def _to_source(self, kind):
        """What is made next goes back to where came is from."""
        f = self.came
        g = self._goes
        if f.form == GROUP:
            at = self.groups.find(f.group)
            g.form = GROUP_ACKNOWLEDGED
            g.group = f.group
            g.member = self.members[at]
        else:
            g.form = NODE
        g.kind = kind
        g.subnet = f.source_subnet
        g.node = f.source_node
        g.priority = f.priority
        g.alternate = f.alternate
        g.domain_code = f.domain_code
        # What was sent to a unique identifier may come from another domain, where the answer goes;
        # and the frame may be gone before there is one.
        copy(self._domain, 0, f.domain_in, f.domain, DOMAIN_LEN[f.domain_code])
        g.domain_in = self._domain
        g.domain = 0
        g.authenticated = 0
        g.type = ACKNOWLEDGEMENT
        g.number = f.number

    def _make(self, n):
        """A head in front of out[BODY:BODY + n]."""
        g = self._goes
        g.source_subnet = self.subnet
        g.source_node = self.node
        self.out_pos = BODY - g.head_len()
        g.write(self.out, self.out_pos)
        self._last = self.out_n = BODY - self.out_pos + n

    def _acknowledge(self, row):
        self._to_source(TPDU)
        self._left = 0
        self._make(0)
        self._answered = row

    def respond(self, n):
        """0: nobody waits for it any more, or it is too long."""
        if self._open < 0 or n > self.max_data:
            return 0
        self._left = 0
        self._make(n)
        self._answered = self._open
        self._open = -1
        return 1

    def ignore(self):
        """What has come hears nothing."""
        self._open = -1

    def send(self, form, subnet, place, n, now_ms):
        """place: of a node or a group. 0: something else is to be sent first."""
        if self.out_n or self._left or self._open >= 0 or n > self.max_data:
            return 0
        g = self._goes
        g.form = form
        g.kind = TPDU
        g.subnet = subnet
        g.node = g.group = place
        g.priority = g.alternate = g.authenticated = 0
        g.domain_code = self.domain_code
        g.domain_in = self.domain
        g.domain = 0
        g.type = REPEATED
        # Never that of the one before, to whomever that was.
        self._number = self._number % 15 + 1
        g.number = self._number
        self._make(n)
        self._answered = -1
        self._left = self.repeats
        self._next_ms = now_ms + self.repeat_ms & _TICKS_MASK
        return 1

    def poll(self, now_ms):
        if not self.out_n and self._left and now_ms - self._next_ms & _TICKS_MASK < _SOON:
            self._left -= 1
            self.n_again = more(self.n_again)
            self._next_ms = now_ms + self.repeat_ms & _TICKS_MASK
            self.out_n = self._last
        return self.out_n != 0

    def sent(self):
        self.out_n = 0

    def reset(self):
        self.out_n = self._left = 0
        self._open = self._answered = -1

    def is_sending(self):
        return self.out_n != 0 or self._left != 0
