# SPDX-License-Identifier: MIT
"""The conformance cases of symmetric key security, suite 0: SYMSEC_0 of the abstract test suites
for application layer and COSEM objects (DLMS UA 1001-6, V1.3).

Public are their names and what each is about (a line each, first in a docstring here), not their
steps: those are ours, from IEC 62056-5-3 and 62056-6-2. "[?]" marks what the case may ask for and
no public source says. All over HDLC and the wrapper, with Security setup of both versions.
"""

import pytest
from cryptography.hazmat.primitives import keywrap
from profiles.wrapper import Wrapper
from secure import AE, GAK, GUEK, GUEKS, KEK, SERVER_TITLE, TITLE, A, Client, E
from small import HERE, Meter
from test_jobs import HDLCTalk

FREE, STRICT = 40, 41  # without a policy, and with one: all is authenticated and encrypted
SETUPS = {FREE: "0040 00002B0001FF", STRICT: "0040 00002B0002FF"}
GUEK_ID, GAK_ID = 0, 2
NEW_GUEK = bytes(range(0x40, 0x50))
NEW_GAK = bytes(range(0x70, 0x80))
DEDICATED = bytes(range(16, 32))
# Two short attributes that can be written: STA1 and STA2 of the cases.
STA1, STA2 = "0001 0000603C01FF 02", "0001 0000603C02FF 02"
STA2_OBJECT = '    {obis = "0.0.96.60.2", value = "0x0A0B", data_type = "octet-string"},\n'
DECIPHERING, REPLAYED, REFUSED = "!D80105", "!D80106", "!D80101"
DONE = "C701410000"


class WrapperTalk:
    """A client that says its APDUs in wpdus."""

    def __init__(self, meter, client):
        self.meter, self.client = meter, client
        self.channel = meter.server.channel()
        self.wrapper = Wrapper(meter.server, self.channel)
        self.saps = client.to_bytes(2, "big") + b"\0\x11"

    def say(self, request):
        apdu = bytes.fromhex(request)
        octets = b"\0\1" + self.saps + len(apdu).to_bytes(2, "big") + apdu
        assert self.wrapper.receive(octets, 0, len(octets), 0) == len(octets)
        n = self.wrapper.transmit(0)
        while not n and self.meter.server.todo:
            self.meter.server.work()
            n = self.wrapper.transmit(0)
        while self.meter.server.todo:
            self.meter.server.work()
        got = bytes(self.wrapper.out[self.wrapper.out_pos : self.wrapper.out_pos + n])
        assert got[:6] == b"\0\1" + self.saps[2:] + self.saps[:2]
        assert int.from_bytes(got[6:8], "big") == len(got) - 8
        return got[8:].hex().upper()


def over_hdlc(meter, client):
    talk = HDLCTalk(meter, client, 128)
    talk.channel = talk.line.channel
    talk.client = client
    return talk


@pytest.fixture(scope="module", params=[0, 1], ids=["version 0", "version 1"])
def version(request):
    """Of Security setup."""
    return request.param


@pytest.fixture(scope="module")
def definition(version, tmp_path_factory):
    text = (HERE / "definitions/small.toml").read_text()
    sta1 = text.index('    {obis = "0.0.96.60.1"')
    text = text[:sta1] + STA2_OBJECT + text[sta1:]
    if version == 0:
        head = 'class = "Security setup"\n'
        assert head in text
        text = text.replace(head, head + "version = 0\n").replace("policy = 108", "policy = 3")
    path = tmp_path_factory.mktemp("symsec") / "small.toml"
    path.write_text(text)
    return path


@pytest.fixture
def meter(definition):
    return Meter(definition)


@pytest.fixture(params=[WrapperTalk, over_hdlc], ids=["wrapper", "hdlc"])
def associate(request, meter):
    """associate(sap, ...): an open association; each goes on with the counter of the last."""
    last = []

    def get(sap=FREE, open=True, **how):
        ic = last[-1].ic if last and last[-1].guek == how.get("guek", GUEKS.get(sap, GUEK)) else 0
        c = Client(request.param(meter, sap), ic=ic, **how)
        if last:
            last[-1].talk.channel.release()
        last.append(c)
        return c.open() if open else c

    return get


def get(attribute):
    return "C00141 " + attribute + " 00"


def put(attribute, octets):
    return "C10141 " + attribute + " 00 09%02X" % len(octets) + octets.hex()


def holds(octets):
    """The answer to get() of these."""
    return "C401410009%02X" % len(octets) + octets.hex().upper()


def transfer(*keys, kek=KEK):
    """key_transfer, which version 0 calls global_key_transfer."""
    text = "C30141 " + SETUPS[FREE] + " 02 01 01%02X" % len(keys)
    for key_id, key in keys:
        wrapped = keywrap.aes_key_wrap(kek, key) if kek else key
        text += "0202 16%02X 09%02X" % (key_id, len(wrapped)) + wrapped.hex()
    return text


def activate(policy):
    return "C30141 " + SETUPS[FREE] + " 01 01 16%02X" % policy


# --- BasicCap -------------------------------------------------------------------------------


def test_SYMSEC_0_BasicCap_1(associate, version):
    """Basic security capabilities.

    Each kind of protection, and what Security setup says of it.
    """
    c = associate()
    assert c.server_title == SERVER_TITLE
    for sc in (A, E, AE):
        assert c.ask(get(STA1), sc=sc) == holds(b"\1\2")
        assert c.answer_sc == sc
    ask = "C00141 " + SETUPS[FREE] + " %02X 00"
    assert c.ask(ask % 2) == "C40141001600"
    assert c.ask(ask % 3) == "C40141001600"
    assert c.ask(ask % 4) == holds(TITLE)
    assert c.ask(ask % 5) == holds(SERVER_TITLE)
    strict = associate(STRICT)
    policy = "%02X" % (3 if version == 0 else 0x6C)
    assert strict.ask("C00141 " + SETUPS[STRICT] + " 02 00") == "C401410016" + policy


# --- FraCount -------------------------------------------------------------------------------


@pytest.mark.parametrize("sc", [A, E, AE])
def test_SYMSEC_0_FraCount_1(associate, meter, sc):
    """Message replay protection.

    The same octets once more, an old counter, and octets from before a release.
    """
    c = associate(sc=sc)
    first = c.protect(bytes.fromhex(put(STA1, b"once")))
    c.unprotect(bytes.fromhex(c.talk.say(first.hex())))
    assert c.ask(put(STA1, b"more")) == "C5014100"
    edits = meter.model.edits
    for _ in range(3):
        # The counter that is taken next comes with it [?].
        assert c.talk.say(first.hex()) == REPLAYED[1:] + "%08X" % c.ic
    assert c.ask(put(STA1, b"old"), ic=c.ic - 2).startswith(REPLAYED)
    assert meter.model.edits == edits
    assert c.ask(get(STA1)) == holds(b"more")
    again = associate(sc=sc)
    assert again.talk.say(first.hex()).startswith(REPLAYED[1:])
    assert again.ask(get(STA1)) == holds(b"more")


def test_SYMSEC_0_FraCount_3(associate):
    """Send frame counter.

    What the meter sends has a counter above all that it has sent before, in whatever association;
    f(CtoS) has one of its own, before that of the APDU which brings it.
    """
    sent = []
    for _ in range(3):
        c = associate()
        for sc in (A, E, AE):
            c.ask(get(STA1), sc=sc)
            c.ask("C00141 0001 0000603C99FF 02 00", sc=sc)
        numbers = [int.from_bytes(ic, "big") for _, ic in c.server_ics]
        numbers[1:3] = numbers[2:0:-1]
        sent += numbers
    assert sent == list(range(3 * (3 + 6)))


# --- GlobalKeyTx ----------------------------------------------------------------------------


def changes_keys(associate, *keys):
    """Transfer of new keys, an association under them, and the way back to the old ones."""
    old = {GUEK_ID: GUEK, GAK_ID: GAK}
    new = {**old, **dict(keys)}
    c = associate()
    assert c.ask(transfer(*keys)) == DONE
    own = {"guek": new[GUEK_ID], "gak": new[GAK_ID]}
    c = associate(**own)
    assert c.ask(get(STA1)) == holds(b"\1\2")
    # The old ones are good for nothing.
    other = associate(open=False, **{"guek": GUEK, "gak": GAK})
    other.ic = c.ic
    assert other.begin()["diagnostic"] == 13
    again = associate(open=False, **own)
    again.ic = c.ic
    again.open()
    assert again.ask(transfer(*((key_id, old[key_id]) for key_id, _ in keys))) == DONE
    c = associate(open=False)
    c.ic = again.ic
    assert c.open().ask(get(STA1)) == holds(b"\1\2")


def test_SYMSEC_0_Key_Tx_P1(associate):
    """Transfer and restoring of the global unicast encryption key."""
    changes_keys(associate, (GUEK_ID, NEW_GUEK))


def test_SYMSEC_0_Key_Tx_P2(associate):
    """Transfer and restoring of the global authentication key."""
    changes_keys(associate, (GAK_ID, NEW_GAK))


def test_SYMSEC_0_Key_Tx_P3(associate):
    """Transfer and restoring of both, in one request."""
    changes_keys(associate, (GUEK_ID, NEW_GUEK), (GAK_ID, NEW_GAK))


@pytest.mark.parametrize("key_id", [4, 0x80, 0xFF])
def test_SYMSEC_0_Key_Tx_N1(associate, key_id):
    """Global key transfer, wrong key_id.

    Alone, and behind a good one, which is not taken then. Version 0 had no key_id 3 [?].
    """
    c = associate()
    for keys in (((key_id, NEW_GUEK),), ((GUEK_ID, NEW_GUEK), (key_id, NEW_GUEK))):
        got = c.ask(transfer(*keys))
        assert got[:6] == "C70141" and got[6:8] != "00", got
        assert c.ask(get(STA1)) == holds(b"\1\2")
    associate().ask(get(STA1))


def test_SYMSEC_0_Key_Tx_N2(associate):
    """Transfer of the unicast key, wrongly wrapped.

    Under another key, not at all, cut, of another length, with an octet that has changed.
    """
    c = associate()
    good = keywrap.aes_key_wrap(KEK, NEW_GUEK)
    bad = bytearray(good)
    bad[11] ^= 4
    wrong = [transfer((GUEK_ID, NEW_GUEK), kek=GUEK), transfer((GUEK_ID, bytes(32)))]
    for octets in (NEW_GUEK, good[:-1], good[:16], good + bytes(8), bytes(bad), b""):
        wrong.append(transfer((GUEK_ID, octets), kek=None))
    for request in wrong:
        got = c.ask(request)
        assert got[:6] == "C70141" and got[6:8] != "00", got
        assert c.ask(get(STA1)) == holds(b"\1\2")
    associate().ask(get(STA1))


# --- DedKey ---------------------------------------------------------------------------------


def test_SYMSEC_0_DedKey_N1(associate):
    """Dedicated key, negative tests.

    Of a wrong length, in an InitiateRequest that is not ciphered, not the one that was handed
    over, none at all, that of the association before.
    """
    for n in (1, 15, 17, 24, 32):
        got = associate(open=False, dedicated=bytes(n)).begin()
        assert (got["result"], got["diagnostic"]) == (1, 1)
    c = associate(open=False, dedicated=DEDICATED).open(protect=False)
    assert c.ask(get(STA1), kind="ded") == DECIPHERING
    assert c.ask(get(STA1)) == holds(b"\1\2")
    c = associate(dedicated=DEDICATED)
    assert c.ask(get(STA1), kind="ded", key=GUEK) == DECIPHERING
    assert c.ask(get(STA1), kind="glo", key=DEDICATED) == DECIPHERING
    assert c.ask(get(STA1), kind="ded") == holds(b"\1\2")
    assert c.ask(get(STA1), kind="ded", ic=0).startswith(REPLAYED)
    c = associate()
    c.dedicated = DEDICATED
    assert c.ask(get(STA1), kind="ded") == DECIPHERING
    assert c.ask(get(STA1)) == holds(b"\1\2")


# --- SecDataX -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["glo", "ded"])
@pytest.mark.parametrize("sap", [FREE, STRICT], ids=["no policy", "policy of both"])
def test_SYMSEC_0_SecDataX_P1(associate, sap, kind):
    """STA1 and STA2 are written and read, with global and with dedicated ciphering."""
    c = associate(sap, dedicated=DEDICATED if kind == "ded" else None)
    c.kind = kind
    for sc in (A, E, AE) if sap == FREE else (AE,):
        for n, attribute in enumerate((STA1, STA2)):
            value = bytes([sc, n])
            assert c.ask(put(attribute, value), sc=sc) == "C5014100"
            assert c.answer_sc == sc
            assert c.ask(get(attribute), sc=sc) == holds(value)


def test_SYMSEC_0_SecDataX_N1(associate, meter):
    """STA1 is written and read with wrong ciphering.

    Every way in which it can be wrong; nothing is read or written, and the association goes on.
    """
    c = associate(STRICT)
    before = bytes(meter.model.image)
    for request in (put(STA1, b"no"), get(STA1)):
        assert c.talk.say(request) == REFUSED[1:]
        for sc in (A, E):
            assert c.ask(request, sc=sc) == REFUSED
        for how in ({"key": bytes(16)}, {"sc": 0x31}, {"sc": 0x70}, {"sc": 0xB0}):
            assert c.ask(request, ic=c.ic, **how) == DECIPHERING
        for own in ("gak", "title"):
            mine = getattr(c, own)
            setattr(c, own, mine[::-1])
            assert c.ask(request, ic=c.ic) == DECIPHERING
            setattr(c, own, mine)
        octets = bytearray(c.protect(bytes.fromhex(request), ic=c.ic))
        for at in (2, 5, 9, -1):
            octets[at] ^= 2
            assert c.talk.say(octets.hex()) == DECIPHERING[1:]
            octets[at] ^= 2
        assert c.talk.say(octets[:-1].hex()) == DECIPHERING[1:]
        assert bytes(meter.model.image) == before
    assert c.ask(get(STA1)) == holds(b"\1\2")


# --- SecRel ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["none", "plain", "authenticated", "encrypted", "wrong key"])
def test_SYMSEC_REL_N1(associate, how):
    """Release of an association with an RLRQ that is not protected enough.

    It is answered with not-finished, or as what could not be deciphered [?]; the association goes
    on, until it is released as it should be.
    """
    initiate = bytes.fromhex("01000000065F1F04007EFF1FFFFF")

    def rlrq(inner):
        head = bytes([0xBE, len(inner) + 2, 4, len(inner)]) if inner else b""
        body = b"\x80\1\0" + head + inner
        return (bytes([0x62, len(body)]) + body).hex()

    c = associate(STRICT)
    if how == "none":
        got = c.talk.say("6200")
        assert got == "6303800101"
    else:
        sc = {"authenticated": A, "encrypted": E}.get(how, AE)
        inner = initiate
        if how != "plain":
            inner = c.protect(initiate, sc=sc, key=bytes(16) if how == "wrong key" else None)
        got = c.talk.say(rlrq(inner))
        assert got in ("6303800101", REFUSED[1:], DECIPHERING[1:]), got
    assert c.ask(get(STA1)) == holds(b"\1\2")
    got = c.talk.say(rlrq(c.protect(initiate)))
    assert got.startswith("63") and got[4:10] == "800100"
    assert c.talk.say(get(STA1)) == REFUSED[1:]


# --- SecPol ---------------------------------------------------------------------------------


def keeps_policy(associate, version, v0, v1, enough):
    """Once it is activated, requests with less are refused, and answers have it."""
    c = associate()
    policy = v0 if version == 0 else v1
    assert c.talk.say(get(STA1)) == holds(b"\1\2")
    assert c.ask(activate(policy)) == DONE
    for again in range(2):
        assert c.talk.say(get(STA1)) == REFUSED[1:]
        for sc in (A, E, AE):
            if sc in enough:
                assert c.ask(put(STA1, bytes([sc])), sc=sc) == "C5014100"
                assert c.ask(get(STA1), sc=sc) == holds(bytes([sc]))
                assert c.answer_sc & enough[0] == enough[0]
            else:
                assert c.ask(put(STA1, b"no"), sc=sc) == REFUSED
        # It can be activated again, and not be made less.
        assert c.ask(activate(policy)) == DONE
        assert c.ask(activate(0)) == "C701410300"
        assert c.ask("C00141 " + SETUPS[FREE] + " 02 00") == "C401410016%02X" % policy
        c = associate() if not again else c


def test_SYMSEC_0_SecPol_1(associate, version):
    """Activation of the security policy (1): authenticated."""
    keeps_policy(associate, version, 1, 0x24, (A, AE))


def test_SYMSEC_0_SecPol_2(associate, version):
    """Activation of the security policy (2): encrypted."""
    keeps_policy(associate, version, 2, 0x48, (E, AE))


def test_SYMSEC_0_SecPol_3(associate, version):
    """Activation of the security policy (3): authenticated and encrypted."""
    keeps_policy(associate, version, 3, 0x6C, (AE,))


# --- None is left out -----------------------------------------------------------------------

CASES = (
    "BasicCap_1 FraCount_1 FraCount_3 Key_Tx_P1 Key_Tx_P2 Key_Tx_P3 Key_Tx_N1 Key_Tx_N2 DedKey_N1"
    " SecDataX_P1 SecDataX_N1 REL_N1 SecPol_1 SecPol_2 SecPol_3"
)


def test_all_fifteen_cases_are_here():
    names = [n for n in globals() if n.startswith("test_SYMSEC_")]
    assert [n.replace("_0_", "_").replace("test_SYMSEC_", "") for n in names] == CASES.split()
    assert len(names) == 15
