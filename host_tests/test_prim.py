# SPDX-License-Identifier: MIT
"""lib/dlms/prim.py: the same cases over every form of the primitives."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "host_tests" / "device"))
import dlms._prim_host as host
import dlms._prim_loop as loop
import prim_cases


@pytest.mark.parametrize("form", [host, loop])
def test_cases(form):
    assert prim_cases.cases(form) == []


def test_cpython_uses_its_own_form():
    from dlms import prim

    assert prim.copy is host.copy


def test_cases_on_micropython(micropython):
    out = subprocess.run(
        [micropython, str(ROOT / "host_tests/device/prim_cases.py")],
        env={"MICROPYPATH": str(ROOT / "lib")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert out.stdout.split("\n")[:-1] == [
        "ok dlms.prim",
        "ok dlms._prim_loop",
        "ok dlms._prim_viper",
    ]


@given(st.binary(max_size=80), st.integers(0, 0xFFFF))
def test_both_crcs_agree(data, crc):
    assert host.crc16(data, 0, len(data), crc) == loop.crc16(data, 0, len(data), crc)


@given(st.binary(min_size=1, max_size=20), st.binary(min_size=1, max_size=20), st.data())
def test_both_comparisons_agree(a, b, data):
    n = data.draw(st.integers(0, min(len(a), len(b))))
    assert host.compare(a, 0, b, 0, n) == loop.compare(a, 0, b, 0, n)
    assert host.same(a, 0, b, 0, n) == loop.same(a, 0, b, 0, n) == int(a[:n] == b[:n])


@pytest.mark.parametrize("n, dpos, spos", [(5, 0, 0), (1, 4, 0), (2, 0, 3), (1, -1, 0)])
def test_host_copy_refuses_positions_outside(n, dpos, spos):
    with pytest.raises(IndexError):
        host.copy(bytearray(4), dpos, bytes(4), spos, n)
