# SPDX-License-Identifier: MIT
"""What requests of secured.py wait for, done between two of them: random octets for a challenge,
counters to be saved before they are used, keys to be made or changed, hashes of a challenge, the
steps of jobs (see secured_association.py). work() may allocate, and take its time; what asks for
it does not.
"""

from dlms import hls
from dlms.prim import compare, copy, gap
from micropython import const

_PENDING = const(1)  # state of association.py
_SEAL = const(3)  # see secured_association.py

# Fields of a row of ASSOCIATIONS in the definition.
_MECHANISM = const(3)
_SECURITY = const(8)
_ECDSA = const(7)  # mechanism

# todo: what work() does.
_RANDOM = const(1)
_COUNTERS = const(2)
_HASHES = const(4)
_DEDICATED = const(8)
_KEYS = const(16)
_CERTIFICATE = const(32)
_GENERAL_LOAD = const(256)
_STEPS = const(128)  # requests of other associations are served meanwhile
_LOAD = const(512)
_LONGEST_CHALLENGE = const(64)

# Of the AARE, what comes behind a certificate in it.
_AARE_REST = const(192)
_DIGITAL_SIGNATURE = const(0)
_SERVER = const(0)


class Work:
    """The half of Security that is there between requests."""

    def __init__(self, server):
        self.server = server
        self._random = bytearray(_LONGEST_CHALLENGE)
        self._has_random = False
        self._counters_of = self._counter_of = None
        self._counter = bytearray(4)
        self.waits = False  # new keys, for an answer
        # The certificate that came in the last AARQ that had one.
        self.certificate = b""
        self._src = None
        self._src_pos = self._src_end = 0

    def has_random(self):
        """Are there octets for a challenge? If not, they are on their way."""
        if not self._has_random:
            self.server.todo |= _RANDOM
        return self._has_random

    def has_counters(self, context):
        """Are there keys, and counters for an answer, or none at all any more? If not, they are on
        their way."""
        if not context.loaded:
            self.wants_keys(context)
            return False
        key = context.unicast
        # An answer may take two, see hls.py.
        if key is None or context.failed or gap(key.tx, 0, key.tx_end, 0) > 1 or key.worn():
            return True
        self.wants_counters(context, key, key.rx, 0)
        return False

    def has_certificate(self, config, aarq, buf):
        """Have we the certificate that came in an AARQ, if one is used? If not, it is taken."""
        n = aarq.certificate_end - aarq.certificate_pos
        if not n or config[_MECHANISM] != _ECDSA:
            return True
        held = self.certificate
        if len(held) == n and compare(held, 0, buf, aarq.certificate_pos, n) == 0:
            return True
        self.hold(buf, aarq.certificate_pos, aarq.certificate_end)
        self.server.todo |= _CERTIFICATE
        return False

    def hold(self, src, pos, end):
        """The octets src[pos:end] are for work(), and stay until then: the server takes no other
        request before."""
        self._src = src
        self._src_pos = pos
        self._src_end = end

    def held(self):
        octets = bytes(self._src[self._src_pos : self._src_end])
        self._src = None
        return octets

    def put_certificate(self, a, tx, pos):
        """Our certificate in an AARE, if there is one, and room for it."""
        vault = a.model.vault
        if vault is None or not vault.find(a.config[_SECURITY], _SERVER, _DIGITAL_SIGNATURE, None):
            return pos
        n = vault.end - vault.pos
        if not n or pos + n + _AARE_REST > len(tx):
            return pos
        acse = self.server.opening.acse
        return acse.put_certificate(tx, pos, vault.record, vault.pos, vault.end)

    def challenge(self, a, buf, aarq):
        """Begin the four passes in an association that has been configured."""
        hls.begin(a, buf, aarq.authentication_pos, aarq.authentication_end, self._random)
        self._has_random = False
        self.server.todo |= _RANDOM
        if not a.ready:
            self.server.todo |= _HASHES

    def wants_keys(self, context):
        """Keys of a client that has come are to be made."""
        self._counters_of = context
        self.server.todo |= _LOAD

    def wants_counters(self, context, key, buf, pos):
        """The counter at buf[pos:] is beyond those that have been saved."""
        self._counters_of = context
        self._counter_of = key
        copy(self._counter, 0, buf, pos, 4)
        self.server.todo |= _COUNTERS

    def later(self, context):
        """Keys have come; they are in force after the answer."""
        self.server.todo |= _KEYS

    def rekey(self):
        """New keys are in force, but where an answer is still to be protected by the old ones."""
        handler = self.server.model.handler("security_setup")
        self.waits = False
        for context in handler.contexts():
            if context.changed:
                waits = False
                for a in self.server.associations:
                    if a.asks == _SEAL and a.context is context:
                        waits = self.waits = True
                if not waits:
                    handler.rekey(context)

    def work(self):
        """Do what requests are waiting for. It may allocate, and save the state."""
        todo = self.server.todo
        model = self.server.model
        if todo & _RANDOM:
            model.random_fill(self._random)
            self._has_random = True
        if todo & _COUNTERS:
            context = self._counters_of
            handler = model.handler_of(context.row)
            handler.reserve(context, self._counter_of, self._counter)
        if todo & _LOAD:
            context = self._counters_of
            model.handler_of(context.row).load(context)
        if todo & _KEYS or self.waits:
            self.rekey()
        if todo & _GENERAL_LOAD:
            self.load_general()
        if todo & _CERTIFICATE:
            self.certificate = self.held()
        self.server.todo = 0
        for a in self.server.associations:
            if todo & _HASHES and a.state == _PENDING and not a.ready:
                hls.compute(a, a.secret(), model.system_title, model.new_hash)
            if todo & _DEDICATED and a.n_dedicated:
                a.make_dedicated_key()
            if a.asks and a.code is None:
                a.step()
                if a.code is None:
                    self.server.todo |= _STEPS
