# SPDX-License-Identifier: MIT
"""The serial port of a board, on this machine: fake_board.py behind a TCP port.

    with FakeBoard(micropython) as board:
        deploy("--port", board.port)
        socket.create_connection(board.meter)     a cable to the UART of the meter there

Ctrl-C becomes a signal, as it interrupts a board. `spoil` is a function of the octets on their way
to the board, which may return others; `dumb` ones never get there.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
_WAIT_S = 0.2


class FakeBoard:
    def __init__(self, micropython, n_blocks=384, faults=(), spoil=None, dumb=False):
        self._listener = _server()
        self._uart = _server()
        self._readers = _server()
        self.port = "socket://127.0.0.1:%d" % self._listener.getsockname()[1]
        self.meter = self._readers.getsockname()
        self.spoil = spoil
        self.dumb = dumb
        self.received = b""  # octets that went to the board
        self._sockets = {}
        self._ended = False
        self._child = subprocess.Popen(
            [micropython, "-X", "heapsize=8m", os.path.join(HERE, "fake_board.py"),
             str(n_blocks), str(self._uart.getsockname()[1]), *faults],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended = True
        self._thread.join(5)
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()
        for s in (self._listener, self._uart, self._readers, *self._sockets.values()):
            s.close()

    def _serve(self):
        out = self._child.stdout.fileno()
        takes = {self._listener: "tool", self._uart: "uart", self._readers: "reader"}
        while not self._ended:
            files = [out, *takes, *self._sockets.values()]
            ready = select.select(files, [], [], _WAIT_S)[0]
            for listener, name in takes.items():
                if listener in ready:
                    self._drop(name)
                    s = self._sockets[name] = listener.accept()[0]
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if out in ready:
                data = os.read(out, 4096)
                if not data:
                    return
                # A serial port of a board; a terminal would make this of a newline.
                if not self.dumb:
                    self._send("tool", data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            for name, other in (("tool", None), ("uart", "reader"), ("reader", "uart")):
                if self._sockets.get(name) in ready:
                    data = self._receive(name)
                    if other:
                        self._send(other, data)
                    elif data:
                        self._forward(data)

    def _receive(self, name):
        data = b""
        with contextlib.suppress(OSError):
            data = self._sockets[name].recv(4096)
            # Else the other side waits for it before it sends what comes next.
            self._sockets[name].setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if not data:
            self._drop(name)
        return data

    def _send(self, name, data):
        if name in self._sockets:
            with contextlib.suppress(OSError):
                self._sockets[name].sendall(data)

    def _drop(self, name):
        if name in self._sockets:
            self._sockets.pop(name).close()

    def _forward(self, data):
        """To the board."""
        self.received += data
        if self.spoil:
            data = self.spoil(data)
        if self.dumb:
            return
        if b"\x03" in data:
            data = data.replace(b"\x03", b"")
            self._child.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            self._child.stdin.write(data)


def _server():
    return socket.create_server(("127.0.0.1", 0))
