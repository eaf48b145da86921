# SPDX-License-Identifier: MIT
"""SSD1306 (Solomon Systech): OLED of 128 x 64 dots, on I2C at 3C or 3D.

From its datasheet: 8.1.5 I2C (the first octet says whether commands or data follow), 8.7 memory
(a page is 8 rows of dots, an octet a column of 8, bit 0 on top), 9 and 10 commands, application
note on the charge pump. The font is that of framebuf, 16 characters a line; it comes page by page,
so that 129 octets do for the screen. Without framebuf (CircuitPython) there is an ImportError.

A display that does not answer is no matter of the meter: it is begun anew with what comes next.
"""

import framebuf
from micropython import const

_COLUMNS = const(128)
_COMMANDS = const(0x00)
_DATA = const(0x40)
_LABEL_PAGE = const(0)
_VALUE_PAGE = const(4)
_PAGES = const(8)

# Display off, clock, multiplex of 64 rows, no offset, start at row 0, charge pump on, horizontal
# addressing, columns and rows as on the usual modules (pins below), COM pins, contrast, precharge,
# VCOMH, from memory, not inverse. It is switched on when its memory is clear.
_SETTINGS = (
    b"\x00\xae\xd5\x80\xa8\x3f\xd3\x00\x40\x8d\x14\x20\x00\xa1\xc8\xda\x12\x81\x7f\xd9\xf1\xdb\x40"
    b"\xa4\xa6"
)
_ON = b"\x00\xaf"
# Four dots, each of them twice.
_DOUBLED = b"\x00\x03\x0c\x0f\x30\x33\x3c\x3f\xc0\xc3\xcc\xcf\xf0\xf3\xfc\xff"


class SSD1306:
    """bus: write(octets) to the display's address, False if it does not answer."""

    def __init__(self, bus):
        self._bus = bus
        # Memory of a page; it may hold a line that is then written at twice its height.
        self._page = bytearray(1 + _COLUMNS)
        self._page[0] = _DATA
        self._line = bytearray(_COLUMNS)
        self._text = framebuf.FrameBuffer(self._line, _COLUMNS, 8, framebuf.MONO_VLSB)
        self._window = bytearray(b"\x00\x21\x00\x7f\x22\x00\x00")
        self._began = self._begin()

    def _begin(self):
        self._clear()
        if not self._bus.write(_SETTINGS):
            return False
        for page in range(_PAGES):
            if not self._write(page):
                return False
        return self._bus.write(_ON)

    def _clear(self):
        for k in range(1, 1 + _COLUMNS):
            self._page[k] = 0

    def _write(self, page):
        window = self._window
        window[5] = window[6] = page
        return self._bus.write(window) and self._bus.write(self._page)

    def show(self, label, value, new):
        if not self._began:
            self._began = self._begin()
            new = True
        if self._began and new:
            self._began = self._draw(label, _LABEL_PAGE, False)
        if self._began:
            self._began = self._draw(value, _VALUE_PAGE, True)

    def _draw(self, line, page, high):
        text = self._text
        text.fill(0)
        text.text(str(line, "ascii"), 0, 0)
        for half in (0, 4) if high else (-1,):
            for k in range(_COLUMNS):
                dots = self._line[k]
                self._page[1 + k] = _DOUBLED[dots >> half & 0x0F] if high else dots
            if not self._write(page):
                return False
            page += 1
        return True
