# SPDX-License-Identifier: MIT
"""Serves APDUs of one client as they come, good and bad, under a locked heap. Runs on MicroPython.

    micropython attacked.py FOLDER CLIENT POISON    APDUs in hexadecimal on stdin, one a line

FOLDER holds definition.py. Each APDU lies in the middle of a buffer that is POISON otherwise: who
reads beyond it finds that. Prints what was answered, one line an APDU.
"""

import sys

sys.path.append(sys.argv[1])

import definition  # noqa: E402
from cosem.model import Model  # noqa: E402
from dlms.server import Server  # noqa: E402
from firmware.ports import ciphers  # noqa: E402
from firmware.ports import micropython as port  # noqa: E402
from micropython import heap_lock, heap_unlock  # noqa: E402

CLIENT = int(sys.argv[2])
POISON = int(sys.argv[3])
MARGIN = 40

model = Model(definition)
model.aes = ciphers.aes
model.new_hash = ciphers.new_hash
model.random_fill = port.random_fill
model.save = lambda: True
server = Server(model)
model.start()
channel = server.channel()


def serve(apdu):
    size = len(apdu)
    buf = bytearray(bytes((POISON,)) * (size + 2 * MARGIN))
    buf[MARGIN : MARGIN + size] = apdu
    n = -1
    while n < 0:
        heap_lock()
        n = server.request(channel, CLIENT, 17, buf, MARGIN, MARGIN + size)
        heap_unlock()
        while server.todo:
            server.work()
    if server.fault is not None:
        print("fault", repr(server.fault))
    print(bytes(channel.tx[channel.tx_pos : channel.tx_pos + n]).hex().upper())


for line in sys.stdin:
    serve(bytes.fromhex(line.strip()))
