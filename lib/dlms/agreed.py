# SPDX-License-Identifier: MIT
"""Keys that two sides agree (IEC 62056-5-3, 5.3.3 and 5.3.4), by the curve of the suite.

    one-pass, C(1e, 1s)         an ephemeral key of whoever sends, signed by it; the static key of
                                whoever receives
    static unified, C(0e, 2s)   the static keys of both; the transaction-id makes each key another

z is what both sides compute: the x coordinate of the shared point. receive(), begin() and shared()
are generators: they yield between steps of at most 50 ms. All allocate. Static keys are those of
certificates for key agreement in the vault; None where one is missing.
"""

from crypto import kdf
from dlms import certificates
from micropython import const

_CLIENT = const(1)  # certificate_entity
_KEY_AGREEMENT = const(1)  # certificate_type

_ALGORITHMS = {"P-256": kdf.AES_GCM_128, "P-384": kdf.AES_GCM_256}
_HASHES = {"P-256": "sha256", "P-384": "sha384"}


def derive(model, setup, z, originator, transaction, recipient):
    """The key of one message. transaction: with the octet of its length, for static unified, else
    nothing."""
    name = certificates.curve(model, setup)
    return kdf.derive(
        _HASHES[name], model.new_hash, z, _ALGORITHMS[name], originator + transaction, recipient
    )


def _of_client(model, setup, client):
    return certificates.public_key(model, setup, _CLIENT, _KEY_AGREEMENT, client)


def _agree(model, setup, private, public):
    if private is None or public is None:
        return None
    work = model.elliptic(certificates.curve(model, setup))
    work.agree(private, public)
    return (yield from certificates.run(work))


def shared(model, setup, client):
    """z of the static keys of both sides, or None."""
    private = certificates.own(model, setup, _KEY_AGREEMENT)
    return (yield from _agree(model, setup, private, _of_client(model, setup, client)))


def receive(model, setup, client, data, certificate=b""):
    """z of a one-pass agreement that the client began: data is its ephemeral key and signature;
    None: something is wrong with them."""
    n = 2 * certificates.size(certificates.curve(model, setup))
    if len(data) != 2 * n:
        return None
    good = yield from certificates.is_signed(
        model, setup, client, (data[:n],), data[n:], certificate
    )
    if not good:
        return None
    private = certificates.own(model, setup, _KEY_AGREEMENT)
    return (yield from _agree(model, setup, private, data[:n]))


def begin(model, setup, client):
    """(z, data) of a one-pass agreement that the meter begins, or None."""
    public = _of_client(model, setup, client)
    if public is None:
        return None
    name = certificates.curve(model, setup)
    work = model.elliptic(name)
    work.generate(model.random_fill)
    made = yield from certificates.run(work)
    n = certificates.size(name)
    signature = yield from certificates.sign(model, setup, (made[n:],))
    if signature is None:
        return None
    z = yield from _agree(model, setup, made[:n], public)
    return None if z is None else (z, made[n:] + signature)
