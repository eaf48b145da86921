# SPDX-License-Identifier: MIT
"""An association with GMAC and suite 0, served under a locked heap. Runs on MicroPython.

    micropython ciphered.py FOLDER KIND [CLIENT]

FOLDER holds definition.py of small.toml; KIND is glo, ded, or identified: general-ciphering;
CLIENT is 41 if it is not said.

The client is in here: it makes its requests with crypto.gcm before the heap is locked. Prints what
was answered, one line a request. A line "leave MODULE ..." instead of one: the client goes, and
security with these modules, then it comes again; what that has freed, and what is held, is printed
before the answer.
"""

import gc
import sys

import served
from crypto import gcm
from firmware.meter.running import forget
from firmware.ports import ciphers

GAK = bytes(range(0xD0, 0xE0))
DEDICATED = bytes(range(16, 32))
TITLE = b"CLI\0\0\0\0\7"
SERVER_TITLE = b"PMT\0\0\0\0\1"
CLIENT = int(sys.argv[3]) if sys.argv[3:] else 41
GUEK = bytes(range(0x20, 0x30)) if CLIENT == 41 else bytes(range(16))  # as in secure.py


class Side:
    """A key as the client has it."""

    def __init__(self, key):
        self.gcm = gcm.new(ciphers.aes(key))
        self.ic = 0

    def seal(self, tag, apdu):
        ic = self.ic.to_bytes(4, "big")
        self.ic += 1
        out = bytearray(apdu + bytes(12))
        self.gcm.iv[:] = TITLE + ic
        self.gcm.start()
        self.gcm.aad(b"\x30" + GAK, 0, 17)
        self.gcm.encrypt(out, 0, len(apdu), out, len(apdu), 12)
        n = len(out) + 5
        return (
            bytes((tag,))
            + (bytes((n,)) if n < 128 else b"\x82" + n.to_bytes(2, "big"))
            + b"\x30"
            + ic
            + out
        )

    def general(self, fields, title, ic, octets, encrypt):
        """Put on or take off the protection of general-ciphering, in place."""
        n = len(octets) - 12
        self.gcm.iv[:] = title + ic
        self.gcm.start()
        self.gcm.aad(b"\x30" + GAK, 0, 17)
        self.gcm.aad(fields, 0, len(fields))
        if encrypt:
            return self.gcm.encrypt(octets, 0, n, octets, n, 12)
        return self.gcm.decrypt(octets, 0, n, octets, n, 12)

    def seal_general(self, apdu):
        ic = self.ic.to_bytes(4, "big")
        self.ic += 1
        fields = b"\x04" + ic + b"\x08" + TITLE + b"\x08" + SERVER_TITLE + b"\x00\x00"
        out = bytearray(apdu + bytes(12))
        self.general(fields, TITLE, ic, out, True)
        n = len(out) + 5
        head = bytes((n,)) if n < 128 else b"\x82" + n.to_bytes(2, "big")
        return b"\xdd" + fields + b"\x01\x00\x00" + head + b"\x30" + ic + out

    def opened_general(self, octets):
        ic = (self.ic - 1).to_bytes(4, "big")
        fields = b"\x04" + ic + b"\x08" + SERVER_TITLE + b"\x08" + TITLE + b"\x00\x00"
        if octets[: 1 + len(fields)] != b"\xdd" + fields:
            return b"wrong fields"
        at = 1 + len(fields) + 3
        at += 1 if octets[at] < 128 else octets[at] - 127
        body = bytearray(octets[at + 5 :])
        if not self.general(fields, SERVER_TITLE, bytes(octets[at + 1 : at + 5]), body, False):
            return b"wrong tag"
        return bytes(body[:-12])

    def opened(self, octets):
        at = 2 if octets[1] < 128 else 3 if octets[1] == 0x81 else 4
        body = bytearray(octets[at + 5 :])
        self.gcm.iv[:] = SERVER_TITLE + bytes(octets[at + 1 : at + 5])
        self.gcm.start()
        self.gcm.aad(b"\x30" + GAK, 0, 17)
        n = len(body) - 12
        if not self.gcm.decrypt(body, 0, n, body, n, 12):
            return b"wrong tag"
        return bytes(body[:n])


def ask(apdu):
    return served.ask(bytearray(apdu), CLIENT, 17)


def come():
    """An association, by GMAC; the answer to pass 3."""
    initiate = b"\x01\x01\x10" + DEDICATED + bytes.fromhex("0000065F1F04007EFF1F0080")
    information = unicast.seal(0x21, initiate)
    challenge = bytes(range(8))
    body = bytes.fromhex("A109060760857405080103A60A0408") + TITLE
    body += bytes.fromhex("8A0207808B0760857405080205AC0A8008") + challenge
    body += bytes((0xBE, len(information) + 2, 4, len(information))) + information
    aare = ask(bytes((0x60, len(body))) + body)
    at = aare.index(b"\xaa\x12\x80\x10") + 4
    stoc = aare[at : at + 16]
    ic = unicast.ic.to_bytes(4, "big")
    unicast.ic += 1
    unicast.gcm.iv[:] = TITLE + ic
    unicast.gcm.start()
    unicast.gcm.aad(b"\x10" + GAK, 0, 17)
    unicast.gcm.aad(stoc, 0, 16)
    proof = bytearray(12)
    unicast.gcm.encrypt(b"", 0, 0, proof, 0, 12)
    request = bytes.fromhex("C30141000F0000280000FF01010911") + b"\x10" + ic + proof
    return unicast.opened(ask(unicast.seal(0xCB, request)))


def octets():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def leave(modules):
    """The association is gone, and security after it, with its modules; octets that it held."""
    before = octets()
    served.channel.release()
    assert not served.server.rests()
    served.server.forget()
    assert served.server.secured is None and served.server.rests()
    forget(modules)
    return before - octets()


unicast = Side(GUEK)
dedicated = Side(DEDICATED)
print(come()[:4].hex())

key, first = (dedicated, 0x10) if sys.argv[2] == "ded" else (unicast, 0x08)
for line in sys.stdin:
    if line.startswith("leave"):
        print(leave(line.split()[1:]), octets())
        print(come()[:4].hex())
        continue
    apdu = bytes.fromhex(line.strip())
    if sys.argv[2] == "identified":
        print(key.opened_general(ask(key.seal_general(apdu))).hex())
    else:
        print(key.opened(ask(key.seal(apdu[0] + first, apdu))).hex())
