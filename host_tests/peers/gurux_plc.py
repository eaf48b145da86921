# SPDX-License-Identifier: MIT
"""Prints the octets of a frame that gurux-dlms makes for S-FSK.

    build/peers/bin/python gurux_plc.py SOURCE DESTINATION SERVER CLIENT CREDITS APDU

Numbers are hexadecimal. The settings of its Python edition have no place for MAC addresses, so
that they are made here.
"""

import sys
from types import SimpleNamespace

from gurux_dlms.GXByteBuffer import GXByteBuffer
from gurux_dlms.GXDLMS import GXDLMS

source, destination, server, client, credits_ = (int(text, 16) for text in sys.argv[1:6])
settings = SimpleNamespace(
    plc=SimpleNamespace(MacSourceAddress=source, MacDestinationAddress=destination),
    serverAddress=server,
    clientAddress=client,
    isServer=False,
)
data = GXByteBuffer(bytes.fromhex(sys.argv[6]))
print(bytes(GXDLMS.getPlcFrame(settings, credits_, data)).hex())
