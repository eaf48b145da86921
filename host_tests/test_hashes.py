# SPDX-License-Identifier: MIT
"""lib/crypto/hashes.py, sha2.py, old_hashes.py: every form against vectors and hashlib."""

import hashlib
import hmac
import os
import sys

import crypto_vectors
import pytest
from crypto import _sha2_loop, hashes, sha2
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import crypto_cases

NAMES = ("md5", "sha1", "sha256", "sha384")
VECTORS = crypto_vectors.of(*NAMES)


def none(name):
    """A runtime without any hash."""


class NoHashes:
    new_hash = staticmethod(none)


class HostHashes:
    new_hash = staticmethod(hashlib.new)


@pytest.mark.parametrize("port", [NoHashes, HostHashes], ids=["own", "hashlib"])
@pytest.mark.parametrize("v", VECTORS, ids=crypto_vectors.name)
def test_vectors(v, port):
    assert crypto_cases.hash_case(v, port) is None


@pytest.mark.parametrize("form", ["own", "loop"])
def test_vectors_on_micropython(micropython, form):
    said = crypto_vectors.on_micropython(micropython, form, VECTORS)
    assert said == crypto_vectors.all_ok(VECTORS)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=4))
def test_any_message_in_any_pieces(name, parts):
    h = hashes.new(name, none)
    for part in parts:
        h.update(part)
    assert h.digest() == hashlib.new(name, b"".join(parts)).digest()


@pytest.mark.parametrize("n", [55, 56, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129])
@pytest.mark.parametrize("name", NAMES)
def test_lengths_around_the_padding(name, n):
    h = hashes.new(name, none)
    h.update(b"x" * n)
    assert h.digest() == hashlib.new(name, b"x" * n).digest()


@pytest.mark.parametrize("name", ["sha256", "sha384"])
@settings(deadline=None)
@given(st.binary(max_size=64), st.lists(st.binary(max_size=100), max_size=3))
def test_hmac_is_that_of_the_standard_library(name, key, parts):
    wanted = hmac.new(key, b"".join(parts), name).digest()
    assert hashes.hmac(name, none, key, parts) == wanted
    assert hashes.hmac(name, hashlib.new, key, parts) == wanted


def test_what_the_runtime_has_is_used():
    assert type(hashes.new("sha256", hashlib.new)) is type(hashlib.sha256())
    assert type(hashes.new("sha384", none)) is sha2.SHA384
    assert sha2.compress512 is _sha2_loop.compress512


def test_no_such_hash():
    with pytest.raises(ValueError):
        hashes.new("sha512", none)


def test_a_key_longer_than_a_block():
    with pytest.raises(ValueError):
        hashes.hmac("sha256", none, bytes(65), ())
