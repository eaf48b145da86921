# SPDX-License-Identifier: MIT
"""S-FSK modems AMIS-49587, NCN49597 (On Semi), ST7570 (ST), as slaves: a PlcModem.

They do the physical layer and the MAC sublayer of IEC 61334-5-1: slots, synchronization, credits,
repetition, sub-frames, pad, check sequence. Sources: data sheets of AMIS-49587 and ST7570, UM0934.
The frames and the handshake are those of stx.py. Numbers are sent with the low octet first, a
MAC frame as in the standard:

    credits | source, destination: 12 bits each | pad length | M_sdu, 242 octets at most

Starting: reset (by the pin, or by command 21), then the configuration (71), which the modem
sends back (72) and which has to be the same. Then it looks for a master by itself and reports
(10); what it said while nobody heard shows in its status. Each setting that changes goes by the
data base (41). A modem that says that it is not set has been reset, and gets all that again.

Uncertain, each in one place below:
- NCN49597, whose firmware is loaded, is taken to speak as its predecessor;
- ST7570's numbers for data (50, 51, 52) are those of the others;
- the last two fields of the configuration, and the units of frequencies and gains;
- the identifier in data base requests has two octets: so it looks in the manual's example;
- the source and destination in a synchro indication are packed as in a MAC frame;
- the bits of the third status octet;
- M_sdu comes without pad;
- a repeater call (command 61, ISA): its data is not public, so call() answers -1.
"""

from dlms.prim import compare, copy
from micropython import const
from profiles.modems import more
from profiles.modems.local_modem import LocalModem

_MODEM_UP = const(1)
_MODEM_DOWN = const(2)
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)

_SYNCHRO_IND = const(0x10)
_DESYNC_REQ = const(0x11)
_SYNTAX_ERROR = const(0x20)  # ST7570
_RESET_REQ = const(0x21)
_DB_REQ = const(0x41)
_DB_CNF = const(0x42)
_DB_ERR = const(0x43)
_DATA_IND = const(0x50)
_DATA_REQ = const(0x51)
_DATA_CNF = const(0x52)
_BAD_CRC_IND = const(0x53)
_CONFIG_REQ = const(0x71)
_CONFIG_CNF = const(0x72)
_CONFIG_ERR = const(0x73)

# MA_Data.confirm
_CNF_OK = const(0xFF)
_CNF_SYNTAX = const(0x03)
_CNF_NOT_ALLOWED = const(0x0A)
_CNF_BUSY = const(0x14)
_CNF_BUSY_TOO = const(0x1E)

# Bits of the first status octet
_BUFFER_BUSY = const(0x01)
_NOT_SET = const(0x02)
_NOT_SYNCHRONIZED = const(0x04)

# Synchro indication
_CONFIRMED = const(2)
_LOST = const(4)
_ASKED_FOR = const(5)  # reason: the host wanted it so
_NOT_SAID = const(0)

# Status of a confirm, as README.md has them.
_OK = const(0)
_NOT_SENT = const(1)
_BUSY = const(2)
_REFUSED = const(3)
_NO_ANSWER = const(4)

_MAX_SDU = const(242)
_FRAME_HEAD_LEN = const(5)

_ANSWER_MS = const(1000)
# A frame of seven sub-frames takes 1.05 s at 2400 bit/s, 2.1 s at 1200; then there is a confirm.
_DATA_MS = const(5000)
_BOOT_MS = const(500)

_RUN = const(4)  # phase of local_modem.py

# The configuration, WriteConfig.request: the settings of data base identifiers, at their places.
_CONFIG_LEN = const(36)
_AT_ADDRESS = const(4)
_AT_GROUPS = const(14)
_AT_ALARM = const(29)
_AT_MODE = const(30)
_AT_REPEATER = const(33)
# Identifier: place, octets of one value, values.
_ITEMS = (
    (0x00, 0, 2, 2),
    (0x01, 4, 2, 2),
    (0x02, 8, 2, 1),
    (0x03, 10, 2, 1),
    (0x04, 12, 2, 1),
    (0x05, _AT_GROUPS, 2, 5),
    (0x08, _AT_ALARM, 1, 1),
    (0x0A, 32, 1, 1),
    (0x0B, _AT_REPEATER, 1, 1),
    # uncertain: whether Fs and Fm are counted in 10 Hz. The standard's order is mark, space.
    (0x0C, 24, 2, 2),
    (0x0F, _AT_ALARM, 1, 1),
    (0x11, 34, 2, 1),  # uncertain: that this field is the last
)
_SYNCHRO = const(0x09)
_GROUPS = const(0x05)
_GAIN = const(0x08)
_REPEATER = const(0x0B)
_FREQUENCIES = const(0x0C)
_ALARM = const(0x0F)
_ALARM_BIT = const(0x80)  # uncertain: which bit of its octet
_N_GROUPS = const(5)
_SLAVE = const(0x10)  # 010 << 3

# As the standard has it: FIMA C00, LIMA DFF, NEW, locked to nobody; 30 s, 45 s, 60 min;
# 63.3 and 74 kHz.
_DEFAULTS = (
    b"\x00\x0c\xff\x0d\xfe\x0f\x00\x00\x1e\x00\x2d\x00\x3c\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    b"\xe8\x1c\xba\x18\x00\x00\x10\x00\x00\x00\x00\x00"
)


class Modem(LocalModem):
    """As README.md says; besides LocalModem's, the counters n_sent, n_ok, n_bad, n_repeated
    (0: the modem repeats by itself and does not tell)."""

    max_data = _MAX_SDU
    syntax_error = _SYNTAX_ERROR
    reset_command = _RESET_REQ

    def __init__(self, uart, t_req, reset=None, hz_60=False, baud_code=3):
        """baud_code: what pins BR1 and BR0 say, as two bits (3: 38400 bit/s)."""
        LocalModem.__init__(self, uart, t_req, reset)
        self._config = bytearray(_DEFAULTS)
        self._config[_AT_MODE] = _SLAVE | baud_code << 1 | (1 if hz_60 else 0)
        self._dirty = 0  # bit i: _ITEMS[i] has to be written
        self._desync = False
        self._synchronized = False  # it said so, when asked how it is
        self._data = bytearray(_FRAME_HEAD_LEN + _MAX_SDU)
        self._data_end = 0
        self.initiator = self.delta_phase = self.min_delta_credit = 0
        self.is_repeater = False
        self.n_sent = self.n_ok = self.n_bad = self.n_repeated = 0

    @property
    def address(self):
        return self._config[_AT_ADDRESS] | self._config[_AT_ADDRESS + 1] << 8

    # --- As a PlcModem --------------------------------------------------------------------------

    def send(self, buf, pos, end, destination, options):
        n = end - pos
        if not 0 < n <= _MAX_SDU or not 0 < destination <= 0xFFF or not 0 <= options <= 0xFF:
            return -1
        if not self.is_up or self._waiting:
            return 0
        data = self._data
        source = self.address
        data[0] = options
        data[1] = source >> 4
        data[2] = (source & 0xF) << 4 | destination >> 8
        data[3] = destination & 0xFF
        data[4] = 0
        copy(data, _FRAME_HEAD_LEN, buf, pos, n)
        self._data_end = _FRAME_HEAD_LEN + n
        self._waiting = True
        return 1

    def set(self, item, a, b):
        """README.md lists the items."""
        if item == _SYNCHRO:
            self._desync = True
            return 1
        for i in range(len(_ITEMS)):
            if _ITEMS[i][0] == item:
                break
        else:
            return -1
        at = _ITEMS[i][1]
        config = self._config
        if item == _GROUPS:
            if not 0 <= a < _N_GROUPS or not 0 <= b <= 0xFFF:
                return -1
            _put(config, at + 2 * a, b)
        elif item == _ALARM:
            if not 0 <= a <= 1:
                return -1
            config[at] = config[at] & ~_ALARM_BIT | (_ALARM_BIT if a else 0)
        elif _ITEMS[i][2] == 1:
            if not 0 <= a <= (2 if item == _REPEATER else 0x7F if item == _GAIN else 0xFF):
                return -1
            config[at] = config[at] & _ALARM_BIT | a if item == _GAIN else a
        else:
            if not 0 <= a <= 0xFFFF or not 0 <= b <= 0xFFFF:
                return -1
            _put(config, at, b if item == _FREQUENCIES else a)
            if _ITEMS[i][3] == 2:
                _put(config, at + 2, a if item == _FREQUENCIES else b)
        self._dirty |= 1 << i
        return 1

    def call(self, position, n_positions, threshold):
        return -1  # uncertain: what the data of ISA (61) is

    # --- What is done when ----------------------------------------------------------------------

    def _boot(self, passed_ms, now_ms):
        return passed_ms >= _BOOT_MS

    def _setup(self, now_ms):
        copy(self._tx, 3, self._config, 0, _CONFIG_LEN)
        self._dirty = 0
        self._request(_CONFIG_REQ, _CONFIG_LEN, _CONFIG_CNF, _CONFIG_ERR, _ANSWER_MS, now_ms)

    def _next_request(self, now_ms):
        if self._desync:
            self._desync = False
            self._request(_DESYNC_REQ, 0, -1, -1, 0, now_ms)
        elif self._dirty:
            i = 0
            while not self._dirty & 1 << i:
                i += 1
            self._dirty &= ~(1 << i)
            item, at, width, n = _ITEMS[i]
            _put(self._tx, 3, item)
            copy(self._tx, 5, self._config, at, width * n)
            self._request(_DB_REQ, 2 + width * n, _DB_CNF, _DB_ERR, _ANSWER_MS, now_ms)
        elif self._waiting:
            copy(self._tx, 3, self._data, 0, self._data_end)
            self._request(_DATA_REQ, self._data_end, _DATA_CNF, -1, _DATA_MS, now_ms)
        else:
            return False
        return True

    def _status(self, pos):
        buf = self.buf
        if self._phase == _RUN:
            if buf[pos] & _NOT_SET:
                return -1
            # uncertain: which bits these are
            self.delta_phase = buf[pos + 2] >> 5
            self.min_delta_credit = buf[pos + 2] >> 2 & 7
            self.is_repeater = buf[pos + 2] & 1 != 0
            self._synchronized = not buf[pos] & _NOT_SYNCHRONIZED
        return 0 if buf[pos] & _BUFFER_BUSY else 1

    def _done(self, asked, result, command, pos, end, now_ms):
        if asked == _DATA_REQ and result != _NO_ANSWER:
            return self._confirmed(result, command, pos, end, now_ms)
        if result or asked == _CONFIG_REQ and command != _CONFIG_CNF:
            return self._fault(now_ms)
        if asked == _CONFIG_REQ:
            if end - pos != _CONFIG_LEN or compare(self.buf, pos, self._config, 0, _CONFIG_LEN):
                if not self._dirty:
                    return self._fault(now_ms)
            self._runs(now_ms)
        elif command == _DB_ERR or command == _SYNTAX_ERROR:
            self.n_stray = more(self.n_stray)
        elif not asked and self._synchronized != self.is_up:
            # What it said when that changed has not been heard.
            if not self.is_up:
                self.is_up = True
                return _MODEM_UP
            return self._lost(_NOT_SAID)
        return 0

    def _confirmed(self, result, command, pos, end, now_ms):
        code = self.buf[pos] if command == _DATA_CNF and pos < end else _CNF_SYNTAX
        if result == _BUSY:
            self.status = _BUSY
        elif result:
            self.status = _NO_ANSWER
            self._ask_status(now_ms)  # is it there?
        elif code == _CNF_OK:
            self.status = _OK
            self.n_sent = more(self.n_sent)
        elif code == _CNF_BUSY or code == _CNF_BUSY_TOO:
            self.n_busy = more(self.n_busy)
            self.status = _BUSY
        elif code == _CNF_SYNTAX or code == _CNF_NOT_ALLOWED:
            self.status = _REFUSED
        else:
            self.status = _NOT_SENT
        self._waiting = False
        return _MODEM_CONFIRM

    def _lost(self, reason):
        """The synchronization is lost."""
        if not self.is_up:
            return 0
        self.is_up = False
        self.status = reason
        if not self._waiting or self._asked == _DATA_REQ:
            return _MODEM_DOWN
        # What has not been handed over will not be.
        self._waiting = False
        self._later = _MODEM_DOWN
        self._later_status = reason
        self.status = _NOT_SENT
        return _MODEM_CONFIRM

    def _frame(self, command, pos, end, now_ms):
        buf = self.buf
        n = end - pos
        if command == _DATA_IND and n > _FRAME_HEAD_LEN and self._phase == _RUN:
            self.options = buf[pos]
            self.source = buf[pos + 1] << 4 | buf[pos + 2] >> 4
            self.destination = (buf[pos + 2] & 0xF) << 8 | buf[pos + 3]
            self.pos = pos + _FRAME_HEAD_LEN
            self.end = end
            self.n_ok = more(self.n_ok)
            return _MODEM_DATA
        if command == _BAD_CRC_IND:
            self.n_bad = more(self.n_bad)
        elif command == _SYNCHRO_IND and n and self._phase == _RUN:
            if buf[pos] == _CONFIRMED:
                if n >= 4:
                    self.initiator = buf[pos + 1] << 4 | buf[pos + 2] >> 4
                if not self.is_up:
                    self.is_up = True
                    return _MODEM_UP
            elif buf[pos] == _LOST:
                return self._lost(buf[pos + 1] if n > 1 else _ASKED_FOR)
        elif command == _DATA_CNF:
            self.n_late = more(self.n_late)
        elif command != _SYNCHRO_IND:
            self.n_stray = more(self.n_stray)
        return 0


def _put(buf, pos, value):
    buf[pos] = value & 0xFF
    buf[pos + 1] = value >> 8
