# SPDX-License-Identifier: MIT
"""The cases of the application layer (DLMS UA 1001-6): idle, opening. services.py has those of
data and release; there are 20 in all.
"""

from .case import expect, fail, group_of, inapplicable
from .client import length, take_length
from .lines import Closed
from .session import BITS, CIPHERED, NAME, NAMED, descriptor

REFERENCE = "DLMS UA 1001-6 (ATS_AL), 6.2; IEC 62056-5-3: "
CASES, case = group_of("application", REFERENCE)

_NO_SUCH = descriptor(1, "0.7.99.77.55", 2)
_ALL = 0x7EFF1F  # all services with logical names
_FAILED, _NAME_REQUIRED, _UNKNOWN_MECHANISM, _REQUIRED = 13, 12, 11, 14


def initiate(conformance=_ALL, max_pdu=0xFFFF, version=6, options="000000"):
    """options: dedicated-key, response-allowed, quality of service."""
    return (
        bytes.fromhex("01" + options)
        + bytes((version,))
        + b"\x5f\x1f\x04\x00"
        + conformance.to_bytes(3, "big")
        + max_pdu.to_bytes(2, "big")
    )


def parts(aarq):
    """{tag: content} of an AARQ."""
    _, at = take_length(aarq, 1)
    found = {}
    while at < len(aarq):
        tag = aarq[at]
        n, at = take_length(aarq, at + 1)
        found[tag] = aarq[at : at + n]
        at += n
    return found


def assembled(fields):
    body = b""
    for tag in sorted(fields, key=lambda tag: tag & 0x1F):
        if fields[tag] is not None:
            body += bytes((tag,)) + length(len(fields[tag])) + fields[tag]
    return b"\x60" + length(len(body)) + body


def octet_string(octets):
    return b"\x04" + length(len(octets)) + octets


def oid(kind, number):
    """Content of application-context-name (kind 1, with its tag) and mechanism-name (2)."""
    octets = bytes.fromhex("608574050802" if kind == 2 else "608574050801") + bytes((number,))
    return octets if kind == 2 else b"\x06\x07" + octets


def associate(t, what, entry, changes=None, information=None):
    """(session, fields of the AARE or None) of an AARQ with other fields; None: no AARE came.
    information: octets instead of the InitiateRequest."""
    s = t.session(entry)
    inner = initiate() if information is None else information
    if s.context >= CIPHERED:
        inner = s.protect(inner, kind="glo")
    fields = parts(s.aarq())
    fields[0xBE] = octet_string(inner)
    fields.update(changes or {})
    apdu = assembled(fields)
    t.keep("asked", apdu)
    try:
        got = bytes.fromhex(s.talk.say(apdu.hex()))
    except Closed:
        return s, None
    if got:
        t.keep("answered", got)
    if got[:1] != b"\x61":
        if got and got[0] not in (0xD8, 0x0E):
            fail("%s: answered with %s; expected an AARE." % (what, got[:4].hex(" ")))
        return s, None
    found = s.take(got)
    s.learn(found)
    return s, found


def accepted(t, what, *args, **how):
    """The session, after an AARE that accepts (HLS: goes on to pass 3)."""
    s, got = associate(t, what, *args, **how)
    expect(got is not None, "%s: there is no AARE." % what)
    expect(
        (got["result"], got["diagnostic"]) == (0, _REQUIRED if s.mechanism > 1 else 0),
        "%s: result %d, diagnostic %d; expected to be accepted."
        % (what, got["result"], got["diagnostic"]),
    )
    if s.mechanism > 1:
        expect(s.finish() == "ok", "%s: pass 4 failed." % what)
    return s


def rejected(t, what, entry, changes=None, information=None, diagnostics=(), silent=False):
    """It is refused, and opens nothing. diagnostics: of which one is expected; silent: no AARE
    is right, too."""
    s, got = associate(t, what, entry, changes, information)
    if got is None:
        expect(silent, "%s: there is no AARE." % what)
    else:
        expect(got["result"], "%s: accepted; expected to be rejected." % what)
        if diagnostics and got["diagnostic"] not in diagnostics:
            fail(
                "%s: diagnostic %d; expected %s."
                % (what, got["diagnostic"], " or ".join(str(n) for n in diagnostics))
            )
    t.done()
    return got


def initiate_error(got, number, what):
    """A rejected AARE has a confirmedServiceError of class initiate, with this value."""
    if not got:
        return
    information = got["information"]
    expect(
        information[:1] == b"\x0e" and information[1:] == bytes((1, 6, number)),
        "%s: the AARE brings %s; expected initiateError, initiate, %d."
        % (what, information.hex(" ") or "nothing", number),
    )


def opened(t, entry=None):
    return t.session(entry or t.some()).ready()


def opened_with(t, word):
    """A session in which a service is negotiated."""
    for entry in t.target.playable():
        s = opened(t, entry)
        if s.has(word):
            return s
        t.done()
    return inapplicable("No association has %s." % word)


# --- Idle, open -----------------------------------------------------------------------------


@case("APPL_IDLE_N1", "Data exchange without an association", "idle state")
def idle(t):
    """GET, SET and ACTION before any AARQ: silence, an exception-response or a
    confirmedServiceError. Then an association can be opened."""
    entry = t.plain()
    link = t.link(entry["client_sap"], entry["server_sap"])
    for what, apdu in (
        ("GET", NAME),
        ("SET", b"\xc1\x01\xc1" + _NO_SUCH + b"\0\x11\0"),
        ("ACTION", b"\xc3\x01\xc1" + descriptor(15, "0.0.40.0.0", 1) + b"\0"),
    ):
        t.keep("asked", apdu)
        got = link.ask(apdu, max(link.line.quiet_s, 0.3))
        if got:
            t.keep("answered", got)
            expect(
                got[0] in (0xD8, 0x0E),
                "%s before any AARQ is answered with %s." % (what, got[:4].hex(" ")),
            )
    t.done()
    t.session(entry).open()


@case("APPL_OPEN_1", "Associations with their declared parameters", "AARQ and AARE")
def open_1(t):
    """Every association that can be played is opened: the context is the one that was asked for,
    the conformance is a part of what was proposed, the xDLMS version 6, vaa-name 0007, the PDU
    size none or 12 and more. In a ciphered context the AARE has the meter's title, and its
    InitiateResponse is ciphered."""
    entries = t.target.playable()
    if not entries:
        inapplicable("No association can be opened with what is known.")
    for entry in entries:
        who = "Client %d at server %d" % (entry["client_sap"], entry["server_sap"])
        s = t.session(entry)
        got = s.begin()
        expect(got["result"] == 0, "%s: rejected, diagnostic %d." % (who, got["diagnostic"]))
        expect(got[0xA1] == oid(1, s.context), "%s: another application context." % who)
        if s.mechanism > 1:
            expect(
                got.get(0x89, b"")[-1:] == bytes((s.mechanism,)), "%s: another mechanism." % who
            )
            expect(8 <= len(s.stoc) <= 64, "%s: StoC has %d octets; 8 to 64." % (who, len(s.stoc)))
            expect(s.stoc != s.challenge, "%s: StoC is CtoS." % who)
            expect(s.finish() == "ok", "%s: the four passes do not come to an end." % who)
        if s.context >= CIPHERED:
            expect(
                len(got.get(0xA4, b"")) == 10 and got[0xA4][:2] == b"\x04\x08",
                "%s: no responding-AP-title of 8 octets." % who,
            )
            expect(got[0xBE][2:3] != b"\x08", "%s: the InitiateResponse is not ciphered." % who)
        information = got["information"]
        expect(information[:1] == b"\x08", "%s: no InitiateResponse." % who)
        at = 2 + information[1]
        expect(information[at : at + 1] == b"\x06", "%s: xDLMS version is not 6." % who)
        expect(information[-2:] == b"\x00\x07", "%s: vaa-name is not 0007." % who)
        expect(not s.negotiated & ~_ALL, "%s: more services than were proposed." % who)
        expect(s.max_pdu == 0 or s.max_pdu >= 12, "%s: PDU size %d." % (who, s.max_pdu))
        expect(s.is_alive(), "%s: GET of logical_name is not answered with it." % who)
        t.done()
    return "%d associations" % len(entries)


@case("APPL_OPEN_2", "Identification of client users", "calling-AE-invocation-id")
def open_2(t):
    """Where the association has a user_list: one of its users is accepted, another is not."""
    entry = next((e for e in t.target.playable() if "user_id" in e), t.some())
    s = opened(t, entry)
    status, data = s.get(15, "0.0.40.0.0", 10)
    if status or data[:1] != b"\x01" or data == b"\x01\x00":
        inapplicable("The association has no user_list, or an empty one.")
    known = {data[i + 3] for i in range(len(data) - 3) if data[i : i + 3] == b"\x02\x02\x11"}
    t.done()
    user, stranger = min(known), next(n for n in range(1, 256) if n not in known)
    s = accepted(t, "User %d" % user, entry, {0xA9: b"\x02\x01" + bytes((user,))})
    t.done()
    rejected(t, "User %d" % stranger, entry, {0xA9: b"\x02\x01" + bytes((stranger,))})


@case("APPL_OPEN_3", "High level security, pass 3 and pass 4", "HLS")
def open_3(t):
    """For each mechanism with a key or secret that is known: before pass 3 nothing else is
    served; a wrong f(StoC) opens nothing; the right one does, and f(CtoS) is right. Challenges of
    8 and of 64 octets are taken."""
    entries = [e for e in t.target.playable() if e.get("mechanism_id", 0) > 1]
    if not entries:
        inapplicable("No association has high level security with what is known.")
    for entry in entries:
        who = "Client %d" % entry["client_sap"]
        s = t.session(entry)
        got = s.begin()
        expect((got["result"], got["diagnostic"]) == (0, _REQUIRED), "%s: no pass 2." % who)
        got = s.request(NAME)
        expect(got != NAMED, "%s: GET is served before pass 3." % who)
        t.done()
        s = t.session(entry)
        s.begin()
        proof = bytearray(s.f())
        proof[-1] ^= 1
        got = s.finish(bytes(proof))
        expect(got != "ok" and got[6:8] != "00", "%s: a wrong f(StoC) is taken." % who)
        got = s.request(NAME)
        expect(got != NAMED, "%s: GET is served after a wrong f(StoC)." % who)
        t.done()
        for n in (8, 64):
            s = t.session(entry, challenge=bytes((n + k) & 0xFF for k in range(n)))
            s.open()
            expect(s.is_alive(), "%s: nothing is served after pass 4." % who)
            t.done()
    return "mechanisms %s" % ", ".join(sorted({str(e["mechanism_id"]) for e in entries}))


@case("APPL_OPEN_4", "Protocol version", "protocol-version of the AARQ")
def open_4(t):
    """Version 1, and none, are accepted; version 2 is rejected with no-common-acse-version."""
    entry = t.some()
    for content in (None, b"\x07\x80"):
        accepted(t, "protocol-version 1", entry, {0x80: content})
        t.done()
    got = rejected(t, "protocol-version 2", entry, {0x80: b"\x06\x40"}, silent=True)
    if got:
        expect(
            (got["source"], got["diagnostic"]) == (0xA2, 2),
            "protocol-version 2: diagnostic %02X %d; expected no-common-acse-version of the"
            " provider." % (got["source"], got["diagnostic"]),
        )


@case("APPL_OPEN_5", "Application context", "application-context-name")
def open_5(t):
    """A context that is not defined, another object identifier: rejected with
    application-context-name-not-supported. None at all: rejected."""
    entry = t.some()
    other = b"\x06\x07" + bytes.fromhex("60857405070101")
    for what, content in (("Context 9", oid(1, 9)), ("A foreign context", other)):
        rejected(t, what, entry, {0xA1: content}, diagnostics=(2,))
    rejected(t, "No context", entry, {0xA1: None}, silent=True)
    accepted(t, "The declared context", entry)


@case("APPL_OPEN_6", "Titles, qualifiers and invocation identifiers", "AP titles and so on")
def open_6(t):
    """Each optional field of the AARQ in turn: accepted, or rejected with the diagnostic that
    belongs to it. In a ciphered context a calling-AP-title of a wrong length, and none:
    rejected."""
    entry = t.plain()
    optional = {
        0xA2: (octet_string(b"PMTCALLD"), 7), 0xA3: (octet_string(b"q"), 9),
        0xA4: (b"\x02\x01\x05", 8), 0xA5: (b"\x02\x01\x05", 10),
        0xA6: (octet_string(b"PMTCALLR"), 3), 0xA7: (octet_string(b"q"), 5),
        0xA8: (b"\x02\x01\x05", 4), 0xA9: (b"\x02\x01\x05", 6),
    }  # fmt: skip
    for tag, (content, diagnostic) in optional.items():
        what = "Field %02X" % tag
        s, got = associate(t, what, entry, {tag: content})
        expect(got is not None, "%s: there is no AARE." % what)
        if got["result"]:
            expect(
                got["diagnostic"] in (diagnostic, 1),
                "%s: diagnostic %d; expected %d." % (what, got["diagnostic"], diagnostic),
            )
        else:
            expect(s.is_alive(), "%s: accepted, and then nothing is served." % what)
        t.done()
    ciphered = t.target.ciphered()
    if ciphered is None:
        return "without the ciphered contexts"
    for what, title in (("A title of 7 octets", t.target.client_title[:7]), ("No title", None)):
        rejected(
            t, what, ciphered, {0xA6: title and octet_string(title)}, diagnostics=(1, 3, 13),
            silent=True,
        )  # fmt: skip
    return None


@case("APPL_OPEN_7", "Authentication functional unit", "mechanism-name and so on")
def open_7(t):
    """With low level security: a wrong secret, none, a mechanism that is not defined, no
    mechanism, none of it: rejected, with a diagnostic of authentication. The right one:
    accepted."""
    entry = next((e for e in t.target.playable() if e.get("mechanism_id") == 1), None)
    if entry is None:
        inapplicable("No association with low level security and a secret that is known.")
    secret = bytes.fromhex(entry["secret_hex"])
    wrong = bytes((secret[0] ^ 1,)) + secret[1:]
    value = b"\x80" + length(len(secret)) + secret
    every = (1, _FAILED, _NAME_REQUIRED, _UNKNOWN_MECHANISM, _REQUIRED)
    for what, changes, diagnostics in (
        ("A wrong secret", {0xAC: b"\x80" + length(len(wrong)) + wrong}, (_FAILED,)),
        ("A secret that is cut", {0xAC: b"\x80" + length(len(secret) - 1) + secret[:-1]},
         (_FAILED,)),
        ("Mechanism 9", {0x8B: oid(2, 9)}, (_UNKNOWN_MECHANISM, _FAILED)),
        ("No mechanism", {0x8B: None}, (_NAME_REQUIRED, _REQUIRED, _FAILED)),
        ("No secret", {0xAC: None}, every),
        ("No authentication", {0x8A: None, 0x8B: None, 0xAC: None}, every),
        ("The mechanism none", {0x8B: oid(2, 0), 0xAC: None}, every),
    ):  # fmt: skip
        rejected(t, what, entry, changes, diagnostics=diagnostics)
        accepted(t, "The right secret", entry, {0xAC: value})
        t.done()


@case("APPL_OPEN_9", "Dedicated key", "dedicated-key of the InitiateRequest")
def open_9(t):
    """In a context without ciphering: ignored, or refused."""
    entry = t.plain()
    what = "A dedicated key"
    s, got = associate(t, what, entry, information=initiate(options="0110" + "5A" * 16 + "0000"))
    if got is not None and not got["result"]:
        expect(s.is_alive(), "Accepted, and then nothing is served.")
    t.done()
    accepted(t, "Without a dedicated key", entry)


@case("APPL_OPEN_11", "Quality of service", "proposed-quality-of-service")
def open_11(t):
    """Any value is accepted."""
    for value in ("00", "01", "7F", "80"):
        accepted(t, "Quality %s" % value, t.plain(), information=initiate(
            options="0000" + "01" + value))  # fmt: skip
        t.done()


@case("APPL_OPEN_12", "Version of DLMS", "proposed-dlms-version-number")
def open_12(t):
    """5: rejected, initiate error 1. 6: accepted. 7: accepted with 6, or rejected with 1."""
    entry = t.plain()
    for version in (0, 5):
        got = rejected(t, "Version %d" % version, entry, information=initiate(version=version))
        initiate_error(got, 1, "Version %d" % version)
    accepted(t, "Version 6", entry)
    t.done()
    _s, got = associate(t, "Version 7", entry, information=initiate(version=7))
    expect(got is not None, "Version 7: there is no AARE.")
    if got["result"]:
        initiate_error(got, 1, "Version 7")
    else:
        information = got["information"]
        expect(information[2 + information[1]] == 6, "Version 7: negotiated other than 6.")


@case("APPL_OPEN_13", "Conformance block", "proposed-conformance")
def open_13(t):
    """Nothing proposed: rejected, initiate error 2. All, and each service alone: what is
    negotiated is a part of it."""
    entry = t.some()
    got = rejected(t, "An empty conformance", entry, information=initiate(0))
    initiate_error(got, 2, "An empty conformance")
    s = accepted(t, "All services", entry, information=initiate(0xFFFFFF))
    expect(not s.negotiated & 0x810000, "Reserved bits are negotiated.")
    everything = s.negotiated
    t.done()
    for word in ("get", "set", "action", "multiple-references", "block-transfer-with-get"):
        proposed = BITS[word] | BITS["get"]
        s = accepted(t, word, entry, information=initiate(proposed))
        expect(
            s.negotiated & ~proposed == 0,
            "%s was proposed, and %06X is negotiated." % (word, s.negotiated),
        )
        expect(s.negotiated & ~everything == 0, "%s: negotiated only when alone." % word)
        t.done()
    return "%06X" % everything


@case("APPL_OPEN_14", "PDU size of the client", "client-max-receive-pdu-size")
def open_14(t):
    """0 (no limit) and 0xFFFF are accepted; with 64 no answer is longer; 11 is rejected with
    initiate error 3 [?]."""
    entry = t.some()
    for n in (0, 0xFFFF):
        accepted(t, "Size %d" % n, entry, information=initiate(max_pdu=n))
        t.done()
    s = accepted(t, "Size 64", entry, information=initiate(max_pdu=64))
    request = bytes.fromhex("C001C1") + descriptor(15, "0.0.40.0.0", 2) + b"\0"
    number = 0
    for _ in range(3):
        t.keep("asked", request)
        got = bytes.fromhex(s.talk.say((s.protect(request) if s.kind else request).hex()))
        t.keep("answered", got)
        expect(got, "GET of the object list is not answered.")
        expect(len(got) <= 64, "An answer of %d octets; the client takes 64." % len(got))
        got = s.unprotect(got) if s.kind and got[0] != 0xD8 else got
        if got[:2] != b"\xc4\x02" or got[3]:
            break
        number += 1
        request = b"\xc0\x02\xc1" + number.to_bytes(4, "big")
    t.done()
    got = rejected(t, "Size 11", entry, information=initiate(max_pdu=11))
    initiate_error(got, 3, "Size 11")
