# SPDX-License-Identifier: MIT
"""The cases of symmetric key security, suite 0 (DLMS UA 1001-6: SYMSEC_0), and some of ours:
counters, data, release. security_keys.py has those of keys and policies; there are 15 in all.

What is protected wrongly is answered with an exception-response, or not at all; it has no effect,
and the association goes on.
"""

import os

from .case import expect, fail, group_of, inapplicable, inconclusive
from .client import AE, GMAC, A, E, length
from .objects import objects, other, settable
from .session import dotted

REFERENCE = "DLMS UA 1001-6 (SYMSEC_0), 8; IEC 62056-5-3: "
CASES, case = group_of("security", REFERENCE)

SETUP = 64
ALL_KINDS = (A, E, AE)
WORDS = {A: "authenticated", E: "encrypted", AE: "authenticated and encrypted"}


def opened(t, **how):
    entry = t.ciphered()
    if "security_policy" not in entry:
        entry["security_policy"] = 0
        name, _version = setup(t)
        s = t.session(entry).ready()
        status, data = s.get(SETUP, name, 2)
        if status == 0 and len(data) == 2:
            entry["security_policy"] = data[1]
        s.leave()
    return t.session(entry, **how).ready()


def setup(t):
    """(logical name of the Security setup, its version)."""
    entry = t.ciphered()
    name = entry.get("security_setup")
    found = [o for o in objects(t, entry) if o.class_id == SETUP]
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
    return [sc for sc in ALL_KINDS if sc >> 4 & policy == policy]


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
        expect(status == 0, "GET, %s, says %d." % (WORDS[sc], status))
        expect(
            s.answer_sc & AE & sc == sc,
            "GET, %s, is answered with SC %02X." % (WORDS[sc], s.answer_sc),
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
        status, data = s.get(SETUP, name, 3)
        expect(
            s.answer_sc & sc == sc,
            "GET, %s, is answered with SC %02X." % (WORDS[sc], s.answer_sc),
        )
        expect(
            (status, data) == (0, bytes((0x16, s.suite))), "security_suite is not %d." % s.suite
        )
    s.sc = AE
    for index, title, word in ((4, s.title, "client"), (5, s.meter_title, "server")):
        status, data = s.get(SETUP, name, index)
        expect(
            status or data == b"\x09\x08" + title, "%s_system_title is %s." % (word, data.hex())
        )
    status, data = s.get(SETUP, name, 2)
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
            s.get(SETUP, name, 2)
            s.get(SETUP, name, 99)
        got = [int.from_bytes(ic, "big") for _, ic in s.server_ics]
        # f(CtoS) was made before the APDU that brings it was protected.
        if s.mechanism == GMAC:
            got[1:3] = sorted(got[1:3])
        seen += got
        s.leave()
    expect(seen == sorted(set(seen)), "Counters of the meter do not rise: %s." % seen)


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
                        expect(status == 0, "SET, %s, says %d." % (WORDS[sc], status))
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
            for sc in ALL_KINDS:
                if sc not in kinds:
                    what = "A request that is only %s" % WORDS[sc]
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
