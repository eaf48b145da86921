# SPDX-License-Identifier: MIT
"""tools/decoding/xml.py: trees as XML, compared with what Gurux' translator writes, in a process
of its own (peers/gurux_translator.py), for all vectors that are APDUs."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
import told
from decoding import apdu
from decoding.xml import VOCABULARIES, documents, to_xml

pytest_plugins = ["peer_sessions"]

from peer_sessions import PEERS, ROOT

VECTORS = told.vectors("xdlms", "acse", "sn", "sn_answers", "gbt", "security", "general")
VECTORS = {v["id"]: v["hex"] for v in VECTORS}

# Where Gurux' XML is not what the APDU says: vector -> (vocabularies, why).
_BOTH = VOCABULARIES
_GIVES_UP = "the library ends with an exception"
_NOT_KNOWN = "the library has the octets only: it does not know this APDU"
DEVIATIONS = {
    "xdlms-set-list-first-block": (_BOTH, _GIVES_UP),
    "xdlms-set-resp-last-list": (_BOTH, _GIVES_UP),
    "xdlms-action-withlist": (_BOTH, _GIVES_UP),
    "xdlms-action-pblock": (_BOTH, _GIVES_UP),
    "xdlms-action-next": (_BOTH, _GIVES_UP),
    "xdlms-action-resp-pblock": (_BOTH, _GIVES_UP),
    "xdlms-action-resp-list": (_BOTH, _GIVES_UP),
    "xdlms-exc-ic": (_BOTH, _GIVES_UP),
    "xdlms-access-req-action": (_BOTH, _GIVES_UP),
    "sn-inforeport-time": (_BOTH, _GIVES_UP),
    "sec-gb-gc-onepass": (_BOTH, _GIVES_UP),
    "sec-gc-static": (_BOTH, _GIVES_UP),
    "sec-gc-identified": (_BOTH, _GIVES_UP),
    "sec-gc-wrapped": (_BOTH, _GIVES_UP),
    "suite2-one-pass": (_BOTH, _GIVES_UP),
    "suite2-static": (_BOTH, _GIVES_UP),
    "xdlms-action-first-pblock": (_BOTH, "the library leaves out what is in it"),
    "xdlms-general-signing": (_BOTH, _NOT_KNOWN),
    "suite2-general-signing": (_BOTH, _NOT_KNOWN),
    "sn-unconf-write": (_BOTH, _NOT_KNOWN),
    "sec-glo-initreq": (_BOTH, _NOT_KNOWN),
    "xdlms-action-resp": (("standard",), "single-response has no end: no XML"),
    "xdlms-pcap-50": (("standard",), "single-response has no end: no XML"),
    "xdlms-access-resp": (("standard",), "results in the words of the simple vocabulary"),
    "acse-rlre-initresp": (("simple",), "ProposedConformance ends as another element: no XML"),
    "acse-rlre-epri": (("simple",), "ProposedConformance ends as another element: no XML"),
    "acse-aarq-hls7-cert": (_BOTH, "a calling-AE-qualifier is taken for another field"),
    "sn-read-datablock": (_BOTH, "raw-data is left out; standard: elements of the simple one"),
    "sn-write-block": (("standard",), "elements of the simple vocabulary"),
    "sn-readresp-blocknum": (_BOTH, "the block-number is left out"),
    "sec-generalded": (_BOTH, "general-ded-ciphering is called general-glo-ciphering"),
}


def normalised(text):
    """Without the blanks between elements."""
    text = re.sub(r"\s+", " ", text)
    return re.sub(r" ?([<>]) ?", r"\1", text).strip()


@pytest.fixture(scope="module")
def gurux(peers):
    """{vector: {vocabulary: XML, or {"error"}}}"""
    r = subprocess.run(
        [peers, os.path.join(PEERS, "gurux_translator.py")],
        input="".join(octets + "\n" for octets in VECTORS.values()),
        capture_output=True, text=True,
    )  # fmt: skip
    assert not r.returncode, r.stderr
    answers = [json.loads(line) for line in r.stdout.splitlines()]
    assert len(answers) == len(VECTORS)
    return dict(zip(VECTORS, answers))


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_said_as_gurux_says_it(name, vocabulary, gurux):
    theirs = gurux[name][vocabulary]
    ours = to_xml(apdu.decode(bytes.fromhex(VECTORS[name])), vocabulary, secrets=True)
    ET.fromstring(ours.replace('<?xml version="1.0" encoding="utf-8"?>\n', ""))
    if vocabulary not in DEVIATIONS.get(name, ((), ""))[0]:
        assert normalised(ours) == normalised(theirs)
        return
    why = DEVIATIONS[name][1]
    if why == _GIVES_UP:
        assert "error" in theirs, "no deviation any more"
        return
    assert normalised(ours) != normalised(theirs), "no deviation any more"
    if why == _NOT_KNOWN:
        assert '<Data="' in theirs
    if why.endswith("no XML"):
        with pytest.raises(ET.ParseError):
            ET.fromstring(theirs)


def test_the_vectors_are_many_and_most_are_the_same():
    assert len(VECTORS) > 110 and len(DEVIATIONS) < len(VECTORS) / 3
    assert set(DEVIATIONS) <= set(VECTORS)


# --- Without Gurux ------------------------------------------------------------------------------


def simple(octets, **options):
    return to_xml(apdu.decode(bytes.fromhex(octets)), "simple", **options)


def test_a_get():
    assert simple("c001c100030100010800ff0200") == (
        "<GetRequest>\n"
        "  <GetRequestNormal>\n"
        '    <InvokeIdAndPriority Value="C1" />\n'
        "    <AttributeDescriptor>\n"
        '      <ClassId Value="0003" />\n'
        '      <InstanceId Value="0100010800FF" />\n'
        '      <AttributeId Value="02" />\n'
        "    </AttributeDescriptor>\n"
        "  </GetRequestNormal>\n"
        "</GetRequest>\n"
    )


DATA = [
    ("00", "<None />", "<x:null-data />"),
    ("0301", '<Boolean Value="True" />', "<x:boolean>True</x:boolean>"),
    ("0403a0", '<BitString Value="101" />', "<x:bit-string>101</x:bit-string>"),
    ("05ffffffff", '<Int32 Value="FFFFFFFF" />', "<x:double-long>-1</x:double-long>"),
    ("0a03613c62", '<String Value="a&lt;b" />',
     "<x:visible-string>a&lt;b</x:visible-string>"),
    ("0c03e282ac", '<StringUTF8 Value="E2 82 AC" />', "<x:utf8-string>E2 82 AC</x:utf8-string>"),
    ("0d12", '<BCD Value="12" />', "<x:bcd>18</x:bcd>"),
    ("10ff00", '<Int16 Value="FF00" />', "<x:long>-256</x:long>"),
    ("160f", '<Enum Value="0F" />', "<x:enum>15</x:enum>"),
    ("173f800000", '<Float32 Value="3F800000" />', "<x:float32>3F800000</x:float32>"),
    ("1b0e303950", '<Time Value="0E303950" />', "<x:time>0E303950</x:time>"),
    ("0100", '<Array Qty="00" ></Array>', "<x:array></x:array>"),
]  # fmt: skip


@pytest.mark.parametrize("octets, simple_, standard", DATA, ids=[d[0][:2] for d in DATA])
def test_data(octets, simple_, standard):
    """As gurux-dlms 1.0.203 says them, but for the marks that XML wants."""
    node = apdu.decode(bytes.fromhex("c4018100" + octets))
    assert simple_.replace(" >", ">") in normalised(to_xml(node, "simple"))
    assert standard in normalised(to_xml(node, "standard"))


def test_secrets_are_left_out_unless_asked_for():
    octets = VECTORS["acse-aarq-ln-lls"]
    node = apdu.decode(bytes.fromhex(octets))
    for vocabulary in VOCABULARIES:
        assert "3132333435363738" not in to_xml(node, vocabulary)
        assert "3132333435363738" in to_xml(node, vocabulary, secrets=True)
    node = apdu.decode(bytes.fromhex(VECTORS["xdlms-initreq-dedkey"]))
    for vocabulary in VOCABULARIES:
        assert "00112233445566778899AABBCCDDEEFF" not in to_xml(node, vocabulary)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_what_is_cut_off_is_xml_and_says_what_is_wrong(vocabulary):
    for octets in list(VECTORS.values())[::4]:
        octets = bytes.fromhex(octets)
        for n in range(0, len(octets), 3):
            node = apdu.decode(octets[:n])
            text = to_xml(node, vocabulary)
            assert text.count("<!-- ") == len(node.faults()) > 0
            ET.fromstring("<all>%s</all>" % re.sub(r"<\?xml.*?\?>", "", text))


def test_what_is_inside_comes_behind():
    """The APDU that is signed is a document of its own."""
    node = apdu.decode(bytes.fromhex(VECTORS["xdlms-general-signing"]))
    first, second = documents(node, "simple")
    assert first.startswith("<GeneralSigning>") and second.startswith("<GetRequest>")


def test_no_such_vocabulary():
    with pytest.raises(ValueError, match="expected simple or standard"):
        to_xml(apdu.decode(b"\xc0"), "other")


def test_the_command():
    r = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "decode.py"), "--xml", "standard",
         "c001c100030100010800ff0200"], capture_output=True, text=True,
    )  # fmt: skip
    assert not r.returncode, r.stderr
    assert "<x:instance-id>0100010800FF</x:instance-id>" in r.stdout
