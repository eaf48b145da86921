# SPDX-License-Identifier: MIT
"""IPv6 setup (class_id 48, version 0; IEC 62056-6-2, 4.9.3).

The values are stored; here their ranges are kept, and unicast_IPv6_addresses is the network's own
where the port of the firmware can say it (model.follows, see firmware/links/interface.py).

Project-defined, other-reason: a multicast address that does not begin with FF, another one that
does; an address twice in a list, or one that is to be removed and is not there; no room; a list
that follows the network; address_type above 2. Nothing is allocated.
"""

from cosem import elements, handler
from micropython import const

_UNICAST_IPV6_ADDRESSES = const(4)  # the first of three lists, in the order of address_type
_MULTICAST_IPV6_ADDRESSES = const(5)
_GATEWAY_IPV6_ADDRESSES = const(6)

_ADD_IPV6_ADDRESS = const(1)
_REMOVE_IPV6_ADDRESS = const(2)

# The parameter: 02 02 16 address_type 09 10 address.
_TYPE_AT = const(3)
_ELEMENT_AT = const(4)
_ELEMENT_LEN = const(18)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def check(self, row, attribute, buf, pos, end):
        if row << 8 | attribute in self.model.follows:
            return _OTHER_REASON
        if attribute < _UNICAST_IPV6_ADDRESSES or attribute > _GATEWAY_IPV6_ADDRESSES:
            return _SUCCESS
        n = buf[pos + 1]
        if n > 127:
            return _OTHER_REASON
        for k in range(n):
            at = pos + 2 + k * _ELEMENT_LEN
            if not _fits(attribute, buf, at):
                return _OTHER_REASON
            if elements.find_equal(buf, pos, k, _ELEMENT_LEN, buf, at) >= 0:
                return _OTHER_REASON
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        model = self.model
        row = s.row
        if method != _ADD_IPV6_ADDRESS and method != _REMOVE_IPV6_ADDRESS:
            return _OBJECT_UNDEFINED
        attribute = _UNICAST_IPV6_ADDRESSES + buf[pos + _TYPE_AT]
        pos += _ELEMENT_AT
        if attribute > _GATEWAY_IPV6_ADDRESSES or row << 8 | attribute in model.follows:
            return _OTHER_REASON
        at = model.slot(row, attribute)
        if at < 0:
            return _READ_WRITE_DENIED
        n = model.image[at + 1]
        found = elements.find_equal(model.image, at, n, _ELEMENT_LEN, buf, pos)
        if method == _ADD_IPV6_ADDRESS:
            if found >= 0 or not _fits(attribute, buf, pos):
                return _OTHER_REASON
            return elements.add(model, row, attribute, buf, pos, end)
        if found < 0:
            return _OTHER_REASON
        elements.remove(model, row, attribute, found)
        return _SUCCESS


def _fits(attribute, buf, pos):
    """Is the address (an octet-string) one for this list?"""
    return (buf[pos + 2] == 0xFF) == (attribute == _MULTICAST_IPV6_ADDRESSES)
