# SPDX-License-Identifier: MIT
"""CircuitPython boards. See ports/__init__.py for the interface; beyond it there are

    uart(number, baud, even) -> stream  a UART by its number in wiring.UARTS, with even parity or
                                     none; ValueError: none such
    usb() -> stream | None           the second USB serial port, if boot.py has enabled it
    network(ssid, password) -> str   join a Wi-Fi network; our address there. OSError: it failed

A serial line is asked how much it has; sockets are waited for with select.poll. wifi, socketpool,
usb_cdc and busio are imported where they are used, since not every board has them.

CircuitPython's write() takes no positions, so that writing costs a view of the buffer, 32 octets
of heap a frame, and select.poll a list. Types are for pyright (host_tests/test_circuitpython.py);
CircuitPython does not look at them.
"""

import errno
import os
import time

import supervisor
from micropython import const

# Type checkers take this for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import busio
    import select
    import socketpool
    import usb_cdc

NAME = "CircuitPython"

# supervisor.ticks_ms() wraps at 2**29, ours at 2**30.
_SUPERVISOR_TURN = const(0x20000000)
_TICKS_MASK = const(0x3FFFFFFF)
_EPOCH_2000 = const(946684800)
# A clock that nobody has set after power-up says some year before this program was written.
_FIRST_MINUTE = const(13675680)  # 2026-01-01 00:00 UTC
_POLLIN = const(1)
_POLLOUT = const(4)
_BACKLOG = const(4)
_CONNECT_S = const(2)
_RECEIVE_BUFFER_LEN = const(512)
_NAP_S = 0.002


class _State:
    fails: "tuple[Any, Any] | None" = None  # (pin, handler) of power_fail()
    last = 0  # what the supervisor said last
    turn = 0  # its turn, odd or even
    pool: "socketpool.SocketPool | None" = None


def ticks_ms():
    """Must be called once in six days, or a turn is missed; the main loop does so every second."""
    now = supervisor.ticks_ms()
    if now < _State.last:
        _State.turn ^= _SUPERVISOR_TURN
    _State.last = now
    return now | _State.turn


def utc():
    try:
        seconds = int(time.time()) - _EPOCH_2000
    except (RuntimeError, NotImplementedError):
        return _FIRST_MINUTE, 0  # no clock, or no integers that can hold its time
    if seconds < _FIRST_MINUTE * 60:
        return _FIRST_MINUTE, 0
    return seconds // 60, seconds % 60


def time_of_day():
    t = time.localtime()
    return t.tm_hour, t.tm_min, t.tm_sec


def random_fill(buf: "bytearray"):
    data = os.urandom(len(buf))
    for i in range(len(buf)):
        buf[i] = data[i]


def power_fail(handler: "Any"):
    """Only while nothing else is done: there are no interrupts."""
    import wiring

    name = getattr(wiring, "POWER_FAIL", None)
    if name is None:
        return False
    import board
    import digitalio

    pin = digitalio.DigitalInOut(getattr(board, name))
    pin.switch_to_input(digitalio.Pull.UP)
    _State.fails = pin, handler
    return True


def out(text: "str"):
    try:
        print(text)
    except OSError:
        pass  # nobody reads any more; the meter goes on


# --- Streams --------------------------------------------------------------------------------


class _Line:
    """A serial line: its own end never comes."""

    def __init__(self, line: "busio.UART | usb_cdc.Serial"):
        self.line = line
        self.wants_write = False

    def readinto(self, buf: "bytearray"):
        # Asking first keeps it from waiting.
        if not self.line.in_waiting:
            return 0
        n = self.line.readinto(buf)
        return 0 if n is None else n


class _UART(_Line):
    def __init__(self, line: "busio.UART"):
        _Line.__init__(self, line)
        self._uart = line

    def write(self, part: "memoryview"):
        """Waits until the last octets of a frame are in the hardware: no pause of ours tears it
        apart, but nothing else is served meanwhile (128 octets at 9600: 0.13 s)."""
        n = self._uart.write(part)
        return 0 if n is None else n

    def close(self):
        self._uart.deinit()

    def set_rate(self, baud: "int"):
        self._uart.baudrate = baud

    def overruns(self):
        # Nobody counts them; a buffer that is full has lost some, or is about to.
        return 1 if self._uart.in_waiting >= _RECEIVE_BUFFER_LEN else 0


class _USB(_Line):
    def __init__(self, line: "usb_cdc.Serial"):
        _Line.__init__(self, line)
        self._usb = line
        line.timeout = 0
        line.write_timeout = 0

    def write(self, part: "memoryview"):
        n = self._usb.write(part)
        if not n and not self._usb.connected:
            return len(part)  # a line with nobody at its end
        return n

    def close(self):
        self._usb.reset_input_buffer()


class _Socket:
    def __init__(self, socket: "socketpool.Socket"):
        self.socket = socket

    def readinto(self, buf: "bytearray"):
        try:
            n = self.socket.recv_into(buf, len(buf))
        except OSError as e:
            return 0 if e.errno == errno.EAGAIN or e.errno == errno.ETIMEDOUT else -2
        return n if n else -1

    def write(self, part: "memoryview"):
        try:
            return self.socket.send(part)
        except OSError as e:
            return 0 if e.errno == errno.EAGAIN or e.errno == errno.ETIMEDOUT else -1

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass


def readinto(stream: "_UART | _USB | _Socket", buf: "bytearray"):
    return stream.readinto(buf)


def write(stream: "_UART | _USB | _Socket", buf: "bytearray", pos: "int", n: "int"):
    return stream.write(memoryview(buf)[pos : pos + n])


def close(stream: "_UART | _USB | _Socket"):
    stream.close()


# --- Serial lines ---------------------------------------------------------------------------


def uart(number: "int", baud: "int", even: "bool" = False):
    import board
    import busio
    import wiring

    for entry in wiring.UARTS:
        if entry[0] == number:
            line = busio.UART(
                getattr(board, entry[1]),
                getattr(board, entry[2]),
                baudrate=baud,
                # The stubs have its members as int.
                parity=busio.UART.Parity.EVEN if even else None,  # type: ignore
                rs485_dir=getattr(board, entry[3]) if entry[3] else None,
                timeout=0,
                # Wide enough for what arrives while flash is written or rubbish is collected.
                receiver_buffer_size=_RECEIVE_BUFFER_LEN,
            )
            return _UART(line)
    raise ValueError("wiring.py has no UART %d." % number)


def usb():
    try:
        import usb_cdc
    except ImportError:
        return None
    return None if usb_cdc.data is None else _USB(usb_cdc.data)


def open_fd(fd: "int"):
    raise OSError("a board has no launcher")


# --- Sockets --------------------------------------------------------------------------------


def network(ssid: "str", password: "str"):
    import socketpool
    import wifi

    if not wifi.radio.connected:
        wifi.radio.connect(ssid, password)
    if _State.pool is None:
        _State.pool = socketpool.SocketPool(wifi.radio)
    return str(wifi.radio.ipv4_address)


def interface(host: "str"):
    import wifi

    radio = wifi.radio
    four = radio.ipv4_address, radio.ipv4_subnet, radio.ipv4_gateway, radio.ipv4_dns
    texts = [None if address is None else str(address) for address in four]
    return texts, None, bytes(radio.mac_address)


def _open(host: "str", number: "int", udp: "bool"):
    pool = _State.pool
    if pool is None:
        raise OSError("there is no network")
    s = pool.socket(pool.AF_INET, pool.SOCK_DGRAM if udp else pool.SOCK_STREAM)
    try:
        if not udp:
            s.setsockopt(pool.SOL_SOCKET, pool.SO_REUSEADDR, 1)
        s.bind((host, number))
        if not udp:
            s.listen(_BACKLOG)
        s.setblocking(False)
    except OSError:
        s.close()
        raise
    return _Socket(s), number


def listen(host: "str", number: "int"):
    return _open(host, number, False)


def udp(host: "str", number: "int"):
    return _open(host, number, True)


def group(host: "str", number: "int", address: "bytes"):
    raise OSError("no multicast here")


def accept(listener: "_Socket"):
    try:
        s, peer = listener.socket.accept()
    except OSError:
        return None
    return _prompt(s), peer


def connect(host: "str", number: "int"):
    pool = _State.pool
    if pool is None:
        raise OSError("there is no network")
    s = pool.socket(pool.AF_INET, pool.SOCK_STREAM)
    # Here it has to be waited for: a connection that is under way cannot be polled everywhere.
    s.settimeout(_CONNECT_S)
    try:
        s.connect((host, number))
    except OSError:
        s.close()
        raise
    return _prompt(s)


def look_up(host: "str", six: "bool"):
    return host


def found(lookup: "str"):
    return lookup


def unacknowledged(stream: "_Socket"):
    return -1


def _prompt(s: "socketpool.Socket"):
    s.setblocking(False)
    pool = _State.pool
    if pool is not None:
        try:
            s.setsockopt(pool.IPPROTO_TCP, pool.TCP_NODELAY, 1)
        except OSError:
            pass
    return _Socket(s)


def address(host: "str", number: "int"):
    return host, number


def recvfrom(endpoint: "_Socket", n: "int"):
    buf = bytearray(n)
    try:
        n, address = endpoint.socket.recvfrom_into(buf)
    except OSError:
        return None
    return memoryview(buf)[0:n], address


def sendto(
    endpoint: "_Socket", buf: "bytearray", pos: "int", n: "int", address: "tuple[str, int]"
):
    try:
        endpoint.socket.sendto(memoryview(buf)[pos : pos + n], address)
    except OSError:
        return False
    return True


class Poller:
    def __init__(self):
        self._lines: "list[_Line]" = []
        self._line_owners: "list[Any]" = []
        self._sockets: "list[socketpool.Socket]" = []
        self._socket_owners: "list[Any]" = []
        self._poll: "select.poll | None" = None

    def add(self, stream: "_UART | _USB | _Socket", owner: "Any"):
        if isinstance(stream, _Line):
            self._lines.append(stream)
            self._line_owners.append(owner)
            return
        if self._poll is None:
            import select

            self._poll = select.poll()
        self._sockets.append(stream.socket)
        self._socket_owners.append(owner)
        self._poll.register(stream.socket, _POLLIN)  # type: ignore

    def remove(self, stream: "_UART | _USB | _Socket"):
        if isinstance(stream, _Line):
            i = self._lines.index(stream)
            self._lines.pop(i)
            self._line_owners.pop(i)
        elif self._poll is not None:
            i = self._sockets.index(stream.socket)
            self._sockets.pop(i)
            self._socket_owners.pop(i)
            self._poll.unregister(stream.socket)  # type: ignore

    def want_write(self, stream: "_UART | _USB | _Socket", yes: "bool"):
        if isinstance(stream, _Line):
            # No serial line says when it has room: it is tried with every turn.
            stream.wants_write = yes
        elif self._poll is not None:
            self._poll.modify(stream.socket, _POLLOUT if yes else _POLLIN)  # type: ignore

    def wait(self, timeout_ms: "int"):
        start_ms = ticks_ms()
        while not self._look():
            if _State.fails is not None and not _State.fails[0].value:
                _State.fails[1]()
            if (ticks_ms() - start_ms) & _TICKS_MASK >= timeout_ms:
                return
            time.sleep(_NAP_S)

    def _look(self):
        """Mark the owners of all streams that have something; True if there is one."""
        found = False
        for i in range(len(self._lines)):
            stream = self._lines[i]
            if stream.line.in_waiting or stream.wants_write:
                self._line_owners[i].ready = True
                found = True
        if self._poll is not None:
            # What it says first of each are the sockets themselves here, not numbers.
            for item in self._poll.poll(0):
                i = 0
                while self._sockets[i] is not item[0]:
                    i += 1
                self._socket_owners[i].ready = True
                found = True
        return found
