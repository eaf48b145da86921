# SPDX-License-Identifier: MIT
"""Our reference meter, started for a run: over the wrapper, HDLC over TCP, and an optical port
on a pseudo-terminal. Two days of its time have passed, so that its profiles have rows."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from bootstrap import ROOT, Trouble

METER = os.path.join(ROOT, "tools", "meter.py")
DEFINITION = os.path.join(ROOT, "firmware", "definitions", "optical.toml")
_BEGIN, _END = "2026-01-01", "2026-01-03"
_SCHEMES = {"wrapper-tcp": "tcp://", "hdlc-tcp": "hdlc+tcp://"}


class OwnMeter:
    """places: as TARGETs; description: its connection sheet."""

    def __init__(self, definition=None):
        self.definition = definition or DEFINITION
        self.places = []

    def __enter__(self):
        said = subprocess.run(
            [sys.executable, METER, "sheet", "--json", "--definition", self.definition],
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if said.returncode:
            raise Trouble(said.stderr.strip() or "Our meter has no sheet.")
        self.description = json.loads(said.stdout)
        self._folder = tempfile.mkdtemp(prefix="picometer-")
        link = os.path.join(self._folder, "optical")
        args = ["--definition", self.definition, "--wrapper-tcp", "0", "--hdlc-tcp", "0",
                "--start", _BEGIN, "--until", _END]  # fmt: skip
        if "optical" in self.description:
            args += ["--optical-pty", link]
        self._process = subprocess.Popen(
            [sys.executable, METER, "run", *args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for text in self._process.stdout:
            word, _, rest = text.strip().partition(" ")
            if word in _SCHEMES and ":" in rest:
                self.places.append(_SCHEMES[word] + rest)
            if word == "ready":
                break
        else:
            errors = self._process.stderr.read().strip()
            self.__exit__()
            raise Trouble("Our meter does not start. %s" % errors)
        if "optical" in self.description:
            self.places.append("optical:" + link)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)
