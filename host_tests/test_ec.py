# SPDX-License-Identifier: MIT
"""lib/crypto/ec.py: ours and the port's, against vectors, `cryptography`, and plain arithmetic."""

import hashlib
import os
import sys

import crypto_vectors
import curves
import pytest
from crypto import _points, ec, field
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec as reference
from cryptography.hazmat.primitives.asymmetric import utils
from firmware.ports.ciphers import cpython
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

KINDS = ("ecdh", "ecdsa", "verify")
VECTORS = crypto_vectors.of(*KINDS)
NAMES = ("P-256", "P-384")
SIZE = {"P-256": 32, "P-384": 48}
HASH = {"P-256": "sha256", "P-384": "sha384"}
REFERENCE = {"P-256": reference.SECP256R1(), "P-384": reference.SECP384R1()}
ORDER = {"P-256": curves.CURVES["p256"][1], "P-384": curves.CURVES["p384"][1]}
PRIME = {"P-256": curves.CURVES["p256"][0], "P-384": curves.CURVES["p384"][0]}


def no_hash(name):
    return None


class Own:
    new_hash = staticmethod(no_hash)

    @staticmethod
    def elliptic(name):
        return None


PORTS = pytest.mark.parametrize("port", [Own, cpython], ids=["own", "openssl"])
CURVES = pytest.mark.parametrize("name", NAMES)


def done(work):
    while work.step():
        pass
    return work.result


def ours(name):
    return ec.new(name, no_hash)


def digest(name, message):
    return hashlib.new(HASH[name], message).digest()


def octets(name, number):
    return number.to_bytes(SIZE[name], "big")


def private_keys(name):
    return st.integers(1, ORDER[name] - 1).map(lambda d: octets(name, d))


def key_of(name, private):
    return reference.derive_private_key(int.from_bytes(private, "big"), REFERENCE[name])


def raw(name, public):
    numbers = public.public_numbers()
    return octets(name, numbers.x) + octets(name, numbers.y)


@PORTS
@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_vectors(v, port):
    assert crypto_cases.KINDS[v["kind"]](v, port) is None


@pytest.mark.parametrize("form", ["own", "loop"])
def test_vectors_on_micropython(micropython, form):
    said = crypto_vectors.on_micropython(micropython, form, VECTORS)
    assert said == crypto_vectors.all_ok(VECTORS)


# --- Against `cryptography`


@CURVES
@settings(deadline=None, max_examples=15)
@given(st.data())
def test_what_we_sign_others_accept(name, data):
    private = data.draw(private_keys(name))
    message = data.draw(st.binary(max_size=40))
    extra = data.draw(st.binary(max_size=8))
    work = ours(name)
    work.sign(private, digest(name, message), extra)
    signature = done(work)
    n = SIZE[name]
    der = utils.encode_dss_signature(
        int.from_bytes(signature[:n], "big"), int.from_bytes(signature[n:], "big")
    )
    algorithm = {"P-256": hashes.SHA256(), "P-384": hashes.SHA384()}[name]
    key = key_of(name, private)
    key.public_key().verify(der, message, reference.ECDSA(algorithm))
    if not extra:
        alike = key.sign(message, reference.ECDSA(algorithm, deterministic_signing=True))
        assert der == alike


@CURVES
@settings(deadline=None, max_examples=15)
@given(st.data())
def test_what_others_sign_we_accept_and_nothing_else(name, data):
    key = key_of(name, data.draw(private_keys(name)))
    message = data.draw(st.binary(max_size=40))
    algorithm = {"P-256": hashes.SHA256(), "P-384": hashes.SHA384()}[name]
    r, s = utils.decode_dss_signature(key.sign(message, reference.ECDSA(algorithm)))
    public = raw(name, key.public_key())
    parts = [public, digest(name, message), octets(name, r) + octets(name, s)]
    work = ours(name)
    work.verify(*parts)
    assert done(work) == 1
    which = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(parts[which]) * 8 - 1))
    wrong = bytearray(parts[which])
    wrong[at >> 3] ^= 1 << (at & 7)
    parts[which] = bytes(wrong)
    work.verify(*parts)
    assert done(work) == 0


@CURVES
@settings(deadline=None, max_examples=10)
@given(st.data())
def test_both_sides_agree(name, data):
    private = data.draw(private_keys(name))
    peer = key_of(name, data.draw(private_keys(name)))
    work = ours(name)
    work.agree(private, raw(name, peer.public_key()))
    shared = peer.exchange(reference.ECDH(), key_of(name, private).public_key())
    assert done(work) == shared
    work.public_key(private)
    assert done(work) == raw(name, key_of(name, private).public_key())


# Small ones, those around the order, and single bits at the ends of digits and columns.
@CURVES
def test_private_keys_of_every_shape(name):
    n = ORDER[name]
    bits = SIZE[name] * 8
    shapes = [1, 2, 3, 15, 16, n - 1, n - 2, n >> 1] + [1 << k for k in (63, 64, 96, bits - 1)]
    generator = raw(name, key_of(name, octets(name, 1)).public_key())
    work = ours(name)
    for d in shapes:
        wanted = raw(name, key_of(name, octets(name, d)).public_key())
        work.public_key(octets(name, d))
        assert done(work) == wanted
        work.agree(octets(name, d), generator)
        assert done(work) == wanted[: SIZE[name]]


# --- What is refused


@PORTS
@CURVES
def test_private_keys_out_of_range(name, port):
    work = ec.new(name, no_hash, port.elliptic(name))
    generator = raw(name, key_of(name, octets(name, 1)).public_key())
    for d in (0, ORDER[name], (1 << SIZE[name] * 8) - 1):
        for start in (
            lambda d=d: work.public_key(octets(name, d)),
            lambda d=d: work.sign(octets(name, d), digest(name, b"")),
            lambda d=d: work.agree(octets(name, d), generator),
        ):
            start()
            assert done(work) is None


@PORTS
@CURVES
def test_points_that_are_none(name, port):
    work = ec.new(name, no_hash, port.elliptic(name))
    generator = raw(name, key_of(name, octets(name, 1)).public_key())
    n = SIZE[name]
    x = int.from_bytes(generator[:n], "big")
    y = int.from_bytes(generator[n:], "big")
    p = PRIME[name]
    points = [
        bytes(2 * n),
        octets(name, x) + octets(name, y ^ 1),
        octets(name, y) + octets(name, x),
        octets(name, p) + octets(name, y),
        octets(name, x) + octets(name, p),
        octets(name, p - 1) * 2,
        b"\xff" * 2 * n,
    ]
    # A coordinate that is right, but for the prime that was added.
    if x + p < 1 << 8 * n:
        points.append(octets(name, x + p) + octets(name, y))
    for point in points:
        work.agree(octets(name, 5), point)
        assert done(work) is None
        work.verify(point, digest(name, b""), octets(name, 5) * 2)
        assert done(work) == 0
    work.agree(octets(name, 1), octets(name, x) + octets(name, p - y))
    assert done(work) == octets(name, x)


@PORTS
@CURVES
def test_signatures_with_r_or_s_out_of_range(name, port):
    work = ec.new(name, no_hash, port.elliptic(name))
    key = key_of(name, octets(name, 7))
    public = raw(name, key.public_key())
    work.sign(octets(name, 7), digest(name, b"text"))
    good = done(work)
    n = SIZE[name]
    r, s = good[:n], good[n:]
    order = octets(name, ORDER[name])
    for wrong in (0, ORDER[name], ORDER[name] + 1, (1 << 8 * n) - 1):
        for signature in (octets(name, wrong) + s, r + octets(name, wrong)):
            work.verify(public, digest(name, b"text"), signature)
            assert done(work) == 0
    # r + n and s + n mean the same numbers, and are not accepted for them.
    for number in (r, s):
        more = int.from_bytes(number, "big") + ORDER[name]
        if more < 1 << 8 * n:
            work.verify(public, digest(name, b"text"), good.replace(number, octets(name, more)))
            assert done(work) == 0
    work.verify(public, digest(name, b"text"), good)
    assert done(work) == 1
    assert len(order) == n


@PORTS
@CURVES
def test_wrong_lengths(name, port):
    work = ec.new(name, no_hash, port.elliptic(name))
    n = SIZE[name]
    for start in (
        lambda: work.sign(bytes(n - 1), bytes(n)),
        lambda: work.sign(bytes(n), bytes(n + 1)),
        lambda: work.verify(bytes(2 * n + 1), bytes(n), bytes(2 * n)),
        lambda: work.verify(bytes(2 * n), bytes(n), bytes(n)),
        lambda: work.agree(bytes(n), bytes(2 * n - 1)),
        lambda: work.public_key(b""),
    ):
        with pytest.raises(ValueError):
            start()


def test_no_such_curve():
    with pytest.raises(ValueError):
        ec.new("P-521", no_hash)


# --- How it works


@PORTS
@CURVES
def test_generate_asks_again_for_what_is_no_key(name, port):
    n = SIZE[name]
    drawn = [bytes(n), b"\xff" * n, octets(name, ORDER[name]), octets(name, 9)]

    def random_fill(buf):
        buf[:] = drawn.pop(0)

    work = ec.new(name, no_hash, port.elliptic(name))
    work.generate(random_fill)
    pair = done(work)
    assert pair == octets(name, 9) + raw(name, key_of(name, octets(name, 9)).public_key())
    assert drawn == []


@CURVES
def test_the_sequence_of_operations_is_the_same_for_every_key(name, monkeypatch):
    trail = []
    run, pick = field.run, field.pick

    def traced_run(program, pos, end, w, m):
        trail.append((program[pos:end], m))
        run(program, pos, end, w, m)

    def traced_pick(w, at, m, table, first, n, count, index):
        trail.append((at, first, n, count))
        pick(w, at, m, table, first, n, count, index)

    monkeypatch.setattr(field, "run", traced_run)
    monkeypatch.setattr(field, "pick", traced_pick)
    generator = raw(name, key_of(name, octets(name, 1)).public_key())
    trails = []
    for d in (1, 2, ORDER[name] - 1, 0x123456789ABCDEF << 100):
        work = ours(name)
        work.public_key(octets(name, d))
        done(work)
        work.agree(octets(name, d), generator)
        done(work)
        work.sign(octets(name, d), digest(name, b"%d" % d))
        done(work)
        trails.append(trail[:])
        trail.clear()
    assert len(trails[0]) > 1000
    assert all(t == trails[0] for t in trails)


@CURVES
def test_registers_are_cleared(name):
    work = ours(name)
    work.sign(octets(name, 3), digest(name, b""))
    w = work._w
    work.step()
    assert any(w)
    done(work)
    assert not any(w) and work._w is None


@CURVES
def test_work_that_is_given_up_or_fails(name):
    work = ours(name)
    for give_up in (work.stop, lambda: work.public_key(octets(name, 4))):
        work.public_key(octets(name, 3))
        work.step()
        w = work._w
        give_up()
        assert not any(w)
    assert done(work) == raw(name, key_of(name, octets(name, 4)).public_key())

    def failing(name):
        raise MemoryError

    work = ec.new(name, failing)
    work.sign(octets(name, 3), digest(name, b""))
    w = work._w
    with pytest.raises(MemoryError):
        done(work)
    assert not any(w) and work.step() == 0 and work.result is None


@CURVES
def test_a_step_is_small(name):
    """Rows of programs between two returns: two additions and a doubling, and a bit."""
    work = ours(name)
    key = key_of(name, octets(name, 3))
    run = field.run
    rows = []

    def counted(program, pos, end, w, m):
        rows[-1] += (end - pos) // 4
        run(program, pos, end, w, m)

    try:
        field.run = counted
        rows.append(0)
        work.verify(raw(name, key.public_key()), digest(name, b""), octets(name, 5) * 2)
        more = 1
        while more:
            rows.append(0)
            more = work.step()
    finally:
        field.run = run
    assert max(rows) <= 150
    assert len(rows) > SIZE[name] * 8


def test_rows_say_what_stands_beside_them():
    registers = {
        name: i
        for i, name in enumerate(
            "X Y Z XQ YQ ZQ T0 T1 T2 T3 T4 X3 Y3 Z3 B SCALE ZERO ONE UNSCALE".split()
        )
    }
    n = 0
    with open(_points.__file__) as f:
        for line in f:
            code, hash_, said = line.strip().partition("  # ")
            if code.startswith('b"'):
                d, _is, a, op, b = said.split()
                row = bytes(("*+-".index(op), registers[d], registers[a], registers[b]))
                assert eval(code) == row
                n += 1
    assert n > 100


def test_constants_are_up_to_date():
    for name in curves.CURVES:
        with open(curves.path(name)) as f:
            assert f.read() == curves.source(name)


def test_rejected_by_the_reference_too():
    """The cases above mean something: `cryptography` says the same of a wrong signature."""
    key = key_of("P-256", octets("P-256", 7))
    with pytest.raises(InvalidSignature):
        key.public_key().verify(
            utils.encode_dss_signature(5, 5), b"text", reference.ECDSA(hashes.SHA256())
        )
