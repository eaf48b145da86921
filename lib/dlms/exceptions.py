# SPDX-License-Identifier: MIT
"""The exception-response (IEC 62056-5-3) and which one answers what.

    request without an association           service-not-allowed, operation-not-possible
    service that was not negotiated, or      service-not-allowed, service-not-supported
      a choice of it that does not exist
    no service at all                        service-unknown, service-not-supported
    malformed APDU                           service-not-allowed, other-reason
    reply that cannot be made short enough   service-not-allowed, pdu-too-long
    failure inside the meter                 service-not-allowed, operation-not-possible
    protection that is wrong                 service-not-allowed, deciphering-error
    invocation counter that was used before  service-not-allowed, invocation-counter-error
    request weaker than the policy           service-not-allowed, operation-not-possible

Which state-error goes with a service that was not negotiated is not settled in public sources;
both are seen.
"""

from dlms.prim import copy
from micropython import const

_EXCEPTION_RESPONSE = const(0xD8)
# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)
_SERVICE_NOT_ALLOWED = const(1)
_SERVICE_UNKNOWN = const(2)
_OPERATION_NOT_POSSIBLE = const(1)
_SERVICE_NOT_SUPPORTED = const(2)
_OTHER_REASON = const(3)
_PDU_TOO_LONG = const(4)
_INVOCATION_COUNTER_ERROR = const(6)

# Requests that exist in IEC 62056-5-3, ciphered forms included.
_SERVICES = (
    0x05,
    0x06,
    0x16,
    0x21,
    0x25,
    0x26,
    0x36,
    0x45,
    0x46,
    0x56,
    0xC0,
    0xC1,
    0xC3,
    0xC8,
    0xC9,
    0xCB,
    0xD0,
    0xD1,
    0xD3,
    0xD9,
    0xDB,
    0xDC,
    0xDD,
    0xDF,
    0xE0,
    0xE6,
)


def put(channel, state_error, service_error):
    tx = channel.tx
    pos = _HEADROOM
    tx[pos] = _EXCEPTION_RESPONSE
    tx[pos + 1] = state_error
    tx[pos + 2] = service_error
    return channel.reply(pos, pos + 3)


def not_supported(channel, tag):
    known = tag in _SERVICES
    return put(
        channel, _SERVICE_NOT_ALLOWED if known else _SERVICE_UNKNOWN, _SERVICE_NOT_SUPPORTED
    )


def no_association(channel, tag):
    if tag in _SERVICES:
        return put(channel, _SERVICE_NOT_ALLOWED, _OPERATION_NOT_POSSIBLE)
    return put(channel, _SERVICE_UNKNOWN, _SERVICE_NOT_SUPPORTED)


def choice(channel):
    return put(channel, _SERVICE_NOT_ALLOWED, _SERVICE_NOT_SUPPORTED)


def malformed(channel):
    return put(channel, _SERVICE_NOT_ALLOWED, _OTHER_REASON)


def too_long(channel):
    return put(channel, _SERVICE_NOT_ALLOWED, _PDU_TOO_LONG)


def protection(channel, error, lowest):
    """error: deciphering-error, or invocation-counter-error with the lowest that is taken."""
    n = put(channel, _SERVICE_NOT_ALLOWED, error)
    if error == _INVOCATION_COUNTER_ERROR:
        copy(channel.tx, channel.tx_pos + n, lowest, 0, 4)
        n += 4
    return n


def failed(channel):
    return put(channel, _SERVICE_NOT_ALLOWED, _OPERATION_NOT_POSSIBLE)
