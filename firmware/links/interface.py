# SPDX-License-Identifier: MIT
"""What the network says of itself goes to the setup objects of the definition, once the links are
open: TCP-UDP setup (class_id 41), IPv4 setup (42), MAC address setup (43) and IPv6 setup (48), the
first object of each, and of these what is in RAM and what the port can tell:

    TCP-UDP_port                                    of the wrapper over TCP, else over UDP
    IP_address, unicast_IPv6_addresses              that the link is bound to; of a link that is
                                                    bound to all of them, the one that goes out
    subnet_mask, gateway, primary_DNS, MAC_address  of a board's Wi-Fi; of a PC its MAC address

What it says is the network's from then on: a client that sets one hears other-reason, but for the
port: the links move there (settings.py). What it does not say stays configuration. Only
the start needs this module.
"""

from cosem import slots
from firmware.links.settings import first
from micropython import const

_TCP_UDP_SETUP = const(41)
_PORT = const(2)
_IPV4_SETUP = const(42)
_IP_ADDRESS = const(3)
_SUBNET_MASK = const(6)
_GATEWAY_IP_ADDRESS = const(7)
_PRIMARY_DNS_ADDRESS = const(9)
_MAC_ADDRESS_SETUP = const(43)
_MAC_ADDRESS = const(2)
_IPV6_SETUP = const(48)
_UNICAST_IPV6_ADDRESSES = const(4)


def tell(model, links, port):
    """links: open. Allocates."""
    over_ip = [link for link in links if link.name[:7] == "wrapper"]
    if not over_ip:
        return
    over_ip.sort(key=lambda link: link.name)  # TCP first
    link = over_ip[0]
    row = first(model, _TCP_UDP_SETUP)
    if row >= 0 and model.slot(row, _PORT) >= 0:
        model.put_int(row, _PORT, link.number)
        for one in over_ip:
            one.told = link.number
    four, six, mac = port.interface(link.host)
    follows = []
    row = first(model, _IPV4_SETUP)
    if row >= 0 and four:
        attributes = (_IP_ADDRESS, _SUBNET_MASK, _GATEWAY_IP_ADDRESS, _PRIMARY_DNS_ADDRESS)
        for attribute, address in zip(attributes, four):
            octets = _of(address)
            at = model.slot(row, attribute)
            if octets and at >= 0:
                model.image[at + 1 : at + 5] = octets
                follows.append(row << 8 | attribute)
    row = first(model, _MAC_ADDRESS_SETUP)
    if row >= 0 and mac and model.slot(row, _MAC_ADDRESS) >= 0:
        if model.put_bytes(row, _MAC_ADDRESS, mac):
            follows.append(row << 8 | _MAC_ADDRESS)
    row = first(model, _IPV6_SETUP)
    if row >= 0 and six and model.slot(row, _UNICAST_IPV6_ADDRESSES) >= 0:
        at = model.slot(row, _UNICAST_IPV6_ADDRESSES)
        value = b"\x01\x01\x09\x10" + six
        if len(value) <= model.capacity(row, _UNICAST_IPV6_ADDRESSES):
            model.image[at : at + len(value)] = value
            slots.set_len(model.image, at, len(value))
            follows.append(row << 8 | _UNICAST_IPV6_ADDRESSES)
    model.follows = tuple(follows)


def _of(address):
    """The octets of an address of IPv4 in digits, b"" if it is none."""
    try:
        octets = bytes([int(part) for part in (address or "").split(".")])
    except ValueError:
        return b""
    return octets if len(octets) == 4 else b""
