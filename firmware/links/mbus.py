# SPDX-License-Identifier: MIT
"""The meter's M-Bus port: a line on which it is the master (profiles/mbus.py), and on which its
M-Bus clients say what meter/mbus.py has them say. [mbus] of a definition says what the line is: a
TCP connection to a level converter (made when there is something to say, and kept), a serial port
of this PC, or a UART of a board.

The first M-Bus master port setup (class 74) sets the speed. A converter on TCP has its own: there
it is patience that changes.
M-Bus diagnostic (class 77) counts what goes over the line.
"""

from firmware.links.settings import first
from firmware.links.stream import Stream
from firmware.meter.mbus import Bus
from firmware.ports import lines
from micropython import const
from profiles.mbus import Master

_M_BUS_MASTER_PORT_SETUP = const(74)
_COMM_SPEED = const(2)
_SPEEDS = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)

_CHUNK_LEN = const(64)
_BUSY_MS = const(10)
_TICKS_MASK = const(0x3FFFFFFF)
_GOOD = const(0)
_NO_DATA = const(3)


class MBusPort(Stream):
    name = "mbus"

    def __init__(self, port, want, meter):
        """want: (kind, where, number), of the definition."""
        self.master = Master()
        Stream.__init__(self, port, self.master, _CHUNK_LEN, True)
        self.host = want[1]
        self.number = want[2]
        self.address = "%s %s %d" % want
        self._kind = want[0]
        self._terminal = meter.terminals.get(want[1], -1)
        self._meter = meter
        self._bauds = 0
        self._sent = self._good = self._bad = 0
        self._waited = False
        model = meter.model
        self._row = first(model, _M_BUS_MASTER_PORT_SETUP)
        self._diagnostic = model.handler("mbus_diagnostic")
        self.bus = Bus(model, self.master, _aes)
        self.bus.port_row = self._row
        client = model.handler("mbus_client")
        if client is not None:
            client.bus = self.bus

    def open(self, poller):
        self.poller = poller
        self.configure()
        if self._kind != "tcp":
            self.attach(self._line(), poller, self.port.ticks_ms())

    def configure(self):
        """comm_speed may be another one."""
        bauds = self.number
        if self._row >= 0:
            bauds = _SPEEDS[self._meter.model.get_int(self._row, _COMM_SPEED)]
        if bauds == self._bauds:
            return
        self._bauds = bauds
        self.master.configure(bauds)
        if self._kind != "tcp" and self.stream is not None:
            self._set_rate()

    def _set_rate(self):
        if self._kind == "uart":
            self.detach()
            self.attach(self._line(), self.poller, self.port.ticks_ms())
            return
        try:
            lines.set_rate(self.stream, self._bauds)
        except OSError as e:
            self.port.out("mbus: %s" % e)

    def _line(self):
        if self._kind == "tcp":
            return self.port.connect(self.host, self.number)
        if self._kind == "tty":
            if self._terminal >= 0:
                return self.port.open_fd(self._terminal)
            from firmware.ports.lines.cpython import open_tty

            return open_tty(self.host, self._bauds, True)
        return lines.open_uart(self.host, self._bauds, True)

    def profiles(self):
        return ()

    def poll(self, now_ms):
        if self.stream is None and self.bus.is_busy():
            try:
                self.attach(self._line(), self.poller, now_ms)
            except OSError:
                self.bus.fail()
        self.bus.turn()
        Stream.poll(self, now_ms)
        self._note()
        if self.master.result >= 0:
            self.bus.turn()
        if self.bus.fault is not None:
            self._meter.server.fault = self.bus.fault
            self.bus.fault = None

    def _note(self):
        """Tell the diagnostic what has been counted. If that is nothing, nothing is allocated."""
        master = self.master
        busy = master.result < 0
        sent = (master.sent - self._sent) & _TICKS_MASK
        good = (master.good - self._good) & _TICKS_MASK
        bad = (master.bad - self._bad) & _TICKS_MASK
        if self._diagnostic is not None:
            if sent or good or bad:
                self._diagnostic.note(sent, good, bad)
            if self._waited and not busy:
                self._diagnostic.heard(master.result in (_GOOD, _NO_DATA))
        self._sent = master.sent
        self._good = master.good
        self._bad = master.bad
        self._waited = busy

    def wait_ms(self):
        if not self.ready and self.bus.is_busy():
            return _BUSY_MS if self.master.result < 0 else 0
        return Stream.wait_ms(self)

    def detach(self, broken=False):
        Stream.detach(self, broken)
        if self.master.result < 0:
            # Not even sent: what follows in a moment will not be, either.
            self.master.fail()

    def close(self):
        self.detach()


def _aes(key):
    from firmware.ports import ciphers

    return ciphers.aes(key)
