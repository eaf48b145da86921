# SPDX-License-Identifier: MIT
"""What goes around an APDU that is sent unasked: whose rights it was made with, its protection,
and whether what comes back is from that client (IEC 62056-5-3, 5.3; Push setup, class 40).

    push_protection_parameters    a layer for each, as in the APDUs general-ciphering and
                                  general-signing (see protected.py): takes time, and memory
    none                          general-glo with the unicast key of the Security setup of the
                                  client's association, with what its security_policy asks for of
                                  answers; in plain text if that is nothing
    for an open association       as its answers: by the dedicated key if it has one, and in the
                                  service-specific form where there is one; it cannot be signed,
                                  and what has to be is not sent

Loaded when something is to be sent. seal() and of_association() allocate; wrap() and opens() do
not.
"""

from cosem import push_terms as terms
from cosem import slots
from dlms.association import Association
from dlms.prim import compare, copy
from micropython import const

_PUSH_PROTECTION_PARAMETERS = const(10)

# Fields of a row of ASSOCIATIONS in the definition.
_CLIENT_SAP = const(0)
_DEVICE = const(1)
_SECURITY = const(8)

_DATA_NOTIFICATION = const(0x0F)
_GENERAL_GLO = const(0xDB)
_TITLE_LEN = const(8)
_DECIPHERING_ERROR = const(5)
# Forms of ciphering.py, and kinds.
_GLO = const(1)
_DED = const(2)
_GENERAL_BY_GLO = const(3)
_GENERAL_BY_DED = const(4)
_SYMMETRIC = const(3)
_ALL_KINDS = const(7)
_CONFORMANCE = const(0x002004)  # attribute 0, and selective access: no deltas
# In front of an APDU: its protection, and headers of a profile; behind it a tag.
_FRONT = const(64)
_HEADERS = const(32)
_BEHIND = const(12)


class Envelope:
    """
    client    an association of its own, in no state: rights of the client, and what ciphering.py
              keeps with one
    context   its ciphering.Context, or None
    """

    def __init__(self, model, server):
        self.model = model
        self.server = server
        self.client = a = Association(server, 0)
        a.dedicated = None
        a.form = a.plain_pos = a.plain_end = 0
        a.by_broadcast = False
        # Of the client, if parameters do not say.
        a.title = a.certificate = b""
        self.context = None
        self._ciphering = None

    def _context_of(self, config):
        """The Context of a client of the definition, or None: it has no Security setup. Of what
        security needs only the ciphers are loaded for it, see dlms/secured.py."""
        row = config[_SECURITY]
        if row < 0:
            return None
        model = self.model
        handler = model.awake(row)
        if handler.context(row) is None:
            if model.on_security is not None:
                model.on_security(True)
            handler.begin()
        if self._ciphering is None:
            from dlms import ciphering

            self._ciphering = ciphering
        return handler.context(row)

    def become(self, row):
        """Be that of the client of the Push setup object at row. False: push_protection_parameters
        are wrong; or there are none, and the policy asks for a signature: for whom?"""
        config = terms.client(self.model, row)
        context = self._context_of(config)
        kinds = 0 if context is None else context.needs_response
        if terms.has_parameters(self.model, row):
            from cosem.protected import kinds_of

            kinds = -1 if context is None else kinds_of(self._parameters(row))
            if kinds >= 0 and context.needs_response & ~kinds:
                kinds = -1
        elif kinds & ~_SYMMETRIC:
            kinds = -1
        self.restore(config, context, max(0, kinds))
        return kinds >= 0

    def kept(self):
        """Whose it is, for restore(): another notification is made while one is on its way."""
        return self.client.config, self.context, self.client.possible_kinds

    def restore(self, config, context, kinds):
        a = self.client
        a.configure(config)
        a.client_sap = config[_CLIENT_SAP]
        a.server_sap = self.model.devices[config[_DEVICE]][0]
        # The meter itself asks, and may ask for anything.
        a.protection = _ALL_KINDS
        a.conformance = _CONFORMANCE
        a.possible_kinds = kinds
        self.context = context

    def _parameters(self, row):
        from cosem.protected import decode

        src = slots.source(self.model, row, _PUSH_PROTECTION_PARAMETERS)
        return decode(src, slots.offset(self.model, row, _PUSH_PROTECTION_PARAMETERS))[0]

    def seal(self, row, plain):
        """Generator: (buffer, start, end) of the protected APDU, with room for headers in front;
        None: there is no key or no counter, or the parameters cannot be met. After become()."""
        if not terms.has_parameters(self.model, row):
            kinds = self.client.possible_kinds
            return self._protect(self.context, _GENERAL_BY_GLO, None, kinds, plain)
        from cosem.protected import Party

        party = Party(self.client, self.context)
        apdu = yield from party.seal(plain, self._parameters(row))
        if apdu is None:
            return None
        buf = bytearray(_HEADERS + len(apdu))
        copy(buf, _HEADERS, apdu, 0, len(apdu))
        return buf, _HEADERS, len(buf)

    def of_association(self, a, plain, kinds):
        """The same of an APDU for the client of an open association, with these kinds of
        protection and those of the policy."""
        context = self._context_of(a.config)
        if context is not None:
            kinds |= context.needs_response
        if kinds & ~_SYMMETRIC:
            return None
        if context is None:
            return self._protect(None, _GLO, None, 0, plain)
        dedicated = a.dedicated
        if plain[0] == _DATA_NOTIFICATION:
            form = _GENERAL_BY_GLO if dedicated is None else _GENERAL_BY_DED
        else:
            form = _GLO if dedicated is None else _DED
        return self._protect(context, form, dedicated, kinds, plain)

    def _protect(self, context, form, dedicated, kinds, plain):
        n = len(plain)
        buf = bytearray(_FRONT + n + _BEHIND)
        copy(buf, _FRONT, plain, 0, n)
        if not kinds:
            return buf, _FRONT, _FRONT + n
        handler = self.model.awake(context.row)
        if not context.loaded:
            handler.load(context)
        handler.tx(context)
        self.client.dedicated = dedicated
        pos = self.wrap(context, form, kinds, buf, _FRONT, _FRONT + n)
        return None if pos < 0 else (buf, pos, self.client.plain_end)

    def wrap(self, context, form, kinds, buf, pos, end):
        """Protect the APDU buf[pos:end] where it lies; its start, and client.plain_end is its end;
        -1: there is no key, or no counter. Nothing is allocated."""
        a = self.client
        a.form = form
        return self._ciphering.protect(a, context, self.model.system_title, kinds, buf, pos, end)

    def opens(self, buf, pos, end):
        """Is the APDU buf[pos:end] protected as one of this client has to be? 0: it is, and plain
        from client.plain_pos to plain_end; -1: the server has work to do first; else it is not."""
        a = self.client
        context = self.context
        if buf[pos] != _GENERAL_GLO:
            a.plain_pos = pos
            a.plain_end = end
            needs = 0 if context is None else context.needs_request
            return _DECIPHERING_ERROR if needs else 0
        title = pos + 2
        if context is None or not context.loaded or end < title + _TITLE_LEN:
            return _DECIPHERING_ERROR
        if self.server.lacks_security(a.config):
            return -1
        # The meter's own, come back?
        if compare(buf, title, self.model.system_title, 0, _TITLE_LEN) == 0:
            return _DECIPHERING_ERROR
        a.protection = 0
        return self._ciphering.unprotect(a, context, buf, title, buf, pos, end)
