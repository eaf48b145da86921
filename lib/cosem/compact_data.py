# SPDX-License-Identifier: MIT
"""Compact data (class_id 62, versions 0 and 1; IEC 62056-6-2, 4.3.10): values of other objects as
one octet-string, without their tags.

compact_buffer holds the contents of the captured values one after the other, and
template_description the TypeDescription of the structure that they are together: both are as in a
compact-array (see dlms/compact.py). They lie in hidden states of the object, whose room the
definition gives (capacity), and are saved with the image. capture_method says when they are made:
by the method capture, or each time that compact_buffer is read. What does the capturing is in
compact_capture.py, which a board loads when somebody wants that, and lets go of after it;
compact_settings.py is there where a client may write capture_objects.

Who reads a buffer that is captured implicitly, or has one captured, must have the right to read
all that is captured; the meter itself (scripts, pushes) captures what anybody may read.

Uncertain: that the contents have no head (a template_id in front is there if capture_objects
begins with attribute 4 of the object itself). Of data_index, 1 to 0FFF is an element of an array
or structure; the relative selections from 1000 up are not settled in public texts, and refused.

Project-defined. A capture that fails leaves both octet-strings empty, and gives the result of the
first value that could not be had: object-undefined, read-write-denied, scope-of-access-violated
(no such element), what the object says; other-reason if there is no room, or a value of which
there is no TypeDescription. Before a capture, template_description says what one would give now.
Where capture_objects has changed, both are empty and template_id is one more than before (0 after
255). Attribute 0, and compact_buffer and template_description of any Compact data, cannot be
captured (other-reason), nor what nobody may read (read-write-denied). Only the buffer of a profile
can be restricted (other-reason); a restriction_value of another type than its restriction_type
says is type-unmatched.
"""

from cosem import handler, slots
from micropython import const

_BUFFER = const(2)
_CAPTURE_OBJECTS = const(3)
_CAPTURE_METHOD = const(6)

_IMPLICIT = const(1)

_SUCCESS = const(0)
_LATER = const(-1)
_LATER_VALUE = const(255)
_METHOD = const(1)  # what an association asks, see secured_association.py

# What a stored value is to a Stream.
_BYTES = const(3)


class Handler(handler.Handler):
    capture = None  # a Capture, where it is there

    def start(self, row):
        if not self.model.lean:
            self.load()
        if self.model.slot(row, _CAPTURE_OBJECTS) >= 0:
            settings = self.model.load("cosem.compact_settings").Settings(self.model)
            self.check = settings.check
            self.changed = settings.changed

    def load(self):
        """Have what captures. Allocates."""
        self.capture = self.model.load("cosem.compact_capture").Capture(self.model)

    def forget(self):
        """Let go of it, where the meter is lean."""
        if self.model.lean:
            self.capture = None

    def open(self, s):
        a = s.association
        if a is not None and a.asks == _METHOD:
            a.forget_job()
        image = self.model.image
        at = self.model.state(s.row, 0 if s.attribute == _BUFFER else 1)
        if slots.octet(self.model, s.row, _CAPTURE_METHOD) == _IMPLICIT or (
            s.attribute != _BUFFER and not image[at + 1]
        ):
            if self.capture is None:
                if a is not None:
                    return _LATER_VALUE
                self.load()
            result = self.capture.show(a, s.row)
            if result:
                return result
        s.src = image
        s.src_pos = at
        s.src_end = at + (image[at - 2] << 8 | image[at - 1])
        s.phase = _BYTES
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        if self.capture is None:
            if s.association is not None:
                return _LATER
            self.load()
        return self.capture.invoke(s.association, s.row, method)

    def job(self, a, row, method, octets):
        self.load()
        yield
        return (self.capture.invoke(a, row, method) if method else _SUCCESS), b""
