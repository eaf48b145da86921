# SPDX-License-Identifier: MIT
"""Cases of the wrapper (IEC 62056-47) over TCP. No test suite of it is public: all are ours."""

from .case import expect, fail, group_of, inapplicable
from .client import aare_fields
from .lines import Closed
from .session import NAME, NAMED, is_answer
from .wpdus import wpdu

CASES, case = group_of("wrapper", "ours; IEC 62056-47: ")


def linked(t):
    entry = t.plain()
    return t.link(entry["client_sap"], entry["server_sap"])


def accepted(got):
    """An AARE, which is one that accepts."""
    fields = aare_fields(got or b"")
    expect(fields["result"] == 0, "Rejected, diagnostic %d." % fields["diagnostic"])


def opens(t, link):
    accepted(link.ask(t.aarq()))


def nothing(link, what):
    """No answer: silence, or the connection is closed."""
    try:
        got = link.hear(link.line.quiet_s)
    except Closed:
        return
    if got is not None:
        fail("%s is answered with %s; expected silence, or an end." % (what, got[:8].hex(" ")))


def again(t):
    """A new connection is served."""
    t.done()
    link = linked(t)
    opens(t, link)
    expect(is_answer(link.ask(NAME)), "GET of logical_name is not answered with it.")


@case("PMT_WRAPPER_P1", "An association over the wrapper", "source and destination wPort")
def whole(t):
    """AARQ, GET, RLRQ in a wpdu each: answered in a wpdu each, whose ports have changed places."""
    link = linked(t)
    opens(t, link)
    expect(is_answer(link.ask(NAME)), "GET of logical_name is not answered with it.")
    got = link.ask(b"\x62\x03\x80\x01\x00")
    expect(got is not None and got[:1] == b"\x63", "RLRQ is not answered with RLRE.")


@case("PMT_WRAPPER_P2", "A wpdu in many segments", "TCP is a stream")
def split(t):
    """The AARQ octet by octet, a GET cut within its header: answered as ever."""
    link = linked(t)
    octets = wpdu(link.client, link.server, t.aarq())
    for k in range(len(octets)):
        link.send(octets[k : k + 1])
    accepted(link.hear())
    octets = wpdu(link.client, link.server, NAME)
    link.send(octets[:5])
    nothing(link, "The beginning of a header")
    link.send(octets[5:])
    expect(is_answer(link.hear()), "A GET in two parts is not answered.")


@case("PMT_WRAPPER_P3", "Several wpdus in one segment", "TCP is a stream")
def joined(t):
    """AARQ and three GETs at once: four answers, in order."""
    link = linked(t)
    one = wpdu(link.client, link.server, NAME)
    link.send(wpdu(link.client, link.server, t.aarq()) + one + one + one)
    accepted(link.hear())
    for _ in range(3):
        expect(is_answer(link.hear()), "A GET behind another wpdu is not answered.")


@case("PMT_WRAPPER_N1", "A wrong version", "version")
def version(t):
    """A wpdu of version 2 and of version 0100: no answer; a new connection is served."""
    for wrong in (2, 0x0100, 0):
        link = linked(t)
        link.send(wpdu(link.client, link.server, t.aarq(), version=wrong))
        nothing(link, "Version %d" % wrong)
        again(t)


@case("PMT_WRAPPER_N2", "A wrong length", "length")
def wrong_length(t):
    """A length of 0, one longer than what comes, one that no meter can take: no answer; a new
    connection is served."""
    for n in (0, len(t.aarq()) + 5, 0xFFFF):
        link = linked(t)
        link.send(wpdu(link.client, link.server, t.aarq() if n else b"", length=n))
        nothing(link, "Length %d" % n)
        again(t)


@case("PMT_WRAPPER_N3", "An unknown server SAP", "destination wPort")
def server_sap(t):
    """An AARQ for a logical device that is not there, and for no station: no association."""
    known = {e["server_sap"] for e in t.target.associations}
    unknown = next(n for n in range(0x7D, 0x10, -1) if n not in known)
    for n in (unknown, 0):
        link = linked(t)
        link.send(wpdu(link.client, n, t.aarq()))
        link.server = n
        try:
            got = link.hear(link.line.quiet_s)
        except Closed:
            got = None
        if got and got[:1] == b"\x61":
            fields = aare_fields(got)
            expect(fields["result"], "Server SAP %d gives an association." % n)
        t.done()
    again(t)


@case("PMT_WRAPPER_N4", "An unknown client SAP", "source wPort")
def client_sap(t):
    """An AARQ without authentication from a client SAP that nobody has said to be one, and from
    no station: refused, or silence."""
    known = {e["client_sap"] for e in t.target.associations}
    unknown = next(n for n in range(0x60, 0x10, -1) if n not in known)
    for n in (unknown, 0):
        link = linked(t)
        link.client = n
        try:
            link.say(t.aarq())
            got = link.hear(link.line.quiet_s)
        except Closed:
            got = None
        if got and got[:1] == b"\x61" and not aare_fields(got)["result"]:
            fail("Client SAP %d gets an association." % n)
        t.done()
    again(t)


@case("PMT_WRAPPER_N5", "The end of a connection ends its associations", "disconnecting")
def ends(t):
    """A GET on a new connection, without an AARQ: not served."""
    link = linked(t)
    opens(t, link)
    t.done()
    link = linked(t)
    try:
        got = link.ask(NAME, link.line.quiet_s)
    except Closed:
        got = None
    expect(got != NAMED, "A GET is served without an association.")
    again(t)


@case("PMT_WRAPPER_N6", "Clients on one connection", "source and destination wPort")
def other_client(t):
    """With an association of one client a GET of another client SAP is not served."""
    others = [e for e in t.target.playable() if e["client_sap"] != t.plain()["client_sap"]]
    if not others:
        inapplicable("There is no other client.")
    link = linked(t)
    opens(t, link)
    link.client = others[0]["client_sap"]
    got = link.ask(NAME, link.line.quiet_s)
    expect(got != NAMED, "Client SAP %d is served without an association." % link.client)
    link.client = t.plain()["client_sap"]
    expect(is_answer(link.ask(NAME)), "The first client is not served any more.")
