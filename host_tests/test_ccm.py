# SPDX-License-Identifier: MIT
"""lib/crypto/ccm.py against NIST SP 800-38C, RFC 3610 and `cryptography`."""

import os
import sys

import crypto_vectors
import pytest
from crypto import ccm
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from firmware.ports.ciphers import cpython as port
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

VECTORS = crypto_vectors.of("ccm")
KEYS = st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_vectors_and_every_wrong_bit(v):
    assert crypto_cases.ccm_case(v, port) is None


@pytest.mark.parametrize("form", ["own", "loop"])
def test_vectors_on_micropython_with_the_heap_locked(micropython, form):
    said = crypto_vectors.on_micropython(micropython, form, VECTORS)
    assert said == crypto_vectors.all_ok(VECTORS)


@settings(deadline=None)
@given(
    KEYS,
    st.binary(min_size=7, max_size=13),
    st.sampled_from(range(4, 17, 2)),
    st.binary(max_size=50),
    st.binary(max_size=50),
)
def test_messages_are_those_of_cryptography(key, nonce, n_tag, aad, text):
    c = ccm.CCM(port.aes(key), len(nonce), n_tag)
    c.nonce[:] = nonce
    n = len(text)
    buf = bytearray(text)
    tag = bytearray(n_tag)
    assert c.encrypt(aad, 0, len(aad), buf, 0, n, tag, 0) == 1
    assert buf + tag == AESCCM(key, n_tag).encrypt(nonce, text, aad)
    assert c.decrypt(aad, 0, len(aad), buf, 0, n, tag, 0) == 1
    assert buf == text


@pytest.mark.parametrize("n_nonce, n_tag", [(6, 8), (14, 8), (12, 2), (12, 7), (12, 18)])
def test_lengths_that_it_does_not_have(n_nonce, n_tag):
    with pytest.raises(ValueError):
        ccm.CCM(port.aes(bytes(16)), n_nonce, n_tag)


@pytest.mark.parametrize("n_aad, n_text", [(0xFF00, 1), (0, 1 << 16)])
def test_what_is_too_long_is_left_alone(n_aad, n_text):
    c = ccm.CCM(port.aes(bytes(16)), 13, 8)
    buf = bytearray(n_text)
    tag = bytearray(8)
    assert c.encrypt(bytes(n_aad), 0, n_aad, buf, 0, n_text, tag, 0) == -1
    assert c.decrypt(bytes(n_aad), 0, n_aad, buf, 0, n_text, tag, 0) == -1
    assert buf == bytes(n_text) and tag == bytes(8)
