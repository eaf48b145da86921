# SPDX-License-Identifier: MIT
"""Requests in associations that cipher, or that wait for pass 3 of the authentication.

They are deciphered, held against security_policy, served as others are, and the answer is
protected in the form of the request, with what request and policy ask for (IEC 62056-5-3, 5.3).
Nothing is allocated. -1: the server has work to do first, and the same octets are to come again.
A meter without security does not load this, nor what it imports: server.py and opening.py reach
ciphering and hls through it.
"""

from dlms import acse, ciphering, exceptions, hls
from dlms.prim import compare
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


def request(server, channel, a, buf, pos, end):
    """A request in an association that ciphers, or that waits for pass 3."""
    context = a.context
    a.form = a.protection = 0
    tag = buf[pos]
    if context is not None and not server.has_counters(context):
        return -1
    if tag == _RLRQ:
        return release(server, channel, a, buf, pos, end)
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
        n = _pass_3(server, channel, a, buf, pos, end)
    elif tag >= _GET_REQUEST:
        n = server.service(channel, a, buf, pos, end)
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
    title = server.model.system_title
    start = ciphering.protect(a, context, title, kinds, channel.tx, start, start + n)
    return channel.reply(start, a.plain_end) if start >= 0 else exceptions.failed(channel)


def _pass_3(server, channel, a, buf, pos, end):
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
    context = a.context or server.context_of(a.config)
    key = context.unicast if context is not None else None
    good = hls.passes(a, key, buf, at + 1, end)
    if good < 0:
        return -1
    tx = channel.tx
    start = _HEADROOM
    tx[start] = _ACTION_RESPONSE
    tx[start + 1] = _ACTION_NORMAL
    tx[start + 2] = buf[pos + 2]
    after = -1
    if good:
        suite = context.suite if context is not None else 0
        after = hls.put_reply(a, key, suite, server.model.system_title, tx, start + 8)
    if after < 0:
        server.authentication_failed(a.config)
        a.event(_HLS_FAILED)
        if a.state == _IDLE:
            channel.last = None
        tx[start + 3] = _READ_WRITE_DENIED
        tx[start + 4] = 0
        return channel.reply(start, start + 5)
    a.event(_HLS_PASSED)
    tx[start + 3] = 0
    tx[start + 4] = 1
    tx[start + 5] = 0
    tx[start + 6] = _OCTET_STRING
    tx[start + 7] = after - start - 8
    return channel.reply(start, after)


def release(server, channel, a, buf, pos, end):
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
