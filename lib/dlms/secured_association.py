# SPDX-License-Identifier: MIT
"""An association of a meter that has security, and the job that its request may need.

The request path allocates nothing and takes no time. What cannot be had that way, elliptic curves
and the parsing of certificates above all, is a job: a generator that work() of the server makes
and steps between two requests. Meanwhile the request stays with its profile, which asks again;
requests of other associations are served. A job is made of octets, and ends with (code, octets):

    _METHOD    a method: (action_result, return data); Handler.job(association, row, method, data)
    _PEEL      a protected request: (service-error or 0, plain octets); general.peel()
    _SEAL      an answer: (0 or 1, protected octets); general.seal()
    _PASS_3    f(StoC) of ECDSA: (1 good or 0, f(CtoS)); hls.ecdsa()
    _COUNT     a long answer, which is made as it goes out: sealed.prepare()
"""

from dlms.association import Association
from dlms.prim import copy, fill
from micropython import const

_IDLE = const(0)  # state of association.py

# In the work buffer, behind what hls.py keeps there.
_DEDICATED_KEY = const(192)
_SYSTEM_TITLE_LEN = const(8)

# Fields of a row of ASSOCIATIONS in the definition.
_ROW = const(2)
_CONTEXT = const(7)
_SECURITY = const(8)

_LN_CIPHERED_CONTEXT = const(3)
# Kinds of protection: authenticated and encrypted; signed, too.
_SYMMETRIC = const(3)
_ALL_KINDS = const(7)

# todo, see security_work.py.
_DEDICATED = const(8)
_JOBS = const(64)

# asks, and the code of a job that has failed.
_METHOD = const(1)
_PEEL = const(2)
_SEAL = const(3)
_PASS_3 = const(4)
_COUNT = const(5)
_FAILED = b"\x00\xfa\x05\x01\x00\x01"

_OTHER_REASON = const(250)
_LATER = const(-1)


class SecuredAssociation(Association):
    """
    Those of clients without security are such ones, too, where others have it: they may ask for
    jobs. dlms.secured itself may not be loaded then.

    dedicated     a Key, or None
    title         the client's system title
    certificate   the one that the client has sent, b"": none
    full_limit    the longest answer; limit is what protection leaves of that
    form, plain_pos, plain_end   see ciphering.py; n_ctos, n_stoc, n_digest, ready   see hls.py
    fields, fields_pos, layer   see identified.py, general.py
    n_dedicated   octets of a dedicated key that has come, and is to be made a Key
    by_broadcast  the request is ciphered with the broadcast key
    transfer_kinds   protection of the requests that a long transfer has been begun with
    kept_pos, kept_end   where the request that comes again is plain already; end 0: it is not
    agreed        keys that a job of Security setup has had from the client, and that are not in
                  force yet: [(row, key_id, octets)], or None
    code, octets  what the job that asks is about has ended with; None: it has not
    """

    secures = True

    def __init__(self, server, work_len):
        self.code = None
        self.octets = b""
        self._job = None
        self.about = 0  # what a job is about: row << 8 | method; kinds of protection
        Association.__init__(self, server, work_len)
        self.dedicated = None
        self.title = bytearray(_SYSTEM_TITLE_LEN)
        self.certificate = b""
        self.form = self.plain_pos = self.plain_end = 0
        self.n_ctos = self.n_stoc = self.n_digest = self.n_dedicated = 0
        self.ready = False
        self.full_limit = 0
        self.fields = self.layer = None
        self.fields_pos = 0
        self.kept_pos = self.kept_end = 0
        self.transfer_kinds = 0
        self.by_broadcast = False
        self.agreed = None

    def event(self, what):
        Association.event(self, what)
        self.drop()
        if self.state == _IDLE:
            self.certificate = b""
            self.layer = None
            # A dedicated key still protects the last answer; one that is not made yet never is.
            fill(self.work, _DEDICATED_KEY, self.n_dedicated, 0)
            self.n_dedicated = 0

    def opened(self, context, by_hls, aarq, request, buf):
        """An AARQ was accepted: take over what security needs of it."""
        secured = self.server.secured
        self._ciphers(context)
        self.full_limit = self.limit
        self.certificate = secured.certificate if secured and aarq.certificate_end else b""
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
            secured.challenge(self, buf, aarq)

    def _ciphers(self, context):
        self.context = context
        self.possible_kinds = 0
        if context is not None and self.config[_CONTEXT] == _LN_CIPHERED_CONTEXT:
            self.possible_kinds = _ALL_KINDS if context.suite else _SYMMETRIC

    def drop(self):
        Association.drop(self)
        self.kept_end = 0
        self.agreed = None
        self.forget_job()

    def established(self, context):
        """A pre-established association is opened: whose it is, its requests will say."""
        self._ciphers(context)
        self.full_limit = self.limit
        self.dedicated = None
        self.n_dedicated = 0
        fill(self.title, 0, _SYSTEM_TITLE_LEN, 0)

    def comes_again(self, pos, at, end):
        """The request at pos is plain from at to end, and comes again."""
        self.kept_pos = at - pos
        self.kept_end = end - pos

    def secret(self):
        """The octets of the secret; allocates, and is for hls.compute() alone."""
        model = self.model
        row = self.config[_ROW]
        n = model.value_len(row, model.secret(row))
        at = model.slot(row, model.secret(row))
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

    # --- Jobs -------------------------------------------------------------------------------

    def ask(self, what, src, pos, end):
        """A job is to be made of src[pos:end]."""
        if self.server.secured is None:
            self.server.wants_security(None)
            return _LATER
        self.asks = what
        self.code = None
        self._job = None
        self.agreed = None
        self.server.secured.hold(src, pos, end)
        self.server.todo |= _JOBS
        return _LATER

    def ask_method(self, row, method, buf, pos, end):
        self.about = row << 8 | method
        return self.ask(_METHOD, buf, pos, end)

    def method_done(self, s):
        """What a method that was asked for gives: action_result, its data behind s.out_pos; or
        _LATER."""
        if self.code is None:
            return _LATER
        code = self.code
        octets = self.octets
        self.forget_job()
        n = len(octets)
        if not code and n:
            if n > len(self.work) - s.out_pos:
                return _OTHER_REASON
            copy(self.work, s.out_pos, octets, 0, n)
            s.out_pos += n
        return code

    def forget_job(self):
        self.asks = 0
        self.code = None
        self.octets = b""
        self._job = None

    def step(self):
        """Go on with the job, making it first. Allocates."""
        try:
            if self._job is None:
                self._job = self._make(self.server.secured.held())
            next(self._job)
        except StopIteration as e:
            self.code, self.octets = e.value
        except Exception as e:
            self.server.fault = e
            self.code = _FAILED[self.asks]
        if self.code is not None:
            self._job = None

    def _make(self, octets):
        secured = self.server.secured
        if self.asks == _METHOD:
            row = self.about >> 8
            return self.model.handler_of(row).job(self, row, self.about & 0xFF, octets)
        if self.asks == _PASS_3:
            title = self.model.system_title
            return secured.hls.ecdsa(self, self.config[_SECURITY], title, octets)
        if self.asks == _COUNT:
            from dlms import sealed

            return sealed.prepare(self)
        secured.load_general()
        if self.asks == _PEEL:
            return secured.general.peel(self, self.context, octets)
        return secured.general.seal(self, self.context, octets, self.about)
