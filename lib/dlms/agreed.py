# SPDX-License-Identifier: MIT
"""Keys that two sides agree, and signatures, by the elliptic curve of the suite (IEC 62056-5-3,
5.3.3 and 5.3.4): P-256 with SHA-256 in suite 1, P-384 with SHA-384 in suite 2.

    one-pass, C(1e, 1s)         an ephemeral key of whoever sends, signed by it; the static key of
                                whoever receives
    static unified, C(0e, 2s)   the static keys of both; the transaction-id makes each key another

Generators: they yield between steps of at most 50 ms, and allocate. Keys come from certificates of
the vault and private keys beside them (certificates.py): None where one is missing.
"""

from crypto import hashes, kdf
from dlms import certificates
from micropython import const

ONE_PASS = 1
STATIC = 2

# Entities and kinds of certificates.
_CLIENT = const(1)
_SIGNATURE = const(0)
_KEY_AGREEMENT = const(1)

_CURVES = ("", "P-256", "P-384")
_HASHES = ("", "sha256", "sha384")
_ALGORITHMS = (b"", kdf.AES_GCM_128, kdf.AES_GCM_256)


def size(context):
    """Octets of a number of the curve; 0: the suite has none."""
    return (0, 32, 48)[context.suite]


def digest(model, context, parts):
    h = hashes.new(_HASHES[context.suite], model.new_hash)
    for part in parts:
        h.update(part)
    return h.digest()


def verify(model, context, client, parts, signature):
    """1: `signature` is that of the client with this system title over the parts; else 0."""
    public = certificates.public_key(model, context.row, _CLIENT, _SIGNATURE, client)
    if public is None or len(signature) != 2 * size(context):
        return 0
    work = model.elliptic(_CURVES[context.suite])
    work.verify(public, digest(model, context, parts), signature)
    yield from certificates.run(work)
    return work.result


def sign(model, context, parts):
    """The meter's signature over the parts, or None."""
    private = certificates.own(model, context.row, _SIGNATURE)
    if private is None:
        return None
    work = model.elliptic(_CURVES[context.suite])
    work.sign(private, digest(model, context, parts))
    yield from certificates.run(work)
    return work.result


def _agree(model, context, private, public):
    if private is None or public is None:
        return None
    work = model.elliptic(_CURVES[context.suite])
    work.agree(private, public)
    yield from certificates.run(work)
    return work.result


def derive(model, context, z, originator, transaction, recipient):
    """The key of one message. transaction: with the octet of its length, for static unified."""
    return kdf.derive(
        _HASHES[context.suite],
        model.new_hash,
        z,
        _ALGORITHMS[context.suite],
        originator + transaction,
        recipient,
    )


def shared(model, context, client):
    """z of the static keys of both sides, or None."""
    private = certificates.own(model, context.row, _KEY_AGREEMENT)
    public = certificates.public_key(model, context.row, _CLIENT, _KEY_AGREEMENT, client)
    return (yield from _agree(model, context, private, public))


def receive(model, context, client, data):
    """z of a one-pass agreement that the client began: data is its ephemeral key and signature;
    None: something is wrong with them."""
    n = 2 * size(context)
    if len(data) != 2 * n:
        return None
    if not (yield from verify(model, context, client, (data[:n],), data[n:])):
        return None
    private = certificates.own(model, context.row, _KEY_AGREEMENT)
    return (yield from _agree(model, context, private, data[:n]))


def begin(model, context, client):
    """(z, data) of a one-pass agreement that the meter begins, or None."""
    public = certificates.public_key(model, context.row, _CLIENT, _KEY_AGREEMENT, client)
    if public is None:
        return None
    work = model.elliptic(_CURVES[context.suite])
    work.generate(model.random_fill)
    yield from certificates.run(work)
    n = size(context)
    private, ephemeral = work.result[:n], work.result[n:]
    signature = yield from sign(model, context, (ephemeral,))
    if signature is None:
        return None
    z = yield from _agree(model, context, private, public)
    return None if z is None else (z, ephemeral + signature)
