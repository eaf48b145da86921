# SPDX-License-Identifier: MIT
"""Association SN, each version of it; each mechanism and ciphering with short names.

What is expected is written down from the rules; the clients that cipher are those of secure.py.
"""

import random

import pytest
from secure import TITLE, A, E
from secure_general import General
from short import (
    OPEN,
    SHORT_NAMES,
    DeviceTalk,
    ShortClient,
    ShortMeter,
    ShortSigningClient,
    joined,
)
from small import aarq
from suites import SuitesMeter, certificate

SECRET = b"secret of small"
CURRENT = "0204 10FA00 12000C 1104 0906 0000280000FF".replace(" ", "")
NAME = "0204 10FD00 120001 1100 0906 00002A0000FF".replace(" ", "")
REGISTER = "0204 100100 120003 1100 0906 0100010800FF".replace(" ", "")


@pytest.fixture
def meter():
    return ShortMeter()


# --- Opening ---------------------------------------------------------------------------------


def test_aare(meter):
    t = meter.talk()
    # VAA-name FA00; of what is proposed, what the association has.
    assert t.open_short() == OPEN % "1C1B20"
    assert t.open_short(conformance="100000") == OPEN % "100000"


def test_a_published_aarq(meter):
    """The lowest level, short names without ciphering."""
    published = "601DA109060760857405080102BE10040E01000000065F1F04001C0320FFFF"
    assert meter.talk(client=16).say(published) == OPEN % "100000"


def test_the_other_context(meter):
    refused = "A2030201 01 A305A103020102".replace(" ", "")
    for context in (1, 3, 4):
        t = meter.talk()
        assert refused in t.say(aarq(b"12345678", "1CFF3F", context=context).hex())
        assert t.say("0501 02 2A48") == "D80101"
    t = meter.talk(client=1)
    assert refused in t.say(aarq(b"12345678", "1CFF3F", context=2).hex())


def test_wrong_secret(meter):
    t = meter.talk()
    assert "A203020101A305A10302010D" in t.open_short(secret=b"12345679")
    assert t.open_short() == OPEN % "1C1B20"


def test_released_and_opened_again(meter):
    t = meter.short()
    assert t.say("6200") == "6303800100"
    assert t.say("0501 02 2A48") == "D80101"
    assert t.open_short() == OPEN % "1C1B20"


def test_places_go_from_one_referencing_to_the_other(meter):
    """One place of the pool: logical names, short ones, logical ones."""
    channel = meter.server.channel()
    for _ in range(2):
        ln = meter.talk(client=1, channel=channel)
        assert ln.open(conformance="00FE1F").endswith("0007")
        assert ln.say("C00141 0001 0000603201FF 02 00") == "C40141001107"
        assert ln.say("0501 02 2A48") == "D80102"
        ln.say("6200")
        sn = meter.short(channel=channel)
        assert sn.say("0501 02 2A48") == "0C01001107"
        assert sn.say("C00141 0001 0000603201FF 02 00") == "D80102"
        sn.say("6200")


def test_open_from_the_start(tmp_path):
    """A pre-established association needs no AARQ."""
    text = SHORT_NAMES.read_text()
    old = 'client_sap = 16\nobject = "0.0.40.0.3"\n'
    assert old in text
    path = tmp_path / "short_names.toml"
    path.write_text(text.replace(old, old + "pre_established = true\n"))
    t = ShortMeter(path=path).talk(client=16)
    assert t.say("0501 02 2A48") == "0C01001107"
    assert t.say("0501 02 FA00") == "0C010009060000280000FF"
    assert t.say("0601 02 2A48 01 1108") == "0E060302"


# --- Attributes ------------------------------------------------------------------------------


def elements(data):
    """The elements of an array of structures of one length."""
    assert data.startswith("01")
    n = int(data[2:4], 16)
    assert (len(data) - 4) % n == 0
    size = (len(data) - 4) // n
    return [data[k : k + size] for k in range(4, len(data), size)]


def test_object_list(meter):
    listed = elements(meter.short().read("FA08"))
    assert len(listed) == 18
    assert listed[0] == NAME and REGISTER in listed and CURRENT in listed
    assert listed == sorted(listed, key=lambda e: (e[12:16], e[24:]))
    names = [e[6:10] for e in listed]
    assert len(set(names)) == 18
    # The public client does not see 0.0.96.51.1; its object is the current one for it.
    public = meter.talk(client=16)
    public.open_short(secret=None)
    assert public.say("0501 02 FA08") == "0E050301"


def test_the_current_association_is_that_of_the_client(meter):
    for client, version, own in ((2, 4, "0200"), (4, 2, "0380"), (5, 1, "03E0")):
        t = meter.short(client=client, channel=meter.server.channel())
        assert t.read("FA00") == "09060000280000FF"
        assert t.read(own) == "0906000028000%dFF" % (client if client == 2 else client + 1)
        assert CURRENT.replace("1104", "110%d" % version) in elements(t.read("FA08"))
        assert t.read("FA08") == t.read("%04X" % (int(own, 16) + 8))
    t = meter.talk(client=2, server=18)
    t.open_short()
    assert elements(t.read("FA08")) == [NAME, CURRENT.replace("1104", "1100")]


def test_access_rights_list(meter):
    """Of the register: 3 attributes that may be read, one be written, a method; with bits from
    version 4 on, as numbers before."""
    t = meter.short()
    rights = t.read("FA10")
    register = (
        "0203 100100 0103 0203 0F01 1601 00 0203 0F02 1601 00 0203 0F03 1601 00 01010202 0F01 1601"
    ).replace(" ", "")
    hidden = "0203 100150 0102 0203 0F01 1601 00 0203 0F02 1603 00 0100".replace(" ", "")
    assert rights.startswith("0112") and register in rights and hidden in rights
    assert rights.count("0203 10FA00".replace(" ", "")) == 1
    old = meter.short(client=4, channel=meter.server.channel())
    assert register in old.read("FA10")
    # Versions 0 and 1 have no such attribute.
    assert meter.short(client=5, channel=meter.server.channel()).read("FA10") == "0C010104"


def test_security_setup_reference(meter):
    t = meter.short()
    assert t.read("FA18") == "0906000000000000"
    assert t.say("0601 02 FA18 01 0906 00002B0000FF") == "0D0100"
    assert t.read("0218") == "090600002B0000FF"


# --- Methods of Association SN ---------------------------------------------------------------


def test_lists_of_version_0(meter):
    t = meter.talk(client=2, server=18)
    t.open_short()
    assert t.say("0501 04 FA20 00 0101 120001") == "0C0100" + "0101" + NAME
    assert t.say("0501 04 FA20 00 0102 120003 12000C") == (
        "0C0100" + "0101" + CURRENT.replace("1104", "1100")
    )
    assert t.say("0501 04 FA20 00 0100") == "0C01000100"
    assert t.say("0501 04 FA20 00 00") == "0C01010C"
    assert t.say("0501 04 FA28 00 0101 0202 120001 0906 00002A0000FF") == "0C01000101" + NAME
    assert t.say("0501 04 FA28 00 0101 0202 120003 0906 00002A0000FF") == "0C01000100"
    assert t.say("0501 04 FA28 00 0101 120003") == "0C01010C"
    # The challenge of HLS is in the AARE.
    assert t.say("0501 04 FA50 00 0F00") == "0C010103"
    assert t.say("0501 04 FA58 00 0900") == "0C010103"
    # Later versions have selectors for that.
    later = meter.short(channel=meter.server.channel())
    assert later.say("0501 04 FA20 00 0101 120001") == "0C010104"
    assert t.say("0501 04 FA08 01 0101 120001") == "0C01010D"


def test_get_attributes_and_methods(meter):
    t = meter.short(client=4)
    ask = "0501 04 FA38 00 0101 0202 120001 0906 0000603301FF"
    hidden = "0203 100150 0102 0203 0F01 1601 00 0203 0F02 1603 00 0100".replace(" ", "")
    assert t.say(ask) == "0C0100" + "0101" + hidden
    assert meter.short(channel=meter.server.channel()).say(ask) == "0C010104"


def test_a_long_list_from_a_method_in_blocks(meter):
    whole = meter.short(client=4).say("0501 04 FA38 00 0102 %s %s" % (object_id(8), object_id(12)))
    t = meter.short(client=4, channel=meter.server.channel(), max_pdu=50)
    got = t.say("0501 04 FA38 00 0102 %s %s" % (object_id(8), object_id(12)))
    assert got.startswith("0C0102") and joined(t.say, got) == whole
    assert len(whole) > 300


def object_id(class_id):
    name = {8: "0000010000FF", 12: "0000280005FF", 3: "0100010800FF", 1: "0000603203FF"}[class_id]
    return "0202 12%04X 0906%s" % (class_id, name)


def test_read_by_logicalname(meter):
    t = meter.short()

    def ask(*elements):
        parameter = "01%02X" % len(elements)
        for class_id, name, attribute in elements:
            parameter += "0203 12%04X 0906%s 0F%02X" % (class_id, name, attribute)
        return t.say("0501 04 FA30 00" + parameter)

    register, time = (3, "0100010800FF"), (8, "0000010000FF")
    assert ask((*register, 2)) == "0C010001010600001391"
    assert ask((*register, 2), (*register, 3)) == "0C01000102060000139102020F00161E"
    # All attributes; what is not there or refused is null-data; a computed value.
    everything = "020309060100010800FF060000139102020F00161E"
    assert ask((*register, 0)) == "0C01000101" + everything
    assert ask((3, "0100010800FE", 2), (1, "0000603302FF", 2), (*register, 9)) == (
        "0C01000103000000"
    )
    assert ask((*time, 2))[:14] == "0C01000101090C"
    assert ask((12, "0000280000FF", 1), (12, "0000280000FF", 4)) == (
        "0C0100010209060000280000FF0906000000000000"
    )
    assert ask() == "0C01000100"
    assert t.say("0501 04 FA30 00 0101 0202 120003 0906 0100010800FF") == "0C01010C"
    # In a list with others it is not done.
    assert t.say("0502 04 FA30 00 0100 02 2A48") == "0C020103001107"


def test_read_by_logicalname_in_blocks(meter):
    wanted = "0501 04 FA30 00 0103" + "".join(
        "0203 12%04X 0906%s 0F%02X" % e
        for e in ((12, "0000280000FF", 2), (3, "0100010800FF", 2), (8, "0000010000FF", 0))
    )
    t = meter.short(max_pdu=60)
    first = joined(t.say, t.say(wanted))
    assert first.startswith("0C010001030112" + NAME)
    assert "0600001391" + "0209" + "09060000010000FF" in first


def test_change_of_the_secret(meter):
    t = meter.short()
    assert t.say("0601 02 FA40 01 09 05 6E65772031") == "0D0100"
    assert t.say("0601 02 FA40 01 0900") == "0D0101FA"
    assert t.say("0601 02 FA40 01 0941" + 65 * "41") == "0D0101FA"
    assert t.say("0601 02 FA48 01 09 05 6E65772032") == "0D010104"  # reserved in version 4
    channel = meter.server.channel()
    assert "A10302010D" in meter.talk(channel=channel).open_short()
    meter.short(channel=channel, secret=b"new 1")
    # Version 2 has a method for each level.
    old = meter.short(client=4, channel=meter.server.channel())
    assert old.say("0601 02 FA48 01 09 05 6E65772032") == "0D010103"
    assert old.say("0601 02 FA40 01 09 05 6E65772032") == "0D0100"
    meter.short(client=4, channel=channel, secret=b"new 2")
    # It is in the image, and so it stays.
    again = ShortMeter(image=meter.model.image)
    again.short(secret=b"new 1")


def test_users(meter):
    """Version 3, with a list of two."""
    t = meter.talk(client=3)
    refused = "A203020101A305A103020106"
    assert refused in t.open_short() and refused in t.open_short(user=6)
    assert t.open_short(user=7).startswith("6129A109060760857405080102A203020100")
    assert t.read("FA60") == "0102 02021105 0A06726561646572 02021107 0A06666974746572".replace(
        " ", ""
    )
    assert t.read("FA68") == "020211070A06666974746572"
    # 0.0.40.0.4 may not be written to: its list is in ROM.
    assert t.say("0601 02 FA70 01 0202 1109 0A0141") == "0D0101FA"


def test_users_come_and_go(meter):
    t = meter.short()
    assert t.read("FA60") == "0100"
    assert t.say("0601 02 FA70 01 0202 1109 0A03 616461") == "0D0100"
    assert t.say("0601 02 FA70 01 0202 1108 0A03 626F62") == "0D0100"
    assert t.say("0601 02 FA70 01 0202 1108 0A03 657665") == "0D0101FA"  # taken
    assert t.say("0601 02 FA70 01 0202 1107 0A30" + 48 * "41") == "0D0101FA"  # no room
    assert t.say("0601 02 FA70 01 1107") == "0D01010C"
    assert t.read("FA60") == "0102 02021109 0A03616461 02021108 0A03626F62".replace(" ", "")
    channel = meter.server.channel()
    assert "A203020101A305A103020106" in meter.talk(channel=channel).open_short()
    meter.short(channel=channel, user=8)
    assert t.say("0601 02 FA78 01 0202 1109 0A03 626F62") == "0D010104"  # another name
    assert t.say("0601 02 FA78 01 0202 1109 0A03 616461") == "0D0100"
    assert t.read("FA60") == "0101020211080A03626F62"
    assert t.say("0601 02 FA78 01 0202 1108 0A03 626F62") == "0D0100"
    assert t.read("FA60") == "0100"


# --- High level security ---------------------------------------------------------------------

# client SAP, mechanism, context, further options
PLAIN = {
    "md5": (43, 3, 2, {"secret": SECRET}),
    "sha1": (44, 4, 2, {"secret": SECRET}),
    "sha256": (46, 6, 2, {"secret": SECRET}),
    "gmac": (47, 5, 2, {}),
}
CIPHERED = {
    "gmac, glo": (40, 5, 4, {}),
    "gmac, authenticated": (40, 5, 4, {"sc": A}),
    "gmac, encrypted": (40, 5, 4, {"sc": E}),
    "gmac, ded": (40, 5, 4, {"kind": "ded", "dedicated": bytes(range(16, 32))}),
    "gmac, general-glo": (40, 5, 4, {"kind": "general-glo"}),
    "gmac, general-ded": (40, 5, 4, {"kind": "general-ded", "dedicated": bytes(range(16, 32))}),
    "gmac, policy of both": (41, 5, 4, {}),
    "sha256, glo": (49, 6, 4, {"secret": SECRET}),
}
EACH = {**PLAIN, **CIPHERED}


def one(meter, what):
    client, mechanism, context, how = EACH[what]
    if context == 2:
        how = dict(how, kind=None)
    return ShortClient(meter, client, mechanism, context=context, **how)


@pytest.mark.parametrize("what", EACH)
def test_four_passes(meter, what):
    c = one(meter, what).open()
    assert c.ask("0501020118") == "0C010009020102"
    assert c.ask("0601020118010903616263") == "0D0100"
    assert c.ask("0501020118") == "0C01000903616263"


@pytest.mark.parametrize("what", EACH)
def test_by_write(meter, what):
    """Pass 3 by Write: the client forgoes pass 4."""
    c = one(meter, what)
    got = c.begin()
    assert (got["result"], got["diagnostic"]) == (0, 14)
    proof = c.f()
    assert c.ask("060102FA5801" + "09%02X" % len(proof) + proof.hex()) == "0D0100"
    assert c.ask("0501020118") == "0C010009020102"


@pytest.mark.parametrize("what", EACH)
def test_a_wrong_proof(meter, what):
    c = one(meter, what)
    c.begin()
    proof = bytearray(c.f())
    proof[-1] ^= 1
    assert c.finish(proof) == "0C010103"
    assert c.talk.say("0501020118") == "D80101"
    c = one(meter, what)
    c.ic = 40
    c.begin()
    proof = c.f()
    assert c.ask("060102FA5801" + "09%02X" % (len(proof) - 1) + proof[1:].hex()) == "0D010103"


@pytest.mark.parametrize("what", EACH)
def test_nothing_else_before_pass_3(meter, what):
    c = one(meter, what)
    c.begin()
    assert c.ask("0501020118") == "0E050201"
    assert c.ask("0601020118010900") == "0E060201"
    assert c.ask("1601020118010900") == ""
    assert c.ask("050104FA300001000000") == "0E050201"
    assert c.finish() == "ok"
    assert c.ask("0501020118") == "0C010009020102"
    # And not again.
    assert c.ask("050104FA5800090100") == "0C010103"


def test_by_the_name_of_the_object_itself(meter):
    c = one(meter, "gmac")
    c.PASS_3 = "050104047800"  # 0420 + 58
    c.open()


def test_lls_with_ciphering(meter):
    c = ShortClient(meter, 48, 1, secret=SECRET).open()
    assert c.ask("0501020118") == "0C010009020102"


def test_a_manufacturers_mechanism(meter):
    meter.model.manufacturer_hls = (
        lambda secret, client, server, stoc, ctos: bytes(a ^ 1 for a in stoc[:16]),
        lambda secret, client, server, stoc, ctos: bytes(a ^ 2 for a in ctos[:16]),
    )
    c = ShortClient(meter, 42, 2, context=2, kind=None)
    c.begin()
    proof = bytes(a ^ 1 for a in c.stoc[:16])
    answer = bytes(a ^ 2 for a in c.challenge[:16])
    assert c.ask("050104FA58000910" + proof.hex()) == "0C01000910" + answer.hex().upper()


@pytest.mark.parametrize("what", CIPHERED)
def test_lists_and_blocks_that_are_ciphered(meter, what):
    c = one(meter, what)
    c.open(initiate="01 000000 065F1F0400 7CFF3F 0060")
    value = bytes(range(150))
    raw = bytes.fromhex("01 02 0118 01 098196") + value
    if what.startswith("gmac"):
        assert c.ask("0601 07 00 0001 01 0940" + raw[:64].hex()) == "0D01020001"
        assert c.ask("0601 07 00 0002 01 0940" + raw[64:128].hex()) == "0D01020002"
        assert c.ask("0601 07 01 0003 01 09%02X" % (len(raw) - 128) + raw[128:].hex()) == "0D0100"
        assert c.ask("0502 020100 02FF00") == "0C0200090600002B0101FF0104"
    else:
        assert c.ask(raw.hex().join(("06", ""))) == "0D0100"
    got = c.ask("0501 02 0118")
    assert got.startswith("0C0102")
    assert joined(c.ask, got) == "0C0100098196" + value.hex().upper()


@pytest.mark.parametrize("what", CIPHERED)
def test_an_error_of_the_service_is_protected(meter, what):
    c = one(meter, what).open()
    assert c.ask("05010201") == "0E050300"
    if what == "gmac, policy of both":
        # Weaker than the policy.
        assert c.talk.say("0501020118").startswith("D801")


def test_an_unconfirmed_write_that_is_ciphered(meter):
    for k, what in enumerate(
        ("gmac, glo", "gmac, ded", "gmac, general-glo", "gmac, authenticated")
    ):
        c = one(meter, what)
        c.ic = 1000 * k
        c.open()
        assert c.ask("160102011801090455667788") == ""
        assert c.ask("0501020118") == "0C0100090455667788"
        assert c.ask("16010201180109020102") == ""


def test_replayed(meter):
    c = one(meter, "gmac, glo").open()
    again = c.protect(bytes.fromhex("0501020118")).hex()
    assert c.talk.say(again).startswith("2C")
    assert c.talk.say(again).startswith("D80106")


def test_the_change_of_a_secret_of_hls_is_for_who_is_not_heard(meter):
    c = one(meter, "sha256").open()
    assert c.ask("060102FA40010903414141") == "0D01010D"
    c = one(meter, "sha256, glo").open()
    assert c.ask("060102FA40010903414141") == "0D0100"
    c = ShortClient(meter, 49, 6, secret=b"AAA", ic=1000).open()
    c = one(meter, "gmac, glo")
    c.ic = 2000
    assert c.open().ask("060102FA40010903414141") == "0D010103"


def test_ecdsa():
    """Suite 1, with the certificates of suites.py."""
    meter = SuitesMeter(path=SHORT_NAMES, rows={1: 36}, handlers=None)
    c = ShortSigningClient(meter, 1).open()
    assert c.ask("050102FA00") == "0C010009060000280000FF"
    c = ShortSigningClient(meter, 1, ic=1000)
    c.begin()
    assert c.finish(bytes(64)) == "0C010103"
    c = ShortSigningClient(meter, 1, ic=2000, certificate=certificate(1, "client sign", TITLE))
    c.begin()
    proof = c.f()
    assert c.ask("060102FA58010940" + proof.hex()) == "0D0100"
    assert c.ask("050102FA00") == "0C010009060000280000FF"


# --- General-ciphering, general-signing ------------------------------------------------------


class ShortGeneral0(General, ShortClient):
    def __init__(self, meter, kind):
        ShortClient.__init__(self, meter, 40, kind="glo")
        self.prepare()
        self.opened_with = kind


class ShortGeneral1(General, ShortSigningClient):
    def __init__(self, meter, kind, signs=False):
        ShortSigningClient.__init__(self, meter, 1, kind="glo")
        self.prepare()
        self.opened_with = kind
        self.signs_then = signs


def general(c, apdu):
    """The answer, which has to be protected in the same way."""
    c.kind = c.opened_with
    c.signs = getattr(c, "signs_then", False)
    c.answer_kinds = []
    got = c.ask(apdu)
    assert c.answer_kinds == ["ciphered"] + c.signs * ["signed"]
    return got


def by_general(c):
    value = bytes(range(150))
    assert general(c, "0501020118") == "0C010009020102"
    assert general(c, "0601 020118 01 098196" + value.hex()) == "0D0100"
    whole = "098196" + value.hex().upper()
    c.say = lambda apdu: general(c, apdu)
    wanted = "0101 0203 120001 0906 0000603C01FF 0F02"
    for apdu, head in (("0501020118", "0C0100"), ("050104FA3000" + wanted, "0C01000101")):
        assert joined(c.say, c.say(apdu)) == head + whole
    assert general(c, "05") == "0E050300"


@pytest.mark.parametrize("kind", ["identified", "wrapped"])
def test_general_ciphering(meter, kind):
    by_general(ShortGeneral0(meter, kind).open())


@pytest.mark.parametrize("signs", [False, True], ids=["plain", "signed"])
@pytest.mark.parametrize("kind", ["identified", "wrapped", "one-pass", "static"])
def test_general_ciphering_and_signing(kind, signs):
    meter = SuitesMeter(path=SHORT_NAMES, rows={1: 36}, handlers=None)
    by_general(ShortGeneral1(meter, kind, signs).open())


# --- On MicroPython, with the heap locked ------------------------------------------------------


def long_write(kind):
    """An octet-string of 300, in three blocks."""
    raw = bytes.fromhex("01 02 %s 01 0982012C" % kind) + 300 * b"Z"
    return [
        "0601 07 %02X %04X 01 09 77" % (k == 2, k + 1) + raw[119 * k : 119 * k + 119].hex()
        for k in range(2)
    ] + ["0601 07 01 0003 01 09 %02X" % len(raw[238:]) + raw[238:].hex()]


def test_nothing_is_allocated(micropython, tmp_path, meter):
    """Everything that these services do, under a locked heap; the answers are those of CPython."""
    requests = [
        aarq(b"12345678", "1CFF3F", max_pdu=200, context=2).hex(),
        "0501 02 0108", "0501 02 FD08", "0501 02 0118", "0501 02 FA00",
        "0503 02 2A48 02 0168 02 0118",
        "0501 02 FA08", "0501 05 0001", "0501 05 0002", "0501 05 0003",
        "0501 02 FA10", "0501 05 0001", "0501 05 0002", "0501 05 0009", "0501 05 0002",
        "0501 04 FA08 01 0101 120003", "0501 04 FA08 02 0101 0202 120003 0906 0100010800FF",
        "0501 04 FA30 00 0102 0203 120003 0906 0100010800FF 0F00"
        "0203 120008 0906 0000010000FF 0F08",
        "0501 04 FA30 00 0101 0203 12000C 0906 0000280000FF 0F02", "0501 05 0001",
        "0601 02 2A48 01 1163", "0602 02 2A48 02 FD08 02 1164 0900", "1601 02 2A48 01 1165",
        "0601 02 FB20 01 120001", "0503 02 0138 04 FB20 00 120001 02 2A48",
        *long_write("0148"), "0501 02 0148", "0501 05 0001",
        "0501 06 00 0001 04 02 02FD08", "0501 06 01 0002 03 022A48", "0501 06 01 0007 00",
        "0601 02 FA70 01 0202 1109 0A03 616461", "0501 02 FA60", "0501 02 FA68",
        "0601 02 FA78 01 0202 1109 0A03 616461", "0601 02 FA40 01 0904 41414141",
        "05", "0501 03 2A48", "0601 02 2A48 01", "C00141 0001 0000603201FF 02 00", "6200",
        "0501 02 0108",
    ]  # fmt: skip
    here = meter.talk()
    with DeviceTalk(micropython, tmp_path, 2, 1) as device:
        for request in requests:
            assert device.say(request) == here.say(request), request


@pytest.mark.parametrize("what", EACH)
def test_nothing_is_allocated_with_high_level_security(micropython, tmp_path, what):
    with DeviceTalk(micropython, tmp_path, EACH[what][0], 17) as device:
        c = one(device, what)
        c.open(initiate="01 000000 065F1F0400 7CFF3F 00C0")
        assert c.ask("0501020118") == "0C010009020102"
        assert c.ask("0601020118010903616263") == "0D0100"
        assert c.ask("05010201") == "0E050300"
        assert c.ask("0501020118") == "0C01000903616263"
        assert c.ask("050102FA08").startswith("0C01020000018")
        assert c.ask("0501050001").startswith("0C0102")
        if what.startswith("gmac, "):
            answers = [c.ask(request.replace(" ", "")) for request in long_write("0118")]
            assert answers == ["0D01020001", "0D01020002", "0D0100"]
            assert c.ask("160102011801090455667788") == ""
            assert c.ask("0501020118") == "0C0100090455667788"


GOOD = [
    "0501020108", "050104FA0802020212000809060000010000FF", "0502022A4804FB2000120001",
    "050104FA3000010202031200030906" "0100010800FF0F0002031200080906" "0000010000FF0F08",
    "0501060000010402" "02FD08", "0601022A48011163", "0602022A4802FD080211640900",
    "060107000001010907" "02022A48020138", "060102FA700102021109" "0A03616461", "050102FA08",
    "0501050001", "060102FA40010904" "41414141", "1601022A48011165", "0501040398" "000100",
]  # fmt: skip


def spoiled(r, octets):
    """A request with some octets changed, left out, or put in."""
    octets = bytearray(octets)
    for _ in range(r.randrange(4)):
        at = r.randrange(len(octets)) if octets else 0
        what = r.randrange(4)
        if what == 0:
            octets[at : at + 1] = bytes((r.randrange(256),))
        elif what == 1:
            del octets[at : at + r.randrange(1, 4)]
        elif what == 2:
            octets[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 4)))
        else:
            octets[at : at + 1] = bytes((r.choice((0, 1, 2, 4, 5, 7, 9, 0x7F, 0x80, 0x82, 255)),))
    return bytes(octets)


@pytest.mark.parametrize("max_pdu", [12, 20, 60, 300])
def test_spoiled_requests(micropython, tmp_path, meter, max_pdu):
    """Whatever comes: no answer longer than the client takes, no fault, nothing allocated, and the
    same on MicroPython. A client that has lost its association opens it again."""
    r = random.Random(max_pdu)
    opening = aarq(b"12345678", "1CFF3F", max_pdu=max_pdu, context=2).hex()
    here = meter.talk()
    with DeviceTalk(micropython, tmp_path, 2, 1) as device:
        for _ in range(1500):
            apdu = spoiled(r, bytes.fromhex(r.choice(GOOD))).hex()
            if not apdu:
                continue
            if not any(a.state for a in meter.server.associations):
                assert device.say(opening) == here.say(opening)
            got = here.say(apdu)
            assert len(got) <= 2 * max_pdu
            assert device.say(apdu) == got, apdu
