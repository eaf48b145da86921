# SPDX-License-Identifier: MIT
"""ST7580 (ST; X-NUCLEO-PLM01A1 is a shield with it): frames of up to 242 octets on a line, PSK or
FSK. No physical layer of DLMS/COSEM has it: what goes over it is project-defined. A PlcModem.

Sources: UM0932 and public drivers of the shield. The frames and the handshake are those of stx.py;
a status is one octet, busy if any of its bits 06 is set. Commands:

    3C reset, 3E it has been     08, 09 write to the MIB, 0B refused      36 syntax error
    50 send, 51 sent, 53 not     52 a frame has come

    send       option: modulation << 4, 80 in step with the mains, 08 gain and 04 frequency given
               | payload
    has come   4 octets about the signal | payload

Starting: RESETN low for a second, then 3E, then the MIB: 01 the physical layer, if there is
something to say about it, and 00: 11, its data link layer. There are no addresses.

Uncertain: the four octets in front of what has come are not looked at; what a 53 says beside that
nothing was sent.
"""

from dlms.prim import copy
from micropython import const
from profiles.modems import more
from profiles.modems.local_modem import LocalModem

_MODEM_UP = const(1)
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)

_MIB_WRITE = const(0x08)
_MIB_CNF = const(0x09)
_MIB_ERR = const(0x0B)
_SYNTAX_ERROR = const(0x36)
_RESET_REQ = const(0x3C)
_RESET_CNF = const(0x3D)
_RESET_IND = const(0x3E)
_DATA_REQ = const(0x50)
_DATA_CNF = const(0x51)
_DATA_IND = const(0x52)
_DATA_ERR = const(0x53)

_MODEM_CONFIG = const(0x00)
_PHY_CONFIG = const(0x01)
_DATA_LINK = const(0x11)
_PHY_CONFIG_LEN = const(14)

_BUSY_BITS = const(0x06)
_ZERO_CROSSING = const(0x80)
_MAX_OPTION = const(0x70)

_OK = const(0)
_NOT_SENT = const(1)
_BUSY = const(2)
_REFUSED = const(3)
_NO_ANSWER = const(4)

_MAX_DATA = const(242)
_SIGNAL_LEN = const(4)
_ANSWER_MS = const(4500)  # manual: 4000
_BOOT_MS = const(3000)
_BOOT = const(2)  # phases of local_modem.py
_SETUP = const(3)


class Modem(LocalModem):
    """As README.md says; options are the option octet, without its bits 08 and 04. Besides
    LocalModem's, the counters n_sent and n_ok."""

    max_data = _MAX_DATA
    counts_data = True
    n_status = 1
    status_ms = 250  # manual: 200
    syntax_error = _SYNTAX_ERROR
    reset_command = _RESET_REQ
    low_ms = 1000

    def __init__(self, uart, t_req, reset=None, phy=b""):
        """phy: nothing, or the 14 octets of the MIB's PHY configuration (UM0932)."""
        if phy and len(phy) != _PHY_CONFIG_LEN:
            raise ValueError("14 octets of PHY configuration")
        LocalModem.__init__(self, uart, t_req, reset)
        self._phy = phy
        self._phy_said = False
        self._was_reset = False
        self._data = bytearray(1 + _MAX_DATA)
        self._data_end = 0
        self.n_sent = self.n_ok = 0

    def send(self, buf, pos, end, destination, options):
        n = end - pos
        if not 0 < n <= _MAX_DATA or options & ~(_MAX_OPTION | _ZERO_CROSSING):
            return -1
        if not self.is_up or self._waiting:
            return 0
        self._data[0] = options
        copy(self._data, 1, buf, pos, n)
        self._data_end = 1 + n
        self._waiting = True
        return 1

    def _status(self, pos):
        return 0 if self.buf[pos] & _BUSY_BITS else 1

    def _boot(self, passed_ms, now_ms):
        # One that says nothing may have said it before anybody listened.
        if not self._was_reset and passed_ms < _BOOT_MS:
            return False
        self._was_reset = self._phy_said = False
        return True

    def _setup(self, now_ms):
        tx = self._tx
        if self._phy and not self._phy_said:
            tx[3] = _PHY_CONFIG
            copy(tx, 4, self._phy, 0, _PHY_CONFIG_LEN)
            n = 1 + _PHY_CONFIG_LEN
        else:
            tx[3] = _MODEM_CONFIG
            tx[4] = _DATA_LINK
            n = 2
        self._request(_MIB_WRITE, n, _MIB_CNF, _MIB_ERR, _ANSWER_MS, now_ms)

    def _next_request(self, now_ms):
        if not self._waiting:
            return False
        copy(self._tx, 3, self._data, 0, self._data_end)
        self._request(_DATA_REQ, self._data_end, _DATA_CNF, _DATA_ERR, _ANSWER_MS, now_ms)
        return True

    def _done(self, asked, result, command, pos, end, now_ms):
        if asked == _DATA_REQ and result != _NO_ANSWER:
            if result == _BUSY:
                self.status = _BUSY
            elif result:
                self.status = _NO_ANSWER
                self._ask_status(now_ms)  # is it there?
            elif command == _DATA_CNF:
                self.status = _OK
                self.n_sent = more(self.n_sent)
            else:
                self.status = _REFUSED if command == _SYNTAX_ERROR else _NOT_SENT
            self._waiting = False
            return _MODEM_CONFIRM
        if result or asked == _MIB_WRITE and command != _MIB_CNF:
            return self._fault(now_ms)
        if asked == _MIB_WRITE:
            if self._phy and not self._phy_said:
                self._phy_said = True
                return 0
            self._runs(now_ms)
            self.is_up = True
            return _MODEM_UP
        return 0

    def _frame(self, command, pos, end, now_ms):
        if command == _DATA_IND and end - pos > _SIGNAL_LEN and self.is_up:
            self.options = 0
            self.pos = pos + _SIGNAL_LEN
            self.end = end
            self.n_ok = more(self.n_ok)
            return _MODEM_DATA
        if command == _RESET_IND:
            if self._phase >= _SETUP:
                return self._fault(now_ms)
            self._was_reset = self._phase == _BOOT
        elif command == _DATA_CNF or command == _DATA_ERR:
            self.n_late = more(self.n_late)
        elif command != _RESET_CNF:
            self.n_stray = more(self.n_stray)
        return 0
