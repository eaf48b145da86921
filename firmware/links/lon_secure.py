# SPDX-License-Identifier: MIT
"""Protected messages of lon.py. Project-defined, not IEC 62056-8-8: the layouts of its annex D
are not public, its primitives are, and are used here: AES-CMAC and AES-CCM, keys of 128 bits.

Client and meter share a key. A session of the two begins with a message of control `protected`
and `pull` with 8 octets of the client's chance, which hears 8 of the meter's:

    session key = CMAC(key, "PMT LON" 01, client's chance, meter's chance, unique_node_ID)

The old session goes on until the first message under the new key, so that strangers end nothing.
Then, where lon.py has octets of an APDU, a message with `protected` has

    counter u32 | octets, enciphered | tag, 8 octets
    CCM: nonce  unique_node_ID, direction u8 (0: to the meter), counter
         additional data  from the message's code up to the counter

Counters of each direction rise within a session; a message that does not is refused. A request
for the same again (in a transaction, see lon_node.py) is no new message. Nothing of a session is
kept over a loss of power, and no counter has to be.

start() allocates a session, 700 octets, and is called between two requests; the others nothing.
"""

from crypto.ccm import CCM
from crypto.cmac import CMAC
from dlms.axdr import put_u32
from dlms.prim import compare, copy
from micropython import const

CHANCE_LEN = 8
OVERHEAD = 12  # counter and tag

_LABEL = b"PMT LON\x01"
_UNIQUE_LEN = const(6)
_NONCE_LEN = const(11)
_DIRECTION = const(6)
_COUNTER = const(7)
_COUNTER_LEN = const(4)
_TAG_LEN = const(8)
_KEY_LEN = const(16)
_LAST = const(0x3FFFFFFF)


class Session:
    def __init__(self, aes, unique):
        self.ccm = CCM(aes, _NONCE_LEN, _TAG_LEN)
        copy(self.ccm.nonce, 0, unique, 0, _UNIQUE_LEN)
        self.heard = bytearray(_COUNTER_LEN)  # the highest counter of the client
        self.sent = 0


class Secure:
    def __init__(self, aes, key, unique, random_fill):
        """aes: (key) -> an AES object of the port; key: 16 octets; unique: unique_node_ID,
        which may become another: of the next session. random_fill: fills a bytearray by chance."""
        if len(key) != _KEY_LEN:
            raise ValueError("length of a key")
        self._aes = aes
        self._unique = unique
        self._random_fill = random_fill
        self._master = CMAC(aes(bytes(key)))
        self._chances = bytearray(2 * CHANCE_LEN)
        self._now = self._next = None
        self.n_refused = 0

    def start(self, buf, pos, out, at):
        """The client's chance is buf[pos:pos + 8]; the meter's goes to out[at:at + 8]."""
        own = bytearray(CHANCE_LEN)
        self._random_fill(own)
        copy(self._chances, 0, buf, pos, CHANCE_LEN)
        copy(self._chances, CHANCE_LEN, own, 0, CHANCE_LEN)
        key = bytearray(_KEY_LEN)
        master = self._master
        master.update(_LABEL, 0, len(_LABEL))
        master.update(self._chances, 0, 2 * CHANCE_LEN)
        master.update(self._unique, 0, _UNIQUE_LEN)
        master.tag(key, 0, _KEY_LEN)
        self._next = Session(self._aes(bytes(key)), self._unique)
        copy(out, at, own, 0, CHANCE_LEN)

    def forget(self):
        """All sessions are over."""
        self._now = self._next = None

    def open(self, buf, head, pos, end):
        """Decipher the message buf[head:end], whose counter is at pos, in place: its octets are
        buf[pos + 4:] up to the result; 0: refused."""
        text = pos + _COUNTER_LEN
        end -= _TAG_LEN
        if end >= text:
            if self._next is not None and self._open(self._next, buf, head, pos, text, end):
                self._now = self._next
                self._next = None
                return end
            if self._now is not None and self._open(self._now, buf, head, pos, text, end):
                return end
        self.n_refused = self.n_refused + 1 & _LAST
        return 0

    def _open(self, session, buf, head, pos, text, end):
        if compare(buf, pos, session.heard, 0, _COUNTER_LEN) <= 0:
            return 0
        nonce = session.ccm.nonce
        nonce[_DIRECTION] = 0
        copy(nonce, _COUNTER, buf, pos, _COUNTER_LEN)
        if session.ccm.decrypt(buf, head, text, buf, text, end, buf, end) != 1:
            return 0
        copy(session.heard, 0, buf, pos, _COUNTER_LEN)
        return 1

    def seal(self, buf, head, pos, end):
        """Protect the message buf[head:end] of the meter: its octets lie behind a counter, for
        which there is room at pos; the new end. 0: there is no session, or it is worn out."""
        session = self._now
        if session is None or session.sent >= _LAST:
            return 0
        session.sent += 1
        put_u32(buf, pos, session.sent)
        nonce = session.ccm.nonce
        nonce[_DIRECTION] = 1
        copy(nonce, _COUNTER, buf, pos, _COUNTER_LEN)
        text = pos + _COUNTER_LEN
        session.ccm.encrypt(buf, head, text, buf, text, end, buf, end)
        return end + _TAG_LEN
