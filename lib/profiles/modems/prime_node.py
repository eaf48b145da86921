# SPDX-License-Identifier: MIT
"""Microchip's PRIME service node (PL360, PL460 with its modem firmware) over USI, protocol 30, the
PRIME API: a PlcModem. It does PHY and MAC of PRIME, and the 4-32 convergence sublayer (CL_432).

Sources: Microchip's USI guide and the public code of the modem application. Numbers have the high
octet first; a message is a command, then

    1B get of the PHY   attribute (2), channel (2)     1C  as 2E, and channel
    21 has registered   SNA (6), SID
    24 is unregistered  -
    2B reset            -                              2C  result
    2D get              attribute (2)                  2E  result, attribute (2), length, value
    2F get a list       attribute (2)                  30  the same, length (2)
    31 set              attribute (2), length, value   32  result
    33 establish        length, identifier, ae         34  length, identifier, own address (2),
                                                           base address (2), ae
    36 is released      address (2), result
    37 send             dst LSAP, src LSAP, dst (2), length (2), data, link class
                                                       39  dst LSAP, src LSAP, dst (2), status
    38 has come         dst LSAP, src LSAP, dst (2), src (2), length (2), data, link class

A node registers by itself. When it has, the connection for 4-32 is established with the meter's
identifier; that gives its address and the one of the base node. It is asked for its MAC state each
30 s; one that does not know of its network any more says so there, too.

    FIRST (2B) -> SEARCH (until 21, or state 1 to 3) -> ESTABLISH (33) -> RUN
                     ^---------- 24, state 0: DOWN ---------------------------'
                                       ESTABLISH <------ 36: DOWN ------------'

Uncertain: the header of the LLC (control 90, LSAPs) is made by the firmware; that an own address
FFFF in 34 means that it was refused; PIB attributes are those of PRIME 1.3.6.
"""

from dlms.prim import compare, copy
from micropython import const
from profiles.modems import more
from profiles.modems.usi_modem import USIModem

_MODEM_UP = const(1)
_MODEM_DOWN = const(2)
_MODEM_DATA = const(3)

_PHY_GET_REQ = const(0x1B)
_PHY_GET_CFM = const(0x1C)
_REGISTER_IND = const(0x21)
_UNREGISTER_IND = const(0x24)
_RESET_REQ = const(0x2B)
_RESET_CFM = const(0x2C)
_GET_REQ = const(0x2D)
_GET_CFM = const(0x2E)
_LIST_GET_REQ = const(0x2F)
_LIST_GET_CFM = const(0x30)
_SET_REQ = const(0x31)
_SET_CFM = const(0x32)
_ESTABLISH_REQ = const(0x33)
_ESTABLISH_CFM = const(0x34)
_RELEASE_CFM = const(0x36)
_DATA_REQ = const(0x37)
_DATA_IND = const(0x38)
_DATA_CFM = const(0x39)

_CFMS = b"\x1c\x2c\x2e\x30\x32\x34\x39"  # that answer requests of this driver

_PRIME_API = const(0x30)
_MAC_STATE = const(0x0024)
_FIRST_LIST = const(0x0050)  # attributes from here to LAST are lists
_LAST_LIST = const(0x0059)
_FIRST_PHY = const(0x00A0)
_LAST_PHY = const(0x00BF)
_DISCONNECTED = const(0)
_NOBODY = const(0xFFFF)

_OK = const(0)
_NOT_SENT = const(1)
_BUSY = const(2)
_REFUSED = const(3)
_NO_ANSWER = const(4)
# Status of a data confirm.
_TX_TIMEOUT = const(2)
_MAC_BUSY = const(0x80)  # uncertain: which of 80 to 84 it is
_BAD_ADDRESS = const(0xC0)
_BAD_HANDLER = const(0xC1)
_PREVIOUS = const(0xC2)

# Of usi_modem.py: a value_state, and a phase.
_VALUE_UNDER_WAY = const(1)
_FIRST = const(3)
_SEARCH = const(4)
_ESTABLISH = const(5)
_RUN = const(6)

_MAX_DATA = const(1021)
_REQ_HEAD_LEN = const(6)
_IND_HEAD_LEN = const(8)
_VALUE_LEN = const(256)
_MAX_ID_LEN = const(32)
_ANSWER_MS = const(1000)
_RESET_MS = const(5000)
_ESTABLISH_MS = const(30000)
_DATA_MS = const(20000)
_WATCH_MS = const(30000)
_AGAIN_MS = const(10000)  # until a connection that was refused is asked for again
_TRIES = const(3)
_TICKS_MASK = const(0x3FFFFFFF)


class Modem(USIModem):
    """As README.md says; options are destination LSAP << 8 | source LSAP. status after DOWN: 1 not
    registered any more, 2 the connection was released."""

    max_data = _MAX_DATA
    boot_ms = 1000

    def __init__(self, uart, reset=None, identifier=b""):
        """identifier: what the base node knows the meter by, up to 32 octets."""
        if not 0 < len(identifier) <= _MAX_ID_LEN:
            raise ValueError("an identifier of 1 to 32 octets")
        USIModem.__init__(self, uart, reset, _PRIME_API, _MAX_DATA + 16, _VALUE_LEN)
        self._identifier = identifier
        self.address = self.base_address = _NOBODY
        self.sna = bytearray(6)
        self._again_ms = 0

    def send(self, buf, pos, end, destination, options):
        n = end - pos
        if not 0 < n <= _MAX_DATA or not 0 <= destination < _NOBODY or options >> 16:
            return -1
        if not self.is_up or self._waiting:
            return 0
        data = self._data
        data[0] = options >> 8
        data[1] = options & 0xFF
        data[2] = destination >> 8
        data[3] = destination & 0xFF
        data[4] = n >> 8
        data[5] = n & 0xFF
        copy(data, _REQ_HEAD_LEN, buf, pos, n)
        data[_REQ_HEAD_LEN + n] = 0  # link class: not used
        self._data_end = _REQ_HEAD_LEN + n + 1
        self._waiting = True
        return 1

    # --- What is asked --------------------------------------------------------------------------

    def _next(self, now_ms):
        phase = self._phase
        if phase == _FIRST:
            self._request(_RESET_REQ, 3, _RESET_CFM, _RESET_MS, _TRIES, now_ms)
        elif phase == _ESTABLISH and self._passed(now_ms) >= self._again_ms:
            tx = self.usi.tx
            n = len(self._identifier)
            tx[3] = n
            copy(tx, 4, self._identifier, 0, n)
            tx[4 + n] = 0
            self._request(_ESTABLISH_REQ, 5 + n, _ESTABLISH_CFM, _ESTABLISH_MS, 1, now_ms)
        elif self._doubt:
            self._watch(now_ms)
        elif phase == _RUN and self._waiting:
            end = self.usi.put(3, self._data, 0, self._data_end)
            self._request(_DATA_REQ, end, _DATA_CFM, _DATA_MS, 1, now_ms)
        elif self.value_state == _VALUE_UNDER_WAY:
            self._ask(self._value_id, now_ms)
        elif phase != _ESTABLISH and (now_ms - self._phase_ms) & _TICKS_MASK >= _WATCH_MS:
            self._watch(now_ms)
        return 0

    def _watch(self, now_ms):
        """Is it there, and in a network?"""
        self._phase_ms = now_ms
        self._doubt = False
        self._watching = True
        self._ask(_MAC_STATE, now_ms)

    def _ask(self, attribute, now_ms):
        tx = self.usi.tx
        tx[3] = attribute >> 8
        tx[4] = attribute & 0xFF
        if self._watching or not self._value_writes:
            if _FIRST_LIST <= attribute and attribute <= _LAST_LIST:
                self._request(_LIST_GET_REQ, 5, _LIST_GET_CFM, _ANSWER_MS, _TRIES, now_ms)
            elif _FIRST_PHY <= attribute and attribute <= _LAST_PHY:
                tx[5] = tx[6] = 0
                self._request(_PHY_GET_REQ, 7, _PHY_GET_CFM, _ANSWER_MS, _TRIES, now_ms)
            else:
                self._request(_GET_REQ, 5, _GET_CFM, _ANSWER_MS, _TRIES, now_ms)
            return
        tx[5] = self.value_len
        end = self.usi.put(6, self.value, 0, self.value_len)
        self._request(_SET_REQ, end, _SET_CFM, _ANSWER_MS, _TRIES, now_ms)

    # --- What is answered -----------------------------------------------------------------------

    def _answers(self, asked, pos, end):
        # A confirm names the addresses of what was sent.
        return asked != _DATA_REQ or compare(self.buf, pos, self._data, 0, 4) == 0

    def _done(self, asked, result, pos, end, now_ms):
        if asked == _DATA_REQ:
            if result:
                self._doubt = True
                return self._confirm(_NO_ANSWER)
            return self._confirmed(pos, end)
        if asked == _ESTABLISH_REQ:
            return self._established(result, pos, end, now_ms)
        if result:
            self._watching = False
            if asked == _GET_REQ or asked == _RESET_REQ:
                return self._fault(now_ms)
            self._value_came(0, -1)
            return 0
        if asked == _RESET_REQ:
            if end > pos and self.buf[pos]:
                return self._fault(now_ms)
            self._enter(_SEARCH, now_ms)
            return 0
        return self._got(asked, pos, end, now_ms)

    def _got(self, asked, pos, end, now_ms):
        buf = self.buf
        good = end > pos and buf[pos] == 0
        if asked == _SET_REQ:
            self._value_came(0, 0 if good else -1)
            return 0
        at = pos + (5 if asked == _LIST_GET_REQ else 4)
        if not good or at > end:
            n = -1
        elif asked == _LIST_GET_REQ:
            n = buf[at - 2] << 8 | buf[at - 1]
        else:
            n = buf[at - 1]
        if n > end - at:
            n = -1
        if not self._watching:
            self._value_came(at, n)
            return 0
        self._watching = False
        if n != 1:
            return 0
        if buf[at] == _DISCONNECTED:
            return self._lost(now_ms)
        if self._phase == _SEARCH:
            self._found(now_ms)
        return 0

    def _found(self, now_ms):
        self._again_ms = 0
        self._enter(_ESTABLISH, now_ms)

    def _lost(self, now_ms):
        """It is not registered."""
        if self._phase > _SEARCH:
            self._enter(_SEARCH, now_ms)
        return self._down(_NOT_SENT)

    def _down(self, why):
        self.address = self.base_address = _NOBODY
        if not self.is_up:
            return 0
        self.is_up = False
        self.status = why
        if not self._waiting:
            return _MODEM_DOWN
        self._asked = self._answer = -1
        self._later = _MODEM_DOWN
        self._later_status = why
        return self._confirm(_NOT_SENT)

    def _established(self, result, pos, end, now_ms):
        buf = self.buf
        n = len(self._identifier)
        at = pos + 1 + n
        self._runs()
        self._again_ms = _AGAIN_MS
        self._phase_ms = now_ms
        if result or end - pos < n + 6:
            return self._search_again(now_ms) if result else 0
        address = buf[at] << 8 | buf[at + 1]
        if address == _NOBODY:
            self.n_refused = more(self.n_refused)
            return 0
        self.address = address
        self.base_address = buf[at + 2] << 8 | buf[at + 3]
        self._enter(_RUN, now_ms)
        self.is_up = True
        return _MODEM_UP

    def _search_again(self, now_ms):
        """Nobody has answered for long: see whether there is still a network."""
        self._enter(_SEARCH, now_ms)
        self._doubt = True
        return 0

    def _confirmed(self, pos, end):
        code = self.buf[pos + 4] if end - pos > 4 else _TX_TIMEOUT
        if code == 0:
            return self._confirm(_OK)
        if code == _PREVIOUS or code == _MAC_BUSY:
            return self._confirm(_BUSY)
        if code == _BAD_ADDRESS or code == _BAD_HANDLER:
            return self._confirm(_REFUSED)
        return self._confirm(_NOT_SENT)

    # --- What comes by itself -------------------------------------------------------------------

    def _came(self, command, pos, end, now_ms):
        buf = self.buf
        n = end - pos
        if command == _DATA_IND and n > _IND_HEAD_LEN:
            length = buf[pos + 6] << 8 | buf[pos + 7]
            if not self.is_up or length + _IND_HEAD_LEN > n or not length:
                self.n_stray = more(self.n_stray)
                return 0
            self.options = buf[pos] << 8 | buf[pos + 1]
            self.destination = buf[pos + 2] << 8 | buf[pos + 3]
            self.source = buf[pos + 4] << 8 | buf[pos + 5]
            self.pos = pos + _IND_HEAD_LEN
            self.end = self.pos + length
            self.n_ok = more(self.n_ok)
            return _MODEM_DATA
        if command == _REGISTER_IND and n >= 7:
            copy(self.sna, 0, buf, pos, 6)
            event = self._down(_NOT_SENT)
            if self._phase >= _SEARCH:
                self._found(now_ms)
            return event
        if command == _UNREGISTER_IND:
            return self._lost(now_ms)
        if command == _RELEASE_CFM and self._phase == _RUN:
            event = self._down(_BUSY)
            self._found(now_ms)
            return event
        if command in _CFMS:
            self.n_late = more(self.n_late)
        else:
            self.n_stray = more(self.n_stray)
        return 0
