# SPDX-License-Identifier: MIT
"""The xDLMS InitiateRequest and InitiateResponse (IEC 62056-5-3, xDLMS InitiateRequest APDU).

A-XDR but for the Conformance, which is BER inside it. Nothing is allocated.
"""

from dlms.axdr import length, length_size
from micropython import const

_INITIATE_REQUEST = const(0x01)
_INITIATE_RESPONSE = const(0x08)
_CONFIRMED_SERVICE_ERROR = const(0x0E)
_INITIATE_ERROR = const(1)

_DLMS_VERSION = const(6)
_VAA_LN = const(0x0007)
_VAA_SN = const(0xFA00)


class InitiateRequest:
    """dedicated_key _pos, _end (0 when absent), response_allowed, qos (-1 absent), version,
    conformance (24 bits, bit 0 of the standard is 0x800000), max_pdu (0: no limit)."""

    def __init__(self):
        self.dedicated_key_pos = self.dedicated_key_end = 0
        self.response_allowed = True
        self.qos = -1
        self.version = 0
        self.conformance = 0
        self.max_pdu = 0

    def parse(self, buf, pos, end):
        """Read the InitiateRequest at buf[pos:end]; False if it is not well-formed."""
        self.dedicated_key_pos = self.dedicated_key_end = 0
        self.response_allowed = True
        self.qos = -1
        self.conformance = 0
        if end - pos < 4 or buf[pos] != _INITIATE_REQUEST:
            return False
        pos += 1
        if buf[pos]:
            n = length(buf, pos + 1, end)
            if n < 0:
                return False
            pos += 1 + length_size(buf, pos + 1)
            self.dedicated_key_pos = pos
            pos += n
            self.dedicated_key_end = pos
        else:
            pos += 1
        # response-allowed: DEFAULT TRUE, then the value when it is not the default
        if pos + 1 < end and buf[pos]:
            self.response_allowed = buf[pos + 1] != 0
            pos += 1
        pos += 1
        if pos + 1 < end and buf[pos]:
            self.qos = buf[pos + 1]
            pos += 1
        pos += 1
        if pos >= end:
            return False
        self.version = buf[pos]
        pos += 1
        # Conformance: 5F 1F 04 00 and three octets; very old clients leave out the 1F.
        if end - pos < 8 or buf[pos] != 0x5F:
            return False
        pos += 1
        if buf[pos] == 0x1F:
            pos += 1
        if end - pos != 7 or buf[pos] != 4 or buf[pos + 1] != 0:
            return False
        self.conformance = buf[pos + 2] << 16 | buf[pos + 3] << 8 | buf[pos + 4]
        self.max_pdu = buf[pos + 5] << 8 | buf[pos + 6]
        return True


def put_response(tx, pos, qos, conformance, max_pdu, short=False):
    """Write an InitiateResponse (qos -1: absent; short: with short names); returns its end."""
    tx[pos] = _INITIATE_RESPONSE
    pos += 1
    if qos >= 0:
        tx[pos] = 1
        tx[pos + 1] = qos
        pos += 2
    else:
        tx[pos] = 0
        pos += 1
    tx[pos] = _DLMS_VERSION
    tx[pos + 1] = 0x5F
    tx[pos + 2] = 0x1F
    tx[pos + 3] = 4
    tx[pos + 4] = 0
    tx[pos + 5] = conformance >> 16
    tx[pos + 6] = conformance >> 8 & 0xFF
    tx[pos + 7] = conformance & 0xFF
    tx[pos + 8] = max_pdu >> 8
    tx[pos + 9] = max_pdu & 0xFF
    vaa_name = _VAA_SN if short else _VAA_LN
    tx[pos + 10] = vaa_name >> 8
    tx[pos + 11] = vaa_name & 0xFF
    return pos + 12


def put_error(tx, pos, error_class, value):
    """Write a confirmedServiceError initiateError; returns its end."""
    tx[pos] = _CONFIRMED_SERVICE_ERROR
    tx[pos + 1] = _INITIATE_ERROR
    tx[pos + 2] = error_class
    tx[pos + 3] = value
    return pos + 4
