# SPDX-License-Identifier: MIT
"""HDLC, the server's (secondary station's) side: frames to links, and back.

IEC 62056-46 with frame format type 3 of ISO/IEC 13239, and the LLC sublayer of the 3-layer profile
(IEC 62056-7-6). Addresses, UI and time-outs are here, frames in hdlc_frame.py, the states of one
link in hdlc_link.py.

Allocates at construction, nothing later: a buffer for a received frame and one for a frame to send
(each max_info + 16 octets), and per link one that joins the segments of a request (max_pdu + 3).
The answer stays in channel.tx; a frame of it is made when it is sent, and made again if repeated.

    receive(buf, pos, end, now_ms) -> pos  takes octets, in any portions; stops if there is output
    transmit(now_ms) -> n                  next frame: out[out_pos:out_pos + n]; 0 = turn is over
    tick(now_ms)                           time-outs; call it every 10 to 50 ms
    reset()                                the physical link came or went

What is malformed, or not for this device, is dropped without a word: no error is ever raised.
"""

from micropython import const

from dlms.prim import copy
from profiles.hdlc_frame import Frames
from profiles.hdlc_link import Link

_MAX_INFO = const(2030)
_TICKS_MASK = const(0x3FFFFFFF)

# Control octets without P/F
_UI = const(0x03)
_SNRM = const(0x83)
_DISC = const(0x43)
_PF = const(0x10)

# Control octets of answers, F = 1
_INFO_F = const(0x10)
_RR_F = const(0x11)
_RNR_F = const(0x15)
_UI_F = const(0x13)
_DM_F = const(0x1F)
_AGAIN = const(-1)  # of hdlc_frame.py
_UA_F = const(0x73)
_FRMR_F = const(0x97)

# Events of a link; the same as in hdlc_link.py
_EV_SNRM = const(0)
_EV_DISC = const(1)
_EV_INFO = const(2)
_EV_RR = const(3)
_EV_RNR = const(4)
_EV_UI = const(5)
_EV_OTHER = const(6)
_EV_TIME_OUT = const(7)

# Addresses; in two octets the reserved ones are 0x3FFF and 0x3FFE
_ALL_STATION = const(0x7F)

# Who a frame is for
_NOBODY = const(0)
_DEVICE = const(1)
_EVERYBODY = const(2)

# Flags of server.request
_UNCONFIRMED = const(4)  # of server.py: no reply, and what has to wait comes again


class HDLC(Frames):
    closed = False

    # Set by the application. True while the device has called the client (modem): CALLING
    # addresses mean this device.
    calling = False
    # While it cannot take requests: they are answered with RNR.
    busy = False
    # Octets of our address in a UI frame that no frame of the client precedes: 1, 2 or 4.
    address_len = 1

    def __init__(
        self,
        server,
        channel,
        max_info=128,
        window=1,
        saps=None,
        device_address=17,
        connections=1,
        max_pdu=0,
    ):
        """max_info: longest information field either way that the buffers can hold (32..2030).
        saps: the logical devices here (upper addresses), None = all that the server has.
        device_address: the lower address, of the physical device.
        connections: links at a time; the second and further ones get channels of their own.
        max_pdu: longest request APDU joined from segments; 0 = the channel's max_receive_pdu.
        """
        max_info = min(max(max_info, 32), _MAX_INFO)
        window = min(max(window, 1), 7)
        if not max_pdu:
            max_pdu = channel.max_receive_pdu
        if saps is None:
            saps = tuple(d[0] for d in server.model.devices)
        links = [Link(self, channel, max_pdu)]
        while len(links) < connections:
            links.append(Link(self, server.channel(channel.max_pdu), max_pdu))
        Frames.__init__(self, max_info)
        self.server = server
        self.links = tuple(links)
        self.saps = saps

        # Settings, see configure(). inter_octet_ms is one too.
        self.max_info_tx = max_info
        self.max_info_rx = max_info
        self.window_tx = window
        self.window_rx = window
        self.inactivity_s = 120
        self.device_address = device_address

        # The frame in hand.
        self.control = 0
        self.segmented = 0
        self.sap = 0
        # The link whose turn it is to answer.
        self.link = links[0]
        # A UI frame to send: _ui_buf[_ui_pos:_ui_end], the LLC header included.
        self._ui_buf = None
        self._told = 0  # logical devices that have had what comes to all of them
        self._ui_pos = 0
        self._ui_end = 0
        # A notification that waits: note_buf is None when there is none.
        self.note_buf = None
        self._note_pos = 0
        self._note_end = 0
        self._note_client = 0
        self._note_sap = 0
        self._note_at_once = False

    def configure(
        self,
        max_info_tx=-1,
        max_info_rx=-1,
        window_tx=-1,
        window_rx=-1,
        inter_octet_ms=-1,
        inactivity_s=-1,
        device_address=-1,
    ):
        """Attributes of IEC HDLC setup (class_id 23); -1 leaves one alone. False: none changed.

        Lengths and windows count from the next SNRM on, and never beyond the buffers (capacity);
        times at once; device_address with the next frame.
        """
        if (
            (max_info_tx != -1 and not 32 <= max_info_tx <= _MAX_INFO)
            or (max_info_rx != -1 and not 32 <= max_info_rx <= _MAX_INFO)
            or (window_tx != -1 and not 1 <= window_tx <= 7)
            or (window_rx != -1 and not 1 <= window_rx <= 7)
            or (inter_octet_ms != -1 and not 20 <= inter_octet_ms <= 6000)
            or (inactivity_s != -1 and not 0 <= inactivity_s <= 0xFFFF)
            or (device_address != -1 and not 1 <= device_address <= 0x3FFD)
        ):
            return False
        if max_info_tx != -1:
            self.max_info_tx = min(max_info_tx, self.capacity)
        if max_info_rx != -1:
            self.max_info_rx = min(max_info_rx, self.capacity)
        if window_tx != -1:
            self.window_tx = window_tx
        if window_rx != -1:
            self.window_rx = window_rx
        if inter_octet_ms != -1:
            self.inter_octet_ms = inter_octet_ms
        if inactivity_s != -1:
            self.inactivity_s = inactivity_s
        if device_address != -1:
            self.device_address = device_address
        return True

    def reset(self):
        """The physical link came or went: all links to NDM, their associations dropped."""
        for link in self.links:
            link.drop()
        self._forget()
        self.reply = 0
        self.note_buf = None
        self._note_at_once = False

    def notify(self, client_sap, server_sap, buf, pos, n, at_once=False):
        """Send the APDU buf[pos:pos + n] in a UI frame; False: one waits already, or too long.

        It goes when that client asks for it (UI without information, P = 1: the trigger of IEC
        62056-5-3), or, at_once, when the line is next free (consumer ports that only listen).
        buf[pos - 3:pos] is overwritten, and buf must stay as it is until note_buf is None again.
        """
        if self.note_buf is not None or n + 3 > self.capacity:
            return False
        self.note_buf = buf
        self._note_pos = pos
        self._note_end = pos + n
        self._note_client = client_sap
        self._note_sap = server_sap
        self._note_at_once = at_once
        return True

    # Frames to links

    def _frame(self, now_ms):
        """A frame whose check sequences fit is in rx, its header _head octets long."""
        head = self._head
        to = self._addressed(head)
        if to == _NOBODY:
            return
        control = self.rx[head - 1]
        self.control = control
        self.segmented = self.rx[0] & 8
        poll = control & _PF
        kind = control & ~_PF
        if not control & 1:
            event = _EV_INFO
        elif control & 0x0F == 0x01:
            event = _EV_RR
        elif control & 0x0F == 0x05:
            event = _EV_RNR
        elif kind == _UI:
            event = _EV_UI
        elif kind == _SNRM:
            event = _EV_SNRM
        elif kind == _DISC:
            event = _EV_DISC
        else:
            event = _EV_OTHER
        if to == _EVERYBODY:
            if event == _EV_UI:
                self._broadcast(now_ms)
            return
        if event <= _EV_DISC and (not poll or self.over):
            return  # without P neither could be answered
        link = self.link
        if not link.state or link.client != self.client or link.sap != self.sap:
            link = self._find()
            if link is None:
                # Every link is taken: towards this client the device is in NDM and stays there.
                if event == _EV_UI:
                    self.deliver(self.links[0])
                elif poll:
                    self.reply = _DM_F
                return
            self.link = link
        link.last_ms = now_ms
        link.event(event)

    def _find(self):
        """The link between client and sap, else one that is free, else None."""
        found = None
        for link in self.links:
            if not link.state:
                found = link
            elif link.client == self.client and link.sap == self.sap:
                return link
        return found

    def _addressed(self, head):
        """Who the frame is for; sets client and sap, and our address for the answer."""
        rx = self.rx
        n = head - 4
        every = 0x3FFF if n == 4 else 0x7F
        to = _DEVICE
        upper = rx[2] >> 1
        if n > 1:
            if n == 4:
                upper = upper << 7 | rx[3] >> 1
                lower = (rx[4] >> 1) << 7 | rx[5] >> 1
            else:
                lower = rx[3] >> 1
            if lower == every:
                to = _EVERYBODY
            elif lower == every - 1:
                if not self.calling:
                    return _NOBODY
            elif lower != self.device_address:
                return _NOBODY
        if upper == every:
            to = _EVERYBODY
            upper = _ALL_STATION
        elif upper not in self.saps:
            return _NOBODY
        client = rx[head - 2] >> 1
        if not client or client == _ALL_STATION:
            return _NOBODY
        self.client = client
        self.sap = upper
        self._address_n = n
        copy(self._address, 0, rx, 2, n)
        return to

    def _broadcast(self, now_ms):
        """UI to all stations: no answer; once for each logical device if it is for all of them."""
        for link in self.links:
            if link.can_lend():
                break
        else:
            return
        if not link.state:
            link.last_ms = now_ms
        if self.sap != _ALL_STATION:
            self._request_ui(link, self.sap, self.rx, self.info, self.info_end)
            return
        n = self.info_end - self.info
        if not self._known:
            self._told = 0
        while self._told < len(self.saps):
            # A copy, because a ciphered one is deciphered in place. out is free: no reply is due.
            if not self._known:
                copy(self.out, 0, self.rx, self.info, n)
            self._known = False
            if self._request_ui(link, self.saps[self._told], self.out, 0, n) < 0:
                return
            self._told += 1

    def deliver(self, link):
        """UI to this device alone. With P = 1 there is an answer: UI if there is one, RR or DM."""
        rx = self.rx
        poll = self.control & _PF
        n = 0
        if self.info_end > self.info and link.can_lend():
            n = self._request_ui(link, self.sap, rx, self.info, self.info_end)
        if n < 0 or not poll:
            return
        self.link = link
        connected = link.state and link.client == self.client and link.sap == self.sap
        if 0 < n <= (link.info_tx if connected else self.capacity) - 3:
            channel = link.channel
            self._ui_buf = channel.tx
            self._ui_pos = channel.tx_pos - 3
            self._ui_end = channel.tx_pos + n
            self.reply = _UI_F
        elif (
            self.info_end == self.info
            and self.note_buf is not None
            and self._note_client == self.client
        ):
            self._take_note()
            self.reply = _UI_F
        elif connected:
            self.reply = _RNR_F if self.busy else _RR_F
        else:
            self.reply = _DM_F

    def _request_ui(self, link, sap, buf, pos, end):
        if self.over or self.segmented or self.busy:
            return 0
        if end - pos < 4 or buf[pos] != 0xE6 or buf[pos + 1] != 0xE6 or buf[pos + 2]:
            return 0
        channel = link.channel
        n = self.server.request(channel, self.client, sap, buf, pos + 3, end, _UNCONFIRMED)
        if n < 0:
            self.reply = _AGAIN
        return n

    def _take_note(self):
        self._ui_buf = self.note_buf
        self._ui_pos = self._note_pos - 3
        self._ui_end = self._note_end
        self.note_buf = None
        self._note_at_once = False

    # Links to octets

    def transmit(self, now_ms):
        if self.reply == _AGAIN:
            self.reply = 0
            self._parse(now_ms)
        elif self._left and not self.reply:
            self._parse(now_ms)
        reply = self.reply
        if reply == _AGAIN:
            return 0
        if not reply:
            return self._notify() if self._note_at_once else 0
        link = self.link
        link.last_ms = now_ms
        if reply == _INFO_F:
            return link.next_frame()
        self.reply = 0
        if reply == _UI_F:
            return self._write_ui()
        if reply == _UA_F:
            return link.write_ua()
        if reply == _FRMR_F:
            return link.write_frmr()
        if reply != _DM_F:
            reply |= link.vr << 5  # RR, RNR
        return self.finish(self.begin(reply, 0, 0), 0)

    def _notify(self):
        """Send the waiting notification, unless a frame is coming in."""
        if self._n > 0 or self._skip:
            return 0
        self.client = self._note_client
        n = self.address_len
        sap = self._note_sap
        lower = self.device_address
        address = self._address
        if n == 4:
            address[0] = sap >> 6 & 0xFE
            address[1] = sap << 1 & 0xFE
            address[2] = lower >> 6 & 0xFE
            address[3] = lower << 1 & 0xFE | 1
        else:
            address[0] = sap << 1 & 0xFE | (1 if n == 1 else 0)
            address[1] = lower << 1 & 0xFE | 1
        self._address_n = n
        self._take_note()
        return self._write_ui()

    def _write_ui(self):
        buf = self._ui_buf
        pos = self._ui_pos
        buf[pos] = 0xE6
        buf[pos + 1] = 0xE7
        buf[pos + 2] = 0
        n = self._ui_end - pos
        at = self.begin(_UI_F, n, 0)
        copy(self.out, at, buf, pos, n)
        return self.finish(at, n)

    # Time

    def tick(self, now_ms):
        """Inter-octet and inactivity time-outs."""
        if self.reply:
            return
        self._overdue(now_ms)
        if self.inactivity_s:
            limit_ms = self.inactivity_s * 1000
            for link in self.links:
                if (now_ms - link.last_ms) & _TICKS_MASK >= limit_ms:
                    if link.state:
                        link.event(_EV_TIME_OUT)
                    elif link.channel.in_use():
                        # Unconfirmed associations, opened by UI in NDM.
                        link.channel.release()
