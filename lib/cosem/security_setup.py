# SPDX-License-Identifier: MIT
"""Security setup (class 64, versions 0 and 1; IEC 62056-6-2, 4.4.7 and 5.4.8).

Keys at rest are hidden states of these objects, and nothing but this module reads them (and
key_places.py, which says whether some are the same): others
get a ciphering.Context, whose keys work and cannot be seen. A board with a secure element hands
in another model.aes. States: `keys`, 32 octets each for GUEK, GBEK, GAK, KEK (suites 0 and 1 use
the first 16); `counters`, 4 octets each: the first that the meter, and the first that a client,
may use after a power failure; and the latter of the broadcast key; `marks`: see dlms/marks.py.

What the meter protects has one row of counters, over all Security setups and all keys: global,
dedicated, wrapped and agreed ones. So no system title, counter and key come together twice,
whichever keys clients bring, again or to several setups. (The standard lets the counters of a new
key begin at 0; a client only asks that they rise.) They last for 2**32 answers, 136 years of one a
second; then nothing is protected any more. Saved they are in the first object. Counters of
clients are one row for each of their keys, and begin at 0 with a new one.

What is saved of a counter is always ahead of what is used (see dlms/ciphering.py): settle() makes
it exact before an orderly end. The keys of a context are made when a client comes, and anew when
one has been transferred. When nobody uses any, they can be let go of: end().

Methods but security_activate are jobs (see handler.py), of security_methods.py. Certificates and
private keys of suites 1 and 2 are in model.vault; without it, and in suite 0, those are
object-unavailable; certificate_fields.py shows them as the attribute.
"""

from cosem.handler import Handler as Base
from cosem.slots import device_of
from dlms.prim import compare, copy, fill, same
from micropython import const

# Attributes.
_SECURITY_POLICY = const(2)
_SECURITY_SUITE = const(3)
_CLIENT_SYSTEM_TITLE = const(4)
_CERTIFICATES = const(6)

# Methods.
_SECURITY_ACTIVATE = const(1)
_KEY_TRANSFER = const(2)

_KEY_CHANGED = const(48)  # event code, see firmware/meter/events.py

# Hidden states, and places in them.
_KEYS = const(0)
_COUNTERS = const(1)
_KEY_ROOM = const(32)
_GUEK = const(0)
_GBEK = const(1)
_GAK = const(2)
_KEK = const(3)
_TX = const(0)
_RX = const(4)
_RX_BROADCAST = const(8)
_LAST_TX = b"\xff\xff\xff\xfd"  # of ciphering.py

_OCTET_STRING = const(9)
_ARRAY = const(1)
_LATER = const(-1)
_LATER_VALUE = const(255)
_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNAVAILABLE = const(11)

_SECURITY_SETUP = const(64)
_METHOD = const(1)  # what an association asks, see secured_association.py
_SECURITY = const(8)  # of a row of ASSOCIATIONS in the definition

# Instance e of Security setup 0.0.43.0.e shows its counter in Data 0.0.43.1.e of its device.
_COUNTER_OBJECT = b"\x00\x01\x00\x00\x2b\x01\x00\xff"


class Handler(Base):
    def __init__(self, model):
        Base.__init__(self, model)
        self._contexts = {}
        self._ciphering = None  # dlms.ciphering; this and the contexts: from begin() on
        # The next counter of the meter, the first that is not saved yet (those of model.counter),
        # and the place where.
        self._tx = self._tx_end = None
        self._tx_at = 0
        # certificate_fields.py, where there is a suite with certificates; see forget().
        self._fields = None

    # --- Contexts ---------------------------------------------------------------------------

    def start(self, row):
        if self._suite(row) and self.model.vault:
            self._load_fields()
        self._show(row)

    def begin(self):
        """The first client with security has come, or is pushed to. Allocates."""
        if self._ciphering is not None:
            return
        from dlms import ciphering

        self._ciphering = ciphering
        model = self.model
        rows = model.rows(_SECURITY_SETUP)
        self._tx_at = model.state(rows[0], _COUNTERS) + _TX
        if model.counter is None:
            tx = bytearray(4)
            for row in rows:
                # Another definition may have another first object: the highest of all saved.
                at = model.state(row, _COUNTERS) + _TX
                if compare(model.image, at, tx, 0, 4) > 0:
                    copy(tx, 0, model.image, at, 4)
            model.counter = (tx, bytearray(tx))
        self._tx, self._tx_end = model.counter

    def end(self):
        """Nobody is here any more whose keys are in use: they go, and are made anew from the
        image. False: not yet, for counters could not be saved, and with the next client it would
        be tried again at once.

        The counters of clients are exact in the image from now on, so that each client has some
        saved once. That of the meter goes on as it is, for anybody who asks for an association
        would have it saved otherwise.
        """
        for row in self._contexts:
            if self._contexts[row].failed:
                return False
        for row in self._contexts:
            self._settle(self._contexts[row])
        self._contexts = {}
        self._ciphering = self._tx = self._tx_end = None
        return True

    def _suite(self, row):
        return self.model.get_int(row, _SECURITY_SUITE)

    def _load_fields(self):
        from cosem import certificate_fields

        self._fields = certificate_fields
        self._unlock()

    def _unlock(self):
        """Have the vault, also where no client has come yet that ciphers."""
        if self.model.vault is False:
            self.model.open_vault()

    def sleeps(self):
        return self._ciphering is None

    def forget(self):
        """Let go of code that a job() loads again when it is needed."""
        self._fields = None

    def context(self, row):
        """The Context of an object, None before begin(). Allocates when it is asked for first."""
        context = self._contexts.get(row)
        if context is None and self._ciphering is not None:
            context = self._contexts[row] = self._ciphering.Context(row, self._suite(row))
            self._set_policy(context)
        return context

    def has_context(self, row):
        return row in self._contexts

    def contexts(self):
        return self._contexts.values()

    def load(self, context):
        """Make what is missing of the keys for a client that has come. Allocates.

        Keys of as many contexts are kept as there are associations: then those that nobody uses
        are dropped.
        """
        if context.suite:
            self._unlock()
        if context.loaded:
            context.broadcast = self._key(context, _GBEK, _RX_BROADCAST)
            return
        associations = self.model.associations
        loaded = [c for c in self._contexts.values() if c.loaded]
        if len(loaded) >= len(associations):
            used = [a.config[_SECURITY] for a in associations if a.config is not None]
            for other in loaded:
                if other.row not in used:
                    self._settle(other)
                    other.unload()
        self._make_keys(context)

    def make_key(self, row, octets):
        """A Key of octets, with the authentication key of object row; for a dedicated key."""
        return self._new_key(octets, self._contexts[row].aad)

    def _new_key(self, octets, aad):
        return self._ciphering.Key(self.model.aes(octets), aad, self._tx, self._tx_end)

    def _octets(self, context, key_id):
        at = self.model.state(context.row, _KEYS) + key_id * _KEY_ROOM
        return bytes(self.model.image[at : at + context.key_len()])

    def _make_keys(self, context):
        """Keys as they are in the image; that of broadcasts is made when one comes."""
        context.loaded = True
        context.aad = bytearray(b"\0" + self._octets(context, _GAK))
        context.broadcast = False
        key = context.unicast = self._key(context, _GUEK, _RX)
        if key is not None:
            key.shown = self._counter_slot(context.row)
            self._show(context.row)

    def kek(self, context):
        """AES under the key encryption key, or None: there is none. Allocates."""
        octets = self._octets(context, _KEK)
        return self.model.aes(octets) if any(octets) else None

    def _key(self, context, key_id, rx):
        """A key of zeros is none."""
        octets = self._octets(context, key_id)
        if not any(octets):
            return None
        key = self._new_key(octets, context.aad)
        at = self.model.state(context.row, _COUNTERS) + rx
        for counter in (key.rx, key.rx_before, key.rx_end):
            copy(counter, 0, self.model.image, at, 4)
        return key

    def _show(self, row):
        """The counter that a client has to use next, where it reads it."""
        model = self.model
        at = self._counter_slot(row)
        if at >= 0:
            copy(model.image, at, model.image, model.state(row, _COUNTERS) + _RX, 4)

    def _counter_slot(self, row):
        """Where the image has the four octets that a client reads as its counter, or -1. The
        packer sees to it that they are there and so many (tools/tables/pack.py, security())."""
        model = self.model
        name = bytearray(_COUNTER_OBJECT)
        name[6] = model.objects[(row << 4) + 6]
        found = model.find(device_of(model, row), name, 0)
        return model.slot(found, 2) + 1 if found >= 0 else -1

    def _set_policy(self, context):
        model = self.model
        policy = model.get_int(context.row, _SECURITY_POLICY)
        if model.version(context.row) == 0:
            context.needs_request = context.needs_response = policy & 3
        else:
            context.needs_request = policy >> 2 & 7
            context.needs_response = policy >> 5 & 7

    # --- Counters ---------------------------------------------------------------------------

    def reserve(self, context, key, counter):
        """Save counters ahead: those of answers, and of a key of the context what is asked for
        (four octets). Allocates."""
        model = self.model
        ahead = self._ciphering.ahead
        image = model.image
        rx = -1
        if key is not None and (key is context.unicast or key is context.broadcast):
            rx_end = ahead(counter)
            rx = model.state(context.row, _COUNTERS)
            rx += _RX if key is context.unicast else _RX_BROADCAST
            image[rx : rx + 4] = rx_end
        tx_end = ahead(self._tx)
        image[self._tx_at : self._tx_at + 4] = tx_end
        # Twice: of two stored images, one that is damaged later must not take them back.
        if not model.save() or not model.save():
            context.failed = True
            return
        if rx >= 0:
            key.rx_end[:] = rx_end
        self._tx_end[:] = ahead(tx_end, -2)

    def tx(self, context):
        """The next counter of the meter, which has been saved, for who protects between two
        requests; None: there is none. Allocates."""
        if compare(self._tx, 0, self._tx_end, 0, 4) >= 0:
            if compare(self._tx_end, 0, _LAST_TX, 0, 4) < 0:
                self.reserve(context, None, None)
            if compare(self._tx, 0, self._tx_end, 0, 4) >= 0:
                return None
        return self._tx

    def tick(self, now):
        # What could not be saved may be tried again.
        for row in self._contexts:
            self._contexts[row].failed = False

    def settle(self):
        """The orderly end: what the image says of counters is made exact. None is used after
        that, unless it is reserved again."""
        if self._tx is not None:
            copy(self.model.image, self._tx_at, self._tx, 0, 4)
            copy(self._tx_end, 0, self._tx, 0, 4)
        for row in self._contexts:
            self._settle(self._contexts[row])

    def _settle(self, context):
        """The counters of clients."""
        model = self.model
        at = model.state(context.row, _COUNTERS)
        for key, rx in ((context.unicast, _RX), (context.broadcast, _RX_BROADCAST)):
            if key:
                copy(model.image, at + rx, key.rx, 0, 4)
                copy(key.rx_end, 0, key.rx, 0, 4)
        if context.marks is not None:
            context.marks.settle()

    # --- Attributes and methods -------------------------------------------------------------

    def open(self, s):
        s.n = 1
        if s.attribute == _CERTIFICATES and self._suite(s.row):
            if s.association is not None and s.association.asks == _METHOD:
                s.association.forget_job()
            if self._fields is None or self.model.vault is False:
                if s.association is not None:
                    return _LATER_VALUE
                self._load_fields()
            if self.model.vault is not None:
                self._fields.begin(self.model.vault, s)
        return _SUCCESS

    def item(self, s, buf, pos):
        if s.attribute == _CERTIFICATES:
            if s.n > 1:
                return self._fields.item(self.model.vault, s, buf, pos)
            buf[pos] = _ARRAY
            buf[pos + 1] = 0
            return pos + 2
        title = self.model.system_title
        if s.attribute == _CLIENT_SYSTEM_TITLE:
            title = self._client_title(s)
        n = len(title)
        buf[pos] = _OCTET_STRING
        buf[pos + 1] = n
        copy(buf, pos + 2, title, 0, n)
        return pos + 2 + n

    def _client_title(self, s):
        """Of the association that asks, else of one that is open; none if there is none."""
        a = s.association
        context = self._contexts.get(s.row)
        if context is None:
            return b""
        if a is not None and a.context is context:
            return a.title
        for a in self.model.associations:
            if a.context is context:
                return a.title
        return b""

    def invoke(self, s, method, buf, pos, end):
        if method == _SECURITY_ACTIVATE:
            return self._activate(s.row, buf[pos + 1])
        # A script has no client whose keys they are.
        if s.association is None:
            return _OBJECT_UNAVAILABLE
        if method != _KEY_TRANSFER and (not self._suite(s.row) or self.model.vault is None):
            return _OBJECT_UNAVAILABLE
        return _LATER

    def job(self, a, row, method, octets):
        if not method:
            self._load_fields()
            return _SUCCESS, b""
        self._unlock()
        self.context(row)
        from cosem import security_methods

        return (yield from security_methods.job(self, a, row, method, octets))

    def finish(self, a, row, method):
        """The answer to key_transfer or key_agreement is on its way, under the old keys."""
        if not a.agreed:
            return
        model = self.model
        context = self._contexts[row]
        swapped = False
        for row, key_id, key in a.agreed:
            place = model.state(row, _KEYS) + key_id * _KEY_ROOM
            # The same key again keeps its counters.
            if not same(model.image, place, key, 0, len(key)):
                _swap(model.image, place, key)
                context.changed |= 1 << key_id
                swapped = True
        if not swapped:
            a.agreed = None
        # Else it has the old ones now, until rekey().
        model.later(context)

    def _activate(self, row, policy):
        """A policy may get stronger, never weaker."""
        model = self.model
        old = model.get_int(row, _SECURITY_POLICY)
        if model.version(row) == 0:
            good = policy <= 3 and policy & old == old
        else:
            # Digital signatures need a suite that has them.
            good = policy & old == old and not policy & (0x93 if not self._suite(row) else 0x03)
        if not good:
            return _READ_WRITE_DENIED
        model.put_int(row, _SECURITY_POLICY, policy)
        model.edited(row, _SECURITY_POLICY)
        # This answer goes out as the request came; the next one has to be strong enough.
        context = self._contexts.get(row)
        if context is not None:
            self._set_policy(context)
        return _SUCCESS

    def rekey(self, context):
        """After the answer under the old keys: the new ones are in force. The counters of clients
        begin anew with an encryption key that is another one; others go on where they are. If
        they could not be saved, and the client has heard so, the old ones stay."""
        model = self.model
        for a in model.associations:
            if a.agreed and a.agreed[0][0] == context.row:
                for row, key_id, key in a.agreed if model.full else ():
                    if context.changed & 1 << key_id:
                        _swap(model.image, model.state(row, _KEYS) + key_id * _KEY_ROOM, key)
                        context.changed &= ~(1 << key_id)
                a.agreed = None
        if not context.changed:
            return
        self._settle(context)
        at = model.state(context.row, _COUNTERS)
        if context.changed & 1 << _GUEK:
            fill(model.image, at + _RX, 4, 0)
        if context.changed & 1 << _GBEK:
            fill(model.image, at + _RX_BROADCAST, 4, 0)
        if context.changed and model.event is not None:
            model.event(_KEY_CHANGED)
        context.changed = 0
        if context.loaded:
            self._make_keys(context)
            for a in model.associations:
                if a.context is context and a.dedicated is not None:
                    a.dedicated.aad = context.aad
        else:
            self._show(context.row)
        model.save()


def _swap(image, at, octets):
    """Exchange octets with as many of the image; a key is no secret longer than it has to be."""
    for k in range(len(octets)):
        octet = image[at + k]
        image[at + k] = octets[k]
        octets[k] = octet
