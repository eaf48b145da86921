# SPDX-License-Identifier: MIT
"""ACSE APDUs (IEC 62056-5-3, 7.3 and annex; ISO/IEC 15954): AARQ in, AARE out, RLRQ in, RLRE out.

parse() only finds where things are; what they mean is decided in association.py. Objects are made
once; nothing is allocated per APDU.
"""

from dlms import ber
from dlms.axdr import put_length
from dlms.prim import copy
from micropython import const

# Tags of the AARQ.
_PROTOCOL_VERSION = const(0x80)
_APPLICATION_CONTEXT = const(0xA1)
_CALLED_AP_TITLE = const(0xA2)
_CALLING_AP_TITLE = const(0xA6)
_CALLING_AE_QUALIFIER = const(0xA7)
_CALLING_AE_INVOCATION_ID = const(0xA9)
_SENDER_ACSE_REQUIREMENTS = const(0x8A)
_MECHANISM_NAME = const(0x8B)
_CALLING_AUTHENTICATION_VALUE = const(0xAC)
_IMPLEMENTATION_INFORMATION = const(0xBD)
_USER_INFORMATION = const(0xBE)

# Tags of the AARE that differ.
_RESULT = const(0xA2)
_RESULT_SOURCE_DIAGNOSTIC = const(0xA3)

_OBJECT_IDENTIFIER = const(0x06)
_OCTET_STRING = const(0x04)
_INTEGER = const(0x02)
_CHARSTRING = const(0x80)
_BITSTRING = const(0x81)

# Identifiers that only have to be well-formed: tag, tag of the content, diagnostic. Called AE
# qualifier, AP and AE invocation identifier; calling AP invocation identifier.
_NOT_RECOGNISED = b"\xa3\x04\x09\xa4\x02\x08\xa5\x02\x0a\xa8\x02\x04"
_NOT_RECOGNISED_LEN = const(12)

_AARE = const(0x61)
_RLRE = const(0x63)

# 2.16.756.5.8: the arcs .1.x are application contexts, .2.x authentication mechanisms.
_DLMS_UA = b"\x60\x85\x74\x05\x08"
_CONTEXT_ARC = const(1)
_MECHANISM_ARC = const(2)

_ABSENT = const(-1)
_UNKNOWN = const(-2)


def arc(buf, pos, n, kind):
    """x of the object identifier 2.16.756.5.8.kind.x at buf[pos:pos+n], or -2."""
    if n != 7:
        return _UNKNOWN
    i = 0
    while i < 5:
        if buf[pos + i] != _DLMS_UA[i]:
            return _UNKNOWN
        i += 1
    # An arc of more than one octet would go on: 80 and more are none, and are not said again.
    return buf[pos + 6] if buf[pos + 5] == kind and buf[pos + 6] < 0x80 else _UNKNOWN


class AARQ:
    """The fields of an AARQ, as positions in the buffer that it lies in.

    version_1 is False when the client offers no protocol version that we have;
    context, mechanism: last arc, -1 absent, -2 unknown; authentication, title, called_title,
    certificate (calling AE qualifier), user_information: _pos and _end, both 0 when absent;
    user_id -1 when absent;
    requirements True when the authentication functional unit is asked for;
    not_recognised: 0, or the diagnostic for the first identifier of a kind that DLMS/COSEM has no
    use for, or that nothing here goes by: whatever it says, it names nobody that the server knows.
    """

    def __init__(self):
        self.clear()

    def clear(self):
        self.version_1 = True
        self.context = _ABSENT
        self.mechanism = _ABSENT
        self.requirements = False
        self.authentication_pos = self.authentication_end = 0
        self.title_pos = self.title_end = 0
        self.called_title_pos = self.called_title_end = 0
        self.certificate_pos = self.certificate_end = 0
        self.not_recognised = 0
        self.user_id = _ABSENT
        self.user_information_pos = self.user_information_end = 0

    def parse(self, buf, pos, end):
        """Read the AARQ at buf[pos:end]; False if it is not well-formed."""
        self.clear()
        n = ber.length(buf, pos, end)
        pos = ber.contents(buf, pos) if n >= 0 else end
        if n < 0 or pos + n != end:
            return False
        last = 0
        while pos < end:
            tag = buf[pos]
            n = ber.length(buf, pos, end)
            # Fields come in the order of their context numbers, each once.
            order = tag & 0x1F
            if n < 0 or (order <= last and tag != _PROTOCOL_VERSION):
                return False
            last = order
            pos = ber.contents(buf, pos)
            if not self._field(tag, buf, pos, n):
                return False
            pos += n
        return True

    def _field(self, tag, buf, pos, n):
        if tag == _PROTOCOL_VERSION:
            # BIT STRING: unused bits, then bit 0 (the MSB) = version 1
            self.version_1 = n >= 2 and buf[pos + 1] & 0x80 != 0
            return n >= 2
        if tag == _SENDER_ACSE_REQUIREMENTS:
            self.requirements = n >= 2 and buf[pos + 1] & 0x80 != 0
            return n >= 2
        if tag == _MECHANISM_NAME:
            self.mechanism = arc(buf, pos, n, _MECHANISM_ARC)
            return True
        if tag == _IMPLEMENTATION_INFORMATION:
            return True
        if tag & 0xE0 != 0xA0:
            # Not a context-specific constructed field: there are no others.
            return tag & 0xC0 == 0x80
        inner = ber.length(buf, pos, pos + n)
        if inner < 0:
            return False
        inner_tag = buf[pos]
        at = ber.contents(buf, pos)
        if at + inner != pos + n:
            return False
        if tag == _APPLICATION_CONTEXT:
            self.context = arc(buf, at, inner, _CONTEXT_ARC)
            return inner_tag == _OBJECT_IDENTIFIER
        if tag == _CALLED_AP_TITLE:
            self.called_title_pos = at
            self.called_title_end = at + inner
            return inner_tag == _OCTET_STRING
        if tag == _CALLING_AP_TITLE:
            self.title_pos = at
            self.title_end = at + inner
            return inner_tag == _OCTET_STRING
        if tag == _CALLING_AE_QUALIFIER:
            self.certificate_pos = at
            self.certificate_end = at + inner
            return inner_tag == _OCTET_STRING
        i = 0
        while i < _NOT_RECOGNISED_LEN:
            if _NOT_RECOGNISED[i] == tag:
                if not self.not_recognised:
                    self.not_recognised = _NOT_RECOGNISED[i + 2]
                return inner_tag == _NOT_RECOGNISED[i + 1]
            i += 3
        if tag == _CALLING_AE_INVOCATION_ID:
            if inner_tag != _INTEGER or inner < 1 or inner > 2:
                return False
            self.user_id = buf[at + inner - 1]
            return True
        if tag == _CALLING_AUTHENTICATION_VALUE:
            if inner_tag == _BITSTRING:
                at += 1
                inner -= 1
                if inner < 0:
                    return False
            self.authentication_pos = at
            self.authentication_end = at + inner
            return inner_tag == _CHARSTRING or inner_tag == _BITSTRING
        if tag == _USER_INFORMATION:
            self.user_information_pos = at
            self.user_information_end = at + inner
            return inner_tag == _OCTET_STRING
        return True


# AARE up to the diagnostic; context arc, result, source and diagnostic are patched.
_AARE_HEAD = (
    b"\xa1\x09\x06\x07\x60\x85\x74\x05\x08\x01\x01\xa2\x03\x02\x01\x00\xa3\x05\xa1\x03\x02\x01\x00"
)
_AARE_CONTEXT = const(10)
_AARE_RESULT = const(15)
_AARE_SOURCE = const(18)
_AARE_DIAGNOSTIC = const(22)
_AARE_HEAD_LEN = const(23)
# responder-acse-requirements, mechanism-name and the head of responding-authentication-value;
# mechanism and lengths are patched.
_AARE_MECHANISM = b"\x88\x02\x07\x80\x89\x07\x60\x85\x74\x05\x08\x02\x00\xaa\x00\x80\x00"
_AARE_MECHANISM_LEN = const(17)
_RESPONDING_AP_TITLE = const(0xA4)
_RESPONDING_AE_QUALIFIER = const(0xA5)


def put_aare_head(tx, pos, context, result, source, diagnostic):
    """Write context, result and diagnostic at tx[pos:]; returns the position after them.

    source is 0xA1 (acse-service-user) or 0xA2 (acse-service-provider).
    """
    copy(tx, pos, _AARE_HEAD, 0, _AARE_HEAD_LEN)
    tx[pos + _AARE_CONTEXT] = context
    tx[pos + _AARE_RESULT] = result
    tx[pos + _AARE_SOURCE] = source
    tx[pos + _AARE_DIAGNOSTIC] = diagnostic
    return pos + _AARE_HEAD_LEN


def put_title(tx, pos, title):
    """Write the responding-AP-title; returns its end."""
    n = len(title)
    tx[pos] = _RESPONDING_AP_TITLE
    tx[pos + 1] = n + 2
    tx[pos + 2] = _OCTET_STRING
    tx[pos + 3] = n
    copy(tx, pos + 4, title, 0, n)
    return pos + 4 + n


def put_certificate(tx, pos, src, src_pos, src_end):
    """Write a certificate, src[src_pos:src_end], as responding-AE-qualifier; returns its end."""
    n = src_end - src_pos
    tx[pos] = _RESPONDING_AE_QUALIFIER
    pos = put_length(tx, pos + 1, n + 1 + (1 if n < 0x80 else 2 if n < 0x100 else 3))
    tx[pos] = _OCTET_STRING
    pos = put_length(tx, pos + 1, n)
    copy(tx, pos, src, src_pos, n)
    return pos + n


def put_mechanism(tx, pos, mechanism, n):
    """Write requirements, mechanism name, and the head of a challenge of n octets."""
    copy(tx, pos, _AARE_MECHANISM, 0, _AARE_MECHANISM_LEN)
    tx[pos + 12] = mechanism
    tx[pos + 14] = n + 2
    tx[pos + 16] = n
    return pos + _AARE_MECHANISM_LEN


def put_aare(tx, pos, end):
    """Put tag and length in front of the fields tx[pos:end]; returns the new start."""
    return ber.put_header(tx, pos, _AARE, end - pos)


def put_rlre(tx, pos, reason):
    """Write an RLRE with a reason; returns its end."""
    tx[pos] = _RLRE
    tx[pos + 1] = 3
    tx[pos + 2] = 0x80
    tx[pos + 3] = 1
    tx[pos + 4] = reason
    return pos + 5


def rlrq_information(buf, pos, end):
    """Position of the user-information in the RLRQ at buf[pos:end], which goes on to end; 0: it
    has none; -1: the RLRQ is not well-formed. Any reason is one."""
    information = 0
    n = ber.length(buf, pos, end)
    if n < 0:
        return -1
    pos = ber.contents(buf, pos)
    if pos + n != end:
        return -1
    while pos < end:
        tag = buf[pos]
        n = ber.length(buf, pos, end)
        if n < 0 or information:
            return -1
        pos = ber.contents(buf, pos)
        if tag == 0x80:
            if n != 1:
                return -1
        elif tag == _USER_INFORMATION:
            if ber.length(buf, pos, pos + n) < 0 or buf[pos] != _OCTET_STRING:
                return -1
            information = ber.contents(buf, pos)
        else:
            return -1
        pos += n
    return information
