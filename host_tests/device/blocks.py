# SPDX-License-Identifier: MIT
"""General block transfer under a locked heap. Runs on MicroPython.

    micropython blocks.py FOLDER [APDU]

FOLDER holds definition.py of suites.toml. A value of 2,900 octets is written in blocks and read in
windows of 4, one block of which is lost. Prints the number of blocks, and whether it was the same.
APDU: a protected request, which then goes in blocks as well; prints its answer.
"""

import sys

from micropython import heap_lock, heap_unlock
from served import channel, request, server

AARQ = "601DA109060760857405080101BE10040E01000000065F1F0400FFFF1F0200"
NAME = "0001 0000603C02FF 02".replace(" ", "")
CLIENT = 55
OPEN = 57  # pre-established
SAP = 17
SIZE = 503


def ask(octets, client=CLIENT):
    return request(octets, client, SAP)


def block(control, number, ack, octets=b""):
    head = bytes((0xE0, control, number >> 8, number & 255, ack >> 8, ack & 255, 0x82))
    return bytearray(head + len(octets).to_bytes(2, "big") + octets)


def hexed(text):
    return bytes([int(text[k : k + 2], 16) for k in range(0, len(text), 2)])


ask(bytearray(hexed(AARQ)))
value = b"\x09\x82\x0b\x54" + bytes([k * 7 & 0xFF for k in range(2900)])
apdu = hexed("C10141" + NAME + "00") + value
number = 0
while apdu:
    part, apdu = apdu[:SIZE], apdu[SIZE:]
    number += 1
    n = ask(block(0x04 if apdu else 0x84, number, 0, part))
assert bytes(channel.tx[channel.tx_pos + 7 : channel.tx_pos + n])[:4] == hexed("C5014100")


def answer(apdu, client=CLIENT):
    """(the answer, blocks that it took)"""
    whole = b""
    have = blocks = number = 0
    done = False
    while not done:
        number += 1
        if apdu:
            part, apdu = apdu[:SIZE], apdu[SIZE:]
            n = ask(block(0x04 if apdu else 0x84, number, 0, part), client)
            if apdu:
                continue
        else:
            n = ask(block(0x84, number, have), client)
        while True:
            at = channel.tx_pos
            tx = channel.tx
            said = tx[at + 2] << 8 | tx[at + 3]
            blocks += 1
            if said == have + 1 and blocks != 3:
                have = said
                start = at + (7 if tx[at + 6] < 0x80 else 8 if tx[at + 6] == 0x81 else 9)
                whole += bytes(tx[start : at + n])
                done = tx[at + 1] & 0x80 != 0
            if channel.more is None:
                break
            heap_lock()
            n = server.more(channel)
            heap_unlock()
            if server.fault is not None:
                raise server.fault
    return whole, blocks


whole, blocks = answer(hexed("C00141" + NAME + "00"))
print(blocks, whole == hexed("C4014100") + value)
if len(sys.argv) > 2:
    whole, _blocks = answer(hexed(sys.argv[2]), OPEN)
    print("".join("%02x" % octet for octet in whole))
