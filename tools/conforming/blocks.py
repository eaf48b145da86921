# SPDX-License-Identifier: MIT
"""Block transfer of GET, SET and ACTION. The cases are ours, the rules IEC 62056-5-3's."""

import collections

from .application import initiate, opened_with
from .case import expect, fail, group_of, inapplicable, inconclusive
from .client import length
from .objects import objects, settable
from .session import BITS, OBJECT_LIST, block, descriptor, result

CASES, case = group_of("blocks", "ours; IEC 62056-5-3, block transfer: ")

_SMALL = 128
_OF_A_CLASS = 3
_NUMBER_INVALID = 19
_NO_TRANSFER = 16
_ABORTED = (15, 16, 19, 2, 250)


def small(t, word="block-transfer-with-get", entry=None):
    """A session whose client takes little, so that the object list comes in blocks."""
    entry = entry or t.some()
    s = t.session(entry)
    proposed = 0x7EFF1F & ~BITS["general-block-transfer"]
    s.ready(initiate=initiate(proposed, _SMALL).hex())
    if not s.has(word):
        inapplicable("%s is not negotiated." % word)
    return s


def first(s):
    """The first block of the object list."""
    got = s.sure(OBJECT_LIST)
    expect(
        got[:3] == b"\xc4\x02\xc1",
        "The object list does not come in blocks, but %s..." % got[:8].hex(" "),
    )
    return got


def following(s, number):
    return s.sure(b"\xc0\x02\xc1" + number.to_bytes(4, "big"))


def says(got, numbers, what):
    """A last block, or a plain answer, with one of these results."""
    if got[:1] == b"\xd8":
        return
    if got[:2] == b"\xc4\x02" and len(got) > 9:
        expect(got[8], "%s: a block with octets comes." % what)
        expect(got[3], "%s: the block with the result is not the last one." % what)
        found = got[9]
    else:
        expect(
            got[:2] == b"\xc4\x01" and got[3:4] == b"\1" and len(got) == 5,
            "%s is answered with %s." % (what, got[:12].hex(" ")),
        )
        found = got[4]
    expect(
        found in numbers,
        "%s: %s; expected %s." % (what, result(found), " or ".join(result(n) for n in numbers)),
    )


def without_blocks(t):
    """The object list, as it comes to a client that takes everything."""
    s = t.session(t.some()).ready()
    status, data = s.get(15, "0.0.40.0.0", 2)
    if status:
        inconclusive("The object_list cannot be read: %s." % result(status))
    s.leave()
    return data


@case("PMT_BLOCK_GET_P1", "GET in blocks", "get-response-with-datablock")
def get_p1(t):
    """A client that takes 128 octets reads the object list: blocks 1, 2, 3 ..., none of them
    longer, the same octets in all as for a client that takes everything."""
    wanted = without_blocks(t)
    s = small(t)
    got = first(s)
    number, raw = 1, b""
    while True:
        expect(
            len(got) <= _SMALL, "A block is %d octets; the client takes %d." % (len(got), _SMALL)
        )
        last, n, part = block(got)
        expect(n == number, "Block %d came; expected %d." % (n, number))
        raw += part
        if last:
            break
        expect(part, "Block %d is empty." % n)
        got = following(s, number)
        number += 1
    expect(raw == wanted, "In blocks the list reads other than at once.")
    return "%d blocks" % number


@case("PMT_BLOCK_GET_N1", "A wrong block number", "get-request-next")
def get_n1(t):
    """Block 5 instead of 1, block 0: data-block-number-invalid in a last block, the transfer is
    over, and the association goes on."""
    for number in (5, 0):
        s = small(t)
        first(s)
        says(following(s, number), (_NUMBER_INVALID,), "Block %d" % number)
        says(following(s, 1), (_NO_TRANSFER, _NUMBER_INVALID), "The next block after that")
        expect(s.is_alive(), "After it the association is not usable any more.")
        t.done()


@case("PMT_BLOCK_GET_N2", "The next block of nothing", "get-request-next")
def get_n2(t):
    """get-request-next without a transfer, and after its end: no-long-get-in-progress."""
    s = small(t)
    says(following(s, 1), _ABORTED, "get-request-next without a transfer")
    number = 0
    got = first(s)
    while not block(got)[0]:
        number += 1
        got = following(s, number)
    says(following(s, number + 1), _ABORTED, "get-request-next after the last block")
    expect(s.is_alive(), "After it the association is not usable any more.")


@case("PMT_BLOCK_GET_N3", "Another request in between", "get-request-next")
def get_n3(t):
    """A GET of something else between two blocks is served; the association goes on."""
    s = small(t)
    first(s)
    expect(s.is_alive(), "A GET between two blocks is not served.")
    got = following(s, 1)
    if got[:2] == b"\xc4\x02" and got[8:9] == b"\0":
        expect(block(got)[1] == 2, "Block %d comes; expected 2." % block(got)[1])
    else:
        says(got, _ABORTED, "The next block after it")
    expect(s.is_alive(), "After it the association is not usable any more.")


@case("PMT_BLOCK_GET_P2", "GET with list in blocks", "get-response-with-datablock")
def get_p2(t):
    """The object list and a short attribute in one GET: the same octets as each alone."""
    wanted = without_blocks(t)
    s = small(t)
    if not s.has("multiple-references"):
        inapplicable("multiple-references is not negotiated.")
    name = descriptor(15, "0.0.40.0.0", 1) + b"\0"
    got = s.sure(b"\xc0\x03\xc1\x02" + name + OBJECT_LIST[3:])
    expect(got[:2] == b"\xc4\x02", "It does not come in blocks, but %s..." % got[:8].hex(" "))
    expected = b"\x02\0\x09\x06" + descriptor(15, "0.0.40.0.0", 1)[2:8] + b"\0" + wanted
    expect(s.rest(got) == expected, "In a list they read other than alone.")


def writable(t):
    """(session, attribute, A-XDR) of a short attribute that may be written."""
    unable = "No association has block-transfer-with-set."
    for entry in t.target.playable():
        s = t.session(entry).ready()
        if s.has("block-transfer-with-set"):
            unable = "There is no short attribute that may be written."
            s.leave()
            found = settable(t, entry, 1)
            if found:
                s = t.session(entry).ready()
                return s, found[0], s.get(*found[0])[1]
        t.done()
    return inapplicable(unable)


def set_first(attribute, number, octets, last=False):
    return (
        b"\xc1\x02\xc1" + descriptor(*attribute) + b"\0" + bytes((last,))
        + number.to_bytes(4, "big") + length(len(octets)) + octets
    )  # fmt: skip


def set_next(number, octets, last=False):
    return (
        b"\xc1\x03\xc1" + bytes((last,)) + number.to_bytes(4, "big") + length(len(octets)) + octets
    )


@case("PMT_BLOCK_SET_P1", "SET in blocks", "set-request-with-first-datablock", ("write",))
def set_p1(t):
    """A value, octet by octet in blocks: each is acknowledged with its number, the last with
    success; then it reads as it was written."""
    s, attribute, before = writable(t)
    value = before[:-1] + bytes((before[-1] ^ 1,))
    try:
        got = s.sure(set_first(attribute, 1, value[:1]))
        for n in range(1, len(value)):
            expect(
                got == b"\xc5\x02\xc1" + n.to_bytes(4, "big"),
                "Block %d is answered with %s." % (n, got.hex(" ")),
            )
            got = s.sure(set_next(n + 1, value[n : n + 1], n + 1 == len(value)))
        expect(
            got == b"\xc5\x03\xc1\0" + len(value).to_bytes(4, "big"),
            "The last block is answered with %s." % got.hex(" "),
        )
        expect(s.get(*attribute) == (0, value), "It reads other than it was written.")
    finally:
        s.put(*attribute, before)


@case(
    "PMT_BLOCK_SET_N1", "SET with a wrong block number", "set-request-with-datablock", ("write",)
)
def set_n1(t):
    """Block 3 behind block 1, and a block without a first one: refused, the value has not changed,
    and the association goes on."""
    s, attribute, before = writable(t)
    value = before[:-1] + bytes((before[-1] ^ 1,))
    try:
        s.sure(set_first(attribute, 1, value[:1]))
        for what, apdu in (
            ("Block 3 behind block 1", set_next(3, value[1:], True)),
            ("A block without a first one", set_next(2, value[1:], True)),
        ):
            got = s.sure(apdu)
            if got[:1] != b"\xd8":
                expect(
                    got[:2] in (b"\xc5\x03", b"\xc5\x01") and got[3],
                    "%s is answered with %s." % (what, got.hex(" ")),
                )
        expect(s.get(*attribute) == (0, before), "The value has changed.")
    finally:
        s.put(*attribute, before)


@case("PMT_BLOCK_ACTION_N1", "The next block of an ACTION that is not there",
      "action-request-next-pblock")  # fmt: skip
def action_n1(t):
    """Refused, and the association goes on."""
    s = opened_with(t, "action")
    got = s.sure(b"\xc3\x02\xc1\0\0\0\1")
    if got[:1] != b"\xd8":
        expect(got[:1] == b"\xc7", "It is answered with %s." % got[:3].hex(" "))
        if got[1] == 1:
            expect(got[3], "It has success.")
        elif got[1] == 2 and not got[3]:
            inconclusive("A block came: %s." % got[:8].hex(" "))
    expect(s.is_alive(), "After it the association is not usable any more.")


@case("PMT_BLOCK_SIZE", "No answer is longer than the client takes", "client-max-receive-pdu-size")
def size(t):
    """Objects of each class are read by a client that takes 128 octets: no answer is longer."""
    entry = t.some()
    found = objects(t, entry)
    s = small(t, entry=entry)
    n = 0
    seen = collections.Counter()
    for o in found:
        seen[o.class_id] += 1
        if seen[o.class_id] > _OF_A_CLASS:
            continue
        for index, mode in o.attributes.items():
            if not found.can_read(mode) or index < 1:
                continue
            got = s.sure(b"\xc0\x01\xc1" + descriptor(o.class_id, o.name, index) + b"\0")
            if len(got) > _SMALL:
                fail("%s/%d: an answer of %d octets." % (o, index, len(got)))
            n += 1
    return "%d attributes" % n
