# SPDX-License-Identifier: MIT
"""Starts the meter's program, relays what it says, and ends it.

The program ends when its stdin is closed: on Ctrl-C, on SIGTERM or SIGHUP, and when this process
dies in any other way. So it is never interrupted in the middle of a write.

What is only for this run lies in a folder that loses its name as soon as the meter is ready: then
it has opened all its files, and they are gone when it ends, in whatever way.

Firmware that was updated is started again by the same means (firmware/launch.py picks the slot),
and is ended if it does not confirm itself: this is the watchdog of a PC.
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tty

from bootstrap import ROOT, Trouble, say

_GRACE_S = 10
_TRIAL_S = 60
_RESTART = 64  # exit code, of firmware/launch.py
_PENDING_LIMIT = 4 << 20


class Launcher:
    def __init__(self):
        self._child = None
        self._deadline = None
        self._pending = bytearray()
        self._lost = False
        self._open_standard_files()
        self._wake_r, self._wake_w = os.pipe()
        for fd in (self._wake_r, self._wake_w):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    @staticmethod
    def _open_standard_files():
        """A descriptor that was closed at the start must not become one of a socket or a pipe."""
        for fd in (0, 1, 2):
            try:
                os.fstat(fd)
            except OSError:
                os.open(os.devnull, os.O_RDWR)

    def _stop(self, number, frame):
        if self._child is None:
            raise SystemExit(0)
        now = time.monotonic()
        if self._deadline is not None:
            # Once more, and not just twice by way of a terminal and of make: it is meant.
            if now > self._deadline - _GRACE_S + 1:
                self._child.kill()
            return
        self._deadline = now + _GRACE_S
        with contextlib.suppress(OSError):
            self._child.stdin.close()

    def out(self, text):
        """Print a line, now."""
        self._pending += text.encode() + b"\n"
        while self._pending:
            self._write()

    def _write(self):
        """Write a piece that a pipe takes without blocking if it takes anything."""
        try:
            n = os.write(1, self._pending[: select.PIPE_BUF])
            del self._pending[:n]
        except OSError:
            self._pending.clear()  # nobody reads any more; the meter goes on

    def _take(self, data):
        """Keep what the meter says until somebody reads it, up to a limit: it must not wait."""
        if len(self._pending) < _PENDING_LIMIT:
            self._pending += data
        elif not self._lost:
            self._lost = True
            say("Nobody reads what the meter prints: some of it is lost.")

    def run(self, program, options, fds, on_ready, update=None, feed=None):
        """Run it to its end; returns its exit code, 0 if it was told to end and did.

        program: arguments, environment, the folder that it runs in (None: this one).
        on_ready() is called when it says that it is ready. update: an Update, if it has one.
        feed: takes the lines of the meter's feed (feeds/); they are not printed.
        """
        args, environment, folder = program
        # Only what the firmware needs: what else is set here must not change the meter.
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MICROPY"))
        }
        self._child = subprocess.Popen(
            args,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**inherited, **environment, "PYTHONPYCACHEPREFIX": ROOT + "/build/pycache"},
            pass_fds=fds,
            cwd=folder,
            start_new_session=True,
            umask=0o077,
        )
        with contextlib.suppress(OSError, ValueError):
            self._child.stdin.write(json.dumps(options).encode() + b"\n")
            self._child.stdin.flush()
        self._feed = feed
        if feed is not None:
            feed.attach(self._command)
        self._trial = update
        self._trial_end = time.monotonic() + _TRIAL_S
        try:
            self._relay(on_ready)
        finally:
            if feed is not None:
                feed.attach(None)
        code = self._child.wait()
        if self._deadline is not None:
            if code == -signal.SIGKILL:
                say("The meter did not end within %d s and was killed." % _GRACE_S)
                return 1
            return code
        if code < 0:
            say("The meter's program was ended by signal %d." % -code)
            return 1
        return code

    def _command(self, octets):
        """Hand a command of the feed to the meter; whole, for a pipe takes one of that length."""
        try:
            self._child.stdin.write(octets)
            self._child.stdin.flush()
        except ValueError:
            raise OSError("the meter is about to end") from None

    def again(self, code, update):
        """Is the firmware to be started again, after it has ended with this exit code?"""
        if update is None or self._deadline is not None:
            return False
        return code == _RESTART or update.is_on_trial()

    def _watch(self):
        """Seconds to wait until somebody looks here again; None: nothing is watched any more."""
        if self._trial is None:
            return None
        left = self._trial_end - time.monotonic()
        if left <= 0 and self._trial.is_on_trial():
            say("The new firmware has not confirmed itself within %d s." % _TRIAL_S)
            self._child.kill()
        if left <= 0:
            self._trial = None
            return None
        return left

    def _relay(self, on_ready):
        out = self._child.stdout.fileno()
        ended = False
        said = b"\n"
        while not ended or self._pending:
            wait = self._watch()
            if self._deadline is not None:
                wait = max(0, self._deadline - time.monotonic())
                if not wait:
                    self._child.kill()
                    return
            r, w, _ = select.select(
                [self._wake_r] if ended else [out, self._wake_r],
                [1] if self._pending else [],
                [],
                wait,
            )
            if self._wake_r in r:
                os.read(self._wake_r, 64)
            if out in r:
                data = os.read(out, 65536)
                ended = not data
                if self._feed is not None:
                    data = self._feed.read(data)
                self._take(data)
                if said is not None:
                    said += data
                    if b"\nready" in said:
                        said = None
                        on_ready()
            if w:
                self._write()
            elif ended:
                return  # it has ended, and its last words find no reader


class Scratch:
    """A folder for one run of the meter. drop(): the meter has opened what is in it."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="picometer-")
        return self

    def drop(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def __exit__(self, *_):
        self.drop()


class State:
    """The folder of a meter's state, for as long as the context lasts. Nobody else may use it
    meanwhile."""

    def __init__(self, path):
        self.path = os.path.abspath(path)

    def __enter__(self):
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            lock = os.path.join(self.path, ".lock")
            self._lock = open(os.open(lock, os.O_WRONLY | os.O_CREAT, 0o600), "w")
        except OSError as e:
            raise Trouble("--state: cannot write to %s (%s)." % (self.path, e.strerror)) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Trouble("--state: another meter uses %s." % self.path) from None
        return self

    def __exit__(self, *_):
        self._lock.close()


class Update:
    """What the firmware has noted of its own update, in the folder of a meter's state."""

    def __init__(self, state):
        self.folder = os.path.join(state, ".update")
        for path in ("firmware/ports/shim", "lib", ""):
            sys.path.append(os.path.join(ROOT, path))
        from firmware.files import Files
        from firmware.journal import Journal
        from firmware.launch import JOURNAL

        self._journal = Journal(Files(), self.folder + JOURNAL)

    def is_on_trial(self):
        """Does a firmware run that is not confirmed yet?"""
        try:
            self._journal.load()
        except OSError:
            return False
        return bool(self._journal.trial)


class Pty:
    """A pseudo-terminal whose slave side a link leads to, for as long as the context lasts.

    The slave is kept open, so that clients may come and go, and raw, so that octets stay what they
    are. Without a link: nothing.
    """

    def __init__(self, link, option):
        self.link = os.path.abspath(link) if link else None
        self.option = option
        self.master = -1
        self._slave = -1

    def __enter__(self):
        if not self.link:
            return self
        if os.path.islink(self.link) and not os.path.exists(self.link):
            os.remove(self.link)  # left by a meter that was killed
        if os.path.lexists(self.link):
            raise Trouble(
                "%s: %s exists. Is another meter using it? If not, remove it."
                % (self.option, self.link)
            )
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        flags = fcntl.fcntl(self.master, fcntl.F_GETFL)
        fcntl.fcntl(self.master, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        self._target = os.ttyname(self._slave)
        try:
            os.symlink(self._target, self.link)
        except OSError as e:
            raise Trouble(
                "%s: cannot make %s (%s)." % (self.option, self.link, e.strerror)
            ) from None
        return self

    def __exit__(self, *_):
        if self.link:
            with contextlib.suppress(OSError):
                if os.readlink(self.link) == self._target:
                    os.remove(self.link)
            os.close(self.master)
            os.close(self._slave)


if __name__ == "__main__":
    sys.exit("This is a part of tools/meter.py.")
