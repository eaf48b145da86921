# SPDX-License-Identifier: MIT
"""An application association (IEC 62056-5-3, clauses 4, 6 and 7): its states, rights and limits.

An Association is one of a pool that the server makes at boot: one work buffer and one stream
each. Everything that decides in which state what is answered stands in the two tables below.

What a long transfer of a service hears when something else comes than its next block, and whether
it goes on (+) or is over (-). Numbers are results (decimal); one: the block is taken for the first
of another; served: as ever.

    transfer        jumps  again  other id  not whole  other's   request   stranger  foreign
    GET             19 -   19 -   16 -      D80103 +   18 -      served -  served +  D80102 +
    SET             19 -   19 -   18 -      D80103 -   16 -      served -  served +  D80102 +
    ACTION          15 -   15 -   16 -      D80103 -   16 -      served -  served +  D80102 +
    ACTION answer   15 -   15 -   16 -      D80103 +   16 -      served -  served +  D80102 +
    Read            19 -   19 -   none      0E0503 +   18 -      served -  served +  D80102 +
    Read request    19 -   one +  none      0E0503 -   18 -      served -  served +  D80102 +
    Write           19 -   one +  none      0E0603 -   16 -      served -  served +  D80102 +
    none            16 -   16 -   16 -      D80103 -   18 -      served -  served -  D80102 -

jumps, again: block numbers; other id: an invoke-id; not whole: a block with an octet too many;
other's: a block of another transfer; request: a new one; stranger: one of another client; foreign:
a service that was not negotiated; none: there is no transfer, or its last block has come (the
blocks are those of a GET). Of general block transfer: OUTCOMES of gbt.py; of the end of an
association: TRANSITIONS.
"""

from dlms import exceptions
from dlms.axdr import get_small_u32, get_u16, length, length_size
from dlms.prim import copy, find
from dlms.stream import Stream
from micropython import const

# --- States of an association -----------------------------------------------------------------
_IDLE = const(0)  # free: belongs to no client
_PENDING = const(1)  # AARE sent with authentication-required, pass 3 of HLS awaited
_OPEN = const(2)

_ALWAYS_OPEN = const(3)  # row of TRANSITIONS: OPEN, and pre-established

# What can happen to it.
#   RLRQ      its client releases it
#   ABORTED   HDLC: DISC, SNRM, inactivity. TCP: the connection was closed, inactivity. UDP:
#             inactivity. Any: reset() of the link, its port was locked (guard.py); and of those
#             in PENDING one, if another client needs the place

# Next state, by state and event. An AARQ of a client that has an association open already is
# judged like a first one: accepted, it replaces the open one; rejected, the open one goes on.
# A pre-established one cannot be released, and takes no AARQ; when its link is gone it gives up
# its place, and has one again with the next request.
TRANSITIONS = (
    # ACCEPTED PENDING REJECTED RLRQ  PASSED FAILED ABORTED
    (_OPEN, _PENDING, _IDLE, _IDLE, _IDLE, _IDLE, _IDLE),  # IDLE
    (_OPEN, _PENDING, _IDLE, _IDLE, _OPEN, _IDLE, _IDLE),  # PENDING
    (_OPEN, _PENDING, _OPEN, _IDLE, _OPEN, _OPEN, _IDLE),  # OPEN
    (_OPEN, _PENDING, _OPEN, _OPEN, _OPEN, _OPEN, _IDLE),  # ALWAYS_OPEN
)

# --- Long transfers: what runs, what arrives, and the result for what does not go on ----------
_NO_TRANSFER = const(0)
_LONG_GET = const(1)


# 0: goes on. Any other request ends what runs, without a word; so does each event of the table
# above, and nothing of what has come in is carried out. Who goes on after that hears this table's
# first row where there is an association (again), and else no_association() of exceptions.py.
CONTINUES = (
    # GET_NEXT SET_BLOCK ACTION_PBLOCK ACTION_NEXT_PBLOCK
    (16, 18, 16, 16),  # NO_TRANSFER
    (0, 18, 16, 16),  # LONG_GET
    (16, 0, 16, 16),  # LONG_SET
    (16, 18, 0, 16),  # LONG_ACTION_REQUEST
    (16, 18, 16, 0),  # LONG_ACTION_RESPONSE
    (16, 18, 16, 16),  # BY_BLOCKS, of general block transfer
)

# What take_block() says.
_LAST = const(0)
_MORE = const(-1)
_MALFORMED = const(-2)
_NO_ROOM = const(1)
_DATA_BLOCK_NUMBER_INVALID = const(19)

# --- Codes ------------------------------------------------------------------------------------


_TEMPORARY_FAILURE = const(2)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OBJECT_CLASS_INCONSISTENT = const(9)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)


_CONFORMANCE_SELECTIVE_ACCESS = const(0x000004)
_CONFORMANCE_ATTRIBUTE_0_GET = const(0x002000)
_NOT_VISIBLE = const(-1)
_TRANSFER = const(4096)  # todo of the server: buffers are wanted
_GBT = "dlms.gbt"
_SLACK = const(8)  # of gbt_answer.py

# The lowest access_mode that asks for some protection (Association LN version 3).
_PROTECTED = const(4)

# Fields of a row of ASSOCIATIONS in the definition.
_DEVICE = const(1)
_ROW = const(2)
_ACCESS = const(6)
_CONTEXT = const(7)  # even: with short names
_CURRENT_SN = b"\x00\x0c\x00\x00\x28\x00\x00\xff"
_PRE_ESTABLISHED = const(9)


class Association:
    """One association, or room for one.

    state         _IDLE, _PENDING, _OPEN
    channel, client_sap, server_sap, flags   the way the client comes
    config        its row of ASSOCIATIONS; device, row (Association LN object), alias (the row of
                  the current association, 0.0.40.0.0.255), access are taken from there
    confirmed     False: an unconfirmed association, nothing is ever answered
    conformance   negotiated; max_pdu what the client takes; limit the longest answer
    user          calling AE invocation identifier, -1: none
    context       ciphering.Context, or None: nothing is ciphered (see secured.py)
    protection    bits of the request's protection (1 authenticated, 2 encrypted, 4 signed)
    own_name      base_name of its Association SN object; 0: it has logical names
    asks          what is to be done between requests, 0: nothing (see secured.py)
    response_kinds   the same bits: what the rights that this request has used ask of its answer
    possible_kinds   what an answer here can be protected with
    gbt           general block transfer, None: not yet; window: of a request that has come by it
    transfer      _NO_TRANSFER, _LONG_GET, ...; block_number of it; iip invoke_id_and_priority
    work          request of a long GET; descriptors and raw data of a long SET or ACTION
    """

    secures = False  # see secured_association.py

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
        self.own_name = 0
        self.confirmed = True
        self.user = -1
        self.conformance = 0
        self.max_pdu = self.limit = 0
        self.context = None
        self.protection = 0
        self.asks = 0
        self.response_kinds = self.possible_kinds = 0
        self.gbt = None
        self.window = 0
        self._no_room = False
        self.transfer = _NO_TRANSFER
        self.block_number = 0
        self.iip = 0
        self.is_list = False
        self.raw_pos = self.raw_end = 0

    def event(self, what):
        """Go to the next state of the table; what runs ends."""
        state = self.state
        if state == _OPEN and self.config[_PRE_ESTABLISHED]:
            state = _ALWAYS_OPEN
        self.state = TRANSITIONS[state][what]
        if self.gbt is not None:
            self.gbt.end(self)
        if self.state == _IDLE:
            self.gbt = None
            self.own_name = 0
            self.channel = None
            self.config = None
            self.context = None
        self.transfer = _NO_TRANSFER

    def ask_method(self, row, method, buf, pos, end):
        """A method needs time or memory: here is nobody who would give it any."""
        return _OTHER_REASON

    def drop(self):
        """A request does not come again, though it was to: nothing of it is kept."""
        if self.gbt is not None:
            self.gbt.end(self)

    def unheard(self, n, confirmed):
        """Nobody hears the answer of n octets, nor what would follow it."""
        if n >= 0:
            if self.gbt is not None:
                self.gbt.unheard(self)
            return 0
        if not confirmed:
            self.drop()
        return n

    # --- General block transfer -------------------------------------------------------------

    def general_block(self, buf, pos, end):
        """Serve a block, in an association that has negotiated them."""
        if self.gbt is None:
            return self.wants_transfer()
        part = self.server.part(_GBT)
        return -1 if part is None else part.request(self.server, self, buf, pos, end)

    def wants_transfer(self):
        """There are no buffers yet."""
        if self._no_room:
            self._no_room = False
            return exceptions.failed(self.channel)
        self.server.wants_transfer = self
        self.server.todo |= _TRANSFER
        return -1

    def make_transfer(self):
        """Between two requests; allocates. If there is no room, the request is told so."""
        server = self.server
        try:
            # The largest first.
            out = bytearray(server.gbt_len + _SLACK)
            rx = bytearray(server.gbt_len)
            if _GBT not in server.parts:
                server.load(_GBT)
            if self.gbt is None:
                self.gbt = server.parts[_GBT].Transfer(rx, out)
        except MemoryError:
            self._no_room = True

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
        if config[_CONTEXT] & 1 == 0:
            objects = self.model.objects
            self.own_name = get_u16(objects, (self.row << 4) + 14)
            self.alias = find(objects, self.first_row, self.n_rows, _CURRENT_SN, 0)
        self.response_kinds = self.possible_kinds = 0

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
        return self._may(row, attribute, 2) or (_TEMPORARY_FAILURE if self.model.full else 0)

    def _may(self, row, attribute, right):
        at = self._rights(row)
        if at < 0 or attribute > self.model.objects[(row << 4) + 10] or attribute < 1:
            return _OBJECT_UNDEFINED
        mode = self.model.access[at + attribute - 1]
        if not mode & right:
            return _READ_WRITE_DENIED
        return 0 if mode < _PROTECTED else self._protected(mode)

    def may_invoke(self, row, method):
        """action_result of the right to invoke a method."""
        at = self._rights(row)
        model = self.model
        if at < 0 or method > model.n_methods(row) or method < 1:
            return _OBJECT_UNDEFINED
        mode = model.access[at + model.n_attributes(row) + method - 1]
        if not mode & 1:
            return _READ_WRITE_DENIED
        return 0 if mode < _PROTECTED else self._protected(mode)

    def _protected(self, mode):
        """An access_mode that asks for protection: is the request's enough, and can the answer's
        be? What the answer has to have is added to that of the others in a list."""
        if mode >> 2 & 7 & ~self.protection or mode >> 5 & ~self.possible_kinds:
            return _SCOPE_VIOLATED
        self.response_kinds |= mode >> 5
        return 0

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
        while row >= 0:
            if self.sees(row):
                return _OBJECT_CLASS_INCONSISTENT
            row = self.model.named(self.device, buf, at, row)
        return _OBJECT_UNDEFINED

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
        n = length(buf, pos + 5, end)
        if n < 0 or pos + 5 + length_size(buf, pos + 5) + n != end:
            self.transfer = _NO_TRANSFER
            return _MALFORMED
        return self.take_raw(buf[pos], get_small_u32(buf, pos + 1), buf, end - n, n)

    def begin_raw(self, transfer):
        """The blocks that come from now on are the first of a long request."""
        self.transfer = transfer
        self.block_number = 0
        self.raw_pos = self.raw_end = 0

    def take_raw(self, last_block, block_number, buf, pos, n):
        """As take_block(), of a block that has been taken apart."""
        transfer = self.transfer
        self.transfer = _NO_TRANSFER
        if block_number != self.block_number + 1:
            return _DATA_BLOCK_NUMBER_INVALID
        self.block_number = block_number
        if n > len(self.work) - self.raw_end:
            return _NO_ROOM
        copy(self.work, self.raw_end, buf, pos, n)
        self.raw_end += n
        if last_block:
            return _LAST
        self.transfer = transfer
        return _MORE
