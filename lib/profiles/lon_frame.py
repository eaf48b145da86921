# SPDX-License-Identifier: MIT
"""Frames of ISO/IEC 14908-1, layers 2 to 5: which fields they have, and where.

    LPDU    header | NPDU | CRC-16 (made and checked by the modem)
    header  priority 1, alternate path 1, delta backlog 6
    NPDU    version 2, kind of PDU 2, form of address 2, length of domain 2 | source subnet |
            source node | destination | domain | PDU
    PDU     TPDU and SPDU: authenticated 1, type 3, transaction number 4 | APDU; APDU: at once

    f = Frame()
    f.read(buf, pos, end) -> 1         an LPDU without its CRC; 0: none that is known
    f.write(buf, pos) -> end           the fields, in front of an APDU; at most LONGEST_HEAD octets

Fields are small ints; a domain is domain_in[domain:], with 0, 1, 3 or 6 octets as domain_code
says, a unique identifier unique_in[unique:], 6 octets. Nothing is allocated but at construction.
"""

from dlms.prim import copy
from micropython import const

# Kinds of PDU.
TPDU = 0
SPDU = 1
AUTH_PDU = 2
APDU = 3

# Forms of address. Form 2 of a frame is one of two, told apart by bit 7 of the source node.
BROADCAST = 0
GROUP = 1
NODE = 2
UNIQUE = 3
GROUP_ACKNOWLEDGED = 4

# Types of TPDU, and of SPDU: a response has the number of an acknowledgement.
ACKNOWLEDGED = 0
REQUEST = 0
REPEATED = 1
ACKNOWLEDGEMENT = 2
RESPONSE = 2
REMINDER = 4
REMINDER_AND_MESSAGE = 5

LONGEST_HEAD = 1 + 1 + 9 + 6 + 1
DOMAIN_LEN = b"\x00\x01\x03\x06"  # octets of a domain, by its code
UNIQUE_LEN = 6

_PRIORITY = const(0x80)
_ALTERNATE = const(0x40)
_BACKLOG = const(0x3F)
_SELECTOR = const(0x80)
_NODE = const(0x7F)

# Octets of source and destination, by form.
_ADDRESS_LEN = b"\x03\x03\x04\x09\x06"
# Types that there are, as bits: of TPDU, SPDU.
_TYPES = b"\x37\x35"


class Frame:
    """A frame that came, or that is to be made.

    priority, alternate, backlog    of the LPDU
    kind, form                      see above
    source_subnet, source_node      0, 0: of a node that has no address yet
    subnet                          destination: all of a subnet (0: of the domain), or the node's
    node, group, member             destination, where the form has them
    unique, domain, domain_code     see above
    authenticated, type, number     of TPDU and SPDU
    at, end                         the APDU
    """

    def __init__(self):
        self.unique_in = self.domain_in = b""
        self.priority = self.alternate = self.backlog = 0
        self.kind = self.form = 0
        self.source_subnet = self.source_node = 0
        self.subnet = self.node = self.group = self.member = 0
        self.unique = self.domain = self.domain_code = 0
        self.authenticated = self.type = self.number = 0
        self.at = self.end = 0

    def read(self, buf, pos, end):
        if end - pos < 5:
            return 0
        octet = buf[pos]
        self.priority = octet & _PRIORITY
        self.alternate = octet & _ALTERNATE
        self.backlog = octet & _BACKLOG
        octet = buf[pos + 1]
        form = octet >> 2 & 3
        n_domain = DOMAIN_LEN[octet & 3]
        pos += 2
        if form == NODE and not buf[pos + 1] & _SELECTOR:
            form = GROUP_ACKNOWLEDGED
        elif not buf[pos + 1] & _SELECTOR:
            return 0
        n = _ADDRESS_LEN[form]
        # Another version of the network layer, or too short for one octet of PDU.
        if octet & 0xC0 or end - pos < n + n_domain + 1:
            return 0
        self.unique_in = buf
        self.kind = octet >> 4 & 3
        self.form = form
        self._read_address(buf, pos)
        self.domain = pos + n
        self.domain_code = octet & 3
        self.domain_in = buf
        pos += n + n_domain
        self.authenticated = self.type = self.number = 0
        if self.kind != APDU:
            octet = buf[pos]
            pos += 1
            if self.kind != AUTH_PDU:
                self.authenticated = octet & 0x80
                self.type = octet >> 4 & 7
                self.number = octet & 15
                if not _TYPES[self.kind] >> self.type & 1:
                    return 0
        self.at = pos
        self.end = end
        return 1

    def _read_address(self, buf, pos):
        self.source_subnet = buf[pos]
        self.source_node = buf[pos + 1] & _NODE
        self.subnet = self.node = self.group = self.member = self.unique = 0
        form = self.form
        if form == GROUP:
            self.group = buf[pos + 2]
            return
        self.subnet = buf[pos + 2]
        if form == UNIQUE:
            self.unique = pos + 3
        elif form != BROADCAST:
            self.node = buf[pos + 3] & _NODE
            if form == GROUP_ACKNOWLEDGED:
                self.group = buf[pos + 4]
                self.member = buf[pos + 5]

    def head_len(self):
        """Octets that write() takes."""
        return 2 + _ADDRESS_LEN[self.form] + DOMAIN_LEN[self.domain_code] + (self.kind != APDU)

    def write(self, buf, pos):
        form = self.form
        buf[pos] = self.priority | self.alternate | self.backlog
        wire_form = NODE if form == GROUP_ACKNOWLEDGED else form
        buf[pos + 1] = self.kind << 4 | wire_form << 2 | self.domain_code
        buf[pos + 2] = self.source_subnet
        buf[pos + 3] = self.source_node | (0 if form == GROUP_ACKNOWLEDGED else _SELECTOR)
        buf[pos + 4] = self.group if form == GROUP else self.subnet
        if form == UNIQUE:
            copy(buf, pos + 5, self.unique_in, self.unique, UNIQUE_LEN)
        elif form == NODE or form == GROUP_ACKNOWLEDGED:
            buf[pos + 5] = self.node | _SELECTOR
            if form == GROUP_ACKNOWLEDGED:
                buf[pos + 6] = self.group
                buf[pos + 7] = self.member
        pos += 2 + _ADDRESS_LEN[form]
        n = DOMAIN_LEN[self.domain_code]
        copy(buf, pos, self.domain_in, self.domain, n)
        pos += n
        if self.kind != APDU:
            buf[pos] = self.authenticated | self.type << 4 | self.number
            pos += 1
        return pos
