# SPDX-License-Identifier: MIT
"""The display list: values of objects one after the other, on a screen of two lines.

    Display(model, entries, screen, button)     entries: DISPLAY of the definition, see
                                                tools/tables/fittings.py for their octets
    screen.show(label, value, new)              two lines of 16 characters, as bytearrays; new:
                                                another entry, else its value has changed
    button.pressed()                            it brings the next entry; None: there is none

Each entry stays for its seconds, and its value is read anew every second. Numbers are cut, not
rounded, as a register's digits are; with `digits` the higher ones are left out, as on a counter
that begins again. What cannot be read is dashes, what has no room asterisks. A turn takes
no memory. A meter without a display does not load this.
"""

from micropython import const

_WIDTH = const(16)
_ROOM = const(80)  # the longest value that can be read
_TICKS_MASK = const(0x3FFFFFFF)
_SECOND_MS = const(1000)
_BUTTON_MS = const(50)

# Octets of an entry.
_ATTRIBUTE = const(2)
_FORMAT = const(3)
_SHIFT = const(4)
_SHIFT_ZERO = const(128)
_DECIMALS = const(5)
_DIGITS = const(6)
_SECONDS = const(7)
_LABEL_LEN = const(8)
_LABEL = const(9)

_NUMBER = const(0)
_TEXT = const(1)
_HEX = const(2)
_DATE = const(3)

_OCTET_STRING = const(0x09)
_VISIBLE_STRING = const(0x0A)
_UTF8_STRING = const(0x0C)
_SIGNED = b"\x05\x0f\x10\x14"
_HEX_DIGITS = b"0123456789ABCDEF"

_BLANK = const(0x20)
_DASH = const(0x2D)
_POINT = const(0x2E)
_ASTERISK = const(0x2A)
_ZERO = const(0x30)
_COLON = const(0x3A)
_DELETE = const(0x7F)


def _fill(line, octet):
    for k in range(_WIDTH):
        line[k] = octet


class Display:
    """label, value: what is shown; at: which entry."""

    def __init__(self, model, entries, screen, button=None):
        self._model = model
        self._entries = entries
        self._screen = screen
        self._button = button
        self._held = False
        self._pressed = False
        self._buf = bytearray(_ROOM)
        self._before = bytearray(_WIDTH)
        self._seconds = 0  # that this entry is still shown
        self._last_ms = -1
        self.label = bytearray(_WIDTH)
        self.value = bytearray(_WIDTH)
        self.at = len(entries) - 1

    # --- Time -------------------------------------------------------------------------------

    def press(self):
        """As if somebody had pressed the button."""
        self._pressed = True

    def turn(self, now_ms):
        pressed = self._pressed
        self._pressed = False
        if self._button is not None:
            held = self._button.pressed()
            pressed = pressed or held and not self._held
            self._held = held
        if self._last_ms < 0:
            self._next(now_ms)
        elif pressed:
            self._next(now_ms)
        elif now_ms - self._last_ms & _TICKS_MASK >= _SECOND_MS:
            self._last_ms = self._last_ms + _SECOND_MS & _TICKS_MASK
            if now_ms - self._last_ms & _TICKS_MASK >= _SECOND_MS:
                self._last_ms = now_ms  # nobody has looked for longer: no hurry after that
            self._seconds -= 1
            if self._seconds > 0:
                self._refresh()
            else:
                self._next(now_ms)

    def wait_ms(self, now_ms):
        """How long nothing has to be done here."""
        if self._last_ms < 0:
            return 0
        ms = _SECOND_MS - (now_ms - self._last_ms & _TICKS_MASK)
        if self._button is not None and ms > _BUTTON_MS:
            ms = _BUTTON_MS
        return ms if ms > 0 else 0

    def close(self):
        pass

    def _next(self, now_ms):
        self.at = (self.at + 1) % len(self._entries)
        entry = self._entries[self.at]
        self._seconds = entry[_SECONDS]
        self._last_ms = now_ms
        _fill(self.label, _BLANK)
        for k in range(entry[_LABEL_LEN]):
            self.label[k] = entry[_LABEL + k]
        self._read(entry)
        self._show(True)

    def _refresh(self):
        before = self._before
        for k in range(_WIDTH):
            before[k] = self.value[k]
        self._read(self._entries[self.at])
        if before != self.value:
            self._show(False)

    def _show(self, new):
        try:
            self._screen.show(self.label, self.value, new)
        except MemoryError:
            pass  # drawing may take some; the meter goes on without

    # --- Values -----------------------------------------------------------------------------

    def _read(self, entry):
        line = self.value
        buf = self._buf
        _fill(line, _BLANK)
        end = self._model.read(entry[0] << 8 | entry[1], entry[_ATTRIBUTE], buf, 0, _ROOM)
        if end < 2:
            _fill(line, _DASH)
            return
        start = 1
        tag = buf[0]
        if tag == _OCTET_STRING or tag == _VISIBLE_STRING or tag == _UTF8_STRING:
            start = 2
        kind = entry[_FORMAT]
        if kind == _NUMBER:
            self._number(entry, start, end)
        elif kind == _TEXT:
            for k in range(min(_WIDTH, end - start)):
                octet = buf[start + k]
                line[k] = octet if _BLANK <= octet < _DELETE else _ASTERISK
        elif kind == _HEX:
            for k in range(min(_WIDTH >> 1, end - start)):
                line[2 * k] = _HEX_DIGITS[buf[start + k] >> 4]
                line[2 * k + 1] = _HEX_DIGITS[buf[start + k] & 0x0F]
        elif end - start < 8:
            _fill(line, _DASH)
        elif kind == _DATE:
            year = buf[start] << 8 | buf[start + 1]
            self._pair(0, year // 100 if year != 0xFFFF else 0xFF)
            self._pair(2, year % 100 if year != 0xFFFF else 0xFF)
            self._pair(5, buf[start + 2])
            self._pair(8, buf[start + 3])
            line[4] = line[7] = _DASH
        else:
            self._pair(0, buf[start + 5])
            self._pair(3, buf[start + 6])
            self._pair(6, buf[start + 7])
            line[2] = line[5] = _COLON

    def _pair(self, at, n):
        """Two digits; dashes for what is not specified."""
        self.value[at] = _ZERO + n // 10 if n < 100 else _DASH
        self.value[at + 1] = _ZERO + n % 10 if n < 100 else _DASH

    def _number(self, entry, start, end):
        """From the right: unit, decimals, point, digits, sign. No int gets large."""
        buf = self._buf
        line = self.value
        negative = buf[start] & 0x80 and _SIGNED.find(buf[0:1]) >= 0
        if negative:
            carry = 1
            for k in range(end - 1, start - 1, -1):
                carry += buf[k] ^ 0xFF
                buf[k] = carry & 0xFF
                carry >>= 8
        at = _WIDTH
        unit = _LABEL + entry[_LABEL_LEN]
        if unit < len(entry):
            at -= len(entry) - unit
            for k in range(unit, len(entry)):
                line[at + k - unit] = entry[k]
            at -= 1
        shift = entry[_SHIFT] - _SHIFT_ZERO
        decimals = entry[_DECIMALS]
        digits = entry[_DIGITS]
        zeros = decimals + shift
        while zeros < 0:
            self._digit(start, end)
            zeros += 1
        n = 0
        some = False
        while n <= decimals or (n < decimals + digits if digits else self._rest(start, end)):
            if n == decimals and n:
                at -= 1
                if at >= 0:
                    line[at] = _POINT
            digit = 0 if n < zeros else self._digit(start, end)
            some = some or digit > 0
            at -= 1
            if at >= 0:
                line[at] = _ZERO + digit
            n += 1
        if negative and some:
            at -= 1
            if at >= 0:
                line[at] = _DASH
        if at < 0:
            _fill(line, _ASTERISK)

    def _digit(self, start, end):
        """The last decimal digit of the octets, which are divided by ten."""
        buf = self._buf
        rest = 0
        for k in range(start, end):
            rest = rest << 8 | buf[k]
            buf[k] = rest // 10
            rest %= 10
        return rest

    def _rest(self, start, end):
        for k in range(start, end):
            if self._buf[k]:
                return True
        return False


class Terminal:
    """A screen that is a stream of lines: out(text) takes one, for each entry that comes."""

    def __init__(self, out):
        self._out = out

    def show(self, label, value, new):
        if new:
            self._out("display %s %s" % (str(label, "ascii"), str(value, "ascii").rstrip()))
