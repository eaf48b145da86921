# SPDX-License-Identifier: MIT
"""lib/crypto/cmac.py against RFC 4493, NIST SP 800-38B and `cryptography`."""

import os
import sys

import crypto_vectors
import pytest
from crypto import cmac
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from firmware.ports.ciphers import cpython as port
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

VECTORS = crypto_vectors.of("cmac")
KEYS = st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_vectors_and_every_wrong_octet(v):
    assert crypto_cases.cmac_case(v, port) is None


@pytest.mark.parametrize("form", ["own", "loop"])
def test_vectors_on_micropython_with_the_heap_locked(micropython, form):
    said = crypto_vectors.on_micropython(micropython, form, VECTORS)
    assert said == crypto_vectors.all_ok(VECTORS)


@settings(deadline=None)
@given(KEYS, st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 16))
def test_tags_are_those_of_cryptography(key, portions, n):
    theirs = CMAC(algorithms.AES(key))
    theirs.update(b"".join(portions))
    ours = cmac.CMAC(port.aes(key))
    for _ in range(2):  # a tag leaves nothing behind
        for portion in portions:
            ours.update(portion, 0, len(portion))
        out = bytearray(n)
        ours.tag(out, 0, n)
    assert out == theirs.finalize()[:n]


def test_two_messages_at_a_time():
    one = cmac.CMAC(port.aes(bytes(16)))
    two = cmac.CMAC(port.aes(bytes([1] * 16)))
    alone = bytearray(16)
    one.update(b"the first message of all", 0, 24)
    one.tag(alone, 0, 16)
    one.update(b"the first ", 0, 10)
    two.update(b"another", 0, 7)
    one.update(b"message of all", 0, 14)
    assert one.matches(alone, 0, 16) == 1
    assert two.matches(alone, 0, 16) == 0
