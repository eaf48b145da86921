# SPDX-License-Identifier: MIT
"""The cases of data exchange (DLMS UA 1001-6), with logical and with short names, and of release.

Where a request is refused, a meter may say so in more than one way: an exception-response, a
confirmedServiceError, or an answer of that service with a result. Silence is none of them.
"""

from .application import REFERENCE, accepted, initiate, opened, opened_with
from .case import expect, fail, group_of, inapplicable, inconclusive
from .client import aare_fields
from .session import BITS, NAME, NAMED, descriptor, obis, result

CASES, case = group_of("application", REFERENCE)

_NO_SUCH = descriptor(1, "0.7.99.77.55", 2)
_SHORT_ALL = 0x1C0320


def asked(s, apdu):
    """(kind, detail) of the answer: "exception" and its two numbers, "error" and the octets of a
    confirmedServiceError, "result" and its number, "data", or "other" and the octets; silence is
    inconclusive."""
    got = s.request(apdu)
    if not got:
        inconclusive("%s is not answered at all [?]." % apdu[:3].hex(" "))
    if got[:1] == b"\xd8":
        expect(len(got) >= 3, "An exception-response is too short: %s." % got.hex(" "))
        return "exception", (got[1], got[2])
    if got[:1] == b"\x0e":
        return "error", got[1:4]
    if got[:2] in (b"\xc4\x01", b"\xc5\x01", b"\xc7\x01"):
        at = 4 if got[0] == 0xC4 and got[3:4] == b"\1" else 3
        expect(len(got) > at, "The answer %s is too short." % got.hex(" "))
        if len(apdu) > 2 and got[2] != apdu[2]:
            fail("invoke-id-and-priority %02X is answered with %02X." % (apdu[2], got[2]))
        return ("result", got[at]) if got[at] and (at == 4 or got[0] != 0xC4) else ("data", None)
    return "other", got


def described(kind, detail):
    """What asked() gave, for people."""
    if kind == "exception":
        return "an exception-response with state-error %d and service-error %d" % detail
    if kind == "error":
        return "a confirmedServiceError %s" % detail.hex(" ")
    if kind == "result":
        return result(detail)
    return "success" if kind == "data" else detail[:8].hex(" ")


def fails(s, apdu, what, expected):
    """It is answered with one of these results."""
    kind, detail = asked(s, apdu)
    expect(
        kind == "result" and detail in expected,
        "%s: %s; expected %s."
        % (what, described(kind, detail), " or ".join(result(n) for n in expected)),
    )


def refused(s, apdu, what):
    """It is refused, and the association goes on."""
    kind, detail = asked(s, apdu)
    if kind == "data":
        fail("%s is served." % what)
    if kind == "exception":
        expect(
            detail[0] in (1, 2) and 1 <= detail[1] <= 6,
            "%s: exception-response with state-error %d and service-error %d." % (what, *detail),
        )
    expect(s.is_alive(), "After it the association is not usable any more.")


# --- Data -----------------------------------------------------------------------------------


@case("APPL_DATA_LN_N1", "GET with faults", "GET service")
def data_ln_n1(t):
    """A choice that is not defined, elements that are missing, an unknown object, class,
    attribute: refused each, and the next GET is served. The invoke-id is that of the request.
    Octets behind a GET: refused [?]."""
    s = opened(t)
    refused(s, b"\xc0\x04\xc1" + NAME[3:], "C0 04")
    refused(s, b"\xc0\x00\xc1" + NAME[3:], "C0 00")
    for n in (2, 3, 6, len(NAME) - 1):
        refused(s, NAME[:n], "A GET of %d octets" % n)
    for what, target, expected in (
        ("An unknown object", _NO_SUCH, (4, 11, 3)),
        ("An object of another class", descriptor(3, "0.0.40.0.0", 2), (9, 4, 11)),
        ("An unknown attribute", descriptor(15, "0.0.40.0.0", 99), (4, 3, 11, 250)),
        ("An unknown class", descriptor(0x7FFF, "0.0.40.0.0", 2), (9, 4, 11)),
    ):
        fails(s, b"\xc0\x01\xc1" + target + b"\0", what, expected)
    for iip in (0x41, 0xC2, 0x8F, 0x40):
        asked(s, b"\xc0\x01" + bytes((iip,)) + NAME[3:])
    kind, _ = asked(s, NAME + b"\x00\x01")
    expect(s.is_alive(), "After octets behind a GET the association is not usable any more.")
    if kind == "data":
        inconclusive("A GET with octets behind it is served; is that forbidden [?].")


@case("APPL_DATA_LN_N3", "SET with faults", "SET service", ("write",))
def data_ln_n3(t):
    """A choice that is not defined, no data, data that are cut, an unknown object, an attribute
    that is nobody's to set: refused each, and the association goes on."""
    s = opened_with(t, "set")
    name = descriptor(15, "0.0.40.0.0", 1)
    refused(s, b"\xc1\x07\xc1" + name + b"\0\x09\x00", "C1 07")
    refused(s, b"\xc1\x01\xc1" + name, "A SET without data")
    refused(s, b"\xc1\x01\xc1" + name + b"\0\x09\x06\0", "A SET whose data are cut")
    for what, target, data, expected in (
        ("An unknown object", _NO_SUCH, b"\x11\0", (4, 11, 3)),
        ("logical_name", name, b"\x09\x06\1\2\3\4\5\6", (3, 250)),
        ("Another class", descriptor(3, "0.0.40.0.0", 2), b"\x11\0", (9, 4, 11)),
    ):
        fails(s, b"\xc1\x01\x42" + target + b"\0" + data, what, expected)
    expect(s.is_alive(), "After it the association is not usable any more.")


@case("APPL_DATA_LN_N4", "Services that are not supported", "conformance")
def data_ln_n4(t):
    """With GET alone negotiated: SET, ACTION, ACCESS and a list are refused with an
    exception-response or a confirmedServiceError; tags that nobody has defined, and those of short
    names, too. GET is served after each. A result of SET or ACTION may refuse the attribute, and
    not the service: inconclusive."""
    entry = t.plain()
    s = accepted(t, "GET alone", entry, information=initiate(BITS["get"]))
    own = descriptor(15, "0.0.40.0.0", 1)
    unsure = []
    for what, apdu in (
        ("SET", b"\xc1\x01\xc1" + own + b"\0\x09\x06" + obis("0.0.40.0.0")),
        ("ACTION", b"\xc3\x01\xc1" + own + b"\0"),
        ("GET with list", b"\xc0\x03\xc1\x01" + own + b"\0"),
        ("ACCESS", b"\xd9\x40\0\0\1\0\x01\x01" + own + b"\x01\0"),
        ("Read", b"\x05\x01\x02\xfa\x00"),
        ("Tag C6", b"\xc6\x01\xc1" + own + b"\0"),
        ("Tag 99", b"\x99\x01\xc1"),
    ):
        kind, detail = asked(s, apdu)
        if kind == "result":
            unsure.append("%s is answered with %s" % (what, described(kind, detail)))
        else:
            expect(
                kind == "error" or kind == "exception" and detail[1] <= 3,
                "%s, which was not negotiated, is answered with %s."
                % (what, described(kind, detail)),
            )
        expect(s.is_alive(), "After %s the association is not usable any more." % what)
    if unsure:
        inconclusive("%s; expected an exception-response [?]." % "; ".join(unsure))


# --- Short names ----------------------------------------------------------------------------


def short(t):
    """An open association with short names, and ask(octets)."""
    entry = t.target.short()
    if entry is None:
        inapplicable("No association with short names is known.")
    s = t.session(entry, context=2)
    octets = s.aarq("01 000000 065F1F0400 %06X FFFF" % _SHORT_ALL)
    fields = aare_fields(bytes.fromhex(s.talk.say(octets.hex())))
    if fields["result"]:
        inconclusive("The client with short names gets no association.")
    s.kind = None
    return s


def short_refused(s, apdu, what, tag=None):
    got = s.request(apdu)
    if not got:
        inconclusive("%s is not answered at all [?]." % what)
    if got[0] == tag:  # ReadResponse 0C, WriteResponse 0D: each element says what is wrong
        expect(got[1:2] == b"\1" and got[2:3] != b"\0", "%s is served." % what)
    else:
        expect(got[0] in (0x0E, 0xD8), "%s is answered with %s." % (what, got[:4].hex(" ")))
    got = s.sure(bytes.fromhex("050102FA00"))
    expect(got[:3] == b"\x0c\x01\x00", "After it the association is not usable any more.")


@case("APPL_DATA_SN_N1", "Read with faults", "Read service", ("sn",))
def data_sn_n1(t):
    """A name that is not there, a choice that is not defined, a request that is cut: refused, and
    the next Read is served."""
    s = short(t)
    for what, apdu in (
        ("An unknown name", "05 01 02 0010"), ("Choice 09", "05 01 09 FA00"),
        ("A Read that is cut", "05 01 02 FA"), ("One of two elements", "05 02 02 FA00"),
    ):  # fmt: skip
        short_refused(s, bytes.fromhex(apdu), what, 0x0C)


@case("APPL_DATA_SN_N2", "Write with faults", "Write service", ("sn", "write"))
def data_sn_n2(t):
    """A name that is not there, one that is nobody's to write, data that are cut: refused."""
    s = short(t)
    for what, apdu in (
        ("An unknown name", "06 01 02 0010 01 11 00"),
        ("logical_name", "06 01 02 FA00 01 09 06 010203040506"),
        ("A Write that is cut", "06 01 02 FA00 01 09 06"),
    ):
        short_refused(s, bytes.fromhex(apdu), what, 0x0D)


@case("APPL_DATA_SN_N3", "Services that are not supported", "conformance", ("sn",))
def data_sn_n3(t):
    """GET, and a tag that nobody has defined, in an association with short names: refused."""
    s = short(t)
    short_refused(s, NAME, "GET")
    short_refused(s, b"\x99\x01\x02", "Tag 99")


# --- Release --------------------------------------------------------------------------------


@case("APPL_REL_P1", "Release of an association", "RLRQ and RLRE")
def rel_p1(t):
    """RLRQ with a reason, and the shortest one: RLRE; then nothing is served, and an association
    can be opened anew on the same link."""
    entries = [t.plain(), t.target.ciphered()]
    for entry in [e for e in entries if e is not None]:
        s = opened(t, entry)
        for _ in range(2):
            got = s.release()
            expect(got[:1] == b"\x63", "RLRQ is answered with %s." % (got[:2].hex() or "silence"))
            got = s.request(NAME)
            expect(got != NAMED, "GET is served after the release.")
            s.open()
            expect(s.is_alive(), "In an association after a release nothing is served.")
        t.done()
    s = opened(t, t.plain())
    t.keep("asked", b"\x62\0")
    got = s.link.ask(b"\x62\0")
    expect(got is not None and got[:1] == b"\x63", "62 00 is not answered with RLRE.")
    expect(s.request(NAME) != NAMED, "GET is served after the release.")
