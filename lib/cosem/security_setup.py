# SPDX-License-Identifier: MIT
"""Security setup (class 64, versions 0 and 1; IEC 62056-6-2, 4.4.7 and 5.4.8).

Keys at rest are hidden states of these objects, and nothing but this module reads them: others
get a ciphering.Context, whose keys work and cannot be seen. A board with a secure element hands
in another model.aes. States: `keys`, 32 octets each for GUEK, GBEK, GAK, KEK (suites 0 and 1 use
the first 16); `counters`, 4 octets each: the first that the meter, and the first that a client,
may use after a power failure; and the latter of the broadcast key; `marks`: see dlms/marks.py.

What is saved of a counter is always ahead of what is used (see dlms/ciphering.py): settle() makes
it exact before an orderly end. The keys of a context are made when a client comes, and anew when
one has been transferred.

Methods but security_activate are jobs (see handler.py), in key_transfer.py, key_agreement.py and
security_certificates.py, loaded when a client asks for one. Certificates and private keys of
suites 1 and 2 are in model.vault; without it, and in suite 0, those are object-unavailable.
"""

from cosem.handler import Handler as Base
from dlms.axdr import put_length
from dlms.prim import compare, copy, fill
from micropython import const

# Attributes.
_SECURITY_POLICY = const(2)
_SECURITY_SUITE = const(3)
_CLIENT_SYSTEM_TITLE = const(4)
_CERTIFICATES = const(6)

# Methods.
_SECURITY_ACTIVATE = const(1)
_KEY_TRANSFER = const(2)
_KEY_AGREEMENT = const(3)

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

_OCTET_STRING = const(9)
_ARRAY = const(1)
_LATER = const(-1)
_LATER_VALUE = const(255)
_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNAVAILABLE = const(11)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_SECURITY_SETUP = const(64)
_SECURITY = const(8)  # of a row of ASSOCIATIONS in the definition

# Instance e of Security setup 0.0.43.0.e shows its counter in Data 0.0.43.1.e.
_COUNTER_OBJECT = b"\x00\x01\x00\x00\x2b\x01\x00\xff"


class Handler(Base):
    def __init__(self, model):
        Base.__init__(self, model)
        self._contexts = {}
        self._ciphering = None  # dlms.ciphering; this and the contexts: from begin() on
        # certificate_fields.py, where there is a suite with certificates; see forget().
        self._fields = None

    # --- Contexts ---------------------------------------------------------------------------

    def start(self, row):
        if self._suite(row) and self.model.vault is not None:
            self._load_fields()
        self._show(row)

    def begin(self):
        """The first client with security has come. Allocates."""
        from dlms import ciphering

        self._ciphering = ciphering
        model = self.model
        for row in model.rows(_SECURITY_SETUP):
            context = self._contexts[row] = ciphering.Context(row, self._suite(row))
            self._set_policy(context)

    def _suite(self, row):
        return self.model.get_int(row, _SECURITY_SUITE)

    def _load_fields(self):
        from cosem import certificate_fields

        self._fields = certificate_fields

    def forget(self):
        """Let go of code that a job() loads again when it is needed."""
        self._fields = None

    def context(self, row):
        return self._contexts.get(row)

    def contexts(self):
        return self._contexts.values()

    def load(self, context):
        """Make what is missing of the keys for a client that has come. Allocates.

        Keys of as many contexts are kept as there are associations: then those that nobody uses
        are dropped.
        """
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
        return self._ciphering.Key(self.model.aes(octets), self._contexts[row].aad)

    def _octets(self, context, key_id):
        at = self.model.state(context.row, _KEYS) + key_id * _KEY_ROOM
        return bytes(self.model.image[at : at + context.key_len()])

    def _make_keys(self, context):
        """Keys as they are in the image; that of broadcasts is made when one comes."""
        model = self.model
        context.loaded = True
        context.aad = bytearray(b"\0" + self._octets(context, _GAK))
        context.broadcast = False
        key = context.unicast = self._key(context, _GUEK, _RX)
        if key is not None:
            at = model.state(context.row, _COUNTERS) + _TX
            copy(key.tx, 0, model.image, at, 4)
            copy(key.tx_end, 0, model.image, at, 4)
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
        key = self._ciphering.Key(self.model.aes(octets), context.aad)
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
        """Where the image has the four octets that a client reads as its counter, or -1."""
        model = self.model
        name = bytearray(_COUNTER_OBJECT)
        name[6] = model.objects[(row << 4) + 6]
        found = model.find_any(name, 0)
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
        """Save counters of a key ahead of what is asked for: four octets. Allocates."""
        model = self.model
        at = model.state(context.row, _COUNTERS)
        rx = at + (_RX if key is context.unicast else _RX_BROADCAST)
        ahead = self._ciphering.ahead
        rx_end = ahead(counter)
        image = model.image
        image[rx : rx + 4] = rx_end
        unicast = context.unicast
        if unicast is not None:
            tx_end = ahead(unicast.tx)
            image[at + _TX : at + _TX + 4] = tx_end
        if not model.save():
            context.failed = True
            return
        key.rx_end[:] = rx_end
        if unicast is not None:
            unicast.tx_end[:] = ahead(tx_end, -2)

    def tick(self, now):
        # What could not be saved may be tried again.
        for row in self._contexts:
            self._contexts[row].failed = False

    def settle(self):
        """The orderly end: what the image says of counters is made exact. None is used after
        that, unless it is reserved again."""
        for row in self._contexts:
            self._settle(self._contexts[row])

    def _settle(self, context):
        model = self.model
        at = model.state(context.row, _COUNTERS)
        for key, rx in ((context.unicast, _RX), (context.broadcast, _RX_BROADCAST)):
            if key:
                copy(model.image, at + rx, key.rx, 0, 4)
                copy(key.rx_end, 0, key.rx, 0, 4)
        key = context.unicast
        if key is not None:
            copy(model.image, at + _TX, key.tx, 0, 4)
            copy(key.tx_end, 0, key.tx, 0, 4)
        if context.marks is not None:
            context.marks.settle()

    # --- Attributes and methods -------------------------------------------------------------

    def open(self, s):
        s.n = 1
        if s.attribute == _CERTIFICATES and self._suite(s.row):
            if s.association is not None and s.association.asks:
                s.association.forget_job()
            if self._fields is None:
                return _LATER_VALUE
            # s.b, s.c: item s.c is record s.b of the vault.
            n = 0
            k = self._certificate(s.row, 0)
            while k >= 0:
                n += 1
                k = self._certificate(s.row, k + 1)
            s.b = -1
            s.c = 0
            s.n = n + 1
        return _SUCCESS

    def _certificate(self, row, k):
        """Go to the first certificate from record k (0..) on, and return where it is; -1: none."""
        vault = self.model.vault
        if vault is None or not self._suite(row):
            return -1
        while vault.nth(row, k):
            # A key pair that waits for its certificate is none.
            if vault.pos < vault.end:
                return k
            k += 1
        return -1

    def item(self, s, buf, pos):
        if s.attribute == _CERTIFICATES:
            if s.k == 0:
                buf[pos] = _ARRAY
                return put_length(buf, pos + 1, s.n - 1)
            if s.k != s.c:
                s.c = s.k
                s.b += 1
            s.b = self._certificate(s.row, s.b)
            return self._fields.info(self.model.vault, buf, pos) if s.b >= 0 else -1
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
        context = self.context(s.row)
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
        if method == _KEY_TRANSFER:
            from cosem.key_transfer import transfer

            context = self._contexts[row]
            result, a.agreed = transfer(self.kek(context), context.key_len(), octets)
            return result, b""
        if method == _KEY_AGREEMENT:
            from cosem.key_agreement import agree

            result, answer, a.agreed = yield from agree(self.model, row, bytes(a.title), octets)
            return result, answer
        from cosem import security_certificates

        return (yield from security_certificates.job(self.model, row, method, octets))

    def finish(self, a, row, method):
        """The answer to key_transfer or key_agreement is on its way, under the old keys."""
        if not a.agreed:
            return
        model = self.model
        context = self._contexts[row]
        for key_id, key in a.agreed:
            place = model.state(row, _KEYS) + key_id * _KEY_ROOM
            # The same key again keeps its counters.
            if compare(model.image, place, key, 0, len(key)) != 0:
                copy(model.image, place, key, 0, len(key))
                context.changed |= 1 << key_id
        a.agreed = None
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
        context = self.context(row)
        if context is not None:
            self._set_policy(context)
        return _SUCCESS

    def rekey(self, context):
        """After the answer under the old keys: the new ones are in force. The counters of an
        encryption key that is another one begin anew; others go on where they are."""
        model = self.model
        self.settle()
        at = model.state(context.row, _COUNTERS)
        if context.changed & 1 << _GUEK:
            fill(model.image, at + _TX, 4, 0)
            fill(model.image, at + _RX, 4, 0)
        if context.changed & 1 << _GBEK:
            fill(model.image, at + _RX_BROADCAST, 4, 0)
        context.changed = 0
        if context.loaded:
            self._make_keys(context)
            for a in model.associations:
                if a.context is context and a.dedicated is not None:
                    a.dedicated.aad = context.aad
        else:
            self._show(context.row)
        model.save()
