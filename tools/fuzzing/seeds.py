# SPDX-License-Identifier: MIT
"""What the first inputs are made of: published vectors and the conversations of host_tests."""

import functools
import glob
import json
import os

import fuzzing

_TESTS = os.path.join(fuzzing.ROOT, "host_tests")


@functools.lru_cache(maxsize=None)
def vectors(name):
    with open(os.path.join(_TESTS, "vectors", name + ".jsonl")) as f:
        found = [json.loads(line) for line in f]
    return [bytes.fromhex(v["hex"].replace(" ", "")) for v in found if "hex" in v]


def data():
    return vectors("axdr")


@functools.lru_cache(maxsize=None)
def requests(name="*"):
    """What clients say in the conversations, in plain text."""
    found = []
    for path in sorted(glob.glob(os.path.join(_TESTS, "conversations", name + ".txt"))):
        with open(path) as f:
            for line in f:
                line = line.split("#")[0].strip()
                if line.startswith(">"):
                    found.append(bytes.fromhex(line[1:].replace(" ", "")))
    return list(dict.fromkeys(found))


def apdus():
    return [*vectors("acse"), *vectors("xdlms"), *requests()]


def mbus():
    return [
        bytes.fromhex(text)
        for text in (
            "0C1427048502046D32371F1502FD17004C1301000000",
            "0C7800000000 0D7C084449 20554E5A04 0D7C",
            "0D13C23412 8C4006000000008C8040060000 0000",
            "02FD483412 04FB0012345678 0F0102",
            "2F2F0C1427048502046D32371F15021742",
        )
    ]


def images():
    head = b"PMFW\x01\x01"
    body = b"\x06a/b.py\0\0\0\x03abc"
    n = 16 + 1 + 7 + 32 + 64
    made = head + n.to_bytes(2, "big") + (2).to_bytes(4, "big") + len(body).to_bytes(4, "big")
    return [made + b"\x07cpython" + bytes(96) + body]
