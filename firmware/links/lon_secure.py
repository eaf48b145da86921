# SPDX-License-Identifier: MIT
"""Protected messages of lon.py. Project-defined, not IEC 62056-8-8: the layouts of its annex D
are not public, its primitives are, and are used here: AES-CMAC and AES-CCM, keys of 128 bits.

Client and meter share a key. A session of the two begins with a message of control `protected`
and `pull` with 8 octets of the client's chance, which hears 8 of the meter's:

    message key = CMAC(key, "PMT LON" 02)
    session     = CMAC(key, "PMT LON" 01, client's chance, meter's chance, unique_node_ID),
                  its first 8 octets

The old session goes on until the first message of the new one, so that strangers end nothing.
Then, where lon.py has octets of an APDU, a message with `protected` has

    counter u32 | octets, enciphered | tag, 8 octets
    CCM: nonce  session, direction u8 (0: to the meter), counter
         additional data  from the message's code up to the counter

Counters of each direction rise within a session; a message that does not is refused. A request
for the same again (in a transaction, see lon_node.py) is no new message. Nothing of a session is
kept over a loss of power, and no counter has to be. The meter's chance is a chain from what it has
drawn at its start: CMAC(key, "PMT LON" 00, the 16 octets before), its first 8 octets.

Two AES objects and 300 octets are allocated at construction, and nothing after that, whoever
greets.
"""

from crypto.ccm import CCM
from crypto.cmac import CMAC
from dlms.axdr import put_u32
from dlms.prim import compare, copy, fill
from micropython import const

CHANCE_LEN = 8
OVERHEAD = 12  # counter and tag

_CHAIN = b"PMT LON\x00"
_SESSION = b"PMT LON\x01"
_MESSAGES = b"PMT LON\x02"
_UNIQUE_LEN = const(6)
_SESSION_LEN = const(8)
_NONCE_LEN = const(13)
_DIRECTION = const(8)
_COUNTER = const(9)
_COUNTER_LEN = const(4)
_TAG_LEN = const(8)
_KEY_LEN = const(16)
_LAST = const(0x3FFFFFFF)


class Session:
    def __init__(self):
        self.there = False
        self.name = bytearray(_SESSION_LEN)
        self.heard = bytearray(_COUNTER_LEN)  # the highest counter of the client
        self.sent = 0


class Secure:
    def __init__(self, aes, key, unique, random_fill):
        """aes: (key) -> an AES object of the port; key: 16 octets; unique: unique_node_ID,
        which may become another: of the next session. random_fill: fills a bytearray by chance."""
        if len(key) != _KEY_LEN:
            raise ValueError("length of a key")
        self._unique = unique
        self._master = CMAC(aes(bytes(key)))
        self._tag = bytearray(_KEY_LEN)
        self._derive(_MESSAGES, self._tag, 0)
        self._ccm = CCM(aes(bytes(self._tag)), _NONCE_LEN, _TAG_LEN)
        self._chain = bytearray(_KEY_LEN)
        random_fill(self._chain)
        self._chances = bytearray(2 * CHANCE_LEN)
        self._now, self._next = Session(), Session()
        self.n_refused = 0

    def _derive(self, label, buf, n):
        """CMAC of a label and buf[:n], into _tag."""
        master = self._master
        master.update(label, 0, len(label))
        master.update(buf, 0, n)
        if label is _SESSION:
            master.update(self._unique, 0, _UNIQUE_LEN)
        master.tag(self._tag, 0, _KEY_LEN)

    def start(self, buf, pos, out, at):
        """The client's chance is buf[pos:pos + 8]; the meter's goes to out[at:at + 8]."""
        chances = self._chances
        self._derive(_CHAIN, self._chain, _KEY_LEN)
        copy(self._chain, 0, self._tag, 0, _KEY_LEN)
        copy(chances, 0, buf, pos, CHANCE_LEN)
        copy(chances, CHANCE_LEN, self._chain, 0, CHANCE_LEN)
        self._derive(_SESSION, chances, 2 * CHANCE_LEN)
        session = self._next
        copy(session.name, 0, self._tag, 0, _SESSION_LEN)
        fill(session.heard, 0, _COUNTER_LEN, 0)
        session.sent = 0
        session.there = True
        copy(out, at, chances, CHANCE_LEN, CHANCE_LEN)

    def forget(self):
        """All sessions are over."""
        self._now.there = self._next.there = False

    def open(self, buf, head, pos, end):
        """Decipher the message buf[head:end], whose counter is at pos, in place: its octets are
        buf[pos + 4:] up to the result; 0: refused."""
        text = pos + _COUNTER_LEN
        end -= _TAG_LEN
        if end >= text:
            was, new = self._now, self._next
            if self._open(new, buf, head, pos, text, end):
                was.there = False
                self._now = new
                self._next = was
                return end
            if self._open(was, buf, head, pos, text, end):
                return end
        self.n_refused = self.n_refused + 1 & _LAST
        return 0

    def _open(self, session, buf, head, pos, text, end):
        if not session.there or compare(buf, pos, session.heard, 0, _COUNTER_LEN) <= 0:
            return 0
        self._begin(session, 0, buf, pos)
        if self._ccm.decrypt(buf, head, text, buf, text, end, buf, end) != 1:
            return 0
        copy(session.heard, 0, buf, pos, _COUNTER_LEN)
        return 1

    def _begin(self, session, direction, buf, pos):
        nonce = self._ccm.nonce
        copy(nonce, 0, session.name, 0, _SESSION_LEN)
        nonce[_DIRECTION] = direction
        copy(nonce, _COUNTER, buf, pos, _COUNTER_LEN)

    def seal(self, buf, head, pos, end):
        """Protect the message buf[head:end] of the meter: its octets lie behind a counter, for
        which there is room at pos; the new end. 0: there is no session, or it is worn out."""
        session = self._now
        if not session.there or session.sent >= _LAST:
            return 0
        session.sent += 1
        put_u32(buf, pos, session.sent)
        self._begin(session, 1, buf, pos)
        text = pos + _COUNTER_LEN
        self._ccm.encrypt(buf, head, text, buf, text, end, buf, end)
        return end + _TAG_LEN
