# SPDX-License-Identifier: MIT
"""When, how often and to where a Push setup object pushes: its attributes as numbers (class 40,
versions 0 to 2; IEC 62056-6-2, 4.4.8.2, 5.4.9, 5.4.10). Loaded when something is to be sent.

Uncertain: the delay before repetition n (0 is the first) is repetition_delay_min *
(repetition_delay_exponent / 100) ** n seconds, at most repetition_delay_max (one public source).
push_operation_method 2 asks the client to confirm from confirmation_start_date on, and only when
confirmation_interval seconds have passed since the last confirmation; 0: each time (the public
sources say that the interval is in seconds, and off if it is 0). last_confirmation_date_time is
when a confirmation comes; it is not kept over a power failure.
"""

from cosem import slots, windows
from cosem.push_setup import is_good
from dlms.axdr import get_u16
from dlms.prim import copy
from micropython import const

_PUSH_OBJECT_LIST = const(2)
_SEND_DESTINATION_AND_METHOD = const(3)
_COMMUNICATION_WINDOW = const(4)
_RANDOMISATION_START_INTERVAL = const(5)
_NUMBER_OF_RETRIES = const(6)
_REPETITION_DELAY = const(7)
_PORT_REFERENCE = const(8)
_PUSH_CLIENT_SAP = const(9)
_PUSH_PROTECTION_PARAMETERS = const(10)
_PUSH_OPERATION_METHOD = const(11)
_CONFIRMATION_PARAMETERS = const(12)
_LAST_CONFIRMATION_DATE_TIME = const(13)

# 02 03 16 transport_service 09 length destination 16 message
_SERVICE_AT = const(3)
_DESTINATION_AT = const(5)

_HDLC = const(5)
_HDLC_SETUP = const(23)
_TCP_UDP_SETUP = const(41)
_MANAGEMENT_PROCESS = const(1)
# Fields of a row of ASSOCIATIONS in the definition.
_CLIENT_SAP = const(0)
_DEVICE = const(1)

_V2 = const(2)
_ACKNOWLEDGED = const(1)  # push_operation_method
_CONFIRMED = const(2)
_NOT_SPECIFIED = const(0xFF)


def is_ready(model, row):
    """Does the object say what goes to whom, in a way that this meter can do?"""
    src = slots.source(model, row, _PUSH_OBJECT_LIST)
    if not src[slots.offset(model, row, _PUSH_OBJECT_LIST) + 1]:
        return False
    src = slots.source(model, row, _SEND_DESTINATION_AND_METHOD)
    at = slots.offset(model, row, _SEND_DESTINATION_AND_METHOD)
    # What stands in the definition nobody has checked.
    if not is_good(model, src, at, at + model.value_len(row, _SEND_DESTINATION_AND_METHOD)):
        return False
    if not src[at + _DESTINATION_AT] and src[at + _SERVICE_AT] != _HDLC:
        return False
    return _is_port(model, row, src[at + _SERVICE_AT]) and client(model, row) is not None


def _is_port(model, row, wanted):
    """Is port_reference nothing, or the setup object of a link that has this service?"""
    if model.version(row) == 0:
        return True
    src = slots.source(model, row, _PORT_REFERENCE)
    at = slots.offset(model, row, _PORT_REFERENCE)
    for i in range(6):
        if src[at + 2 + i]:
            break
    else:
        return True
    port = model.named(slots.device_of(model, row), src, at)
    if port < 0:
        return False
    return model.class_id(port) == (_HDLC_SETUP if wanted == _HDLC else _TCP_UDP_SETUP)


def has_parameters(model, row):
    """Do push_protection_parameters say how it is protected?"""
    if model.version(row) == 0:
        return False
    src = slots.source(model, row, _PUSH_PROTECTION_PARAMETERS)
    return src[slots.offset(model, row, _PUSH_PROTECTION_PARAMETERS) + 1] != 0


def client(model, row):
    """The association of the definition for whose client the object pushes, or None."""
    sap = _MANAGEMENT_PROCESS
    if model.version(row):
        sap = slots.octet(model, row, _PUSH_CLIENT_SAP)
    device = slots.device_of(model, row)
    for config in model.configs:
        if config[_CLIENT_SAP] == sap and config[_DEVICE] == device:
            return config
    return None


def service(model, row):
    src = slots.source(model, row, _SEND_DESTINATION_AND_METHOD)
    return src[slots.offset(model, row, _SEND_DESTINATION_AND_METHOD) + _SERVICE_AT]


def destination(model, row):
    """The octets of destination; at most 127. Allocates."""
    src = slots.source(model, row, _SEND_DESTINATION_AND_METHOD)
    at = slots.offset(model, row, _SEND_DESTINATION_AND_METHOD) + _DESTINATION_AT
    return bytes(src[at + 1 : at + 1 + src[at]])


def is_open(model, row, clock):
    """Is a communication window open?"""
    src = slots.source(model, row, _COMMUNICATION_WINDOW)
    return windows.is_open(src, slots.offset(model, row, _COMMUNICATION_WINDOW), clock)


def random(model, row):
    """Seconds until the first attempt, 0 to randomisation_start_interval."""
    n = slots.long_unsigned(model, row, _RANDOMISATION_START_INTERVAL)
    return model.random(n + 1) if n and model.random is not None else 0


def retries(model, row):
    return slots.octet(model, row, _NUMBER_OF_RETRIES)


def delay(model, row, n):
    """Seconds until the next attempt, after n repetitions."""
    src = slots.source(model, row, _REPETITION_DELAY)
    at = slots.offset(model, row, _REPETITION_DELAY)
    if model.version(row) < _V2:
        return get_u16(src, at + 1)
    # 02 03 12 min 12 exponent 12 max
    seconds = get_u16(src, at + 3)
    most = get_u16(src, at + 9)
    while n and seconds < most:
        seconds = seconds * get_u16(src, at + 6) // 100
        n -= 1
    return min(seconds, most)


def is_acknowledged(model, row):
    """Is it repeated if the layer below does not confirm, see firmware/links/push.py?"""
    return (
        model.version(row) >= _V2
        and slots.octet(model, row, _PUSH_OPERATION_METHOD) == _ACKNOWLEDGED
    )


def is_confirmed(model, row, clock):
    """Is the client to confirm the next notification?"""
    if model.version(row) < _V2 or slots.octet(model, row, _PUSH_OPERATION_METHOD) != _CONFIRMED:
        return False
    if clock is None:
        return True
    # 02 02 19 confirmation_start_date 06 confirmation_interval
    src = slots.source(model, row, _CONFIRMATION_PARAMETERS)
    at = slots.offset(model, row, _CONFIRMATION_PARAMETERS) + 3
    now = clock.minute * 60 + clock.second
    if src[at] != _NOT_SPECIFIED and clock.bound_of(src, at, False) * 60 > now:
        return False
    interval = slots.unsigned32(src, at + 13)
    src = slots.source(model, row, _LAST_CONFIRMATION_DATE_TIME)
    at = slots.offset(model, row, _LAST_CONFIRMATION_DATE_TIME) + 1
    if not interval or src[at] == _NOT_SPECIFIED:
        return True
    last = clock.minute_of(src, at) * 60 + clock.last_second
    return not last <= now < last + interval


def put_confirmed(model, row, clock):
    """The client has confirmed, now."""
    at = model.slot(row, _LAST_CONFIRMATION_DATE_TIME)
    if at >= 0 and clock is not None:
        copy(model.image, at + 1, clock.local, 0, 12)
