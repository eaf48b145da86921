# SPDX-License-Identifier: MIT
"""The 15 cases of symmetric key security, suite 0 (DLMS UA 1001-6: SYMSEC_0), and some of ours.
The same for suites 1 and 2, where there are associations of them: what is symmetric there is as in
suite 0, but for the keys of suite 2, which have 32 octets.

What is protected wrongly is answered with an exception-response, or not at all; it has no effect,
and the association goes on.
"""

import os

from cryptography.hazmat.primitives import keywrap

from .case import Case, Fail, Verdict, expect, fail, group_of, inapplicable, inconclusive
from .client import AE, GMAC, A, E, length
from .objects import objects, other, settable
from .lines import Closed
from .session import dotted, result

CASES, case = group_of("security", "DLMS UA 1001-6 (SYMSEC_0), 8; IEC 62056-5-3: ")

_SETUP = 64
_ACTIVATE, _TRANSFER = 1, 2
_GUEK, _GAK = 0, 2
_ALL_KINDS = (A, E, AE)
_WORDS = {A: "authenticated", E: "encrypted", AE: "authenticated and encrypted"}
_POLICIES = {A: (1, 0x24), E: (2, 0x48), AE: (3, 0x6C)}  # of version 0, of version 1


def opened(t, **how):
    return t.session(t.ciphered(), **how).ready()


def setup(t):
    """(logical name of the Security setup, its version)."""
    entry = t.ciphered()
    name = entry.get("security_setup")
    found = [o for o in objects(t, entry) if o.class_id == _SETUP]
    mine = [o for o in found if dotted(o.name) == name] or ([] if name else found)
    if not mine:
        inapplicable("The Security setup object of the association is not known.")
    return dotted(mine[0].name), mine[0].version


def enough(t):
    """Kinds of protection that the policy lets pass, the strongest last."""
    entry = t.ciphered()
    policy = entry.get("security_policy", 0)
    if policy > 3:
        policy = (policy >> 2 & 1) | (policy >> 3 & 1) << 1
    return [sc for sc in _ALL_KINDS if sc >> 4 & policy == policy]


def attributes(t):
    """STA1 and STA2: two short attributes that the client may read and write."""
    found = settable(t, t.ciphered(), 2)
    if len(found) < 2:
        inapplicable("There are no two short attributes that the client may write.")
    return found


def discarded(s, octets, what):
    """Octets that are protected wrongly: an exception-response, or silence."""
    got = bytes.fromhex(s.talk.say(octets.hex()))
    if got and got[0] not in (0xD8, 0x0E):
        fail("%s is answered with %s." % (what, got[:3].hex(" ")))
    return got


def reads(s, attribute, data, why):
    status, got = s.get(*attribute)
    expect((status, got) == (0, data), why)


def kinds_of(s, attribute, kinds):
    """GET with each kind of protection: the answer has it, too."""
    for sc in kinds:
        s.sc = sc
        status, _ = s.get(*attribute)
        expect(status == 0, "GET, %s, says %d." % (_WORDS[sc], status))
        expect(
            s.answer_sc & AE & sc == sc,
            "GET, %s, is answered with SC %02X." % (_WORDS[sc], s.answer_sc),
        )


def get_apdu(attribute):
    class_id, name, index = attribute
    return b"\xc0\x01\xc1" + class_id.to_bytes(2, "big") + name + bytes((index, 0))


def set_apdu(attribute, data):
    class_id, name, index = attribute
    return b"\xc1\x01\xc1" + class_id.to_bytes(2, "big") + name + bytes((index, 0)) + data


# --- Capabilities, counters -----------------------------------------------------------------


@case("SYMSEC_0_BasicCap_1", "Basic security capabilities", "ciphering", ("ciphered",))
def basic(t):
    """GET with each kind of protection that the policy lets pass: answered with that kind. What
    Security setup says of policy, suite and system titles is what is used."""
    name, _version = setup(t)
    s = opened(t)
    for sc in enough(t):
        s.sc = sc
        status, data = s.get(_SETUP, name, 3)
        expect(
            s.answer_sc & sc == sc,
            "GET, %s, is answered with SC %02X." % (_WORDS[sc], s.answer_sc),
        )
        expect(
            (status, data) == (0, bytes((0x16, s.suite))), "security_suite is not %d." % s.suite
        )
    s.sc = AE
    for index, title, word in ((4, s.title, "client"), (5, s.meter_title, "server")):
        status, data = s.get(_SETUP, name, index)
        expect(
            status or data == b"\x09\x08" + title, "%s_system_title is %s." % (word, data.hex())
        )
    status, data = s.get(_SETUP, name, 2)
    expect(status == 0 and data[:1] == b"\x16", "security_policy cannot be read.")
    known = t.ciphered().get("security_policy")
    expect(
        known in (None, data[1]), "security_policy is %02X; expected %02X." % (data[1], known or 0)
    )
    return "policy %02X" % data[1]


@case("SYMSEC_0_FraCount_1", "Protection against replay", "invocation counter",
      ("ciphered", "write"))  # fmt: skip
def replay(t):
    """A SET, another SET, then the first once more octet by octet, and one with an old counter: no
    effect. The same after a release, in a new association."""
    attribute = attributes(t)[0]
    s = opened(t)
    before = s.get(*attribute)[1]
    try:
        for sc in enough(t):
            first = s.protect(set_apdu(attribute, other(before)), sc=sc)
            s.unprotect(bytes.fromhex(s.talk.say(first.hex())))
            expect(s.put(*attribute, before) == 0, "SET fails.")
            for _ in range(2):
                discarded(s, first, "A request that was replayed")
            old = s.protect(set_apdu(attribute, other(before)), sc=sc, ic=s.ic - 2)
            discarded(s, old, "A request with an old counter")
            reads(s, attribute, before, "A request that was replayed had an effect.")
            s.leave()
            s = opened(t)
            discarded(s, first, "A request of an association before")
            reads(s, attribute, before, "A request of an association before had an effect.")
    finally:
        s.put(*attribute, before)


@case("SYMSEC_0_FraCount_3", "Counter of what is sent", "invocation counter", ("ciphered",))
def counters(t):
    """In three associations the meter's counters rise, and none comes twice."""
    name, _version = setup(t)
    seen = []
    for _ in range(3):
        s = opened(t)
        for sc in enough(t):
            s.sc = sc
            s.get(_SETUP, name, 2)
            s.get(_SETUP, name, 99)
        got = [int.from_bytes(ic, "big") for _, ic in s.server_ics]
        # f(CtoS) was made before the APDU that brings it was protected.
        if s.mechanism == GMAC:
            got[1:3] = sorted(got[1:3])
        seen += got
        s.leave()
    expect(seen == sorted(set(seen)), "Counters of the meter do not rise: %s." % seen)


# --- Key transfer ---------------------------------------------------------------------------


def transfer(s, name, keys, kek=None):
    """action_result of key_transfer (global_key_transfer in version 0)."""
    data = b"\x01" + bytes((len(keys),))
    for key_id, key in keys:
        wrapped = keywrap.aes_key_wrap(kek, key) if kek else key
        data += b"\x02\x02\x16" + bytes((key_id,)) + b"\x09" + bytes((len(wrapped),)) + wrapped
    return s.act(_SETUP, name, _TRANSFER, data)[0]


def with_kek(t):
    entry = t.ciphered()
    if "kek_hex" not in entry:
        inapplicable("The KEK is not known.")
    s = opened(t)
    if not s.has("action"):
        inapplicable("The association has no ACTION.")
    return s


def changes_keys(t, *changed):
    """New keys are handed over and used, the old ones are good for nothing; and back. The new ones
    are the old ones inverted, so that a meter that keeps them is not lost."""
    name, _version = setup(t)
    s = with_kek(t)
    old = {_GUEK: s.guek, _GAK: s.gak}
    new = {**old, **{key_id: bytes(o ^ 0xFF for o in old[key_id]) for key_id in changed}}
    own = {"guek": new[_GUEK], "gak": new[_GAK]}
    status = transfer(s, name, [(k, new[k]) for k in changed], s.kek)
    expect(status == 0, "key_transfer says %s." % result(status))
    t.done()
    try:
        c = t.session(t.ciphered(), **own).open()
        expect(c.is_alive(), "Under the new keys nothing is served.")
        c.leave()
        try:
            got = t.session(t.ciphered()).begin()
        except Fail as e:
            t.note("with the old keys: %s" % e)
        else:
            expect(got["result"], "The old keys still open an association.")
        t.done()
    finally:
        put_back(t, name, s, own, [(k, old[k]) for k in changed])
    c = opened(t)
    expect(c.is_alive(), "Under the old keys, which are back, nothing is served.")


def put_back(t, name, s, own, keys):
    """The old keys are handed over, unless the meter still has them."""
    t.done()
    try:
        try:
            c = t.session(t.ciphered(), **own).open()
        except (Verdict, Closed) as e:
            t.note("with the new keys: %s" % e)
            t.done()
            t.session(t.ciphered()).open()
        else:
            status = transfer(c, name, keys, s.kek)
            expect(status == 0, "key_transfer says %s." % result(status))
    except (Verdict, Closed) as e:
        fail("THE METER MAY HAVE OTHER KEYS NOW, with every bit of the old ones inverted: %s" % e)
    t.done()


@case("SYMSEC_0_Key_Tx_P1", "A new encryption key", "key transfer", ("ciphered", "keys"))
def key_p1(t):
    """The global unicast encryption key is transferred, wrapped with the KEK, used, and put back;
    in between the old one opens nothing."""
    changes_keys(t, _GUEK)


@case("SYMSEC_0_Key_Tx_P2", "A new authentication key", "key transfer", ("ciphered", "keys"))
def key_p2(t):
    """As for the encryption key."""
    changes_keys(t, _GAK)


@case("SYMSEC_0_Key_Tx_P3", "Both keys in one transfer", "key transfer", ("ciphered", "keys"))
def key_p3(t):
    """As for one of them."""
    changes_keys(t, _GUEK, _GAK)


@case("SYMSEC_0_Key_Tx_N1", "A wrong key_id", "key transfer", ("ciphered", "keys"))
def key_n1(t):
    """key_id 4, 128 and 255, alone and behind a good one: refused, and no key has changed."""
    name, _version = setup(t)
    s = with_kek(t)
    for key_id in (4, 0x80, 0xFF):
        for keys in ([], [(_GUEK, s.guek)]):
            status = transfer(s, name, [*keys, (key_id, os.urandom(len(s.guek)))], s.kek)
            expect(status, "A key with key_id %d is taken." % key_id)
            expect(s.is_alive(), "After it the association is not usable any more.")
    t.done()
    opened(t)


@case("SYMSEC_0_Key_Tx_N2", "A key that is wrongly wrapped", "key transfer", ("ciphered", "keys"))
def key_n2(t):
    """Wrapped with another key, not at all, cut, too long, with an octet that has changed, a key
    of another length: refused, and no key has changed."""
    name, _version = setup(t)
    s = with_kek(t)
    key = os.urandom(len(s.guek))
    good = keywrap.aes_key_wrap(s.kek, key)
    for what, wrapped in (
        ("under another key", keywrap.aes_key_wrap(bytes(len(key)), key)), ("plain", key),
        ("cut", good[:-1]), ("too long", good + bytes(8)), ("changed", other(good, 4)),
        ("of another length", keywrap.aes_key_wrap(s.kek, bytes(48 - len(key)))),
    ):  # fmt: skip
        status = transfer(s, name, [(_GUEK, wrapped)])
        expect(status, "A key %s is taken." % what)
        expect(s.is_alive(), "After it the association is not usable any more.")
    t.done()
    opened(t)


# --- Dedicated key, data --------------------------------------------------------------------


@case("SYMSEC_0_DedKey_N1", "Dedicated key, wrongly used", "dedicated key", ("ciphered",))
def dedicated(t):
    """Of a wrong length: rejected. With one that was agreed on, requests under another, under the
    global one, with an old counter: no effect. Without one, a dedicated request: no effect."""
    n_key = len(bytes.fromhex(t.ciphered()["guek_hex"]))
    for n in (1, n_key - 1, n_key + 1):
        got = t.session(t.ciphered(), dedicated=bytes(range(n))).begin()
        expect(got["result"], "A dedicated key of %d octets is taken." % n)
        t.done()
    attribute = (15, b"\0\0\x28\0\0\xff", 1)
    key = os.urandom(n_key)
    s = opened(t, dedicated=key)
    request = get_apdu(attribute)
    for what, how in (
        ("ded- under another key", {"kind": "ded", "key": bytes(n_key)}),
        ("glo- under the dedicated key", {"kind": "glo", "key": key}),
    ):
        discarded(s, s.protect(request, **how), what)
    s.kind = "ded"
    expect(s.is_alive(), "A request under the dedicated key is not served.")
    discarded(s, s.protect(request, ic=0), "ded- with an old counter")
    s.leave()
    s = opened(t)
    s.dedicated = key
    discarded(s, s.protect(request, kind="ded"), "ded- without a dedicated key")
    expect(s.is_alive(), "After it the association is not usable any more.")


@case("SYMSEC_0_SecDataX_P1", "Protected data", "ciphering", ("ciphered", "write"))
def data_p1(t):
    """Two attributes are written and read with each kind of protection that the policy lets pass,
    under the global and under a dedicated key."""
    pair = attributes(t)
    for n in (0, len(t.ciphered()["guek_hex"]) // 2):
        key = os.urandom(n)
        s = opened(t, dedicated=key)
        s.kind = "ded" if key else "glo"
        for attribute in pair:
            before = s.get(*attribute)[1]
            try:
                for sc in enough(t):
                    s.sc = sc
                    for value in (other(before), before):
                        status = s.put(*attribute, value)
                        expect(status == 0, "SET, %s, says %d." % (_WORDS[sc], status))
                        expect(s.answer_sc & sc == sc, "It is answered with less protection.")
                        reads(s, attribute, value, "It reads other than it was written.")
            finally:
                s.put(*attribute, before)
        s.leave()


@case("SYMSEC_0_SecDataX_N1", "Wrongly protected data", "ciphering", ("ciphered", "write"))
def data_n1(t):
    """SET and GET under another key, another authentication key, another title, of another suite,
    with a changed octet anywhere, cut, with less protection than the policy wants: no effect."""
    attribute = attributes(t)[0]
    s = opened(t)
    before = s.get(*attribute)[1]
    kinds = enough(t)
    try:
        for request in (set_apdu(attribute, other(before)), get_apdu(attribute)):
            for sc in _ALL_KINDS:
                if sc not in kinds:
                    what = "A request that is only %s" % _WORDS[sc]
                    got = bytes.fromhex(s.talk.say(s.protect(request, sc=sc).hex()))
                    expect(not got or got[0] in (0xD8, 0x0E), "%s is served." % what)
            if len(kinds) < 3:
                discarded(s, request, "A request in plain text")
            for what, how in (
                ("Under another key", {"key": bytes(len(s.guek))}),
                ("Of another suite", {"suite": 0 if s.suite else 1}),
                ("Of the broadcast key", {"sc": AE | 0x40}), ("Compressed", {"sc": AE | 0x80}),
            ):  # fmt: skip
                discarded(s, s.protect(request, ic=s.ic, **how), what)
            for own, what in (("gak", "authentication key"), ("title", "system title")):
                mine = getattr(s, own)
                setattr(s, own, mine[::-1])
                octets = s.protect(request, ic=s.ic)
                setattr(s, own, mine)
                discarded(s, octets, "With another %s" % what)
            good = s.protect(request, ic=s.ic)
            for at in (2, 5, 9, len(good) // 2, len(good) - 1):
                octets = good[:at] + bytes((good[at] ^ 2,)) + good[at + 1 :]
                discarded(s, octets, "With octet %d changed" % at)
            discarded(s, good[:-1], "Without its last octet")
        reads(s, attribute, before, "One of them had an effect.")
    finally:
        s.put(*attribute, before)


@case("SYMSEC_REL_N1", "A release that is not protected enough", "RLRQ", ("ciphered",))
def release_n1(t):
    """RLRQ with an InitiateRequest in plain text, and under another key: refused (not-finished, an
    exception-response or silence), and the association goes on, until it is released rightly.
    Where the policy wants nothing: not applicable."""
    if len(enough(t)) == 3:
        inapplicable("The policy wants no protection.")
    initiate = bytes.fromhex("01000000065F1F04007EFF1FFFFF")
    s = opened(t)
    for what, inner in (
        ("in plain text", initiate),
        ("under another key", s.protect(initiate, key=bytes(len(s.guek)))),
    ):  # fmt: skip
        body = b"\x80\x01\x00\xbe" + length(len(inner) + 2) + b"\x04" + length(len(inner)) + inner
        apdu = b"\x62" + length(len(body)) + body
        t.keep("asked", apdu)
        got = bytes.fromhex(s.talk.say(apdu.hex()))
        if got[:1] == b"\x63":
            expect(got[2:5] == b"\x80\x01\x01", "RLRQ %s is answered with %s." % (what, got.hex()))
        expect(s.is_alive(), "RLRQ %s ends the association." % what)
    got = s.release()
    expect(got[:1] == b"\x63", "The right RLRQ is answered with %s." % (got.hex() or "silence"))


# --- Policies -------------------------------------------------------------------------------


def keeps_policy(t, wanted):
    """Once it is activated, requests with less are refused, and answers have it."""
    name, number = setup(t)
    code = _POLICIES[wanted][number > 0]
    s = opened(t)
    status, data = s.get(_SETUP, name, 2)
    expect(status == 0, "security_policy cannot be read.")
    now = data[1]
    if now | code != code if number else now not in (0, code):
        inapplicable("The policy is %02X already, and cannot be made less." % now)
    status, _ = s.act(_SETUP, name, _ACTIVATE, b"\x16" + bytes((code,)))
    expect(status == 0, "security_activate says %d." % status)
    t.ciphered()["security_policy"] = code
    kinds = enough(t)
    attribute = (_SETUP, bytes(int(part) for part in name.split(".")), 3)
    for again in range(2):
        discarded(s, get_apdu(attribute), "A request in plain text")
        for sc in _ALL_KINDS:
            if sc not in kinds:
                discarded(s, s.protect(get_apdu(attribute), sc=sc), _WORDS[sc].capitalize())
        kinds_of(s, attribute, kinds)
        s.sc = AE
        status, _ = s.act(_SETUP, name, _ACTIVATE, b"\x16\0")
        expect(status, "The policy can be taken back.")
        expect(s.get(_SETUP, name, 2) == (0, b"\x16" + bytes((code,))), "The policy has changed.")
        if not again:
            s.leave()
            s = opened(t)


@case("SYMSEC_0_SecPol_1", "Policy: authenticated", "security_activate", ("ciphered", "policy"))
def policy_1(t):
    """security_activate; then requests with less are refused, answers have it, and it cannot be
    taken back, in this association and in the next one."""
    keeps_policy(t, A)


@case("SYMSEC_0_SecPol_2", "Policy: encrypted", "security_activate", ("ciphered", "policy"))
def policy_2(t):
    """As for the policy of authentication."""
    keeps_policy(t, E)


@case("SYMSEC_0_SecPol_3", "Policy: authenticated and encrypted", "security_activate",
      ("ciphered", "policy"))  # fmt: skip
def policy_3(t):
    """As for the policy of authentication."""
    keeps_policy(t, AE)


# --- Ours -----------------------------------------------------------------------------------


@case("PMT_SEC_AARQ_N1", "An AARQ under another key", "AARQ; ours", ("ciphered",))
def aarq_n1(t):
    """An InitiateRequest under another key, and with another authentication key: no
    association."""
    entry = t.ciphered()
    t.counter(entry)
    guek = bytes.fromhex(entry["guek_hex"])
    ic = t.target.counters[guek]
    nothing = bytes(len(guek))
    for what, how in (
        ("another key", {"guek": nothing}), ("another authentication key", {"gak": nothing}),
    ):  # fmt: skip
        s = t.session(entry, ic=ic, **how)
        octets = s.aarq()
        t.keep("asked", octets)
        got = bytes.fromhex(s.talk.say(octets.hex()))
        if got[:1] == b"\x61":
            expect(b"\xa2\x03\x02\x01\x00" not in got[:40], "%s opens an association." % what)
        elif got and got[0] not in (0xD8, 0x0E):
            inconclusive("An AARQ under %s is answered with %s." % (what, got[:3].hex(" ")))
        t.done()
    opened(t)


@case("PMT_SEC_GENERAL_P1", "Requests in general-glo-ciphering", "general protection; ours",
      ("ciphered",))  # fmt: skip
def general_p1(t):
    """Where general-protection is negotiated: a GET in general-glo-ciphering is answered in the
    same form, with the meter's title."""
    s = opened(t)
    if not s.has("general-protection"):
        inapplicable("general-protection is not negotiated.")
    s.kind = "general-glo"
    apdu = get_apdu((15, b"\0\0\x28\0\0\xff", 1))
    got = bytes.fromhex(s.talk.say(s.protect(apdu).hex()))
    expect(got[:1] == b"\xdb", "It is answered with %s." % (got[:3].hex(" ") or "silence"))
    expect(s.unprotect(got)[:4] == b"\xc4\x01\xc1\x00", "It is not served.")


# --- The other suites -----------------------------------------------------------------------


def more(player):
    """The same cases for suites 1 and 2, as far as there are associations of them."""
    for suite in (1, 2):
        if player.target.ciphered(suite):
            yield from (of_suite(case, suite) for case in CASES)


def of_suite(case, suite):
    def play(t):
        t.suite = suite
        return case.play(t)

    play.__doc__ = case.play.__doc__
    return Case(
        case.id.replace("SYMSEC_0", "SYMSEC_%d" % suite), "%s, suite %d" % (case.title, suite),
        "ours, after " + case.reference, case.group, case.needs, play,
    )  # fmt: skip
