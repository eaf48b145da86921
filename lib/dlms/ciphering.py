# SPDX-License-Identifier: MIT
"""Protected APDUs with symmetric keys (IEC 62056-5-3, 5.3.4 to 5.3.6): glo-, ded-, general-glo-
and general-ded-ciphering, and the invocation counters of each key.

    tag [length, system title] length  security control  invocation counter (4)  octets [tag 12]

A request is deciphered where it lies, an answer is ciphered where it was written. The tag is
checked first, then the counter: whatever was wrong with an APDU, the answer is the same, but for
one that was right once. Nothing is allocated but by Key and Context, when they are made.

Invocation counters. `rx` is the lowest that is taken, `tx` the next that is used; both are below
`rx_end` and `tx_end`, and those have been saved: after a power failure at any instant the meter
goes on with them, so that no counter is used twice, and none accepted twice. The highest number
is never used: then the key is worn out. What no tag authenticates, anybody can have made: its
counter is taken for one that is too low if it is more than 256 ahead.
"""

from crypto import gcm
from dlms.axdr import length, length_size, put_length
from dlms.prim import compare, copy, count, gap
from micropython import const

# Security control: suite (4 bits), authenticated, encrypted, broadcast key, compressed.
_AUTHENTICATED = const(1)
_ENCRYPTED = const(2)
_BOTH = const(3)
_BROADCAST = const(0x40)
_SUITE_AND_COMPRESSED = const(0x8F)

_GENERAL_GLO = const(0xDB)
_GENERAL_DED = const(0xDC)
_GLO_FIRST = const(0xC8)
_DED_FIRST = const(0xD0)
_DED_LAST = const(0xD7)

_OPEN = const(2)  # state of association.py

_TITLE_LEN = const(8)
_COUNTER_LEN = const(4)
_HEAD_LEN = const(5)  # security control and invocation counter
_TAG_LEN = const(12)

# form: how a request was protected, and so how its answer is. Odd: by a key that many requests of
# many associations have, even: by the dedicated key.
_PLAIN = const(0)
_GLO = const(1)
_DED = const(2)
_GENERAL_BY_GLO = const(3)
_GENERAL_BY_DED = const(4)

# overhead(), by form and kinds: tag and length, security control and counter, 12 octets of a tag;
# 9 for the title in the general forms.
OVERHEAD = b"\x00\x15\x09\x15\x00\x15\x09\x15\x00\x15\x09\x15\x00\x1e\x12\x1e\x00\x1e\x12\x1e"

# What unprotect() says. Wrong is everything but an old counter under a right tag.
_DONE = const(0)
_LATER = const(-1)
_NOT_POSSIBLE = const(1)
_WRONG = const(5)
_REPLAYED = const(6)

# Tag of a request in plain text, from the tag of its service-specific protection.
_GLO_TO_PLAIN = const(0x08)
_DED_TO_PLAIN = const(0x10)
# Tags below 0x20 get 0x20 from glo, and 0x40 from ded.

_LAST_TX = b"\xff\xff\xff\xfd"  # an answer takes two at most
_NEVER = b"\xff\xff\xff\xff"
# So far ahead may a counter be that nothing authenticates.
_FARTHEST = const(256)
# So many counters are saved ahead at a time.
_PORTION = const(64)


class Key:
    """An encryption key with an authentication key: its AES-GCM and its counters. 500 octets on a
    board of 32 bits, most of them the AES object. tx and tx_end are those of the whole meter."""

    def __init__(self, aes, aad, tx, tx_end):
        self.gcm = gcm.new(aes)
        self.aad = aad
        self.rx = bytearray(_COUNTER_LEN)
        self.rx_before = bytearray(_COUNTER_LEN)  # rx, before a request that opens, see hls.py
        self.tx = tx
        self.tx_end = tx_end
        # A dedicated key lives as long as its association: nothing of it is saved.
        self.rx_end = bytearray(_NEVER)
        # Where the image shows rx to clients, -1: nowhere.
        self.shown = -1

    def start(self, title, title_pos, head, at):
        """Begin an APDU of which nothing is encrypted: security control and invocation counter
        are head[at:]. What is authenticated follows by aad() of what this returns."""
        g = self.gcm
        self.aad[0] = head[at]
        g.begin(title, title_pos, head, at + 1)
        g.start(self.aad)
        return g

    def authenticate(self, title, buf, pos, end):
        """Put the next counter in front of buf[pos:end], behind the security control that is
        there, and the tag behind it; returns its end."""
        head = pos - _HEAD_LEN
        copy(buf, head + 1, self.tx, 0, _COUNTER_LEN)
        count(self.tx, 0, self.tx, 0)
        g = self.start(title, 0, buf, head)
        g.aad(buf, pos, end)
        g.encrypt(buf, end, end, buf, end, _TAG_LEN)
        return end + _TAG_LEN

    def worn(self):
        """Is there no counter left at all?"""
        return gap(self.tx_end, 0, _LAST_TX, 0) <= 0

    def took(self, image, buf, pos):
        """The counter buf[pos:] has been used."""
        count(self.rx, 0, buf, pos)
        if self.shown >= 0:
            copy(image, self.shown, self.rx, 0, _COUNTER_LEN)

    def exhausted(self):
        """Are no counters left for an answer that have been saved?"""
        return gap(self.tx, 0, self.tx_end, 0) <= 0


class Context:
    """What protects the APDUs of the clients of one Security setup object.

    row; suite; needs_request, needs_response: the least that security_policy asks for (bit 0
    authenticated, 1 encrypted, 2 signed)
    loaded     the keys have been made; they are when a client comes, see cosem/security_setup.py
    unicast, broadcast   Key, or None: there is none; broadcast also False: not made yet
    aad        what keys authenticate first: room for a security control, the authentication key
    """

    def __init__(self, row, suite):
        self.row = row
        self.suite = suite
        self.needs_request = self.needs_response = 0
        self.unload()
        # Counters could not be saved; they are not asked for before the next minute.
        self.failed = False
        self.changed = 0  # keys that have come and are not in force yet, a bit each

    def unload(self):
        self.loaded = False
        self.unicast = self.broadcast = None
        self.aad = b""
        self.marks = None  # see marks.py

    def key_len(self):
        return 32 if self.suite == 2 else 16


def ahead(counter, n=_PORTION):
    """The number n above counter, or the highest, as four octets. Allocates."""
    return min(int.from_bytes(counter, "big") + n, 0xFFFFFFFF).to_bytes(_COUNTER_LEN, "big")


def is_protected(tag):
    if 0x20 < tag < 0x60:
        # initiateRequest; Read, Write, UnconfirmedWrite
        tag &= 0x1F
        return tag == 0x01 or tag == 0x05 or tag == 0x06 or tag == 0x16
    return _GLO_FIRST <= tag <= _DED_LAST or tag == _GENERAL_GLO or tag == _GENERAL_DED


def unprotect(a, context, title, title_pos, buf, pos, end):
    """Decipher the APDU buf[pos:end] of a client whose system title is title[title_pos:].

    _DONE: the plain APDU is buf[a.plain_pos:a.plain_end], a.protection and a.form say how it came;
    _LATER: a key has to be made, or counters to be saved, first (the same octets may come again
    after that); else a service-error of the exception-response.
    """
    tag = buf[pos]
    at = pos + 1
    form = _GLO
    if tag >= _GENERAL_GLO:
        form = _GENERAL_BY_GLO if tag == _GENERAL_GLO else _GENERAL_BY_DED
        # The title of whoever protected it: the client, or none, for it is known.
        if at < end and buf[at] == _TITLE_LEN and at + 9 < end:
            if compare(buf, at + 1, title, title_pos, _TITLE_LEN) != 0:
                return _WRONG
            at += 9
        elif at < end and buf[at] == 0:
            at += 1
        else:
            return _WRONG
    elif tag >= _DED_FIRST or 0x40 <= tag < 0x60:
        form = _DED
    n = buf[at] if at < end else -1
    if n < 0x80:
        at += 1
    else:
        n = length(buf, at, end)
        at += length_size(buf, at)
    if n < _HEAD_LEN or at + n != end:
        return _WRONG
    sc = buf[at]
    kinds = sc >> 4 & 3
    if form & 1:
        key = context.broadcast if sc & _BROADCAST else context.unicast
    else:
        key = None if sc & _BROADCAST else a.dedicated
    if key is None or kinds == 0 or sc & _SUITE_AND_COMPRESSED != context.suite:
        return _WRONG
    if context.needs_request & ~kinds & 3:
        # Before its counter counts: without a tag anybody could have made it, and with the highest
        # counter it would be the last request that this key ever takes.
        return _NOT_POSSIBLE
    if key is False:
        a.server.secured.wants_keys(context)
        return _LATER
    body = at + _HEAD_LEN
    if kinds & _AUTHENTICATED:
        end -= _TAG_LEN
    if end <= body:
        return _WRONG
    # Decipher it, if the tag is right.
    if kinds == _BOTH:
        aad = key.aad
        aad[0] = sc
        good = key.gcm.open(aad, title, title_pos, buf, at + 1, body, end)
    elif kinds == _AUTHENTICATED:
        g = key.start(title, title_pos, buf, at)
        g.aad(buf, body, end)
        good = g.decrypt(buf, end, end, buf, end, _TAG_LEN)
    else:
        key.gcm.begin(title, title_pos, buf, at + 1)
        key.gcm.crypt(buf, body, end)
        good = 1
    if not good:
        return _WRONG
    if form < _GENERAL_BY_GLO:
        if tag < 0x60:
            tag &= 0x1F
        else:
            tag -= _GLO_TO_PLAIN if form == _GLO else _DED_TO_PLAIN
        if buf[body] != tag:
            return _WRONG
    wrong = take(a, context, key, buf, at, end)
    if not wrong:
        a.form = form
    return wrong


def take(a, context, key, buf, at, end):
    """Judge the counter of an APDU that is right otherwise, and has been deciphered, up to end;
    its security control is buf[at]. As unprotect(), but for a.form."""
    kinds = buf[at] >> 4 & 3
    counter = at + 1
    body = at + _HEAD_LEN
    ahead = gap(key.rx, 0, buf, counter)
    if ahead < 0:
        return _REPLAYED
    if ahead > _FARTHEST and not kinds & _AUTHENTICATED:
        # Anybody could have made it. Few such steps do not use up a key.
        return _REPLAYED
    if gap(buf, counter, key.rx_end, 0) <= 0:
        if gap(buf, counter, _NEVER, 0) == 0:
            return _REPLAYED
        if context.failed:
            return _NOT_POSSIBLE
        # As it came: counter mode is its own inverse.
        if kinds & _ENCRYPTED:
            key.gcm.crypt(buf, body, end)
        a.server.secured.wants_counters(context, key, buf, counter)
        return _LATER
    rx = key.rx
    if a.state != _OPEN:
        copy(key.rx_before, 0, rx, 0, _COUNTER_LEN)
    count(rx, 0, buf, counter)
    if key.shown >= 0:
        copy(a.model.image, key.shown, rx, 0, _COUNTER_LEN)
    a.by_broadcast = key is context.broadcast
    a.protection |= kinds
    a.plain_pos = body
    a.plain_end = end
    return _DONE


def overhead(form, kinds):
    """Octets that protection adds to an APDU of more than 122 octets; fewer for shorter ones."""
    return OVERHEAD[form << 2 | kinds & 3]


def protect(a, context, title, kinds, buf, pos, end):
    """Protect the APDU buf[pos:end] in the form of the request; title is the meter's own.

    Returns its new start, and sets a.plain_end to its end; -1 when no counter is left. Room for
    overhead() is in front of pos (22 octets) and behind end (12).
    """
    form = a.form
    key = context.unicast if form & 1 else a.dedicated
    if key is None:
        return -1
    tx = key.tx
    if gap(tx, 0, key.tx_end, 0) <= 0:
        return -1
    tag = buf[pos]
    head = pos - _HEAD_LEN
    buf[head] = kinds << 4 | context.suite
    if kinds == _AUTHENTICATED:
        end = key.authenticate(title, buf, pos, end)
    else:
        copy(buf, head + 1, tx, 0, _COUNTER_LEN)
        count(tx, 0, tx, 0)
        if kinds == _BOTH:
            aad = key.aad
            aad[0] = buf[head]
            key.gcm.seal(aad, title, 0, buf, head + 1, pos, end)
            end += _TAG_LEN
        else:
            key.gcm.begin(title, 0, buf, head + 1)
            key.gcm.crypt(buf, pos, end)
    a.plain_end = end
    n = end - head
    if n < 0x80:
        head -= 1
        buf[head] = n
    else:
        head -= 2 if n < 0x100 else 3
        put_length(buf, head, n)
    if form >= _GENERAL_BY_GLO:
        head -= 1 + _TITLE_LEN
        buf[head] = _TITLE_LEN
        copy(buf, head + 1, title, 0, _TITLE_LEN)
        tag = _GENERAL_GLO if form & 1 else _GENERAL_DED
    elif tag < 0x20:
        tag += 0x20 if form & 1 else 0x40
    else:
        tag += _GLO_TO_PLAIN if form & 1 else _DED_TO_PLAIN
    buf[head - 1] = tag
    return head - 1
