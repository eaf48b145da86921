# SPDX-License-Identifier: MIT
"""Requests of a client that is there from the start, and jobs between them. Runs on MicroPython.

    micropython requests.py FOLDER CLIENT SERVER

FOLDER holds definition.py; each line of the input is a request in hexadecimal. Each is served
under a locked heap, and what it waits for is done with the heap free. Prints the answers.
"""

import sys
from binascii import hexlify

from served import ask

client, device = int(sys.argv[2]), int(sys.argv[3])

for line in sys.stdin:
    answer = ask(bytearray(bytes.fromhex(line.strip())), client, device)
    print(hexlify(answer).decode())  # hex() of nothing is not nothing there
