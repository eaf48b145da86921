# SPDX-License-Identifier: MIT
"""Commands of who reads the feed, see tools/feeds: values, keys, faults. May allocate; stands
outside of the path of requests. One command at a time: while its answer is not out, no other is
read.
"""

import binascii
import json

from cosem import slots
from dlms.axdr import put_u32
from dlms.stream import Stream
from firmware.links.trace import is_secret
from micropython import const

_LINE = const(256)  # the longest command
_MOST = const(16)  # commands in a turn
_PART = const(512)  # octets of a value in a line

_PROFILE_GENERIC = const(7)
_COMPACT_DATA = const(62)
_BUFFER = const(2)
_CAPTURE_OBJECTS = const(3)
_SORT_METHOD = const(5)
_LIFO = const(2)
_ENTRIES_IN_USE = const(7)
_BY_ENTRY = const(2)
_DISCONNECT_CONTROL = const(70)
_STATES = ("disconnected", "connected", "ready for reconnection")
# Elements of a capture object definition: 12 class_id 09 06 logical_name 0F attribute_index.
_DEFINITION_LEN = const(13)


class Commands:
    def __init__(self, feed, console, meter, watch):
        self._feed = feed
        self._console = console
        self._meter = meter
        self._watch = watch
        self._text = ""  # of a line that has no end yet
        self._lines = []
        self._answer = None  # a line that waits until there is room
        self._number = 0
        self._stream = None  # the value that is being sent
        self._buf = None

    def waits(self):
        return self._answer is not None or bool(self._lines) or self._number

    # --- Lines ----------------------------------------------------------------------------------

    def read(self):
        """Take what has come on stdin."""
        if self.waits():
            return
        text = self._console.read()
        if text is None and self._watch is not None:
            self._watch.ready = True
        for c in text or "":
            if c != "\n" and c != "\r":
                if len(self._text) <= _LINE:
                    self._text += c
            elif self._text:
                self._lines.append(self._text)
                self._text = ""

    def turn(self):
        """Do what has been asked, so far as the answers find room."""
        n = _MOST
        while n and self._console.has_room():
            n -= 1
            if self._answer is not None:
                self._feed.say(self._answer)
                self._answer = None
            elif self._stream is not None:
                self._go_on()
            elif self._lines:
                self._do(self._lines.pop(0))
            else:
                return

    def _end(self, values):
        self._answer = "A %d %s" % (self._number, json.dumps(values))
        self._stream = None
        self._number = 0

    def _do(self, line):
        self._number = 0
        try:
            words = line.split()
            self._number = _int(words[0] if words else "", 99999999, "number of a command")
            if len(line) > _LINE:
                raise ValueError("A command has at most %d characters." % _LINE)
            if len(words) < 2 or words[1] not in self._WORDS:
                raise ValueError("A command is one of: %s." % ", ".join(sorted(self._WORDS)))
            if not self._WORDS[words[1]](self, words[2:]):
                self._end({})
        except ValueError as e:
            self._end({"error": str(e)})
        except Exception as e:
            self._end({"error": "This has failed inside the meter: %r" % e})
        # Class modules may have been loaded for it.
        self._meter.rests = True

    # --- Values ---------------------------------------------------------------------------------

    def _get(self, words):
        if not 3 <= len(words) <= 5:
            raise ValueError("It is: get CLASS OBIS ATTRIBUTE [ROWS [SAP]].")
        model = self._meter.model
        class_id = _int(words[0], 0xFFFF, "class_id")
        key = bytearray((class_id >> 8, class_id & 0xFF))
        parts = words[1].split(".")
        if len(parts) != 6:
            raise ValueError("%s is no logical name: six numbers with points." % words[1])
        for part in parts:
            key.append(_int(part, 255, "part of a logical name"))
        attribute = _int(words[2], 255, "attribute")
        rows = _int(words[3], 0xFFFFFF, "number of rows") if len(words) > 3 else 0
        row = -1
        if len(words) == 5:
            sap = _int(words[4], 0xFFFF, "SAP")
            for k, device in enumerate(model.devices):
                if device[0] == sap:
                    row = model.find(k, key, 0)
        else:
            row = model.find_any(key, 0)
        if row < 0:
            raise ValueError("This meter has no object %s of class %d." % (words[1], class_id))
        if not 1 <= attribute <= model.n_attributes(row):
            raise ValueError(
                "Objects of class %d have attributes 1 to %d."
                % (class_id, model.n_attributes(row))
            )
        key.append(attribute)
        if is_secret(key, 0, False) or self._has_secrets(row, class_id, attribute):
            raise ValueError("This is a secret, or has one in it.")
        self._open(row, attribute, rows)
        return True

    def _has_secrets(self, row, class_id, attribute):
        """Does a buffer capture secrets?"""
        if class_id not in (_PROFILE_GENERIC, _COMPACT_DATA) or attribute != _BUFFER:
            return False
        columns = self._short(row, _CAPTURE_OBJECTS)
        for at in range(len(columns) - _DEFINITION_LEN + 1):
            if columns[at] == 0x12 and columns[at + 3] == 9 and columns[at + 11] == 0x0F:
                found = columns[at + 1 : at + 3] + columns[at + 5 : at + 11] + columns[at + 12 :]
                if is_secret(found, 0, False):
                    return True
        return False

    def _short(self, row, attribute):
        """The octets of a value that is not that long."""
        buf = bytearray(_PART)
        while True:
            end = self._meter.model.read(row, attribute, buf, 0, len(buf))
            if end >= 0:
                return buf[:end]
            if len(buf) > 1 << 14:
                raise ValueError("Attribute %d of it cannot be read." % attribute)
            buf = bytearray(len(buf) * 2)

    def _open(self, row, attribute, rows):
        model = self._meter.model
        stream = Stream(model)
        selector = 0
        if rows:
            if model.class_id(row) != _PROFILE_GENERIC or attribute != _BUFFER:
                raise ValueError("Rows are those of the buffer of a Profile generic.")
            n = int.from_bytes(bytes(self._short(row, _ENTRIES_IN_USE)[1:]), "big")
            if n:
                selector = _BY_ENTRY
                first = 1
                if slots.octet(model, row, _SORT_METHOD) != _LIFO:
                    first = max(1, n - rows + 1)
                stream.buf = _entries(first, min(n, first + rows - 1))
                stream.sel_pos = 0
                stream.sel_end = len(stream.buf)
        dar = stream.open_attribute(row, attribute, selector)
        if dar:
            raise ValueError("It cannot be read: data-access-result %d." % dar)
        if self._buf is None:
            self._buf = bytearray(_PART)
        self._stream = stream

    def _go_on(self):
        stream = self._stream
        try:
            end = stream.fill(self._buf, 0, _PART)
        except Exception as e:
            self._end({"error": "This has failed inside the meter: %r" % e})
            return
        if end:
            text = str(binascii.hexlify(self._buf[:end]), "ascii")
            self._feed.say("V %d %s" % (self._number, text))
        if stream.result == 0:
            self._end({})
        elif stream.result > 0 or not end:
            self._end({"error": "It cannot be read on: data-access-result %d." % stream.result})

    # --- Keys, faults ---------------------------------------------------------------------------

    def _press(self, words):
        if words == ["display"]:
            for output in self._meter.outputs:
                if hasattr(output, "press"):
                    output.press()
                    return
            raise ValueError("This meter has no display.")
        if words != ["disconnect"] and words != ["reconnect"]:
            raise ValueError("A key is one of: disconnect, display, reconnect.")
        model = self._meter.model
        rows = model.rows(_DISCONNECT_CONTROL)
        for row in rows:
            handler = model.awake(row)
            if words[0] == "disconnect":
                done = handler.manual_disconnect(row)
            else:
                done = handler.manual_reconnect(row)
            if done:
                return
        if not rows:
            raise ValueError("This meter has no disconnector.")
        state = slots.octet(model, rows[0], 3)
        mode = slots.octet(model, rows[0], 4)
        raise ValueError(
            "The disconnector is %s, and control_mode %d does not allow it."
            % (_STATES[min(state, 2)], mode)
        )

    def _fault(self, words):
        feed = self._feed
        if feed.faults is None:
            from firmware.feed_faults import Faults

            feed.faults = Faults(feed)
        feed.faults.set(words)

    def _state(self, words):
        self._feed.tell_state()

    _WORDS = {"get": _get, "press": _press, "fault": _fault, "state": _state}


def _int(text, most, what):
    if not text.isdigit() or len(text) > 8 or int(text) > most:
        raise ValueError("%s is no %s (0 to %d)." % (text or "Nothing", what, most))
    return int(text)


def _entries(first, last):
    """entry_descriptor: these rows, all columns."""
    buf = bytearray(b"\x02\x04\x06\0\0\0\0\x06\0\0\0\0\x12\0\x01\x12\0\0")
    put_u32(buf, 3, first)
    put_u32(buf, 8, last)
    return buf
