# SPDX-License-Identifier: MIT
"""Failed authentications under a locked heap: delays, and a port that closes. Runs on MicroPython.

    micropython guarded.py FOLDER

FOLDER holds definition.py of small.toml. Prints what became of each AARQ, one word a line.
"""

from micropython import heap_lock, heap_unlock
from served import channel, model, request, server

AARQ = (
    "6036A1090607608574050801018A0207808B0760857405080201AC0A8008%s"
    "BE10040E01000000065F1F04007EFF1FFFFF"
)
RIGHT = bytearray(bytes.fromhex(AARQ % "3132333435363738"))
WRONG = bytearray(bytes.fromhex(AARQ % "3132333435363739"))
WORDS = ("accepted", "permanent", "transient")

saved = [0]


def on_edit(row, attribute):
    saved[0] += 1


model.on_edit = on_edit


def come(aarq, seconds=0):
    """So many seconds pass, and then a client comes."""
    heap_lock()
    server.guard.tick(1000 * seconds)
    heap_unlock()
    n = request(aarq, 32, 17)
    print(WORDS[channel.tx[channel.tx_pos + 17]] if n else "silence")


for _ in range(4):
    come(WRONG)
come(RIGHT)
come(RIGHT, 1)

channel.release()
channel.gate = server.guard.gate(model.rows(41)[0])
for _ in range(6):
    come(WRONG, 60)
come(RIGHT)
come(RIGHT, 9)
come(RIGHT, 1)
assert saved[0] == 4 + 1 + 6 + 1, saved
