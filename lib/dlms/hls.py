# SPDX-License-Identifier: MIT
"""High level security: the four passes (IEC 62056-5-3, 4.6 and 5.3.2), server side.

    pass 1, 2   challenges in AARQ and AARE: CtoS of the client, StoC of the server
    pass 3, 4   reply_to_HLS_authentication of Association LN: f(StoC), and f(CtoS) as its answer

What each mechanism computes is a row of _HASHES, or GMAC below. Challenges, and what is computed
in advance, lie at the start of the association's work buffer: an association that is not open yet
has no long transfers. Hashes allocate, so they are computed between two requests (compute());
GMAC does not. Signatures are a job (ecdsa()).

Mechanism 2 is the manufacturer's: model.manufacturer_hls is a pair of functions (expected, reply)
of (secret, client's system title or zeros, server's, StoC, CtoS), which give f(StoC) and f(CtoS),
one as long as the other, 1 to 32 octets; None: this meter has no such mechanism.
"""

from dlms import exceptions
from dlms.prim import compare, copy, same
from micropython import const

# The ACTION of pass 3: reply_to_HLS_authentication of the current association, with a parameter.
_ACTION_REQUEST = const(0xC3)
_ACTION_RESPONSE = const(0xC7)
_ACTION_NORMAL = const(1)
_REPLY_TO_HLS = b"\x00\x0f\x00\x00\x28\x00\x00\xff\x01\x01\x09"
_REPLY_TO_HLS_LEN = const(11)
_READ_WRITE_DENIED = const(3)
_OCTET_STRING = const(9)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)
# State and events of association.py.
_IDLE = const(0)
_HLS_PASSED = const(4)
_HLS_FAILED = const(5)
_PASS_3 = const(4)  # what a job is about, see secured_association.py
_MECHANISM = const(3)  # field of a row of ASSOCIATIONS in the definition

_MANUFACTURERS = const(2)
_MD5 = const(3)
_SHA1 = const(4)
_GMAC = const(5)
_SHA256 = const(6)
_ECDSA = const(7)

# Places in the work buffer.
_CTOS = const(0)
_STOC = const(64)
_EXPECTED = const(128)
_REPLY = const(160)

_SHORTEST = const(8)
_LONGEST = const(64)
_SHORTEST_OF_OURS = const(16)
_LONGEST_DIGEST = const(32)
_SHORTEST_SIGNED = const(32)

_COUNTER_LEN = const(4)
_GMAC_LEN = const(17)  # security control, invocation counter, tag
_TAG_LEN = const(12)
_AUTHENTICATED = const(0x10)

_NAMES = {_MD5: "md5", _SHA1: "sha1", _SHA256: "sha256"}


def exists(mechanism, model, context):
    """Is it a mechanism that the meter, and the association's suite, has?"""
    if mechanism == _MANUFACTURERS:
        return model.manufacturer_hls is not None
    if mechanism == _ECDSA:
        return context is not None and context.suite > 0
    return _MD5 <= mechanism <= _SHA256


def challenge_is_good(mechanism, n):
    return (_SHORTEST_SIGNED if mechanism == _ECDSA else _SHORTEST) <= n <= _LONGEST


def begin(a, buf, pos, end, random):
    """Keep the client's challenge buf[pos:end], and make ours of octets that nobody can guess."""
    n = end - pos
    work = a.work
    copy(work, _CTOS, buf, pos, n)
    a.n_ctos = n
    a.n_stoc = n if n > _SHORTEST_OF_OURS else _SHORTEST_OF_OURS
    copy(work, _STOC, random, 0, a.n_stoc)
    a.ready = a.config[_MECHANISM] == _GMAC or a.config[_MECHANISM] == _ECDSA


def put_challenge(a, tx, pos):
    """StoC, at tx[pos:]; returns its end."""
    copy(tx, pos, a.work, _STOC, a.n_stoc)
    return pos + a.n_stoc


def compute(a, secret, title, new_hash):
    """Between two requests: what the client has to say, and what it will hear. Allocates."""
    work = a.work
    ctos = bytes(work[_CTOS : _CTOS + a.n_ctos])
    stoc = bytes(work[_STOC : _STOC + a.n_stoc])
    mechanism = a.config[_MECHANISM]
    client = bytes(a.title)
    if not secret:
        # One of no length opens nothing.
        a.n_digest = 0
        a.ready = True
        return
    if mechanism == _MANUFACTURERS:
        expected, reply = [f(secret, client, title, stoc, ctos) for f in a.model.manufacturer_hls]
        n = len(expected)
        good = n == len(reply) and n <= _LONGEST_DIGEST
        a.n_digest = n if good else 0
        if good:
            work[_EXPECTED : _EXPECTED + n] = expected
            work[_REPLY : _REPLY + n] = reply
        a.ready = True
        return
    if mechanism == _SHA256:
        expected = (secret, client, title, stoc, ctos)
        reply = (secret, title, client, ctos, stoc)
    else:
        expected = (stoc, secret)
        reply = (ctos, secret)
    from crypto import hashes

    for at, parts in ((_EXPECTED, expected), (_REPLY, reply)):
        h = hashes.new(_NAMES[mechanism], new_hash)
        for part in parts:
            h.update(part)
        digest = h.digest()
        work[at : at + len(digest)] = digest
        a.n_digest = len(digest)
    a.ready = True


def ecdsa(a, setup, title, signature):
    """Generator: (1, f(CtoS)) if signature is f(StoC), or (0, b""). setup: row of the Security
    setup object, title: ours. Allocates."""
    from dlms import certificates

    work = a.work
    model = a.model
    client = bytes(a.title)
    ctos = bytes(work[_CTOS : _CTOS + a.n_ctos])
    stoc = bytes(work[_STOC : _STOC + a.n_stoc])
    good = ctos != stoc and (
        yield from certificates.is_signed(
            model, setup, client, (client, title, stoc, ctos), signature, a.certificate
        )
    )
    reply = None
    if good:
        reply = yield from certificates.sign(model, setup, (title, client, ctos, stoc))
    return (1, reply) if reply else (0, b"")


def passes(a, key, suite, buf, pos, end):
    """1: buf[pos:end] is f(StoC); 0: it is not; -1: counters have to be saved first.

    key: the Key of GMAC, else None. Its counter may be that of the request around it, or one in
    front of that, but none that an earlier request had.
    """
    n = end - pos
    work = a.work
    # Both challenges the same: whoever reflects ours knows nothing.
    if a.n_ctos == a.n_stoc and compare(work, _CTOS, work, _STOC, a.n_ctos) == 0:
        return 0
    if a.config[_MECHANISM] != _GMAC:
        return 1 if 0 < n == a.n_digest and same(work, _EXPECTED, buf, pos, n) else 0
    if key is None or n != _GMAC_LEN or buf[pos] != _AUTHENTICATED | suite:
        return 0
    before = key.rx_before if a.protection else key.rx
    if compare(buf, pos + 1, before, 0, _COUNTER_LEN) < 0:
        return 0
    g = key.start(a.title, 0, buf, pos)
    g.aad(work, _STOC, _STOC + a.n_stoc)
    if not g.decrypt(buf, end, end, buf, pos + 5, _TAG_LEN):
        return 0
    if compare(buf, pos + 1, key.rx, 0, _COUNTER_LEN) >= 0:
        if compare(buf, pos + 1, key.rx_end, 0, _COUNTER_LEN) >= 0:
            a.server.secured.wants_counters(a.context, key, buf, pos + 1)
            return -1
        key.took(a.model.image, buf, pos + 1)
    return 1


def put_reply(a, key, suite, title, tx, pos):
    """f(CtoS) at tx[pos:]; returns its end, or -1: no counter is left."""
    if a.config[_MECHANISM] != _GMAC:
        copy(tx, pos, a.work, _REPLY, a.n_digest)
        return pos + a.n_digest
    if key.exhausted():
        return -1
    tx[pos] = _AUTHENTICATED | suite
    # As of a message of which only additional data exist: the challenge.
    end = pos + 5
    copy(tx, end, a.work, _CTOS, a.n_ctos)
    n = key.authenticate(title, tx, end, end + a.n_ctos)
    copy(tx, end, tx, n - _TAG_LEN, _TAG_LEN)
    return end + _TAG_LEN


def pass_3(security, channel, a, buf, pos, end):
    """Serve buf[pos:end] in an association that waits for it: nothing but
    reply_to_HLS_authentication is, until it has been done right."""
    server = channel.server
    short = None
    if a.own_name:
        short = server.part("dlms.short_names")
        if short is None:
            return -1
    at = _proof(buf, pos, end) if short is None else short.proof(a, buf, pos, end)
    if at < 0 or buf[at] != end - at - 1:
        if short is not None:
            return short.not_yet(channel, buf[pos])
        return exceptions.no_association(channel, buf[pos])
    context = a.context or security.context_of(a.config)
    key = context.unicast if context is not None else None
    suite = context.suite if context is not None else 0
    by_job = a.config[_MECHANISM] == _ECDSA
    if by_job:
        good = a.code if a.asks else a.ask(_PASS_3, buf, at + 1, end)
    else:
        good = passes(a, key, suite, buf, at + 1, end)
    if good < 0:
        return -1
    tx = channel.tx
    start = _HEADROOM
    tx[start] = _ACTION_RESPONSE
    tx[start + 1] = _ACTION_NORMAL
    tx[start + 2] = buf[pos + 2]
    after = -1
    if good and by_job:
        after = start + 8 + len(a.octets)
        copy(tx, start + 8, a.octets, 0, len(a.octets))
    elif good:
        after = put_reply(a, key, suite, a.model.system_title, tx, start + 8)
    if after < 0:
        server.authentication_failed(a, a.config)
        a.event(_HLS_FAILED)
        if a.state == _IDLE:
            channel.last = None
        if short is not None:
            return short.pass_4(channel, buf[pos], start + 8, -1)
        tx[start + 3] = _READ_WRITE_DENIED
        tx[start + 4] = 0
        return channel.reply(start, start + 5)
    server.guard.passed(a, a.config)
    a.event(_HLS_PASSED)
    if short is not None:
        return short.pass_4(channel, buf[pos], start + 8, after)
    tx[start + 3] = 0
    tx[start + 4] = 1
    tx[start + 5] = 0
    tx[start + 6] = _OCTET_STRING
    tx[start + 7] = after - start - 8
    return channel.reply(start, after)


def _proof(buf, pos, end):
    """Where the length of f(StoC) is, if this is the ACTION of pass 3; else -1."""
    if (
        end - pos < 4 + _REPLY_TO_HLS_LEN
        or buf[pos] != _ACTION_REQUEST
        or buf[pos + 1] != _ACTION_NORMAL
        or compare(buf, pos + 3, _REPLY_TO_HLS, 0, _REPLY_TO_HLS_LEN) != 0
    ):
        return -1
    return pos + 3 + _REPLY_TO_HLS_LEN
