# SPDX-License-Identifier: MIT
"""Microchip's G3-PLC device (PL360, PL460 with its modem firmware) over USI, protocol 25, its ADP
layer: a PlcModem. It does PHY and MAC of G3, 6LoWPAN, routes, and joins a network with its key.

Sources: public code of the serial interface. Numbers have the high octet first; a message is a
command, then

    0A initialize       band, coordinator                 00  status, command
    0B send             handle, discover route, QoS,      1E  status, handle
                        length (2), NSDU
    1F has come         LQI, length (2), NSDU
    0C discover         seconds                           30  PAN (2), LQI, LBA (2), cost (2), ...
                                                          21  status, at the end
    0E join             PAN (2), LBA (2)                  23  status, short address (2), PAN (2)
    10 reset                                              26  status
    11 set, 16 of MAC   attribute (4), index (2),         27, 2D  status, attribute, index
                        length, value
    12 get, 17 of MAC   attribute (4), index (2)          28, 2E  the same, length, value
    20 network status   PAN (2), addresses, status ...
    25 was made to leave
    2F buffer           1: there is room
    00 status           status (0 done, 1 not allowed, 2 unknown, 3 invalid), command

An NSDU is an IPv6 packet. Of the networks that answer a discovery the one with the lowest cost to
its coordinator is joined.

    FIRST (10) -> INIT (0A) -> SETUP (own address, key) -> DISCOVER (0C) -> JOIN (0E) -> RUN
                                                              ^----- nobody, refused, 25: DOWN

Uncertain: firmware with radio too (hybrid) wants a medium behind join: `hybrid` adds it; whether
initialize is answered by 00 alone.
"""

from dlms.prim import copy
from micropython import const
from profiles.modems import more
from profiles.modems.usi_modem import USIModem

_MODEM_UP = const(1)
_MODEM_DOWN = const(2)
_MODEM_DATA = const(3)

_STATUS = const(0x00)
_INITIALIZE = const(0x0A)
_DATA_REQ = const(0x0B)
_DISCOVERY_REQ = const(0x0C)
_JOIN_REQ = const(0x0E)
_RESET_REQ = const(0x10)
_SET_REQ = const(0x11)
_GET_REQ = const(0x12)
_MAC_SET_REQ = const(0x16)
_MAC_GET_REQ = const(0x17)
_DATA_CNF = const(0x1E)
_DATA_IND = const(0x1F)
_NETWORK_STATUS_IND = const(0x20)
_DISCOVERY_CNF = const(0x21)
_JOIN_CNF = const(0x23)
_LEAVE_IND = const(0x25)
_RESET_CNF = const(0x26)
_SET_CNF = const(0x27)
_GET_CNF = const(0x28)
_MAC_SET_CNF = const(0x2D)
_MAC_GET_CNF = const(0x2E)
_BUFFER_IND = const(0x2F)
_DISCOVERY_IND = const(0x30)
_OTHER_INDS = b"\x31\x32\x33"  # path request, values to keep, route not found

_G3_ADP = const(0x25)
# Attributes.
_MAC = const(0x8000)  # added by read() and write() to what the MAC has
_EXTENDED_ADDRESS = const(0x08000001)
_PRESHARED_KEY = const(0x080000C2)
_MAC_SHORT_ADDRESS = const(0x53)

# Status of the ADP.
_SUCCESS = const(0)
_INVALID_REQUEST = const(0xA1)
_INVALID_IPV6_FRAME = const(0xA3)

_OK = const(0)
_NOT_SENT = const(1)
_BUSY = const(2)
_REFUSED = const(3)
_NO_ANSWER = const(4)

# Of usi_modem.py: a value_state, and a phase.
_VALUE_UNDER_WAY = const(1)
_FIRST = const(3)
_INIT = const(4)
_SETUP = const(5)
_DISCOVER = const(6)
_JOIN = const(7)
_RUN = const(8)

_MAX_DATA = const(1280)
_REQ_HEAD_LEN = const(5)
_IND_HEAD_LEN = const(3)
_VALUE_LEN = const(64)
_ID_LEN = const(6)
_ANSWER_MS = const(1000)
_RESET_MS = const(5000)
_DISCOVERY_S = const(10)
_DISCOVERY_MS = const(20000)
_JOIN_MS = const(60000)
_DATA_MS = const(30000)
_FULL_MS = const(10000)  # without room for so long: as if nothing had been said
_WATCH_MS = const(30000)
_AGAIN_MS = const(5000)
_TRIES = const(3)
_NO_COST = const(0x10000)
_TICKS_MASK = const(0x3FFFFFFF)


class Modem(USIModem):
    """As README.md says: source and destination are -1 (they are in the IPv6 packet), options of
    send() 1 for high priority. status after DOWN: 1. read() and write() take attributes of the
    ADP, and 8000 + those of the MAC."""

    max_data = _MAX_DATA
    boot_ms = 1000

    def __init__(self, uart, reset=None, band=0, eui64=b"", key=b"", hybrid=False):
        """band: 0 CENELEC A, 1 CENELEC B, 2 ARIB, 3 FCC. eui64, key: of 8 and 16 octets; b"": what
        the modem has."""
        if len(eui64) not in (0, 8) or len(key) not in (0, 16):
            raise ValueError("an EUI-64 of 8 octets, a key of 16")
        USIModem.__init__(self, uart, reset, _G3_ADP, _MAX_DATA + 8, _VALUE_LEN)
        self._band = band
        self._eui64 = eui64
        self._key = key
        self._hybrid = hybrid
        self._said = 0  # of the setup
        self._pan = self._lba = 0  # of the network to join
        self._cost = _NO_COST
        self._again_ms = 0
        self._handle = 0
        self._full = False
        self._full_ms = 0
        self.address = self.pan = 0xFFFF
        self.n_joined = 0

    def send(self, buf, pos, end, destination, options):
        n = end - pos
        if not 0 < n <= _MAX_DATA or options & ~1:
            return -1
        if not self.is_up or self._waiting or self._full:
            return 0
        data = self._data
        data[1] = 1  # look for a route where there is none
        data[2] = options
        data[3] = n >> 8
        data[4] = n & 0xFF
        copy(data, _REQ_HEAD_LEN, buf, pos, n)
        self._data_end = _REQ_HEAD_LEN + n
        self._waiting = True
        return 1

    # --- What is asked --------------------------------------------------------------------------

    def _next(self, now_ms):
        phase = self._phase
        if phase == _RUN:
            if self._full and (now_ms - self._full_ms) & _TICKS_MASK >= _FULL_MS:
                self._full = False
            if self._doubt:
                self._watch(now_ms)
            elif self._waiting:
                self._handle = self._handle + 1 & 0xFF
                self._data[0] = self._handle
                end = self.usi.put(3, self._data, 0, self._data_end)
                self._request(_DATA_REQ, end, _DATA_CNF, _DATA_MS, 1, now_ms)
            elif self.value_state == _VALUE_UNDER_WAY:
                self._ask(now_ms)
            elif (now_ms - self._phase_ms) & _TICKS_MASK >= _WATCH_MS:
                self._watch(now_ms)
            return 0
        tx = self.usi.tx
        if phase == _FIRST:
            self._request(_RESET_REQ, 3, _RESET_CNF, _RESET_MS, _TRIES, now_ms)
        elif phase == _INIT:
            tx[3] = self._band
            tx[4] = 0  # no coordinator
            self._request(_INITIALIZE, 5, _STATUS, _ANSWER_MS, _TRIES, now_ms)
        elif phase == _SETUP:
            self._set_up(now_ms)
        elif self.value_state == _VALUE_UNDER_WAY:
            self._ask(now_ms)
        elif phase == _DISCOVER:
            if self._passed(now_ms) >= self._again_ms:
                self._cost = _NO_COST
                tx[3] = _DISCOVERY_S
                self._request(_DISCOVERY_REQ, 4, _DISCOVERY_CNF, _DISCOVERY_MS, 1, now_ms)
        elif phase == _JOIN:
            tx[3] = self._pan >> 8
            tx[4] = self._pan & 0xFF
            tx[5] = self._lba >> 8
            tx[6] = self._lba & 0xFF
            tx[7] = 0  # power line
            end = 8 if self._hybrid else 7
            self._request(_JOIN_REQ, end, _JOIN_CNF, _JOIN_MS, 1, now_ms)
        return 0

    def _watch(self, now_ms):
        """Is it there, and in a network?"""
        self._phase_ms = now_ms
        self._doubt = False
        self._watching = True
        end = self._name(_MAC_SHORT_ADDRESS, 0)
        self._request(_MAC_GET_REQ, end, _MAC_GET_CNF, _ANSWER_MS, _TRIES, now_ms)

    def _set_up(self, now_ms):
        said = self._said
        self._said = said + 1
        if said == 0 and self._eui64:
            end = self._put_value(_EXTENDED_ADDRESS, 0, self._eui64, len(self._eui64))
            self._request(_MAC_SET_REQ, end, _MAC_SET_CNF, _ANSWER_MS, _TRIES, now_ms)
        elif said == 1 and self._key:
            end = self._put_value(_PRESHARED_KEY, 0, self._key, len(self._key))
            self._request(_SET_REQ, end, _SET_CNF, _ANSWER_MS, _TRIES, now_ms)
        elif said == 2:
            self._again_ms = 0
            self._enter(_DISCOVER, now_ms)

    def _name(self, attribute, index):
        tx = self.usi.tx
        attribute &= ~_MAC
        tx[3] = attribute >> 24
        tx[4] = attribute >> 16 & 0xFF
        tx[5] = attribute >> 8 & 0xFF
        tx[6] = attribute & 0xFF
        tx[7] = index >> 8
        tx[8] = index & 0xFF
        return 3 + _ID_LEN

    def _put_value(self, attribute, index, value, n):
        at = self._name(attribute, index)
        self.usi.tx[at] = n
        return self.usi.put(at + 1, value, 0, n)

    def _ask(self, now_ms):
        attribute = self._value_id
        mac = attribute & _MAC
        if self._value_writes:
            end = self._put_value(attribute, self._value_index, self.value, self.value_len)
            command = _MAC_SET_REQ if mac else _SET_REQ
            answer = _MAC_SET_CNF if mac else _SET_CNF
        else:
            end = self._name(attribute, self._value_index)
            command = _MAC_GET_REQ if mac else _GET_REQ
            answer = _MAC_GET_CNF if mac else _GET_CNF
        self._request(command, end, answer, _ANSWER_MS, _TRIES, now_ms)

    # --- What is answered -----------------------------------------------------------------------

    def _answers(self, asked, pos, end):
        if end - pos < 2:
            return True
        if asked == _DATA_REQ:
            return self.buf[pos + 1] == self._handle
        return asked != _INITIALIZE or self.buf[pos + 1] == _INITIALIZE

    def _done(self, asked, result, pos, end, now_ms):
        buf = self.buf
        status = buf[pos] if end > pos else _INVALID_REQUEST
        if asked == _DATA_REQ:
            if result:
                self._doubt = True
                return self._confirm(_NO_ANSWER)
            return self._confirmed(status)
        if asked == _DISCOVERY_REQ:
            return self._discovered(result, now_ms)
        if asked == _JOIN_REQ:
            return self._joined(result, status, pos, end, now_ms)
        if result or self._phase < _DISCOVER:
            # Whatever is refused while it is set up cannot be left out.
            if result or status:
                self._watching = False
                return self._fault(now_ms)
            if self._phase < _SETUP:
                self._said = 0
                self._enter(self._phase + 1, now_ms)
            return 0
        if asked == _SET_REQ or asked == _MAC_SET_REQ:
            self._value_came(0, -1 if status else 0)
            return 0
        at = pos + 2 + _ID_LEN
        n = buf[at - 1] if at <= end else 0xFFFF
        if status or n > end - at:
            n = -1
        if not self._watching:
            self._value_came(at, n)
            return 0
        self._watching = False
        if n == 2 and buf[at] == 0xFF and buf[at + 1] == 0xFF:
            return self._left(now_ms)  # and what said so was lost
        return 0

    def _confirmed(self, status):
        if status == _SUCCESS:
            return self._confirm(_OK)
        if status == _INVALID_REQUEST:
            return self._confirm(_BUSY)
        if status == _INVALID_IPV6_FRAME:
            return self._confirm(_REFUSED)
        return self._confirm(_NOT_SENT)

    def _discovered(self, result, now_ms):
        if self._cost != _NO_COST:
            self._enter(_JOIN, now_ms)
            return 0
        if result:
            return self._fault(now_ms)
        return self._again(now_ms)

    def _again(self, now_ms):
        """Look for a network after a pause."""
        self._again_ms = _AGAIN_MS
        self._enter(_DISCOVER, now_ms)
        return 0

    def _joined(self, result, status, pos, end, now_ms):
        if result or status or end - pos < 5:
            self.n_refused = more(self.n_refused)
            return self._fault(now_ms) if result else self._again(now_ms)
        self.address = self.buf[pos + 1] << 8 | self.buf[pos + 2]
        self.pan = self.buf[pos + 3] << 8 | self.buf[pos + 4]
        self._runs()
        self._full = False
        self.n_joined = more(self.n_joined)
        self._enter(_RUN, now_ms)
        self.is_up = True
        return _MODEM_UP

    # --- What comes by itself -------------------------------------------------------------------

    def _came(self, command, pos, end, now_ms):
        buf = self.buf
        n = end - pos
        if command == _DATA_IND and n > _IND_HEAD_LEN:
            length = buf[pos + 1] << 8 | buf[pos + 2]
            if not self.is_up or length + _IND_HEAD_LEN > n or not length:
                self.n_stray = more(self.n_stray)
                return 0
            self.quality = buf[pos]
            self.source = self.destination = -1
            self.options = 0
            self.pos = pos + _IND_HEAD_LEN
            self.end = self.pos + length
            self.n_ok = more(self.n_ok)
            return _MODEM_DATA
        if command == _DISCOVERY_IND and n >= 7:
            cost = buf[pos + 5] << 8 | buf[pos + 6]
            if self._asked == _DISCOVERY_REQ and cost < self._cost:
                self._cost = cost
                self._pan = buf[pos] << 8 | buf[pos + 1]
                self._lba = buf[pos + 3] << 8 | buf[pos + 4]
        elif command == _STATUS and n >= 2:
            if buf[pos] and buf[pos + 1] == self._asked:
                return self._not_done(now_ms)
        elif command == _BUFFER_IND and n:
            self._full = not buf[pos]
            self._full_ms = now_ms
        elif command == _LEAVE_IND:
            return self._left(now_ms)
        elif command == _RESET_CNF or _DATA_CNF <= command and command <= _MAC_GET_CNF:
            if command != _NETWORK_STATUS_IND:
                self.n_late = more(self.n_late)
        elif command not in _OTHER_INDS and command != _STATUS:
            self.n_stray = more(self.n_stray)
        return 0

    def _not_done(self, now_ms):
        """What was asked was not understood, or not allowed: it is not initialized, most often
        because it was reset."""
        asked = self._asked
        self._asked = self._answer = -1
        if asked == _DATA_REQ or self._watching or self._phase < _RUN:
            self._watching = False
            return self._fault(now_ms)
        self._value_came(0, -1)
        return 0

    def _left(self, now_ms):
        self.address = self.pan = 0xFFFF
        self._watching = False
        if self._phase >= _DISCOVER:
            self._again(now_ms)
        if not self.is_up:
            return 0
        self.is_up = False
        self.status = _NOT_SENT
        self._asked = self._answer = -1
        if not self._waiting:
            return _MODEM_DOWN
        self._later = _MODEM_DOWN
        self._later_status = _NOT_SENT
        return self._confirm(_NOT_SENT)
