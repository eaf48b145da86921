# SPDX-License-Identifier: MIT
"""HDLC over a UART of a board: an optical head (IEC 62056-46), RS-485, a modem.

    link = hdlc(meter, port, number, baud)

Allocates its buffers when it is made: two frames, one APDU, one transmit buffer, a chunk. What the
object IEC HDLC setup says goes to the profile with configure(); buffers keep the size they got.
"""

from firmware.links.stream import Serial
from micropython import const
from profiles.hdlc import HDLC

_HDLC_SETUP = const(23)
_WINDOW_TX = const(3)
_WINDOW_RX = const(4)
_MAX_INFO_TX = const(5)
_MAX_INFO_RX = const(6)
_INTER_OCTET = const(7)
_INACTIVITY = const(8)
_DEVICE_ADDRESS = const(9)

_CHUNK_LEN = const(64)
_SMALLEST_INFO = const(128)


def hdlc(meter, port, number, baud):
    """A link for the UART of this number."""
    model = meter.model
    rows = model.rows(_HDLC_SETUP)
    info_len = _SMALLEST_INFO
    for row in rows:
        for attribute in (_MAX_INFO_TX, _MAX_INFO_RX):
            info_len = max(info_len, model.get_int(row, attribute))
    profile = HDLC(meter.server, meter.server.channel(), info_len)
    name = "UART%d %d" % (number, baud)
    return Serial(port, "hdlc-uart", name, port.uart(number, baud), profile, _CHUNK_LEN)


def configure(model, link):
    """Hand what IEC HDLC setup says to the profile of a link."""
    rows = model.rows(_HDLC_SETUP)
    if rows:
        row = rows[0]
        for profile in link.profiles():
            profile.configure(
                model.get_int(row, _MAX_INFO_TX),
                model.get_int(row, _MAX_INFO_RX),
                model.get_int(row, _WINDOW_TX),
                model.get_int(row, _WINDOW_RX),
                model.get_int(row, _INTER_OCTET),
                model.get_int(row, _INACTIVITY),
                model.get_int(row, _DEVICE_ADDRESS),
            )
