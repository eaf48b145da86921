# SPDX-License-Identifier: MIT
"""lib/crypto/field.py: its programs against integers, on CPython and by viper on MicroPython."""

import os
import sys

import crypto_vectors
import pytest
from crypto import _field_ints as ints
from crypto import _p256, _p384
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "device"))
import field_cases

CURVES = [_p256, _p384]
MODULI = [(octets, kind) for c in CURVES for octets, kind in ((c.PRIME, c.KIND), (c.ORDER, 0))]


@pytest.mark.parametrize("octets, kind", MODULI)
@settings(deadline=None)
@given(st.integers(0, 2), st.data())
def test_operations(octets, kind, op, data):
    n = int.from_bytes(octets, "big")
    a = data.draw(st.integers(0, n - 1))
    b = data.draw(st.integers(0, n - 1))
    assert field_cases.operation(ints, octets, kind, op, a, b) == (a * b, a + b, a - b)[op] % n


def test_corner_cases():
    assert field_cases.cases(ints) == []


def test_the_same_on_micropython(micropython):
    said = crypto_vectors.run(micropython, "field_cases.py")
    assert said == ["ok crypto.field", "ok crypto._field_ints"]
