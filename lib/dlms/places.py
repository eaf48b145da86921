# SPDX-License-Identifier: MIT
"""Which of the server's associations a client gets that comes, and what one has that needs no
AARQ. Of opening.py. Nothing is allocated.
"""

from dlms.axdr import get_small_u32
from micropython import const

# States and events of association.py.
_IDLE = const(0)
_PENDING = const(1)
_AARQ_ACCEPTED = const(0)
_ABORTED = const(6)

# Fields of a row of ASSOCIATIONS in the definition.
_CLIENT_SAP = const(0)
_DEVICE = const(1)
_MECHANISM = const(3)
_CONFORMANCE = const(4)
_SECURITY = const(8)
_LOWEST = const(0)


def establish(server, channel, config):
    """The place of an association that needs no AARQ, or None: all are taken. It has what an
    AARQ would have asked for at best."""
    a = free(server, config, channel)
    if a is not None:
        a.channel = channel
        a.client_sap = config[_CLIENT_SAP]
        a.server_sap = server.model.devices[config[_DEVICE]][0]
        a.event(_AARQ_ACCEPTED)
        a.configure(config)
        a.confirmed = True
        a.user = -1
        a.conformance = get_small_u32(config[_CONFORMANCE], 0)
        a.max_pdu = 0
        a.limit = channel.max_pdu
        if server.secures:
            a.established(server.secured.context_of(config) if server.secured else None)
        channel.last = a
    return a


def free(server, config, channel):
    """Room for an association, or None. One place is kept for clients that have a secret: nobody
    without one can keep them out."""
    n = 0
    reserved = 0
    if len(server.associations) > 1:
        for other in server.model.configs:
            if _has_secret(other):
                reserved = 1
    free = pending = None
    for a in server.associations:
        if a.state == _IDLE:
            n += 1
            free = a
        elif a.state == _PENDING:
            # Nobody has proved anything yet: who comes later may have its place, and of all
            # of them rather that of one on the same channel.
            n += 1
            if pending is None or pending.channel is not channel:
                pending = a
        elif a.config is not None and _has_secret(a.config):
            reserved -= 1
    if channel.full or config is not None and not _has_secret(config) and n <= reserved:
        return None
    if free is None and pending is not None:
        pending.channel.last = None
        pending.event(_ABORTED)
        return pending
    return free


def _has_secret(config):
    return config[_MECHANISM] != _LOWEST or config[_SECURITY] >= 0
