# SPDX-License-Identifier: MIT
"""A meter for the scripts beside this, of definition.py in the folder sys.argv[1]. It serves as
the firmware does: a request under a locked heap, work between two requests. Runs on MicroPython.
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
model.elliptic = ciphers.work
model.random_fill = port.random_fill
model.save = lambda: True
server = Server(model)
model.start()
channel = server.channel()


def request(apdu, client, server_sap, pos=0, end=None):
    """Length of the answer to apdu[pos:end]; what is raised inside is raised here."""
    n = -1
    while n < 0:
        heap_lock()
        n = server.request(channel, client, server_sap, apdu, pos, end or len(apdu), 1)
        heap_unlock()
        if server.fault is not None:
            raise server.fault
        while server.todo:
            server.work()
    return n


def ask(apdu, client, server_sap):
    """The answer."""
    n = request(apdu, client, server_sap)
    return bytes(channel.tx[channel.tx_pos : channel.tx_pos + n])
