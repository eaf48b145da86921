# SPDX-License-Identifier: MIT
"""Sets the clock from an NTP server: the meter's first NTP setup object (class_id 100) says which.

Nothing is asked, and no port is open, while that object is not activated. Then a question goes out
at once, and from a new port each time; what comes of it (tested from this table):

    the time                            the clock is set if it is off by _SLACK_MS and more; the
                                        next question after _PERIOD_MS
    nothing within _PATIENCE_MS, a server that does not know the time, a wrong digest, a server
    that is not found                   again after _RETRY_MS, twice as long each time, at most
                                        _PERIOD_MS
    RATE                                after _PERIOD_MS
    DENY, RSTR                          never again, unless the object is changed or a client says
                                        synchronize
    what is no answer to the question   nothing; the answer may come yet

A clock that is set by the server is neither invalid nor doubtful; half of the time that the answer
took is taken for its way back. Project-defined: the intervals (RFC 5905, section 10: no
question within 15 s of another). It works between two requests and allocates.
"""

from cosem import slots
from crypto import hashes
from dlms.axdr import length_size, skip
from firmware.ports import ciphers
from micropython import const
from profiles import sntp

_SERVER_ADDRESS = const(3)
_SERVER_PORT = const(4)
_AUTHENTICATION_METHOD = const(5)
_AUTHENTICATION_KEYS = const(6)
# The first element of authentication_keys: 02 02 06 key_id (4 octets) 09 length key.
_KEY_ID_AT = const(5)
_KEY_AT = const(10)

_PERIOD_MS = const(3600000)
_RETRY_MS = const(60000)
_PATIENCE_MS = const(5000)
_SLACK_MS = const(500)
_MINUTE_MS = const(60000)
_TICKS_MASK = const(0x3FFFFFFF)
_COOKIE_LEN = const(8)
_LONGEST = const(128)

# Results of sntp.check().
_GOOD = const(0)
_NOT_OURS = const(1)
_SLOWER = const(3)
_DENIED = const(4)

# States.
_OFF = const(0)  # not activated, or denied
_WAITING = const(1)  # until the next question
_LOOKING = const(2)  # its name is looked up
_ASKING = const(3)  # a question is out


class TimeClient:
    """A link as the others for the main loop, but no client comes over it."""

    name = "ntp"
    gate = None

    def __init__(self, meter, port):
        self.model = meter.model
        self.port = port
        self.ready = False
        self.state = _OFF
        self._setup = meter.model.handler("ntp_setup")
        self._done = -1  # of what has been asked for
        self._poller = None
        self._endpoint = None
        self._lookup = None
        self._server = None
        self._cookie = bytearray(_COOKIE_LEN)
        self._since_ms = 0
        self._pause_ms = 0
        self._retry_ms = _RETRY_MS

    @property
    def host(self):
        model = self.model
        row = self._setup.row
        at = slots.offset(model, row, _SERVER_ADDRESS)
        n = model.value_len(row, _SERVER_ADDRESS)
        return bytes(slots.source(model, row, _SERVER_ADDRESS)[at + 2 : at + n]).decode()

    @property
    def number(self):
        return slots.long_unsigned(self.model, self._setup.row, _SERVER_PORT)

    @property
    def address(self):
        return "%s:%d" % (self.host, self.number) if self._is_on() else "off"

    def _is_on(self):
        return self._setup.is_on(self._setup.row)

    def profiles(self):
        return ()

    def open(self, poller):
        self._poller = poller
        self.configure()

    def configure(self):
        """The object may have changed, or a client has said synchronize: begin anew."""
        if self._done != self._setup.asked:
            self._done = self._setup.asked
            self._stop()
            self._retry_ms = _RETRY_MS
            self.state = _OFF
            if self._is_on():
                self._wait(self.port.ticks_ms(), 0)

    def poll(self, now_ms):
        if self.state == _OFF:
            return
        passed = (now_ms - self._since_ms) & _TICKS_MASK
        if self.state == _WAITING:
            if passed >= self._pause_ms:
                self._begin(now_ms)
        elif passed >= _PATIENCE_MS:
            self._failed(now_ms)
        elif self.state == _LOOKING:
            self._look(now_ms)
        elif self.ready:
            self.ready = False
            got = self.port.recvfrom(self._endpoint, _LONGEST)
            if got is not None and got[1] == self._server:
                self._hear(got[0], passed, now_ms)

    def wait_ms(self):
        return 0 if self.ready else 1000

    def close(self):
        self._stop()

    # --- A question and its answer ------------------------------------------------------------

    def _wait(self, now_ms, ms):
        self._stop()
        self.state = _WAITING
        self._since_ms = now_ms
        self._pause_ms = ms

    def _failed(self, now_ms):
        self._wait(now_ms, self._retry_ms)
        self._retry_ms = min(2 * self._retry_ms, _PERIOD_MS)

    def _stop(self):
        """A question that is out, or a name that is looked up, is forgotten."""
        self._lookup = None
        if self._endpoint is not None:
            self._poller.remove(self._endpoint)
            self.port.close(self._endpoint)
            self._endpoint = None
        self.ready = False

    def _begin(self, now_ms):
        self.state = _LOOKING
        self._since_ms = now_ms
        try:
            self._lookup = self.port.look_up(self.host, ":" in self.host)
        except OSError:
            self._failed(now_ms)
            return
        self._look(now_ms)

    def _look(self, now_ms):
        """Ask, if it is known whom."""
        try:
            host = self.port.found(self._lookup)
            if host is None:
                return
            self._server = self.port.address(host, self.number)
            self._endpoint = self.port.udp("::" if ":" in host else "0.0.0.0", 0)[0]
        except OSError:
            self._failed(now_ms)
            return
        self._poller.add(self._endpoint, self)
        self.port.random_fill(self._cookie)
        buf = bytearray(_LONGEST)
        n = sntp.question(buf, self._cookie)
        key = self._key()
        if key is not None:
            n = sntp.sign(buf, key[0], key[1], self._digest)
        self.state = _ASKING
        self._since_ms = now_ms
        self.port.sendto(self._endpoint, buf, 0, n, self._server)

    def _hear(self, buf, passed_ms, now_ms):
        key = self._key()
        found = sntp.check(buf, len(buf), self._cookie)
        if found == _NOT_OURS:
            return
        if key is not None and not sntp.is_signed(buf, len(buf), key[0], key[1], self._digest):
            self._failed(now_ms)
        elif found == _GOOD:
            self._set(*sntp.time(buf, passed_ms // 2))
            self._retry_ms = _RETRY_MS
            self._wait(now_ms, _PERIOD_MS)
        elif found == _SLOWER:
            self._wait(now_ms, _PERIOD_MS)
        elif found == _DENIED:
            self._stop()
            self.state = _OFF
        else:
            self._failed(now_ms)

    def _set(self, minute, second, ms):
        clock = self.model.handler("clock")
        off_ms = (clock.minute - minute) * _MINUTE_MS
        off_ms += (clock.second - second) * 1000 + clock.hundredths * 10 - ms
        if -_SLACK_MS < off_ms < _SLACK_MS:
            clock.confirm()
        else:
            clock.adjust(minute, second, ms)

    # --- Shared secrets -----------------------------------------------------------------------

    def _key(self):
        """(key_id, key) if they are to be used: the first of authentication_keys."""
        model = self.model
        row = self._setup.row
        if not slots.octet(model, row, _AUTHENTICATION_METHOD):
            return None
        src = slots.source(model, row, _AUTHENTICATION_KEYS)
        at = slots.offset(model, row, _AUTHENTICATION_KEYS)
        if not src[at + 1]:
            return bytes(4), b""  # none is there: nothing that comes is believed
        begin = at + _KEY_AT + length_size(src, at + _KEY_AT)
        end = skip(src, at + 2, len(src))
        return bytes(src[at + _KEY_ID_AT : at + _KEY_ID_AT + 4]), bytes(src[begin:end])

    def _digest(self, name, octets):
        made = hashes.new(name, ciphers.new_hash)
        made.update(octets)
        return made.digest()
