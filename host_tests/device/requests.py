# SPDX-License-Identifier: MIT
"""Requests of a client that is there from the start, and jobs between them. Runs on MicroPython.

    micropython requests.py FOLDER CLIENT SERVER

FOLDER holds definition.py; each line of the input is a request in hexadecimal. Each is served
under a locked heap, and what it waits for is done with the heap free. Prints the answers.
"""

import sys

sys.path.append(sys.argv[1])

import definition  # noqa: E402
from cosem.model import Model  # noqa: E402
from dlms.server import Server  # noqa: E402
from firmware.ports import ciphers  # noqa: E402
from firmware.ports import micropython as port  # noqa: E402
from micropython import heap_lock, heap_unlock  # noqa: E402

model = Model(definition)
model.aes = ciphers.aes
model.new_hash = ciphers.new_hash
model.random_fill = port.random_fill
model.save = lambda: True
server = Server(model)
model.start()
channel = server.channel()
client, device = int(sys.argv[2]), int(sys.argv[3])

for line in sys.stdin:
    buf = bytearray(bytes.fromhex(line.strip()))
    n = -1
    while n < 0:
        heap_lock()
        n = server.request(channel, client, device, buf, 0, len(buf), 1)
        heap_unlock()
        if server.fault is not None:
            raise server.fault
        while server.todo:
            server.work()
    print(bytes(channel.tx[channel.tx_pos : channel.tx_pos + n]).hex())
