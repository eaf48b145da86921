# SPDX-License-Identifier: MIT
"""Digital signatures, and whose keys they are made with (IEC 62056-5-3, 5.3.3 and 5.6): for jobs
between two requests (see secured.py), which may allocate and take their time.

Functions that are said to be generators are run with `yield from`; each step is a short one.
`setup` is the row of a Security setup object: its suite says the curve, its records in
model.vault (firmware/vault.py) are the certificates and private keys. Whoever is in the vault is
trusted: trust anchors come by provisioning, others are verified before they are put there.
"""

from crypto import hashes
from crypto.certificate import SIGNS, SIGNS_CERTIFICATES, Certificate
from micropython import const

# certificate_entity and certificate_type of Security setup.
_SERVER = const(0)
_CLIENT = const(1)
_AUTHORITY = const(2)
_DIGITAL_SIGNATURE = const(0)

_LONGEST_PATH = const(8)  # of authorities

_SECURITY_SUITE = const(3)
_INVALID = const(1)  # clock status
_UNKNOWN = const(-1)


def run(work):
    """Generator: all steps of work of crypto.ec; returns its result."""
    while work.step():
        yield
    return work.result


def curve(model, setup):
    """Name of the curve of a Security setup object's suite, or None: suite 0 has none."""
    return (None, "P-256", "P-384")[model.get_int(setup, _SECURITY_SUITE)]


def digest(model, name, parts):
    """The hash that goes with a curve, of octets."""
    h = hashes.new("sha256" if name == "P-256" else "sha384", model.new_hash)
    for part in parts:
        h.update(part)
    return h.digest()


def size(name):
    """Octets of a private key; a public key and a signature have twice as many."""
    return 32 if name == "P-256" else 48


def now(model):
    """Minutes since 2000-01-01 00:00 UTC, or -1: the clock does not know."""
    clock = model.handler("clock")
    return _UNKNOWN if clock is None or clock.flags & _INVALID else clock.minute


def read(model, octets):
    """The Certificate in octets, or None: it is none, or not valid now. A clock that does not
    know the time cannot say that one has expired."""
    c = Certificate()
    if c.read(octets, 0, len(octets)):
        return None
    minute = now(model)
    if minute != _UNKNOWN and not c.not_before <= minute <= c.not_after:
        return None
    return c


def stored(model):
    """Octets of the certificate that the vault has found last."""
    vault = model.vault
    return bytes(vault.record[vault.pos : vault.end])


def own(model, setup, kind):
    """Our private key, or None."""
    vault = model.vault
    if vault is None or not vault.find(setup, _SERVER, kind, None) or vault.pos == vault.end:
        return None
    return vault.private() or None


def public_key(model, setup, entity, kind, title):
    """The public key of another party's certificate that is valid now, or None."""
    vault = model.vault
    if vault is None or not vault.find(setup, entity, kind, title):
        return None
    c = read(model, stored(model))
    return c.key if c is not None and c.curve == curve(model, setup) else None


def verify(model, setup, octets):
    """Generator: the Certificate in octets, signed by an authority of the vault, or None."""
    c = read(model, octets)
    name = curve(model, setup)
    if c is None or model.vault is None or c.curve != name:
        return None
    issuer = octets[c.issuer[0] : c.issuer[1]]
    made = None
    k = 0
    while model.vault.nth(setup, k):
        k += 1
        if model.vault.entity != _AUTHORITY:
            continue
        held = stored(model)
        yield
        a = read(model, held)
        if (
            a is None
            or a.curve != name
            or not a.is_authority
            or not a.usage & SIGNS_CERTIFICATES
            or held[a.subject[0] : a.subject[1]] != issuer
        ):
            continue
        if c.is_authority and octets != held and not (yield from _reaches(model, setup, held)):
            continue
        made = made or digest(model, name, (octets[c.tbs[0] : c.tbs[1]],))
        work = model.elliptic(name)
        work.verify(a.key, made, c.signature)
        if (yield from run(work)):
            return c
    return None


def _reaches(model, setup, octets):
    """Generator: may an authority come after this one, by its path length and those above it?"""
    n = 0
    while octets is not None:
        c = Certificate()
        c.read(octets, 0, len(octets))
        if 0 <= c.path_length <= n or n > _LONGEST_PATH:
            return False
        n += 1
        issuer = octets[c.issuer[0] : c.issuer[1]]
        if octets[c.subject[0] : c.subject[1]] == issuer:
            return True
        octets = None
        k = 0
        while octets is None and model.vault.nth(setup, k):
            k += 1
            if model.vault.entity == _AUTHORITY:
                held = stored(model)
                yield
                c.read(held, 0, len(held))
                if held[c.subject[0] : c.subject[1]] == issuer:
                    octets = held
    return False


def sign(model, setup, parts):
    """Generator: our signature of octets, or None: there is no key for one."""
    private = own(model, setup, _DIGITAL_SIGNATURE)
    if private is None:
        return None
    name = curve(model, setup)
    extra = bytearray(size(name))
    model.random_fill(extra)
    work = model.elliptic(name)
    work.sign(private, digest(model, name, parts), extra)
    return (yield from run(work))


def is_signed(model, setup, title, parts, signature, certificate=b""):
    """Generator: 1 if a signature of octets is that of the client with a system title, whose
    certificate is in the vault, or was sent."""
    name = curve(model, setup)
    if name is None or len(signature) != 2 * size(name):
        return 0
    if certificate:
        key = yield from _sent(model, setup, title, certificate)
    else:
        key = public_key(model, setup, _CLIENT, _DIGITAL_SIGNATURE, title)
    if key is None:
        return 0
    work = model.elliptic(name)
    work.verify(key, digest(model, name, parts), signature)
    return (yield from run(work))


def _sent(model, setup, title, certificate):
    """Generator: the key of a certificate that the client itself has sent, or None.

    Where the vault knows clients, it has to be of one of them: the same authority certifies other
    clients and meters, too. Where it knows none, anybody is whom the authority has certified."""
    vault = model.vault
    if vault is not None:
        if vault.find(setup, _CLIENT, _DIGITAL_SIGNATURE, title):
            if stored(model) == certificate:
                return public_key(model, setup, _CLIENT, _DIGITAL_SIGNATURE, title)
        elif vault.find(setup, _CLIENT, _DIGITAL_SIGNATURE, None):
            return None
    c = yield from verify(model, setup, certificate)
    if c is None or c.title != title or not c.usage & SIGNS:
        return None
    return c.key
