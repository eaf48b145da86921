# SPDX-License-Identifier: MIT
"""Reads a meter at its optical port with the package iec62056-21 (BSD), see PROTOCOL.md.

    build/peers/bin/python iec62056_21_client.py --serial PATH [--timeout 10]

Commands on stdin, a JSON object a line; `do` is
    readout                          `lines`: [[address, value, unit], ...]; `manufacturer`,
                                     `identification`, `rate`
    program, password                `operand`; programming mode without a password, and with it
    read: address                    `sets`: [[address, value, unit], ...]
    write: address, value
    break
"""

import argparse
import contextlib
import json
import sys
import termios

import serial
from iec62056_21 import client, constants, messages, transports


def sets_of(data):
    return [[s.address, s.value, s.unit] for s in data]


class Port(serial.Serial):
    def _reconfigure_port(self, force_update=False):
        with contextlib.suppress(termios.error):  # a pseudo-terminal has no parity
            super()._reconfigure_port(force_update)


transports.serial.Serial = Port


class Transport(transports.SerialTransport):
    def switch_baudrate(self, baud):
        # The package opens the port anew after half a second, and drops what has come meanwhile.
        self.port.baudrate = baud


class Peer:
    def __init__(self, options):
        self.transport = Transport(port=options.serial, timeout=options.timeout)
        self.client = client.Iec6205621Client(self.transport)
        # The client's rest after an option select is in addition to the device's reaction time.
        self.client.rest = lambda duration=None: None
        self.transport.connect()

    def do_readout(self, c):
        # At the rate of the sign-on: the port may be at that of a session before.
        self.transport.port.baudrate = 300
        answer = self.client.standard_readout()
        self.transport.send(constants.ACK.encode())
        return {
            "lines": sets_of(answer.data),
            "manufacturer": self.client.manufacturer_id,
            "identification": self.client.identification,
            "rate": self.transport.port.baudrate,
        }

    def do_program(self, c):
        self.transport.port.baudrate = 300
        asked = self.client.access_programming_mode()
        return {"operand": asked.data_set.value, "rate": self.transport.port.baudrate}

    def do_password(self, c):
        # The package's own send_password() fails at its data set.
        data = messages.DataSet(address="", value=c["password"])
        self.transport.send(messages.CommandMessage("P", 1, data).to_bytes())
        return {"answer": self.reply()}

    def do_read(self, c):
        request = messages.CommandMessage.for_single_read(c["address"], "")
        self.transport.send(request.to_bytes())
        return {"sets": sets_of(self.client.read_response().data)}

    def do_write(self, c):
        request = messages.CommandMessage.for_single_write(c["address"], c["value"])
        self.transport.send(request.to_bytes())
        return {"answer": self.reply()}

    def do_break(self, c):
        self.client.send_break()
        return {}

    def reply(self):
        """ACK or NAK by name, else the text of an error message."""
        first = self.transport.recv(1)
        if first == constants.ACK.encode():
            return "ACK"
        if first != constants.STX.encode():
            return "NAK" if first == constants.NACK.encode() else repr(first)
        text = b""
        while text[-1:] != constants.ETX.encode():
            text += self.transport.recv(1)
        self.transport.recv(1)
        return text[:-1].decode()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--serial", required=True)
    p.add_argument("--timeout", type=float, default=10)
    peer = Peer(p.parse_args())
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(peer, "do_" + command["do"])(command)
        except Exception as e:
            answer = {"error": {"kind": "peer", "text": "%s: %s" % (type(e).__name__, e)}}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
