# SPDX-License-Identifier: MIT
"""A meter with a vault that serves APDUs from its standard input. Runs on MicroPython.

    micropython serve.py FOLDER

FOLDER holds definition.py. A line for it, and what it answers with a line:

    CLIENT SERVER HEX                 an APDU: the reply as hex, "-" for none
    put ROW ENTITY KIND HEX HEX HEX   a record for the vault, of title, certificate and private
                                      key ("-" for none of these): "ok"
    time MINUTES                      the meter's clock: "ok"
    longest                           of the steps between requests so far: microseconds

Every request is served under a locked heap; what is done between requests is not.
"""

import sys
import time

sys.path.append(sys.argv[1])

import definition  # noqa: E402
from cosem.model import Model  # noqa: E402
from dlms.server import Server  # noqa: E402
from firmware.ports import ciphers  # noqa: E402
from firmware.ports import micropython as port  # noqa: E402
from firmware.store import RAMStorage  # noqa: E402
from firmware.vault import Vault  # noqa: E402
from micropython import heap_lock, heap_unlock  # noqa: E402

model = Model(definition)
model.aes = ciphers.aes
model.new_hash = ciphers.new_hash
model.elliptic = ciphers.work
model.random_fill = port.random_fill
model.save = lambda: True
model.vault = Vault(RAMStorage().ring(0, 1100, 16))
server = Server(model)
model.start()
channel = server.channel()
longest = 0


def octets(text):
    return b"" if text == "-" else bytes.fromhex(text)


def work():
    global longest
    start = time.ticks_us()
    server.work()
    took = time.ticks_diff(time.ticks_us(), start)
    if took > longest:
        longest = took


def request(client, server_sap, apdu):
    n = -1
    while n < 0:
        heap_lock()
        try:
            n = server.request(channel, client, server_sap, apdu, 0, len(apdu), 1)
        finally:
            heap_unlock()
        if n < 0:
            work()
    while server.todo:
        work()
    fault, server.fault = server.fault, None
    if fault:
        raise fault
    at = channel.tx_pos
    return bytes(channel.tx[at : at + n]).hex() if n else "-"


for line in sys.stdin:
    words = line.split()
    if words[0] == "put":
        row, entity, kind = [int(word) for word in words[1:4]]
        title, certificate, private = [octets(word) for word in words[4:]]
        print("ok" if model.vault.put(row, entity, kind, title, certificate, private) else "full")
    elif words[0] == "time":
        model.handler("clock").set_utc(int(words[1]), 0)
        print("ok")
    elif words[0] == "longest":
        print(longest)
    else:
        print(request(int(words[0]), int(words[1]), bytearray(octets(words[2]))))
