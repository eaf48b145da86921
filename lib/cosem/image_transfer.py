# SPDX-License-Identifier: MIT
"""Image transfer (class 18, version 0; IEC 62056-6-2, 4.4.6): a new firmware for the meter.

image_transfer_status, and what each method does then. A number is the state that follows, x is
other-reason, t is temporary-failure, = is success and nothing more.

                       initiate  block  verify  activate
    0 not initiated    1         x      x       x
    1 initiated        1         1      2       2
    2 verifying        t         t      t       t
    3 verified         1         x      =       5
    4 not verified     1         x      x       x
    5 activating       t         t      t       t
    6 activated        1         x      x       =
    7 not activated    1         x      x       x

What takes long is done between requests: verify and activate begin it, answer temporary-failure,
and the client reads the status until it is another one; asked again, they answer as the table
says. An image that was not verified is, before it is activated (so says the Book of an activate in
state 1; that it is then activated without another request is how we read it). Then, by the store:
2 to 3 or 4; 3 to 5 to a restart with the new firmware, and after that to 6; to 7 if the meter has
gone back to the old one, or the new one could not be installed.

Blocks come in any order and as often as somebody likes; the last one may be shorter. Before all
have come, verify and activate are other-reason, and the state stays. Also other-reason: an image
of no octets or more than the store takes, an identifier of more than 32 octets, a block beyond
the last. A block of another length is type-unmatched, one that cannot be stored hardware-fault;
while image_transfer_enabled is FALSE all methods are read-write-denied; in an object that has no
store they are object-unavailable. Which of the codes the Book wants there is uncertain.

initiate and block write to the store and are jobs, of associations in a meter that has security.
Nothing is remembered here, and no path of a request allocates. The store, model.images, is handed
in (firmware/update.py):

    row, status           of the only object that has a store; 0..7
    size, n_blocks, block_size, missing    of the image; blocks that have not come yet
    first                 image_first_not_transferred_block_number
    longest               octets that an image may have
    began                 changes with each initiate
    begin(identifier, size, block_size)    False: it cannot be stored. Allocates, as does
    put(number, octets)   the next one
    start(activate)       begin to verify, and to activate if activate is 1, or to activate at once
                          in state 3
    bits(buf, pos, k)     write octets 64 * k to 64 * k + 63 of the bit-string of blocks that have
                          come, fewer at its end; its end in buf, or -1
    about(buf, pos)       write the element of image_to_activate_info of what has been verified;
                          its end, or -1
"""

from cosem import handler, slots
from dlms.axdr import get_small_u32, length, length_size, put_length, put_u32
from micropython import const

_BLOCK_SIZE = const(2)
_BLOCKS_STATUS = const(3)
_FIRST_NOT_TRANSFERRED = const(4)
_ENABLED = const(5)
_STATUS = const(6)

_INITIATE = const(1)
_BLOCK = const(2)
_ACTIVATE = const(4)

# Bits of the bit-string in an item.
_ITEM_SHIFT = const(9)

# By state, what each method does: a state, or _X, _T, _DONE.
_X = const(0xFA)
_T = const(0xF2)
_DONE = const(0xF0)
_TABLE = (
    b"\x01\xfa\xfa\xfa"
    b"\x01\x01\x02\x02"
    b"\xf2\xf2\xf2\xf2"
    b"\x01\xfa\xf0\x05"
    b"\x01\xfa\xfa\xfa"
    b"\xf2\xf2\xf2\xf2"
    b"\x01\xfa\xfa\xf0"
    b"\x01\xfa\xfa\xfa"
)
_INITIATED = const(1)
_VERIFIED = const(3)

_LONGEST_IDENTIFIER = const(32)

_ARRAY = const(0x01)
_BIT_STRING = const(0x04)
_DOUBLE_LONG_UNSIGNED = const(0x06)
_ENUM = const(0x16)

_SUCCESS = const(0)
_HARDWARE_FAULT = const(1)
_TEMPORARY_FAILURE = const(2)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OBJECT_UNAVAILABLE = const(11)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)
_LATER = const(-1)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def _store(self, row):
        images = self.model.images
        return images if images is not None and images.row == row else None

    # --- Attributes -------------------------------------------------------------------------

    def open(self, s):
        s.n = 1
        store = self._store(s.row)
        if s.attribute == _BLOCKS_STATUS and store is not None:
            s.n += store.n_blocks + (1 << _ITEM_SHIFT) - 1 >> _ITEM_SHIFT
            s.a = store.began
        return _SUCCESS

    def item(self, s, buf, pos):
        store = self._store(s.row)
        attribute = s.attribute
        if attribute == _BLOCKS_STATUS:
            if s.k == 0:
                buf[pos] = _BIT_STRING
                return put_length(buf, pos + 1, 0 if store is None else store.n_blocks)
            return store.bits(buf, pos, s.k - 1) if store.began == s.a else -1
        if attribute == _FIRST_NOT_TRANSFERRED:
            buf[pos] = _DOUBLE_LONG_UNSIGNED
            return put_u32(buf, pos + 1, 0 if store is None else store.first)
        if attribute == _STATUS:
            buf[pos] = _ENUM
            buf[pos + 1] = 0 if store is None else store.status
            return pos + 2
        verified = store is not None and store.status == _VERIFIED
        buf[pos] = _ARRAY
        buf[pos + 1] = 1 if verified else 0
        return store.about(buf, pos + 2) if verified else pos + 2

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        if method > _ACTIVATE:
            return _OBJECT_UNDEFINED
        result = self._admits(s.row, method, buf, pos, end)
        if result:
            return result
        store = self.model.images
        to = _TABLE[(store.status << 2) + method - 1]
        if to == _DONE:
            return _SUCCESS
        if method <= _BLOCK:
            # A script has nobody who waits for a job.
            return _OTHER_REASON if s.association is None else _LATER
        store.start(1 if method == _ACTIVATE else 0)
        return _TEMPORARY_FAILURE

    def job(self, a, row, method, octets):
        yield
        # Others may have been served since it was asked for.
        result = self._admits(row, method, octets, 0, len(octets))
        if result:
            return result, b""
        if method == _INITIATE:
            return self._initiate(row, octets), b""
        return self._take(octets), b""

    def _admits(self, row, method, buf, pos, end):
        """0, or why the method cannot be done now; its parameter has the right type."""
        store = self._store(row)
        if store is None:
            return _OBJECT_UNAVAILABLE
        if not slots.octet(self.model, row, _ENABLED):
            return _READ_WRITE_DENIED
        to = _TABLE[(store.status << 2) + method - 1]
        if to == _X:
            return _OTHER_REASON
        if to == _T:
            return _TEMPORARY_FAILURE
        if method == _INITIATE:
            # structure, octet-string, double-long-unsigned
            n = length(buf, pos + 3, end)
            size = get_small_u32(buf, end - 4)
            if n > _LONGEST_IDENTIFIER or not 0 < size <= store.longest:
                return _OTHER_REASON
            return _SUCCESS if self._block_size(row) else _OTHER_REASON
        if method == _BLOCK:
            # structure, double-long-unsigned, octet-string
            number = get_small_u32(buf, pos + 3)
            if not 0 <= number < store.n_blocks:
                return _OTHER_REASON
            n = store.block_size
            if number == store.n_blocks - 1:
                n = store.size - number * n
            return _SUCCESS if length(buf, pos + 8, end) == n else _TYPE_UNMATCHED
        return _OTHER_REASON if store.status == _INITIATED and store.missing else _SUCCESS

    def _block_size(self, row):
        return slots.double_long_unsigned(self.model, row, _BLOCK_SIZE)

    def _initiate(self, row, octets):
        at = 3 + length_size(octets, 3)
        identifier = bytes(octets[at : len(octets) - 5])
        size = get_small_u32(octets, len(octets) - 4)
        done = self.model.images.begin(identifier, size, self._block_size(row))
        return _SUCCESS if done else _HARDWARE_FAULT

    def _take(self, octets):
        at = 8 + length_size(octets, 8)
        done = self.model.images.put(get_small_u32(octets, 3), octets[at:])
        return _SUCCESS if done else _HARDWARE_FAULT
