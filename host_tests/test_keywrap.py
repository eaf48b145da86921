# SPDX-License-Identifier: MIT
"""lib/crypto/keywrap.py against RFC 3394 and `cryptography`."""

import os
import sys

import crypto_vectors
import pytest
from crypto import keywrap
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from firmware.ports.ciphers import cpython as port
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

VECTORS = crypto_vectors.of("keywrap")
KEKS = st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32)
KEYS = st.integers(2, 8).flatmap(lambda n: st.binary(min_size=8 * n, max_size=8 * n))


@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_vectors_and_every_wrong_octet(v):
    assert crypto_cases.keywrap_case(v, port) is None


@pytest.mark.parametrize("form", ["own", "loop"])
def test_vectors_on_micropython_with_the_heap_locked(micropython, form):
    said = crypto_vectors.on_micropython(micropython, form, VECTORS)
    assert said == crypto_vectors.all_ok(VECTORS)


@settings(deadline=None)
@given(KEKS, KEYS, st.integers(0, 5))
def test_keys_are_wrapped_as_cryptography_does_it(kek, key, pos):
    buf = bytearray(pos + 8) + key + b"after"
    end = pos + 8 + len(key)
    keywrap.wrap(port.aes(kek), buf, pos, end)
    assert buf == bytes(pos) + aes_key_wrap(kek, key) + b"after"
    assert keywrap.unwrap(port.aes(kek), buf, pos, end) == 1
    assert buf[pos + 8 :] == key + b"after"


@settings(deadline=None)
@given(KEKS, KEYS, st.data())
def test_a_wrong_bit_leaves_no_key(kek, key, data):
    wrapped = bytearray(aes_key_wrap(kek, key))
    at = data.draw(st.integers(0, len(wrapped) * 8 - 1))
    wrapped[at >> 3] ^= 1 << (at & 7)
    assert keywrap.unwrap(port.aes(kek), wrapped, 0, len(wrapped)) == 0
    assert wrapped == bytes(len(wrapped))


def test_another_kek_opens_nothing():
    wrapped = bytearray(aes_key_wrap(bytes(16), b"0123456789abcdef"))
    assert keywrap.unwrap(port.aes(b"\x01" + bytes(15)), wrapped, 0, 24) == 0


@pytest.mark.parametrize("n", [0, 8, 16, 23, 25, 31, 73, 80])
def test_lengths_that_are_not_of_a_key(n):
    buf = bytearray(n)
    assert keywrap.unwrap(port.aes(bytes(16)), buf, 0, n) == 0
    with pytest.raises(ValueError):
        keywrap.wrap(port.aes(bytes(16)), buf, 0, n)
    assert buf == bytes(n)
