# SPDX-License-Identifier: MIT
"""Opening and ending associations: an AARQ is judged, and the AARE written (IEC 62056-5-3, 6.2 and
7.3). A part of the server: it is there while somebody comes or goes.

Context, identifiers, user-information, mechanism and challenge, in this order: the first that is
wrong is what the AARE says. Where an association ciphers, the user-information is deciphered
first, and goes out protected as it came. Nothing is allocated.
"""

from dlms import acse, exceptions, initiate, places
from dlms.axdr import get_small_u32
from dlms.prim import compare, copy, same
from micropython import const

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# States and events of association.py.
_IDLE = const(0)
_AARQ_ACCEPTED = const(0)
_AARQ_PENDING = const(1)
_AARQ_REJECTED = const(2)
_RLRQ_RECEIVED = const(3)
_ABORTED = const(6)
_NORMAL_RELEASE = const(0)
_NOT_FINISHED = const(1)

# Result, source and diagnostic of the AARE.
_ACCEPTED = const(0)
_REJECTED_PERMANENT = const(1)
_REJECTED_TRANSIENT = const(2)
_USER = const(0xA1)
_PROVIDER = const(0xA2)
_NO_REASON_GIVEN = const(1)
_APPLICATION_CONTEXT_NOT_SUPPORTED = const(2)
_CALLING_AP_TITLE_NOT_RECOGNISED = const(3)
_CALLING_AE_QUALIFIER_NOT_RECOGNISED = const(5)
_CALLING_AE_INVOCATION_ID_NOT_RECOGNISED = const(6)
_CALLED_AP_TITLE_NOT_RECOGNISED = const(7)
_MECHANISM_NAME_NOT_RECOGNISED = const(11)
_MECHANISM_NAME_REQUIRED = const(12)
_AUTHENTICATION_FAILURE = const(13)
_AUTHENTICATION_REQUIRED = const(14)
_NO_COMMON_ACSE_VERSION = const(2)

_INITIATE_ERROR_CLASS = const(6)
_DLMS_VERSION_TOO_LOW = const(1)
_INCOMPATIBLE_CONFORMANCE = const(2)
_PDU_SIZE_TOO_SHORT = const(3)
_REFUSED_BY_VDE_HANDLER = const(4)
_DLMS_VERSION = const(6)
_SMALLEST_PDU = const(12)

_LN_CONTEXT = const(1)
_LN_CIPHERED_CONTEXT = const(3)
_MECHANISM_LOWEST = const(0)
_MECHANISM_LLS = const(1)
_MECHANISM_ECDSA = const(7)
_SYSTEM_TITLES = const(5)  # mechanisms from here on need those of both sides
_SYSTEM_TITLE_LEN = const(8)

# Of ciphering.py.
_GLO = const(1)
_NOT_POSSIBLE = const(1)
# Header of a protected APDU of less than 128 octets; that of general-ciphering; what comes behind.
_HEADER_ROOM = const(16)
_GENERAL_ROOM = const(72)
_REST = const(32)
_IDENTIFIED = const(5)  # of identified.py
_CIPHERED = const(3)  # authenticated and encrypted

_OCTET_STRING = const(9)

# Fields of a row of ASSOCIATIONS in the definition.
_ROW = const(2)
_MECHANISM = const(3)
_CONFORMANCE = const(4)
_MAX_PDU = const(5)
_CONTEXT = const(7)
_PRE_ESTABLISHED = const(9)


# What the AARQ at hand says.
_AARQ = acse.AARQ()
_INITIATE = initiate.InitiateRequest()


def open(channel, a, client_sap, server_sap, buf, pos, end, confirmed):
    """Serve an AARQ; a: the association that the client has already, or None; confirmed: as of
    Server.request()."""
    aarq = _AARQ
    if not aarq.parse(buf, pos, end):
        return exceptions.malformed(channel)
    server = channel.server
    config = server.config(client_sap, server_sap)
    if config is not None and config[_PRE_ESTABLISHED]:
        return _refuse(channel, _REJECTED_PERMANENT, _USER)
    if a is None:
        a = places.free(server, config, channel)
        if a is None:
            return _refuse(channel, _REJECTED_TRANSIENT, _PROVIDER)
        a.channel = channel
        a.client_sap = client_sap
        a.server_sap = server_sap
    channel.last = a
    n = judge(a, config, aarq, _INITIATE, buf, confirmed)
    if a.state == _IDLE:
        channel.last = None
    return n


def _refuse(channel, result, source):
    tx = channel.tx
    pos = acse.put_aare_head(tx, _HEADROOM, _LN_CONTEXT, result, source, _NO_REASON_GIVEN)
    pos = put_user_information(tx, pos, 0, -1, 0, channel.max_receive_pdu)
    return channel.reply(acse.put_aare(tx, _HEADROOM, pos), pos)


def release(channel, a, client_sap, server_sap, buf, pos, end):
    """Serve an RLRQ in plain text, also without an association: the client wants to have none,
    and has none. But a pre-established one it always has: that is not finished."""
    if acse.rlrq_information(buf, pos, end) < 0:
        return exceptions.malformed(channel)
    if a is None:
        config = channel.server.config(client_sap, server_sap)
    else:
        config = a.config
        a.event(_RLRQ_RECEIVED)
        channel.last = None
    always = config is not None and config[_PRE_ESTABLISHED]
    reason = _NOT_FINISHED if always else _NORMAL_RELEASE
    return channel.reply(_HEADROOM, acse.put_rlre(channel.tx, _HEADROOM, reason))


def judge(a, config, aarq, request, buf, confirmed):
    """Judge an AARQ (parsed) and write the AARE at channel.tx; returns its length, or -1: the
    server has work to do first, and the same AARQ is to come again.

    config is None when no association is defined for this client here. confirmed 0: the AARQ came
    in a frame that nobody answers, and can open unconfirmed associations only.
    """
    channel = a.channel
    a.protection = 0
    security = a.server.secured
    context = security.context_of(config) if security is not None else None
    # Whatever has to be done first is asked for before anything is deciphered.
    by_hls = config is not None and config[_MECHANISM] > _MECHANISM_LLS
    if by_hls and not security.has_random():
        return -1
    if context is not None and not security.has_counters(context):
        return -1
    if by_hls and not security.has_certificate(config, aarq, buf):
        return -1
    source = _USER
    diagnostic = _acse_diagnostic(a, config, aarq, buf)
    pos = aarq.user_information_pos
    end = aarq.user_information_end
    wrong = 0
    if not diagnostic and context is not None and pos < end:
        if security.is_protected(buf[pos]):
            wrong = security.unprotect(a, context, buf, aarq.title_pos, buf, pos, end)
            if wrong < 0:
                return -1
            if not wrong:
                pos = a.plain_pos
                end = a.plain_end
        elif context.needs_request:
            diagnostic = _AUTHENTICATION_REQUIRED
    result = _REJECTED_PERMANENT
    if not diagnostic and a.server.guard.is_locked(a, config):
        # The same for the right and the wrong ones, and as when there is no room.
        result = _REJECTED_TRANSIENT
        diagnostic = _NO_REASON_GIVEN
        source = _PROVIDER
    elif wrong == _NOT_POSSIBLE and context.failed:
        diagnostic = _NO_REASON_GIVEN
    elif wrong:
        diagnostic = _failed(a, config)
    elif not diagnostic:
        diagnostic = _authentication(a, config, aarq, buf)
    elif diagnostic < 0:
        diagnostic = _NO_COMMON_ACSE_VERSION
        source = _PROVIDER
    initiate_error = 0
    parsed = request.parse(buf, pos, end)
    if not diagnostic:
        initiate_error = _initiate_error(a, config, context, request, parsed)
        if initiate_error or (by_hls if not request.response_allowed else not confirmed & 1):
            # Unconfirmed, nobody can prove anything by HLS.
            diagnostic = _NO_REASON_GIVEN
    conformance = 0
    if config:
        conformance = request.conformance & get_small_u32(config[_CONFORMANCE], 0)
    size = config[_MAX_PDU] if config else channel.max_receive_pdu
    if diagnostic:
        a.event(_AARQ_REJECTED)
    else:
        result = _ACCEPTED
        if not by_hls:
            a.server.guard.passed(a, config)
        a.event(_AARQ_PENDING if by_hls else _AARQ_ACCEPTED)
        channel.gate.opened = True
        a.configure(config)
        a.confirmed = request.response_allowed
        a.user = aarq.user_id
        a.conformance = conformance
        a.max_pdu = request.max_pdu
        a.limit = channel.max_pdu
        if request.max_pdu and request.max_pdu < a.limit:
            a.limit = request.max_pdu
        if a.secures:
            a.opened(context, by_hls, aarq, request, buf)
        if by_hls:
            diagnostic = _AUTHENTICATION_REQUIRED
    if parsed and not request.response_allowed:
        return 0
    # The AARE: what has a fixed place, what only some have, and the user-information.
    tx = channel.tx
    pos = acse.put_aare_head(
        tx,
        _HEADROOM,
        aarq.context if aarq.context > 0 else _LN_CONTEXT,
        result,
        source,
        diagnostic,
    )
    if result == _ACCEPTED:
        if config[_CONTEXT] >= _LN_CIPHERED_CONTEXT or config[_MECHANISM] >= _SYSTEM_TITLES:
            pos = acse.put_title(tx, pos, a.model.system_title)
            if by_hls and a.certificate:
                # Who sends a certificate hears ours.
                pos = security.put_certificate(a, tx, pos)
        if by_hls:
            pos = acse.put_mechanism(tx, pos, config[_MECHANISM], a.n_stoc)
            pos = security.hls.put_challenge(a, tx, pos)
    pos = put_information(
        a,
        # A refusal is plain, and takes no counter: anybody can ask for any number of them.
        None if result else a.context,
        tx,
        pos,
        initiate_error,
        request.qos if parsed else -1,
        conformance,
        min(size, channel.max_receive_pdu),
        config is not None and config[_CONTEXT] & 1 == 0,
    )
    if pos < 0:
        a.event(_ABORTED)
        return 0
    return channel.reply(acse.put_aare(tx, _HEADROOM, pos), pos)


def put_information(a, context, tx, pos, initiate_error, qos, conformance, max_pdu, short):
    """Write the user-information of an AARE or RLRE, protected as the request's was; its end, or
    -1: no counter is left."""
    kinds = a.protection
    needed = 0
    if context is not None:
        # Nothing here is signed: a job would have to, and there is no association yet.
        needed = (kinds | context.needs_response) & _CIPHERED
    if not needed:
        return put_user_information(tx, pos, initiate_error, qos, conformance, max_pdu, short)
    # Room for four octets of the field and the header of the protection.
    start = pos
    if not kinds:
        a.form = _GLO
    pos += 4 + (_GENERAL_ROOM if a.form == _IDENTIFIED else _HEADER_ROOM)
    if pos + _REST > len(tx):
        return -1
    if initiate_error:
        end = initiate.put_error(tx, pos, _INITIATE_ERROR_CLASS, initiate_error)
    else:
        end = initiate.put_response(tx, pos, qos, conformance, max_pdu, short)
    head = a.server.secured.protect(a, context, needed, tx, pos, end)
    if head < 0:
        return -1
    n = a.plain_end - head
    copy(tx, start + 4, tx, head, n)
    return start + put_information_head(tx, start, n)


def _acse_diagnostic(a, config, aarq, buf):
    """0, a diagnostic of the ACSE service user, or -1: no common version."""
    if not aarq.version_1:
        return -1
    if aarq.context != (_LN_CONTEXT if config is None else config[_CONTEXT]):
        return _APPLICATION_CONTEXT_NOT_SUPPORTED
    if config is None:
        return _NO_REASON_GIVEN
    title = a.model.system_title
    n_title = aarq.title_end - aarq.title_pos
    needed = config[_CONTEXT] >= _LN_CIPHERED_CONTEXT or config[_MECHANISM] >= _SYSTEM_TITLES
    if n_title != _SYSTEM_TITLE_LEN and (aarq.title_end or needed):
        return _CALLING_AP_TITLE_NOT_RECOGNISED
    if n_title and compare(title, 0, buf, aarq.title_pos, n_title) == 0:
        # What this meter has protected would come back to it as the client's.
        return _CALLING_AP_TITLE_NOT_RECOGNISED
    if aarq.called_title_end and (
        aarq.called_title_end - aarq.called_title_pos != len(title)
        or compare(title, 0, buf, aarq.called_title_pos, len(title)) != 0
    ):
        return _CALLED_AP_TITLE_NOT_RECOGNISED
    if aarq.certificate_end and config[_MECHANISM] != _MECHANISM_ECDSA:
        return _CALLING_AE_QUALIFIER_NOT_RECOGNISED
    if aarq.not_recognised:
        return aarq.not_recognised
    row = config[_ROW]
    if not _is_user(a, row, aarq.user_id):
        return _CALLING_AE_INVOCATION_ID_NOT_RECOGNISED
    return 0


def _is_user(a, row, user_id):
    """As the class has it, which does not sleep where there are users."""
    handler = a.model.handler_of(row)
    return handler is None or handler.is_user(row, user_id)


def _authentication(a, config, aarq, buf):
    """0, or a diagnostic of the ACSE service user."""
    wanted = config[_MECHANISM]
    offered = aarq.mechanism
    if offered == -1:
        # No mechanism name: the lowest level, unless a secret came without its name.
        if wanted or aarq.authentication_end:
            return _MECHANISM_NAME_REQUIRED
        return 0
    if offered != wanted:
        # The lowest level, by its name, where more is asked for.
        if offered == _MECHANISM_LOWEST:
            return _AUTHENTICATION_REQUIRED
        return _MECHANISM_NAME_NOT_RECOGNISED
    if wanted == _MECHANISM_LOWEST:
        return 0
    n = aarq.authentication_end - aarq.authentication_pos
    if wanted == _MECHANISM_LLS:
        if _is_secret(a, config[_ROW], buf, aarq.authentication_pos, n):
            return 0
        return _failed(a, config)
    hls = a.server.secured.hls
    if not hls.exists(wanted, a.model, a.server.secured.context_of(config)):
        return _MECHANISM_NAME_NOT_RECOGNISED
    if not hls.challenge_is_good(wanted, n):
        return _failed(a, config)
    return 0


def _failed(a, config):
    a.server.authentication_failed(a, config)
    return _AUTHENTICATION_FAILURE


def _is_secret(a, row, buf, pos, n_said):
    """Constant-time comparison with the secret of the association object."""
    model = a.model
    at = model.slot(row, model.secret(row))
    src = model.image
    if at < 0 or src[at] != _OCTET_STRING:
        return False
    n = src[at + 1]
    # A secret of no length opens nothing. The length is not secret.
    if n == 0 or n > 127 or n != n_said:
        return False
    return same(src, at + 2, buf, pos, n) != 0


def _initiate_error(a, config, context, request, parsed):
    """0 or the value of a confirmedServiceError initiateError."""
    if not parsed:
        return _REFUSED_BY_VDE_HANDLER
    n = request.dedicated_key_end - request.dedicated_key_pos
    if n and a.protection & 2 and n != context.key_len():
        return _REFUSED_BY_VDE_HANDLER
    if request.version < _DLMS_VERSION:
        return _DLMS_VERSION_TOO_LOW
    if not request.conformance & get_small_u32(config[_CONFORMANCE], 0):
        return _INCOMPATIBLE_CONFORMANCE
    if 0 < request.max_pdu < _SMALLEST_PDU:
        return _PDU_SIZE_TOO_SHORT
    return 0


def put_user_information(tx, pos, initiate_error, qos, conformance, max_pdu, short=False):
    """Write the user-information of an AARE; returns its end."""
    start = pos
    if initiate_error:
        pos = initiate.put_error(tx, pos + 4, _INITIATE_ERROR_CLASS, initiate_error)
    else:
        pos = initiate.put_response(tx, pos + 4, qos, conformance, max_pdu, short)
    return start + put_information_head(tx, start, pos - start - 4)


def put_information_head(tx, pos, n):
    """Write what comes in front of n octets (less than 126) of user-information at tx[pos:pos+4];
    returns the length of all."""
    tx[pos] = 0xBE
    tx[pos + 1] = n + 2
    tx[pos + 2] = 0x04
    tx[pos + 3] = n
    return n + 4
