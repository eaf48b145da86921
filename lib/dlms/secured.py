# SPDX-License-Identifier: MIT
"""Requests in associations that cipher, or that wait for pass 3 of the authentication.

They are deciphered, held against security_policy, served as others are, and the answer is
protected in the form of the request, with what request and policy ask for (IEC 62056-5-3, 5.3).
Nothing is allocated. -1: the server has work to do first, and the same octets are to come again.
A meter without security does not load this, nor what it imports: server.py and opening.py reach
ciphering and hls through it.
"""

from dlms import ciphering, exceptions, hls
from dlms.ciphering import OVERHEAD as _OVERHEAD
from dlms.get import request as _get
from dlms.prim import compare, copy, gap
from dlms.security_work import Work
from micropython import const

_RLRQ = const(0x62)
_GET_REQUEST = const(0xC0)
_ACTION_REQUEST = const(0xC3)
_UNCONFIRMED_WRITE_REQUEST = const(0x16)
_CONFIRMED = const(0x40)  # of invoke_id_and_priority
_EXCEPTION_RESPONSE = const(0xD8)
# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# States and events of association.py.
_PENDING = const(1)
_OPEN = const(2)
_RLRQ_RECEIVED = const(3)
_ABORTED = const(6)

# Forms of ciphering.py; from _GENERAL on there is a tag for any APDU. Who does _IDENTIFIED is a
# part of the server.
_GLO = const(1)
_GENERAL = const(3)
_IDENTIFIED = const(5)
_BY_JOB = const(6)  # and those of general.py
_IDENTIFIED_KEYS = "dlms.identified"

# What jobs are about, see secured_association.py.
_PEEL = const(2)
_SEAL = const(3)

_ACCESS_REQUEST = const(0xD9)
_GENERAL_GLO = const(0xDB)
_GENERAL_CIPHERING = const(0xDD)
_GENERAL_SIGNING = const(0xDF)
_GENERAL_BLOCK_TRANSFER = const(0xE0)
_CONFORMANCE_GENERAL_PROTECTION = const(0x400000)
_CONFORMANCE_GENERAL_BLOCK_TRANSFER = const(0x200000)
_CONFORMANCE_GET = const(0x000010)
_CIPHERED = const(3)
_SIGNED = const(4)
_NOT_SUPPORTED = const(2)
_DECIPHERING_ERROR = const(5)

_NOT_FINISHED = const(1)

_NEVER_USED = b"\0\0\0\0"
# Tags of protected APDUs, a bit each: those of ciphering.py, general-ciphering, general-signing.
_PROTECTED = (
    b"\x00\x00\x00\x00\x62\x00\x40\x00\x62\x00\x40\x00\x00\x00\x00\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xb8\x00\x00\x00\x00"
)

# Fields of a row of ASSOCIATIONS in the definition.
_MAX_PDU = const(5)
_SECURITY = const(8)
_PRE_ESTABLISHED = const(9)
_RESPONSES = const(10)
_SYSTEM_TITLE_LEN = const(8)

# todo, see security_work.py.
_KEYS = const(16)
_GENERAL_LOAD = const(256)
_MOST_TX = const(2)  # counters that an answer takes, see hls.py
_SHORTEST = const(12)  # answer in plain text that there has to be room for, see opening.py


class Security(Work):
    """What a server has beyond plain requests; one for all its associations."""

    def __init__(self, server):
        Work.__init__(self, server)
        self.hls = hls
        self.general = None  # see load_general()
        self._lowest = None  # counter that an invocation-counter-error tells, of a job
        model = server.model
        if model.on_security is not None:
            model.on_security(True)
        model.wake("security_setup")
        handler = model.handler("security_setup")
        if handler is not None:
            handler.begin()

    def context_of(self, config):
        """The ciphering.Context of an association of the definition, or None. It may allocate."""
        if config is None or config[_SECURITY] < 0:
            return None
        row = config[_SECURITY]
        return self.server.model.handler_of(row).context(row)

    def request(self, channel, a, buf, pos, end):
        """A request in an association that ciphers, or that waits for pass 3."""
        if a.asks and a.code is None:
            return -1
        tag = buf[pos]
        if (
            tag == _GENERAL_BLOCK_TRANSFER
            and a.state == _OPEN
            and a.conformance & _CONFORMANCE_GENERAL_BLOCK_TRANSFER
        ):
            return a.general_block(buf, pos, end)
        if a.asks == _SEAL:
            return self._sealed(channel, a)
        context = a.context
        if context is not None:
            # Also for one that had to wait: others may have used up what there was.
            key = context.unicast
            if key is None or gap(key.tx, 0, key.tx_end, 0) < _MOST_TX:
                if not self.has_counters(context):
                    return -1
        at = pos
        if a.kept_end:
            at += a.kept_pos
            end = pos + a.kept_end
            a.kept_end = 0
        else:
            a.form = a.protection = 0
            a.by_broadcast = False
            if tag == _RLRQ:
                return self._release(channel, a, buf, pos, end)
        tag = buf[at]
        protection = kinds = 0
        if context is not None:
            while _PROTECTED[tag >> 3] >> (tag & 7) & 1:
                if tag < _GENERAL_GLO and not a.protection:
                    wrong = ciphering.unprotect(a, context, a.title, 0, buf, at, end)
                else:
                    wrong = self._peel(a, context, buf, at, end)
                if wrong < 0:
                    a.comes_again(pos, at, end)
                    return -1
                if wrong:
                    self._give_up(channel, a)
                    return self._wrong(channel, context, wrong)
                at = a.plain_pos
                end = a.plain_end
                tag = buf[at]
            protection = a.protection
            if a.by_broadcast and _is_confirmed(buf, at, end):
                # Many meters have that key: it is for what nobody answers.
                return exceptions.failed(channel)
            # A method that is done has been judged by the policy of before.
            if context.needs_request & ~protection and not a.asks:
                self._give_up(channel, a)
                return exceptions.failed(channel)
            kinds = protection | context.needs_response
            if tag == _ACCESS_REQUEST and not a.form:
                # There is no tag of its own for its protected answer.
                a.form = _GENERAL
            # Rights may ask for more, and which are used is not known yet.
            possible = kinds | a.config[_RESPONSES] & a.possible_kinds
            if a.form < _IDENTIFIED and not possible & _SIGNED:
                a.limit = a.full_limit - _OVERHEAD[a.form << 2 | possible]
            else:
                overhead = self._overhead(a, possible)
                if overhead < 0:
                    a.comes_again(pos, at, end)
                    return -1
                a.limit = a.full_limit - overhead
            if a.limit < _SHORTEST and a.state == _OPEN:
                return exceptions.too_long(channel)
            if a.transfer_kinds & ~protection:
                # Who goes on with a long transfer has shown as much as who began it.
                a.transfer = a.transfer_kinds = 0
            if not a.transfer and not a.asks:
                a.response_kinds = 0
        if a.state == _PENDING:
            n = hls.pass_3(self, channel, a, buf, at, end)
        elif tag == _GET_REQUEST and a.conformance & _CONFORMANCE_GET:
            n = _get(a, buf, at, end)
        elif tag == _GENERAL_BLOCK_TRANSFER:
            # Protection goes into blocks, and blocks into none.
            n = exceptions.not_supported(channel, tag)
        elif tag >= _GET_REQUEST or a.own_name:
            n = self.server.service(channel, a, buf, at, end)
        elif self.server.on_confirm is not None and self.server.on_confirm(
            a.client_sap, a.server_sap, buf, at, end, True
        ):
            n = 0
        else:
            n = exceptions.not_supported(channel, tag)
        if n < 0:
            a.comes_again(pos, at, end)
            return n
        a.transfer_kinds = a.transfer_kinds | protection if a.transfer else 0
        if a.asks:
            a.forget_job()
        kinds |= a.response_kinds
        if n == 0 or not kinds or channel.tx[channel.tx_pos] == _GENERAL_BLOCK_TRANSFER:
            # Nothing, plain, or protected already.
            return n
        # There is no protected exception-response but in the general forms.
        if channel.tx[channel.tx_pos] == _EXCEPTION_RESPONSE and a.form < _GENERAL:
            return n
        if not a.form:
            a.form = _GLO
        start = channel.tx_pos
        if kinds & _SIGNED or a.form >= _BY_JOB:
            if a.context is None:
                # Pass 3 was wrong: there is no association any more to make an answer for.
                return exceptions.failed(channel)
            a.about = kinds
            return a.ask(_SEAL, channel.tx, start, start + n)
        start = self.protect(a, context, kinds, channel.tx, start, start + n)
        if start < 0:
            return exceptions.failed(channel)
        channel.tx_pos = start
        return a.plain_end - start

    def _wrong(self, channel, context, wrong):
        """The answer to protection that is wrong, which the meter's log may hear of."""
        lowest = self._lowest
        self._lowest = None
        if lowest is None:
            lowest = context.unicast.rx if context.unicast is not None else _NEVER_USED
        if wrong >= _DECIPHERING_ERROR and self.server.on_protection_failed is not None:
            self.server.on_protection_failed(wrong != _DECIPHERING_ERROR)
        return exceptions.protection(channel, wrong, lowest)

    def _peel(self, a, context, buf, at, end):
        """Take one layer of protection off buf[at:end], as ciphering.unprotect() does."""
        tag = buf[at]
        if a.asks == _PEEL:
            wrong = a.code
            octets = a.octets
            a.forget_job()
            n = len(octets)
            if not wrong:
                # The tag in front of it stays: a request that comes again is no other one.
                a.plain_pos = at + 1
                a.plain_end = at + 1 + n
                copy(buf, a.plain_pos, octets, 0, n)
            elif n:
                self._lowest = octets
            return wrong
        if not a.conformance & _CONFORMANCE_GENERAL_PROTECTION and tag >= _GENERAL_GLO:
            return _NOT_SUPPORTED
        # Signed once and ciphered once, in either order.
        if a.protection & (_SIGNED if tag == _GENERAL_SIGNING else _CIPHERED):
            return _DECIPHERING_ERROR
        if tag == _GENERAL_SIGNING:
            return a.ask(_PEEL, buf, at, end)
        if tag == _GENERAL_CIPHERING:
            identified = self.server.part(_IDENTIFIED_KEYS)
            if identified is None:
                return -1
            if identified.is_here(buf, at, end):
                return identified.unprotect(a, context, a.title, 0, buf, at, end)
            return a.ask(_PEEL, buf, at, end)
        if a.config[_PRE_ESTABLISHED] and tag == _GENERAL_GLO and at + 10 < end:
            # Nobody has said yet who the client is.
            copy(a.title, 0, buf, at + 2, _SYSTEM_TITLE_LEN)
            if compare(a.title, 0, self.server.model.system_title, 0, _SYSTEM_TITLE_LEN) == 0:
                # An answer of the meter, come back.
                return _DECIPHERING_ERROR
        return ciphering.unprotect(a, context, a.title, 0, buf, at, end)

    def unprotect(self, a, context, title, title_pos, buf, pos, end):
        """ciphering.unprotect(), for what identified.py has, too: an InitiateRequest, with which
        an association begins or ends. Not with a key that many meters have: that of broadcasts."""
        part = ciphering
        if buf[pos] == _GENERAL_CIPHERING:
            part = self.server.part(_IDENTIFIED_KEYS)
            if part is None:
                return -1
        broadcast = context.broadcast
        context.broadcast = None
        try:
            return part.unprotect(a, context, title, title_pos, buf, pos, end)
        finally:
            context.broadcast = broadcast

    def protect(self, a, context, kinds, buf, pos, end):
        """ciphering.protect(), or that of identified.py, which the request has loaded."""
        part = self.server.parts[_IDENTIFIED_KEYS] if a.form == _IDENTIFIED else ciphering
        return part.protect(a, context, self.server.model.system_title, kinds, buf, pos, end)

    def is_protected(self, tag):
        """Is this the tag of something for unprotect()?"""
        return tag == _GENERAL_CIPHERING or ciphering.is_protected(tag)

    def _overhead(self, a, kinds):
        """Octets that the protection of the answer takes; -1: who knows is not there yet."""
        if not kinds & _SIGNED:
            if a.form < _IDENTIFIED:
                return ciphering.overhead(a.form, kinds)
            if a.form == _IDENTIFIED:
                identified = self.server.part(_IDENTIFIED_KEYS)
                return -1 if identified is None else identified.overhead(a, kinds)
        if self.general is None:
            self.server.todo |= _GENERAL_LOAD
            return -1
        return self.general.overhead(a, kinds)

    def forget(self):
        """Let go of code that is loaded again when it is needed."""
        self.general = None

    def load_general(self):
        """Only who signs, or has keys that are wrapped or agreed, needs this much code."""
        from dlms import general

        self.general = general

    def _give_up(self, channel, a):
        """What cannot be read takes no place: a pre-established association is opened anew by a
        request that can."""
        if a.config[_PRE_ESTABLISHED]:
            a.event(_ABORTED)
            channel.last = None

    def _sealed(self, channel, a):
        """The answer that a job has protected."""
        failed = a.code
        octets = a.octets
        a.forget_job()
        if self.waits:
            self.server.todo |= _KEYS
        n = len(octets)
        if failed:
            return exceptions.failed(channel)
        if n > a.full_limit:
            return exceptions.too_long(channel)
        copy(channel.tx, _HEADROOM, octets, 0, n)
        return channel.reply(_HEADROOM, _HEADROOM + n)

    def _release(self, channel, a, buf, pos, end):
        """An RLRQ where the policy asks for protection has to bring a protected InitiateRequest:
        nobody else can end the association."""
        opening = self.server.opening
        acse = opening.acse
        at = acse.rlrq_information(buf, pos, end)
        if at < 0:
            return exceptions.malformed(channel)
        context = a.context
        if context is not None and at and self.is_protected(buf[at]):
            wrong = self.unprotect(a, context, a.title, 0, buf, at, end)
            if wrong < 0:
                return -1
            if wrong:
                return self._wrong(channel, context, wrong)
        tx = channel.tx
        if context is not None and context.needs_request & ~a.protection:
            return channel.reply(_HEADROOM, acse.put_rlre(tx, _HEADROOM, _NOT_FINISHED))
        # A pre-established one is not finished by that: 1, else normal, 0.
        end = pos = acse.put_rlre(tx, _HEADROOM, a.config[_PRE_ESTABLISHED])
        if a.protection:
            # The InitiateResponse once more, protected as the request.
            size = min(a.config[_MAX_PDU], channel.max_receive_pdu)
            end = opening.put_information(
                a, context, tx, pos, 0, -1, a.conformance, size, a.own_name
            )
            if end < 0:
                end = pos
            tx[_HEADROOM + 1] += end - pos
        a.event(_RLRQ_RECEIVED)
        channel.last = None
        return channel.reply(_HEADROOM, end)


def _is_confirmed(buf, at, end):
    """Does the plain request buf[at:end] ask for an answer? One cut short before that does."""
    tag = buf[at]
    if _GET_REQUEST <= tag <= _ACTION_REQUEST:
        at += 2
    elif tag == _ACCESS_REQUEST:
        at += 1
    else:
        return tag != _UNCONFIRMED_WRITE_REQUEST
    return at >= end or buf[at] & _CONFIRMED
