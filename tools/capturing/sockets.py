# SPDX-License-Identifier: MIT
"""Addresses that a meter cannot say: its own, of a socket that is bound to all addresses, or of a
connection that it has opened. Of a meter on this machine, Linux knows the true ones.
"""

import ipaddress
import socket
import struct

from . import packets

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_OVER = ("06", "07")  # states of /proc/net/tcp: TIME_WAIT, CLOSE
_MADE_UP = 49152  # the first of the ports for private use


def ends(link, here=True):
    """((host, port) of the meter, of its peer) of a Link over TCP or UDP; None: there are none.
    here: the meter is on this machine."""
    try:
        peer = packets.endpoint(link.peer)
    except ValueError:
        return None
    try:
        local = packets.endpoint(link.local)
        if not ipaddress.ip_address(local[0]).is_unspecified:
            return local, peer
        number = local[1]
    except ValueError:
        number = 0
    found = here and link.kind.endswith("tcp") and connected(number, peer)
    if found:
        return found, peer
    if not number:
        number = _MADE_UP + link.number % (1 << 14)
    return (way_to(peer) if here else unspecified(peer), number), peer


def connected(number, peer):
    """(host, port) of this machine's end of a TCP connection with a peer, at port number (0: any);
    None: there is none, or nobody can say."""
    for path in _TABLES:
        try:
            with open(path) as f:
                rows = f.read().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            mine, other, state = row.split()[1:4]
            if state in _OVER or _of(other) != peer:
                continue
            local = _of(mine)
            if number in (0, local[1]):
                return local
    return None


def _of(text):
    """0100007F:0FDB: the words of an address as this machine has them in memory."""
    host, _, number = text.partition(":")
    words = [int(host[k : k + 8], 16) for k in range(0, len(host), 8)]
    address = ipaddress.ip_address(struct.pack("=%dI" % len(words), *words))
    address = getattr(address, "ipv4_mapped", None) or address
    return str(address), int(number, 16)


def way_to(peer):
    """The address of this machine on the way to a peer; nothing is sent."""
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.connect(peer)
            return s.getsockname()[0].partition("%")[0]
    except OSError:
        return unspecified(peer)


def unspecified(peer):
    return "::" if ":" in peer[0] else "0.0.0.0"
