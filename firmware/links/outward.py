# SPDX-License-Identifier: MIT
"""Links on which this meter is the client: the networks of its gateway (dlms/gateway.py).

A TCP connection is made when there is a request to send, and closed with the conversation. What
goes over these links is not traced.
"""

from firmware.links.stream import Stream
from micropython import const

_CHUNK_LEN = const(128)


class Outward(Stream):
    name = "gateway"

    def __init__(self, port, want, client, terminal):
        """want: (network_id, kind, where, number, ...), see make()."""
        Stream.__init__(self, port, client, _CHUNK_LEN, want[1] != "wrapper-tcp")
        self.address = "%d %s %s %d" % want[:4]
        self.host = want[2]
        self.number = want[3]
        self._kind = want[1]
        self._terminal = terminal

    def open(self, poller):
        self.poller = poller
        if self.timed:
            self.attach(self._line(), poller, self.port.ticks_ms())

    def _line(self):
        if self._kind == "wrapper-tcp":
            return self.port.connect(self.host, self.number)
        if self._kind == "hdlc-tty":
            if self._terminal >= 0:
                return self.port.open_fd(self._terminal)
            from firmware.ports.lines.cpython import open_tty

            return open_tty(self.host, self.number)
        return self.port.uart(self.host, self.number)

    def profiles(self):
        return [self.profile]

    def poll(self, now_ms):
        client = self.profile
        if self.stream is None:
            client.tick(now_ms)
            if client.closed:
                client.reset()
            if client.is_waiting():
                try:
                    self.attach(self._line(), self.poller, now_ms)
                except OSError:
                    client.fail()
        Stream.poll(self, now_ms)

    def wait_ms(self):
        return 0 if self.profile.is_due() else Stream.wait_ms(self)

    def close(self):
        self.detach()


def make(meter, port):
    """The links of meter.gateways: (network_id, kind, where, number, physical_device_address or
    None, seconds for an answer) each. The meter gets a gateway to them. A serial port that the
    runtime cannot open itself is a descriptor in meter.terminals."""
    from dlms.gateway import Gateway

    server = meter.server
    server.gateway = Gateway()
    room = max(server.max_pdu, server.max_receive_pdu)
    links = []
    for want in meter.gateways:
        if want[1] == "wrapper-tcp":
            from profiles.wrapper_client import WrapperClient as Client
        else:
            from profiles.hdlc_client import HDLCClient as Client
        client = Client(room, want[5] * 1000)
        server.gateway.routes.append((want[0], want[4], client))
        links.append(Outward(port, want, client, meter.terminals.get(want[2], -1)))
    return links
