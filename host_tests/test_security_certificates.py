# SPDX-License-Identifier: MIT
"""lib/cosem/security_certificates.py: key pairs, requests and certificates of Security setup. The
authorities are those of certified.py."""

import datetime

import certified
import pytest
from certified import (
    AGREES, AUTHORITY, CLIENT, NOW, OTHER, OTHER_TITLE, SERVER, SIGNS, TLS, Authority, Certified,
    act, by_entity, by_serial, content, enum, get, key, octet_string, public_octets, structure,
)  # fmt: skip
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from secure import SERVER_TITLE, TITLE

GENERATE, REQUEST, IMPORT, EXPORT, REMOVE = 4, 5, 6, 7, 8
SUCCESS, TEMPORARY_FAILURE, DENIED, UNDEFINED = 0, 2, 3, 4
UNAVAILABLE, TYPE_UNMATCHED, OTHER_REASON = 11, 12, 250
DONE = (SUCCESS, b"")
SUITES = pytest.mark.parametrize("suite", [1, 2])
DAY = datetime.timedelta(1)


def take(c, certificate):
    return act(c, IMPORT, octet_string(certificate))


def requested(c, kind=SIGNS):
    """The certificate signing request of the meter for a new key pair."""
    assert act(c, GENERATE, enum(kind)) == DONE
    result, octets = act(c, REQUEST, enum(kind))
    assert result == SUCCESS
    return x509.load_der_x509_csr(content(octets))


# --- A new key of the meter -----------------------------------------------------------------


@SUITES
@pytest.mark.parametrize("kind", [SIGNS, AGREES, TLS])
def test_generate_request_certify_import(suite, kind):
    meter = Certified()
    c = meter.client(suite)
    csr = requested(c, kind)
    assert csr.is_signature_valid
    assert csr.signature_hash_algorithm.name == {1: "sha256", 2: "sha384"}[suite]
    (attribute,) = csr.subject
    assert attribute.oid == NameOID.COMMON_NAME
    assert attribute.value == SERVER_TITLE.hex().upper()
    made = meter.root[suite].issue(csr.public_key(), SERVER_TITLE, kind)
    assert take(c, made) == DONE
    assert act(c, EXPORT, by_entity(SERVER, kind, SERVER_TITLE)) == (SUCCESS, octet_string(made))
    # The private key came with it, and waits no more.
    (record,) = [r for r in meter.records(suite) if r[0] == SERVER and r[1] == kind]
    assert record[:4] == (SERVER, kind, SERVER_TITLE, made)
    private = certified.key(suite, int.from_bytes(record[4], "big"))
    assert public_octets(private) == public_octets(csr.public_key())
    assert not [r for r in meter.records(suite) if not r[3]]


def test_the_pair_in_use_stays_until_the_certificate_comes():
    meter = Certified()
    c = meter.client(1)
    before = meter.records(1)
    csr = requested(c)
    assert meter.records(1)[:3] == before
    assert public_octets(csr.public_key()) != public_octets(meter.own_key[1])
    assert take(c, meter.root[1].issue(csr.public_key(), SERVER_TITLE)) == DONE
    assert len(meter.records(1)) == len(before)


def test_a_request_for_the_pair_in_use():
    """Its certificate runs out: another for the same key takes its place."""
    meter = Certified()
    c = meter.client(1)
    result, octets = act(c, REQUEST, enum(SIGNS))
    csr = x509.load_der_x509_csr(content(octets))
    assert public_octets(csr.public_key()) == public_octets(meter.own_key[1])
    made = meter.root[1].issue(csr.public_key(), SERVER_TITLE, after=1000)
    assert take(c, made) == DONE
    (record,) = [r for r in meter.records(1) if r[0] == SERVER]
    assert record[3:] == (made, certified.private_octets(meter.own_key[1]))


def test_another_pair_takes_the_place_of_one_that_waits():
    meter = Certified()
    c = meter.client(1)
    first = requested(c)
    second = requested(c)
    assert len([r for r in meter.records(1) if not r[3]]) == 1
    assert take(c, meter.root[1].issue(first.public_key(), SERVER_TITLE))[0] == OTHER_REASON
    assert take(c, meter.root[1].issue(second.public_key(), SERVER_TITLE)) == DONE


def test_no_pair_no_request():
    c = Certified(own=False).client(1)
    assert act(c, REQUEST, enum(SIGNS)) == (UNDEFINED, b"")


@pytest.mark.parametrize("method", [GENERATE, REQUEST])
def test_kinds_of_pairs_that_do_not_exist(method):
    meter = Certified()
    c = meter.client(1)
    for kind in (3, 4, 255):
        assert act(c, method, enum(kind)) == (TYPE_UNMATCHED, b"")
    assert len(meter.records(1)) == 3


@pytest.mark.parametrize("kind, usage", [(SIGNS, AGREES), (AGREES, SIGNS), (SIGNS, None)])
def test_a_certificate_for_something_else_than_the_pair(kind, usage):
    meter = Certified(own=False)
    c = meter.client(1)
    csr = requested(c, kind)
    made = meter.root[1].issue(csr.public_key(), SERVER_TITLE, usage)
    assert take(c, made) == (OTHER_REASON, b"")
    assert len(meter.records(1)) == 3


def test_no_private_key_leaves_the_meter():
    meter = Certified()
    c = meter.client(1)
    requested(c)
    secrets = [r[4] for r in meter.records(1) if r[4]]
    assert len(secrets) == 2
    for method in (EXPORT, REMOVE):
        for kind in (SIGNS, SIGNS | 4):
            _, octets = act(c, method, by_entity(SERVER, kind, SERVER_TITLE))
            assert not any(secret in octets for secret in secrets)
    shown = get(c, 6)
    assert not any(secret in shown for secret in secrets)


# --- Import ---------------------------------------------------------------------------------


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
    assert found[1][1:3] == (OTHER, bytes(8))


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


# --- Export and removal ---------------------------------------------------------------------


@SUITES
def test_export(suite):
    meter = Certified()
    c = meter.client(suite)
    for entity, kind, title, certificate, _ in meter.records(suite):
        answer = (SUCCESS, octet_string(certificate))
        assert act(c, EXPORT, by_entity(entity, kind, title)) == answer
        assert act(c, EXPORT, by_serial(certificate)) == answer
    # Authorities have no title.
    answer = (SUCCESS, octet_string(meter.root[suite].der))
    assert act(c, EXPORT, by_entity(AUTHORITY, OTHER, b"")) == answer


def test_a_serial_number_without_its_zero():
    meter = Certified()
    made = meter.root[1].issue(key(1), OTHER_TITLE, serial=0x80000001)
    c = meter.client(1)
    assert take(c, made) == DONE
    issuer = octet_string(certified.name("Example root").public_bytes())
    for serial in ("80000001", "0080000001"):
        names = structure(octet_string(bytes.fromhex(serial)), issuer)
        assert act(c, EXPORT, structure(enum(1), names)) == (SUCCESS, octet_string(made))


@pytest.mark.parametrize("method", [EXPORT, REMOVE])
@pytest.mark.parametrize(
    "parameter, result",
    [
        (by_entity(CLIENT, SIGNS, OTHER_TITLE), UNDEFINED),
        (by_entity(CLIENT, AGREES, TITLE), UNDEFINED),
        (by_entity(OTHER, SIGNS, TITLE), UNDEFINED),
        (by_entity(SERVER, AGREES, SERVER_TITLE), UNDEFINED),
        (by_entity(CLIENT, SIGNS, b""), UNDEFINED),
        (by_entity(CLIENT, SIGNS, TITLE[:7]), TYPE_UNMATCHED),
        (by_entity(CLIENT, SIGNS, TITLE + b"\0"), TYPE_UNMATCHED),
        (by_entity(4, SIGNS, TITLE), TYPE_UNMATCHED),
        (by_entity(SERVER, SIGNS | 4, SERVER_TITLE), TYPE_UNMATCHED),
        (structure(enum(2), structure(enum(1), enum(0), octet_string(TITLE))), TYPE_UNMATCHED),
        (structure(enum(0), structure(octet_string(b"\1"), octet_string(b""))), TYPE_UNMATCHED),
        (structure(enum(1), structure(enum(1), enum(0), octet_string(TITLE))), TYPE_UNMATCHED),
        (structure(enum(1), structure(octet_string(b"\1"), octet_string(b""))), UNDEFINED),
        (structure(enum(1), structure(octet_string(b"\1"), enum(0))), TYPE_UNMATCHED),
        (structure(enum(1), octet_string(b"\1")), TYPE_UNMATCHED),
        (structure(enum(0), structure(enum(1), enum(0), enum(0))), TYPE_UNMATCHED),
        (structure(enum(0), enum(0)), TYPE_UNMATCHED),
    ],
)
def test_what_names_no_certificate(method, parameter, result):
    meter = Certified()
    c = meter.client(1)
    assert act(c, GENERATE, enum(SIGNS)) == DONE
    before = meter.records(1)
    assert act(c, method, parameter) == (result, b"")
    assert meter.records(1) == before


@SUITES
def test_removal(suite):
    meter = Certified()
    c = meter.client(suite)
    between = Authority(suite, "Example sub", meter.root[suite])
    theirs = between.issue(key(suite), OTHER_TITLE)
    assert take(c, between.der) == take(c, theirs) == DONE
    before = meter.records(suite)
    assert act(c, REMOVE, by_serial(between.der)) == DONE
    assert act(c, REMOVE, by_serial(between.der)) == (UNDEFINED, b"")
    assert act(c, REMOVE, by_entity(CLIENT, SIGNS, OTHER_TITLE)) == DONE
    assert act(c, EXPORT, by_entity(CLIENT, SIGNS, OTHER_TITLE)) == (UNDEFINED, b"")
    assert meter.records(suite) == before[:3]
    # Nobody is certified by it any more.
    assert take(c, theirs) == (OTHER_REASON, b"")


def test_what_the_meter_is_and_trusts_stays():
    meter = Certified()
    c = meter.client(1)
    before = meter.records(1)
    for entity, kind, title, certificate, _ in before:
        if entity != CLIENT:
            assert act(c, REMOVE, by_entity(entity, kind, title)) == (DENIED, b"")
            assert act(c, REMOVE, by_serial(certificate)) == (DENIED, b"")
    assert meter.records(1) == before


def test_certificates_of_another_setup_are_not_there():
    meter = Certified()
    c = meter.client(1)
    for certificate in [r[3] for r in meter.records(2)]:
        assert act(c, EXPORT, by_serial(certificate)) == (UNDEFINED, b"")
        assert act(c, REMOVE, by_serial(certificate)) == (UNDEFINED, b"")


# --- Suite 0, and no vault ------------------------------------------------------------------


@pytest.mark.parametrize("method", [GENERATE, REQUEST, IMPORT, EXPORT, REMOVE])
@pytest.mark.parametrize("suite", [0, 1])
def test_without_certificates(suite, method):
    meter = Certified()
    if suite:
        handler = meter.model.handler("security_setup")
        meter.model.vault = handler._fields = None
    parameter = {IMPORT: octet_string(meter.root[1].der)}.get(method, enum(0))
    if method in (EXPORT, REMOVE):
        parameter = by_entity(SERVER, SIGNS, SERVER_TITLE)
    c = meter.client(suite)
    assert act(c, method, parameter) == (UNAVAILABLE, b"")
    assert get(c, 6) == bytes.fromhex("0100")


def test_in_a_list_there_is_no_time_for_it():
    """temporary-failure for what takes long; the other method of the list is run."""
    meter = Certified()
    c = meter.client(1)
    setup = "0040 00002B0001FF"
    got = c.ask("C30341 02 %s 04 %s 01 02 1600 1600" % (setup, setup))
    assert got == "C70341 02 0200 0000".replace(" ", "")
    assert len(meter.records(1)) == 3


def test_a_script_generates_nothing():
    meter = Certified()
    for method in range(3, 9):
        parameter = enum(0) if method < IMPORT else octet_string(b"")
        if method in (EXPORT, REMOVE):
            parameter = by_entity(SERVER, SIGNS, SERVER_TITLE)
        if method == 3:
            parameter = b"\1\0"
        result = meter.model.act(meter.rows[1], method, parameter, 0, len(parameter))
        assert result == UNAVAILABLE
