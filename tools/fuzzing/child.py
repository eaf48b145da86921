# SPDX-License-Identifier: MIT
"""One target in a process of its own, for so many seconds: tools/fuzz.py starts it.

    child.py TARGET SECONDS FOLDER SEED [random]

FOLDER keeps the inputs that found something new (libFuzzer's corpus) and the findings. With
atheris coverage guides what is tried; with `random`, what is tried is made from the corpus by
chance. Prints lines of JSON on stdout; libFuzzer's own go to stderr.
"""

import hashlib
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import fuzzing
from fuzzing import engine

FOUND = 77  # exit code: there is a finding
TELL_S = 0.5


class Child:
    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.player = engine.Player(name)
        self.began = self.told = time.monotonic()

    def one(self, octets):
        player = self.player
        try:
            player.play(octets)
        except (Exception, engine.Hang) as e:
            player.playing = False
            self.tell()
            print(json.dumps({"found": "%s: %s" % (type(e).__name__, e)}), flush=True)
            path = engine.found(self.name, list(player.history), e, self.folder)
            print(json.dumps({"path": path}), flush=True)
            os._exit(FOUND)
        now = time.monotonic()
        if now - self.told > TELL_S:
            self.tell()

    def tell(self):
        self.told = time.monotonic()
        print(json.dumps({"n": self.player.n, "s": self.told - self.began}), flush=True)

    @property
    def kept(self):
        return os.path.join(self.folder, "corpus", self.name)

    def seeds(self):
        """The corpus, what the target begins with, and what earlier runs have found."""
        found = [*engine.corpus(self.name), *self.player.one.seeds]
        if os.path.isdir(self.kept):
            for name in sorted(os.listdir(self.kept)):
                with open(os.path.join(self.kept, name), "rb") as f:
                    found.append(f.read())
        return list(dict.fromkeys(found))


def by_chance(child, seconds, seed):
    """Inputs made from others, without any coverage."""
    r = random.Random(seed or None)
    most = fuzzing.TARGETS[child.name][1]
    known = child.seeds() or [b""]
    end = time.monotonic() + seconds
    for octets in known:
        child.one(octets)
    while time.monotonic() < end:
        made = bytearray(r.choice(known))
        for _ in range(r.choice((1, 1, 2, 4, 8))):
            at = r.randint(0, len(made))
            kind = r.randrange(5)
            if kind == 0:
                made[at:at] = r.randbytes(r.choice((1, 1, 2, 8)))
            elif kind == 1:
                del made[at : at + r.choice((1, 2, 8))]
            elif kind == 2:
                other = r.choice(known)
                other_at = r.randint(0, len(other))
                made[at:] = other[other_at:]
            elif at < len(made):
                made[at] = r.choice((0, 1, 0x7F, 0x80, 0xFF, r.randrange(256), made[at] ^ 1))
        child.one(bytes(made[:most]))
    child.tell()


def main(name, seconds, folder, seed, how="atheris"):
    if how == "random":
        by_chance(Child(name, folder), float(seconds), int(seed))
        return
    import atheris

    fuzzing.paths()
    with atheris.instrument_imports(include=list(fuzzing.PACKAGES), enable_loader_override=False):
        child = Child(name, folder)
        os.makedirs(child.kept, exist_ok=True)
        for octets in child.seeds():
            path = os.path.join(child.kept, hashlib.sha1(octets).hexdigest())
            if not os.path.exists(path):
                with open(path, "wb") as f:
                    f.write(octets)
        options = [
            "-max_total_time=%s" % seconds, "-max_len=%d" % fuzzing.TARGETS[name][1],
            "-seed=%s" % seed, "-timeout=120", "-rss_limit_mb=3000", "-print_final_stats=1",
            "-reload=0", "-artifact_prefix=%s/" % folder,
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *options, child.kept], child.one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
