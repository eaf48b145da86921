# SPDX-License-Identifier: MIT
"""An application association (IEC 62056-5-3, clauses 4, 6 and 7): its states, rights and limits.

An Association is one of a pool that the server makes at boot: one work buffer and one stream
each. Everything that decides in which state what is answered stands in the two tables below.
"""

from dlms import initiate
from dlms.axdr import get_small_u32, length, length_size
from dlms.prim import compare, copy, same
from dlms.stream import Stream
from micropython import const

# --- States of an association -----------------------------------------------------------------
_IDLE = const(0)  # free: belongs to no client
_PENDING = const(1)  # AARE sent with authentication-required, pass 3 of HLS awaited
_OPEN = const(2)

# What can happen to it.
_AARQ_ACCEPTED = const(0)
_AARQ_PENDING = const(1)
_AARQ_REJECTED = const(2)
_RLRQ = const(3)
_HLS_PASSED = const(4)
_HLS_FAILED = const(5)
_ABORTED = const(6)  # the link is gone, or time is out

# Next state, by state and event. An AARQ of a client that has an association open already is
# judged like a first one: accepted, it replaces the open one; rejected, the open one goes on.
TRANSITIONS = (
    # ACCEPTED PENDING REJECTED RLRQ  PASSED FAILED ABORTED
    (_OPEN, _PENDING, _IDLE, _IDLE, _IDLE, _IDLE, _IDLE),  # IDLE
    (_OPEN, _PENDING, _IDLE, _IDLE, _OPEN, _IDLE, _IDLE),  # PENDING
    (_OPEN, _PENDING, _OPEN, _IDLE, _OPEN, _OPEN, _IDLE),  # OPEN
)

# --- Long transfers: what runs, what arrives, and the result for what does not go on ----------
_NO_TRANSFER = const(0)
_LONG_GET = const(1)
_LONG_SET = const(2)
_LONG_ACTION_REQUEST = const(3)
_LONG_ACTION_RESPONSE = const(4)

_GET_NEXT = const(0)
_SET_BLOCK = const(1)
_ACTION_PBLOCK = const(2)
_ACTION_NEXT_PBLOCK = const(3)

_NO_LONG_GET_IN_PROGRESS = const(16)
_NO_LONG_SET_IN_PROGRESS = const(18)
_NO_LONG_ACTION_IN_PROGRESS = const(16)

# 0: goes on. Any other request ends what runs, without a word.
CONTINUES = (
    # GET_NEXT SET_BLOCK ACTION_PBLOCK ACTION_NEXT_PBLOCK
    (16, 18, 16, 16),  # NO_TRANSFER
    (0, 18, 16, 16),  # LONG_GET
    (16, 0, 16, 16),  # LONG_SET
    (16, 18, 0, 16),  # LONG_ACTION_REQUEST
    (16, 18, 16, 0),  # LONG_ACTION_RESPONSE
)

# What take_block() says.
_LAST = const(0)
_MORE = const(-1)
_MALFORMED = const(-2)
_NO_ROOM = const(1)
_DATA_BLOCK_NUMBER_INVALID = const(19)

# --- Codes ------------------------------------------------------------------------------------
_ACCEPTED = const(0)
_REJECTED_PERMANENT = const(1)
_REJECTED_TRANSIENT = const(2)

_USER = const(0xA1)
_PROVIDER = const(0xA2)
_DIAGNOSTIC_NULL = const(0)
_NO_REASON_GIVEN = const(1)
_APPLICATION_CONTEXT_NOT_SUPPORTED = const(2)
_MECHANISM_NAME_NOT_RECOGNISED = const(11)
_MECHANISM_NAME_REQUIRED = const(12)
_AUTHENTICATION_FAILURE = const(13)
_AUTHENTICATION_REQUIRED = const(14)
_CALLING_AP_TITLE_NOT_RECOGNISED = const(3)
_CALLING_AE_INVOCATION_ID_NOT_RECOGNISED = const(6)
_CALLED_AP_TITLE_NOT_RECOGNISED = const(7)
_SYSTEM_TITLE_LEN = const(8)
_NO_COMMON_ACSE_VERSION = const(2)

_INITIATE_ERROR_CLASS = const(6)
_DLMS_VERSION_TOO_LOW = const(1)
_INCOMPATIBLE_CONFORMANCE = const(2)
_PDU_SIZE_TOO_SHORT = const(3)
_REFUSED_BY_VDE_HANDLER = const(4)

_DLMS_VERSION = const(6)
_SMALLEST_PDU = const(12)
_LN_CONTEXT = const(1)
_MECHANISM_LOWEST = const(0)
_MECHANISM_LLS = const(1)

_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OBJECT_CLASS_INCONSISTENT = const(9)
_SCOPE_VIOLATED = const(13)

_SECRET = const(7)
_OCTET_STRING = const(9)

_CONFORMANCE_SELECTIVE_ACCESS = const(0x000004)
_CONFORMANCE_ATTRIBUTE_0_GET = const(0x002000)
_NOT_VISIBLE = const(-1)

# Fields of a row of ASSOCIATIONS in the definition.
_CLIENT_SAP = const(0)
_DEVICE = const(1)
_ROW = const(2)
_MECHANISM = const(3)
_CONFORMANCE = const(4)
_MAX_PDU = const(5)
_ACCESS = const(6)


class Association:
    """One association, or room for one.

    state         _IDLE, _PENDING, _OPEN
    channel, client_sap, server_sap, flags   the way the client comes
    config        its row of ASSOCIATIONS; device, row (Association LN object), alias (the row of
                  the current association, 0.0.40.0.0.255), access are taken from there
    confirmed     False: an unconfirmed association, nothing is ever answered
    conformance   negotiated; max_pdu what the client takes; limit the longest answer
    user          calling AE invocation identifier, -1: none
    protection    bits of the request's protection (1 authenticated, 2 encrypted, 4 signed)
    transfer      _NO_TRANSFER, _LONG_GET, ...; block_number of it; iip invoke_id_and_priority
    work          request of a long GET; descriptors and raw data of a long SET or ACTION
    """

    def __init__(self, server, work_len):
        self.server = server
        self.model = server.model
        self.stream = Stream(server.model)
        self.work = bytearray(work_len)
        self.state = _IDLE
        self.channel = None
        self.client_sap = self.server_sap = 0
        self.config = None
        self.device = self.row = self.alias = 0
        self.first_row = self.n_rows = 0
        self.access = b""
        self.confirmed = True
        self.user = -1
        self.conformance = 0
        self.max_pdu = self.limit = 0
        self.protection = 0
        self.transfer = _NO_TRANSFER
        self.block_number = 0
        self.iip = 0
        self.is_list = False
        self.raw_pos = self.raw_end = 0

    def event(self, what):
        """Go to the next state of the table; leaving OPEN ends what runs."""
        self.state = TRANSITIONS[self.state][what]
        if self.state == _IDLE:
            self.channel = None
            self.config = None
        self.transfer = _NO_TRANSFER

    # --- Opening ----------------------------------------------------------------------------

    def configure(self, config):
        """Take over a row of the definition's ASSOCIATIONS."""
        self.config = config
        self.device = config[_DEVICE]
        self.row = config[_ROW]
        self.alias = self.server.aliases[self.device]
        self.first_row = self.model.devices[self.device][1]
        self.n_rows = self.model.devices[self.device][2]
        self.access = config[_ACCESS]

    def aarq(self, config, aarq, request, buf):
        """Judge an AARQ (parsed) and write the AARE at channel.tx; returns its length.

        config is None when no association is defined for this client here.
        """
        channel = self.channel
        diagnostic = self._acse_diagnostic(config, aarq, buf)
        source = _USER
        if diagnostic < 0:
            diagnostic = _NO_COMMON_ACSE_VERSION
            source = _PROVIDER
        initiate_error = 0
        parsed = request.parse(buf, aarq.user_information_pos, aarq.user_information_end)
        if not diagnostic:
            initiate_error = self._initiate_error(config, request, parsed)
            if initiate_error:
                diagnostic = _NO_REASON_GIVEN
        conformance = request.conformance & config[_CONFORMANCE] if config else 0
        size = config[_MAX_PDU] if config else channel.max_receive_pdu
        result = _ACCEPTED
        if diagnostic:
            result = _REJECTED_PERMANENT
            self.event(_AARQ_REJECTED)
        else:
            self.event(_AARQ_ACCEPTED)
            self.configure(config)
            self.confirmed = request.response_allowed
            self.user = aarq.user_id
            self.conformance = conformance
            self.max_pdu = request.max_pdu
            self.limit = channel.max_pdu
            if request.max_pdu and request.max_pdu < self.limit:
                self.limit = request.max_pdu
        if parsed and not request.response_allowed:
            return 0
        return channel.aare(
            aarq.context if aarq.context > 0 else _LN_CONTEXT,
            result,
            source,
            diagnostic,
            initiate_error,
            request.qos if parsed else -1,
            conformance,
            min(size, channel.max_receive_pdu),
        )

    def _acse_diagnostic(self, config, aarq, buf):
        """0, a diagnostic of the ACSE service user, or -1: no common version."""
        if not aarq.version_1:
            return -1
        if aarq.context != _LN_CONTEXT:
            return _APPLICATION_CONTEXT_NOT_SUPPORTED
        if config is None:
            return _NO_REASON_GIVEN
        title = self.model.system_title
        if aarq.title_end and aarq.title_end - aarq.title_pos != _SYSTEM_TITLE_LEN:
            return _CALLING_AP_TITLE_NOT_RECOGNISED
        if aarq.called_title_end and (
            aarq.called_title_end - aarq.called_title_pos != len(title)
            or compare(title, 0, buf, aarq.called_title_pos, len(title)) != 0
        ):
            return _CALLED_AP_TITLE_NOT_RECOGNISED
        if aarq.not_recognised:
            return aarq.not_recognised
        row = config[_ROW]
        if not self.model.handler_of(row).is_user(row, aarq.user_id):
            return _CALLING_AE_INVOCATION_ID_NOT_RECOGNISED
        wanted = config[_MECHANISM]
        offered = aarq.mechanism
        if offered == -1:
            # No mechanism name: the lowest level, unless a secret came without its name.
            if wanted or aarq.authentication_end:
                return _MECHANISM_NAME_REQUIRED
            return 0
        if offered != wanted:
            # The lowest level, by its name, where more is asked for.
            if offered == _MECHANISM_LOWEST:
                return _AUTHENTICATION_REQUIRED
            return _MECHANISM_NAME_NOT_RECOGNISED
        if wanted == _MECHANISM_LOWEST:
            return 0
        if wanted != _MECHANISM_LLS:
            return _MECHANISM_NAME_NOT_RECOGNISED
        if self._is_secret(config[_ROW], buf, aarq.authentication_pos, aarq.authentication_end):
            return 0
        self.server.authentication_failed(config)
        return _AUTHENTICATION_FAILURE

    def _is_secret(self, row, buf, pos, end):
        """Constant-time comparison with the secret, attribute 7 of the Association LN object."""
        model = self.model
        at = model.slot(row, _SECRET)
        src = model.image
        if at < 0 or src[at] != _OCTET_STRING:
            return False
        n = src[at + 1]
        # A secret of no length opens nothing. The length is not secret.
        if n == 0 or n > 127 or n != end - pos:
            return False
        return same(src, at + 2, buf, pos, n) != 0

    def _initiate_error(self, config, request, parsed):
        """0 or the value of a confirmedServiceError initiateError."""
        if not parsed:
            return _REFUSED_BY_VDE_HANDLER
        if request.version < _DLMS_VERSION:
            return _DLMS_VERSION_TOO_LOW
        if not request.conformance & config[_CONFORMANCE]:
            return _INCOMPATIBLE_CONFORMANCE
        if 0 < request.max_pdu < _SMALLEST_PDU:
            return _PDU_SIZE_TOO_SHORT
        return 0

    # --- Rights -----------------------------------------------------------------------------

    def _rights(self, row):
        """Offset of the access profile of a row, -1 if the object is not visible."""
        at = row - self.first_row << 1
        if at < 0 or at >= len(self.access):
            return _NOT_VISIBLE
        at = self.access[at] << 8 | self.access[at + 1]
        return _NOT_VISIBLE if at == 0xFFFF else at

    def sees(self, row):
        return self._rights(row) >= 0

    def may_read(self, row, attribute):
        """data_access_result of the right to read an attribute."""
        return self._may(row, attribute, 1)

    def may_write(self, row, attribute):
        """data_access_result of the right to write an attribute."""
        return self._may(row, attribute, 2)

    def _may(self, row, attribute, right):
        at = self._rights(row)
        if at < 0 or attribute > self.model.objects[(row << 4) + 10] or attribute < 1:
            return _OBJECT_UNDEFINED
        mode = self.model.access[at + attribute - 1]
        if not mode & right:
            return _READ_WRITE_DENIED
        return _SCOPE_VIOLATED if mode >> 2 & 7 & ~self.protection else 0

    def may_invoke(self, row, method):
        """action_result of the right to invoke a method."""
        at = self._rights(row)
        model = self.model
        if at < 0 or method > model.n_methods(row) or method < 1:
            return _OBJECT_UNDEFINED
        mode = model.access[at + model.n_attributes(row) + method - 1]
        if not mode & 1:
            return _READ_WRITE_DENIED
        return _SCOPE_VIOLATED if mode >> 2 & 7 & ~self.protection else 0

    def may_attribute_0_get(self):
        return self.conformance & _CONFORMANCE_ATTRIBUTE_0_GET

    def may_select(self):
        return self.conformance & _CONFORMANCE_SELECTIVE_ACCESS

    def locate(self, buf, at):
        """Row of the object that the descriptor at buf[at:] names; else -1 - result."""
        row = self.model.find(self.device, buf, at)
        if row < 0:
            return -1 - self.undefined(buf, at)
        return self.row if row == self.alias else row

    def undefined(self, buf, at):
        """The result for an object that is not there: object-class-inconsistent if the client
        sees one of another class under that name, else object-undefined."""
        row = self.model.named(self.device, buf, at)
        return _OBJECT_CLASS_INCONSISTENT if row >= 0 and self.sees(row) else _OBJECT_UNDEFINED

    # --- Long transfers ---------------------------------------------------------------------

    def goes_on(self, what, iip):
        """0 if a block of this kind continues what runs, else the result to answer with."""
        dar = CONTINUES[self.transfer][what]
        if not dar and (self.iip ^ iip) & 0x0F:
            # Another invoke-id: not the transfer that runs.
            self.transfer = _NO_TRANSFER
            return CONTINUES[_NO_TRANSFER][what]
        return dar

    def keep(self, buf, pos, end):
        """Copy a part of the request to the start of the work buffer; False if it is too long."""
        n = end - pos
        if n > len(self.work):
            return False
        copy(self.work, 0, buf, pos, n)
        self.raw_pos = self.raw_end = n
        return True

    def take_block(self, buf, pos, end):
        """Add a DataBlock-SA to the work buffer: last_block, block_number, raw data.

        0: that was the last; -1: there is more to come; -2: it is malformed; else
        data-block-number-invalid, or _NO_ROOM. Unless there is more
        to come the transfer is over.
        """
        transfer = self.transfer
        self.transfer = _NO_TRANSFER
        n = length(buf, pos + 5, end)
        if n < 0 or pos + 5 + length_size(buf, pos + 5) + n != end:
            return _MALFORMED
        block_number = get_small_u32(buf, pos + 1)
        if block_number != self.block_number + 1:
            return _DATA_BLOCK_NUMBER_INVALID
        self.block_number = block_number
        if n > len(self.work) - self.raw_end:
            return _NO_ROOM
        copy(self.work, self.raw_end, buf, end - n, n)
        self.raw_end += n
        if buf[pos]:
            return _LAST
        self.transfer = transfer
        return _MORE


def put_user_information(tx, pos, initiate_error, qos, conformance, max_pdu):
    """Write the user-information of an AARE; returns its end."""
    start = pos
    if initiate_error:
        pos = initiate.put_error(tx, pos + 4, _INITIATE_ERROR_CLASS, initiate_error)
    else:
        pos = initiate.put_response(tx, pos + 4, qos, conformance, max_pdu)
    n = pos - start
    tx[start] = 0xBE
    tx[start + 1] = n - 2
    tx[start + 2] = 0x04
    tx[start + 3] = n - 4
    return pos
