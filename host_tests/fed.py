# SPDX-License-Identifier: MIT
"""A meter with a feed, in a process of its own, as the launcher has one.

with Fed("micropython") as meter:
    assert meter.ask("get 1 0.0.42.0.0.255 2").octets
    meter.events                                  what it has said
"""

import json
import os
import subprocess
import tempfile
import threading
import time

import compile as compiling
import feeds
import meter as meters
import running

PATIENCE_S = running.PATIENCE_S
LINKS = ("wrapper-tcp", "wrapper-udp", "hdlc-tcp")


class Fed:
    def __init__(self, runtime, definition=running.DEFAULT_DEFINITION, **options):
        wanted = meters.parser().parse_args(
            ["run", "--runtime", runtime, "--definition", definition]
        )
        folder = compiling.definition(definition)
        args, environment, _where = meters.runtime(wanted, folder)
        self._folder = tempfile.TemporaryDirectory()
        self._child = subprocess.Popen(
            args,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            cwd=self._folder.name,
        )
        options = {
            "definition": "definition",
            "links": [[kind, "127.0.0.1", 0] for kind in LINKS],
            "feed": 32768,
            "display": "none",
            "watch_stdin": True,
            "seed": 1,
            "speed": 0,
            **options,
        }
        self.feed = feeds.Feed()
        self.events = []
        self.text = ""  # what is not the feed's
        self.ports = {}
        self._changed = threading.Condition()
        self.feed.subscribe(self._take)
        self._write(json.dumps(options).encode() + b"\n")
        self.feed.attach(self._write)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.wait(lambda: "ready\n" in self.text), self.text
        for line in self.text.splitlines():
            kind, _, address = line.partition(" ")
            if kind in LINKS:
                host, _, number = address.rpartition(":")
                self.ports[kind] = host, int(number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """As Ctrl-C of the launcher; the exit code."""
        if not self._child.stdin.closed:
            self._child.stdin.close()
        try:
            code = self._child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise
        self._thread.join(PATIENCE_S)
        self._child.stdout.close()
        self._folder.cleanup()
        return code

    def _write(self, octets):
        self._child.stdin.write(octets)
        self._child.stdin.flush()

    def _read(self):
        while True:
            octets = os.read(self._child.stdout.fileno(), 65536)
            if not octets:
                return
            text = self.feed.read(octets).decode()
            with self._changed:
                self.text += text
                self._changed.notify_all()

    def _take(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, condition):
        """Wait until something that the meter says makes it true; False: it does not."""
        with self._changed:
            return self._changed.wait_for(condition, PATIENCE_S)

    def wait_for(self, kind, condition=lambda event: True):
        """The first event of a class for which that is true."""
        found = []

        def there():
            found[:] = [e for e in self.events if isinstance(e, kind) and condition(e)]
            return bool(found)

        assert self.wait(there), self.events
        return found[0]

    def ask(self, command):
        return self.feed.ask(command, PATIENCE_S)

    def said(self, link):
        """[(sent, octets)] of a link; wait until it has been said."""
        return [
            (e.sent, e.octets) for e in self.events
            if isinstance(e, feeds.Octets) and e.link is link and e.fault is None
        ]  # fmt: skip

    def rest(self):
        """Wait until all is said that has happened so far."""
        assert self.ask("state").error is None
        now = time.monotonic()
        n = len(self.events)
        while time.monotonic() < now + PATIENCE_S:
            with self._changed:
                self._changed.wait(0.1)
                if any(isinstance(e, feeds.State) for e in self.events[n:]):
                    return
