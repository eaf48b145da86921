# SPDX-License-Identifier: MIT
"""lib/cosem/security_certificates.py: which certificates are taken."""

import certified
import pytest
from certified import (
    AGREES, AUTHORITY, CLIENT, NOW, OTHER_TITLE, SIGNS, TLS, Authority,
    Certified, act, by_serial, enum, key, public_octets,
)  # fmt: skip
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from secure import SERVER_TITLE, TITLE
from test_security_certificates import (
    DAY,
    DONE,
    GENERATE,
    OTHER_REASON,
    REMOVE,
    SUITES,
    TEMPORARY_FAILURE,
    take,
)


@SUITES
@pytest.mark.parametrize("usage, kind", [(SIGNS, SIGNS), (AGREES, AGREES), (TLS, TLS)])
def test_a_certificate_of_a_client(suite, usage, kind):
    meter = Certified()
    c = meter.client(suite)
    made = meter.root[suite].issue(key(suite), OTHER_TITLE, usage)
    assert take(c, made) == DONE
    assert meter.records(suite)[-1] == (CLIENT, kind, OTHER_TITLE, made, b"")


def test_a_newer_certificate_takes_the_place_of_the_older():
    meter = Certified()
    c = meter.client(1)
    first = meter.root[1].issue(key(1), OTHER_TITLE)
    second = meter.root[1].issue(key(1), OTHER_TITLE)
    for made in (first, first, second):
        assert take(c, made) == DONE
    theirs = [r[3] for r in meter.records(1) if r[2] == OTHER_TITLE]
    assert theirs == [second]
    # One of another title or kind stays.
    assert len(meter.records(1)) == 4


@SUITES
def test_an_authority_between_the_root_and_a_client(suite):
    meter = Certified()
    c = meter.client(suite)
    between = Authority(suite, "Example sub", meter.root[suite])
    made = between.issue(key(suite), OTHER_TITLE)
    assert take(c, made) == (OTHER_REASON, b"")
    assert take(c, between.der) == DONE
    assert take(c, between.der) == DONE
    assert take(c, made) == DONE
    found = [r for r in meter.records(suite) if r[0] == AUTHORITY]
    assert [r[3] for r in found] == [meter.root[suite].der, between.der]
    assert found[1][1:3] == (SIGNS, bytes(8))


def test_an_authority_that_may_certify_no_other():
    """pathLenConstraint 0, of RFC 5280."""
    meter = Certified()
    c = meter.client(1)
    last = Authority(1, "Example last", meter.root[1], path_length=0)
    assert take(c, last.der) == DONE
    assert take(c, Authority(1, "Example more", last).der) == (OTHER_REASON, b"")
    assert take(c, last.issue(key(1), OTHER_TITLE)) == DONE
    # It is itself already.
    assert take(c, last.der) == DONE


@pytest.mark.parametrize("length, good", [(1, False), (2, True), (None, True)])
def test_authorities_between_count_for_all_above(length, good):
    """The one in the middle says nothing of how many may follow; the one above it does."""
    meter = Certified()
    c = meter.client(1)
    first = Authority(1, "Example first", meter.root[1], path_length=length)
    second = Authority(1, "Example second", first)
    third = Authority(1, "Example third", second)
    assert take(c, first.der) == DONE
    assert take(c, second.der) == DONE
    assert take(c, third.der) == (DONE if good else (OTHER_REASON, b""))


def test_a_trust_anchor_comes_by_provisioning_only():
    meter = Certified()
    c = meter.client(1)
    for text in ("Example root", "Example root 2"):
        assert take(c, Authority(1, text).der) == (OTHER_REASON, b"")
    # The one that is there changes nothing.
    assert take(c, meter.root[1].der) == DONE
    assert len(meter.records(1)) == 3


def test_dates():
    meter = Certified()
    c = meter.client(1)
    made = meter.root[1].issue(key(1), OTHER_TITLE, before=0, after=1)
    meter.set_time(NOW - DAY)
    assert take(c, made) == (OTHER_REASON, b"")
    meter.set_time(NOW + 2 * DAY)
    assert take(c, made) == (OTHER_REASON, b"")
    meter.set_time(NOW + DAY / 2)
    assert take(c, made) == DONE


def test_an_authority_that_has_expired_certifies_nobody():
    meter = Certified()
    between = Authority(1, "Example sub", meter.root[1], after=10)
    c = meter.client(1)
    assert take(c, between.der) == DONE
    meter.set_time(NOW + 11 * DAY)
    assert take(c, between.issue(key(1), OTHER_TITLE, after=300)) == (OTHER_REASON, b"")


def somebody_else(meter):
    """The right name, and another key."""
    return Authority(1).issue(key(1), OTHER_TITLE)


def unknown_issuer(meter):
    return Authority(1, "Nobody").issue(key(1), OTHER_TITLE)


def a_client_as_authority(meter):
    fake = Authority(1, TITLE)
    fake.key = meter.client_key[1]
    return fake.issue(key(1), OTHER_TITLE)


def other_curve(meter):
    return meter.root[1].issue(key(2), OTHER_TITLE)


def other_suite(meter):
    return meter.root[2].issue(key(2), OTHER_TITLE)


def other_hash(meter):
    return meter.root[1].issue(key(1), OTHER_TITLE, algorithm=hashes.SHA384())


def no_title(meter):
    return meter.root[1].issue(key(1), "A client")


def no_usage(meter):
    return meter.root[1].issue(key(1), OTHER_TITLE, None)


def our_title_and_another_key(meter):
    return meter.root[1].issue(key(1), SERVER_TITLE)


def our_key_and_another_usage(meter):
    return meter.root[1].issue(meter.own_key[1], SERVER_TITLE, AGREES)


def long_names(meter):
    return meter.root[1].issue(key(1), OTHER_TITLE, alternative="example" * 40)


def too_long(meter):
    return meter.root[1].issue(key(1), OTHER_TITLE, alternative="example" * 90)


def not_a_certificate(meter):
    return b"not a certificate"


def nothing(meter):
    return b""


def with_octets_behind(meter):
    return meter.root[1].issue(key(1), OTHER_TITLE) + b"\0"


def signature_of(r, s):
    """Of a certificate that is right, but for r and s."""

    def made(meter):
        der = meter.root[1].issue(key(1), OTHER_TITLE)
        c = x509.load_der_x509_certificate(der)
        n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        value = certified.utils.encode_dss_signature(r % (n + 1), s % (n + 1))
        algorithm = der[der.rindex(bytes.fromhex("300A06082A8648CE3D040302")) :][:12]
        body = c.tbs_certificate_bytes + algorithm
        body += b"\x03" + bytes([len(value) + 1]) + b"\0" + value
        return b"\x30\x82" + len(body).to_bytes(2, "big") + body

    made.__name__ = "r=%d, s=%d" % (r, s)
    return made


def off_the_curve(meter):
    """As somebody would make it who signs with the key of the root."""
    der = meter.root[1].issue(key(1), OTHER_TITLE)
    point = public_octets(x509.load_der_x509_certificate(der).public_key())
    assert der.count(point) == 1
    tbs = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    tbs = tbs.replace(point, point[:-1] + bytes([point[-1] ^ 1]))
    value = meter.root[1].key.sign(tbs, certified.ec.ECDSA(hashes.SHA256()))
    body = tbs + bytes.fromhex("300A06082A8648CE3D040302")
    body += b"\x03" + bytes([len(value) + 1]) + b"\0" + value
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    "made",
    [
        somebody_else, unknown_issuer, a_client_as_authority, other_curve, other_suite,
        other_hash, no_title, no_usage, our_title_and_another_key, our_key_and_another_usage,
        long_names, too_long, not_a_certificate, nothing, with_octets_behind, off_the_curve,
        signature_of(0, 1), signature_of(1, 0), signature_of(N, 1), signature_of(1, N),
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_what_is_not_taken(made):
    meter = Certified()
    c = meter.client(1)
    before = meter.records(1)
    assert take(c, made(meter)) == (OTHER_REASON, b"")
    assert meter.records(1) == before


def test_no_flipped_bit_is_taken():
    meter = Certified()
    c = meter.client(1)
    before = meter.records(1)
    good = meter.root[1].issue(key(1), OTHER_TITLE)
    for i in range(len(good)):
        bad = bytearray(good)
        bad[i] ^= 1 << i % 8
        assert take(c, bytes(bad)) == (OTHER_REASON, b""), i
    for n in range(0, len(good), 7):
        assert take(c, good[:n]) == (OTHER_REASON, b""), n
    assert meter.records(1) == before
    assert take(c, good) == DONE


def test_a_full_vault():
    meter = Certified()
    c = meter.client(1)
    k = 0
    while True:
        made = meter.root[1].issue(key(1), b"FUL\0\0\0\0" + bytes([k]))
        result, octets = take(c, made)
        if result:
            break
        k += 1
    assert (result, octets) == (TEMPORARY_FAILURE, b"")
    assert k > 5
    before = meter.records(1)
    assert act(c, GENERATE, enum(AGREES)) == (TEMPORARY_FAILURE, b"")
    assert meter.records(1) == before
    # What takes the place of another one needs no room; and removal makes some.
    newer = meter.root[1].issue(key(1), b"FUL\0\0\0\0\0")
    assert take(c, newer) == DONE
    assert act(c, REMOVE, by_serial(newer)) == DONE
    assert take(c, made) == DONE
