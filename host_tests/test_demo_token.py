# SPDX-License-Identifier: MIT
"""firmware/meter/demo_tokens.py and tools/demo_token.py: what the one makes, the other takes.

The tokens are made here by HMAC-SHA-256 of Python's own library, too.
"""

import hashlib
import hmac
import subprocess
import sys
from types import SimpleNamespace

import demo_token
import pytest
from conftest import ROOT
from demo_token import token

from firmware.meter import demo_tokens
from firmware.meter.demo_tokens import Scheme

TITLE = b"PMT12345"
OK, MALFORMED, NOT_AUTHENTIC, INVALID = 2, 4, 5, 6


@pytest.fixture
def check():
    return lambda octets: Scheme(SimpleNamespace(system_title=TITLE)).check(0, octets)


def test_both_have_one_key():
    assert demo_tokens.KEY == demo_token._KEY


def test_a_token(check):
    made = token(TITLE, 500, 7)
    assert made[:12].hex() == "0000000000000007" + "000001f4"
    assert made[12:] == hmac.digest(demo_tokens.KEY, TITLE + made[:12], hashlib.sha256)[:8]
    assert check(made) == (OK, 500, 7, (b"credit", b"500"))


@pytest.mark.parametrize("octets, status", [
    (b"", MALFORMED),
    (token(TITLE, 5, 1)[:-1], MALFORMED),
    (token(TITLE, 5, 1) + b"\0", MALFORMED),
    (token(b"PMT12346", 5, 1), NOT_AUTHENTIC),  # of another meter
    (token(TITLE, 0, 1), INVALID),
    (token(TITLE, 1 << 31, 1), INVALID),
    (token(TITLE, 5, 1 << 63), INVALID),
    (token(TITLE, (1 << 31) - 1, (1 << 63) - 1), OK),
])  # fmt: skip
def test_results(check, octets, status):
    assert check(octets)[0] == status


@pytest.mark.parametrize("k", range(20))
def test_a_token_with_a_wrong_bit(check, k):
    octets = bytearray(token(TITLE, 5, 1))
    octets[k] ^= 1
    assert check(bytes(octets))[0] == NOT_AUTHENTIC


def run(*args):
    return subprocess.run(
        [sys.executable, "tools/demo_token.py", *args], cwd=ROOT, capture_output=True, text=True
    )


def test_the_tool():
    done = run("500", "--identifier", "7")
    title = b"PMT" + (1000000000003).to_bytes(5, "big")
    assert (done.returncode, done.stdout.strip()) == (0, token(title, 500, 7).hex().upper())
    done = run("500", "--identifier", "7", "--title", TITLE.hex())
    assert done.stdout.strip() == token(TITLE, 500, 7).hex().upper()


@pytest.mark.parametrize("args", [
    "0", "-1", "x", "2147483648", "5 --title 00", "5 --title x", "5 --definition none.toml", "",
    "5 --identifier 9223372036854775808",
])  # fmt: skip
def test_what_the_tool_does_not_understand(args):
    done = run(*args.split())
    assert done.returncode and not done.stdout and "Traceback" not in done.stderr
