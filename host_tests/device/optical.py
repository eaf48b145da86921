# SPDX-License-Identifier: MIT
"""A meter with an optical port on UART1 of an emulated board: the link, the UART and its rate,
with the heap locked in every poll.

serve() reads a definition from stdin (a line `NAME = value` each, then `end`), says `ready`,
serves until the second session is over, and says which rates the line had.
"""

import gc
import sys

from micropython import heap_lock, heap_unlock


_RATES = 5


class Definition:
    pass


def read():
    names = {}
    definition = Definition()
    for line in sys.stdin:
        if line == "end\n":
            return definition
        exec(line, names)
        name = line.partition(" ")[0]
        setattr(definition, name, names.pop(name))


def serve():
    definition = read()
    gc.collect()
    from cosem.model import Model
    from dlms.server import Server
    from firmware import store
    from firmware.links import optical
    from firmware.ports import board as port
    from profiles.hdlc import HDLC

    class Meter:
        pass

    meter = Meter()
    meter.optical = definition.OPTICAL
    model = Model(definition)
    model.storage = store.RAMStorage()
    meter.server = server = Server(model)
    model.start()
    hdlc = HDLC(server, server.channel(), 128)
    link = optical.optical(["optical-uart", 1, 0], meter, hdlc, port, False)
    poller = port.Poller()
    link.open(poller)
    rates = [link.pace.rate]
    gc.collect()
    print("ready")
    while len(rates) < _RATES:
        poller.wait(min(link.wait_ms(), 20))
        now_ms = port.ticks_ms()
        heap_lock()
        link.poll(now_ms)
        heap_unlock()
        if server.fault is not None:
            raise server.fault
        if server.todo:
            server.work()
        if link.pace.rate != rates[-1]:
            rates.append(link.pace.rate)
    print("rates", *rates)
