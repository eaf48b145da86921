# SPDX-License-Identifier: MIT
"""S-FSK PLC (IEC 62056-8-3), the server's side, over a modem that has the physical and MAC layers
of IEC 61334-5-1: what lib/profiles/modems/README.md says of one.

    application layer | LLC (llc_432.py, or llc_hdlc.py) | MAC at the boundary of the modem
                      | CIASE (ciase.py)                 | (sfsk_mac.py)

The meter speaks when it is spoken to: an answer goes to the initiator that asked, with the
initial credit of the question, so that it comes back over as many repeaters. Only a registered
meter serves requests, and only those of its initiator.

    poll(now_ms)  takes an event of the modem, serves, sends; True: there may be more at once

Allocates at construction a buffer for CI-PDUs and what its parts do, nothing later.
"""

from micropython import const
from profiles.ciase import Ciase
from profiles.sfsk_mac import Mac

# Events of a modem.
_MODEM_UP = const(1)
_MODEM_DOWN = const(2)
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)
_NOT_ADDRESSED = const(1)  # a reason of DOWN
_TICKS_MASK = const(0x3FFFFFFF)
_TICK_MS = const(20)

# States and events of ciase.py.
_LOST = const(0)
_REGISTERED = const(4)
_ADRIFT = const(5)
_EV_UP = const(0)
_EV_DOWN = const(1)
_EV_EXPIRED = const(5)
_EV_RESET = const(6)

# Places of settings, and of desynchronization_listing, see sfsk_mac.py.
_ADDRESS = const(1)
_CONFIRMATION = const(2)
_FRAME_NOT_OK = const(3)
_NOT_ADDRESSED_MIN = const(4)
_TX_GAIN = const(10)
_RX_GAIN = const(11)
_REPEATER = const(12)
_FREQUENCIES = const(13)
_ALARM = const(14)
_SEARCH = const(15)
_THRESHOLD = const(16)
_SPEED = const(17)
_DESYNCHRONIZE = const(18)
_LISTED_NOT_ADDRESSED = const(1)
_LISTED_WRITE_REQUEST = const(3)

_NEW_ADDRESS = const(0xFFE)
_ALL_CONFIGURED = const(0xFFC)
_ALL_PHYSICAL = const(0xFFF)

_DISCOVER_REPORT = const(0x1E)

# What the modem has to send.
_NOTHING = const(0)
_L_PDU = const(1)
_CI_PDU = const(2)

_SUBFRAME = const(36)
_MAC_OVERHEAD = const(8)
# transmission_speed in 100 bit/s, and a slot at 100 bit/s and 50 Hz (at 2400: 150 ms).
_SPEEDS = b"\x03\x06\x0c\x18\x30\x48"
_SLOT_100_MS = const(3600)
_SPEED_2400 = const(24)


class SFSK:
    """One meter on one modem.

    capacity   octets of the longest APDU that is sent unasked
    credit     the octet of credits for what is sent: that of the last frame of the initiator
    n_lost     frames that the modem did not take or send
    n_foreign  frames of another initiator, or for an application while not registered
    alarms     handed in: look() keeps ciase.alarm up to date; None: there are none
    """

    name = "sfsk"
    alarms = None

    def __init__(self, channel, modem, llc, title, random):
        """title: system title, 6 octets with the LLC of IEC 61334-4-32, 8 with HDLC; random(n)
        gives 0..n - 1."""
        self.channel = channel
        self.modem = modem
        self.llc = llc
        self.slot_ms = _SLOT_100_MS // _SPEED_2400
        self.mac = Mac(modem)
        self.ciase = Ciase(self, title, random, self.slot_ms)
        self.muted = False  # the port is locked, see dlms/guard.py
        self.credit = 0
        self.n_lost = 0
        self.n_foreign = 0
        self._ci = bytearray(llc.head_len + 4 + len(title) + llc.tail_len)
        self._kind = _NOTHING
        self._buf = self._ci
        self._pos = self._n = 0
        self._under_way = False
        self._resets = -1  # reset() waits for its answer to leave: the initiator it was given
        self._place = -1  # of a repeater call that the modem has not taken yet
        self._n_places = self._call_threshold = 0
        self._alarm = 0
        self._tick_ms = 0
        self._stirred = True  # there is something new to be done

    @property
    def capacity(self):
        return self.llc.capacity

    def open(self, now_ms):
        self._kind = _NOTHING
        self._under_way = False
        self.ciase.addressed(now_ms)
        self.mac.put(_ADDRESS, self.ciase.address, self.ciase.initiator)
        self.modem.open(now_ms)

    def reset(self):
        """The link goes: what was on its way is forgotten."""
        self._kind = _NOTHING
        self._under_way = False
        self.llc.release()

    # --- What objects of class_id 50, 51, 52 and 55 say -----------------------------------------

    def configure_phy(self, rx_gain, tx_gain, threshold, mark_hz, space_hz, repeater, speed):
        """S-FSK Phy&MAC setup; speed: its enum, -1 where the object has none."""
        mac = self.mac
        mac.put(_RX_GAIN, rx_gain)
        mac.put(_TX_GAIN, tx_gain)
        mac.put(_THRESHOLD, threshold)
        mac.put(_FREQUENCIES, mark_hz // 10, space_hz // 10)
        mac.put(_REPEATER, repeater)
        if 0 <= speed < len(_SPEEDS):
            mac.put(_SPEED, _SPEEDS[speed])
            self.slot_ms = self.ciase.slot_ms = _SLOT_100_MS // _SPEEDS[speed]

    def configure_group(self, k, address):
        """Element k of mac_group_addresses, 0: none."""
        self.mac.put_group(k, address)

    def configure_timeouts(self, search_s, confirmation_s, not_addressed_min, not_ok_s):
        """S-FSK MAC synchronization timeouts."""
        self.mac.put(_SEARCH, search_s)
        self.mac.put(_CONFIRMATION, confirmation_s)
        self.mac.put(_NOT_ADDRESSED_MIN, not_addressed_min)
        self.mac.put(_FRAME_NOT_OK, not_ok_s)
        self.ciase.time_out_not_addressed = not_addressed_min

    def unregister(self, initiator):
        """reset_NEW_not_synchronized of Active initiator, when its answer has left. initiator:
        whom to listen to from then on, 0: anybody. False: that is no initiator's address."""
        ciase = self.ciase
        if initiator and not ciase.first_initiator <= initiator <= ciase.last_initiator:
            return False
        self._resets = initiator
        self._stirred = True
        return True

    # --- What ciase.py wants --------------------------------------------------------------------

    def adopt(self, same):
        """There is an address; same: it and the initiator are what they were."""
        if not same:
            self.llc.release()
            self.llc.forget_note()
            if self._kind == _L_PDU and not self._under_way:
                self._kind = _NOTHING
        self.mac.put(_ADDRESS, self.ciase.address, self.ciase.initiator)

    def forget(self):
        """There is no address any more."""
        self.adopt(False)
        if self.modem.is_up:
            self.mac.put(_DESYNCHRONIZE, 0)

    def expired(self):
        self.mac.count_down(_LISTED_NOT_ADDRESSED)
        self.ciase.event(_EV_EXPIRED)

    def call(self, place, n, threshold):
        self._place = place
        self._n_places = n
        self._call_threshold = threshold

    def n_subframes(self, n):
        """Sub-frames of a frame with so many octets between LLC header and its end.

        uncertain: NS outside of the 36 octets of a sub-frame.
        """
        n += self.llc.head_len + self.llc.tail_len + _MAC_OVERHEAD
        return (n + _SUBFRAME - 1) // _SUBFRAME

    # --- Time and frames ------------------------------------------------------------------------

    def poll(self, now_ms):
        event = self.modem.poll(now_ms)
        if event:
            self._event(event, now_ms)
        passed_ms = now_ms - self._tick_ms & _TICKS_MASK
        if event or passed_ms >= _TICK_MS or self.mac.dirty or self._stirred or self.ciase.planned:
            self._tick(now_ms)
        elif self.llc.is_busy and not self._under_way:
            self._send(now_ms)
        return event != 0

    def _event(self, event, now_ms):
        if event == _MODEM_DATA:
            self._receive(now_ms)
        elif event == _MODEM_CONFIRM:
            self._confirmed(self.modem.status)
        elif event == _MODEM_UP:
            self._up()
        else:
            self._down(event)

    def _tick(self, now_ms):
        """What an idle station need not do at each poll."""
        ciase = self.ciase
        self._tick_ms = now_ms
        ciase.tick(now_ms)
        self.llc.tick(now_ms)
        if self.alarms is not None:
            self.alarms.look()
        if ciase.alarm != self._alarm:
            self._alarm = ciase.alarm
            self.mac.put(_ALARM, 1 if ciase.alarm else 0)
        self._stirred = False
        self.mac.poll()
        if self._place >= 0:
            if self.modem.call(self._place, self._n_places, self._call_threshold):
                self._place = -1
        if not self._under_way:
            self._send(now_ms)

    def is_locked(self):
        """synchronization_locked: synchronized, and on one initiator."""
        return self.modem.is_up and self.ciase.initiator != 0

    def _up(self):
        self.mac.up(self.modem.initiator)
        self.ciase.event(_EV_UP)

    def _down(self, event):
        reason = self.modem.status if event == _MODEM_DOWN else 0
        self.mac.down(reason)
        if self._kind != _NOTHING:
            self._confirmed(-1)
        if reason == _NOT_ADDRESSED:
            self.ciase.event(_EV_EXPIRED)
        self.ciase.event(_EV_DOWN)

    def _receive(self, now_ms):
        modem = self.modem
        ciase = self.ciase
        buf = modem.buf
        pos = modem.pos
        end = modem.end
        source = modem.source
        destination = modem.destination
        if modem.is_up and (ciase.state == _LOST or ciase.state == _ADRIFT):
            self._up()
        own = destination == ciase.address
        to_all = not own
        if not (
            own
            or destination == _ALL_PHYSICAL
            or destination == _NEW_ADDRESS
            and ciase.state != _REGISTERED
            or ciase.state == _REGISTERED
            and (destination == _ALL_CONFIGURED or self.mac.is_group(destination))
        ):
            return
        credits = modem.options
        at = self.llc.management(buf, pos, end)
        known = ciase.is_initiator(source)
        if known:
            if to_all or destination == _NEW_ADDRESS:
                self.mac.broadcast(source)
            else:
                ciase.addressed(now_ms)
        if at:
            # DiscoverReports come from other meters.
            cc = credits >> 2 & 7
            ciase.receive(buf, at, end - self.llc.tail_len, source, credits >> 5, cc, now_ms)
        elif not known or ciase.state != _REGISTERED or self.muted:
            self.n_foreign = self.n_foreign + 1 & 0xFFFFFF
        else:
            # DC is the initiator's own; it comes back as it was.
            self.credit = credits & 0xE3 | credits >> 3 & 0x1C
            self.llc.receive(buf, pos, end, to_all, now_ms)

    def _confirmed(self, status):
        """What was under way has left, or it never will."""
        if status:
            self.n_lost = self.n_lost + 1 & 0xFFFFFF
        kind = self._kind
        self._kind = _NOTHING
        self._under_way = False
        if kind == _CI_PDU:
            self.ciase.reported()
        elif kind == _L_PDU:
            self.llc.sent(not status)

    def _send(self, now_ms):
        """Hand the modem what is to be sent next."""
        ciase = self.ciase
        if self._kind == _NOTHING:
            if ciase.due and ciase.state != _LOST:
                self._kind = _CI_PDU
                self._buf = self._ci
                end = ciase.write(self._ci, self.llc.head_len)
                self._pos = self.llc.wrap_management(self._ci, self.llc.head_len, end)
                self._n = end + self.llc.tail_len - self._pos
            else:
                n = self.llc.transmit(now_ms)
                if n:
                    self._kind = _L_PDU
                    self._buf = self.llc.out
                    self._pos = self.llc.out_pos
                    self._n = n
                elif self._resets >= 0 and not self.llc.is_busy:
                    self._reset()
        if self._kind == _NOTHING or not self.modem.is_up:
            return
        to = ciase.initiator
        credits = self.credit
        if self._kind == _CI_PDU:
            # uncertain: reports go to everybody, for the others' lists of reporting systems.
            to = _ALL_PHYSICAL if self._ci[self.llc.head_len] == _DISCOVER_REPORT else to
            credits = ciase.credit << 5 | ciase.credit << 2
        taken = self.modem.send(self._buf, self._pos, self._pos + self._n, to, credits)
        if taken > 0:
            self._under_way = True
        elif taken < 0:
            self._confirmed(-1)

    def _reset(self):
        self.ciase.only = self._resets
        self._resets = -1
        self.mac.count_down(_LISTED_WRITE_REQUEST)
        self.ciase.event(_EV_RESET)

    # --- Unasked --------------------------------------------------------------------------------

    def can_notify(self):
        """Is there an initiator that hears what is sent unasked, and nothing that waits?"""
        return self.ciase.state == _REGISTERED and not self.llc.is_notifying()

    def is_notifying(self):
        return self.llc.is_notifying()

    def notify(self, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n] to the initiator; False: not now, or too long."""
        self._stirred = True
        return self.can_notify() and self.llc.notify(client_sap, server_sap, buf, pos, n)
