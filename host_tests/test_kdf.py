# SPDX-License-Identifier: MIT
"""lib/crypto/kdf.py against published DLMS examples and `cryptography`."""

import hashlib
import os
import sys

import crypto_vectors
import pytest
from crypto import kdf
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from firmware.ports.ciphers import cpython
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

VECTORS = crypto_vectors.of("kdf")
TITLES = st.binary(min_size=8, max_size=8)


@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_published_examples(v):
    assert crypto_cases.kdf_case(v, cpython) is None


def test_published_examples_on_micropython(micropython):
    said = crypto_vectors.on_micropython(micropython, "own", VECTORS)
    assert said == crypto_vectors.all_ok(VECTORS)


@pytest.mark.parametrize(
    "name, algorithm, n_z, n",
    [("sha256", hashes.SHA256(), 32, 16), ("sha384", hashes.SHA384(), 48, 32)],
)
@pytest.mark.parametrize(
    "purpose", [kdf.AES_GCM_128, kdf.AES_GCM_256, kdf.AES_WRAP_128, kdf.AES_WRAP_256]
)
@settings(deadline=None)
@given(st.data(), TITLES, TITLES, st.binary(max_size=9))
def test_keys_are_those_of_cryptography(name, algorithm, n_z, n, purpose, data, u, v, nonce):
    z = data.draw(st.binary(min_size=n_z, max_size=n_z))
    party_u = u + (bytes((len(nonce),)) + nonce if nonce else b"")
    wanted = ConcatKDFHash(algorithm, n, purpose + party_u + v).derive(z)
    assert kdf.derive(name, hashlib.new, z, purpose, party_u, v) == wanted


def test_the_order_of_the_parties_matters():
    one = kdf.derive("sha256", hashlib.new, bytes(32), kdf.AES_GCM_128, b"AAAAAAAA", b"BBBBBBBB")
    other = kdf.derive("sha256", hashlib.new, bytes(32), kdf.AES_GCM_128, b"BBBBBBBB", b"AAAAAAAA")
    assert one != other


def test_another_hash():
    with pytest.raises(ValueError):
        kdf.derive("sha1", hashlib.new, bytes(32), kdf.AES_GCM_128, bytes(8), bytes(8))
