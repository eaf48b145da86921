# SPDX-License-Identifier: MIT
"""lib/crypto/gcm.py: every form against vectors and against `cryptography`."""

import hashlib
import os
import sys
import types

import crypto_vectors
import pytest
from crypto import _gcm_loop, gcm, keywrap
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from firmware.ports.ciphers import cpython as port
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

KINDS = ("gcm", "gmac", "gmac-text", "ctr")
VECTORS = crypto_vectors.of(*KINDS)

KEYS = st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32)
IVS = st.binary(min_size=12, max_size=12)
# Around the ends of blocks and of portions of key stream, and anything.
LENGTHS = st.sampled_from([0, 1, 15, 16, 17, 239, 240, 241, 495, 496, 497, 1024]) | st.integers(
    0, 600
)


class Bare:
    """AES that can do blocks only, as boards have it."""

    def __init__(self, key):
        aes = port.aes(key)
        self.encrypt = aes.encrypt


class BarePort:
    aes = Bare


def forms(key):
    """GCM by OpenSSL and by our loops, under one key."""
    return [gcm.new(port.aes(key)), gcm.new(Bare(key))]


@pytest.mark.parametrize("which", [port, BarePort], ids=["openssl", "loops"])
@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_vectors(v, which):
    assert crypto_cases.KINDS[v["kind"]](v, which) is None


@pytest.mark.parametrize("form", ["own", "loop"])
def test_vectors_on_micropython_with_the_heap_locked(micropython, form):
    said = crypto_vectors.on_micropython(micropython, form, VECTORS)
    assert said == crypto_vectors.all_ok(VECTORS)


def test_cpython_uses_openssl_if_it_can():
    openssl, loops = forms(bytes(16))
    assert type(openssl).__module__ == "crypto._gcm_host"
    assert type(loops) is gcm.GCM and gcm.ghash is _gcm_loop.ghash


@settings(deadline=None)
@given(KEYS, IVS, st.binary(max_size=70), LENGTHS, st.integers(12, 16), st.data())
def test_random_messages_as_cryptography_makes_them(key, iv, aad, n, n_tag, data):
    text = data.draw(st.binary(min_size=n, max_size=n))
    cut = data.draw(st.integers(0, len(aad)))
    sealed = AESGCM(key).encrypt(iv, text, aad)
    wanted = bytearray(sealed[: n + n_tag])
    for g in forms(key):
        assert (
            crypto_cases._one_message(with_iv(g, iv), bytearray(aad), bytearray(text), wanted, cut)
            is None
        )


def with_iv(g, iv):
    g.iv[:] = iv
    return g


@settings(deadline=None)
@given(KEYS, IVS, st.binary(max_size=40), st.binary(max_size=300), st.data())
def test_any_wrong_bit_is_refused(key, iv, aad, text, data):
    sealed = bytearray(AESGCM(key).encrypt(iv, text, aad)[: len(text) + 12])
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at >> 3] ^= 1 << (at & 7)
    before = bytes(sealed)
    for g in forms(key):
        with_iv(g, iv).start()
        g.aad(aad, 0, len(aad))
        assert g.decrypt(sealed, 0, len(text), sealed, len(text), 12) == 0
        assert sealed == before


@settings(deadline=None)
@given(KEYS, IVS, LENGTHS)
def test_encryption_only_is_the_same_both_ways(key, iv, n):
    text = bytes(i * 7 & 0xFF for i in range(n))
    for g in forms(key):
        buf = bytearray(text)
        with_iv(g, iv).crypt(buf, 0, n)
        assert buf == AESGCM(key).encrypt(iv, text, None)[:n]
        g.crypt(buf, 0, n)
        assert buf == text


def test_keys_take_turns_between_messages():
    """They share their buffers; each message is whole before the next begins."""
    octets = (bytes(16), b"\x01" * 16, b"\x07" * 32)
    for make in (Bare, port.aes):
        keys = [gcm.new(make(key)) for key in octets]
        for k in (0, 1, 1, 2, 0):
            buf = bytearray(b"text" + bytes(12))
            with_iv(keys[k], bytes(12)).start()
            keys[k].aad(b"aad", 0, 3)
            keys[k].encrypt(buf, 0, 4, buf, 4, 12)
            assert buf == AESGCM(octets[k]).encrypt(bytes(12), b"text", b"aad")[:16]


@settings(deadline=None)
@given(KEYS, IVS, st.binary(min_size=1, max_size=40), LENGTHS, st.data())
def test_a_message_at_once_is_the_same(key, iv, aad, n, data):
    text = bytes(i * 7 & 0xFF for i in range(n))
    wanted = AESGCM(key).encrypt(iv, text, aad)[: n + 12]
    for g in forms(key):
        buf = bytearray(iv[8:] + text + bytes(12))
        g.seal(aad, iv, 0, buf, 0, 4, 4 + n)
        assert buf[4:] == wanted
        at = data.draw(st.integers(32, len(buf) * 8 - 1))
        buf[at >> 3] ^= 1 << (at & 7)
        before = bytes(buf)
        assert g.open(aad, iv, 0, buf, 0, 4, 4 + n) == 0 and buf == before
        buf[at >> 3] ^= 1 << (at & 7)
        assert g.open(aad, iv, 0, buf, 0, 4, 4 + n) == 1 and buf[4 : 4 + n] == text


def test_circuitpythons_aes_takes_one_block_at_a_time(monkeypatch):
    """Its port, over an aesio that is as strict as the real one."""

    class Strict:
        def __init__(self, key, mode):
            assert mode == 1
            self._aes = port.aes(bytes(key))

        def encrypt_into(self, src, dest):
            assert len(src) == len(dest) == 16
            self._aes.encrypt(src, dest)

        def decrypt_into(self, src, dest):
            assert len(src) == len(dest) == 16
            self._aes.decrypt(src, dest)

    aesio = types.SimpleNamespace(AES=Strict, MODE_ECB=1)
    monkeypatch.setitem(sys.modules, "aesio", aesio)
    from firmware.ports.ciphers import circuitpython

    for v in VECTORS:
        assert crypto_cases.KINDS[v["kind"]](v, circuitpython) is None
    wrapped = bytearray(8) + b"0123456789abcdef"
    keywrap.wrap(circuitpython.aes(bytes(16)), wrapped, 0, 24)
    assert keywrap.unwrap(circuitpython.aes(bytes(16)), wrapped, 0, 24) == 1
    assert wrapped[8:] == b"0123456789abcdef"
    assert circuitpython.new_hash("md5") is None
    assert circuitpython.new_hash("sha256").digest() == hashlib.sha256().digest()
