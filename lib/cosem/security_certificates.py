# SPDX-License-Identifier: MIT
"""Methods 4 to 8 of Security setup (IEC 62056-6-2, 4.4.7): key pairs and certificates in the
vault. Loaded when a client asks for one. All allocates, in steps: generators.

A key pair that has been generated waits in the vault for its certificate: what is in use stays in
use until that comes. A new certificate takes the place of an older one of the same entity, kind
and title. What is taken: a certificate that is in date, on the curve of the suite, and signed by
an authority of the vault; it is one

    of the meter itself   its own system title, and the key of a pair that waits or is in use
    of an authority       certifies others; anchors come with provisioning only, and stay
    of a client           with another system title

whose usage says for what: signatures, key agreement, or TLS (both).

On a Cortex-M3 at 62.5 million instructions a second:

              key pair  request  import  longest step  heap held meanwhile
    P-256     0.57 s    1.3 s    2.8 s   28 ms         4.2 KiB
    P-384     1.5 s     3.4 s    7.1 s   42 ms         5.2 KiB
"""

from cosem.certificate_fields import ISSUER, SERIAL, SUBJECT, content, field, is_short
from crypto import certificate_request
from crypto.certificate import AGREES, SIGNS, SIGNS_CERTIFICATES
from crypto.der import after
from dlms import certificates
from dlms.axdr import length, length_size, put_length
from micropython import const

_GENERATE_KEY_PAIR = const(4)
_GENERATE_CERTIFICATE_REQUEST = const(5)
_IMPORT_CERTIFICATE = const(6)
_EXPORT_CERTIFICATE = const(7)

# certificate_entity and certificate_type.
_SERVER = const(0)
_CLIENT = const(1)
_AUTHORITY = const(2)
_SIGNATURE = const(0)
_AGREEMENT = const(1)
_TLS = const(2)
_OTHER = const(3)
_NONE = const(-1)
# A key pair that waits for its certificate has the kind of that, and this bit.
_WAITS = const(4)

_BY_ENTITY = const(0)
_BY_SERIAL = const(1)

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_LONGEST = const(768)
_NO_TITLE = bytes(8)


def job(model, row, method, octets):
    """A generator that returns (action_result, octets of the return data)."""
    if method == _GENERATE_KEY_PAIR:
        return (yield from _generate(model, row, octets[1]))
    if method == _GENERATE_CERTIFICATE_REQUEST:
        return (yield from _request(model, row, octets[1]))
    if method == _IMPORT_CERTIFICATE:
        return (yield from _import(model, row, _string(octets, 0)))
    yield
    result = _find(model.vault, row, octets)
    if result:
        return result, b""
    if method == _EXPORT_CERTIFICATE:
        vault = model.vault
        return _SUCCESS, _octet_string(vault.record[vault.pos : vault.end])
    return _remove(model.vault), b""


def _string(octets, at):
    """Content of the octet-string at octets[at:]; None: there is none."""
    end = len(octets)
    if at >= end or octets[at] != 9:
        return None
    n = length(octets, at + 1, end)
    if n < 0:
        return None
    at += 1 + length_size(octets, at + 1)
    return bytes(octets[at : at + n]) if at + n <= end else None


def _octet_string(octets):
    head = bytearray(6)
    head[0] = 9
    return bytes(head[: put_length(head, 1, len(octets))] + octets)


# --- Key pairs --------------------------------------------------------------------------------


def _generate(model, row, kind):
    if kind > _TLS:
        return _TYPE_UNMATCHED, b""
    curve = certificates.curve(model, row)
    work = model.elliptic(curve)
    work.generate(model.random_fill)
    pair = yield from certificates.run(work)
    private = pair[: certificates.size(curve)]
    vault = model.vault
    # It takes the place of another one that waits.
    instead = vault.find(row, _SERVER, kind | _WAITS, None)
    good = vault.put(row, _SERVER, kind | _WAITS, model.system_title, b"", private, instead)
    return (_SUCCESS if good else _TEMPORARY_FAILURE), b""


def _request(model, row, kind):
    """For the pair that waits, else for the one in use."""
    if kind > _TLS:
        return _TYPE_UNMATCHED, b""
    vault = model.vault
    if not vault.find(row, _SERVER, kind | _WAITS, None):
        if not vault.find(row, _SERVER, kind, None):
            return _OBJECT_UNDEFINED, b""
    private = vault.private()
    curve = certificates.curve(model, row)
    work = model.elliptic(curve)
    work.public_key(private)
    public = yield from certificates.run(work)
    out = bytearray(certificate_request.LENGTH)
    pos = 4
    end = certificate_request.begin(out, pos, curve, model.system_title, public)
    work.sign(private, certificates.digest(model, curve, (bytes(out[pos:end]),)))
    signature = yield from certificates.run(work)
    pos, end = certificate_request.finish(out, pos, end, curve, signature)
    return _SUCCESS, _octet_string(out[pos:end])


# --- Import -----------------------------------------------------------------------------------


def _import(model, row, octets):
    if len(octets) > _LONGEST:
        return _OTHER_REASON, b""
    c = yield from certificates.verify(model, row, octets)
    if c is None or not is_short(octets, 0):
        return _OTHER_REASON, b""
    yield
    entity = _CLIENT
    title = c.title
    private = b""
    if c.is_authority:
        entity = _AUTHORITY
        title = _NO_TITLE
        kind = _SIGNATURE if c.usage & SIGNS_CERTIFICATES else _NONE
    elif title == model.system_title:
        entity = _SERVER
        kind, private = yield from _owner(model, row, c)
    else:
        kind = _kind_of(c.usage) if title is not None else _NONE
    if kind == _NONE:
        return _OTHER_REASON, b""
    if entity != _SERVER:
        # Agreement with 1 says whether a key is on the curve.
        work = model.elliptic(c.curve)
        work.agree(bytes(certificates.size(c.curve) - 1) + b"\1", c.key)
        if (yield from certificates.run(work)) is None:
            return _OTHER_REASON, b""
    vault = model.vault
    if _has(vault, row, entity, kind, octets):
        return _SUCCESS, b""
    instead = entity != _AUTHORITY and vault.find(row, entity, kind, title)
    if not vault.put(row, entity, kind, title, octets, private, instead):
        return _TEMPORARY_FAILURE, b""
    yield
    # The pair does not wait any more; if power fails before this it waits for another.
    if entity == _SERVER and vault.find(row, _SERVER, kind | _WAITS, None):
        if vault.private() == private:
            vault.remove()
    return _SUCCESS, b""


def _kind_of(usage):
    usage &= SIGNS | AGREES
    if usage == SIGNS:
        return _SIGNATURE
    if usage == AGREES:
        return _AGREEMENT
    return _TLS if usage else _NONE


def _owner(model, row, c):
    """(kind, private key) of the own pair that certificate c is about; _NONE if none is."""
    vault = model.vault
    work = model.elliptic(c.curve)
    wanted = _kind_of(c.usage)
    # A certificate for TLS may have one usage only.
    for kind in (wanted, _TLS):
        for waits in (_WAITS, 0):
            if kind == _NONE or not vault.find(row, _SERVER, kind | waits, None):
                continue
            private = vault.private()
            work.public_key(private)
            if (yield from certificates.run(work)) == c.key:
                return kind, private
    return _NONE, b""


def _has(vault, row, entity, kind, octets):
    k = 0
    while vault.nth(row, k):
        if vault.entity == entity and vault.kind == kind:
            if vault.record[vault.pos : vault.end] == octets:
                return True
        k += 1
    return False


# --- Export and removal -----------------------------------------------------------------------


def _find(vault, row, octets):
    """Go to the newest certificate that a certificate_identification names; action_result."""
    # structure {enum, structure {...}}
    if len(octets) < 8 or octets[:3] != b"\x02\x02\x16" or octets[4] != 2:
        return _TYPE_UNMATCHED
    entity = kind = -1
    title = serial = issuer = None
    if octets[3] == _BY_ENTITY and octets[5] == 3 and octets[6] == octets[8] == 0x16:
        entity = octets[7]
        kind = octets[9]
        title = _string(octets, 10)
        if title is None or len(title) not in (0, 8) or entity > _OTHER or kind > _OTHER:
            return _TYPE_UNMATCHED
        # Authorities have none.
        title = title or _NO_TITLE
    elif octets[3] == _BY_SERIAL and octets[5] == 2:
        serial = _string(octets, 6)
        if serial is not None:
            issuer = _string(octets, 7 + length_size(octets, 7) + len(serial))
        if issuer is None:
            return _TYPE_UNMATCHED
    else:
        return _TYPE_UNMATCHED
    found = -1
    k = 0
    while vault.nth(row, k):
        if vault.pos < vault.end:
            if title is None:
                same = _is_serial(vault, serial) and _element(vault, ISSUER) == issuer
            else:
                same = vault.entity == entity and vault.kind == kind and vault.title() == title
            if same:
                found = k
        k += 1
    return _SUCCESS if found >= 0 and vault.nth(row, found) else _OBJECT_UNDEFINED


def _element(vault, k, inside=False):
    at = field(vault.record, vault.pos, k)
    end = after(vault.record, at)
    return bytes(vault.record[content(vault.record, at) if inside else at : end])


def _is_serial(vault, octets):
    """Public sources do not settle in what form a client names it: as number, or as INTEGER."""
    number = _element(vault, SERIAL, True).lstrip(b"\0")
    return octets.lstrip(b"\0") == number or octets == _element(vault, SERIAL)


def _remove(vault):
    """What the meter itself is, and what it trusts, stays."""
    if vault.entity == _SERVER:
        return _READ_WRITE_DENIED
    if vault.entity == _AUTHORITY and _element(vault, ISSUER) == _element(vault, SUBJECT):
        return _READ_WRITE_DENIED
    return _SUCCESS if vault.remove() else _TEMPORARY_FAILURE
