# SPDX-License-Identifier: MIT
"""Serves APDUs of one client as they come, good and bad, under a locked heap. Runs on MicroPython.

    micropython attacked.py FOLDER CLIENT POISON    APDUs in hexadecimal on stdin, one a line

FOLDER holds definition.py. Each APDU lies in the middle of a buffer that is POISON otherwise: who
reads beyond it finds that. Prints what was answered, one line an APDU.
"""

import sys

from served import channel, request

CLIENT = int(sys.argv[2])
POISON = int(sys.argv[3])
MARGIN = 40


def serve(apdu):
    size = len(apdu)
    buf = bytearray(bytes((POISON,)) * (size + 2 * MARGIN))
    buf[MARGIN : MARGIN + size] = apdu
    n = request(buf, CLIENT, 17, MARGIN, MARGIN + size)
    print(bytes(channel.tx[channel.tx_pos : channel.tx_pos + n]).hex().upper())


for line in sys.stdin:
    serve(bytes.fromhex(line.strip()))
