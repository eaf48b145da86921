# SPDX-License-Identifier: MIT
"""X.509 certificates in the profile of DLMS (IEC 62056-5-3; RFC 5280), read where they lie.

    c = Certificate()
    c.read(buf, pos, end) -> 0         or one of the codes below; then nothing else of c counts
    c.curve                            "P-256" or "P-384", of the key; signed by the same curve
    c.key, c.signature                 x and y; r and s: octets of the sizes that ec.py takes
    c.tbs                              (pos, end) of what is signed; the hash is the curve's
    c.serial, c.issuer, c.subject      (pos, end) of the serial number's content, and of the Names,
                                       tag and length included, which are compared as octets
    c.title                            the subject's system title, 8 octets; None: its common name
                                       is not 16 hexadecimal digits, as with authorities
    c.not_before, c.not_after          minutes since 2000-01-01 00:00 UTC, 0..FOREVER
    c.usage                            bits of the key usage extension, SIGNS and so on; 0: none
    c.is_authority                     basic constraints say so
    c.path_length                      how many authorities may come between it and another, of
                                       basic constraints; -1: they do not say
    c.subject_key_id, c.authority_key_id, c.subject_alt_name    (pos, end) of contents, or None

A certificate has version 3, a named curve, an uncompressed key, and signs with the hash of its
curve. Extensions that are not known here are passed over, if they are not critical. What is read
is not believed by that: its signature has to be verified, and its validity and issuer looked at.

Allocates: octets of key and signature, and tuples.
"""

from micropython import const

from crypto.der import BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, SEQUENCE, SET
from crypto.der import after, element, malformed, signature

# What read() returns.
OK = 0
MALFORMED = 1  # not DER, or not the fields of a certificate
UNSUPPORTED = 2  # version, algorithm, curve or form of key that the profile does not have
CRITICAL = 3  # a critical extension that is not known

# Bits of usage: the first octet of KeyUsage.
SIGNS = 0x80
AGREES = 0x08
SIGNS_CERTIFICATES = 0x04
SIGNS_LISTS = 0x02

FOREVER = 0x3FFFFFFF

_SERIAL_MAX_LEN = const(21)  # 20 (RFC 5280, 4.1.2.2), and an octet for the sign

_UTC_TIME = const(0x17)
_GENERALIZED_TIME = const(0x18)
_VERSION = const(0xA0)
_ISSUER_ID = const(0x81)
_SUBJECT_ID = const(0x82)
_EXTENSIONS = const(0xA3)
_KEY_IDENTIFIER = const(0x80)

# Of the extensions 2.5.29.x, what x is.
_SUBJECT_KEY_ID = const(14)
_KEY_USAGE = const(15)
_SUBJECT_ALT_NAME = const(17)
_BASIC_CONSTRAINTS = const(19)
_AUTHORITY_KEY_ID = const(35)
# Those may be critical, and mean nothing to a meter: names of issuers, policies, lists, TLS.
_KNOWN = (14, 15, 17, 18, 19, 31, 32, 35, 37)

# AlgorithmIdentifiers by their contents: keys and signatures, (P-256, P-384).
KEY_ALGORITHMS = (
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
)
SIGNATURE_ALGORITHMS = (
    b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
    b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
)
CURVES = ("P-256", "P-384")
COMMON_NAME = b"\x06\x03\x55\x04\x03"
_STANDARD_EXTENSION = b"\x55\x1d"

_MINUTES_A_DAY = const(1440)
# Days of a year before each month, and in each.
_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAYS_IN = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _unsupported():
    return ValueError(UNSUPPORTED)


class Certificate:
    def read(self, buf, pos, end):
        self._buf = buf
        try:
            self._read(pos, end)
        except ValueError as e:
            code = e.args[0] if e.args else MALFORMED
            return code if code == UNSUPPORTED or code == CRITICAL else MALFORMED
        return OK

    # A cursor: the element that was entered last, and what comes behind it.

    def _take(self, tag):
        """Content of the next element, as (pos, end)."""
        content = element(self._buf, self._pos, self._end, tag)
        self._pos = after(self._buf, self._pos)
        return content, self._pos

    def _enter(self, tag):
        """Go on inside the next element; (pos, end) where to go on behind it."""
        outside = self._end
        content, behind = self._take(tag)
        self._pos = content
        self._end = behind
        return behind, outside

    def _leave(self, where):
        if self._pos != self._end:
            raise malformed()
        self._pos, self._end = where

    def _next_is(self, tag):
        return self._pos < self._end and self._buf[self._pos] == tag

    def _octets(self, where):
        return bytes(self._buf[where[0] : where[1]])

    # --- The fields

    def _read(self, pos, end):
        self._pos = pos
        self._end = end
        whole = self._enter(SEQUENCE)
        if whole[0] != end:
            raise malformed()
        start = self._pos
        tbs = self._enter(SEQUENCE)
        self.tbs = (start, tbs[0])
        self._version()
        self.serial = self._take(INTEGER)
        if not 1 <= self.serial[1] - self.serial[0] <= _SERIAL_MAX_LEN:
            raise malformed()
        algorithm = self._octets(self._take(SEQUENCE))
        self.issuer = self._name()[0]
        self._validity()
        self.subject, common_name = self._name()
        self.title = _title(common_name)
        self._key()
        if algorithm != SIGNATURE_ALGORITHMS[CURVES.index(self.curve)]:
            raise _unsupported()
        self._rest()
        self._leave(tbs)
        # What is signed must say the same of the algorithm as what is not.
        if self._octets(self._take(SEQUENCE)) != algorithm:
            raise malformed()
        content, behind = self._bits(0)
        self.signature = signature(self._buf, content, behind, len(self.key) >> 1)
        self._leave(whole)

    def _version(self):
        if not self._next_is(_VERSION):
            raise _unsupported()
        where = self._enter(_VERSION)
        if self._octets(self._take(INTEGER)) != b"\x02":
            raise _unsupported()
        self._leave(where)

    def _bits(self, unused):
        """Content of a BIT STRING behind the octet that says how many bits are not used."""
        content, behind = self._take(BIT_STRING)
        if content == behind or self._buf[content] != unused:
            raise malformed()
        return content + 1, behind

    def _name(self):
        """((pos, end) of a Name, octets of its last common name or None)"""
        start = self._pos
        where = self._enter(SEQUENCE)
        found = None
        while self._pos < self._end:
            part = self._enter(SET)
            pair = self._enter(SEQUENCE)
            kind = self._octets((self._pos, self._pos + 5))
            self._take(OID)
            if self._pos >= self._end:
                raise malformed()
            value = self._octets(self._take(self._buf[self._pos]))
            if kind == COMMON_NAME:
                found = value
            self._leave(pair)
            # A SET of several is not for us, but is one.
            while self._pos < self._end:
                self._take(SEQUENCE)
            self._leave(part)
        self._leave(where)
        return (start, where[0]), found

    def _validity(self):
        where = self._enter(SEQUENCE)
        self.not_before = self._time()
        self.not_after = self._time()
        self._leave(where)

    def _time(self):
        if self._next_is(_UTC_TIME):
            text = self._octets(self._take(_UTC_TIME))
            # RFC 5280, 4.1.2.5.1
            text = (b"20" if text[:1] < b"5" else b"19") + text
        else:
            text = self._octets(self._take(_GENERALIZED_TIME))
        return _minutes(text)

    def _key(self):
        where = self._enter(SEQUENCE)
        algorithm = self._octets(self._take(SEQUENCE))
        if algorithm not in KEY_ALGORITHMS:
            raise _unsupported()
        i = KEY_ALGORITHMS.index(algorithm)
        self.curve = CURVES[i]
        content, behind = self._bits(0)
        # Uncompressed.
        if behind - content != (65, 97)[i] or self._buf[content] != 4:
            raise _unsupported()
        self.key = self._octets((content + 1, behind))
        self._leave(where)

    def _rest(self):
        self.usage = 0
        self.is_authority = False
        self.path_length = -1
        self.subject_key_id = self.authority_key_id = self.subject_alt_name = None
        for tag in (_ISSUER_ID, _SUBJECT_ID):
            if self._next_is(tag):
                self._take(tag)
        if self._pos == self._end:
            return
        outer = self._enter(_EXTENSIONS)
        where = self._enter(SEQUENCE)
        seen = []
        while self._pos < self._end:
            one = self._enter(SEQUENCE)
            kind = self._octets(self._take(OID))
            critical = self._next_is(BOOLEAN) and self._boolean()
            if kind in seen:
                raise malformed()
            seen.append(kind)
            value = self._enter(OCTET_STRING)
            if kind[:2] == _STANDARD_EXTENSION and len(kind) == 3 and kind[2] in _KNOWN:
                self._extension(kind[2])
            elif critical:
                raise ValueError(CRITICAL)
            else:
                self._pos = self._end
            self._leave(value)
            self._leave(one)
        self._leave(where)
        self._leave(outer)

    def _boolean(self):
        value = self._octets(self._take(BOOLEAN))
        if value != b"\xff" and value != b"\0":
            raise malformed()
        return value != b"\0"

    def _extension(self, kind):
        if kind == _KEY_USAGE:
            content, behind = self._take(BIT_STRING)
            if behind - content not in (2, 3) or self._buf[content] > 7:
                raise malformed()
            self.usage = self._buf[content + 1]
        elif kind == _BASIC_CONSTRAINTS:
            where = self._enter(SEQUENCE)
            self.is_authority = self._next_is(BOOLEAN) and self._boolean()
            if self._next_is(INTEGER):
                length = self._octets(self._take(INTEGER))
                # More than one octet can say is as good as nothing.
                if not length or length[0] & 0x80:
                    raise malformed()
                self.path_length = length[0] if len(length) == 1 else -1
            self._leave(where)
        elif kind == _SUBJECT_KEY_ID:
            self.subject_key_id = self._take(OCTET_STRING)
        elif kind == _AUTHORITY_KEY_ID:
            where = self._enter(SEQUENCE)
            if self._next_is(_KEY_IDENTIFIER):
                self.authority_key_id = self._take(_KEY_IDENTIFIER)
            self._pos = self._end
            self._leave(where)
        elif kind == _SUBJECT_ALT_NAME:
            self.subject_alt_name = self._take(SEQUENCE)
        else:
            self._pos = self._end


def _title(text):
    """Eight octets of 16 hexadecimal digits; None: it is something else."""
    if text is None or len(text) != 16:
        return None
    title = bytearray(8)
    for i in range(16):
        digit = b"0123456789abcdef".find(text[i : i + 1].lower())
        if digit < 0:
            return None
        title[i >> 1] |= digit << (0 if i & 1 else 4)
    return bytes(title)


def _minutes(text):
    """Of YYYYMMDDhhmmssZ; what lies before 2000 is 0."""
    if len(text) != 15 or text[14] != 0x5A:
        raise malformed()
    for digit in text[:14]:
        if not 0x30 <= digit <= 0x39:
            raise malformed()
    year, month, day, hour, minute, second = [
        int(text[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
    ]
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        raise malformed()
    if not 1 <= day <= _DAYS_IN[month - 1] + (1 if leap and month == 2 else 0):
        raise malformed()
    if year < 2000:
        return 0
    if year > 4000:
        return FOREVER
    n = year - 2000
    days = n * 365 + (n + 3) // 4 - (n + 99) // 100 + (n + 399) // 400
    days += _DAYS_BEFORE[month - 1] + day - 1
    if leap and month > 2:
        days += 1
    return days * _MINUTES_A_DAY + hour * 60 + minute
