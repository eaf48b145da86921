# SPDX-License-Identifier: MIT
"""lib/crypto/certificate.py, certificate_request.py, der.py, against `cryptography`, and with
everything wrong that can be."""

import datetime
import hashlib
import os
import sys

import crypto_vectors
import pytest
from crypto import certificate, certificate_request, der, ec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec as reference
from cryptography.hazmat.primitives.asymmetric import utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from firmware.ports.ciphers import cpython
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

CERTIFICATES = crypto_vectors.of("certificate")
REQUESTS = crypto_vectors.of("request")
EPOCH = datetime.datetime(2000, 1, 1)
KEY = reference.derive_private_key(7, reference.SECP256R1())
TITLE = "4D4D4D0000BC614E"


def common_name(text=TITLE):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject=None, before=None, after=None, key=KEY):
    return (
        x509.CertificateBuilder()
        .subject_name(subject or common_name())
        .issuer_name(common_name("authority"))
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(before or datetime.datetime(2026, 1, 1))
        .not_valid_after(after or datetime.datetime(2046, 1, 1))
    )


def octets(made, key=KEY, algorithm=None):
    return made.sign(key, algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


def read(data):
    c = certificate.Certificate()
    return c.read(data, 0, len(data)), c


def accepted(data):
    """Would a meter believe it to be of that issuer?"""
    code, c = read(data)
    if code:
        return False
    digest = hashlib.new({"P-256": "sha256", "P-384": "sha384"}[c.curve], data[slice(*c.tbs)])
    work = ec.new(c.curve, hashlib.new, cpython.elliptic(c.curve))
    work.verify(issuer_key_of[c.curve], digest.digest(), c.signature)
    return bool(work.result)


issuer_key_of = {v["curve"]: bytes.fromhex(v["issuer_key"]) for v in CERTIFICATES}


@pytest.mark.parametrize("v", CERTIFICATES + REQUESTS, ids=crypto_vectors.name)
def test_vectors(v):
    assert crypto_cases.KINDS[v["kind"]](v, cpython) is None


def test_vectors_on_micropython(micropython):
    vectors = CERTIFICATES + REQUESTS
    said = crypto_vectors.on_micropython(micropython, "own", vectors)
    assert said == crypto_vectors.all_ok(vectors)


# --- Certificates that are as they should be, or nearly


@pytest.mark.parametrize(
    "text, title",
    [
        (TITLE, bytes.fromhex(TITLE)),
        (TITLE.lower(), bytes.fromhex(TITLE)),
        (TITLE[:-1], None),
        (TITLE + "0", None),
        (TITLE[:-1] + "G", None),
        ("Example CA", None),
    ],
)
def test_the_system_title_is_the_common_name(text, title):
    code, c = read(octets(builder(common_name(text))))
    assert (code, c.title) == (0, title)


def test_a_name_of_several_parts():
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, TITLE),
        ]
    )
    data = octets(builder(name))
    code, c = read(data)
    assert (code, c.title) == (0, bytes.fromhex(TITLE))
    assert data[slice(*c.subject)] == name.public_bytes()


@pytest.mark.parametrize(
    "length, path_length", [(None, -1), (0, 0), (5, 5), (127, 127), (128, -1)]
)
def test_how_far_an_authority_reaches(length, path_length):
    constraints = x509.BasicConstraints(True, length)
    code, c = read(octets(builder().add_extension(constraints, True)))
    assert (code, c.is_authority, c.path_length) == (0, True, path_length)


def test_no_extensions_at_all():
    code, c = read(octets(builder()))
    assert (code, c.usage, c.is_authority, c.subject_alt_name) == (0, 0, False, None)


@settings(deadline=None, max_examples=60)
@given(st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(3999, 12, 31)))
def test_times(when):
    code, c = read(octets(builder(before=when, after=datetime.datetime(9999, 12, 31))))
    assert code == 0
    assert c.not_before == (when - EPOCH) // datetime.timedelta(minutes=1)
    assert c.not_after == certificate.FOREVER


def test_times_before_the_epoch():
    code, c = read(octets(builder(before=datetime.datetime(1970, 6, 1))))
    assert (code, c.not_before) == (0, 0)


@pytest.mark.parametrize(
    "good, bad",
    [
        (b"260101000000Z", b"261301000000Z"),
        (b"260101000000Z", b"260001000000Z"),
        (b"260101000000Z", b"260229000000Z"),
        (b"260101000000Z", b"260100000000Z"),
        (b"260101000000Z", b"260101240000Z"),
        (b"260101000000Z", b"260101006000Z"),
        (b"260101000000Z", b"26010100000 Z"),
        (b"260101000000Z", b"2601010000000"),
    ],
)
def test_times_that_are_none(good, bad):
    data = octets(builder())
    assert data.count(good) == 1
    assert read(data.replace(good, bad))[0] == certificate.MALFORMED


def test_a_leap_day():
    code, c = read(octets(builder(before=datetime.datetime(2028, 2, 29, 3, 4))))
    assert (code, c.not_before) == (
        0,
        (datetime.datetime(2028, 2, 29, 3, 4) - EPOCH) // datetime.timedelta(minutes=1),
    )


# --- What the profile does not have


def test_another_curve():
    key = reference.generate_private_key(reference.SECP521R1())
    assert read(octets(builder(key=key)))[0] == certificate.UNSUPPORTED


def test_a_hash_of_another_curve():
    data = octets(builder(), algorithm=hashes.SHA384())
    assert read(data)[0] == certificate.UNSUPPORTED


def test_a_critical_extension_that_is_not_known():
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert read(octets(builder().add_extension(unknown, False)))[0] == certificate.OK
    assert read(octets(builder().add_extension(unknown, True)))[0] == certificate.CRITICAL


def test_an_extension_twice():
    usage = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.5"), b"\x05\x00")
    data = octets(builder().add_extension(usage, False).add_extension(other, False))
    twice = data.replace(b"\x2a\x03\x05", b"\x2a\x03\x04")
    assert twice != data and read(data)[0] == certificate.OK
    assert read(twice)[0] == certificate.MALFORMED


def test_the_two_algorithms_must_agree():
    data = octets(builder())
    oid = certificate.SIGNATURE_ALGORITHMS[0]
    at = data.rindex(oid)
    assert data.count(oid) == 2
    other = data[:at] + certificate.SIGNATURE_ALGORITHMS[1] + data[at + len(oid) :]
    assert read(other)[0] == certificate.MALFORMED


def test_version_1():
    data = octets(builder())
    assert data.count(b"\xa0\x03\x02\x01\x02") == 1
    old = data.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x00")
    assert read(old)[0] == certificate.UNSUPPORTED


# --- Octets that are wrong


@pytest.mark.parametrize("v", CERTIFICATES, ids=crypto_vectors.name)
def test_a_wrong_bit_anywhere_is_not_believed(v):
    good = bytes.fromhex(v["text"])
    assert accepted(good)
    for i in range(len(good)):
        for bit in (0, 3, 7):
            data = bytearray(good)
            data[i] ^= 1 << bit
            assert not accepted(bytes(data)), (i, bit)


@pytest.mark.parametrize("v", CERTIFICATES, ids=crypto_vectors.name)
def test_a_certificate_cut_off_or_prolonged(v):
    good = bytes.fromhex(v["text"])
    for n in range(len(good)):
        assert read(good[:n])[0] == certificate.MALFORMED
        # There are octets behind the end, which are not looked at.
        c = certificate.Certificate()
        assert c.read(good, 0, n) == certificate.MALFORMED
    assert read(good + b"\0")[0] == certificate.MALFORMED


@settings(deadline=None)
@given(st.data())
def test_any_damage_gives_a_code(data):
    good = bytes.fromhex(data.draw(st.sampled_from(CERTIFICATES))["text"])
    at = data.draw(st.integers(0, len(good)))
    n = data.draw(st.integers(0, 20))
    bad = good[:at] + data.draw(st.binary(max_size=20)) + good[at + n :]
    assert read(bad)[0] in (0, 1, 2, 3)


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_octets_give_a_code(data):
    assert read(data)[0] in (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "3080",
        "308000000000",
        "3081",
        "30817f" + "00" * 127,
        "3082",
        "308200ff" + "00" * 255,
        "3083000001" + "00",
        "30ff",
        "1f8101",
    ],
)
def test_lengths_that_are_not_der(text):
    data = bytes.fromhex(text)
    with pytest.raises(ValueError):
        der.element(data, 0, len(data), der.SEQUENCE)


# --- Signatures


@pytest.mark.parametrize("n", [32, 48])
@settings(deadline=None)
@given(st.data())
def test_signatures_there_and_back(n, data):
    numbers = st.integers(0, (1 << 8 * n) - 1) | st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x100])
    r = data.draw(numbers)
    s = data.draw(numbers)
    rs = r.to_bytes(n, "big") + s.to_bytes(n, "big")
    wanted = utils.encode_dss_signature(r, s)
    out = bytearray(len(wanted) + 2)
    assert der.signature_len(rs) == len(wanted)
    assert der.write_signature(out, 1, rs) == 1 + len(wanted)
    assert out == b"\0" + wanted + b"\0"
    assert der.signature(out, 1, 1 + len(wanted), n) == rs


@pytest.mark.parametrize(
    "text, why",
    [
        ("3006020101020101", None),
        ("3006020181020101", "negative"),
        ("300702020001020101", "a zero too many"),
        ("30050200020101", "no octets"),
        ("3006020101020101 00", "something behind"),
        ("3007020101020101 00", "something inside"),
        ("3003020101", "one number"),
        ("3106020101020101", "a SET"),
        ("30060201010201", "cut off"),
        ("3026 0221 01" + "00" * 32 + " 020101", "33 octets"),
    ],
)
def test_signatures_that_are_malformed(text, why):
    data = bytes.fromhex(text)
    if why is None:
        rs = bytes(31) + b"\x01"
        assert der.signature(data, 0, len(data), 32) == rs + rs
        return
    with pytest.raises(ValueError):
        der.signature(data, 0, len(data), 32)


# --- Requests


@pytest.mark.parametrize("name, n", [("P-256", 32), ("P-384", 48)])
@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=8, max_size=8), st.integers(1, 1 << 200))
def test_requests_are_read_and_verified_by_cryptography(name, n, title, d):
    host = cpython.elliptic(name)
    private = d.to_bytes(n, "big")
    public = host.public_key(private)
    out = bytearray(4 + certificate_request.LENGTH)
    end = certificate_request.begin(out, 4, name, title, public)
    digest = hashlib.new("sha%d" % (n * 8), out[4:end]).digest()
    signature = host.sign(private, digest, b"")
    start, end = certificate_request.finish(out, 4, end, name, signature)
    request = x509.load_der_x509_csr(bytes(out[start:end]))
    assert request.is_signature_valid
    assert request.subject == common_name(title.hex().upper())
    numbers = request.public_key().public_numbers()
    assert numbers.x.to_bytes(n, "big") + numbers.y.to_bytes(n, "big") == public
    assert list(request.extensions) == [] and 0 <= start <= 4
