# SPDX-License-Identifier: MIT
"""lib/cosem/certificate_fields.py: the attribute `certificates` of Security setup; and all methods
of certificates on MicroPython, with a locked heap."""

from certified import (
    AGREES, CLIENT, OTHER_TITLE, SERVER, SIGNS, Authority, Certified, Served, act, by_serial, enum,
    get, key, name, octet_string,
)  # fmt: skip
from cryptography import x509
from secure import SERVER_TITLE, take_length
from test_security_certificates import (
    DONE, EXPORT, GENERATE, OTHER_REASON, REMOVE, SUCCESS, SUITES, requested, take,
)  # fmt: skip


def listed(c):
    """Attribute 6, decoded with nothing of lib/."""
    got = get(c, 6)
    assert got[0] == 1
    at = 2
    found = []
    for _ in range(got[1]):
        assert got[at : at + 3] == b"\2\6\x16" and got[at + 4] == 0x16
        row = [got[at + 3], got[at + 5]]
        at += 6
        for _ in range(4):
            assert got[at] == 9
            n, at = take_length(got, at + 1)
            row.append(got[at : at + n])
            at += n
        found.append(tuple(row))
    assert at == len(got)
    return found


def as_listed(entity, kind, certificate):
    c = x509.load_der_x509_certificate(certificate)
    try:
        extension = c.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.public_bytes()
    except x509.ExtensionNotFound:
        names = b""
    n = c.serial_number
    serial = n.to_bytes(n.bit_length() // 8 + 1, "big")
    return entity, kind, serial, c.issuer.public_bytes(), c.subject.public_bytes(), names


@SUITES
def test_the_list_of_certificates(suite):
    meter = Certified()
    c = meter.client(suite)
    made = meter.root[suite].issue(key(suite), OTHER_TITLE, alternative="meter.example")
    assert take(c, made) == DONE
    # A pair that waits is no certificate.
    assert act(c, GENERATE, enum(AGREES)) == DONE
    records = meter.records(suite)
    assert len(records) == 5
    assert listed(c) == [as_listed(e, k, der) for e, k, _, der, _ in records if der]
    assert b"meter.example" in listed(c)[3][5]


def test_the_longest_names_that_are_taken():
    meter = Certified()
    c = meter.client(1)
    alternatives = []
    for n in range(270, 300):
        made = meter.root[1].issue(key(1), OTHER_TITLE, alternative="e" * n, serial=1 << 150)
        if take(c, made) != DONE:
            break
        alternatives.append(n)
    assert alternatives and n < 299
    assert listed(c)[3] == as_listed(CLIENT, SIGNS, meter.records(1)[3][3])
    assert b"e" * alternatives[-1] in listed(c)[3][5]


@SUITES
def test_on_micropython(micropython, tmp_path, suite):
    """With curves of our own; the heap is locked while a request is served."""
    meter = Served(micropython, tmp_path)
    c = meter.client(suite)
    csr = requested(c, AGREES)
    assert csr.is_signature_valid
    root = meter.root[suite]
    own = root.issue(csr.public_key(), SERVER_TITLE, AGREES, alternative="meter.example")
    theirs = root.issue(key(suite), OTHER_TITLE)
    assert take(c, Authority(suite).issue(key(suite), OTHER_TITLE)) == (OTHER_REASON, b"")
    assert take(c, own) == take(c, theirs) == DONE
    names = [row[4] for row in listed(c)]
    assert names[0] == name("Example root").public_bytes()
    assert listed(c)[3:] == [
        as_listed(SERVER, AGREES, own),
        as_listed(CLIENT, SIGNS, theirs),
    ]
    assert act(c, EXPORT, by_serial(own)) == (SUCCESS, octet_string(own))
    assert act(c, REMOVE, by_serial(theirs)) == DONE
    assert len(listed(c)) == 4
    meter.close()
