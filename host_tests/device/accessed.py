# SPDX-License-Identifier: MIT
"""ACCESS under a locked heap. Runs on MicroPython.

    micropython accessed.py FOLDER

FOLDER holds definition.py of suites.toml. Prints the answer to 25 gets and 25 sets in one APDU,
and that to 50 gets which comes in blocks, as hex.
"""

import served

AARQ = "601DA109060760857405080101BE10040E01000000065F1F0400FFFF5F0200"
NAME = "00010000603C01FF02"
BIG = "00010000603C02FF02"
CLIENT = 55
SAP = 17


def ask(octets):
    return served.ask(octets, CLIENT, SAP)


def hexed(text):
    return bytes([int(text[k : k + 2], 16) for k in range(0, len(text), 2)])


ask(bytearray(hexed(AARQ)))
specs = "".join("01" + NAME + "02" + NAME for _ in range(25))
data = "".join("000901%02x" % k for k in range(25))
got = ask(bytearray(hexed("D94000000500" + "32" + specs + "32" + data)))
print("".join("%02x" % octet for octet in got))

ask(bytearray(hexed("C10141" + BIG + "000982012C" + "55" * 300)))
request = bytearray(hexed("D94000000500" + "32" + ("01" + BIG) * 50 + "32" + "00" * 50))
whole = b""
got = ask(request)
number = 0
while got:
    assert got[0] == 0xE0
    number += 1
    whole += got[(7 if got[6] < 0x80 else 8 if got[6] == 0x81 else 9) :]
    got = ask(bytearray((0xE0, 0x81, 0, 0, number >> 8, number & 255, 0)))
print("".join("%02x" % octet for octet in whole))
