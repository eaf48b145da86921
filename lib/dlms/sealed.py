# SPDX-License-Identifier: MIT
"""A long answer that is one protected APDU, made and protected as it goes out in blocks (gbt.py).

Its length comes in front of it: prepare() is a job (see secured_association.py) that has the
stream write everything once, and only counts. Then the answer has its invocation counter, and
Sealed writes it. Nothing is protected a second time, for lost blocks lie in the buffer of the
transfer: under one counter, two texts that differ in an octet would tell both. If what is written
is not as long as what was counted, because a value has changed or a row has come, the answer ends
before its tag, with an exception-response.

Loaded by the first such answer. Allocates 800 octets for each; what it writes, nothing.
"""

from crypto.gcm_stream import Seal
from dlms import identified
from dlms.axdr import put_length
from dlms.prim import copy, count
from micropython import const

_LONG_GET_ABORTED = const(15)

# Kinds of protection, and forms of ciphering.py.
_AUTHENTICATED = const(1)
_ENCRYPTED = const(2)
_SIGNED = const(4)
_GLO = const(1)
_DED = const(2)
_GENERAL = const(3)
_GENERAL_BY_DED = const(4)
_IDENTIFIED = const(5)
_BY_JOB = const(6)
_GENERAL_GLO = const(0xDB)
_GENERAL_DED = const(0xDC)
_GENERAL_CIPHERING = const(0xDD)
_UNICAST_KEY = b"\x01\x00\x00"  # key-info: identified, the unicast key

_HEAD_LEN = const(5)  # security control and invocation counter
_TAG_LEN = const(12)
_LONGEST = const(0xFFFFC0)

# What prepare() says.
_SEALED = const(0)
_NOT_POSSIBLE = const(1)
_PLAIN = const(2)

# phase: what is written next.
_HEAD = const(0)  # what is in front of the text
_TEXT_HEAD = const(1)  # what the text begins with
_TEXT = const(2)  # the stream
_TAG = const(3)


class Sealed:
    """fill() and result as those of a Stream. n: octets of the text that were counted."""

    def __init__(self, stream, head, text_head, n, seal, kinds):
        self.result = -1
        self._stream = stream
        self._text_head = text_head
        self._left = n
        self._seal = seal
        self._kinds = kinds
        self._tag = bytearray(_TAG_LEN)
        self._go(_HEAD, head)

    def _go(self, phase, src):
        self._phase = phase
        self._src = src
        self._pos = 0

    def fill(self, out, pos, end):
        while pos < end and self.result < 0:
            if self._phase == _TEXT:
                s = self._stream
                after = s.fill(out, pos, end)
                n = after - pos
                self._left -= n
                if s.result > 0 or self._left < 0 or s.result == 0 and self._left:
                    self.result = s.result if s.result > 0 else _LONG_GET_ABORTED
                    return pos
                self._seal.update(out, pos, after)
                pos = after
                if s.result == 0:
                    self._end()
                elif not n:
                    return pos
                continue
            n = len(self._src) - self._pos
            if n > end - pos:
                n = end - pos
            copy(out, pos, self._src, self._pos, n)
            if self._phase == _TEXT_HEAD:
                self._seal.update(out, pos, pos + n)
                self._left -= n
            pos += n
            self._pos += n
            if self._pos == len(self._src):
                if self._phase == _HEAD:
                    self._go(_TEXT_HEAD, self._text_head)
                elif self._phase == _TEXT_HEAD:
                    self._phase = _TEXT
                else:
                    self.result = 0
        return pos

    def _end(self):
        if self._kinds & _AUTHENTICATED:
            self._seal.tag(self._tag, 0, _TAG_LEN)
            self._go(_TAG, self._tag)
        else:
            self.result = 0


def prepare(a):
    """The job: (_SEALED, Sealed); or (_PLAIN, b""): it is not to be protected; or (_NOT_POSSIBLE,
    b"") for protection that takes the whole answer."""
    t = a.gbt
    s = a.stream
    n = t.n_head
    while s.result < 0:
        after = s.fill(t.out, 0, t.room)
        n += after
        if n > _LONGEST or s.result < 0 and not after:
            return _NOT_POSSIBLE, b""
        yield
    context = a.context
    kinds = a.protection | context.needs_response | a.response_kinds
    if s.result > 0 or kinds & _SIGNED or a.form >= _BY_JOB:
        return _NOT_POSSIBLE, b""
    if not kinds:
        return _PLAIN, b""
    form = a.form or _GLO
    by_ded = form == _DED or form == _GENERAL_BY_DED
    key = a.dedicated if by_ded else context.unicast
    if not key or a.model.handler_of(context.row).tx(context) is None:
        return _NOT_POSSIBLE, b""
    title = bytes(a.model.system_title)
    text_head = bytes(t.head[: t.n_head])
    fields = b""
    if form == _IDENTIFIED:
        fields = bytearray(identified.put_fields_len(a))
        identified.put_fields(a, title, fields, 0)
        head = bytes((_GENERAL_CIPHERING,)) + fields + _UNICAST_KEY
    elif form >= _GENERAL:
        tag = _GENERAL_DED if by_ded else _GENERAL_GLO
        head = bytes((tag, len(title))) + title
    elif text_head[0] < 0x20:
        head = bytes((text_head[0] + (0x40 if by_ded else 0x20),))
    else:
        head = bytes((text_head[0] + (0x10 if by_ded else 0x08),))
    size = bytearray(4)
    end = put_length(size, 0, n + _HEAD_LEN + (_TAG_LEN if kinds & _AUTHENTICATED else 0))
    control = bytes((kinds << 4 | context.suite,))
    counter = bytes(key.tx)
    count(key.tx, 0, key.tx, 0)
    # In front of the authentication key there is room for a security control.
    aad = control + context.aad[1:] + fields if kinds & _AUTHENTICATED else b""
    seal = Seal(key.gcm, title + counter, kinds, aad)
    head += size[:end] + control + counter
    return _SEALED, Sealed(s, head, text_head, n, seal, kinds)
