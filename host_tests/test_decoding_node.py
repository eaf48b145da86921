# SPDX-License-Identifier: MIT
"""tools/decoding/node.py: what a tree is asked."""

import json

import pytest
from decoding import apdu
from decoding.node import Fault

GET = bytes.fromhex("c001c100030100010800ff0200")


def test_by_name_by_number_and_by_path():
    node = apdu.decode(GET)
    assert node["invoke-id-and-priority"].value == 0xC1
    assert node[1] is node["cosem-attribute-descriptor"]
    assert node.get("cosem-attribute-descriptor", "class-id").text == "Register"
    assert node.get("cosem-attribute-descriptor", "method-id", "x") is None
    with pytest.raises(KeyError):
        node["value"]


def test_walk_goes_by_the_octets():
    starts = [n.start for n in apdu.decode(GET).walk()]
    assert starts == sorted(starts)
    assert [n.name for n in apdu.decode(GET).walk()][:3] == [
        "get-request-normal", "invoke-id-and-priority", "cosem-attribute-descriptor"]  # fmt: skip


def test_text_can_be_given():
    node = apdu.decode(GET)
    assert node["cosem-attribute-descriptor"].text == "Register 1.0.1.8.0.255 value"
    node["cosem-attribute-descriptor"].text = "Active energy"
    assert json.loads(node.json())["children"][1]["text"] == "Active energy"


def test_json():
    """Octets as hexadecimal; what has no number in JSON as text; a fault with its octet."""
    value = "020517ff80000018fff80000000000000902aabb0501"
    found = json.loads(apdu.decode(bytes.fromhex("c401c100" + value)).json())
    elements = found["children"][1]["children"][0]["children"]
    assert [e.get("value") for e in elements] == ["-inf", "nan", "aabb", None]
    assert elements[3]["error"] == {
        "text": "expected 4 octets of double-long, found 1 and the end", "at": 26}  # fmt: skip


def test_octets_of_what_holds_an_apdu_are_told_by_the_apdu():
    aarq = bytes.fromhex("601da109060760857405080101be10040e01000000065f1f0400007e1f04b0")
    information = apdu.decode(aarq)["user-information"]
    assert information.value[0] == 0x01
    assert "value" not in json.loads(information.json())


def test_a_fault_is_a_sentence():
    fault = Fault("0x99 is no tag", 3)
    assert fault == "0x99 is no tag" and fault.at == 3
    assert repr(apdu.decode(GET)) == "<Node get-request-normal 0:13>"
