# SPDX-License-Identifier: MIT
"""G3-PLC: devices as modems (lib/profiles/modems/README.md), and a coordinator with a client over
the wrapper, UDP and IPv6. A device joins with its EUI-64, and gets a short address; one that has
joined forwards for others. Packets are carried as they are, without 6LoWPAN. mesh.py has the rest,
and what of it is project-defined.
"""

import struct

from doubles.meters import packet
from firmware.links.plc import g3
from plc import head, mesh
from plc.lon import Station

PAN = 0x781D
COORDINATOR = 0
PORTS = (50000, 4059)
JOIN, JOINED = "join joined".split()
SHORT_ADDRESS, PAN_ID, TX_DATA, FRAME_COUNTER = 0x8053, 0x8050, 0x8101, 0x8077


def air(clock, seed=0):
    """DBPSK in CENELEC A: 33 kbit/s; 16 ms of preamble and header; fragments of 400."""
    return mesh.Air(clock, seed, 33, 16, 400)


def address_of(short):
    return bytes.fromhex("FE80000000000000%04X00FFFE00%04X" % (PAN, short))


class Modem(mesh.Modem):
    """name: its EUI-64."""

    max_data = 1280

    def forget(self):
        super().forget()
        self.pan = mesh.NOBODY

    def send(self, buf, pos, end, destination, options):
        if not 0 < end - pos <= self.max_data:
            return -1
        return self.send_data(None, bytes(buf[pos:end]))

    def data(self, path, about, octets):
        if self.is_up:
            self.tell(mesh.DATA, (-1, -1, 0, octets))

    def ask_for_place(self, path):
        self.put(JOIN, path, self.name)

    def place(self, frame):
        if frame.kind == JOINED and not self.is_up:
            self.address, self.pan = frame.body
            self.granted(frame.path[::-1])

    def value_of(self, attribute, index):
        values = {
            SHORT_ADDRESS: (">H", self.address),
            PAN_ID: (">H", self.pan),
            TX_DATA: (">L", self.n_tries),
            FRAME_COUNTER: (">L", self.n_tries),
        }
        return struct.pack(*values[attribute]) if attribute in values else None


def meter(air, made, name):
    """A meter with this name on the air: its Station."""
    modem = Modem(air, name)
    return Station(air, g3(made, modem), modem, made.server)


class Coordinator(head.Head):
    def place(self, frame, back):
        if frame.kind == JOIN:
            self.put(JOINED, back, (self.place_of(frame.body, frame.path), PAN))

    def say(self, address, path, client, sap, apdu):
        wpdu = struct.pack(">HHHH", 1, client, sap, len(apdu)) + apdu
        octets = packet(wpdu, address_of(COORDINATOR), address_of(address), PORTS)
        self.put_data(path, None, octets, lambda good: None)

    def data(self, path, about, octets):
        assert octets[24:40] == address_of(COORDINATOR)
        wpdu = octets[48:]
        _, _sap, client, n = struct.unpack(">HHHH", wpdu[:8])
        assert n == len(wpdu) - 8
        short = struct.unpack(">H", octets[22:24])[0]
        assert octets == packet(wpdu, address_of(short), address_of(COORDINATOR), PORTS[::-1])
        self.heard.append((short, client, wpdu[8:]))


Head = Coordinator
