# SPDX-License-Identifier: MIT
"""The cases of HDLC (DLMS UA 1001-3) that exchange information, and some of ours."""

from . import frames as f
from .case import expect, fail, group_of, inapplicable
from .hdlc import (
    LLC,
    POLL,
    REFERENCE,
    Y,
    Z,
    associated,
    associates,
    disconnected,
    refused,
    up,
)
from .session import NAME, NAMED, OBJECT_LIST, is_answer

CASES, case = group_of("hdlc", REFERENCE)

# --- Information ----------------------------------------------------------------------------


@case("HDLC_INFO_P1", "Exchange of I frames", "I and RR frames")
def info_p1(t):
    """An AARQ and ten GETs, so that the numbers go round: each N(S) and N(R) is the next one. RR
    without anything to say is answered with RR."""
    link = associated(t)
    for _ in range(10):
        expect(is_answer(link.ask(NAME)), "GET of logical_name is not answered with it.")
    link.rr()
    got = link.receive()
    expect(
        got is not None and got.control == f.RR | link.vs << 5,
        "RR is answered with %s; expected RR %d." % (got and got.name, link.vs),
    )


@case("HDLC_INFO_N1", "An information field that is too long", "I frames")
def info_n1(t):
    """An I frame with one octet more than the meter receives: FRMR, and SNRM brings it back."""
    link = t.frames()
    n = link.max_send + 1
    if n > 2030:
        inapplicable("The meter receives 2030 octets, and more cannot be sent.")
    link.i_frame(LLC + bytes(n - len(LLC)), ns=0)
    refused(link, "An information field of %d octets" % n, POLL, Y)


@case("HDLC_INFO_N2", "A wrong N(R)", "sequence numbers")
def info_n2(t):
    """An I frame, and a RR, that acknowledge frames which were never sent: FRMR."""
    link = t.frames()
    link.i_frame(LLC + t.aarq(), nr=5, ns=0)
    refused(link, "An I frame with N(R) 5", 5 << 5 | POLL, Z)
    link.rr(3)
    refused(link, "RR 3", f.RR | 3 << 5, Z)


@case("HDLC_INFO_N3", "A wrong N(S)", "sequence numbers")
def info_n3(t):
    """An I frame with a number too far: it is not served, RR says which is expected, and that one
    is served."""
    link = associated(t)
    wrong = link.vs + 1 & 7
    link.i_frame(LLC + NAME, ns=wrong)
    got = link.receive()
    expect(got is not None, "N(S) %d is not answered; expected RR %d." % (wrong, link.vs))
    expect(
        got.control == f.RR | link.vs << 5,
        "N(S) %d is answered with %s; expected RR %d." % (wrong, got.name, link.vs),
    )
    expect(is_answer(link.ask(NAME)), "The right one is not served then.")


@case("HDLC_NDMOP_N1", "An I frame in NDM", "normal disconnected mode")
def ndmop_n1(t):
    """I and RR frames before any SNRM: DM or silence, and no answer."""
    link = disconnected(t)
    for control, info in ((POLL, LLC + t.aarq()), (f.RR, b"")):
        link.send(control, info)
        got = link.silent()
        if got is not None and got.control != f.DM:
            fail("%s is answered with %s; expected DM or silence." % (f.name(control), got.name))
    up(link)


# --- Ours -----------------------------------------------------------------------------------


@case("PMT_HDLC_SEGMENTS", "A request in segments, an answer again", "segmentation; ours")
def segments(t):
    """A GET in segments of 9 octets: each acknowledged with RR, then served. RR with the number
    before the answer: the same frame again; the same I frame again: not served twice."""
    link = associated(t)
    info = LLC + NAME
    for at in range(0, len(info), 9):
        link.i_frame(info[at : at + 9], segmented=at + 9 < len(info))
        got = link.receive()
        expect(got is not None, "A segment is not answered.")
        if at + 9 < len(info):
            expect(got.control == f.RR | link.vs << 5, "A segment is answered with %s." % got.name)
    expect(
        got.info[:3] == b"\xe6\xe7\x00" and is_answer(got.info[3:]),
        "The answer is %s." % got.info.hex(" "),
    )
    link.rr(link.vr)
    again = link.receive()
    expect(
        again is not None and (again.control, again.info) == (got.control, got.info),
        "RR %d does not bring the answer again." % link.vr,
    )
    link.i_frame(info, ns=link.vs - 1 & 7)
    again = link.receive()
    expect(
        again is not None and not (again.is_i and again.ns != got.ns),
        "An I frame that came twice is served twice.",
    )


@case("PMT_HDLC_RNR", "A client that is not ready", "RNR frames; ours")
def not_ready(t):
    """RNR instead of RR between two segments of an answer: RR or RNR, and no I frame; after RR the
    answer goes on where it was."""
    link = associated(t)
    link.say(OBJECT_LIST)
    got = link.receive()
    expect(got is not None and got.is_i, "GET of the object list is not answered.")
    if not (got.segmented and got.final):
        inapplicable("The object list does not come in segments, one a turn.")
    link.vr = link.vr + 1 & 7
    for _ in range(2):
        link.send(f.RNR | link.vr << 5)
        got = link.receive()
        expect(
            got is not None and got.control & 0x0B == f.RR & 0x0B,
            "RNR is answered with %s; expected RR." % (got.name if got else "silence"),
        )
    link.rr()
    got = link.receive()
    expect(
        got is not None and got.is_i and got.ns == link.vr,
        "After RR %d %s comes; expected the next segment."
        % (link.vr, got.name if got else "nothing"),
    )


@case("PMT_HDLC_RELEASE", "The end of a link ends its associations", "DISC and SNRM; ours")
def release(t):
    """After DISC and SNRM, and after a second SNRM, a GET is not served any more."""
    link = associated(t)
    link.disconnect()
    for turn in range(2):
        up(link)
        got = link.ask(NAME)
        expect(got != NAMED, "A GET is served without an association.")
        if turn == 0:
            associates(t, link)


@case("PMT_HDLC_REJECTED", "After FRMR", "frame reject; ours")
def rejected(t):
    """After a FRMR an I frame is not served; after DISC and SNRM it is."""
    link = associated(t)
    link.send(0xF7)
    got = link.receive()
    expect(got is not None and got.control == f.FRMR, "A control field F7 brings no FRMR.")
    link.i_frame(LLC + NAME)
    got = link.receive()
    expect(got is None or not got.is_i, "An I frame is served after FRMR.")
    link.exchange(f.DISC)
    up(link)
    associates(t, link)
