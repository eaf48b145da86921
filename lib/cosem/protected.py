# SPDX-License-Identifier: MIT
"""Protection of data by the parameters of COSEM data protection: see data_protection.py.

An element of protection parameters is decoded as (protection_type, (transaction_id,
originator_system_title, recipient_system_title, other_information, (key_info_type, options))).
Each layer is an APDU of general-ciphering or general-signing without its head. Allocates.
"""

from dlms import general
from dlms.axdr import length, length_size, put_length
from micropython import const

_GENERAL_CIPHERING = b"\xdd"
_GENERAL_SIGNING = b"\xdf"
_TITLE_LEN = const(8)
_LONGEST_TRANSACTION_ID = const(32)  # of identified.py

# protection_type, and its kinds: authenticated 1, encrypted 2, signed 4.
_KINDS = b"\x01\x02\x03\x04"
_SIGNATURE = const(3)
_SIGNED = const(4)

# key_info_type, and the forms of general.py.
_IDENTIFIED = const(0)
_WRAPPED = const(1)
_AGREED = const(2)
_FORM_IDENTIFIED = const(5)
_FORM_WRAPPED = const(6)
_FORM_ONE_PASS = const(7)
_FORM_STATIC = const(8)
# key_parameters of this class; one less in general-ciphering.
_ONE_PASS = b"\x02"
_STATIC = b"\x03"


class Party:
    """An association as general.py wants one, for whoever the data come from or go to."""

    def __init__(self, a, context):
        self.model = a.model
        self.server = a.server
        self.context = context
        self.dedicated = None
        self._association = a
        self._client = bytes(a.title)
        self.protection = 0
        self._start(self._client)

    def _start(self, title):
        """One more layer; what it was, is added to protection."""
        self.title = title
        self.certificate = self._association.certificate if title == self._client else b""
        self.form = 0
        self.layer = None
        self.fields = b"\0"
        self.fields_pos = 0

    def _is_other(self, title):
        """Is this the system title of another party?"""
        return len(title) == _TITLE_LEN and title != bytes(self.model.system_title)

    def unprotect(self, octets, parameters):
        """The data in octets, or None: something about them is wrong."""
        self.protection = 0
        for i in range(len(parameters) - 1, -1, -1):
            kind, options = parameters[i]
            fields = options[:3] + [b"", options[3]]
            title = options[1] or self._client
            # An element that says less than was done is as wrong as one that says more.
            if not self._is_other(title) or not octets:
                return None
            head = b"".join([with_length(field) for field in fields])
            if kind == _SIGNATURE:
                apdu = _GENERAL_SIGNING + head + octets
            else:
                info = _key_info(options[4])
                if info is None or octets[0] >> 4 != _KINDS[kind]:
                    return None
                apdu = _GENERAL_CIPHERING + head + info + with_length(octets)
            self._start(title)
            wrong, octets = yield from general.peel(self, self.context, apdu)
            if wrong:
                return None
        return octets

    def protect(self, octets, parameters, turned):
        """(elements, octets): with the protection that elements ask for, or None.

        turned: they are those of what has come, and this is its answer.
        """
        elements = []
        for element in parameters:
            apdu = yield from self._layer(octets, element, turned)
            if apdu is None:
                return None
            kind, options = element
            key_info = options[4]
            at = 1
            for _ in range(5):
                at += length_size(apdu, at) + length(apdu, at, len(apdu))
            if kind != _SIGNATURE:
                after = _key_info_end(apdu, at)
                key_info = _of_key_info(apdu, at, after, key_info)
                at = after + length_size(apdu, after)
            octets = apdu[at:]
            fields = (options[0], bytes(self.model.system_title), self.title, b"")
            elements.append(
                b"\x02\x02\x16"
                + bytes((kind,))
                + b"\x02\x05"
                + b"".join([octet_string(field) for field in fields])
                + _encoded(key_info)
            )
        return elements, octets

    def seal(self, apdu, parameters):
        """An APDU in the APDUs general-ciphering and general-signing that elements ask for, the
        first innermost; or None."""
        for element in parameters:
            apdu = yield from self._layer(apdu, element, False)
            if apdu is None:
                return None
        return apdu

    def _layer(self, octets, element, turned):
        """octets as an APDU with the protection of one element, or None."""
        kind, options = element
        transaction, originator, recipient, _other, key_info = options
        if turned:
            originator, recipient = recipient, originator
        title = recipient or self._client
        if originator not in (b"", bytes(self.model.system_title)) or not self._is_other(title):
            return None
        # What a signature is made over begins with this length, and with nothing else.
        if len(transaction) > _LONGEST_TRANSACTION_ID:
            return None
        self._start(title)
        self.protection = 0
        if not (yield from self._prepare(kind, transaction, key_info)):
            return None
        wrong, apdu = yield from general.seal(self, self.context, octets, _KINDS[kind])
        return None if wrong else apdu

    def _prepare(self, kind, transaction, key_info):
        """Be what general.seal() wants for this layer. False: it cannot be made."""
        self.fields = with_length(transaction)
        if kind == _SIGNATURE:
            self.layer = general.Layer()
            self.layer.transaction = self.fields
            self.protection = _SIGNED
            return True
        info = _key_info(key_info)
        if info is None:
            return False
        if key_info[0] == _IDENTIFIED:
            self.form = _FORM_IDENTIFIED
            return key_info[1] == 0
        self.layer = layer = general.Layer()
        layer.key_info = info
        if key_info[0] == _WRAPPED:
            self.form = _FORM_WRAPPED
            layer.gcm = general.wrapped(self.model, self.context, key_info[1][1])
            return layer.gcm is not None
        if not self.context.suite:
            return False
        self.form = _FORM_ONE_PASS
        if key_info[1][0] == _STATIC:
            from dlms import agreed

            self.form = _FORM_STATIC
            layer.shared = yield from agreed.shared(self.model, self.context.row, self.title)
            return layer.shared is not None
        return True


# --- Key information --------------------------------------------------------------------------


def _key_info(key_info):
    """As general-ciphering has it, or None: its options are of another type."""
    kind, options = key_info
    if kind == _IDENTIFIED and isinstance(options, int):
        return b"\x01\x00" + bytes((options,))
    if not isinstance(options, list) or len(options) != 2:
        return None
    first, data = options
    if kind == _WRAPPED and isinstance(first, int):
        return b"\x01\x01" + bytes((first,)) + with_length(data)
    if kind == _AGREED and (first == _ONE_PASS or first == _STATIC):
        return b"\x01\x02\x01" + bytes((first[0] - 1,)) + with_length(data)
    return None


def _key_info_end(apdu, at):
    """The end of a key-info of the meter's own."""
    if apdu[at + 1] == _IDENTIFIED:
        return at + 3
    at += 3 if apdu[at + 1] == _WRAPPED else 4
    return at + length_size(apdu, at) + length(apdu, at, len(apdu))


def _of_key_info(apdu, at, after, asked):
    """What the meter made of a key_info that was asked for."""
    if asked[0] != _AGREED:
        return asked
    at += 4
    return [_AGREED, [asked[1][0], apdu[at + length_size(apdu, at) : after]]]


def _encoded(key_info):
    kind, options = key_info
    head = b"\x02\x02\x16" + bytes((kind,))
    if kind == _IDENTIFIED:
        return head + b"\x16" + bytes((options,))
    first, data = options
    if kind == _WRAPPED:
        return head + b"\x02\x02\x16" + bytes((first,)) + octet_string(data)
    return head + b"\x02\x02" + octet_string(first) + octet_string(data)


# --- A-XDR ------------------------------------------------------------------------------------


def kinds_of(parameters):
    """The kinds of protection of all elements together; -1: they are not of one layer of
    ciphering and one signature at most."""
    kinds = n = 0
    for kind, _options in parameters:
        if kind >= len(_KINDS):
            return -1
        kinds |= _KINDS[kind]
        n += 4 if kind == _SIGNATURE else 1
    return kinds if n in (0, 1, 4, 5) else -1


def with_length(octets):
    head = bytearray(4)
    return bytes(head[: put_length(head, 0, len(octets))]) + octets


def octet_string(octets):
    return b"\x09" + with_length(octets)


def array_of(elements):
    return b"\x01" + bytes((len(elements),)) + b"".join(elements)


def decode(octets, at):
    """(value, end) of a Data that has been checked against its type: None, int, bytes, list."""
    tag = octets[at]
    at += 1
    if tag == 0:
        return None, at
    if tag == 1 or tag == 2 or tag == 9:
        n = length(octets, at, len(octets))
        at += length_size(octets, at)
        if tag == 9:
            return bytes(octets[at : at + n]), at + n
        made = []
        for _ in range(n):
            value, at = decode(octets, at)
            made.append(value)
        return made, at
    n = {0x12: 2, 0x06: 4}.get(tag, 1)
    value = 0
    for octet in octets[at : at + n]:
        value = value << 8 | octet
    return value, at + n
