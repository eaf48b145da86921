# SPDX-License-Identifier: MIT
"""lib/crypto/gcm_stream.py: every form against vectors and against `cryptography`, in portions of
any size. On MicroPython under a locked heap; see also test_gcm.py, whose vectors go through it."""

import os
import sys

import crypto_vectors
import pytest
from crypto import gcm, gcm_stream
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from firmware.ports.ciphers import cpython as port
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

VECTORS = crypto_vectors.of(*crypto_cases.PORTIONS)
A, E, AE = 1, 2, 3


@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_vectors(v):
    assert crypto_cases.portions_case(v, port) is None


@settings(deadline=None)
@given(st.sampled_from([16, 32]), st.sampled_from([A, E, AE]), st.binary(max_size=70), st.data())
def test_any_portions(n_key, kinds, aad, data):
    key, iv = os.urandom(n_key), os.urandom(12)
    portions = data.draw(st.lists(st.binary(max_size=300), max_size=9))
    text = b"".join(portions)
    s = gcm_stream.Seal(gcm.new(port.aes(key)), iv, kinds, aad)
    made = b""
    for portion in portions:
        buf = bytearray(b"##" + portion + b"##")
        s.update(buf, 2, 2 + len(portion))
        assert buf[:2] == buf[-2:] == b"##"
        made += buf[2:-2]
    tag = bytearray(12)
    if kinds & A:
        s.tag(tag, 0, 12)
    if kinds == A:
        assert made + tag == text + AESGCM(key).encrypt(iv, b"", aad + text)[:12]
    elif kinds == E:
        assert made == AESGCM(key).encrypt(iv, text, b"")[: len(text)]
    else:
        assert made + tag == AESGCM(key).encrypt(iv, text, aad)[: len(text) + 12]


def test_a_long_message():
    """More blocks than two octets of a counter take."""
    key, iv, aad = bytes(range(16)), bytes(12), b"\x30" + bytes(16)
    text = bytes(1 << 20) + b"end"
    s = gcm_stream.Seal(gcm.new(port.aes(key)), iv, E, aad)
    buf = bytearray(text)
    s.update(buf, 0, len(buf))
    assert buf == AESGCM(key).encrypt(iv, text, b"")[: len(text)]
