# SPDX-License-Identifier: MIT
"""Cases of the optical port (IEC 62056-21), modes A, B, C and E. No test suite of it is public:
all are ours. What a meter says to what it cannot carry out the standard leaves open."""

import re

from . import frames
from .case import expect, group_of, inapplicable
from .client import aare_fields
from .frames import HDLCLink
from .session import NAME, is_answer
from .sign_on import ACK, BREAK, NAK, STX, Port, bcc, command, hand_over

CASES, case = group_of("optical", "ours; IEC 62056-21: ")

_LINE = re.compile(rb"[^()/!]{0,16}(\([^()/!]*\))+")
_REFUSAL = re.compile(rb"\x02\(?ER[^)]*\)?\x03.|\x02\(\)\x03.|\x15|\x01B0\x03q", re.S)
_PAUSE_S = 1.5


def port(t):
    p = Port(t.tap, t.target.optical.get("device_address", ""))
    p.open()
    return p


def over(p):
    """The session is over: a sign-on is answered."""
    p.sign_on()
    leave(p)


def programming(t):
    """A port in programming mode, and the operand of P0."""
    p = port(t)
    p.sign_on()
    if p.mode == "@":
        inapplicable("Mode A has no option select.")
    p.option("0", "1")
    p.agreed()
    got = p.message()
    m = re.fullmatch(rb"\x01P0\x02(\([^()]*\))\x03(.)", got, re.S)
    expect(m, "Programming mode begins with %r; expected P0 with an operand." % got)
    expect(bcc(got[1:-1]) == m[2], "The BCC of P0 is wrong.")
    return p


def leave(p):
    p.tap.write(BREAK)
    p.tap.wait(p.tap.quiet_s)


@case("PMT_IEC21_P1", "Sign-on", "identification message")
def sign_on(t):
    """/?! is answered with three letters, a mode and an identification of up to 16 characters."""
    p = port(t)
    m = p.sign_on()
    leave(p)
    return "%s, mode %s%s" % (m[1].decode(), p.mode, ", HDLC" if p.binary else "")


@case("PMT_IEC21_P2", "Sign-on with the address of the meter", "device address")
def addressed(t):
    """The address, and the address with zeros in front, are answered."""
    address = t.target.optical.get("device_address")
    if not address:
        inapplicable("The device address is not known.")
    p = port(t)
    for text in (address, "000" + address):
        got = p.request(text)
        expect(got[:1] == b"/", "Address %s is answered with %r." % (text, got))
        p.tap.wait(3)
        p.hear(rb"\x03.$", p.quiet_s)


@case("PMT_IEC21_N1", "Sign-on with another address", "device address")
def other_address(t):
    """An address that is not the meter's: silence; then it answers to everybody's."""
    p = port(t)
    got = p.request("98765432109", p.quiet_s)
    expect(not got, "Another address is answered with %r." % got)
    over(p)


@case("PMT_IEC21_N2", "A request that is damaged", "request message")
def damaged(t):
    """Without its end, without ?, with noise in it: silence; then a good one is answered."""
    p = port(t)
    for octets in (b"/!\r\n", b"?!\r\n", b"/\x10?!\r\n", b"/?\xff\r\n"):
        p.tap.write(octets)
        got = p.hear(rb"\r\n", p.quiet_s)
        expect(not got, "%r is answered with %r." % (octets, got))
        p.tap.wait(_PAUSE_S + 0.2)
    over(p)


@case("PMT_IEC21_P3", "Data readout", "data message")
def readout(t):
    """ACK 0 Z 0: STX, lines of addresses and values, !, ETX and a right BCC. After a NAK the same
    comes again; after an ACK nothing."""
    p = port(t)
    p.sign_on()
    p.option("0", "0")
    p.agreed()
    got = p.hear(rb"\x03.")
    data = p.data_message(got)
    expect(data.endswith(b"!\r\n"), "The data end with %r; expected !, CR and LF." % data[-8:])
    lines = data[:-3].split(b"\r\n")
    for line in lines[:-1] if lines[-1] == b"" else lines:
        expect(_LINE.fullmatch(line), "%r is no address and value." % line)
    p.tap.write(NAK)
    again = p.hear(rb"\x03.", 3)
    expect(again[:8] == got[:8], "After NAK %r comes; expected it again." % again[:8])
    p.tap.write(ACK)
    expect(not p.hear(rb"\x03.", p.quiet_s), "After ACK something comes.")
    over(p)
    return "%d lines" % (len(lines) - 1)


@case("PMT_IEC21_P4", "No option select", "reaction times")
def slow(t):
    """Nothing is said behind the identification: the data message comes at the rate of the
    sign-on."""
    p = port(t)
    p.sign_on()
    p.tap.wait(_PAUSE_S + 0.3)
    p.data_message(p.hear(rb"\x03."))
    p.tap.wait(_PAUSE_S + 0.3)
    over(p)


@case("PMT_IEC21_N3", "An option select that is damaged", "option select message")
def wrong_option(t):
    """A rate above the one that was proposed: a data message at the rate of the sign-on, and no
    session at the other."""
    p = port(t)
    p.sign_on()
    p.tap.write(ACK + b"0X0\r\n")
    p.data_message(p.hear(rb"\x03."))
    p.tap.wait(_PAUSE_S + 0.3)
    over(p)


@case("PMT_IEC21_P5", "Programming mode", "P0, B0")
def program(t):
    """ACK 0 Z 1: SOH P0 STX (operand) ETX BCC. B0 ends it without an answer."""
    p = programming(t)
    p.tap.write(BREAK)
    expect(not p.message(p.quiet_s), "B0 is answered.")
    over(p)


@case("PMT_IEC21_P6", "Reading a register", "R1")
def read(t):
    """R1 of a register without a password: a data message, or an error message; the register
    that the readout has, with its password if that is known."""
    p = programming(t)
    passwords = t.target.optical.get("passwords", {})
    if passwords.get("p1"):
        p.tap.write(command("P1", "(%s)" % passwords["p1"]))
        got = p.message()
        expect(got == ACK, "The password P1 is answered with %r." % got)
    for name in ("1.8.0", "C.1.0"):
        p.tap.write(command("R1", "%s()" % name))
        got = p.message()
        expect(got, "R1 is not answered.")
        if not _REFUSAL.fullmatch(got):
            data = p.data_message(got)
            expect(re.fullmatch(rb"[^()]*\([^()]*\)", data), "R1 is answered with %r." % data)
            p.tap.write(NAK)
            expect(p.message() == got, "After NAK another message comes.")
            break
    leave(p)


@case("PMT_IEC21_N4", "A wrong BCC", "block check character")
def wrong_bcc(t):
    """R1 with a wrong BCC: NAK; then with a right one an answer."""
    p = programming(t)
    octets = command("R1", "1.8.0()")
    p.tap.write(octets[:-1] + bytes((octets[-1] ^ 1,)))
    got = p.message()
    expect(got == NAK, "A wrong BCC is answered with %r; expected NAK." % got)
    p.tap.write(octets)
    expect(p.message()[:1] in (STX, NAK), "A right one is not answered then.")
    leave(p)


@case("PMT_IEC21_N5", "An unknown command", "command messages")
def unknown(t):
    """R9 and X1: an error message, NAK or a break."""
    p = programming(t)
    for text in ("R9", "X1"):
        p.tap.write(command(text, "1.8.0()"))
        got = p.message()
        expect(_REFUSAL.fullmatch(got), "%s is answered with %r." % (text, got))
    leave(p)


@case("PMT_IEC21_N6", "A wrong password", "P1, W1", ("write",))
def wrong_password(t):
    """P1 with a password that is none: refused; W1 without a password: refused."""
    p = programming(t)
    p.tap.write(command("P1", "(wrong-98)"))
    got = p.message()
    expect(_REFUSAL.fullmatch(got), "A wrong password is answered with %r." % got)
    p.tap.write(command("W1", "0.9.1(000000)"))
    got = p.message()
    expect(_REFUSAL.fullmatch(got), "W1 without a password is answered with %r." % got)
    leave(p)


@case("PMT_IEC21_P7", "HDLC in mode E", "annex E")
def mode_e(t):
    """ACK 2 Z 2 comes back; then SNRM, AARQ and GET are served; after DISC a sign-on is."""
    p = port(t)
    p.sign_on()
    if not p.binary:
        inapplicable("The identification message does not offer mode E.")
    hand_over(p)
    entry = t.plain()
    link = HDLCLink(t.tap, t.target.lower, (t.target.lengths or [1])[0])
    link.addresses(
        frames.address(entry["server_sap"], link.lower, link.length), entry["client_sap"]
    )
    link.connect()
    fields = aare_fields(link.ask(t.aarq()) or b"")
    expect(fields["result"] == 0, "Rejected, diagnostic %d." % fields["diagnostic"])
    expect(is_answer(link.ask(NAME)), "GET of logical_name is not answered with it.")
    link.disconnect()
    over(p)
