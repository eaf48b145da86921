# SPDX-License-Identifier: MIT
"""Certificates and private keys at rest, of all Security setup objects, in a ring of the storage.

    vault.nth(setup, k) -> bool    the k-th (0..) record of Security setup object row `setup`
    vault.find(setup, entity, kind, title) -> bool      the newest such record; title None: any
    vault.put(setup, entity, kind, title, certificate, private=b"", instead=False) -> bool
                                   add a record, which counts as found; instead: it takes the
                                   place of the one that was found last, at one instant
    vault.remove() -> bool         remove the record that was found last

False: there is none, or it could not be stored and all is as before. What was found:

    vault.entity    0 server, 1 client, 2 certification authority, 3 other
    vault.kind      0 digital signature, 1 key agreement, 2 TLS, 3 other; and 4 more: a key pair
                    that waits for its certificate (see cosem/security_certificates.py)
    vault.record[vault.pos:vault.end]     the certificate; pos == end: there is none yet
    vault.title(), vault.private()        8 octets, all zero: none; and the private key

What was found stays until the storage is used for something else: at the longest to the end of a
step of a job. nth() and find() allocate nothing. Power may fail at any write: then put() and
remove() have been done, or not at all. What was removed is overwritten when the ring comes round,
not at once.

A row: setup u16, entity, kind, id, title in 8 octets, n_private, n_certificate u16, age u24,
private key, certificate. Of rows with the same id the last one counts; an entity of 255 says that
the record with the id is removed. A ring drops its oldest row for a new one, and a torn write
takes it, so that has to be one that does not count: those that do are copied to the newest end
before. Their age, the number that the row had when it was put, stays.
"""

from dlms.prim import compare, copy, fill
from micropython import const

_ENTITY_AT = const(2)
_KIND_AT = const(3)
_ID_AT = const(4)
_TITLE_AT = const(5)
_N_PRIVATE_AT = const(13)
_N_CERTIFICATE_AT = const(14)
_AGE_AT = const(16)
_HEAD_LEN = const(19)
_TITLE_LEN = const(8)
_REMOVED = const(0xFF)
# A row that cannot be written is made anew, and written somewhere else.
_TRIES = const(3)
# Rows that a new one needs: its own, and one that a torn write may take.
_SPARE = const(2)


class Vault:
    def __init__(self, ring):
        self._ring = ring
        # Of each row at its number modulo capacity: id, 0 if it does not count; setup; entity and
        # kind.
        self._index = bytearray(4 * ring.capacity)
        self._id = 0
        self.record = ring.buffer()
        self.entity = self.kind = self.pos = self.end = 0
        for k in range(ring.n):
            if ring.read(k, self.record, 0):
                self._enter(ring.first + k)
        self._forget()

    # --- Looking

    def is_empty(self):
        for at in range(0, len(self._index), 4):
            if self._index[at]:
                return False
        return True

    def nth(self, setup, k):
        index = self._index
        i = 0
        while i < self._ring.n:
            at = self._at(i)
            if index[at] and index[at + 1] << 8 | index[at + 2] == setup:
                if k == 0:
                    return self._take(i)
                k -= 1
            i += 1
        self._forget()
        return False

    def find(self, setup, entity, kind, title):
        index = self._index
        newest = -1
        age = -1
        i = 0
        while i < self._ring.n:
            at = self._at(i)
            if (
                index[at]
                and index[at + 1] << 8 | index[at + 2] == setup
                and index[at + 3] == entity << 4 | kind
                and self._take(i)
                and (title is None or compare(self.record, _TITLE_AT, title, 0, _TITLE_LEN) == 0)
                and self._age() > age
            ):
                newest = i
                age = self._age()
            i += 1
        if newest >= 0:
            return self._take(newest)
        self._forget()
        return False

    def title(self):
        return bytes(self.record[_TITLE_AT : _TITLE_AT + _TITLE_LEN])

    def private(self):
        return bytes(self.record[_HEAD_LEN : self.pos])

    def _age(self):
        return (
            self.record[_AGE_AT] << 16 | self.record[_AGE_AT + 1] << 8 | self.record[_AGE_AT + 2]
        )

    def _at(self, k):
        """Where the index has row k of the ring."""
        return (self._ring.first + k) % self._ring.capacity << 2

    def _take(self, k):
        """Row k of the ring is what was found."""
        record = self.record
        if not self._ring.read(k, record, 0):
            self._forget()
            return False
        self._id = record[_ID_AT]
        self.entity = record[_ENTITY_AT]
        self.kind = record[_KIND_AT]
        self.pos = _HEAD_LEN + record[_N_PRIVATE_AT]
        self.end = self.pos + (record[_N_CERTIFICATE_AT] << 8 | record[_N_CERTIFICATE_AT + 1])
        return True

    def _forget(self):
        self._id = self.pos = self.end = 0
        fill(self.record, 0, len(self.record), 0)

    # --- Changing

    def put(self, setup, entity, kind, title, certificate, private=b"", instead=False):
        """title: 8 octets, or b"". certificate and private are octets of their own, not part of
        vault.record. Also False: there are too many records, or this one is too long. It may
        allocate."""
        id_ = self._id if instead else self._free()
        pos = _HEAD_LEN + len(private)
        end = pos + len(certificate)
        if not id_ or len(private) > 0xFF or end > len(self.record) or not self._make_room():
            return False
        record = self.record
        for _ in range(_TRIES):
            self._head(setup, entity, kind, id_)
            copy(record, _TITLE_AT, title, 0, len(title))
            record[_N_PRIVATE_AT] = len(private)
            record[_N_CERTIFICATE_AT] = len(certificate) >> 8
            record[_N_CERTIFICATE_AT + 1] = len(certificate) & 0xFF
            copy(record, _HEAD_LEN, private, 0, len(private))
            copy(record, pos, certificate, 0, len(certificate))
            if self._append():
                return self._take(self._ring.n - 1)
        return False

    def remove(self):
        id_ = self._id
        if not id_ or not self._make_room():
            return False
        done = False
        tries = _TRIES
        while tries and not done:
            tries -= 1
            self._head(0, _REMOVED, 0, id_)
            done = self._append()
        self._forget()
        return done

    def _free(self):
        """An id for another record; 0: there are as many as can be kept."""
        index = self._index
        ids = [index[at] for at in range(0, len(index), 4) if index[at]]
        if len(ids) >= self._ring.capacity - _SPARE:
            return 0
        id_ = 1
        while id_ in ids:
            id_ += 1
        return id_

    def _make_room(self):
        """Copy what counts out of the way of the next row."""
        ring = self._ring
        index = self._index
        tries = _TRIES
        while ring.n > ring.capacity - _SPARE:
            k = 0 if index[self._at(0)] else 1
            if not index[self._at(k)]:
                break
            if not ring.read(k, self.record, 0):
                index[self._at(k)] = 0  # damaged
            elif not self._append():
                tries -= 1
                if not tries:
                    return False
        return True

    def _head(self, setup, entity, kind, id_):
        record = self.record
        fill(record, 0, len(record), 0)
        record[0] = setup >> 8
        record[1] = setup & 0xFF
        record[_ENTITY_AT] = entity
        record[_KIND_AT] = kind
        record[_ID_AT] = id_
        age = self._ring.first + self._ring.n
        record[_AGE_AT] = age >> 16 & 0xFF
        record[_AGE_AT + 1] = age >> 8 & 0xFF
        record[_AGE_AT + 2] = age & 0xFF

    def _append(self):
        ring = self._ring
        if not ring.append(self.record, 0):
            self._forget()
            return False
        self._enter(ring.first + ring.n - 1)
        return True

    def _enter(self, number):
        """The record is the row of that number: others with its id do not count any more."""
        index = self._index
        record = self.record
        for at in range(0, len(index), 4):
            if index[at] == record[_ID_AT]:
                index[at] = 0
        at = number % self._ring.capacity << 2
        index[at] = 0 if record[_ENTITY_AT] == _REMOVED else record[_ID_AT]
        index[at + 1] = record[0]
        index[at + 2] = record[1]
        index[at + 3] = record[_ENTITY_AT] << 4 & 0xFF | record[_KIND_AT]
