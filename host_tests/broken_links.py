# SPDX-License-Identifier: MIT
"""Faults of the wrapper, of HDLC and of the optical port: see broken.py. FAULTS has those of both
files."""

import beside
from broken import FAULTS, HDLC, OPTICAL, WRAPPER, changed, fault
from conforming import frames
from conforming.sign_on import bcc, command

import profiles.hdlc
import profiles.hdlc_frame
import profiles.hdlc_link

__all__ = ["FAULTS"]

# --- Wrapper --------------------------------------------------------------------------------


@fault(WRAPPER, "PMT_WRAPPER_N1")
def version_of_the_wrapper_is_not_looked_at(b):
    b.line.inward = lambda octets: b"\0\1" + octets[2:] if len(octets) > 8 else octets


@fault(WRAPPER, "PMT_WRAPPER_P1")
def ports_do_not_change_places(b):
    b.line.outward = lambda octets: octets[:2] + octets[4:6] + octets[2:4] + octets[6:]


@fault(WRAPPER, "PMT_WRAPPER_P3")
def one_wpdu_a_segment_is_seen(b):
    b.line.inward = lambda octets: (
        octets[: 8 + int.from_bytes(octets[6:8], "big")] if len(octets) > 8 else octets
    )


@fault(WRAPPER, "PMT_WRAPPER_P2")
def a_wpdu_has_to_come_in_one_segment(b):
    def inward(octets):
        whole = len(octets) >= 8 and int.from_bytes(octets[6:8], "big") == len(octets) - 8
        return octets if whole or octets[:2] != b"\0\1" else b""

    b.line.inward = inward


@fault(WRAPPER, "PMT_WRAPPER_N5")
def associations_outlive_their_connection(b):
    b.line.profile.reset = lambda: None


@fault(WRAPPER, "PMT_WRAPPER_N2")
def length_of_the_wrapper_is_not_looked_at(b):
    b.line.inward = lambda octets: (
        octets[:6] + (len(octets) - 8).to_bytes(2, "big") + octets[8:] if octets else octets
    )


def any_port(b, at, right):
    """The port at this place of a wpdu is seen as the right one; the answer has that which was
    asked."""
    seen = [b""]

    def inward(octets):
        if len(octets) < 8:
            return octets
        seen[0] = octets[at : at + 2]
        return octets[:at] + right + octets[at + 2 :]

    def outward(octets):
        back = 6 - at
        return octets[:back] + seen[0] + octets[back + 2 :]

    b.line.inward, b.line.outward = inward, outward


@fault(WRAPPER, "PMT_WRAPPER_N3")
def any_server_port_is_taken(b):
    any_port(b, 4, b"\0\1")


@fault(WRAPPER, "PMT_WRAPPER_N4", "PMT_WRAPPER_N6")
def any_client_port_is_taken(b):
    any_port(b, 2, b"\0\x10")


# --- HDLC -----------------------------------------------------------------------------------


def checked(octets):
    """A frame whose check sequences are put right; or what is no frame."""
    if octets[:1] != b"\x7e" or len(octets) < 9:
        return octets
    body = octets[1:-1]
    at = 2
    for _ in range(2):
        while at < len(body) - 3 and not body[at] & 1:
            at += 1
        at += 1
    head = body[: at + 1]
    info = body[at + 3 : -2]
    made = head + frames.crc(head)
    if info:
        made += info
        made += frames.crc(made)
    return b"\x7e" + made + b"\x7e"


def control_of(octets):
    """(place of the control field, the field) of a frame with addresses of an octet each."""
    return 5, octets[5]


@fault(HDLC, "HDLC_FRAME_N8", "HDLC_FRAME_N7")
def check_sequences_are_not_checked(b):
    b.line.inward = checked


@fault(HDLC, "HDLC_NDM2NRM_P1")
def ua_has_no_parameters(b):
    def outward(octets):
        if octets[5] == frames.UA and len(octets) > 12:
            return frames.frame(octets[3:4], octets[4:5], frames.UA)
        return octets

    b.line.outward = outward


@fault(HDLC, "HDLC_NDM2NRM_P1")
def longer_fields_than_proposed(b):
    def made(old):
        def negotiate(link, *rest):
            old(link, *rest)
            link.info_tx = 128

        return negotiate

    b.around(profiles.hdlc_link.Link, "_negotiate", made)


@fault(HDLC, "HDLC_NDM2NRM_P2")
def hdlc_window_is_ignored(b):
    def made(old):
        def write_ua(link):
            n = old(link)
            link.window_tx = 7
            return n

        return write_ua

    b.around(profiles.hdlc_link.Link, "write_ua", made)


@fault(HDLC, "HDLC_INFO_N1", "HDLC_INFO_N2", "HDLC_FRAME_N5")
def no_frmr_is_sent(b):
    b.line.outward = lambda octets: b"" if octets[5] == frames.FRMR else octets


@fault(HDLC, "HDLC_INFO_N3")
def frames_out_of_sequence_are_served(b):
    def inward(octets):
        at, control = control_of(octets)
        if control & 1 or octets[:1] != b"\x7e":
            return octets
        control = control & 0xF1 | b.line.profile.links[0].vr << 1
        return checked(octets[:at] + bytes((control,)) + octets[at + 1 :])

    b.line.inward = inward


@fault(HDLC, "HDLC_FRAME_P1")
def disc_is_always_answered_with_ua(b):
    def outward(octets):
        if octets[5] == frames.DM:
            return frames.frame(octets[3:4], octets[4:5], frames.UA)
        return octets

    b.line.outward = outward


@fault(HDLC, "HDLC_ADDRESS_N4")
def answers_to_every_address(b):
    b.line.inward = lambda octets: (
        checked(octets[:3] + b"\x03" + octets[4:]) if octets[:2] == b"\x7e\xa0" else octets
    )


@fault(HDLC, "HDLC_FRAME_N3")
def any_format_type_is_taken(b):
    b.line.inward = lambda octets: (
        checked(b"\x7e\xa0" + octets[2:]) if octets[2:3] == b"\x07" else octets
    )


@fault(HDLC, "HDLC_FRAME_P3")
def links_do_not_time_out(b):
    b.around(
        profiles.hdlc.HDLC, "configure", lambda old: lambda h, *rest: old(h, *rest[:5], 0, rest[6])
    )


@fault(HDLC, "HDLC_FRAME_P2")
def pauses_inside_of_a_frame_are_taken(b):
    b.patch(profiles.hdlc_frame.Frames, "_overdue", lambda h, now_ms: False)


@fault(HDLC, "PMT_HDLC_RELEASE")
def associations_outlive_their_link(b):
    b.patch(profiles.hdlc_link.Link, "drop", lambda link: None)
    b.line.profile.links[0].channel.release = lambda *_: None


@fault(HDLC, "HDLC_NDMOP_N1")
def frames_are_answered_before_snrm(b):
    b.line.outward = lambda octets: (
        frames.frame(octets[3:4], octets[4:5], frames.RR) if octets[5] == frames.DM else octets
    )


def snrm():
    return frames.frame(frames.address(1), frames.address(16), frames.SNRM)


@fault(HDLC, "HDLC_FRAME_N1")
def frames_without_a_flag_are_taken(b):
    b.line.inward = lambda octets: b"\x7e" + octets[1:] if octets[:1] == b"\0" else octets


@fault(HDLC, "HDLC_FRAME_N2")
def short_frames_are_answered(b):
    b.line.inward = lambda octets: snrm() if len(octets) < 9 else octets


@fault(HDLC, "HDLC_FRAME_N4")
def length_of_a_frame_is_not_looked_at(b):
    b.line.inward = lambda octets: (
        checked(octets[:2] + bytes((len(octets) - 2,)) + octets[3:])
        if octets[-1:] == b"\x7e" and len(octets) == 9
        else octets
    )


@fault(HDLC, "HDLC_ADDRESS_P1")
def addresses_of_four_octets_are_not_taken(b):
    b.line.inward = lambda octets: b"" if not (octets[3] | octets[4]) & 1 else octets


@fault(HDLC, "HDLC_ADDRESS_N1")
def clients_of_two_octets_are_taken(b):
    b.line.inward = lambda octets: octets if octets[3:5] != b"\3\x20" else snrm()


def of_two_and_four_octets():
    reference = beside.Reference()
    reference.description["hdlc_address_lengths"] = [2, 4]
    return reference


@fault(HDLC, "HDLC_ADDRESS_N6", meter=of_two_and_four_octets)
def one_octet_does_too(b):
    """So it does, of which its description does not speak."""


@fault(HDLC, "HDLC_ADDRESS_N7")
def addresses_of_three_octets_are_taken(b):
    def inward(octets):
        odd_at_third = not (octets[3] | octets[4]) & 1 and octets[5] & 1
        return snrm() if octets[2:3] == b"\x09" and odd_at_third else octets

    b.line.inward = inward


@fault(HDLC, "HDLC_INFO_P1")
def acknowledgement_stands(b):
    def outward(octets):
        at, control = control_of(octets)
        if control & 3 == 3:
            return octets
        return checked(octets[:at] + bytes((control & 0x1F | 0x20,)) + octets[at + 1 :])

    b.line.outward = outward


@fault(HDLC, "PMT_HDLC_SEGMENTS")
def answers_are_not_said_again(b):
    b.line.inward = lambda octets: b"" if octets[5:6] and octets[5] & 0x1F == frames.RR else octets


@fault(HDLC, "PMT_HDLC_REJECTED")
def frames_are_served_after_frmr(b):
    def inward(octets):
        if octets[5:6] != b"\xf7":
            return octets
        b.line._out += frames.frame(octets[4:5], octets[3:4], frames.FRMR, b"\xf7\0\1")
        return b""

    b.line.inward = inward


@fault(HDLC, "HDLC_FRAME_N5", "HDLC_INFO_N1", "HDLC_INFO_N2")
def frmr_says_another_reason(b):
    def outward(octets):
        return checked(changed(octets, 10, 0x0F)) if octets[5] == frames.FRMR else octets

    b.line.outward = outward


@fault(HDLC, "PMT_HDLC_RNR")
def a_client_that_is_not_ready_is_not_waited_for(b):
    def inward(octets):
        if octets[5] & 0x0F == frames.RNR & 0x0F:
            return checked(changed(octets, 5, frames.RR ^ frames.RNR))
        return octets

    b.line.inward = inward


@fault(HDLC, "PMT_HDLC_PARAMETERS")
def windows_of_one_octet_are_not_understood(b):
    b.line.inward = lambda octets: b"" if b"\7\1\1\x08\1\1" in octets else octets


# --- Optical port ---------------------------------------------------------------------------


@fault(OPTICAL, "PMT_IEC21_P3", "PMT_IEC21_P5")
def bcc_of_the_meter_is_wrong(b):
    b.line.outward = lambda octets: (
        changed(octets, len(octets) - 1, 2) if b"\x03" in octets[-2:-1] else octets
    )


@fault(OPTICAL, "PMT_IEC21_N4")
def bcc_of_the_client_is_not_checked(b):
    b.line.inward = lambda octets: (
        octets[:-1] + bcc(octets[1:-1]) if octets[:1] == b"\x01" else octets
    )


@fault(OPTICAL, "PMT_IEC21_N1")
def signs_on_with_any_address(b):
    b.line.inward = lambda octets: b"/?!\r\n" if octets[:2] == b"/?" else octets


@fault(OPTICAL, "PMT_IEC21_P3", "PMT_IEC21_P6")
def nothing_is_said_again(b):
    b.line.inward = lambda octets: octets.replace(b"\x15", b"")


@fault(OPTICAL, "PMT_IEC21_P7")
def mode_e_is_not_confirmed(b):
    b.line.outward = lambda octets: b"" if octets[:2] == b"\x062" else octets


@fault(OPTICAL, "PMT_IEC21_P5")
def break_is_answered(b):
    b.line.inward = lambda octets: octets.replace(b"\x01B0\x03q", b"\x01R9\x03\x68")


@fault(OPTICAL, "PMT_IEC21_P1")
def manufacturer_is_in_small_letters(b):
    b.line.outward = lambda octets: (
        octets[:1] + octets[1:4].lower() + octets[4:] if octets[:1] == b"/" else octets
    )


@fault(OPTICAL, "PMT_IEC21_P2")
def its_own_address_is_not_taken(b):
    b.line.inward = lambda octets: b"" if octets[:2] == b"/?" and octets[2:3] != b"!" else octets


@fault(OPTICAL, "PMT_IEC21_N2")
def damaged_requests_are_taken(b):
    b.line.inward = lambda octets: b"/?!\r\n" if octets == b"/!\r\n" else octets


@fault(OPTICAL, "PMT_IEC21_P4")
def nothing_is_said_without_an_option_select(b):
    selected = [False]

    def inward(octets):
        selected[0] = octets[:1] != b"/"
        return octets

    b.line.inward = inward
    b.line.outward = lambda octets: octets if selected[0] or octets[:1] == b"/" else b""


@fault(OPTICAL, "PMT_IEC21_N3")
def wrong_rates_are_taken_as_programming(b):
    b.line.inward = lambda octets: b"\x06051\r\n" if octets[:3] == b"\x060X" else octets


@fault(OPTICAL, "PMT_IEC21_N5")
def unknown_commands_are_taken_as_r1(b):
    read = command("R1", "C.1.0()")
    b.line.inward = lambda octets: read if octets[1:3] in (b"R9", b"X1") else octets


@fault(OPTICAL, "PMT_IEC21_N6")
def every_password_is_taken(b):
    said = [b""]

    def inward(octets):
        said[0] = octets
        return octets

    b.line.inward = inward
    b.line.outward = lambda octets: b"\x06" if said[0][1:3] == b"P1" else octets
