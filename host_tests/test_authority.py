# SPDX-License-Identifier: MIT
"""The certificate authority of tools/authority.py: what it signs is what `cryptography` verifies
and what a meter reads, and it signs nothing else."""

import hashlib
import os
import stat
import subprocess
import sys

import authority
import pytest
from bootstrap import Trouble
from conftest import ROOT
from crypto import certificate, certificate_request, ec
from cryptography import x509
from firmware.ports.ciphers import cpython

PROVISION = os.path.join(ROOT, "tools", "provision.py")
TITLE = bytes.fromhex("4142430000000001")
CLIENT = bytes.fromhex("434C490000000004")
CURVES = {"P-256": (32, "sha256"), "P-384": (48, "sha384")}


@pytest.fixture
def ca(tmp_path):
    return authority.Authority(str(tmp_path / "ca"))


def read(der):
    c = certificate.Certificate()
    assert c.read(der, 0, len(der)) == 0
    return c


def is_signed(c, der, issuer):
    """As a meter sees it."""
    work = ec.new(c.curve, hashlib.new, cpython.elliptic(c.curve))
    digest = hashlib.new(CURVES[c.curve][1], der[slice(*c.tbs)]).digest()
    work.verify(issuer.key, digest, c.signature)
    return bool(work.result)


def request(curve, private, title=TITLE):
    """As a meter makes it."""
    out = bytearray(certificate_request.LENGTH + 8)
    public = public_of(curve, private)
    end = certificate_request.begin(out, 8, curve, title, public)
    digest = hashlib.new(CURVES[curve][1], out[8:end]).digest()
    work = ec.new(curve, hashlib.new, cpython.elliptic(curve))
    work.sign(private, digest)
    start, end = certificate_request.finish(out, 8, end, curve, bytes(work.result))
    return bytes(out[start:end])


def public_of(curve, private):
    work = ec.new(curve, hashlib.new, cpython.elliptic(curve))
    work.public_key(private)
    return bytes(work.result)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("kind", authority.KINDS)
def test_what_it_issues(ca, curve, kind):
    pair = ca.issue(curve, kind, TITLE)
    root = ca.root(curve)
    c, r = read(pair.certificate), read(root.certificate)
    assert (c.curve, c.title, c.is_authority) == (curve, TITLE, False)
    assert c.usage == {"sign": 0x80, "agree": 0x08, "tls": 0x88}[kind]
    assert c.key == public_of(curve, pair.private_key)
    assert c.not_after == certificate.FOREVER and c.not_before == 10519200  # 2020-01-01
    assert len(pair.certificate) < 640
    assert r.title is None and r.is_authority and r.usage == 0x06
    names = [
        d[slice(*w)] for d, w in ((pair.certificate, c.issuer), (root.certificate, r.subject))
    ]
    assert names[0] == names[1]
    ids = [
        d[slice(*w)]
        for d, w in (
            (pair.certificate, c.authority_key_id),
            (root.certificate, r.subject_key_id),
        )
    ]
    assert ids[0] == ids[1] and len(ids[0]) == 20
    assert is_signed(c, pair.certificate, r) and is_signed(r, root.certificate, r)
    made, issuer = map(x509.load_der_x509_certificate, (pair.certificate, root.certificate))
    made.verify_directly_issued_by(issuer)


def test_roots_and_clients_are_made_once(ca):
    again = authority.Authority(ca.folder)
    assert ca.root("P-256").certificate == again.root("P-256").certificate
    client = ca.client(CLIENT, "P-384", "agree")
    assert again.client(CLIENT, "P-384", "agree").private_key == client.private_key
    assert ca.issue("P-256", "sign", TITLE).private_key != ca.issue("P-256", "sign", TITLE)
    assert sorted(os.listdir(ca.folder)) == [
        "client-4-p384-agree.pem",
        "root-p256.pem",
        "root-p384.pem",
    ]
    for name in os.listdir(ca.folder):
        assert stat.S_IMODE(os.stat(os.path.join(ca.folder, name)).st_mode) == 0o600
    assert client.private_key.hex() not in repr(client)


@pytest.mark.parametrize("curve", CURVES)
def test_it_certifies_what_a_meter_asks_for(ca, curve, tmp_path):
    der = request(curve, b"\0" * (CURVES[curve][0] - 1) + b"\7")
    text = ca.certify(der)
    made = x509.load_pem_x509_certificate(text.encode())
    made.verify_directly_issued_by(x509.load_der_x509_certificate(ca.root(curve).certificate))
    c = read(authority.der_of(text))
    assert c.title == TITLE and c.usage == certificate.SIGNS
    assert c.key == public_of(curve, b"\0" * (CURVES[curve][0] - 1) + b"\7")
    assert read(authority.der_of(ca.certify(der, "agree"))).usage == certificate.AGREES
    # As a command, of a PEM.
    (tmp_path / "request.pem").write_text(authority.armour("CERTIFICATE REQUEST", der))
    args = [str(tmp_path / "request.pem"), "--authority", ca.folder, "-o", str(tmp_path / "c.pem")]
    r = subprocess.run([sys.executable, PROVISION, "certify", *args], capture_output=True)
    assert (r.returncode, r.stderr) == (0, b"")
    c = read(authority.der_of((tmp_path / "c.pem").read_text()))
    assert c.title == TITLE and ca.root(curve).certificate in [
        authority.load(os.path.join(ca.folder, n)).certificate for n in os.listdir(ca.folder)
    ]


def test_it_certifies_nothing_else(ca):
    good = request("P-256", bytes(31) + b"\7")
    ca.certify(good)
    # How many bits of a BIT STRING are not used is not signed; 1 may be as good as 0.
    signature = certificate.SIGNATURE_ALGORITHMS[0]
    unused = good.index(signature) + len(signature) + 2
    assert good[unused] == 0
    wrong = [b"", b"-----BEGIN CERTIFICATE REQUEST-----\n-----END", good[:-1]]
    for k in range(len(good)):
        if k != unused:
            wrong.append(good[:k] + bytes((good[k] ^ 1,)) + good[k + 1 :])
    wrong.append(request("P-256", bytes(31) + b"\7", TITLE[:7]))
    for der in wrong:
        with pytest.raises(Trouble, match="This is no request of a meter"):
            ca.certify(der)


def test_files_that_are_none(ca, tmp_path):
    one = ca.root("P-256").pem()
    other = ca.root("P-384").pem()
    at = one.index("-----BEGIN PRIVATE")
    path = tmp_path / "x.pem"
    for text in ("", one[:at], one[at:], one[:at] + other[other.index("-----BEGIN PRIVATE") :]):
        path.write_text(text)
        with pytest.raises(Trouble, match="is no certificate with its private key"):
            authority.load(str(path))
    with pytest.raises(Trouble, match="Cannot read"):
        authority.load(str(tmp_path / "none.pem"))


def test_the_command_shows_fingerprints_and_no_key(tmp_path):
    args = [sys.executable, PROVISION, "authority", "--folder", str(tmp_path)]
    first = subprocess.run(args, capture_output=True, text=True).stdout.splitlines()
    again = subprocess.run(args, capture_output=True, text=True).stdout.splitlines()
    assert first[:2] == again[:2] and len(first) == 3
    assert first[2] == "made:  %s" % (tmp_path / "authority")
    for line in first[:2]:
        curve, _, digest = line.split()
        pair = authority.Authority(str(tmp_path / "authority")).root(curve)
        assert digest == hashlib.sha256(pair.certificate).hexdigest()


def test_the_demo_meter_s_certificates():
    """Those that lie beside its definition: signed by the demo roots, and said to be public."""
    folder = os.path.join(ROOT, "firmware", "definitions", "residential")
    own = b"PMT" + (1000000000001).to_bytes(5, "big")
    clients = {"P-256": b"CLI\0\0\0\0\4", "P-384": b"CLI\0\0\0\0\5"}
    demo = authority.Authority(folder)
    roots = {curve: read(demo.root(curve).certificate) for curve in CURVES}
    assert not demo.made
    names = sorted(os.listdir(folder))
    assert len(names) == 11
    for name in names:
        path = os.path.join(folder, name)
        with open(path) as f:
            assert f.read().startswith("DEMO ONLY. Everybody knows this key")
        if name == "maker-p256.pem":
            continue  # a key of who makes firmware: it has no certificate
        c = read(authority.load(path).certificate)
        assert is_signed(c, authority.load(path).certificate, roots[c.curve])
        who, kind = name.split("-")[0], name[:-4].rsplit("-")[-1]
        assert c.title == {"meter": own, "client": clients[c.curve], "root": None}[who]
        assert c.usage == {"sign": 0x80, "agree": 0x08}.get(kind, 0x06)
