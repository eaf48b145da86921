# SPDX-License-Identifier: MIT
"""Drivers of modems on MicroPython: a conversation with the heap locked, and what a poll costs.

    micropython modems.py LIB LOG [ROOT FOLDER]

LOG has lines, made by host_tests/test_modem_heap.py:

    modem NAME                    which driver
    station NAME                  polls are those of a station on it; the meter's definition.py is
                                  in FOLDER. What its server has to do first is done in between
    read HEX | read -             what the next readinto() finds
    poll NOW EVENT                the driver is polled, and says EVENT
    send HEX DESTINATION OPTIONS RESULT
    open NOW
    value ATTRIBUTE RESULT        read() of an attribute
    wrote N SUM                   octets that the driver has written in all, and their sum

Prints what differs, then "n polls". bench() prints the microseconds of a poll with nothing to do.
"""

import sys

NAMES = ("amis49587", "st7580", "prime_node", "g3_adp", "mip_u61")
_RUN = (4, 4, 6, 8, 2)  # phase in which each has nothing to do


class UART:
    def __init__(self):
        self.reads = []
        self.k = self.n = self.sum = 0

    def any(self):
        return 0

    def readinto(self, buf):
        if self.k == len(self.reads):
            return 0
        octets = self.reads[self.k]
        self.k += 1
        n = len(octets)
        for i in range(n):
            buf[i] = octets[i]
        return n

    def write(self, buf, pos, n):
        for i in range(pos, pos + n):
            self.sum = self.sum + buf[i] & 0xFFFFFF
        self.n += n
        return n


def pin(value=None):
    return 0


def driver(name, uart):
    if name == "amis49587":
        from profiles.modems.amis49587 import Modem

        return Modem(uart, pin, pin)
    if name == "st7580":
        from profiles.modems.st7580 import Modem

        return Modem(uart, pin, pin)
    if name == "prime_node":
        from profiles.modems.prime_node import Modem

        return Modem(uart, pin, b"PRIME0000000001")
    if name == "mip_u61":
        from profiles.modems.mip_u61 import MIPU61

        return MIPU61(uart)
    from profiles.modems.g3_adp import Modem

    return Modem(uart, pin)


class Meter:
    def __init__(self):
        import definition
        from cosem.model import Model
        from dlms.server import Server

        self.model = Model(definition)
        self.server = Server(self.model)
        self.model.start()


def station(name, modem):
    from firmware.links import plc

    return getattr(plc, name)(Meter(), modem)


def replay(lines):
    from binascii import unhexlify

    from micropython import heap_lock, heap_unlock

    uart = UART()
    modem = server = None
    kinds = []
    a = []
    b = []
    c = []
    octets = []
    expected = (0, 0)
    for line in lines:
        words = line.split()
        if words[0] == "modem":
            modem = driver(words[1], uart)
        elif words[0] == "station":
            modem = station(words[1], modem)
            server = modem.channel.server
        elif words[0] == "read":
            uart.reads.append(b"" if words[1] == "-" else unhexlify(words[1]))
        elif words[0] == "wrote":
            expected = (int(words[1]), int(words[2]))
        else:
            kinds.append(("open", "poll", "send", "value").index(words[0]))
            octets.append(unhexlify(words[1]) if words[0] == "send" else b"")
            numbers = [int(x) for x in words[2 if words[0] == "send" else 1 :]] + [0, 0]
            a.append(numbers[0])
            b.append(numbers[1])
            c.append(numbers[2])
    wrong = [0] * len(kinds)
    n_wrong = 0
    n = len(kinds)
    polls = 0
    heap_lock()
    for i in range(n):
        kind = kinds[i]
        if kind == 1:
            polls += 1
            if server is not None and server.todo:
                heap_unlock()
                while server.todo:
                    server.work()
                heap_lock()
            if modem.poll(a[i]) != b[i]:
                wrong[i] = 1
                n_wrong += 1
        elif kind == 2:
            if modem.send(octets[i], 0, len(octets[i]), a[i], b[i]) != c[i]:
                n_wrong += 1
        elif kind == 3:
            if modem.read(a[i]) != b[i]:
                n_wrong += 1
        else:
            modem.open(a[i])
    heap_unlock()
    if n_wrong:
        print(n_wrong, "differ, the first is", wrong.index(1) if 1 in wrong else -1)
    if (uart.n, uart.sum) != expected:
        print("wrote", uart.n, uart.sum, "not", expected)
    print(polls, "polls")


def bench():
    """On a board, over its UART."""
    from device.crypto_bench import least
    from firmware.links.plc import Octets
    from firmware.ports import board as port

    uart = Octets(port, port.uart(1, 9600))
    for name, phase in zip(NAMES, _RUN):
        modem = driver(name, uart)
        modem._phase = phase
        modem.is_up = True

        def polls(n, modem=modem):
            for _ in range(n):
                modem.poll(100)

        print(name, least(polls, 100))


if __name__ == "__main__":
    sys.path[:] = [sys.argv[1]] + sys.argv[3:]
    with open(sys.argv[2]) as f:
        replay(f.read().split("\n")[:-1])
