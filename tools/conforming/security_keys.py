# SPDX-License-Identifier: MIT
"""The cases of symmetric key security (DLMS UA 1001-6: SYMSEC_0) that change keys and policies;
and all of security once more for suites 1 and 2, where there are associations of them: what is
symmetric there is as in suite 0, but for the keys of suite 2, which have 32 octets."""

import os

from cryptography.hazmat.primitives import keywrap

from . import security
from .case import Case, Fail, Verdict, expect, fail, group_of, inapplicable
from .client import AE, A, E
from .lines import Closed
from .objects import other
from .security import (
    ALL_KINDS, REFERENCE, SETUP, WORDS, discarded, enough, get_apdu, kinds_of, opened, setup,
)  # fmt: skip
from .session import result

CASES, case = group_of("security", REFERENCE)

_ACTIVATE, _TRANSFER = 1, 2
_GUEK, _GAK = 0, 2
_POLICIES = {A: (1, 0x24), E: (2, 0x48), AE: (3, 0x6C)}  # of version 0, of version 1

# --- Key transfer ---------------------------------------------------------------------------


def transfer(s, name, keys, kek=None):
    """action_result of key_transfer (global_key_transfer in version 0)."""
    data = b"\x01" + bytes((len(keys),))
    for key_id, key in keys:
        wrapped = keywrap.aes_key_wrap(kek, key) if kek else key
        data += b"\x02\x02\x16" + bytes((key_id,)) + b"\x09" + bytes((len(wrapped),)) + wrapped
    return s.act(SETUP, name, _TRANSFER, data)[0]


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


# --- Policies -------------------------------------------------------------------------------


def keeps_policy(t, wanted):
    """Once it is activated, requests with less are refused, and answers have it."""
    name, number = setup(t)
    code = _POLICIES[wanted][number > 0]
    s = opened(t)
    status, data = s.get(SETUP, name, 2)
    expect(status == 0, "security_policy cannot be read.")
    now = data[1]
    if now | code != code if number else now not in (0, code):
        inapplicable("The policy is %02X already, and cannot be made less." % now)
    status, _ = s.act(SETUP, name, _ACTIVATE, b"\x16" + bytes((code,)))
    expect(status == 0, "security_activate says %d." % status)
    t.ciphered()["security_policy"] = code
    kinds = enough(t)
    attribute = (SETUP, bytes(int(part) for part in name.split(".")), 3)
    for again in range(2):
        discarded(s, get_apdu(attribute), "A request in plain text")
        for sc in ALL_KINDS:
            if sc not in kinds:
                discarded(s, s.protect(get_apdu(attribute), sc=sc), WORDS[sc].capitalize())
        kinds_of(s, attribute, kinds)
        s.sc = AE
        status, _ = s.act(SETUP, name, _ACTIVATE, b"\x16\0")
        expect(status, "The policy can be taken back.")
        expect(s.get(SETUP, name, 2) == (0, b"\x16" + bytes((code,))), "The policy has changed.")
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


# --- The other suites -----------------------------------------------------------------------


def more(player):
    """All cases once more for suites 1 and 2, as far as there are associations of them."""
    for suite in (1, 2):
        if player.target.ciphered(suite):
            yield from (of_suite(case, suite) for case in (*security.CASES, *CASES))


def of_suite(case, suite):
    def play(t):
        t.suite = suite
        return case.play(t)

    play.__doc__ = case.play.__doc__
    return Case(
        case.id.replace("SYMSEC_0", "SYMSEC_%d" % suite), "%s, suite %d" % (case.title, suite),
        "ours, after " + case.reference, case.group, case.needs, play,
    )  # fmt: skip
