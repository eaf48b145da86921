# SPDX-License-Identifier: MIT
"""A deliberately broken meter: faults that are put into the one of beside.py, one at a time, and
the cases of tools/conforming that have to find each; those of its links are in broken_links.py.

Some are patches of the code, others spoil what goes over the line: what the meter says (outward,
answers), or what it hears, so that it does not see what it has to refuse (inward, requests).
"""

import re

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
from conforming.session import NAME, NAMED, OBJECT_LIST
from crypto._gcm_host import GCM
from dlms.server import Server


FAULTS = []
WRAPPER, HDLC, OPTICAL = "wrapper", "hdlc", "optical"
_HEADROOM = 64
_OPEN = 2  # of association.py


class Fault:
    def __init__(self, name, kind, cases, meter, put):
        self.name, self.kind, self.cases, self.meter, self.put = name, kind, cases, meter, put

    def __repr__(self):
        return self.name


def fault(kind, *cases, meter=None):
    """meter: makes a Reference, if it is to be another one than that of Bench."""

    def add(put):
        FAULTS.append(Fault(put.__name__, kind, cases, meter, put))
        return put

    return add


class Bench:
    """A meter to be broken. patch(what, name, value): for as long as the test takes."""

    def __init__(self, kind, patch, meter=None):
        definition = beside.OPTICAL if kind == OPTICAL else beside.RESIDENTIAL
        self.reference = meter() if meter else beside.Reference(definition)
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


def users():
    """A meter one of whose clients has a list of users."""
    reference = beside.Small(17, 33)
    for a in reference.description["associations"]:
        if a["client_sap"] == 33:
            a["user_id"] = 5
    return reference


# --- Application layer ----------------------------------------------------------------------


@fault(WRAPPER, "APPL_DATA_LN_N1")
def invoke_id_is_not_that_of_the_request(b):
    b.answers(lambda asked, got: got[:2] + b"\xc1" + got[3:] if got[:2] == b"\xc4\x01" else got)


@fault(WRAPPER, "PMT_BLOCK_GET_P1")
def block_number_is_one_too_high(b):
    b.answers(lambda asked, got: changed(got, 7) if got[:2] == b"\xc4\x02" else got)


@fault(WRAPPER, "PMT_BLOCK_GET_N1")
def block_number_of_the_client_is_not_looked_at(b):
    last = [0]

    def rule(asked):
        if asked[:2] == b"\xc0\x02":
            asked = asked[:3] + last[0].to_bytes(4, "big")
        last[0] = last[0] + 1 if asked[:2] == b"\xc0\x02" else 1
        return asked

    b.requests(rule)


@fault(WRAPPER, "PMT_BLOCK_SET_N1")
def block_numbers_of_a_set_are_not_looked_at(b):
    b.around(
        dlms.association.Association,
        "take_raw",
        lambda old: lambda a, last, number, *rest: old(a, last, a.block_number + 1, *rest),
    )


@fault(WRAPPER, "PMT_BLOCK_SIZE", "APPL_OPEN_14")
def size_of_the_client_is_ignored(b):
    b.requests(
        lambda asked: (
            asked[:-2] + b"\xff\xff" if asked[:1] == b"\x60" and asked[-2] == 0 else asked
        )
    )


@fault(WRAPPER, "APPL_REL_P1")
def release_is_not_answered(b):
    b.answers(lambda asked, got: b"" if asked[:1] == b"\x62" else got)


@fault(WRAPPER, "APPL_REL_P1")
def release_releases_nothing(b):
    b.made_up(lambda asked: b"\x63\x03\x80\x01\x00" if asked[:1] == b"\x62" else None)


@fault(WRAPPER, "APPL_IDLE_N1")
def served_without_an_association(b):
    own = bytes.fromhex("C401C10009060000280000FF")
    b.answers(
        lambda asked, got: own if got == b"\xd8\x01\x01" and asked[:2] == b"\xc0\x01" else got
    )


@fault(WRAPPER, "APPL_OPEN_4")
def protocol_version_is_not_looked_at(b):
    b.requests(lambda asked: asked.replace(b"\x80\x02\x06\x40", b"\x80\x02\x07\x80"))


@fault(WRAPPER, "APPL_OPEN_5")
def any_application_context_is_taken(b):
    context = bytes.fromhex("608574050801")
    b.requests(lambda asked: asked.replace(context + b"\x09", context + b"\x01"))


@fault(WRAPPER, "APPL_OPEN_6")
def title_of_the_client_is_not_looked_at(b):
    title = b"\xa6\x09\x04\x07PMTCONF"

    def rule(asked):
        if title not in asked:
            return asked
        longer = asked.replace(title, b"\xa6\x0a\x04\x08PMTCONF1")
        return longer[:1] + bytes((longer[1] + 1,)) + longer[2:]

    b.requests(rule)


@fault(WRAPPER, "APPL_OPEN_7")
def any_secret_opens(b):
    b.patch(dlms.opening, "_is_secret", lambda *_: True)


@fault(WRAPPER, "APPL_OPEN_7")
def wrong_secrets_have_another_diagnostic(b):
    wrong, other = bytes.fromhex("A305A10302010D"), bytes.fromhex("A305A103020103")
    b.answers(lambda asked, got: got.replace(wrong, other))


@fault(WRAPPER, "APPL_OPEN_12")
def any_version_of_dlms_is_taken(b):
    b.requests(lambda asked: asked.replace(b"\x05\x5f\x1f", b"\x06\x5f\x1f"))


@fault(WRAPPER, "APPL_OPEN_13", "APPL_OPEN_1")
def more_is_negotiated_than_was_proposed(b):
    b.answers(
        lambda asked, got: got[:-7] + b"\xff\xff\xff" + got[-4:] if got[:1] == b"\x61" else got
    )


@fault(WRAPPER, "APPL_OPEN_3")
def any_proof_of_hls_is_taken(b):
    b.patch(dlms.hls, "passes", lambda *_: 1)


@fault(WRAPPER, "APPL_OPEN_3", "APPL_OPEN_1")
def proof_of_the_meter_is_wrong(b):
    def made(old):
        def put_reply(a, key, suite, title, tx, pos):
            end = old(a, key, suite, title, tx, pos)
            tx[end - 1] ^= 1
            return end

        return put_reply

    b.around(dlms.hls, "put_reply", made)


@fault(WRAPPER, "APPL_DATA_LN_N1")
def unknown_objects_are_null(b):
    b.answers(lambda asked, got: got[:3] + b"\0\0" if got[3:] == b"\x01\x04" else got)


@fault(WRAPPER, "APPL_DATA_LN_N1")
def malformed_requests_end_the_association(b):
    def made(old):
        def malformed(channel):
            channel.release()
            return old(channel)

        return malformed

    b.around(dlms.exceptions, "malformed", made)


@fault(WRAPPER, "APPL_DATA_LN_N4")
def services_are_served_that_were_not_negotiated(b):
    b.patch(dlms.get, "_CONFORMANCE_MULTIPLE_REFERENCES", 0xFFFFFF)


@fault(WRAPPER, "APPL_DATA_SN_N1")
def unknown_short_names_are_null(b):
    b.answers(lambda asked, got: b"\x0c\x01\0\0" if got[:3] == b"\x0c\x01\x01" else got)


@fault(WRAPPER, "APPL_OPEN_2", meter=users)
def any_user_is_taken(b):
    b.requests(lambda asked: re.sub(b"\xa9\x03\x02\x01.", b"\xa9\x03\x02\x01\x05", asked))


@fault(WRAPPER, "APPL_OPEN_9")
def a_dedicated_key_blocks_the_association(b):
    blocked = [False]

    def rule(asked, got):
        if asked[:1] == b"\x60":
            blocked[0] = bytes((0x5A,)) * 16 in asked
            return got
        return b"" if blocked[0] else got

    b.answers(rule)


@fault(WRAPPER, "APPL_OPEN_11")
def a_quality_of_service_is_refused(b):
    accepted, rejected = b"\xa2\x03\x02\x01\x00", b"\xa2\x03\x02\x01\x01"
    b.answers(
        lambda asked, got: got.replace(accepted, rejected) if b"\0\0\1\x7f\6" in asked else got
    )


@fault(WRAPPER, "APPL_OPEN_1")
def initiate_response_is_in_plain_text(b):
    plain = bytes.fromhex("BE10040E0800065F1F0400001E1D04B00007")

    def rule(asked, got):
        at = got.find(b"\xbe") if got[:1] == b"\x61" else -1
        if at < 0 or got[at + 4 : at + 5] == b"\x08":
            return got
        return got[:1] + bytes((at - 2 + len(plain),)) + got[2:at] + plain

    b.answers(rule)


@fault(WRAPPER, "APPL_OPEN_1")
def aare_does_not_say_the_title(b):
    def rule(asked, got):
        at = got.find(b"\xa4\x0a\x04\x08") if got[:1] == b"\x61" else -1
        if at < 0:
            return got
        return got[:1] + bytes((got[1] - 12,)) + got[2:at] + got[at + 12 :]

    b.answers(rule)


@fault(WRAPPER, "APPL_DATA_LN_N3", meter=users)
def sets_of_unknown_objects_succeed(b):
    b.answers(lambda asked, got: got[:3] + b"\0" if got[:2] == b"\xc5\1" and got[3] == 4 else got)


@fault(WRAPPER, "APPL_DATA_LN_N3", meter=users)
def invoke_id_of_a_set_is_forgotten(b):
    b.answers(lambda asked, got: got[:2] + b"\xc1" + got[3:] if got[:2] == b"\xc5\1" else got)


@fault(WRAPPER, "APPL_DATA_SN_N2")
def writes_succeed(b):
    b.answers(lambda asked, got: b"\x0d\1\0" if got[:3] == b"\x0d\1\1" else got)


@fault(WRAPPER, "APPL_DATA_SN_N3")
def get_is_served_with_short_names(b):
    short = [False]

    def rule(asked):
        if asked[:1] == b"\x60":
            short[0] = bytes.fromhex("60857405080102") in asked
        return NAMED if short[0] and asked == NAME else None

    b.made_up(rule)


# --- Objects --------------------------------------------------------------------------------


@fault(WRAPPER, "COSEM_15_1")
def rights_to_read_are_not_kept(b):
    b.patch(dlms.association.Association, "may_read", lambda *_: 0)


@fault(WRAPPER, "COSEM_3_0")
def rights_to_write_are_not_kept(b):
    b.patch(dlms.association.Association, "may_write", lambda *_: 0)


@fault(WRAPPER, "COSEM_8_0")
def values_of_any_type_are_taken(b):
    b.patch(dlms.types, "check", lambda types, tp, buf, pos, end: end)


@fault(WRAPPER, "COSEM_3_0")
def scaler_unit_has_another_type(b):
    b.answers(
        lambda asked, got: (
            got[:-2] + b"\x11" + got[-1:]
            if got[3:7] == b"\0\x02\x02\x0f" and got[-2] == 0x16
            else got
        )
    )


@fault(WRAPPER, "COSEM_1_0")
def logical_name_is_that_of_another(b):
    b.answers(
        lambda asked, got: (
            changed(got, 8) if asked[3:5] == b"\0\1" and asked[11:12] == b"\1" else got
        )
    )


@fault(WRAPPER, "COSEM_1_0")
def values_cannot_be_read(b):
    b.answers(
        lambda asked, got: got[:3] + b"\1\xfa" if asked[3:11] == b"\0\1\0\0\x60\1\1\xff" else got
    )


@fault(WRAPPER, "COSEM_MULTIPLE")
def lists_end_with_another_value(b):
    def made(old):
        def answer(a, buf, pos, end, count):
            n = old(a, buf, pos, end, count)
            if count and n > 0:
                a.channel.tx[a.channel.tx_pos + n - 1] ^= 1
            return n

        return answer

    b.around(dlms.get, "_answer", made)


@fault(WRAPPER, "COSEM_MANDATORY")
def association_is_not_associated(b):
    b.answers(lambda asked, got: got[:-1] + b"\1" if got[-2:] == b"\x16\2" else got)


@fault(WRAPPER, "COSEM_LIST")
def an_object_is_in_the_list_twice(b):
    def rule(asked, got):
        if got[:4] != b"\xc4\x02\xc1\x00" and got[:4] != b"\xc4\x02\xc1\x01":
            return got
        return got.replace(b"\0\0\x60\1\2\xff", b"\0\0\x60\1\1\xff")

    b.answers(rule)


@fault(WRAPPER, "COSEM_LIST")
def object_list_is_empty(b):
    b.made_up(lambda asked: NAMED[:4] + b"\1\0" if asked == OBJECT_LIST else None)


@fault(WRAPPER, "COSEM_8_0")
def day_of_week_is_that_of_yesterday(b):
    def rule(asked, got):
        is_time = asked[3:5] == b"\0\x08" and asked[11:12] == b"\2" and got[3:6] == b"\0\x09\x0c"
        return got[:10] + bytes(((got[10] + 5) % 7 + 1,)) + got[11:] if is_time else got

    b.answers(rule)


def with_history():
    """A day; and only clients without ciphering, so that requests can be changed."""
    reference = beside.Reference().passes(24)
    mine = reference.description["associations"]
    mine[:] = [a for a in mine if "guek_hex" not in a]
    return reference


@fault(WRAPPER, "COSEM_7_ENTRY", meter=with_history)
def entries_from_the_second_on_begin_with_the_first(b):
    second = b"\2\2\4\6\0\0\0\2"
    b.requests(lambda asked: asked.replace(second, second[:-1] + b"\1"))


@fault(WRAPPER, "COSEM_7_ENTRY", meter=with_history)
def columns_of_entries_are_ignored(b):
    one = b"\x12\0\1\x12\0\1"
    b.requests(lambda asked: asked.replace(one, b"\x12\0\1\x12\0\0"))


@fault(WRAPPER, "COSEM_7_ENTRY", meter=with_history)
def any_selector_is_taken(b):
    b.requests(lambda asked: asked.replace(b"\x09\2\4\6", b"\2\2\4\6"))


@fault(WRAPPER, "COSEM_7_RANGE", meter=with_history)
def ranges_are_ignored(b):
    def rule(asked):
        at = asked.find(b"\1\2\4\2\4")
        return asked[: at - 1] + b"\0" if at > 0 and asked[:2] == b"\xc0\1" else asked

    b.requests(rule)


# --- Blocks ---------------------------------------------------------------------------------


@fault(WRAPPER, "PMT_BLOCK_GET_P1")
def last_block_is_said_too_early(b):
    b.answers(lambda asked, got: changed(got, 3) if got[:2] == b"\xc4\2" and got[7] == 3 else got)


@fault(WRAPPER, "PMT_BLOCK_GET_P1")
def last_block_is_never_said(b):
    b.answers(lambda asked, got: got[:3] + b"\0" + got[4:] if got[:2] == b"\xc4\2" else got)


@fault(WRAPPER, "PMT_BLOCK_GET_N2")
def blocks_of_nothing_come(b):
    b.answers(
        lambda asked, got: (
            got[:3] + b"\1\0\0\0\1\0\1\0" if asked[:2] == b"\xc0\2" and got[8:9] == b"\1" else got
        )
    )


@fault(WRAPPER, "PMT_BLOCK_GET_N3")
def a_request_in_between_is_not_served(b):
    blocks = [False]

    def rule(asked, got):
        between = blocks[0] and asked == NAME
        blocks[0] = got[:4] == b"\xc4\2\xc1\0"
        return b"\xd8\1\1" if between else got

    b.answers(rule)


@fault(WRAPPER, "PMT_BLOCK_GET_P2")
def last_block_of_a_list_is_cut(b):
    b.answers(
        lambda asked, got: (
            got[:9] + bytes((got[9] - 1,)) + got[10:-1] if got[:4] == b"\xc4\2\xc1\1" else got
        )
    )


@fault(WRAPPER, "PMT_BLOCK_SET_P1")
def blocks_are_acknowledged_with_another_number(b):
    b.answers(lambda asked, got: changed(got, 6) if got[:2] == b"\xc5\2" else got)


@fault(WRAPPER, "PMT_BLOCK_ACTION_N1", meter=users)
def actions_that_are_not_there_succeed(b):
    b.made_up(lambda asked: b"\xc7\1\xc1\0\0" if asked[:2] == b"\xc3\2" else None)


# --- Security -------------------------------------------------------------------------------


@fault(WRAPPER, "SYMSEC_0_FraCount_1")
def replays_are_taken(b):
    def made(old):
        def take(a, context, key, buf, at, end):
            if a.state == _OPEN:
                key.rx[:] = buf[at + 1 : at + 5]
            return old(a, context, key, buf, at, end)

        return take

    b.around(dlms.ciphering, "take", made)


@fault(WRAPPER, "SYMSEC_0_SecDataX_N1", "PMT_SEC_AARQ_N1")
def tags_are_not_checked(b):
    def opened(gcm, octets, title, title_pos, buf, at, pos, end):
        gcm.begin(title, title_pos, buf, at)
        gcm.crypt(buf, pos, end)
        return 1

    b.patch(GCM, "open", opened)


@fault(WRAPPER, "SYMSEC_0_SecDataX_N1")
def policy_is_not_kept(b):
    def made(old):
        def unprotect(a, context, *rest):
            context.needs_request = 0
            return old(a, context, *rest)

        return unprotect

    b.around(dlms.ciphering, "unprotect", made)


@fault(WRAPPER, "SYMSEC_0_FraCount_3")
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


@fault(WRAPPER, "SYMSEC_0_BasicCap_1")
def answers_are_only_authenticated(b):
    def made(old):
        return lambda a, context, title, kinds, *rest: old(a, context, title, 1, *rest)

    b.around(dlms.ciphering, "protect", made)


@fault(WRAPPER, "SYMSEC_0_Key_Tx_N2")
def wrapping_of_keys_is_not_checked(b):
    b.around(
        cosem.key_transfer,
        "unwrap",
        lambda old: lambda kek, key, pos, n: old(kek, key, pos, n) or 1,
    )


@fault(WRAPPER, "SYMSEC_0_Key_Tx_P1", "SYMSEC_0_Key_Tx_P2", "SYMSEC_0_Key_Tx_P3")
def new_keys_are_forgotten(b):
    b.patch(cosem.key_transfer, "transfer", lambda kek, n_key, octets: (0, []))


@fault(WRAPPER, "SYMSEC_0_Key_Tx_N1")
def unknown_keys_are_passed_over(b):
    def made(old):
        def transfer(kek, n_key, octets):
            result, keys = old(kek, n_key, octets)
            return (result, keys) if keys is not None else (0, [])

        return transfer

    b.around(cosem.key_transfer, "transfer", made)


@fault(WRAPPER, "SYMSEC_0_DedKey_N1", "SYMSEC_0_SecDataX_P1")
def dedicated_key_is_forgotten(b):
    def made(old):
        def unprotect(a, context, *rest):
            if a.dedicated is not None:
                a.dedicated = context.unicast
            return old(a, context, *rest)

        return unprotect

    b.around(dlms.ciphering, "unprotect", made)


@fault(WRAPPER, "SYMSEC_REL_N1")
def a_plain_release_is_taken(b):
    plain = bytes.fromhex("010000000006")

    def rule(asked):
        is_plain = asked[:1] == b"\x62" and plain[:2] in asked[8:12]
        return b"\x63\x03\x80\x01\x00" if is_plain else None

    b.made_up(rule)


@fault(WRAPPER, "PMT_SEC_GENERAL_P1")
def title_of_general_answers_is_another(b):
    b.line.outward = lambda octets: changed(octets, 17) if octets[8:10] == b"\xdb\x08" else octets


@fault(WRAPPER, "SYMSEC_0_SecPol_1", meter=lambda: beside.Small(17, 40))
def first_policy_is_not_kept(b):
    policy_is_not_kept(b)


@fault(WRAPPER, "SYMSEC_0_SecPol_2", meter=lambda: beside.Small(17, 40))
def policy_of_encryption_can_be_taken_back(b):
    policy_can_be_taken_back(b)


@fault(WRAPPER, "SYMSEC_0_SecPol_3")
def policy_can_be_taken_back(b):
    def activate(handler, row, policy):
        handler.model.image[handler.model.slot(row, 2) + 1] = policy
        return 0

    b.patch(cosem.security_setup.Handler, "_activate", activate)


# --- General blocks -------------------------------------------------------------------------


@fault(WRAPPER, "PMT_GBT_P4")
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


@fault(WRAPPER, "PMT_GBT_P1", "PMT_GBT_P2")
def general_blocks_begin_with_two(b):
    b.around(
        dlms.gbt_answer.Answer,
        "_put",
        lambda old: lambda t, a, control, number, *rest: old(t, a, control, number + 1, *rest),
    )


@fault(WRAPPER, "PMT_GBT_P2")
def window_of_the_client_is_ignored(b):
    b.around(dlms.gbt_answer.Answer, "_window", lambda old: lambda t, a, window: old(t, a, 20))


@fault(WRAPPER, "PMT_GBT_P3")
def blocks_are_acknowledged_one_too_far(b):
    b.answers(lambda asked, got: changed(got, 5, 3) if got[:1] == b"\xe0" else got)


@fault(WRAPPER, "PMT_GBT_N1")
def gaps_are_acknowledged(b):
    b.answers(
        lambda asked, got: (
            got[:4] + asked[2:4] + got[6:] if asked[:1] == b"\xe0" and got[:1] == b"\xe0" else got
        )
    )


@fault(WRAPPER, "PMT_GBT_N2")
def any_acknowledgement_is_taken(b):
    b.requests(lambda asked: asked.replace(b"\0\x28\0", b"\0\1\0") if len(asked) == 7 else asked)


@fault(WRAPPER, "PMT_GBT_N3")
def general_blocks_are_served_that_were_not_negotiated(b):
    answer = b"\xe0\x81\0\1\0\1" + bytes((len(NAMED),)) + NAMED
    b.made_up(lambda asked: answer if asked[:1] == b"\xe0" else None)


@fault(WRAPPER, "PMT_GBT_N4")
def cut_blocks_are_served(b):
    b.made_up(lambda asked: NAMED if asked[:1] == b"\xe0" and asked[-3:] != b"\xff\1\0" else None)
