# SPDX-License-Identifier: MIT
"""Compact data (class_id 62, versions 0 and 1; IEC 62056-6-2, 4.3.10): values of other objects as
one octet-string, without their tags.

compact_buffer holds the contents of the captured values one after the other, and
template_description the TypeDescription of the structure that they are together: both are as in a
compact-array (see dlms/compact.py). They lie in hidden states of the object, whose room the
definition gives (capacity), and are saved with the image. capture_method says when they are made:
by the method capture, or each time that compact_buffer is read. What does the capturing is in
compact_capture.py, which a board loads when somebody wants that and lets go of after it.

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
from dlms.prim import compare
from micropython import const

_BUFFER = const(2)
_CAPTURE_OBJECTS = const(3)
_TEMPLATE_ID = const(4)
_TEMPLATE_DESCRIPTION = const(5)
_CAPTURE_METHOD = const(6)

_RESET = const(1)
_CAPTURE = const(2)

_IMPLICIT = const(1)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_LATER = const(-1)
_LATER_VALUE = const(255)
_METHOD = const(1)  # what an association asks, see secured_association.py

_OCTET_STRING = const(0x09)
# Of an octet-string without octets.
_EMPTY_LEN = const(2)
# What a stored value is to a Stream.
_BYTES = const(3)


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._capture = None
        self._check = None  # of compact_settings, where some client may write capture_objects
        self._same = -1  # the row whose capture_objects are about to be written as they are

    def start(self, row):
        if self.model.image[self._place(row, _BUFFER)] != _OCTET_STRING:
            self._clear(row)
        if self.model.slot(row, _CAPTURE_OBJECTS) >= 0 and self._check is None:
            from cosem import compact_settings

            self._check = compact_settings.check
        self.load()

    def load(self):
        """Have what captures. Allocates."""
        if self._capture is None:
            from cosem import compact_capture

            self._capture = compact_capture.Capture(self.model)

    def forget(self):
        """Let go of it: the model says that some requests are jobs now."""
        self._capture = None
        self.model.lean = True

    def _place(self, row, attribute):
        """Where the encoding of compact_buffer or template_description lies in the image."""
        return self.model.state(row, 0 if attribute == _BUFFER else 1)

    def _clear(self, row):
        image = self.model.image
        for attribute in (_BUFFER, _TEMPLATE_DESCRIPTION):
            self._empty(image, self._place(row, attribute))

    def _empty(self, image, at):
        image[at] = _OCTET_STRING
        image[at + 1] = 0
        slots.set_len(image, at, _EMPTY_LEN)

    # --- Capture ----------------------------------------------------------------------------

    def _is_ready(self, a):
        """Is there what captures? For the meter itself it is loaded, for a client by a job."""
        if self._capture is None and a is None:
            self.load()
        return self._capture is not None

    def capture(self, a, row):
        """Capture for an association, or None; data_access_result. It has to be loaded."""
        model = self.model
        result = self._capture.run(
            a, row, self._place(row, _BUFFER), self._place(row, _TEMPLATE_DESCRIPTION)
        )
        if result:
            self._clear(row)
        # Half of the old one may be on its way to somebody.
        for other in model.associations:
            other.stream.edited(row, 0)
        return result

    def open(self, s):
        row = s.row
        a = s.association
        attribute = s.attribute
        if attribute != _BUFFER and attribute != _TEMPLATE_DESCRIPTION:
            return _OBJECT_UNDEFINED
        model = self.model
        if a is not None and a.asks == _METHOD:
            a.forget_job()
        at = self._place(row, attribute)
        implicit = slots.octet(model, row, _CAPTURE_METHOD) == _IMPLICIT
        unknown = attribute == _TEMPLATE_DESCRIPTION and not model.image[at + 1]
        if implicit or unknown:
            if not self._is_ready(a):
                return _LATER_VALUE
            result = self.capture(a, row)
            if result:
                return result
            if not implicit:
                # Nobody has asked for the values.
                self._empty(model.image, self._place(row, _BUFFER))
        s.src = model.image
        s.src_pos = at
        s.src_end = at + (s.src[at - 2] << 8 | s.src[at - 1])
        s.phase = _BYTES
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        if method == _RESET:
            self._clear(s.row)
            return _SUCCESS
        if method != _CAPTURE:
            return _OBJECT_UNDEFINED
        if not self._is_ready(s.association):
            return _LATER
        return self.capture(s.association, s.row)

    def job(self, a, row, method, octets):
        self.load()
        yield
        return (self.capture(a, row) if method == _CAPTURE else _SUCCESS), b""

    # --- Settings ---------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        """May this be capture_objects?"""
        model = self.model
        n = end - pos
        self._same = -1
        if n == model.value_len(row, attribute) and not compare(
            buf, pos, model.image, model.slot(row, attribute), n
        ):
            self._same = row
            return _SUCCESS
        return self._check(model, row, buf, pos, end)

    def changed(self, row, attribute):
        if row != self._same:
            self._clear(row)
            model = self.model
            model.put_int(row, _TEMPLATE_ID, model.get_int(row, _TEMPLATE_ID) + 1 & 0xFF)
