# SPDX-License-Identifier: MIT
"""Playing inputs: hangs and growth are found, a finding is written, made small, and replayed."""

import gc
import hashlib
import os
import signal
import sys
import time
import traceback

import fuzzing

HANG_S = 5  # of the processor, for one input
CHECK_EVERY = 2000  # inputs between two looks at the heap; a multiple of what renews targets
N_CHECKS = 6  # looks in a row that find more
GROWTH = 4000  # blocks more than at the first of them
SMALLER_S = 20


class Hang(BaseException):
    """No Exception: the server catches those."""


class Growth(Exception):
    pass


class Player:
    """Plays inputs of a target, one after the other. n: how many; history: those since the target
    was made."""

    def __init__(self, name):
        self.name = name
        self.make = fuzzing.maker(name)
        self.renew = fuzzing.TARGETS[name][2]
        self.n = 0
        self.began = -1
        self.renewed()
        self.blocks = []
        signal.signal(signal.SIGVTALRM, self.looks)
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S, HANG_S)

    def renewed(self):
        self.one = self.make()
        self.history = []

    def looks(self, *_):
        """The same input as at the last look?"""
        if self.began == self.n and self.playing:
            raise Hang("more than %d s for one input" % HANG_S)
        self.began = self.n

    playing = False

    def play(self, octets):
        if self.renew and self.n and self.n % self.renew == 0:
            self.renewed()
        if self.n % CHECK_EVERY == 0 and self.n:
            self.weigh()
        self.n += 1
        if self.renew:
            self.history.append(octets)
        else:
            self.history = [octets]
        self.playing = True
        self.one(octets)
        self.playing = False

    def weigh(self):
        """Is there more and more on the heap?"""
        gc.collect()
        self.blocks.append(sys.getallocatedblocks())
        last = self.blocks[-N_CHECKS:]
        if len(self.blocks) > 2 * N_CHECKS and last == sorted(set(last)):
            if last[-1] - last[0] > GROWTH:
                raise Growth("%d blocks more than %d looks ago" % (last[-1] - last[0], N_CHECKS))


def outcome(e):
    """What two findings have in common that are the same: kind of exception and its place."""
    at = traceback.extract_tb(e.__traceback__)
    places = [f for f in at if "fuzzing" not in f.filename] or at
    return type(e).__name__, os.path.basename(places[-1].filename), places[-1].lineno


def replay(name, inputs):
    """None, or the exception that these inputs come to on a fresh target."""
    player = Player(name)
    player.renew = 0
    try:
        for octets in inputs:
            player.play(octets)
    except (Exception, Hang) as e:
        player.playing = False
        return e
    return None


def smaller(name, inputs, wanted):
    """Fewer and shorter inputs with the same outcome."""
    until = time.monotonic() + SMALLER_S

    def same(tried):
        if time.monotonic() > until:
            return False
        e = replay(name, tried)
        return e is not None and outcome(e) == wanted

    if not same(inputs):
        return inputs
    if same(inputs[-1:]):
        inputs = inputs[-1:]
    size = max(1, len(inputs) // 2)
    while len(inputs) > 1:
        at = 0
        while at < len(inputs) - 1:
            tried = inputs[:at] + inputs[min(at + size, len(inputs) - 1) :]
            if same(tried):
                inputs = tried
            else:
                at += size
        if size == 1 or time.monotonic() > until:
            break
        size //= 2
    for k in range(len(inputs) - 1, -1, -1):
        size = max(1, len(inputs[k]) // 2)
        while size:
            at = 0
            while at < len(inputs[k]):
                one = inputs[k][:at] + inputs[k][at + size :]
                tried = [*inputs[:k], one, *inputs[k + 1 :]]
                if same(tried):
                    inputs = tried
                else:
                    at += size
            size //= 2
    return inputs


# --- Inputs as text -------------------------------------------------------------------------


def read(path):
    """Inputs of a file: a line each, hexadecimal, - for an empty one; # begins a remark."""
    with open(path) as f:
        lines = [line.split("#")[0].strip() for line in f]
    return [bytes.fromhex(line) if line != "-" else b"" for line in lines if line]


def write(path, inputs, *remarks):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as f:
        f.writelines("# %s\n" % remark for remark in remarks)
        f.writelines((octets.hex() or "-") + "\n" for octets in inputs)


def corpus(name, only=""):
    """The kept inputs of a target, of all files or of one."""
    found = []
    folder = os.path.join(fuzzing.CORPUS, name)
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if only in ("", file):
            found += read(os.path.join(folder, file))
    return found


def fewest(name, inputs, longest):
    """Of these inputs, the shortest first, those that reach a line that none before has; all of
    them together have at most `longest` octets."""
    player = Player(name)
    player.renew = 0
    seen, new = set(), set()
    places = tuple(
        os.path.join(fuzzing.ROOT, part)
        for part in ("lib", "firmware", "tools/decoding", "tools/feed")
    )

    def lines(frame, event, arg):
        if event == "line":
            new.add((frame.f_code, frame.f_lineno))
        return lines

    def calls(frame, event, arg):
        return lines if frame.f_code.co_filename.startswith(places) else None

    for octets in player.one.seeds:  # they are there without being kept
        player.play(octets)
    kept = []
    for octets in sorted(inputs, key=lambda octets: (len(octets), octets)):
        if longest < len(octets):
            break
        new.clear()
        sys.settrace(calls)
        try:
            player.play(octets)
        finally:
            sys.settrace(None)
        if new - seen:
            seen |= new
            kept.append(octets)
            longest -= len(octets)
    return kept


def found(name, inputs, e, folder):
    """Write a finding; its path."""
    text = "%s: %s" % (type(e).__name__, e)
    wanted = outcome(e)
    inputs = smaller(name, inputs, wanted)
    digest = hashlib.sha256(b"\n".join(inputs)).hexdigest()[:8]
    path = os.path.join(folder, "%s-%s.txt" % (name, digest))
    write(
        path,
        inputs,
        "target: " + name,
        text.splitlines()[0][:200],
        "at %s:%d" % wanted[1:],
        "python3 tools/fuzz.py replay %s" % os.path.relpath(path, fuzzing.ROOT),
    )
    return path
