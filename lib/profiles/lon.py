# SPDX-License-Identifier: MIT
"""DLMS/COSEM over ISO/IEC 14908 networks, the server's side, over a modem as
lib/profiles/modems/README.md has them, which takes LPDUs without their CRC.

    application layer | adaptation (here) | messages (lon_node.py) | frames (lon_frame.py) | modem

Project-defined, not IEC 62056-8-8: the text of that standard's adaptation layer is not public. A
message is

    code        u8: an application message of ISO/IEC 14908-1, 2D if not configured otherwise
    control     version 4 bits (1), more 1, protected 1, numbered 1, pull 1
    client SAP  u8
    server SAP  u8
    segment     u8, if numbered: 0 to 255
    octets of an APDU

A client's message is a request (SPDU) and gets a response. An APDU that is longer than a message
comes in numbered segments, all but the last with `more`, and each but the last hears its own
header, without `more`, as its response. The response to the last, or only, one is the answer, or
its segment 0, or a header alone where there is nothing to say; the client pulls the others by
number, in order; it may pull the last one again. Segments and pulls come from the node that sent
the first one, and are protected if that was. What is out of order hears a header with `protected`
and nothing behind it: begin anew. `protected` messages are those of `secure`, an object that the
firmware hands in (firmware/links/lon_secure.py), or refused where there is none; where it is
there, `only` they may be served.

What is for many (broadcast, group) or unconfirmed hears nothing. What the meter sends unasked is
repeated, unconfirmed, in numbered segments if it has to be.

    poll(now_ms)  takes an event of the modem, serves, sends; True: there may be more at once

Allocates at construction a buffer for a request and one for a message, nothing later.
"""

from dlms.prim import copy
from micropython import const
from profiles.lon_frame import BROADCAST, NODE
from profiles.lon_messages import Messages
from profiles.lon_node import BODY
from profiles.modems import more

# Events of a modem.
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)
_MODEM_DOWN = const(2)
_MODEM_FAULT = const(5)

_VERSION = const(0x10)
_VERSION_MASK = const(0xF0)
_MORE = const(0x08)
_PROTECTED = const(0x04)
_NUMBERED = const(0x02)
_PULL = const(0x01)

_HEADER_LEN = const(4)
_LONGEST_HEADER = const(5)
_N_SEGMENTS = const(256)
_COUNTER_LEN = const(4)  # of what secure opens and seals

# Network messages that a meter answers, or that concern it: see annex E.
_PROXY = const(0x4D)
_PROXY_FAILED = const(0x4C)
_PROXY_COUNT = const(0x0F)

_ALL_STATION = const(0xFF)
_NO_STATION = const(0x00)

# Flags of server.request
_CONFIRMED = const(1)
_UNCONFIRMED = const(4)

_TICKS_MASK = const(0x3FFFFFFF)
_COUNT_MASK = const(0x3FFFFFFF)


class LON(Messages):
    """One meter on one modem.

    capacity   octets of the longest APDU that is sent unasked
    """

    name = "lon"
    closed = False
    note_good = True  # what is unconfirmed has left, and that is all that is known

    def __init__(self, channel, modem, max_data=102, saps=None):
        """max_data: octets of the longest message; 102 pass repeaters. saps: the logical devices,
        None: all."""
        Messages.__init__(self, modem, max_data)
        server = channel.server
        if saps is None:
            saps = tuple(d[0] for d in server.model.devices)
        self.server = server
        self.channel = channel
        self.saps = saps
        self.capacity = self._room * _N_SEGMENTS
        longest = channel.max_receive_pdu
        # A request for several logical devices is copied for each but the last.
        self.rx = bytearray(longest if len(saps) == 1 else 2 * longest)
        self._longest = longest
        self.muted = False  # the port is locked, see dlms/guard.py
        self.inactivity_min = 0  # of LON protocol setup (class_id 131); 0: never
        self._last_ms = 0
        self._quiet_min = 0
        # The request rx[:_n]: whose, for whom, is it whole, has the server to work first?
        self._n = 0
        self._client = self._sap = self._next = 0
        self._subnet = self._node = self._kept = 0  # where it is from, and was it protected?
        self._flags = 0
        self._again = False
        self._told = len(saps)
        # The answer tx[_pos:_pos + _len], and the segment that comes next; _len 0: there is none.
        self._pos = self._len = self._segment = 0
        self._note = None
        self._note_pos = self._note_n = self._note_segment = 0
        self._note_client = self._note_sap = 0
        self._note_to = bytearray(3)  # form, subnet, node or group
        self._peer = bytearray(2)  # subnet and node of the last good message; 0: none has come
        self.llc = self  # what is sent unasked is forgotten here
        self._under_way = False

    def open(self, now_ms):
        self._under_way = False
        self._last_ms = now_ms
        self.modem.open(now_ms)

    def reset(self):
        """The link goes: what was on its way is forgotten."""
        self._under_way = False
        self._note = None
        self.node.reset()
        if self.secure is not None:
            self.secure.forget()
        self._release()

    def _release(self):
        self._n = self._len = self._next = 0
        self._again = False
        self._told = len(self.saps)
        self.channel.release()

    def is_busy(self):
        """Is there something that waits for the modem, or for the server?"""
        return self._again or self._under_way or self.node.is_sending()

    # --- What objects of class_id 130 to 133 say -------------------------------------------------

    def configure(self, node, subnet, inactivity_min):
        """node 0 or subnet 0: it has no address."""
        n = self.node
        n.node = node if subnet else 0
        n.subnet = subnet if node else 0
        self.inactivity_min = inactivity_min

    # --- Time and frames ------------------------------------------------------------------------

    def poll(self, now_ms):
        modem = self.modem
        node = self.node
        event = modem.poll(now_ms)
        if event == _MODEM_DATA:
            self.quality = modem.quality
            node.held = self._again
            if node.receive(modem.buf, modem.pos, modem.end, now_ms):
                self._message(modem.buf, node.came.at, node.came.end, now_ms)
        elif event == _MODEM_CONFIRM:
            self._under_way = False
            if modem.status:
                self.n_lost = more(self.n_lost)
        elif event == _MODEM_DOWN or event == _MODEM_FAULT:
            self._under_way = False
        if self._again:
            self._ask()
        if self._note is not None:
            self._send_note(now_ms)
        if not self._under_way and node.poll(now_ms) and modem.is_up:
            taken = modem.send(node.out, node.out_pos, node.out_pos + node.out_n, 0, 0)
            if taken:
                node.sent()
                self._under_way = taken > 0
        if now_ms - self._last_ms & _TICKS_MASK >= 60000:
            self._minute()
            node.forget(now_ms)
        return event != 0

    def _minute(self):
        self._last_ms = self._last_ms + 60000 & _TICKS_MASK
        self._quiet_min = more(self._quiet_min)
        if self.inactivity_min and self._quiet_min == self.inactivity_min:
            self._release()

    # --- Messages -------------------------------------------------------------------------------

    def _message(self, buf, pos, end, now_ms):
        code = buf[pos] if pos < end else 0
        if code != self.code:
            self._foreign(buf, pos, end, code)
            return
        self.n_messages = self.n_messages + 1 & _COUNT_MASK
        self.message_status = 2
        control = buf[pos + 1] if pos + 1 < end else 0
        head = pos + (_LONGEST_HEADER if control & _NUMBERED else _HEADER_LEN)
        if head > end or control & _VERSION_MASK != _VERSION or self.muted:
            self.node.ignore()
            return
        self._quiet_min = 0
        self._last_ms = now_ms
        client = buf[pos + 2]
        sap = buf[pos + 3]
        number = buf[pos + 4] if control & _NUMBERED else 0
        wants = self.node.wants
        self._sealed = control & _PROTECTED
        if client == _NO_STATION or not self._is_here(sap):
            self._refuse(client, sap)
            return
        if control & _PROTECTED and control & _PULL and not control & _NUMBERED:
            self._greet(buf, head, end, client, sap)
            return
        if control & _PROTECTED and self.secure is not None:
            end = self.secure.open(buf, pos, head, end)
            head += _COUNTER_LEN
        elif control & _PROTECTED or self.only:
            end = 0
        if not end:
            self._refuse(client, sap)
            return
        self._peer[0] = self.node.came.source_subnet
        self._peer[1] = self.node.came.source_node
        if control & _PULL:
            self._valid()
            if wants:
                self._pull(client, sap, number)
        elif head == end:
            self.n_no_data = more(self.n_no_data)
            self._refuse(client, sap)
        elif self._gather(buf, head, end, number, client, sap):
            self._valid()
            self._flags = _CONFIRMED if wants and sap != _ALL_STATION else _UNCONFIRMED
            if control & _MORE:
                if wants:
                    self._put(_NUMBERED, number, client, sap, buf, 0, 0)
            else:
                self._next = 0
                self._again = True
                if sap == _ALL_STATION:
                    self._told = 0
                    if wants:
                        self._put(0, 0, client, sap, buf, 0, 0)
        else:
            self._refuse(client, sap)

    def _is_here(self, sap):
        return sap in self.saps or sap == _ALL_STATION

    def _foreign(self, buf, pos, end, code):
        """Messages of the network: a meter is what repeaters reach, and no repeater itself."""
        if code == _PROXY and self.node.wants and end - pos > 1:
            out = self.node.out
            out[BODY] = _PROXY_FAILED
            # uncertain: how many hops were left, where it failed.
            out[BODY + 1] = buf[pos + 1] & _PROXY_COUNT
            self.node.respond(2)
        else:
            self.node.ignore()
            self.node.n_missed = more(self.node.n_missed)

    def _goes_on(self, client, sap):
        """Is what has come from whom the request in rx is, and protected as that was?"""
        came = self.node.came
        return (
            client == self._client
            and sap == self._sap
            and came.source_subnet == self._subnet
            and came.source_node == self._node
            and self._sealed == self._kept
        )

    def _gather(self, buf, pos, end, number, client, sap):
        """Put a segment where it belongs; 0: it is not the next one."""
        if number == 0:
            self._n = self._len = 0
            self._client = client
            self._sap = sap
            self._subnet = self.node.came.source_subnet
            self._node = self.node.came.source_node
            self._kept = self._sealed
        elif number != self._next or not self._goes_on(client, sap):
            self._next = 0
            return 0
        n = end - pos
        if self._n + n > self._longest:
            self.n_overrun = more(self.n_overrun)
            self._next = 0
            return 0
        copy(self.rx, self._n, buf, pos, n)
        self._n += n
        self._next = number + 1
        return 1

    # --- Requests -------------------------------------------------------------------------------

    def _ask(self):
        """Hand the request in rx to the server."""
        self._again = False
        if self._sap == _ALL_STATION:
            self._tell()
            return
        n = self.server.request(
            self.channel, self._client, self._sap, self.rx, 0, self._n, self._flags
        )
        if n < 0:
            self._again = True
        elif self._flags == _CONFIRMED:
            self._answer(n)

    def _answer(self, n):
        """Respond with the reply of the server; 0 octets: it says nothing."""
        self._pos = self.channel.tx_pos
        self._len = n
        self._segment = 0
        self._respond()

    def _tell(self):
        """For all logical devices: a ciphered request is deciphered in place, so that all but the
        last get a copy."""
        last = len(self.saps) - 1
        while self._told <= last:
            at = 0
            if self._told < last:
                at = self._n
                copy(self.rx, at, self.rx, 0, self._n)
            n = self.server.request(
                self.channel, self._client, self.saps[self._told], self.rx, at, at + self._n,
                _UNCONFIRMED,
            )  # fmt: skip
            if n < 0:
                self._again = True
                return
            self._told += 1

    def _respond(self):
        """Make segment _segment of the answer a response."""
        at = self._segment * self._room
        n = self._len - at
        follows = n > self._room
        if follows:
            n = self._room
        flags = (_MORE if follows else 0) | (_NUMBERED if self._len > self._room else 0)
        tx = self.channel.tx
        self._put(flags, self._segment, self._client, self._sap, tx, self._pos + at, n)

    def _pull(self, client, sap, number):
        """The client wants the next segment of the answer, or the last one again."""
        mine = self._goes_on(client, sap)
        step = number - self._segment
        if mine and self._len and 0 <= step <= 1 and number * self._room < self._len:
            self._segment = number
            self._respond()
            return
        a = self.channel.more
        mine = mine and a is not None and a.client_sap == client and a.server_sap == sap
        if mine and number == 0:
            n = self.server.more(self.channel)
            if n > 0:
                self._answer(n)
                return
        self._refuse(client, sap)

    # --- Unasked --------------------------------------------------------------------------------

    def can_notify(self):
        return self.modem.is_up and self._note is None

    def forget_note(self):
        """What notify() has taken is not wanted any more."""
        self._note = None

    def notify(self, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n] to whom the last good message has come from; to all of
        the domain, if none has come. False: not now, or too long. buf must stay as it is until
        is_notifying() is over."""
        if not self.can_notify() or not 0 < n <= self.capacity:
            return False
        to = self._note_to
        to[0] = NODE if self._peer[1] else BROADCAST
        to[1] = self._peer[0]
        to[2] = self._peer[1]
        self._note_client = client_sap
        self._note_sap = server_sap
        self._note_pos = pos
        self._note_n = n
        self._note_segment = 0
        self._note = buf
        return True

    def is_notifying(self):
        return self._note is not None

    def _send_note(self, now_ms):
        node = self.node
        if node.is_sending() or self._again:
            return
        at = self._note_segment * self._room
        n = self._note_n - at
        if n <= 0:
            self._note = None
            return
        follows = n > self._room
        flags = (_MORE if follows else 0) | (_NUMBERED if self._note_n > self._room else 0)
        to = self._note_to
        n = self._write(
            flags, self._note_segment, self._note_client, self._note_sap,
            self._note, self._note_pos + at, self._room if follows else n,
        )  # fmt: skip
        if node.send(to[0], to[1], to[2], n, now_ms):
            self._note_segment += 1
