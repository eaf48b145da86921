# SPDX-License-Identifier: MIT
"""lib/cosem/security_certificates.py: key pairs, requests and certificates of Security setup. The
authorities are those of certified.py."""

import datetime

import certified
import pytest
from certified import (
    AGREES, AUTHORITY, CLIENT, OTHER, OTHER_TITLE, RING, SERVER, SIGNS, TLS, Authority,
    Certified, act, by_entity, by_serial, content, enum, get, key, octet_string, public_octets,
    structure,
)  # fmt: skip
from cryptography import x509
from cryptography.x509.oid import NameOID
from firmware.store import FileStorage
from firmware.vault import Vault
from hypothesis import given, settings
from hypothesis import strategies as st
from secure import SERVER_TITLE, TITLE, Client, take_length
from test_store import MemoryFiles, PowerCut
from test_store import definition as a_definition

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


def on(files):
    storage = FileStorage("state", files)
    storage.prepare(a_definition(rings=(RING,)))
    return storage.ring(*RING)


def another_key(meter, c):
    """The certificates of the meter, before and after."""
    before = [r[3] for r in meter.records(1) if r[0] == SERVER]
    csr = requested(c)
    made = meter.root[1].issue(csr.public_key(), SERVER_TITLE)
    assert take(c, made) == DONE
    return before, made


def test_power_fails_at_every_write():
    """Then the meter has the old key and its certificate, or the new ones."""
    files = MemoryFiles()
    meter = Certified(ring=on(files))
    first = files.n_writes
    another_key(meter, meter.client(1))
    assert files.n_writes - first >= 3
    found = []
    for cut_at in range(first, files.n_writes):
        for part in (0, 4, 8):
            files = MemoryFiles()
            meter = Certified(ring=on(files))
            c = meter.client(1)
            before = meter.records(1)
            files.cut_at, files.part = cut_at, part
            with pytest.raises(PowerCut):
                another_key(meter, c)
            meter.vault = Vault(on(MemoryFiles(files.data)))
            after = meter.records(1)
            used = [r for r in after if r[0] == SERVER and r[1] == SIGNS]
            assert len(used) == 1 and [r for r in after if r[0] != SERVER] == before[:2]
            public = x509.load_der_x509_certificate(used[0][3]).public_key()
            private = key(1, int.from_bytes(used[0][4], "big"))
            assert public_octets(public) == public_octets(private)
            found.append((used == before[2:], len(after)))
    # Old without and with a pair that waits, new with and without it.
    assert set(found) == {(True, 3), (True, 4), (False, 4), (False, 3)}


@SUITES
def test_they_are_listed_again_when_a_board_has_let_go_of_the_code(suite):
    meter = Certified()
    c = meter.client(suite)
    listed = get(c, 6)
    meter.server.secured.forget()
    assert get(c, 6) == listed
    assert len(listed) > 200


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
    assert act(c, EXPORT, by_entity(AUTHORITY, SIGNS, b"")) == answer


def test_forms_of_a_serial_number():
    """With the zero of its sign or without, and as a DER INTEGER, as peers send it."""
    meter = Certified()
    made = meter.root[1].issue(key(1), OTHER_TITLE, serial=0x80000001)
    c = meter.client(1)
    assert take(c, made) == DONE
    issuer = octet_string(certified.name("Example root").public_bytes())
    for serial in ("80000001", "0080000001", "02050080000001"):
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


def in_blocks(c, method, parameter, n=90):
    """As act(), for a client that takes short APDUs."""
    parts = [parameter[at : at + n] for at in range(0, len(parameter), n)]
    for number, part in enumerate(parts, 1):
        last = number == len(parts)
        head = "C30641"
        if number == 1:
            head = "C30441 0040 00002B000%dFF %02X" % (c.suite, method)
        block = "%02X %08X" % (last, number) + octet_string(part).hex()[2:]
        got = bytes.fromhex(c.ask(head + block))
        if not last:
            assert got == b"\xc7\4\x41" + number.to_bytes(4, "big")
    data = b""
    if got[1] == 1:
        data = got[3:]
    else:
        while True:
            assert got[:3] == b"\xc7\2\x41"
            size, at = take_length(got, 8)
            assert len(got) == at + size <= 200
            data += got[at:]
            if got[3]:
                break
            got = bytes.fromhex(c.ask("C30241" + got[4:8].hex()))
    return data[0], data[3:] if data[1] else b""


def test_a_client_of_short_apdus():
    """Certificates come and go in blocks."""
    meter = Certified()
    talk = meter.talk(client=1, server=1)
    c = Client(talk, suite=1).open(initiate="01 000000 065F1F0400 7EFF1F 00C8")
    made = meter.root[1].issue(key(1), OTHER_TITLE)
    assert in_blocks(c, IMPORT, octet_string(made)) == DONE
    assert in_blocks(c, IMPORT, octet_string(made[:-1])) == (OTHER_REASON, b"")
    assert in_blocks(c, EXPORT, by_serial(made), 40) == (SUCCESS, octet_string(made))
    assert in_blocks(c, REMOVE, by_serial(made), 40) == DONE
    assert in_blocks(c, EXPORT, by_serial(made), 40) == (UNDEFINED, b"")


# --- Suite 0, and no vault ------------------------------------------------------------------


@pytest.mark.parametrize("method", [GENERATE, REQUEST, IMPORT, EXPORT, REMOVE])
@pytest.mark.parametrize("suite", [0, 1])
def test_without_certificates(suite, method):
    meter = Certified()
    if suite:
        meter.model.vault = None
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


_meter = Certified()
_client = _meter.client(1)
VALID = (
    (3, b"\1\1" + structure(enum(0), octet_string(bytes(128)))),
    (GENERATE, enum(SIGNS)),
    (REQUEST, enum(SIGNS)),
    (IMPORT, octet_string(_meter.root[1].issue(key(1), OTHER_TITLE))),
    (EXPORT, by_entity(CLIENT, SIGNS, TITLE)),
    (EXPORT, by_serial(_meter.root[1].der)),
    (REMOVE, by_serial(_meter.root[1].der)),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_changed_parameters_end_in_a_defined_way(request_, data):
    """Any octet changed, cut, or added: an answer, and the next request is served."""
    method, parameter = request_
    octets = bytearray(parameter)
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    setup = "0040 00002B0001FF"
    got = _client.ask("C30141 %s %02X 01" % (setup, method) + octets.hex())
    assert got.startswith(("C70141", "!D8", "D8"))
    # No certificate that it has is changed by any of this.
    assert [r for r in _meter.records(1) if r[0] != CLIENT and r[3]][0][3] == _meter.root[1].der
    assert _client.ask("C00141 %s 03 00" % setup) == "C40141001601"
