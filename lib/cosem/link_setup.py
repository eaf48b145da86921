# SPDX-License-Identifier: MIT
"""Setup of links: IEC HDLC setup (class_id 23, versions 0 and 1; IEC 62056-6-2, 4.7.2), TCP-UDP
setup (class_id 41), IPv4 setup (class_id 42) and MAC address setup (class_id 43), version 0 (4.9);
M-Bus master port setup (class_id 74), version 0 (4.8.5).

The values are stored; here their ranges are kept (other-reason outside of them; lengths that no
buffer holds are outside), and the firmware is told by model.on_setup(row) to use them. For HDLC
it does so when the link is next set up: what was negotiated stays. An IP address is a
double-long-unsigned, first octet first.

What the network itself has said (model.follows, see firmware/links/interface.py) no client sets:
other-reason. Project-defined: a port from 1, an MSS from 40 octets, at least one connection; an
address of the meter or its gateway is 0.0.0.0 (none) or a unicast address, a subnet mask ones and
then zeros, a multicast address 224 to 239, each once in the list. Nothing is allocated.
"""

from cosem import elements, handler, slots
from dlms.axdr import get_u16, put_u16
from micropython import const

_HDLC_SETUP = const(23)
_TCP_UDP_SETUP = const(41)
_IPV4_SETUP = const(42)

# IEC HDLC setup.
_COMM_SPEED = const(2)
_WINDOW_SIZE_TRANSMIT = const(3)
_WINDOW_SIZE_RECEIVE = const(4)
_MAX_INFO_FIELD_LENGTH_TRANSMIT = const(5)
_MAX_INFO_FIELD_LENGTH_RECEIVE = const(6)
_INTER_OCTET_TIME_OUT = const(7)
_DEVICE_ADDRESS = const(9)

# TCP-UDP setup and IPv4 setup.
_PORT = const(2)
_MSS = const(4)
_NB_OF_SIM_CONN = const(5)

_IP_ADDRESS = const(3)
_MULTICAST_IP_ADDRESS = const(4)
_SUBNET_MASK = const(6)
_GATEWAY_IP_ADDRESS = const(7)
_PRIMARY_DNS_ADDRESS = const(9)
_SECONDARY_DNS_ADDRESS = const(10)

_ADD_MC_IP_ADDRESS = const(1)
_DELETE_MC_IP_ADDRESS = const(2)
_GET_NBOF_MC_IP_ADDRESSES = const(3)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_115200_BAUD = const(9)
_MAX_WINDOW = const(7)
# Physical device addresses below are reserved; 3FFE calls any device, 3FFF all of them.
_FIRST_ADDRESS = const(0x10)
_LAST_ADDRESS = const(0x3FFD)
_MIN_MSS = const(40)
_DOUBLE_LONG_UNSIGNED = const(0x06)
_LONG_UNSIGNED = const(0x12)
_ADDRESS_LEN = const(5)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def check(self, row, attribute, buf, pos, end):
        class_id = self.model.class_id(row)
        if row << 8 | attribute in self.model.follows:
            good = False
        elif class_id == _HDLC_SETUP:
            good = self._check_hdlc(row, attribute, buf, pos, end)
        elif class_id == _TCP_UDP_SETUP:
            good = _check_tcp_udp(attribute, buf, pos)
        else:
            good = _check_ipv4(attribute, buf, pos)
        return _SUCCESS if good else _OTHER_REASON

    def _check_hdlc(self, row, attribute, buf, pos, end):
        first = self.model.version(row) == 0
        low = 0
        high = 0xFFFF
        if attribute == _COMM_SPEED:
            high = _115200_BAUD
        elif attribute == _WINDOW_SIZE_TRANSMIT or attribute == _WINDOW_SIZE_RECEIVE:
            low = 1
            high = _MAX_WINDOW
        elif (
            attribute == _MAX_INFO_FIELD_LENGTH_TRANSMIT
            or attribute == _MAX_INFO_FIELD_LENGTH_RECEIVE
        ):
            low = 32
            high = min(128, self.model.longest_info) if first else self.model.longest_info
        elif attribute == _INTER_OCTET_TIME_OUT:
            low = 20
            high = 1000 if first else 6000
        elif attribute == _DEVICE_ADDRESS:
            low = _FIRST_ADDRESS
            high = _LAST_ADDRESS
        value = buf[pos + 1] if end - pos == 2 else get_u16(buf, pos + 1)
        return low <= value and value <= high

    def changed(self, row, attribute):
        if self.model.on_setup is not None:
            self.model.on_setup(row)

    def invoke(self, s, method, buf, pos, end):
        model = self.model
        row = s.row
        if model.class_id(row) != _IPV4_SETUP:
            return _OBJECT_UNDEFINED
        src = slots.source(model, row, _MULTICAST_IP_ADDRESS)
        at = slots.offset(model, row, _MULTICAST_IP_ADDRESS)
        n = src[at + 1]
        if method == _GET_NBOF_MC_IP_ADDRESSES:
            if len(s.out) - s.out_pos >= 3:
                s.out[s.out_pos] = _LONG_UNSIGNED
                s.out_pos = put_u16(s.out, s.out_pos + 1, n)
            return _SUCCESS
        if method != _ADD_MC_IP_ADDRESS and method != _DELETE_MC_IP_ADDRESS:
            return _OBJECT_UNDEFINED
        if end - pos != _ADDRESS_LEN or buf[pos] != _DOUBLE_LONG_UNSIGNED:
            return _TYPE_UNMATCHED
        if model.slot(row, _MULTICAST_IP_ADDRESS) < 0:
            return _READ_WRITE_DENIED
        found = elements.find_equal(src, at, n, _ADDRESS_LEN, buf, pos)
        if method == _ADD_MC_IP_ADDRESS:
            if found >= 0 or not _is_multicast(buf[pos + 1]):
                return _OTHER_REASON
            result = elements.add(model, row, _MULTICAST_IP_ADDRESS, buf, pos, end)
            if result:
                return result
        else:
            if found < 0:
                return _OTHER_REASON
            elements.remove(model, row, _MULTICAST_IP_ADDRESS, found)
        self.changed(row, _MULTICAST_IP_ADDRESS)
        return _SUCCESS


def _check_tcp_udp(attribute, buf, pos):
    if attribute == _PORT:
        return get_u16(buf, pos + 1) > 0
    if attribute == _MSS:
        return get_u16(buf, pos + 1) >= _MIN_MSS
    if attribute == _NB_OF_SIM_CONN:
        return buf[pos + 1] > 0
    return True


def _check_ipv4(attribute, buf, pos):
    if (
        attribute == _IP_ADDRESS
        or attribute == _GATEWAY_IP_ADDRESS
        or attribute == _PRIMARY_DNS_ADDRESS
        or attribute == _SECONDARY_DNS_ADDRESS
    ):
        if buf[pos + 1] == 0:
            return buf[pos + 2] == 0 and buf[pos + 3] == 0 and buf[pos + 4] == 0
        return buf[pos + 1] < 224
    if attribute == _SUBNET_MASK:
        return _is_mask(buf, pos + 1)
    if attribute == _MULTICAST_IP_ADDRESS:
        n = buf[pos + 1]
        if n > 127:
            return False
        for j in range(n):
            at = pos + 2 + j * _ADDRESS_LEN
            if not _is_multicast(buf[at + 1]):
                return False
            if elements.find_equal(buf, pos, j, _ADDRESS_LEN, buf, at) >= 0:
                return False
    return True


def _is_multicast(octet):
    return octet >= 224 and octet <= 239


def _is_mask(buf, pos):
    """Ones, then zeros."""
    ended = False
    for i in range(pos, pos + 4):
        bit = 0x80
        while bit:
            if buf[i] & bit:
                if ended:
                    return False
            else:
                ended = True
            bit >>= 1
    return True
