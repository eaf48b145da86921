# SPDX-License-Identifier: MIT
"""A conversation with short names, served under a locked heap. Runs on MicroPython.

    micropython short_names.py FOLDER CLIENT SERVER

FOLDER holds definition.py of short_names.toml. Requests are lines of hexadecimal on stdin; prints
the answer to each. Between two requests the server does its work, as a link lets it.
"""

import sys
from binascii import hexlify

sys.path.append(sys.argv[1])

import definition  # noqa: E402
from cosem.model import Model  # noqa: E402
from dlms.server import Server  # noqa: E402
from firmware.ports import ciphers  # noqa: E402
from firmware.ports import micropython as port  # noqa: E402
from micropython import heap_lock, heap_unlock  # noqa: E402

client, device = int(sys.argv[2]), int(sys.argv[3])

model = Model(definition)
model.aes = ciphers.aes
model.new_hash = ciphers.new_hash
model.random_fill = port.random_fill
model.save = lambda: True
server = Server(model)
model.start()
channel = server.channel()


def ask(apdu):
    """As the firmware does it: the request under a locked heap, work between two requests."""
    n = -1
    while n < 0:
        heap_lock()
        n = server.request(channel, client, device, apdu, 0, len(apdu), 1)
        heap_unlock()
        if server.fault is not None:
            raise server.fault
        while server.todo:
            server.work()
    return bytes(channel.tx[channel.tx_pos : channel.tx_pos + n])


for line in sys.stdin:
    answer = ask(bytearray(bytes.fromhex(line.strip())))
    print(hexlify(answer).decode())
