# SPDX-License-Identifier: MIT
"""COSEM data protection (class 30, version 0; IEC 62056-6-2, 4.4.9): attributes and methods whose
values are protected end to end, whatever protects the APDUs that carry them.

Keys are those of the Security setup object with the same value group E (0.0.43.0.e, 0.0.43.2.e).
The rights of the association that asks are checked for every object inside, with the protection
of its APDU; required_protection says besides what the data have to have. An object of this class
cannot be inside.

The methods are jobs (see dlms/secured_association.py), and allocate. What is protected, and how it
then lies in the octet-string, public texts do not say; here it is (project-defined):

    attributes     a structure of their values, in the order of the list
    parameters     the Data of a method's parameter or return value, null-data if there is none
    0, 1, 2        security control, counter, octets [tag], as in the general-ciphering APDU that
                   has the fields and the key-info of the element, and no date-time
    3              length, octets, length, signature, as in the general-signing APDU
    layers         are put on in the order of the array, at most one of either kind

Also project-defined: the parameters of an answer are those that were asked for, with the meter as
originator, and with what the meter made of key_info; transaction-ids have at most 32 octets, and
the meter protects nothing for itself; return values of a method are protected as
its parameters were, in the other direction. Of key_parameters, 02 is one-pass and 03 is static
unified (the class's enumeration, of medium certainty; general-ciphering has 01 and 02). With a
restriction by date or entry, a profile is read as by selective access, which has to be negotiated.
data_index takes one element of an array or structure. protection_buffer is what method 1 would
return for protection_object_list and protection_parameters_get; nobody writes it, so
protection_parameters_set is stored and has no effect.
"""

from cosem.handler import Handler as Base
from cosem.protected import Party, array_of, decode, kinds_of, octet_string
from cosem.slots import device_of
from dlms.axdr import length, length_size, put_length, skip
from dlms.prim import copy
from dlms.stream import Stream
from micropython import const

_PROTECTION_BUFFER = const(2)
_OBJECT_LIST = const(3)
_PARAMETERS_GET = const(4)
_REQUIRED_PROTECTION = const(6)

_READ = const(0)  # no method: what is read as protection_buffer
_GET = const(1)
_SET = const(2)
_INVOKE = const(3)

_LATER = const(-1)
_LOAD = const(8192)  # todo, see server.py
_LATER_VALUE = const(255)
# What an association asks, see secured_association.py: how long an answer is, too.
_METHOD = const(1)
_COUNT = const(5)
_LONG_GET = const(1)  # of association.py
_BY_BLOCKS = const(5)
_CHUNK_LEN = const(256)
_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNAVAILABLE = const(11)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)

_CLASS_ID = const(30)
_ARRAY = const(1)
_STRUCTURE = const(2)
_BY_DATE = const(1)
_BY_ENTRY = const(2)
_SETUP = b"\x00\x40\x00\x00\x2b\x00\x00\xff"
# Selective access by range, to the clock's time; by entry, to all columns.
_RANGE = (
    b"\x01\x01\x02\x04\x02\x04\x12\x00\x08\x09\x06\x00\x00\x01\x00\x00\xff\x0f\x02\x12\x00\x00"
)
_ENTRY = b"\x01\x02\x02\x04"
_ALL_COLUMNS = b"\x12\x00\x01\x12\x00\x00"


class Handler(Base):
    def __init__(self, model):
        Base.__init__(self, model)
        # protection_buffer as it was read last, as A-XDR, and by whom; who has yet to hear of a
        # method inside that it is done.
        self._made = b""
        self._reader = None
        self._inner = None

    # --- protection_buffer ------------------------------------------------------------------

    def open(self, s):
        """Made anew each time that it is read, but for the blocks of one answer."""
        a = s.association
        if a is None or not a.secures:
            return _OBJECT_UNAVAILABLE
        if a.asks == _METHOD:
            result = a.code
            self._made = a.octets
            self._reader = a
            a.forget_job()
            if result:
                return result
        elif (
            (a.transfer != _LONG_GET and a.transfer != _BY_BLOCKS and a.asks != _COUNT)
            or self._reader is not a
            # Among others it is not made anew, and what is here was for somebody else.
            or s.last_part
            or s.count > (0 if s.variables is None else 1)
        ):
            return _LATER_VALUE
        s.n = (len(self._made) + _CHUNK_LEN - 1) // _CHUNK_LEN
        return _SUCCESS

    def item(self, s, buf, pos):
        if self._reader is not s.association:
            return -1
        at = s.k * _CHUNK_LEN
        n = min(_CHUNK_LEN, len(self._made) - at)
        copy(buf, pos, self._made, at, n)
        return pos + n

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        a = s.association
        if a is None or not a.secures:
            return _OBJECT_UNAVAILABLE
        return _LATER

    def job(self, a, row, method, octets):
        party = self._party(a, row)
        if party is None:
            return _OBJECT_UNAVAILABLE, b""
        if method == _READ:
            return (yield from self._buffer(a, party, row))
        value = decode(octets, 0)[0]
        if method == _GET:
            return (yield from self._get(a, party, row, value[0], value[1]))
        if method == _SET:
            return (yield from self._set(a, party, row, value))
        return (yield from self._invoke(a, party, row, value))

    def _party(self, a, row):
        """Whom an object protects for, by its Security setup; None: there is none."""
        model = self.model
        name = bytearray(_SETUP)
        name[6] = model.objects[(row << 4) + 6]
        setup = model.find(device_of(model, row), name, 0)
        if setup < 0 or model.handler_of(setup) is None:
            return None
        handler = model.handler_of(setup)
        context = handler.context(setup)
        if context is None:
            return None
        if not context.loaded:
            handler.load(context)
        return Party(a, context)

    def _required(self, row, shift):
        return self.model.get_int(row, _REQUIRED_PROTECTION) >> shift & 7

    def finish(self, a, row, method):
        inner = self._inner
        self._inner = None
        if method == _INVOKE and inner is not None and inner[0] is a:
            inner[1].finish(a, inner[2], inner[3])

    def _stored(self, row, attribute):
        model = self.model
        octets = bytearray(model.capacity(row, attribute))
        model.read(row, attribute, octets, 0, len(octets))
        return decode(octets, 0)[0]

    def _buffer(self, a, party, row):
        objects = self._stored(row, _OBJECT_LIST)
        parameters = self._stored(row, _PARAMETERS_GET)
        result, made = yield from self._protected(a, party, row, objects, parameters)
        return (result, b"") if result else (_SUCCESS, octet_string(made[1]))

    def _protected(self, a, party, row, objects, parameters):
        """(result, what Party.protect() makes of the values of objects)"""
        kinds = kinds_of(parameters)
        if kinds < 0:
            return _TYPE_UNMATCHED, None
        if self._required(row, 5) & ~kinds:
            return _SCOPE_VIOLATED, None
        result, plain = yield from self._read(a, objects)
        if result:
            return result, None
        made = yield from party.protect(plain, parameters, False)
        return (_OTHER_REASON if made is None else _SUCCESS), made

    def _get(self, a, party, row, objects, parameters):
        result, made = yield from self._protected(a, party, row, objects, parameters)
        return result, _answer(made)

    def _set(self, a, party, row, value):
        objects, parameters, octets = value
        kinds = kinds_of(parameters)
        if kinds < 0:
            return _TYPE_UNMATCHED, b""
        if self._required(row, 2) & ~kinds:
            return _SCOPE_VIOLATED, b""
        plain = yield from party.unprotect(octets, parameters)
        if plain is None:
            return _OTHER_REASON, b""
        return self._write(a, objects, plain), b""

    def _invoke(self, a, party, row, value):
        (class_id, name, index), parameters, octets = value
        kinds = kinds_of(parameters)
        if kinds < 0:
            return _TYPE_UNMATCHED, b""
        if (self._required(row, 2) | self._required(row, 5)) & ~kinds:
            return _SCOPE_VIOLATED, b""
        plain = yield from party.unprotect(octets, parameters)
        if plain is None:
            return _OTHER_REASON, b""
        result, plain = yield from self._run(a, class_id, name, index, plain)
        if result:
            return result, b""
        made = yield from party.protect(plain, parameters, True)
        return (_OTHER_REASON if made is None else _SUCCESS), _answer(made)

    # --- What is inside ---------------------------------------------------------------------

    def _read(self, a, objects):
        """Generator: (data_access_result, structure of the values)."""
        out = bytearray(len(a.work))
        out[0] = _STRUCTURE
        pos = put_length(out, 1, len(objects))
        for class_id, name, index, data_index, restriction in objects:
            if class_id == _CLASS_ID:
                return _READ_WRITE_DENIED, b""
            s = Stream(self.model)
            s.begin(a, _descriptor(class_id, name, index) + _selection(restriction), 0, 0)
            after = s.copy_all(out, pos, len(out))
            if after < 0:
                return (s.result if s.result > 0 else _OTHER_REASON), b""
            if data_index:
                at, end = _element(out, pos, after, data_index)
                if at < 0:
                    return _SCOPE_VIOLATED, b""
                out[pos : pos + end - at] = out[at:end]
                after = pos + end - at
            pos = after
            yield
        return _SUCCESS, bytes(out[:pos])

    def _write(self, a, objects, plain):
        """All attributes are written, or none: they are looked through before the first."""
        model = self.model
        n = len(objects)
        end = len(plain)
        if end < 2 or plain[0] != _STRUCTURE or length(plain, 1, end) != n:
            return _TYPE_UNMATCHED
        if skip(plain, 0, end) != end:
            return _TYPE_UNMATCHED
        for store in (False, True):
            at = 1 + length_size(plain, 1)
            for class_id, name, index, data_index, restriction in objects:
                after = skip(plain, at, end)
                if store:
                    result = model.store(
                        a.locate(_descriptor(class_id, name, index), 0), index, plain, at, after
                    )
                else:
                    result = self._may_write(a, class_id, name, index, plain, at, after)
                    if data_index or restriction[0]:
                        result = _SCOPE_VIOLATED
                if result:
                    return result
                at = after
        return _SUCCESS

    def _may_write(self, a, class_id, name, index, plain, at, end):
        row = a.locate(_descriptor(class_id, name, index), 0)
        if row < 0:
            return -1 - row
        if class_id == _CLASS_ID:
            return _READ_WRITE_DENIED
        return a.may_write(row, index) or self.model.accepts(row, index, plain, at, end)

    def _run(self, a, class_id, name, index, plain):
        """Generator: invoke a method; (action_result, its return value)."""
        model = self.model
        row = a.locate(_descriptor(class_id, name, index), 0)
        if row < 0:
            return -1 - row, b""
        if class_id == _CLASS_ID:
            return _READ_WRITE_DENIED, b""
        end = len(plain)
        result = a.may_invoke(row, index)
        handler = model.handler_of(row)
        if not result and handler is None:
            result = _OTHER_REASON
        if not result and skip(plain, 0, end) != end:
            result = _TYPE_UNMATCHED
        if result:
            return result, b""
        if plain[0] == 0:
            plain = b""
            end = 0
        result = model.takes(row, index, plain, 0, end)
        if result:
            return result, b""
        s = Stream(model)
        s.association = a
        s.row = s.found = row
        s.out = bytearray(len(a.work))
        result = handler.invoke(s, index, plain, 0, end)
        while result == _LATER and a.server.todo & _LOAD:
            yield  # a part of it is loaded
            result = handler.invoke(s, index, plain, 0, end)
        made = bytes(s.out[: s.out_pos])
        if result == _LATER:
            result, made = yield from handler.job(a, row, index, plain)
            if not result:
                self._inner = (a, handler, row, index)
        elif not result and s.n:
            s.open_items()
            n = s.copy_all(s.out, 0, len(s.out))
            made = bytes(s.out[:n]) if n >= 0 else b""
            result = 0 if n >= 0 else _OTHER_REASON
        if not result:
            model.edited(row, 0)
        return result, made or b"\0"


def _answer(made):
    """The return value: protection_parameters and octets."""
    return b"\x02\x02" + array_of(made[0]) + octet_string(made[1]) if made else b""


def _descriptor(class_id, name, index):
    return class_id.to_bytes(2, "big") + name + bytes((index & 0xFF,))


def _selection(restriction):
    kind, limits = restriction
    if kind == _BY_DATE and limits:
        return _RANGE + octet_string(limits[0]) + octet_string(limits[1]) + b"\x01\x00"
    if kind == _BY_ENTRY and limits:
        first = b"\x06" + limits[0].to_bytes(4, "big")
        return _ENTRY + first + b"\x06" + limits[1].to_bytes(4, "big") + _ALL_COLUMNS
    return b"\0"


def _element(buf, pos, end, index):
    """(pos, end) of the index-th (1..) element of the array or structure at buf[pos:end]; (-1, 0):
    there is none."""
    if buf[pos] != _ARRAY and buf[pos] != _STRUCTURE:
        return -1, 0
    n = length(buf, pos + 1, end)
    if index > n:
        return -1, 0
    pos += 1 + length_size(buf, pos + 1)
    while index > 1:
        pos = skip(buf, pos, end)
        index -= 1
    return pos, skip(buf, pos, end)
