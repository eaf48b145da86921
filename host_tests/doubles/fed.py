# SPDX-License-Identifier: MIT
"""A meter as its feed shows it (tools/feeds), without a meter: lines and answers as it is told.

with Fed() as fed:                    fed.far is the descriptor for whoever reads the feed
    fed.begin()
    fed.open(1, "wrapper-tcp", "127.0.0.1:4059", "127.0.0.1:50000")
    fed.received(1, octets); fed.sent(1, octets)
    fed.state(display=["1.8.0", "1.00 kWh"])
fed.values["3 1.0.32.7.0.255 2"] = A-XDR of what a get of this is answered with
fed.commands                          what it was asked, without numbers
fed.errors["press"] = a sentence      the answer to all commands that begin so
"""

import json
import socket
import threading
import time

EPOCH_2000 = 946684800


class Fed:
    def __init__(self):
        self._near, self._far = socket.socketpair()
        self.far = self._far.fileno()
        self.values = {}
        self.commands = []
        self.errors = {}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._started = time.monotonic()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.end()
        self._far.close()

    def end(self):
        """The meter's program has ended."""
        try:
            self._near.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join()  # it must not read from whoever gets this descriptor next
        self._near.close()

    def say(self, text):
        self._near.sendall(b"\x1e" + text.encode() + b"\n")

    def _ms(self):
        return int((time.monotonic() - self._started) * 1000)

    def begin(self):
        about = {"feed": 1, "runtime": "a double", "time": [13000000, 0], "speed": 1}
        self.say("H %d %s" % (self._ms(), json.dumps(about)))

    def open(self, link, kind, local, peer):
        about = {"kind": kind, "local": local, "peer": peer}
        self.say("O %d %d %s" % (self._ms(), link, json.dumps(about)))

    def close(self, link):
        self.say("C %d %d peer" % (self._ms(), link))

    def received(self, link, octets):
        self.say("R %d %d %s" % (self._ms(), link, octets.hex()))

    def sent(self, link, octets):
        self.say("T %d %d %s" % (self._ms(), link, octets.hex()))

    def state(self, **values):
        now = int(time.time()) - EPOCH_2000
        all_ = {
            "time": [now // 60, now % 60], "display": None, "associations": [], "heap": None,
            "supply": None, "counters": {}, **values,
        }  # fmt: skip
        self.say("S %d %s" % (self._ms(), json.dumps(all_)))

    def _serve(self):
        data = b""
        while True:
            try:
                got = self._near.recv(65536)
            except OSError:
                return
            if not got:
                return
            *lines, data = (data + got).split(b"\n")
            for line in lines:
                number, _, command = line.decode().partition(" ")
                self.commands.append(command)
                try:
                    self._answer(number, command)
                except OSError:
                    return

    def _answer(self, number, command):
        word, _, what = command.partition(" ")
        if word in self.errors:
            self.say("A %s %s" % (number, json.dumps({"error": self.errors[word]})))
            return
        if word == "get":
            if what not in self.values:
                self.say("A %s %s" % (number, json.dumps({"error": "There is no such object."})))
                return
            self.say("V %s %s" % (number, self.values[what].hex()))
        self.say("A %s {}" % number)
