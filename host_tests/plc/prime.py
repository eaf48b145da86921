# SPDX-License-Identifier: MIT
"""PRIME: service nodes as modems (lib/profiles/modems/README.md), and a base node with a client.
A node registers, then establishes the connection of CL_432 with its identifier; a node that is
registered is a switch for others. mesh.py has the rest, and what of it is project-defined.
"""

import struct

from firmware.links.plc import prime
from plc import head, mesh
from plc.lon import Station

BASE = 0
REGISTER, REGISTERED, ESTABLISH, ESTABLISHED = "register registered establish established".split()
MAC_LNID, TX_DATA, SEND_COUNT = 0x0020, 0x0040, 0x0042


def air(clock, seed=0):
    """DBPSK with error correction: 21 kbit/s; 7 ms of preamble and header; segments of 256."""
    return mesh.Air(clock, seed, 21, 7, 256)


class Modem(mesh.Modem):
    """name: its identifier."""

    max_data = 1021

    def forget(self):
        super().forget()
        self.base_address = mesh.NOBODY
        self.local_id = 0

    def send(self, buf, pos, end, destination, options):
        if not 0 < end - pos <= self.max_data or not 0 <= destination < mesh.NOBODY:
            return -1
        return self.send_data((destination, self.address, options), bytes(buf[pos:end]))

    def data(self, path, about, octets):
        if self.is_up:
            destination, source, lsaps = about
            self.tell(mesh.DATA, (source, destination, lsaps, octets))

    def ask_for_place(self, path):
        self.put(REGISTER, path, self.name)

    def place(self, frame):
        if self.is_up:
            return
        back = frame.path[::-1]
        if frame.kind == REGISTERED:
            self.local_id = frame.body
            self.put(ESTABLISH, back, self.name, len(self.name))
        elif frame.kind == ESTABLISHED:
            self.address, self.base_address = frame.body
            self.granted(back)

    def value_of(self, attribute, index):
        values = {MAC_LNID: (">H", self.local_id), TX_DATA: (">L", self.n_tries)}
        return struct.pack(*values[attribute]) if attribute in values else None


def meter(air, made, name):
    """A meter with this name on the air: its Station."""
    modem = Modem(air, name)
    return Station(air, prime(made, modem), modem, made.server)


class BaseNode(head.Head):
    """Its addresses begin with first_address, its LNIDs with 1."""

    def __init__(self, air, first_address=0x100):
        super().__init__(air, first_address)
        self.local_ids = {}

    def restart(self):
        super().restart()
        self.local_ids = {}

    def place(self, frame, back):
        if frame.kind == REGISTER:
            local_id = self.local_ids.setdefault(frame.body, len(self.local_ids) + 1)
            self.put(REGISTERED, back, local_id)
        elif frame.kind == ESTABLISH and frame.body in self.local_ids:
            self.put(ESTABLISHED, back, (self.place_of(frame.body, frame.path), BASE))

    def say(self, address, path, client, sap, apdu):
        self.put_data(path, (address, BASE, sap << 8 | client), apdu, lambda good: None)

    def data(self, path, about, octets):
        destination, source, lsaps = about
        assert destination == BASE
        self.heard.append((source, lsaps >> 8, octets))


Head = BaseNode
