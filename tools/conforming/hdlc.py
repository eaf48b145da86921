# SPDX-License-Identifier: MIT
"""The cases of the data link layer, HDLC (DLMS UA 1001-3), and some of ours: frames, addresses,
negotiation. hdlc_exchange.py has those of information; there are 22 in all.

What an answer has to be follows IEC 62056-46 and ISO/IEC 13239: bad frames are not answered at
all; FRMR answers what is well framed and cannot be (an undefined control field, an N(R) of frames
that were never sent, an information field that is too long).
"""

from . import frames as f
from .case import expect, fail, group_of, inapplicable, inconclusive
from .client import aare_fields
from .session import OBJECT_LIST

REFERENCE = "DLMS UA 1001-3 (ATS_DL), 3.7; IEC 62056-46: "
CASES, case = group_of("hdlc", REFERENCE)

POLL = 0x10
_HDLC_SETUP = 23
W, Y, Z = 1, 4, 8
_REASONS = {W: "W (undefined)", Y: "Y (too long)", Z: "Z (invalid N(R))"}
LLC = b"\xe6\xe6\x00"


def whole(control, link):
    return f.frame(link.to, link.own, control)


def up(link):
    """SNRM is answered with UA: the meter is there, and well."""
    got = link.exchange(f.SNRM)
    expect(got.control == f.UA, "SNRM is answered with %s; expected UA." % got.name)
    link.learn(got)


def silence(link, what):
    got = link.silent()
    if got is not None:
        fail("%s is answered with %s; expected silence." % (what, got.name))


def disconnected(t, **how):
    """Frames to a meter in NDM."""
    link = t.frames(opened=False, **how)
    entry = t.plain()
    link.addresses(f.address(entry["server_sap"], link.lower, link.length), entry["client_sap"])
    link.line.open()
    return link


def associates(t, link):
    """An AARQ is answered, and accepted."""
    fields = aare_fields(link.ask(t.aarq()) or b"")
    expect(fields["result"] == 0, "Rejected, diagnostic %d." % fields["diagnostic"])


def associated(t):
    """A link with an open association."""
    link = t.frames()
    associates(t, link)
    return link


def refused(link, what, control, bit):
    """FRMR with the control field that is refused, and why; and the next SNRM brings the link
    back. bit: W, X, Y or Z of ISO/IEC 13239."""
    got = link.receive()
    if got is None:
        fail("%s is not answered; expected FRMR." % what)
    expect(got.control == f.FRMR, "%s is answered with %s; expected FRMR." % (what, got.name))
    expect(len(got.info) == 3, "FRMR has %d octets of information; expected 3." % len(got.info))
    expect(
        got.info[0] == control and got.info[2] & bit,
        "%s: FRMR says %s; expected control field %02X, and %s."
        % (what, got.info.hex(" "), control, _REASONS[bit]),
    )
    up(link)


# --- Frames ---------------------------------------------------------------------------------


@case("HDLC_FRAME_P1", "Connecting and disconnecting", "SNRM, DISC, UA, DM")
def frame_p1(t):
    """DISC in NDM: DM. SNRM: UA. DISC: UA. DISC: DM. SNRM twice: UA each time."""
    link = disconnected(t)
    for control, wanted in (
        (f.DISC, f.DM), (f.SNRM, f.UA), (f.DISC, f.UA), (f.DISC, f.DM), (f.SNRM, f.UA),
        (f.SNRM, f.UA),
    ):  # fmt: skip
        got = link.exchange(control)
        expect(
            got.control == wanted,
            "%s is answered with %s; expected %s." % (f.name(control), got.name, f.name(wanted)),
        )


@case("HDLC_FRAME_P2", "A pause inside of a frame", "inter-octet time-out")
def frame_p2(t):
    """Half of a SNRM, a pause well beyond the inter-octet time-out, the other half: silence. A
    SNRM in two parts without a pause: UA."""
    link = disconnected(t)
    octets = whole(f.SNRM, link)
    link.line.write(octets[:4])
    limit_s = t.target.description.get("inter_octet_ms", 25) / 1000
    t.tap.wait(max(10 * limit_s, 0.3))
    link.line.write(octets[4:])
    got = link.silent()
    if got is not None and t.over_tcp:
        inconclusive("Over TCP a meter need not see pauses [?]: %s came." % got.name)
    if got is not None:
        fail("A frame with a pause in it is answered with %s; expected silence." % got.name)
    for _ in range(3):  # on a busy machine there may be a pause where none is meant
        link.line.write(octets[:4])
        link.line.write(octets[4:])
        got = link.silent()
        if got is not None:
            break
    expect(got is not None and got.control == f.UA, "A SNRM after it is not answered with UA.")


@case("HDLC_FRAME_P3", "Nothing is said for long", "inactivity time-out")
def frame_p3(t):
    """SNRM, and nothing for the inactivity time-out and a bit: a DISC is answered with DM. The
    time is that of the description, else of the IEC HDLC setup object; it is set to 2 s for the
    case where that may be done."""
    seconds = t.target.description.get("inactivity_s")
    shortened = None
    if seconds is None:
        seconds, shortened = inactivity(t)
    try:
        if not seconds:
            inapplicable("The inactivity time-out is off.")
        if seconds > t.longest_s:
            inconclusive("The time-out is %d s, and --longest %d s." % (seconds, t.longest_s))
        link = disconnected(t)
        up(link)
        t.note("silence for %d s" % (seconds + 2))
        t.tap.wait(seconds + 2)
        got = link.exchange(f.DISC)
        if got.control == f.UA:
            fail("After %d s of silence the link is still there." % (seconds + 2))
        expect(got.control == f.DM, "DISC is answered with %s; expected DM." % got.name)
    finally:
        if shortened:
            inactivity(t, shortened)


def inactivity(t, restore=None):
    """(seconds, None), or (2, (what to put back)) where the time-out can be set for the case."""
    entry = t.target.ciphered() or t.some()
    s = t.session(entry).ready()
    try:
        name = "0.0.22.0.0"
        if restore is not None:
            s.put(_HDLC_SETUP, name, 8, restore)
            return None
        status, data = s.get(_HDLC_SETUP, name, 8)
        if status or data[:1] != b"\x12":
            inconclusive("What the inactivity time-out is, nobody says; give inactivity_s.")
        seconds = int.from_bytes(data[1:], "big")
        if seconds > 2 and t.may and s.put(_HDLC_SETUP, name, 8, b"\x12\x00\x02") == 0:
            return 2, data
        return seconds, None
    finally:
        s.leave()


@case("HDLC_FRAME_N1", "Frames without flags", "opening and closing flag")
def frame_n1(t):
    """SNRM without its opening flag (behind noise: a flag that closed a frame may open the next),
    and one without its closing flag: silence."""
    link = disconnected(t)
    link.line.write(b"\0" + whole(f.SNRM, link)[1:])
    silence(link, "A frame without an opening flag")
    link.line.close()
    link.line.open()
    link.line.write(whole(f.SNRM, link)[:-1])
    silence(link, "A frame without a closing flag")
    link.line.close()
    link.line.open()
    up(link)


@case("HDLC_FRAME_N2", "A frame that is too short", "frame length")
def frame_n2(t):
    """Format and FCS and nothing between them, an address alone, no control field: silence."""
    link = disconnected(t)
    for body in (b"", link.to, link.to + link.own):
        head = bytes((0xA0, 4 + len(body))) + body
        link.line.write(b"\x7e" + head + f.crc(head) + b"\x7e")
        silence(link, "A frame of %d octets" % (4 + len(body)))
    up(link)


@case("HDLC_FRAME_N3", "Another frame format type", "frame format field")
def frame_n3(t):
    """SNRM with the types 0, 9, B and F instead of A: silence."""
    link = disconnected(t)
    for kind in (0x00, 0x90, 0xB0, 0xF0):
        link.send(f.SNRM, kind=kind)
        silence(link, "Format type %X" % (kind >> 4))
    up(link)


@case("HDLC_FRAME_N4", "A wrong frame length", "frame format field")
def frame_n4(t):
    """SNRM that says to be shorter, and to be longer than it is: silence."""
    link = disconnected(t)
    for wrong in (-1, 1, -3, 200):
        link.send(f.SNRM, length=wrong)
        silence(link, "A frame that says to have %+d octets" % wrong)
        link.line.close()
        link.line.open()
    up(link)


@case("HDLC_FRAME_N5", "A control field that is not defined", "control field")
def frame_n5(t):
    """In NRM control fields that nobody has defined: FRMR, and SNRM brings the link back."""
    link = t.frames()
    for control in (0xF7, 0x3F):
        link.send(control)
        refused(link, "Control field %02X" % control, control, W)


@case("HDLC_FRAME_N7", "A wrong HCS", "header check sequence")
def frame_n7(t):
    """An AARQ whose HCS has a wrong bit: silence, then the same with a good one is answered."""
    link = t.frames()
    for bit in (1, 0x80):
        link.i_frame(LLC + t.aarq(), hcs=bit, ns=0)
        silence(link, "A frame with a wrong HCS")
    associates(t, link)


@case("HDLC_FRAME_N8", "A wrong FCS", "frame check sequence")
def frame_n8(t):
    """An AARQ and a SNRM whose FCS has a wrong bit: silence, then good ones are answered."""
    link = disconnected(t)
    for bit in (1, 0x80):
        link.send(f.SNRM, fcs=bit)
        silence(link, "A SNRM with a wrong FCS")
    up(link)
    link.i_frame(LLC + t.aarq(), fcs=4, ns=0)
    silence(link, "An I frame with a wrong FCS")
    associates(t, link)


# --- Addresses ------------------------------------------------------------------------------


@case("HDLC_ADDRESS_P1", "Addresses of the declared structure", "address fields")
def address_p1(t):
    """SNRM and DISC with server addresses of each length that the meter takes: answered, from the
    same address."""
    for length in t.lengths():
        link = disconnected(t, length=length)
        up(link)
        got = link.exchange(f.DISC)
        expect(got.control == f.UA, "DISC is answered with %s." % got.name)
        t.done()
    return "%s octets" % ", ".join(str(n) for n in t.lengths())


@case("HDLC_ADDRESS_N1", "A source address of two octets", "address fields")
def address_n1(t):
    """SNRM from a client address of two octets: silence."""
    link = disconnected(t)
    link.send(f.SNRM, own=bytes((link.own[0] & 0xFE, 3)))
    silence(link, "A client address of two octets")
    up(link)


@case("HDLC_ADDRESS_N4", "Unknown destination addresses", "address fields")
def address_n4(t):
    """SNRM for a logical device that is not there, for no station, for another physical device:
    silence."""
    link = disconnected(t)
    known = {e["server_sap"] for e in t.target.associations}
    unknown = next(n for n in range(0x7D, 0x10, -1) if n not in known)
    for upper in (unknown, 0):
        link.send(f.SNRM, to=f.address(upper, link.lower, link.length))
        silence(link, "Upper address %d" % upper)
    if t.target.lower is not None:
        for length in (n for n in t.lengths() if n > 1):
            other = 0x10 if t.target.lower != 0x10 else 0x11
            link.send(f.SNRM, to=f.address(t.plain()["server_sap"], other, length))
            silence(link, "Lower address %d in %d octets" % (other, length))
    up(link)


@case("HDLC_ADDRESS_N6", "A destination address of one octet", "address fields")
def address_n6(t):
    """Where the meter has addresses of two or four octets only: SNRM to one of one octet:
    silence."""
    if 1 in t.lengths():
        inapplicable("The meter takes addresses of one octet.")
    link = disconnected(t)
    link.send(f.SNRM, to=f.address(t.plain()["server_sap"]))
    silence(link, "An address of one octet")
    up(link)


@case("HDLC_ADDRESS_N7", "Destination addresses of three and five octets", "address fields")
def address_n7(t):
    """SNRM to addresses of three and five octets: silence."""
    link = disconnected(t)
    upper, lower = t.plain()["server_sap"] << 1, (t.target.lower or 0x10) << 1
    for octets in ((upper, lower, 1), (0, upper, 0, lower, 1)):
        link.send(f.SNRM, to=bytes(octets))
        silence(link, "An address of %d octets" % len(octets))
    up(link)


# --- Negotiation ----------------------------------------------------------------------------


def proposes(link, proposed, info=None):
    """UA to a SNRM with parameters: all of them in range, and none above what was proposed. info:
    how they are said."""
    got = link.connect(proposed, info)
    f.negotiated(got.info)
    wanted = {**f.DEFAULTS, **proposed}
    link.line.note("UA: %s" % f.describe(link.agreed))
    # What the client transmits the meter receives.
    for own, its in ((5, 6), (6, 5), (7, 8), (8, 7)):
        most = wanted[own]
        expect(
            link.agreed[its] <= most,
            "%s is proposed, and UA says %s."
            % (f.describe({own: most}), f.describe({its: link.agreed[its]})),
        )
        low, high = (1, 7) if its >= 7 else (min(32, most), 2030)
        expect(
            low <= link.agreed[its] <= high,
            "%s is out of range." % f.describe({its: link.agreed[its]}),
        )
    return got


@case("HDLC_NDM2NRM_P1", "Maximum information field length", "negotiation of parameters")
def ndm2nrm_p1(t):
    """SNRM without parameters, with 2030 octets, with 128, with 64 for what the client receives:
    UA with no more than was proposed; then no information field is longer than negotiated, and
    with a proposal other than the defaults UA says what counts."""
    link = disconnected(t)
    proposes(link, {})
    for n in (2030, 128):
        proposes(link, {5: n, 6: n})
    got = proposes(link, {6: 64})
    expect(got.info, "UA says nothing, though it cannot mean the defaults.")
    expect(link.agreed[5] <= 64, "The meter goes on to transmit %d octets." % link.agreed[5])
    associates(t, link)
    expect(link.ask(OBJECT_LIST), "GET of the object list is not answered.")


@case("HDLC_NDM2NRM_P2", "Window size", "negotiation of parameters")
def ndm2nrm_p2(t):
    """SNRM with windows of 1 to 7: UA with no more; then a long answer comes in turns of no more
    frames than that, the last of each with F = 1."""
    link = disconnected(t)
    for n in range(1, 8):
        proposes(link, {7: n, 8: n})
    associates(t, link)
    window = link.agreed[f.WINDOW_TX]
    link.say(OBJECT_LIST)
    turns = 0
    while True:
        n = 0
        while True:
            got = link.receive()
            if got is None or not got.is_i:
                fail("A window ends with %s, and without F." % (got and got.name or "silence"))
            n += 1
            expect(n <= window, "%d frames came in a window of %d." % (n, window))
            expect(got.ns == link.vr, "N(S) %d came; expected %d." % (got.ns, link.vr))
            link.vr = link.vr + 1 & 7
            if got.final:
                break
        turns += 1
        if not got.segmented:
            break
        link.rr()
    return "window %d, %d turns" % (window, turns)


@case("PMT_HDLC_PARAMETERS", "Forms of the parameters", "negotiation of parameters; ours")
def forms(t):
    """SNRM with lengths and windows in one, two and four octets each, in another order, with some
    that nobody knows, with an empty list: UA with no more than was proposed."""
    link = disconnected(t)
    proposed = {5: 100, 6: 90, 7: 1, 8: 1}
    for n in (1, 2, 4):
        proposes(link, proposed, f.parameters(proposed, n))
    backwards = dict(reversed(list(proposed.items())))
    proposes(link, proposed, f.parameters(backwards))
    proposes(link, proposed, f.parameters({9: 1, **proposed, 0x55: 7}))
    proposes(link, {}, f.parameters({}))
