# SPDX-License-Identifier: MIT
"""Measure Read with short names beside GET with logical ones; prints one JSON object.

    micropython short_bench.py FOLDER [ROUNDS]

FOLDER holds definition.py of short_names.toml. In each round the same register is read both ways,
in turn, under a locked heap. Given are the least times in microseconds, and the median of the
ratios of the rounds.
"""

import json
import sys
import time

sys.path.append(sys.argv[1])

import definition  # noqa: E402
from cosem.model import Model  # noqa: E402
from dlms.server import Server  # noqa: E402
from micropython import heap_lock, heap_unlock  # noqa: E402

N = 500
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 21
# Application context and conformance of clients 1 and 2, a request of the one and the other, what
# the answers begin with.
AARQ = (
    "6036A10906076085740508010%d8A0207808B0760857405080201AC0A80083132333435363738"
    "BE10040E01000000065F1F0400%sFFFF"
)
KINDS = (
    (1, AARQ % (1, "007E1F"), "C00141000301000108 00FF0200", b"\xc4\x01\x41\x00\x06"),
    (2, AARQ % (2, "1C1B20"), "0501020108", b"\x0c\x01\x00\x06"),
)

server = Server(Model(definition))
channel = server.channel()


def one(client, apdu, n):
    end = len(apdu)
    t = time.ticks_us()
    for _ in range(n):
        server.request(channel, client, 1, apdu, 0, end)
    return time.ticks_diff(time.ticks_us(), t)


def octets(text):
    return bytearray(bytes.fromhex(text.replace(" ", "")))


def main():
    least = [1 << 29, 1 << 29]
    ratios = []
    requests = [octets(kind[2]) for kind in KINDS]
    for client, aarq, _, answer in KINDS:
        # What serves it is loaded with the first of each.
        for apdu in (octets(aarq), requests[client - 1]):
            while server.request(channel, client, 1, apdu, 0, len(apdu)) < 0:
                server.work()
        pos = channel.tx_pos
        assert channel.tx[pos : pos + len(answer)] == answer
    for _ in range(ROUNDS):
        heap_lock()
        get = one(1, requests[0], N)
        read = one(2, requests[1], N)
        heap_unlock()
        least = [min(least[0], get), min(least[1], read)]
        ratios.append(read / get)
    ratios.sort()
    figures = {
        "get_us": least[0] / N,
        "read_us": least[1] / N,
        "read_per_get": ratios[ROUNDS // 2],
    }
    print(json.dumps(figures))


main()
