# SPDX-License-Identifier: MIT
"""Requests in associations that cipher, or that wait for pass 3 of the authentication.

They are deciphered, held against security_policy, served as others are, and the answer is
protected in the form of the request, with what request and policy ask for (IEC 62056-5-3, 5.3).
Nothing is allocated. -1: the server has work to do first, and the same octets are to come again.
A meter without security does not load this, nor what it imports: server.py and opening.py reach
ciphering and hls through it.
"""

from dlms import acse, ciphering, exceptions, hls
from dlms.association import Association
from dlms.prim import compare, copy, fill
from micropython import const

_RLRQ = const(0x62)
_GET_REQUEST = const(0xC0)
_ACTION_REQUEST = const(0xC3)
_ACTION_RESPONSE = const(0xC7)
_EXCEPTION_RESPONSE = const(0xD8)
# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# States and events of association.py.
_IDLE = const(0)
_PENDING = const(1)
_RLRQ_RECEIVED = const(3)
_HLS_PASSED = const(4)
_HLS_FAILED = const(5)

# Forms of ciphering.py; from _GENERAL on there is a tag for any APDU.
_GLO = const(1)
_GENERAL = const(3)

# The ACTION of pass 3: reply_to_HLS_authentication of the current association, with a parameter.
_ACTION_NORMAL = const(1)
_REPLY_TO_HLS = b"\x00\x0f\x00\x00\x28\x00\x00\xff\x01\x01\x09"
_REPLY_TO_HLS_LEN = const(11)
_READ_WRITE_DENIED = const(3)
_OCTET_STRING = const(9)

_NORMAL_RELEASE = const(0)
_NOT_FINISHED = const(1)

# In the work buffer, behind what hls.py keeps there.
_DEDICATED_KEY = const(192)
_SYSTEM_TITLE_LEN = const(8)
_SECRET = const(7)  # attribute of Association LN

# Fields of a row of ASSOCIATIONS in the definition.
_ROW = const(2)
_SECURITY = const(8)

# todo: what work() does.
_RANDOM = const(1)
_COUNTERS = const(2)
_HASHES = const(4)
_DEDICATED = const(8)
_KEYS = const(16)
_LONGEST_CHALLENGE = const(64)


class SecuredAssociation(Association):
    """An association of a meter that has security.

    dedicated     a Key, or None
    title         the client's system title
    full_limit    the longest answer; limit is what protection leaves of that
    form, plain_pos, plain_end   see ciphering.py; n_ctos, n_stoc, n_digest, ready   see hls.py
    n_dedicated   octets of a dedicated key that has come, and is to be made a Key
    fields, fields_pos, layer   see identified.py, general.py
    """

    def __init__(self, server, work_len):
        Association.__init__(self, server, work_len)
        self.dedicated = None
        self.title = bytearray(_SYSTEM_TITLE_LEN)
        self.form = self.plain_pos = self.plain_end = 0
        self.n_ctos = self.n_stoc = self.n_digest = self.n_dedicated = 0
        self.ready = False
        self.full_limit = 0
        self.fields = self.layer = None
        self.fields_pos = 0

    def opened(self, context, by_hls, aarq, request, buf):
        """An AARQ was accepted: take over what security needs of it."""
        self.context = context
        self.full_limit = self.limit
        if aarq.title_end:
            copy(self.title, 0, buf, aarq.title_pos, _SYSTEM_TITLE_LEN)
        else:
            fill(self.title, 0, _SYSTEM_TITLE_LEN, 0)
        # A dedicated key is kept until work() makes a Key of it; one that was not protected is
        # ignored.
        self.dedicated = None
        self.n_dedicated = 0
        n = request.dedicated_key_end - request.dedicated_key_pos
        if n and self.protection & 2:
            self.n_dedicated = n
            copy(self.work, _DEDICATED_KEY, buf, request.dedicated_key_pos, n)
            self.server.todo |= _DEDICATED
        if by_hls:
            self.server.secured.challenge(self, buf, aarq)

    def secret(self):
        """The octets of attribute 7; allocates, and is for hls.compute() alone."""
        model = self.model
        n = model.value_len(self.config[_ROW], _SECRET)
        at = model.slot(self.config[_ROW], _SECRET)
        return bytes(model.image[at + 2 : at + n]) if at >= 0 else b""

    def make_dedicated_key(self):
        """A Key of the octets that came in the AARQ, which are forgotten. Allocates."""
        end = _DEDICATED_KEY + self.n_dedicated
        handler = self.model.handler_of(self.config[_SECURITY])
        self.dedicated = handler.make_key(
            self.config[_SECURITY], bytes(self.work[_DEDICATED_KEY:end])
        )
        fill(self.work, _DEDICATED_KEY, self.n_dedicated, 0)
        self.n_dedicated = 0


class Security:
    """What a server has beyond plain requests; one for all its associations."""

    def __init__(self, server):
        self.server = server
        self.ciphering = ciphering
        self.hls = hls
        self._random = bytearray(_LONGEST_CHALLENGE)
        self._has_random = False
        self._counters_of = self._counter_of = None
        self._counter = bytearray(4)
        server.model.later = self._later

    def context_of(self, config):
        """The ciphering.Context of an association of the definition, or None."""
        if config is None or config[_SECURITY] < 0:
            return None
        row = config[_SECURITY]
        return self.server.model.handler_of(row).context(row)

    def request(self, channel, a, buf, pos, end):
        """A request in an association that ciphers, or that waits for pass 3."""
        context = a.context
        a.form = a.protection = 0
        tag = buf[pos]
        if context is not None and not self.has_counters(context):
            return -1
        if tag == _RLRQ:
            return self._release(channel, a, buf, pos, end)
        if context is not None and ciphering.is_protected(tag):
            wrong = ciphering.unprotect(a, context, a.title, 0, buf, pos, end)
            if wrong < 0:
                return -1
            if wrong:
                return exceptions.protection(channel, wrong, context.unicast)
            pos = a.plain_pos
            end = a.plain_end
            tag = buf[pos]
        if context is not None:
            if context.needs_request & ~a.protection:
                return exceptions.failed(channel)
            kinds = a.protection | context.needs_response
            a.limit = a.full_limit - ciphering.overhead(a.form, kinds)
        if a.state == _PENDING:
            n = self._pass_3(channel, a, buf, pos, end)
        elif tag >= _GET_REQUEST:
            n = self.server.service(channel, a, buf, pos, end)
        else:
            n = exceptions.not_supported(channel, tag)
        if n <= 0 or context is None or not kinds:
            return n
        # There is no protected exception-response but in the general forms.
        if channel.tx[channel.tx_pos] == _EXCEPTION_RESPONSE and a.form < _GENERAL:
            return n
        if not a.form:
            a.form = _GLO
        start = channel.tx_pos
        title = self.server.model.system_title
        start = ciphering.protect(a, context, title, kinds, channel.tx, start, start + n)
        return channel.reply(start, a.plain_end) if start >= 0 else exceptions.failed(channel)

    def _pass_3(self, channel, a, buf, pos, end):
        """Nothing but reply_to_HLS_authentication is served until it has been done right."""
        at = pos + 3 + _REPLY_TO_HLS_LEN
        if (
            end - pos < 4 + _REPLY_TO_HLS_LEN
            or buf[pos] != _ACTION_REQUEST
            or buf[pos + 1] != _ACTION_NORMAL
            or compare(buf, pos + 3, _REPLY_TO_HLS, 0, _REPLY_TO_HLS_LEN) != 0
            or buf[at] != end - at - 1
        ):
            return exceptions.no_association(channel, buf[pos])
        context = a.context or self.context_of(a.config)
        key = context.unicast if context is not None else None
        suite = context.suite if context is not None else 0
        good = hls.passes(a, key, suite, buf, at + 1, end)
        if good < 0:
            return -1
        tx = channel.tx
        start = _HEADROOM
        tx[start] = _ACTION_RESPONSE
        tx[start + 1] = _ACTION_NORMAL
        tx[start + 2] = buf[pos + 2]
        after = -1
        if good:
            after = hls.put_reply(a, key, suite, self.server.model.system_title, tx, start + 8)
        if after < 0:
            self.server.authentication_failed(a, a.config)
            a.event(_HLS_FAILED)
            if a.state == _IDLE:
                channel.last = None
            tx[start + 3] = _READ_WRITE_DENIED
            tx[start + 4] = 0
            return channel.reply(start, start + 5)
        self.server.guard.passed(a, a.config)
        a.event(_HLS_PASSED)
        tx[start + 3] = 0
        tx[start + 4] = 1
        tx[start + 5] = 0
        tx[start + 6] = _OCTET_STRING
        tx[start + 7] = after - start - 8
        return channel.reply(start, after)

    def _release(self, channel, a, buf, pos, end):
        """An RLRQ where the policy asks for protection has to bring a protected InitiateRequest:
        nobody else can end the association."""
        at = acse.rlrq_information(buf, pos, end)
        if at < 0:
            return exceptions.malformed(channel)
        context = a.context
        if context is not None and at and ciphering.is_protected(buf[at]):
            wrong = ciphering.unprotect(a, context, a.title, 0, buf, at, end)
            if wrong < 0:
                return -1
            if wrong:
                return exceptions.protection(channel, wrong, context.unicast)
        tx = channel.tx
        reason = _NORMAL_RELEASE
        if context is not None and context.needs_request & ~a.protection:
            reason = _NOT_FINISHED
        else:
            a.event(_RLRQ_RECEIVED)
            channel.last = None
        return channel.reply(_HEADROOM, acse.put_rlre(tx, _HEADROOM, reason))

    # --- Work between requests ----------------------------------------------------------------

    def has_random(self):
        """Are there octets for a challenge? If not, they are on their way."""
        if not self._has_random:
            self.server.todo |= _RANDOM
        return self._has_random

    def has_counters(self, context):
        """Are there counters for an answer, or none at all any more? If not, they are on their
        way."""
        key = context.unicast
        if key is None or context.failed or not key.exhausted() or key.worn():
            return True
        self.wants_counters(context, key, key.rx, 0)
        return False

    def challenge(self, a, buf, aarq):
        """Begin the four passes in an association that has been configured."""
        hls.begin(a, buf, aarq.authentication_pos, aarq.authentication_end, self._random)
        self._has_random = False
        self.server.todo |= _RANDOM
        if not a.ready:
            self.server.todo |= _HASHES

    def wants_counters(self, context, key, buf, pos):
        """The counter at buf[pos:] is beyond those that have been saved."""
        self._counters_of = context
        self._counter_of = key
        copy(self._counter, 0, buf, pos, 4)
        self.server.todo |= _COUNTERS

    def _later(self, context):
        """Keys have come; they are in force after the answer."""
        self._counters_of = context
        self.server.todo |= _KEYS

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
        if todo & _KEYS:
            context = self._counters_of
            model.handler_of(context.row).rekey(context)
        for a in self.server.associations:
            if todo & _HASHES and a.state == _PENDING and not a.ready:
                hls.compute(a, a.secret(), model.system_title, model.new_hash)
            if todo & _DEDICATED and a.n_dedicated:
                a.make_dedicated_key()
        self.server.todo = 0
