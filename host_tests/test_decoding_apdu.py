# SPDX-License-Identifier: MIT
"""tools/decoding/apdu.py: APDUs there and back. Vectors: host_tests/vectors, sources in them."""

import json
import os

import pytest
from decoding import apdu

FOLDER = os.path.join(os.path.dirname(__file__), "vectors")


def vectors(*files):
    """Those that are APDUs."""
    found = []
    for file in files:
        with open(os.path.join(FOLDER, file + ".jsonl")) as f:
            found += [json.loads(line) for line in f]
    return [v for v in found if v.get("hex") and v.get("kind") in (None, "protected")]


VECTORS = vectors("xdlms", "acse", "sn")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_there_and_back(vector):
    octets = bytes.fromhex(vector["hex"])
    node = apdu.decode(octets)
    assert node.faults() == []
    assert apdu.encode(node) == octets
