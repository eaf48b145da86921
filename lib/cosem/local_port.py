# SPDX-License-Identifier: MIT
"""What a client finds at the local port in the modes A to C of IEC 62056-21: the settings of an
IEC local port setup object, a readout, passwords, registers that are read and written. It stands
behind profiles/iec62056_21.py, which says when each is called.

Rights are those of clients of the definition: one whoever signs on has, and one for each of the
passwords pass_p1, pass_p2 and pass_w5, which take the place of those before. What a client may not
read is left out of the readout. Failed passwords count, delay and are logged as failed
authentications of that client (dlms/guard.py).

    P1 (password)   P2 (password)   W5 (password)          the rights of that client
    R1, R5  C.D.E()                 C.D.E(value*unit)      attribute 2 of the object
    W1, W5  C.D.E(value)            ACK

Uncertain: W5 and R5 are for national applications, which this one has none of: R5 is R1, and W5
with a name is W1. P2 is compared, no algorithm is applied to it. An error message is (ERxx), xx a
data_access_result in hexadecimal; 0D is a password that is wrong, 02 one that is not judged now.

Allocates at construction an association of its own; nothing later.
"""

from cosem import data_text, slots
from dlms import axdr
from dlms.association import Association
from dlms.prim import compare, copy, same
from micropython import const

# IEC local port setup.
_DEFAULT_MODE = const(2)
_DEFAULT_BAUD = const(3)
_PROP_BAUD = const(4)
_RESPONSE_TIME = const(5)
_DEVICE_ADDR = const(6)
_PASS_P1 = const(7)
_SIGN_ON = const(0)
_HDLC = const(1)

_PROFILE_GENERIC = const(7)
_CAPTURE_OBJECTS = const(3)
_VALUE = const(2)
# An element: 02 04, 12 class_id, 09 06 logical_name, 0F attribute_index, 12 data_index.
_ELEMENT_LEN = const(18)
_CLASS_AT = const(3)
_NAME_AT = const(7)
_ATTRIBUTE_AT = const(14)
_INDEX_AT = const(16)

# Classes with a scaler_unit, and the attribute that it is.
_REGISTER = const(3)
_EXTENDED_REGISTER = const(4)
_DEMAND_REGISTER = const(5)
_SCALER_UNIT = const(3)
_DEMAND_SCALER_UNIT = const(4)
_NO_UNIT = const(255)

_COMPUTED = const(0)
_STRUCTURE = const(2)
_HDLC_SETUP = const(23)
_COMM_SPEED = const(2)
_9600 = const(5)

# Results, beside ends of what was written.
_AGAIN = const(-1)
_NO_MORE = const(-2)
_SIGNS_OFF = const(-3)
_FAILED = const(-10)  # and data_access_results below that

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_OBJECT_UNDEFINED = const(4)
_SCOPE_VIOLATED = const(13)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)
# todo of the server: others are served meanwhile; there is no room for what was wanted.
_STEPS = const(128)
_REFUSE = const(16384)

_THIS = const(-1)  # no position at which a request on this channel ends
_ATTEMPTS = const(3)  # passwords that are wrong, in a session
_LETTER_P = const(0x50)
_LETTER_R = const(0x52)
_LETTER_W = const(0x57)
_OPEN_BRACKET = const(0x28)
_CLOSE_BRACKET = const(0x29)
_STAR = const(0x2A)
_HEX = b"0123456789ABCDEF"
_ERROR = b"(ER..)"


class LocalPort:
    """
    flag            three letters, the manufacturer
    identification  up to 16 characters
    protocol_mode   A, B, C or E, as its character
    battery         does it have to be woken?
    """

    def __init__(self, server, channel, terms):
        """terms: OPTICAL of a definition: row of the IEC local port setup, row of the readout or
        -1, flag, identification, protocol_mode, battery, server_sap of the logical device, and
        client_sap, or -1 for nobody: of whoever signs on, of pass_p1, pass_p2, pass_w5."""
        self.server = server
        self.model = server.model
        self.channel = channel
        self.row = terms[0]
        self._readout = terms[1]
        self.flag = terms[2]
        self.identification = terms[3]
        self.protocol_mode = terms[4]
        self.battery = terms[5]
        # Their rows of ASSOCIATIONS; None also of one that is not let in, see provisioning.py.
        self._clients = [server.config(client, terms[6]) for client in terms[7]]
        rows = self.model.rows(_HDLC_SETUP)
        self._hdlc_setup = rows[0] if rows else -1
        self._client = a = Association(server, 0)
        a.channel = channel
        self._may = False  # the client has rights
        self._failures = 0
        self._k = 0  # of the readout: the next of its columns
        self._name = bytearray(8)  # logical_name, behind two octets for model.named()
        # Of the value in hand: its unit, and the power of ten that it is shown in.
        self._unit = _NO_UNIT
        self._shift = 0
        self.close()

    # --- Settings ---------------------------------------------------------------------------

    def direct_rate(self):
        """Number of the rate of HDLC without sign-on; -1: there is a sign-on."""
        mode = slots.octet(self.model, self.row, _DEFAULT_MODE)
        if mode == _SIGN_ON:
            return -1
        if mode != _HDLC:
            return slots.octet(self.model, self.row, _PROP_BAUD)
        if self._hdlc_setup < 0:
            return _9600
        return slots.octet(self.model, self._hdlc_setup, _COMM_SPEED)

    def default_rate(self):
        return slots.octet(self.model, self.row, _DEFAULT_BAUD)

    def proposed_rate(self):
        return slots.octet(self.model, self.row, _PROP_BAUD)

    def is_fast(self):
        """May the reaction take 20 ms, not 200?"""
        return slots.octet(self.model, self.row, _RESPONSE_TIME) == 0

    def is_addressed(self, buf, pos, end):
        """Is this device meant by a device address? Zeros in front mean nothing, in that of the
        device either; none at all means everybody."""
        if pos == end:
            return True
        src = slots.source(self.model, self.row, _DEVICE_ADDR)
        at = slots.offset(self.model, self.row, _DEVICE_ADDR) + 2
        last = at + src[at - 1]
        while pos < end and buf[pos] == 0x30:
            pos += 1
        while at < last and src[at] == 0x30:
            at += 1
        n = end - pos
        return n == last - at and compare(buf, pos, src, at, n) == 0

    def operand(self, out, pos):
        """The operand of P0: the device address."""
        src = slots.source(self.model, self.row, _DEVICE_ADDR)
        at = slots.offset(self.model, self.row, _DEVICE_ADDR) + 2
        n = src[at - 1]
        copy(out, pos, src, at, n)
        return pos + n

    # --- Clients ----------------------------------------------------------------------------

    def _become(self, k):
        """Have the rights of the client of pass_p1 (1), pass_p2, pass_w5 (3), or of anybody."""
        config = self._clients[k]
        self._may = config is not None
        if self._may:
            self._client.configure(config)

    def close(self):
        """A session is over, or begins: the rights of anybody; nothing is waited for."""
        self._become(0)
        self._failures = 0
        if self.server.held is self.channel:
            self.server.held = None

    def _password(self, k, buf, pos, end):
        """P1, P2, W5: 0, or -10 - data_access_result, or _SIGNS_OFF."""
        config = self._clients[k]
        if end - pos < 2 or buf[pos] != _OPEN_BRACKET or buf[end - 1] != _CLOSE_BRACKET:
            return _FAILED - _OTHER_REASON
        if config is None:
            return _FAILED - _SCOPE_VIOLATED
        guard = self.server.guard
        a = self._client
        if guard.is_locked(a, config):
            return _FAILED - _TEMPORARY_FAILURE
        attribute = _PASS_P1 + k - 1
        src = slots.source(self.model, self.row, attribute)
        at = slots.offset(self.model, self.row, attribute) + 2
        n = src[at - 1]
        pos += 1
        # No password is none that opens. The time that this takes tells the length at most.
        if n and same(src, at, buf, pos, n) and end - 1 - pos == n:
            guard.passed(a, config)
            self._failures = 0
            self._become(k)
            return 0
        self._become(0)
        self.server.authentication_failed(a, config)
        self._failures += 1
        return _SIGNS_OFF if self._failures >= _ATTEMPTS else _FAILED - _SCOPE_VIOLATED

    # --- Readout ----------------------------------------------------------------------------

    def begin(self):
        """The data message begins."""
        self._k = 0

    def line(self, out, pos, limit):
        """Write the next data line at out[pos:limit], without CR LF; -1: not now, the same again;
        -2: there is no more. out[limit:] is used to work in."""
        model = self.model
        if self._readout < 0 or not self._may:
            return _NO_MORE
        attribute = _VALUE
        if model.class_id(self._readout) == _PROFILE_GENERIC:
            attribute = _CAPTURE_OBJECTS
        while True:
            src = slots.source(model, self._readout, attribute)
            at = slots.offset(model, self._readout, attribute)
            n = axdr.length(src, at + 1, len(src))
            if self._k >= n:
                return _NO_MORE
            at += 1 + axdr.length_size(src, at + 1) + self._k * _ELEMENT_LEN
            try:
                result = self._column(src, at, out, pos, limit)
            except Exception as e:
                self.server.fault = e
                result = _FAILED
            if result == _AGAIN:
                return _AGAIN
            self._k += 1
            if result >= 0:
                return result

    def _column(self, src, at, out, pos, limit):
        """Write the data set of the capture object at src[at:]; as _show()."""
        # Of a Data anything may be the value.
        if src[at] != _STRUCTURE or src[at + 1] != 4 or src[at + _NAME_AT - 1] != 6:
            return _FAILED
        row = slots.find_object(
            self.model, self._client.device, src, at + _CLASS_AT, at + _NAME_AT
        )
        if row < 0:
            return _FAILED
        index = axdr.get_u16(src, at + _INDEX_AT)
        return self._show(row, src[at + _ATTRIBUTE_AT], index, out, pos, limit)

    def _show(self, row, attribute, index, out, pos, limit):
        """Write a data set; its end, or -1, or -10 - data_access_result."""
        end = self._read(row, attribute, out, limit)
        if end < 0:
            return end
        at = limit
        if index:
            if out[at] != _STRUCTURE or index > out[at + 1]:
                return _FAILED - _OBJECT_UNDEFINED
            at += 2
            while index > 1:
                at = axdr.skip(out, at, end)
                index -= 1
            end = axdr.skip(out, at, end)
        self._scale(row, attribute)
        pos = data_text.put_name(out, pos, self.model.objects, (row << 4) + 2)
        out[pos] = _OPEN_BRACKET
        # Behind it is room for the unit and the bracket.
        pos = data_text.put_value(out, pos + 1, limit - 7, out, at, end, self._shift)
        if pos < 0:
            return _FAILED - _OTHER_REASON
        pos = data_text.put_unit(out, pos, limit - 1, self._unit)
        out[pos] = _CLOSE_BRACKET
        return pos + 1

    def _read(self, row, attribute, out, at):
        """Write the encoding of an attribute at out[at:]; its end, or -1, or -10 - result."""
        model = self.model
        dar = self._client.may_read(row, attribute)
        if dar:
            return _FAILED - dar
        if model.kind(row, attribute) == _COMPUTED and model.asleep:
            if self._is_refused():
                return _FAILED - _TEMPORARY_FAILURE
            if model.wakes(row):
                return _AGAIN
        end = model.read(row, attribute, out, at, len(out))
        return _FAILED - _OTHER_REASON if end < 0 else end

    def _is_refused(self):
        """Is there no room for what this has asked the server to load?"""
        server = self.server
        if not server.todo & _REFUSE:
            return False
        server.todo &= ~_REFUSE
        return True

    def _scale(self, row, attribute):
        """Have the unit of an attribute, and the power of ten that its value is shown in."""
        self._unit = _NO_UNIT
        self._shift = 0
        model = self.model
        kind = model.class_id(row)
        scaler_unit = _SCALER_UNIT
        if kind == _DEMAND_REGISTER:
            scaler_unit = _DEMAND_SCALER_UNIT
        elif kind != _REGISTER and kind != _EXTENDED_REGISTER:
            return
        if attribute < _VALUE or attribute >= scaler_unit:
            return
        src = slots.source(model, row, scaler_unit)
        # 02 02 0F scaler 16 unit
        at = slots.offset(model, row, scaler_unit)
        scaler = src[at + 3]
        self._unit = src[at + 5]
        self._shift = (scaler ^ 0x80) - 0x80 - data_text.thousands(self._unit)

    # --- Commands ---------------------------------------------------------------------------

    def command(self, kind, number, buf, pos, end, out, out_pos, limit):
        """Carry out a command: its two characters (kind 0: a block of one, which is not known
        here), and its data buf[pos:end]. 0: done; a position: the data set out[out_pos:that] is
        the answer; -1: not now, the same again; -3: the session is over. out[limit:] is used to
        work in."""
        number -= 0x30
        result = _FAILED - _OTHER_REASON
        try:
            if kind == _LETTER_P and 1 <= number <= 2:
                result = self._password(number, buf, pos, end)
            elif kind == _LETTER_W and number == 5 and pos < end and buf[pos] == _OPEN_BRACKET:
                result = self._password(3, buf, pos, end)
            elif (kind == _LETTER_R or kind == _LETTER_W) and (number == 1 or number == 5):
                at = data_text.get_name(buf, pos, end, self._name, 2)
                result = self._find(buf, at, end)
                if result >= 0 and kind == _LETTER_R:
                    result = self._show(result, _VALUE, 0, out, out_pos, limit)
                elif result >= 0:
                    result = self._write(result, buf, at + 1, end - 1, out, limit)
        except Exception as e:
            self.server.fault = e
            result = _FAILED - _OTHER_REASON
        if result <= _FAILED:
            result = _put_error(out, out_pos, _FAILED - result)
        return result

    def _find(self, buf, at, end):
        """Row of the object whose name is in _name; -10 - data_access_result if there is none, or
        buf[at:end] is not (value)."""
        if at < 0 or at + 2 > end or buf[at] != _OPEN_BRACKET or buf[end - 1] != _CLOSE_BRACKET:
            return _FAILED - _OTHER_REASON
        if not self._may:
            return _FAILED - _SCOPE_VIOLATED
        a = self._client
        row = self.model.named(a.device, self._name, 0)
        while row >= 0 and not a.sees(row):
            row = self.model.named(a.device, self._name, 0, row)
        return row if row >= 0 else _FAILED - _OBJECT_UNDEFINED

    def _write(self, row, buf, pos, end, out, limit):
        """W1 of an object: 0, or -1, or -10 - data_access_result. It is saved before it is
        acknowledged."""
        server = self.server
        model = self.model
        if self._is_refused():
            return _FAILED - _TEMPORARY_FAILURE
        if server.todo and server.todo != _STEPS:
            return _AGAIN
        if server.held is not None:
            n = self.channel.fetch(_THIS)
            if n:
                return _AGAIN if n < 0 else _SUCCESS if n == 1 else _FAILED - _OTHER_REASON
        dar = self._client.may_write(row, _VALUE)
        if dar:
            return _FAILED - dar
        if model.asleep and model.wakes(row):
            return _AGAIN
        at = model.read(row, _VALUE, out, limit, len(out))
        if at < 0:
            return _FAILED - _OTHER_REASON
        self._scale(row, _VALUE)
        for i in range(pos, end):
            if buf[i] == _STAR:
                if not data_text.is_unit(buf, i + 1, end, self._unit):
                    return _FAILED - _OTHER_REASON
                end = i
                break
        last = data_text.get_value(buf, pos, end, out, at, len(out), limit, self._shift)
        if last < 0:
            return _FAILED - _TYPE_UNMATCHED
        dar = model.write(row, _VALUE, out, at, last)
        if dar:
            return _FAILED - dar
        return _AGAIN if self.channel.hold(1, _THIS, 1) < 0 else _SUCCESS


def _put_error(out, pos, result):
    """(ERxx)"""
    copy(out, pos, _ERROR, 0, len(_ERROR))
    out[pos + 3] = _HEX[result >> 4]
    out[pos + 4] = _HEX[result & 15]
    return pos + len(_ERROR)
