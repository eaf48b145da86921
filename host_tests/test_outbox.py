# SPDX-License-Identifier: MIT
"""dlms/outbox.py: what waits to be sent, in a buffer that may be too small for all of it."""

import pytest
from dlms.outbox import Outbox

PUSH = 0


def put(outbox, text, owner=PUSH, number=1):
    """Write an APDU; False: it was not taken."""
    while True:
        at = outbox.open()
        if at + len(text) <= outbox.limit:
            break
        if not outbox.make_room():
            return False
    outbox.buf[at : at + len(text)] = text
    outbox.close(at + len(text), owner, number)
    return True


def waiting(outbox):
    """All that waits, oldest first; the outbox is empty after that."""
    found = []
    while outbox.n:
        at = outbox.find(PUSH)
        if at < 0:
            at = outbox.find(-1)
        found.append(bytes(outbox.buf[at : outbox.found_end]))
        outbox.remove(outbox.found)
    return found


def test_first_in_first_out():
    outbox = Outbox(60, True)
    for text in (b"one", b"two", b"three"):
        assert put(outbox, text)
    assert waiting(outbox) == [b"one", b"two", b"three"]
    assert outbox.n == 0 and outbox.lost == 0


@pytest.mark.parametrize(
    "keeps_oldest,left", [(True, [b"1" * 10, b"2" * 10]), (False, [b"2" * 10, b"3" * 10])]
)
def test_full(keeps_oldest, left):
    """16 octets an entry, room for two."""
    outbox = Outbox(40, keeps_oldest)
    assert put(outbox, b"1" * 10) and put(outbox, b"2" * 10)
    assert put(outbox, b"3" * 10) is not keeps_oldest
    assert outbox.lost == 1
    assert waiting(outbox) == left


@pytest.mark.parametrize("keeps_oldest", [True, False])
def test_longer_than_all_of_it(keeps_oldest):
    """It cannot be taken; what has been dropped for it is lost, too."""
    outbox = Outbox(40, keeps_oldest)
    put(outbox, b"1" * 10)
    put(outbox, b"2" * 10)
    assert not put(outbox, b"3" * 35)
    assert outbox.lost == (1 if keeps_oldest else 3)
    assert outbox.n == (2 if keeps_oldest else 0)


def test_owners():
    outbox = Outbox(200, True)
    put(outbox, b"push 7", PUSH, 7)
    put(outbox, b"association 2", 3, 16)
    put(outbox, b"push 8", PUSH, 8)
    at = outbox.find(PUSH, 8)
    assert bytes(outbox.buf[at : outbox.found_end]) == b"push 8"
    at = outbox.find(-1)
    assert bytes(outbox.buf[at : outbox.found_end]) == b"association 2"
    assert (outbox.owner(at), outbox.number(at)) == (3, 16)
    assert outbox.find(PUSH, 9) == -1 and outbox.find(3, 17) == -1
    assert outbox.clear(PUSH, 7) == 1 and outbox.clear(PUSH, 7) == 0
    assert outbox.n == 2


def test_one_that_has_gone_meanwhile_is_not_removed_again():
    outbox = Outbox(40, False)
    put(outbox, b"1" * 10)
    outbox.find(PUSH)
    serial = outbox.found
    put(outbox, b"2" * 10)
    put(outbox, b"3" * 10)
    outbox.remove(serial)
    assert waiting(outbox) == [b"2" * 10, b"3" * 10]
