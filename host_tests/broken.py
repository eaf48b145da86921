# SPDX-License-Identifier: MIT
"""A deliberately broken meter: faults that are put into the one of beside.py, one at a time, and
the cases of tools/conforming that have to find each.

Some are patches of the code, others spoil what goes over the line: what the meter says (outward,
answers), or what it hears, so that it does not see what it has to refuse (inward, requests).
"""

import beside
import cosem.key_transfer
import cosem.model
import cosem.security_setup
import dlms.association
import dlms.ciphering
import dlms.exceptions
import dlms.gbt_answer
import dlms.get
import dlms.hls
import dlms.opening
import dlms.types
from conforming import frames
from crypto._gcm_host import GCM
from dlms.server import Server

import profiles.hdlc
import profiles.hdlc_frame
import profiles.hdlc_link

FAULTS = []
_WRAPPER, _HDLC, _OPTICAL = "wrapper", "hdlc", "optical"
_HEADROOM = 64
_OPEN = 2  # of association.py


class Fault:
    def __init__(self, name, kind, cases, put):
        self.name, self.kind, self.cases, self.put = name, kind, cases, put

    def __repr__(self):
        return self.name


def fault(kind, *cases):
    def add(put):
        FAULTS.append(Fault(put.__name__, kind, cases, put))
        return put

    return add


class Bench:
    """A meter to be broken. patch(what, name, value): for as long as the test takes."""

    def __init__(self, kind, patch):
        self.reference = beside.Reference(
            beside.OPTICAL if kind == _OPTICAL else beside.RESIDENTIAL
        )
        self.kind, self.patch = kind, patch
        self.line = self.reference.line(kind)

    def player(self):
        return self.reference.player(self.kind)

    def around(self, what, name, made):
        """A function in place of another, which it is given: made(old) -> new."""
        self.patch(what, name, made(getattr(what, name)))

    def served(self, rule):
        """rule(request) -> (another request, or an answer that is made up, or None)"""

        def made(old):
            def request(server, channel, client_sap, server_sap, buf, pos, end, confirmed=1):
                asked = bytes(buf[pos:end])
                instead, answer, spoil = rule(asked)
                if answer is None:
                    now = bytearray(instead)
                    n = old(server, channel, client_sap, server_sap, now, 0, len(now), confirmed)
                    if n <= 0:
                        return n
                    at = channel.tx_pos
                    answer = spoil(bytes(channel.tx[at : at + n]))
                channel.tx_pos = _HEADROOM
                channel.tx[_HEADROOM : _HEADROOM + len(answer)] = answer
                return len(answer)

            return request

        self.around(Server, "request", made)

    def answers(self, rule):
        """rule(request, answer) -> answer; b"" is silence. Of plain APDUs."""
        self.served(lambda asked: (asked, None, lambda answer: rule(asked, answer)))

    def requests(self, rule):
        """rule(request) -> request."""
        self.served(lambda asked: (rule(asked), None, lambda answer: answer))

    def made_up(self, rule):
        """rule(request) -> an answer, or None: the meter's own."""
        self.served(lambda asked: (asked, rule(asked), lambda answer: answer))


def changed(octets, at, by=1):
    return octets[:at] + bytes((octets[at] ^ by,)) + octets[at + 1 :]


# --- Application layer ----------------------------------------------------------------------


@fault(_WRAPPER, "APPL_DATA_LN_N1")
def invoke_id_is_not_that_of_the_request(b):
    b.answers(lambda asked, got: got[:2] + b"\xc1" + got[3:] if got[:2] == b"\xc4\x01" else got)


@fault(_WRAPPER, "PMT_BLOCK_GET_P1")
def block_number_is_one_too_high(b):
    b.answers(lambda asked, got: changed(got, 7) if got[:2] == b"\xc4\x02" else got)


@fault(_WRAPPER, "PMT_BLOCK_GET_N1")
def block_number_of_the_client_is_not_looked_at(b):
    last = [0]

    def rule(asked):
        if asked[:2] == b"\xc0\x02":
            asked = asked[:3] + last[0].to_bytes(4, "big")
        last[0] = last[0] + 1 if asked[:2] == b"\xc0\x02" else 1
        return asked

    b.requests(rule)


@fault(_WRAPPER, "PMT_BLOCK_SET_N1")
def block_numbers_of_a_set_are_not_looked_at(b):
    b.around(
        dlms.association.Association,
        "take_raw",
        lambda old: lambda a, last, number, *rest: old(a, last, a.block_number + 1, *rest),
    )


@fault(_WRAPPER, "PMT_BLOCK_SIZE", "APPL_OPEN_14")
def size_of_the_client_is_ignored(b):
    b.requests(
        lambda asked: (
            asked[:-2] + b"\xff\xff" if asked[:1] == b"\x60" and asked[-2] == 0 else asked
        )
    )


@fault(_WRAPPER, "APPL_REL_P1")
def release_is_not_answered(b):
    b.answers(lambda asked, got: b"" if asked[:1] == b"\x62" else got)


@fault(_WRAPPER, "APPL_REL_P1")
def release_releases_nothing(b):
    b.made_up(lambda asked: b"\x63\x03\x80\x01\x00" if asked[:1] == b"\x62" else None)


@fault(_WRAPPER, "APPL_IDLE_N1")
def served_without_an_association(b):
    own = bytes.fromhex("C401C10009060000280000FF")
    b.answers(
        lambda asked, got: own if got == b"\xd8\x01\x01" and asked[:2] == b"\xc0\x01" else got
    )


@fault(_WRAPPER, "APPL_OPEN_4")
def protocol_version_is_not_looked_at(b):
    b.requests(lambda asked: asked.replace(b"\x80\x02\x06\x40", b"\x80\x02\x07\x80"))


@fault(_WRAPPER, "APPL_OPEN_5")
def any_application_context_is_taken(b):
    context = bytes.fromhex("608574050801")
    b.requests(lambda asked: asked.replace(context + b"\x09", context + b"\x01"))


@fault(_WRAPPER, "APPL_OPEN_6")
def title_of_the_client_is_not_looked_at(b):
    title = b"\xa6\x09\x04\x07PMTCONF"

    def rule(asked):
        if title not in asked:
            return asked
        longer = asked.replace(title, b"\xa6\x0a\x04\x08PMTCONF1")
        return longer[:1] + bytes((longer[1] + 1,)) + longer[2:]

    b.requests(rule)


@fault(_WRAPPER, "APPL_OPEN_7")
def any_secret_opens(b):
    b.patch(dlms.opening, "_is_secret", lambda *_: True)


@fault(_WRAPPER, "APPL_OPEN_7")
def wrong_secrets_have_another_diagnostic(b):
    wrong, other = bytes.fromhex("A305A10302010D"), bytes.fromhex("A305A103020103")
    b.answers(lambda asked, got: got.replace(wrong, other))


@fault(_WRAPPER, "APPL_OPEN_12")
def any_version_of_dlms_is_taken(b):
    b.requests(lambda asked: asked.replace(b"\x05\x5f\x1f", b"\x06\x5f\x1f"))


@fault(_WRAPPER, "APPL_OPEN_13", "APPL_OPEN_1")
def more_is_negotiated_than_was_proposed(b):
    b.answers(
        lambda asked, got: got[:-7] + b"\xff\xff\xff" + got[-4:] if got[:1] == b"\x61" else got
    )


@fault(_WRAPPER, "APPL_OPEN_3")
def any_proof_of_hls_is_taken(b):
    b.patch(dlms.hls, "passes", lambda *_: 1)


@fault(_WRAPPER, "APPL_OPEN_3", "APPL_OPEN_1")
def proof_of_the_meter_is_wrong(b):
    def made(old):
        def put_reply(a, key, suite, title, tx, pos):
            end = old(a, key, suite, title, tx, pos)
            tx[end - 1] ^= 1
            return end

        return put_reply

    b.around(dlms.hls, "put_reply", made)


@fault(_WRAPPER, "APPL_DATA_LN_N1")
def unknown_objects_are_null(b):
    b.answers(lambda asked, got: got[:3] + b"\0\0" if got[3:] == b"\x01\x04" else got)


@fault(_WRAPPER, "APPL_DATA_LN_N1")
def malformed_requests_end_the_association(b):
    def made(old):
        def malformed(channel):
            channel.release()
            return old(channel)

        return malformed

    b.around(dlms.exceptions, "malformed", made)


@fault(_WRAPPER, "APPL_DATA_LN_N4")
def services_are_served_that_were_not_negotiated(b):
    b.patch(dlms.get, "_CONFORMANCE_MULTIPLE_REFERENCES", 0xFFFFFF)


@fault(_WRAPPER, "APPL_DATA_SN_N1")
def unknown_short_names_are_null(b):
    b.answers(lambda asked, got: b"\x0c\x01\0\0" if got[:3] == b"\x0c\x01\x01" else got)


# --- Objects --------------------------------------------------------------------------------


@fault(_WRAPPER, "COSEM_15_1")
def rights_to_read_are_not_kept(b):
    b.patch(dlms.association.Association, "may_read", lambda *_: 0)


@fault(_WRAPPER, "COSEM_3_0")
def rights_to_write_are_not_kept(b):
    b.patch(dlms.association.Association, "may_write", lambda *_: 0)


@fault(_WRAPPER, "COSEM_8_0")
def values_of_any_type_are_taken(b):
    b.patch(dlms.types, "check", lambda types, tp, buf, pos, end: end)


@fault(_WRAPPER, "COSEM_3_0")
def scaler_unit_has_another_type(b):
    b.answers(
        lambda asked, got: (
            got[:-2] + b"\x11" + got[-1:]
            if got[3:7] == b"\0\x02\x02\x0f" and got[-2] == 0x16
            else got
        )
    )


@fault(_WRAPPER, "COSEM_1_0")
def logical_name_is_that_of_another(b):
    b.answers(
        lambda asked, got: (
            changed(got, 8) if asked[3:5] == b"\0\1" and asked[11:12] == b"\1" else got
        )
    )


@fault(_WRAPPER, "COSEM_1_0")
def values_cannot_be_read(b):
    b.answers(
        lambda asked, got: got[:3] + b"\1\xfa" if asked[3:11] == b"\0\1\0\0\x60\1\1\xff" else got
    )


@fault(_WRAPPER, "COSEM_MULTIPLE")
def lists_end_with_another_value(b):
    def made(old):
        def answer(a, buf, pos, end, count):
            n = old(a, buf, pos, end, count)
            if count and n > 0:
                a.channel.tx[a.channel.tx_pos + n - 1] ^= 1
            return n

        return answer

    b.around(dlms.get, "_answer", made)


@fault(_WRAPPER, "COSEM_MANDATORY")
def association_is_not_associated(b):
    b.answers(lambda asked, got: got[:-1] + b"\1" if got[-2:] == b"\x16\2" else got)


@fault(_WRAPPER, "COSEM_LIST")
def an_object_is_in_the_list_twice(b):
    def rule(asked, got):
        if got[:4] != b"\xc4\x02\xc1\x00" and got[:4] != b"\xc4\x02\xc1\x01":
            return got
        return got.replace(b"\0\0\x60\1\2\xff", b"\0\0\x60\1\1\xff")

    b.answers(rule)


# --- Security -------------------------------------------------------------------------------


@fault(_WRAPPER, "SYMSEC_0_FraCount_1")
def replays_are_taken(b):
    def made(old):
        def take(a, context, key, buf, at, end):
            if a.state == _OPEN:
                key.rx[:] = buf[at + 1 : at + 5]
            return old(a, context, key, buf, at, end)

        return take

    b.around(dlms.ciphering, "take", made)


@fault(_WRAPPER, "SYMSEC_0_SecDataX_N1")
def tags_are_not_checked(b):
    def opened(gcm, octets, title, title_pos, buf, at, pos, end):
        gcm.begin(title, title_pos, buf, at)
        gcm.crypt(buf, pos, end)
        return 1

    b.patch(GCM, "open", opened)


@fault(_WRAPPER, "SYMSEC_0_SecDataX_N1")
def policy_is_not_kept(b):
    def made(old):
        def unprotect(a, context, *rest):
            context.needs_request = 0
            return old(a, context, *rest)

        return unprotect

    b.around(dlms.ciphering, "unprotect", made)


@fault(_WRAPPER, "SYMSEC_0_FraCount_3")
def counter_of_the_meter_stands(b):
    def made(old):
        def protect(a, context, *rest):
            key = context.unicast
            before = bytes(key.tx)
            got = old(a, context, *rest)
            key.tx[:] = before
            return got

        return protect

    b.around(dlms.ciphering, "protect", made)


@fault(_WRAPPER, "SYMSEC_0_BasicCap_1")
def answers_are_only_authenticated(b):
    def made(old):
        return lambda a, context, title, kinds, *rest: old(a, context, title, 1, *rest)

    b.around(dlms.ciphering, "protect", made)


@fault(_WRAPPER, "SYMSEC_0_Key_Tx_N2")
def wrapping_of_keys_is_not_checked(b):
    b.around(
        cosem.key_transfer,
        "unwrap",
        lambda old: lambda kek, key, pos, n: old(kek, key, pos, n) or 1,
    )


@fault(_WRAPPER, "SYMSEC_0_Key_Tx_P1")
def new_keys_are_forgotten(b):
    b.patch(cosem.key_transfer, "transfer", lambda kek, n_key, octets: (0, []))


@fault(_WRAPPER, "SYMSEC_0_Key_Tx_N1")
def unknown_keys_are_passed_over(b):
    def made(old):
        def transfer(kek, n_key, octets):
            result, keys = old(kek, n_key, octets)
            return (result, keys) if keys is not None else (0, [])

        return transfer

    b.around(cosem.key_transfer, "transfer", made)


@fault(_WRAPPER, "SYMSEC_0_DedKey_N1", "SYMSEC_0_SecDataX_P1")
def dedicated_key_is_forgotten(b):
    def made(old):
        def unprotect(a, context, *rest):
            if a.dedicated is not None:
                a.dedicated = context.unicast
            return old(a, context, *rest)

        return unprotect

    b.around(dlms.ciphering, "unprotect", made)


@fault(_WRAPPER, "SYMSEC_REL_N1")
def a_plain_release_is_taken(b):
    plain = bytes.fromhex("010000000006")

    def rule(asked):
        is_plain = asked[:1] == b"\x62" and plain[:2] in asked[8:12]
        return b"\x63\x03\x80\x01\x00" if is_plain else None

    b.made_up(rule)


@fault(_WRAPPER, "SYMSEC_0_SecPol_3")
def policy_can_be_taken_back(b):
    def activate(handler, row, policy):
        handler.model.image[handler.model.slot(row, 2) + 1] = policy
        return 0

    b.patch(cosem.security_setup.Handler, "_activate", activate)


# --- General blocks -------------------------------------------------------------------------


@fault(_WRAPPER, "PMT_GBT_P4")
def lost_blocks_do_not_come_again(b):
    last = [0]

    def spoil(got):
        if got[:1] == b"\xe0":
            last[0] = int.from_bytes(got[2:4], "big")
        return got

    def rule(asked):
        if asked[:1] == b"\xe0" and asked[4:6] != b"\0\0":
            asked = asked[:4] + last[0].to_bytes(2, "big") + asked[6:]
        return asked, None, spoil

    b.served(rule)
    b.around(
        Server, "more", lambda old: lambda server, channel: counted(old, server, channel, last)
    )


def counted(old, server, channel, last):
    n = old(server, channel)
    if n:
        last[0] = int.from_bytes(channel.tx[channel.tx_pos + 2 : channel.tx_pos + 4], "big")
    return n


@fault(_WRAPPER, "PMT_GBT_P1", "PMT_GBT_P2")
def general_blocks_begin_with_two(b):
    b.around(
        dlms.gbt_answer.Answer,
        "_put",
        lambda old: lambda t, a, control, number, *rest: old(t, a, control, number + 1, *rest),
    )


@fault(_WRAPPER, "PMT_GBT_P2")
def window_of_the_client_is_ignored(b):
    b.around(dlms.gbt_answer.Answer, "_window", lambda old: lambda t, a, window: old(t, a, 20))


# --- Wrapper --------------------------------------------------------------------------------


@fault(_WRAPPER, "PMT_WRAPPER_N1")
def version_of_the_wrapper_is_not_looked_at(b):
    b.line.inward = lambda octets: b"\0\1" + octets[2:] if len(octets) > 8 else octets


@fault(_WRAPPER, "PMT_WRAPPER_P1")
def ports_do_not_change_places(b):
    b.line.outward = lambda octets: octets[:2] + octets[4:6] + octets[2:4] + octets[6:]


@fault(_WRAPPER, "PMT_WRAPPER_P3")
def one_wpdu_a_segment_is_seen(b):
    b.line.inward = lambda octets: (
        octets[: 8 + int.from_bytes(octets[6:8], "big")] if len(octets) > 8 else octets
    )


@fault(_WRAPPER, "PMT_WRAPPER_P2")
def a_wpdu_has_to_come_in_one_segment(b):
    def inward(octets):
        whole = len(octets) >= 8 and int.from_bytes(octets[6:8], "big") == len(octets) - 8
        return octets if whole or octets[:2] != b"\0\1" else b""

    b.line.inward = inward


@fault(_WRAPPER, "PMT_WRAPPER_N5")
def associations_outlive_their_connection(b):
    b.line.profile.reset = lambda: None


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


@fault(_HDLC, "HDLC_FRAME_N8", "HDLC_FRAME_N7")
def check_sequences_are_not_checked(b):
    b.line.inward = checked


@fault(_HDLC, "HDLC_NDM2NRM_P1")
def ua_has_no_parameters(b):
    def outward(octets):
        if octets[5] == frames.UA and len(octets) > 12:
            return frames.frame(octets[3:4], octets[4:5], frames.UA)
        return octets

    b.line.outward = outward


@fault(_HDLC, "HDLC_NDM2NRM_P1")
def longer_fields_than_proposed(b):
    def made(old):
        def negotiate(link, *rest):
            old(link, *rest)
            link.info_tx = 128

        return negotiate

    b.around(profiles.hdlc_link.Link, "_negotiate", made)


@fault(_HDLC, "HDLC_NDM2NRM_P2")
def hdlc_window_is_ignored(b):
    def made(old):
        def write_ua(link):
            n = old(link)
            link.window_tx = 7
            return n

        return write_ua

    b.around(profiles.hdlc_link.Link, "write_ua", made)


@fault(_HDLC, "HDLC_INFO_N1", "HDLC_INFO_N2", "HDLC_FRAME_N5")
def no_frmr_is_sent(b):
    b.line.outward = lambda octets: b"" if octets[5] == frames.FRMR else octets


@fault(_HDLC, "HDLC_INFO_N3")
def frames_out_of_sequence_are_served(b):
    def inward(octets):
        at, control = control_of(octets)
        if control & 1 or octets[:1] != b"\x7e":
            return octets
        control = control & 0xF1 | b.line.profile.links[0].vr << 1
        return checked(octets[:at] + bytes((control,)) + octets[at + 1 :])

    b.line.inward = inward


@fault(_HDLC, "HDLC_FRAME_P1")
def disc_is_always_answered_with_ua(b):
    def outward(octets):
        if octets[5] == frames.DM:
            return frames.frame(octets[3:4], octets[4:5], frames.UA)
        return octets

    b.line.outward = outward


@fault(_HDLC, "HDLC_ADDRESS_N4")
def answers_to_every_address(b):
    b.line.inward = lambda octets: (
        checked(octets[:3] + b"\x03" + octets[4:]) if octets[:2] == b"\x7e\xa0" else octets
    )


@fault(_HDLC, "HDLC_FRAME_N3")
def any_format_type_is_taken(b):
    b.line.inward = lambda octets: (
        checked(b"\x7e\xa0" + octets[2:]) if octets[2:3] == b"\x07" else octets
    )


@fault(_HDLC, "HDLC_FRAME_P3")
def links_do_not_time_out(b):
    b.around(
        profiles.hdlc.HDLC, "configure", lambda old: lambda h, *rest: old(h, *rest[:5], 0, rest[6])
    )


@fault(_HDLC, "HDLC_FRAME_P2")
def pauses_inside_of_a_frame_are_taken(b):
    b.patch(profiles.hdlc_frame.Frames, "_overdue", lambda h, now_ms: False)


@fault(_HDLC, "PMT_HDLC_RELEASE")
def associations_outlive_their_link(b):
    b.patch(profiles.hdlc_link.Link, "drop", lambda link: None)
    b.line.profile.links[0].channel.release = lambda *_: None


@fault(_HDLC, "HDLC_NDMOP_N1")
def frames_are_answered_before_snrm(b):
    b.line.outward = lambda octets: (
        frames.frame(octets[3:4], octets[4:5], frames.RR) if octets[5] == frames.DM else octets
    )


# --- Optical port ---------------------------------------------------------------------------


@fault(_OPTICAL, "PMT_IEC21_P3", "PMT_IEC21_P5")
def bcc_of_the_meter_is_wrong(b):
    b.line.outward = lambda octets: (
        changed(octets, len(octets) - 1, 2) if b"\x03" in octets[-2:-1] else octets
    )


@fault(_OPTICAL, "PMT_IEC21_N4")
def bcc_of_the_client_is_not_checked(b):
    from conforming.sign_on import bcc

    b.line.inward = lambda octets: (
        octets[:-1] + bcc(octets[1:-1]) if octets[:1] == b"\x01" else octets
    )


@fault(_OPTICAL, "PMT_IEC21_N1")
def signs_on_with_any_address(b):
    b.line.inward = lambda octets: b"/?!\r\n" if octets[:2] == b"/?" else octets


@fault(_OPTICAL, "PMT_IEC21_P3")
def nothing_is_said_again(b):
    b.line.inward = lambda octets: octets.replace(b"\x15", b"")


@fault(_OPTICAL, "PMT_IEC21_P7")
def mode_e_is_not_confirmed(b):
    b.line.outward = lambda octets: b"" if octets[:2] == b"\x062" else octets


@fault(_OPTICAL, "PMT_IEC21_P5")
def break_is_answered(b):
    b.line.inward = lambda octets: octets.replace(b"\x01B0\x03q", b"\x01R9\x03\x68")
