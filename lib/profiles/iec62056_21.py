# SPDX-License-Identifier: MIT
"""IEC 62056-21, the tariff device's side: sign-on, data readout, programming, and the way to HDLC.

Modes A, B, C and E. What is read and written, and the settings, are those of `data` (see
cosem/local_port.py); from the hand-over of mode E on the octets are those of an HDLC profile.

Allocates nothing that grows: messages come into the buffer of HDLC's frames and are made in
channel.tx, a readout line by line. With `parity` characters are 7E1 on a line that has 8N1: the
parity bits are made and checked here.

    receive(buf, pos, end, now_ms) -> pos  takes octets; none while something is to be sent
    transmit(now_ms) -> n                  next part: out[out_pos:out_pos + n]; it is called when
                                           all that it gave before has left the line
    tick(now_ms)                           time-outs; call it every 10 to 50 ms
    baud                                   the rate that the line has to have from now on
    is_binary(), is_linked()               HDLC goes over the line; and a client has a data link
    renew()                                settings have changed: they count from the next sign-on
    reset()                                the physical line came or went

Project-defined: what is no message is dropped; a message in programming mode that is damaged is
answered with NAK, one that cannot be carried out with an error message (ERxx); after three of
either NAK in a row the device signs off (SOH B0 ETX BCC).
"""

from micropython import const

from dlms.prim import copy
from profiles.iec62056_21_answer import LINE_LEN, Answers
from profiles.iec62056_21_message import BREAK, even

# States
_ASLEEP = const(0)  # battery: nothing is heard but the wake-up message
_IDLE = const(1)  # at the rate of the sign-on, waits for a request message
_IDENTIFYING = const(2)  # the identification message is on its way
_WAITING = const(3)  # for the option select message
_CONFIRMING = const(4)  # mode E: the same message is on its way back
_READING = const(5)  # the data message is on its way
_READ = const(6)  # it has been sent, and may be asked for again
_PROGRAMMING = const(7)  # waits for a command message
_ANSWERING = const(8)  # the answer to one is on its way, or not known yet
_LEAVING = const(9)  # the break message is on its way
_BINARY = const(10)  # mode E: HDLC
_DIRECT = const(11)  # HDLC at a fixed rate, and no sign-on
_SENDING = const(0x334)  # of these, as bits: those in which nothing is heard

# Events
_EV_WAKE = const(0)  # the end of a wake-up message
_EV_REQUEST = const(1)  # a request message for this device
_EV_READ = const(2)  # option select: data readout
_EV_PROGRAM = const(3)  # option select: programming mode
_EV_BINARY = const(4)  # option select: HDLC
_EV_WRONG = const(5)  # option select that is damaged, or asks for what this device has not
_EV_COMMAND = const(6)  # a command message
_EV_BREAK = const(7)  # the command B0 or B1
_EV_ACK = const(8)  # ACK alone
_EV_NAK = const(9)
_EV_BAD = const(10)  # a command message that is damaged
_EV_SENT = const(11)  # what was to be sent has left
_EV_TIME_OUT = const(12)
_EV_ENDED = const(13)  # HDLC is in NDM again
_EV_OPTION = const(14)  # of iec62056_21_message.py: one of READ, PROGRAM, BINARY and WRONG

# Actions
_NOTHING = const(0x0F)  # no action, no other state
_IDENTIFY = const(1)  # rights dropped; the identification message
_LISTEN = const(2)  # modes C and E: nothing. A: as READOUT_SLOW. B: as READOUT
_READOUT = const(3)  # the rate that was agreed; the data message
_READOUT_SLOW = const(4)  # the data message at the rate of the sign-on
_DONE = const(5)  # modes C and E: nothing. A and B: as SIGN_OFF
_REPEAT = const(6)  # what was sent last; BREAK, if it was too often
_PROGRAM = const(7)  # the rate that was agreed; P0 with an operand
_CARRY_OUT = const(8)  # the command; ACK, a data message or an error message
_REFUSE = const(9)  # NAK; BREAK, if it was too often
_CONFIRM = const(10)  # ACK 2 Z 2
_HAND_OVER = const(11)  # the rate that was agreed; HDLC begins
_SIGN_OFF = const(12)  # rights dropped; settings that have changed; the rate of the sign-on

# Row = state, column = event; action << 4 | next state, next state F = as the action leaves it,
# or as it was. 0F: cannot be, or means nothing here: nothing changes.
# fmt: off
TABLE = bytes((
    # WAKE REQ   READ  PROG  BIN   WRONG CMD   BREAK ACK   NAK   BAD   SENT  TIME  ENDED
    0x01, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0, 0,
    0x0F, 0x12, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0xCF, 0x0F, 0, 0,
    0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x23, 0x0F, 0x0F, 0, 0,
    0x0F, 0x12, 0x35, 0x78, 0xA4, 0x45, 0x0F, 0xCF, 0x0F, 0x0F, 0x0F, 0x0F, 0x45, 0x0F, 0, 0,
    0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0xBA, 0x0F, 0x0F, 0, 0,
    0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x56, 0x0F, 0x0F, 0, 0,
    0x0F, 0x12, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0xCF, 0xCF, 0x65, 0x0F, 0x0F, 0xCF, 0x0F, 0, 0,
    0x0F, 0x12, 0x0F, 0x0F, 0x0F, 0x0F, 0x88, 0xCF, 0x0F, 0x68, 0x98, 0x0F, 0xCF, 0x0F, 0, 0,
    0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x07, 0x0F, 0x0F, 0, 0,
    0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0xCF, 0x0F, 0x0F, 0, 0,
    0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0xCF, 0xCF, 0, 0,
    0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0x0F, 0, 0,
))
# fmt: on

_ACK = const(0x06)

_FASTEST = const(6)  # the last number of a rate that messages know
_LAST_DOUBLED = const(7)
# Protocol modes by their letters.
_MODE_A = const(0x41)
_MODE_B = const(0x42)
_MODE_E = const(0x45)

_TICKS_MASK = const(0x3FFFFFFF)
# Reaction time of the device, by response_time; longest pause between characters, and before the
# option select message; of silence in programming mode (the standard: 60 to 120 s).
_FAST_MS = const(20)
_SLOW_MS = const(200)
_PAUSE_MS = const(1500)
_PROGRAMMING_MS = const(60000)
# Project-defined: until HDLC has a link after the hand-over; until a device that was woken is
# asleep again.
_NO_LINK_MS = const(10000)
_AWAKE_MS = const(5000)
_ATTEMPTS = const(3)
# A wake-up message: NUL for 2.1 to 2.3 s, with pauses of at most half a second. So many of them,
# ten bits each at 300 baud, or so long; some are missed.
_WAKING = const(50)
_WAKING_MS = const(1800)
_WAKING_PAUSE_MS = const(500)

# Of data.command().
_AGAIN = const(-1)
_SIGNS_OFF = const(-3)


def baud_rate(number):
    """300, 600, ... 38400, 57600, 115200 by its number, in messages and IEC local port setup."""
    # No table: the integers of one that is frozen are not small, and to count with them allocates.
    if number <= _LAST_DOUBLED:
        return 300 << number
    return 57600 if number == _LAST_DOUBLED + 1 else 115200


class TariffDevice(Answers):
    """state, baud: see above."""

    closed = False

    def __init__(self, hdlc, data, parity=False):
        """hdlc: profile for mode E, and for direct HDLC; its buffer of frames, and channel.tx of
        its first link, are used here while it rests. parity: the line has 8N1, not 7E1."""
        tx = hdlc.links[0].channel.tx
        Answers.__init__(self, hdlc.rx, tx, data, parity)
        self.hdlc = hdlc
        self.links = hdlc.links
        self.out = tx
        self.out_pos = 0
        self.state = _IDLE
        self.baud = baud_rate(0)
        # Of this session: protocol mode, proposed and agreed rate, reaction time.
        self._mode = _MODE_A
        self._proposed = self._z = 0
        self._reaction_ms = _SLOW_MS
        self._attempts = 0  # NAK in a row
        self._nulls = 0  # of a wake-up message, which has begun at:
        self._woken_ms = 0
        self._asks = False  # the command has to come again
        self._linked = False  # HDLC has had a link since the hand-over
        self._changed = False  # the settings
        self._since_ms = 0
        self._late = False
        self._rest()

    # --- Octets to messages -----------------------------------------------------------------

    def receive(self, buf, pos, end, now_ms):
        if self.state >= _BINARY:
            return self.hdlc.receive(buf, pos, end, now_ms)
        while pos < end and not _SENDING >> self.state & 1:
            octet = buf[pos]
            pos += 1
            if self.state == _ASLEEP:
                if not self._nulls:
                    self._woken_ms = now_ms
                self._nulls = 0 if octet else self._nulls + 1
                self._hear(now_ms)
                continue
            event = self.take(octet, self.state == _WAITING)
            if self.kind:
                self._hear(now_ms)
            if event == _EV_OPTION:
                event = self._option_select()
            elif event == _EV_REQUEST and not self.data.is_addressed(self.buf, 1, self.n - 2):
                event = -1
            if event >= 0:
                self.event(event, now_ms)
        return pos

    def _hear(self, now_ms):
        self._since_ms = now_ms
        self._late = False

    def _option_select(self):
        """The event that ACK V Z Y CR LF is."""
        buf = self.buf
        z = buf[1] - 0x30
        if 0 <= z <= self._proposed:
            self._z = z
            if buf[0] == 0x30 and buf[2] == 0x30:
                return _EV_READ
            if buf[0] == 0x30 and buf[2] == 0x31:
                return _EV_PROGRAM
            if buf[0] == 0x32 and buf[2] == 0x32 and self._mode == _MODE_E:
                return _EV_BINARY
        return self.drop(_ACK)

    # --- The state machine ------------------------------------------------------------------

    def event(self, event, now_ms):
        """Do what the table says."""
        cell = TABLE[self.state << 4 | event]
        if cell == _NOTHING:
            return
        action = cell >> 4
        if cell & 15 != 15:
            self.state = cell & 15
        self._hear(now_ms)
        if action == _IDENTIFY:
            self._sign_on()
        elif action == _LISTEN:
            if self._mode == _MODE_B:
                self._readout(self._proposed)
            elif self._mode == _MODE_A:
                self._readout(-1)
        elif action == _READOUT:
            self._attempts = 0
            self._readout(self._z)
        elif action == _READOUT_SLOW:
            self._attempts = 0
            self._readout(-1)
        elif action == _DONE:
            if self._mode <= _MODE_B:
                self._sign_off()
        elif action == _REPEAT:
            self._repeat()
        elif action == _PROGRAM:
            self._attempts = 0
            self.baud = baud_rate(self._z)
            self.ask_password()
        elif action == _CARRY_OUT:
            self._attempts = 0
            self._carry_out()
        elif action == _REFUSE:
            if not self._is_too_often():
                self.refuse()
        elif action == _CONFIRM:
            self.confirm(self._z)
        elif action == _HAND_OVER:
            self.hdlc.reset()
            self._linked = False
            self.baud = baud_rate(self._z)
        elif action == _SIGN_OFF:
            self._sign_off()

    def _rest(self):
        """To the state in which nobody has signed on, by the settings as they are now."""
        self._changed = False
        self.kind = self._nulls = self.n_out = 0
        self._asks = False
        rate = self.data.direct_rate()
        if rate >= 0:
            self.state = _DIRECT
        else:
            self.state = _ASLEEP if self.data.battery else _IDLE
            rate = self.data.default_rate()
        self.baud = baud_rate(rate)

    def _sign_off(self):
        if self.state == _BINARY:
            self.hdlc.reset()
        self.data.close()
        self._rest()

    def _sign_on(self):
        data = self.data
        data.close()
        self._attempts = 0
        self._proposed = min(data.proposed_rate(), _FASTEST)
        self._mode = data.protocol_mode
        if self._mode == _MODE_B and not self._proposed:
            self._mode = _MODE_A  # no letter says 300 baud
        fast = data.is_fast()
        self._reaction_ms = _FAST_MS if fast else _SLOW_MS
        self.baud = baud_rate(data.default_rate())
        self.identify(self._mode, self._proposed, fast)

    def _readout(self, rate):
        """Begin the data message, at this rate; -1: at that of the sign-on."""
        self.state = _READING
        if rate >= 0:
            self.baud = baud_rate(rate)
        self.begun = self.ended = False
        self.data.begin()

    def _carry_out(self):
        """Ask for the result of the command in buf, and make the answer of it."""
        buf = self.buf
        kind = 0 if self.partial else buf[0]
        start = min(3, self.n)
        n = self.data.command(kind, buf[1], buf, start, self.n, self.tx, 1, LINE_LEN)
        self._asks = n == _AGAIN
        if n == _SIGNS_OFF:
            self._break()
        elif n >= 0:
            self.answer(n)

    def _repeat(self):
        if not self._is_too_often():
            if self.state == _READING:
                self._readout(-1)
            else:
                self.send(self.again)

    def _is_too_often(self):
        self._attempts += 1
        if self._attempts <= _ATTEMPTS:
            return False
        self._break()
        return True

    def _break(self):
        self.state = _LEAVING
        copy(self.tx, 0, BREAK, 0, len(BREAK))
        self.send(len(BREAK))

    # --- Messages to octets -----------------------------------------------------------------

    def transmit(self, now_ms):
        if self.state >= _BINARY:
            return self._hand_on(now_ms)
        while _SENDING >> self.state & 1:
            if (now_ms - self._since_ms) & _TICKS_MASK < self._reaction_ms and not (
                self.state == _READING and self.begun
            ):
                return 0
            if self._asks:
                self._carry_out()
                if self._asks:
                    return 0
            if not self.n_out and self.state == _READING and not self.ended:
                self.part()
                if not self.n_out:
                    return 0
            n = self.n_out
            if n:
                self.n_out = 0
                self.out = self.tx
                self.out_pos = self.at
                if self.parity:
                    even(self.tx, self.at, self.at + n)
                return n
            self.event(_EV_SENT, now_ms)
            if self.state >= _BINARY:
                return 0
        return 0

    def _hand_on(self, now_ms):
        """The octets of HDLC; when its link has ended, so does the session."""
        hdlc = self.hdlc
        n = hdlc.transmit(now_ms)
        if n:
            self.out = hdlc.out
            self.out_pos = hdlc.out_pos
        elif self._changed and self.state == _DIRECT and not self.is_linked():
            hdlc.reset()
            self._rest()
        elif self.is_linked():
            self._linked = True
        elif self._linked and not hdlc.reply:
            self._linked = False
            self.event(_EV_ENDED, now_ms)
        return n

    def is_linked(self):
        for link in self.links:
            if link.state or link.channel.in_use():
                return True
        return False

    # --- Time -------------------------------------------------------------------------------

    def tick(self, now_ms):
        state = self.state
        if state >= _BINARY:
            self.hdlc.tick(now_ms)
            if state == _DIRECT or self._linked:
                return
            limit_ms = _NO_LINK_MS
        elif _SENDING >> state & 1:
            return
        elif state == _ASLEEP:
            # A pause ends what came: was it a wake-up message?
            limit_ms = _WAKING_PAUSE_MS
            if not self._nulls:
                return
        elif self.kind:
            limit_ms = _PAUSE_MS
        elif state == _PROGRAMMING:
            limit_ms = _PROGRAMMING_MS
        elif state == _IDLE:
            limit_ms = _AWAKE_MS
            if not self.data.battery:
                return
        else:
            limit_ms = _PAUSE_MS
        if (now_ms - self._since_ms) & _TICKS_MASK < limit_ms:
            self._late = False
        elif not self._late:
            # Octets may have been waiting outside while the caller was busy elsewhere.
            self._late = True
        else:
            self._expire(now_ms)

    def _expire(self, now_ms):
        self._late = False
        kind = self.kind
        if self.state == _ASLEEP:
            took_ms = (self._since_ms - self._woken_ms) & _TICKS_MASK
            awake = self._nulls >= _WAKING or took_ms >= _WAKING_MS
            self._nulls = 0
            if awake:
                self.event(_EV_WAKE, now_ms)
        elif not kind:
            self.event(_EV_TIME_OUT, now_ms)
        else:
            event = self.drop(kind)
            if event >= 0:
                self.event(event, now_ms)

    def is_waiting(self):
        """Does somebody have to be answered, or a time-out run, before the next octet?"""
        return _IDLE < self.state <= _BINARY

    def is_binary(self):
        return self.state >= _BINARY

    def renew(self):
        self._changed = True
        if self.state <= _IDLE and not self.kind:
            self._rest()

    def reset(self):
        self.hdlc.reset()
        self.data.close()
        self._linked = False
        self._rest()
