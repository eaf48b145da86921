# SPDX-License-Identifier: MIT
"""tools/decoding/ciphering.py: what is inside, with the right keys; what is said with wrong ones,
or none. Vectors: vectors/security.jsonl, general.jsonl, acse.jsonl (sources stand there)."""

import json

import pytest
import told
from authority import Authority
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from decoding import apdu
from decoding.ciphering import Keys, Session
from hypothesis import given, settings
from hypothesis import strategies as st

SECURITY = {v["id"]: v for v in told.vectors("security") if v.get("kind") == "protected"}
GENERAL = {v["id"]: v for v in told.vectors("general")}
EK = "000102030405060708090A0B0C0D0E0F"
AK = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"
CLIENT = bytes.fromhex("4D4D4D0000BC614E")
SERVER = bytes.fromhex("4D4D4D0000000001")
WRONG = "authentication tag does not match: wrong key, wrong system title, or damaged"


def content(node):
    return next(n for n in node.walk() if n.name == "content" and n.type == "OCTET STRING")


def inner(node):
    """Octets of what was protected."""
    found = content(node)
    child = found.children[0] if found.children else None
    return found.value if child is None or child.octets is None else child.octets


def session_of(vector):
    """With the key of a vector of security.jsonl, by the way that it is used."""
    keys = vector["keys"]
    name = vector["id"]
    how = "dedicated" if "ded" in name else "gbek" if "broadcast" in name else "guek"
    key = {"kek": keys["kek"]} if "kek" in keys else {how: keys["ek"]}
    title = keys.get("system_title")
    title = bytes.fromhex(title) if title else None
    found = Keys()
    found.add(gak=keys.get("ak"), **key)
    return Session(found, title, title)


SYMMETRIC = [
    v for v in SECURITY.values() if v.get("plain") and not v["id"].endswith(("onepass", "static"))
]


@pytest.mark.parametrize("vector", SYMMETRIC, ids=lambda v: v["id"])
def test_vector(vector):
    octets = bytes.fromhex(vector["hex"])
    node = session_of(vector).decode(octets)
    assert node.faults() == []
    assert inner(node).hex() == vector["plain"]
    assert told.apdu(content(node).children[0]) == vector["fields"]["plain"]
    assert "with the" in content(node).text
    assert apdu.encode(node) == octets


@pytest.mark.parametrize("name", ["sec-glo-auth-badtag", "sec-glo-authenc-badtag"])
def test_a_damaged_tag(name):
    vector = SECURITY[name]
    node = session_of(vector).decode(bytes.fromhex(vector["hex"]))
    (fault,) = [fault for _, fault in node.faults()]
    assert fault.startswith("authentication tag does not match")
    assert fault.at == 20


def agreed(vector, private):
    """A session with the keys of two sides; private: of whom."""
    keys = vector["keys"]
    found = Keys()
    found.add(gak=keys["ak"])
    for who, title in (("client", CLIENT), ("server", SERVER)):
        if private in (who, "both"):
            name = "server_agrees" if who == "server" else "client_agrees_private"
            found.add_private(title, "agree", bytes.fromhex(keys[name]))
    if "client_signs" in keys:
        found.add_public(CLIENT, "sign", bytes.fromhex(keys["client_signs"]))
    found.add_public(CLIENT, "agree", bytes.fromhex(keys["client_agrees"]))
    if private == "client":
        server = Keys()
        server.add_private(SERVER, "agree", bytes.fromhex(keys["server_agrees"]))
        found.add_public(SERVER, "agree", server.private[SERVER, "agree"][0].public_key())
    return Session(found)


@pytest.mark.parametrize("name, private", [
    ("sec-gc-static", "server"), ("sec-gc-static", "client"), ("suite2-one-pass", "server"),
    ("suite2-static", "server"), ("suite2-static", "client"),
])  # fmt: skip
def test_agreed_keys(name, private):
    vector = GENERAL[name]
    node = agreed(vector, private).decode(bytes.fromhex(vector["hex"]))
    assert node.faults() == []
    assert inner(node).hex() == vector["plain"]
    if "one-pass" in name:
        data = node["key-info"]["agreed-key"]["key-ciphered-data"]
        assert data.text == "signature of 4D4D4D0000BC614E"


def test_the_printed_example_of_one_pass():
    """Its tag is not that of the rule; its content is the printed one all the same."""
    vector = GENERAL["sec-gb-gc-onepass"]
    node = agreed(vector, "server").decode(bytes.fromhex(vector["hex"]))
    assert inner(node).hex() == vector["plain"]
    (fault,) = [fault for _, fault in node.faults()]
    assert fault.startswith("authentication tag does not match, but the content is an APDU")
    node = agreed(vector, "server").decode(bytes.fromhex(vector["hex_of_the_rule"]))
    assert node.faults() == []


def test_agreed_keys_that_are_not_there():
    vector = GENERAL["sec-gc-static"]
    node = Session(Keys()).decode(bytes.fromhex(vector["hex"]))
    assert node.faults() == []
    assert content(node).text == (
        "not deciphered: no private key for key agreement of 4D4D4D0000000001")  # fmt: skip


@pytest.mark.parametrize("name", ["xdlms-general-signing", "suite2-general-signing"])
def test_general_signing(name):
    vector = GENERAL[name]
    octets = bytes.fromhex(vector["hex"])
    keys = Keys()
    node = Session(keys).decode(octets)
    assert node["signature"].text == "signature not verified: no certificate of 4D4D4D0000BC614E"
    keys.add_public(CLIENT, "sign", bytes.fromhex(vector["keys"]["client_signs"]))
    node = Session(keys).decode(octets)
    assert node["signature"].text == "signature of 4D4D4D0000BC614E"
    assert node["content"].children[0].name == "get-request-normal"
    damaged = Session(keys).decode(octets[:-1] + bytes((octets[-1] ^ 1,)))
    (fault,) = [fault for _, fault in damaged.faults()]
    assert fault == "signature does not match: another's key, or damaged"
    assert fault.at == damaged["signature"].start


# --- Wrong keys, and none ----------------------------------------------------------------------

GLO = SECURITY["sec-glo-authenc"]["hex"]
ENCRYPTED = SECURITY["sec-glo-enc"]["hex"]


def said(octets, client=CLIENT, **keys):
    found = Keys()
    found.add(**keys)
    return Session(found, client).decode(bytes.fromhex(octets))


def test_a_wrong_key_is_said_as_such():
    node = said(GLO, guek=EK[::-1], gak=AK)
    assert [(n.name, str(fault), fault.at) for n, fault in node.faults()] == [
        ("authentication-tag", WRONG, 20)]  # fmt: skip
    assert inner(node) == content(node).value


def test_a_wrong_authentication_key():
    node = said(GLO, guek=EK, gak=EK)
    assert content(node).children[0].name == "get-request-normal"
    (fault,) = [fault for _, fault in node.faults()]
    assert fault.startswith("authentication tag does not match, but the content is an APDU: wrong")


def test_a_wrong_system_title():
    (fault,) = [fault for _, fault in said(GLO, client=SERVER, guek=EK, gak=AK).faults()]
    assert fault == WRONG


def test_a_wrong_key_where_nothing_is_authenticated():
    (fault,) = [fault for _, fault in said(ENCRYPTED, guek=EK[::-1]).faults()]
    assert fault == "the content is no APDU: wrong key, wrong system title, or damaged"


def test_no_key():
    node = said(GLO, gbek=EK, gak=AK)
    assert node.faults() == []
    assert content(node).text == "not deciphered: no global unicast encryption key"
    assert content(said(ENCRYPTED)).text == "not deciphered: no global unicast encryption key"


def test_a_key_of_another_suite():
    node = said(GLO, guek=EK * 2, gak=AK)
    assert content(node).text == "not deciphered: keys of 32 octets only"


def test_a_suite_that_there_is_not():
    node = said(GLO.replace("c81e30", "c81e3f"), guek=EK, gak=AK)
    assert content(node).text == "not deciphered: there is no suite 15"


def test_compression_is_not_undone():
    node = said(ENCRYPTED.replace("c81220", "c812a0"), guek=EK)
    assert node.faults() == []
    assert content(node).text.endswith("; compressed (V.44), which is not undone here")


def test_a_dedicated_key_alone():
    """It came in plain text, and nothing is authenticated: no other key is needed."""
    session = Session(client=CLIENT)
    session.dedicated = bytes.fromhex(EK)
    node = session.decode(bytes.fromhex(ENCRYPTED.replace("c812", "d012")))
    assert inner(node).hex() == SECURITY["sec-glo-enc"]["plain"]


def test_no_system_title():
    """Nobody said it, and no keys are those of a meter with one."""
    node = said(GLO, client=None, guek=EK, gak=AK)
    assert content(node).text == "not deciphered: the system title of its sender is not known"
    node = said(GLO, client=None, guek=EK, gak=AK, title=CLIENT)
    assert inner(node).hex() == SECURITY["sec-glo-authenc"]["plain"]


def test_a_wrong_master_key():
    node = said(GENERAL["sec-gc-wrapped"]["hex"], kek=EK, gak=AK)
    ((node, fault),) = node.faults()
    assert (node.name, fault) == (
        "key-ciphered-data", "no key under this master key: wrong key, or damaged")  # fmt: skip


def test_the_right_one_of_many_sets():
    keys = Keys()
    for n in range(5):
        keys.add(SERVER, guek=bytes((n,)) * 16, gak=AK)
    keys.add(guek=EK, gak=AK)
    node = Session(keys, CLIENT).decode(bytes.fromhex(GLO))
    assert node.faults() == []
    with_which = "the global unicast encryption key, system title 4D4D4D0000BC614E"
    assert content(node).text == "deciphered with " + with_which


# --- A session ---------------------------------------------------------------------------------


def protect(session_keys, title, octets, tag, counter=1, control=0x30):
    """A service-specific ciphered APDU."""
    ek, ak = (bytes.fromhex(k) for k in session_keys)
    head = bytes((control,)) + counter.to_bytes(4, "big")
    body = AESGCM(ek).encrypt(title + head[1:], octets, head[:1] + ak)[:-4]
    return apdu.encode(tag, head + body)


def test_titles_and_the_dedicated_key_are_learnt_as_they_pass():
    dedicated = "00112233445566778899AABBCCDDEEFF"
    initiate = apdu.encode("initiateRequest", {
        "dedicated-key": dedicated, "proposed-dlms-version-number": 6,
        "proposed-conformance": ["get"], "client-max-receive-pdu-size": 0})  # fmt: skip
    ciphered = protect((EK, AK), CLIENT, initiate, "glo-initiateRequest")
    aarq = apdu.encode("aarq", {
        "application-context-name": 3, "calling-AP-title": CLIENT, "user-information": ciphered,
    })  # fmt: skip
    aare = apdu.encode("aare", {
        "application-context-name": 3, "result": 0, "responding-AP-title": SERVER,
        "result-source-diagnostic": {"acse-service-user": 0}})  # fmt: skip
    keys = Keys()
    keys.add(guek=EK, gak=AK)
    session = Session(keys)
    node = session.decode(aarq, to_meter=True)
    assert node.faults() == []
    assert [n.name for n in node.walk() if n.octets] == ["initiateRequest"]
    assert dedicated.lower() not in node.json()
    assert session.decode(aare, to_meter=False).faults() == []
    assert (session.client, session.server) == (CLIENT, SERVER)
    get = bytes.fromhex("c001c100030100010800ff0200")
    node = session.decode(protect((dedicated, AK), CLIENT, get, "ded-get-request"), True)
    assert inner(node) == get
    answer = bytes.fromhex("c401c1000600001391")
    node = session.decode(protect((EK, AK), SERVER, answer, "glo-get-response"), False)
    assert inner(node) == answer
    assert session.decode(apdu.encode("aarq", {"application-context-name": 1})).faults() == []
    assert session.dedicated is None


def test_signed_inside_of_ciphered():
    """The layers of one APDU, one in the other."""
    signed = bytes.fromhex(GENERAL["xdlms-general-signing"]["hex"])
    octets = apdu.encode("general-glo-ciphering", {
        "system-title": CLIENT,
        "ciphered-service": protect((EK, AK), CLIENT, signed, "glo-get-request")[2:],
    })  # fmt: skip
    node = said(octets.hex(), client=None, guek=EK, gak=AK)
    assert [n.name for n in node.walk() if n.name.startswith(("general", "get"))] == [
        "general-glo-ciphering", "general-signing", "get-request-normal"]  # fmt: skip


def test_a_certificate_in_the_aarq(tmp_path):
    """It is in calling-AE-qualifier, as with HLS ECDSA; what its owner signs is verified by it."""
    pair = Authority(str(tmp_path)).client(CLIENT, "P-256", "sign")
    aarq = apdu.encode("aarq", {
        "application-context-name": 3, "calling-AE-qualifier": pair.certificate})  # fmt: skip
    session = Session()
    assert session.decode(aarq)["calling-AE-qualifier"].text == (
        "certificate of 4D4D4D0000BC614E")  # fmt: skip
    fields = {"transaction-id": b"1", "originator-system-title": CLIENT,
              "recipient-system-title": SERVER, "date-time": b"", "other-information": b"",
              "content": bytes.fromhex("c001c100030100010800ff0200")}  # fmt: skip
    signed = apdu.encode("general-signing", {**fields, "signature": b""})[1:-1]
    r, s = utils.decode_dss_signature(pair.key.sign(signed, ec.ECDSA(hashes.SHA256())))
    fields["signature"] = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    node = session.decode(apdu.encode("general-signing", fields))
    assert node["signature"].text == "signature of 4D4D4D0000BC614E"
    broken = apdu.encode("aarq", {"application-context-name": 3, "calling-AE-qualifier": b"0"})
    assert session.decode(broken)["calling-AE-qualifier"].text == "no certificate that can be read"


CUT = [SECURITY["sec-glo-authenc"], *GENERAL.values()]


@pytest.mark.parametrize("vector", CUT, ids=lambda v: v["id"])
def test_cut_off_anywhere(vector):
    """Nothing is said of its keys and signatures: what is cut off is said."""
    octets = bytes.fromhex(vector["hex"])
    session = agreed(vector, "server") if "server_agrees" in vector["keys"] else None
    for n in range(len(octets)):
        if session is None:
            node = said(octets[:n].hex(), guek=EK, gak=AK, kek=EK)
        else:
            node = session.decode(octets[:n])
        assert {fault.at for _, fault in node.faults()} == {n}
        assert all("expected" in fault for _, fault in node.faults())


def test_keys_are_not_shown():
    node = said(GLO, guek=EK, gak=AK)
    keys = Keys()
    keys.add(guek=EK, gak=AK, kek=EK, title=CLIENT)
    session = Session(keys, CLIENT)
    session.dedicated = bytes.fromhex(EK)
    shown = node.json() + repr((keys, keys.sets, session, node, node.faults()))
    for key in (EK, AK):
        assert key not in shown.upper()
        assert repr(bytes.fromhex(key))[2:-1] not in shown
    assert "<GUEK, GAK, KEK of 4D4D4D0000BC614E>" in shown


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_octets(data):
    """Octets of a vector changed: it ends, whatever keys there are."""
    vector = data.draw(st.sampled_from([*SECURITY.values(), *GENERAL.values()]))
    octets = bytearray.fromhex(vector["hex"])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not octets:
            break
    keys = vector.get("keys", {})
    if "server_agrees" in keys and "client_agrees" in keys:
        session = agreed(vector, "both")
    else:
        found = Keys()
        found.add(guek=EK, gbek=EK, gak=AK, kek=EK, dedicated=EK)
        session = Session(found, CLIENT, SERVER)
    for to_meter in (True, False):
        json.loads(session.decode(octets, to_meter).json())
