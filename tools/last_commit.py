# SPDX-License-Identifier: MIT
"""What tools/sizes.py has measured of the last commit, to say what a change costs.

    figures(args) -> (words for that commit, what `sizes.py --json` says there)

The commit measures itself: its files go to build/commit, with what was fetched into build/ lent to
them, and its own tools run there. What they say is kept in build/sizes, one file a commit.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile

import bootstrap
from bootstrap import BUILD, ROOT, Trouble, stamp, step

KEPT = os.path.join(BUILD, "sizes")
PLACE = os.path.join(BUILD, "commit")
# What of build/ any commit can use.
_LENT = ("micropython", "venv", "source")
# What the figures depend on.
_MEASURED = ("lib", "firmware", "boards", "tools", "host_tests/device")


def git(root, *args):
    """What git says, or None: it does not know, or is not there."""
    try:
        r = subprocess.run(["git", "-C", root, *args], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return None if r.returncode else r.stdout.strip()


def choose(root=ROOT):
    """(commit, words for it): the last one; if nothing has changed since, the one before it.

    Trouble: there is none.
    """
    top = git(root, "rev-parse", "--show-toplevel")
    if top is None or os.path.realpath(top) != os.path.realpath(root):
        raise Trouble("There is no last commit to compare with: this is not a git repository.")
    commit = git(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        raise Trouble("There is no last commit to compare with.")
    if git(root, "status", "--porcelain", "--", *_MEASURED):
        return commit, "the last commit (%s)" % commit[:7]
    before = git(root, "rev-parse", "--verify", "HEAD~1")
    if before is None:
        raise Trouble("Nothing has changed since the last commit, and there is none before it.")
    return before, "the commit before the last one (%s)" % before[:7]


def figures(args):
    """args: those of sizes.py."""
    commit, words = choose()
    name = commit[:12] + "-" + hashlib.sha256(" ".join(args).encode()).hexdigest()[:8]
    path = os.path.join(KEPT, name + ".json")
    if not os.path.exists(path):
        with bootstrap.lock("sizes"), step("Measuring " + words):
            said = measure(commit, args)
            os.makedirs(KEPT, exist_ok=True)
            stamp(path + ".new", said)
            os.replace(path + ".new", path)
    with open(path) as f:
        return words, json.load(f)


def measure(commit, args):
    """What `sizes.py --json` of a commit prints."""
    shutil.rmtree(PLACE, ignore_errors=True)
    build = os.path.join(PLACE, "build")
    os.makedirs(build)
    try:
        archive = subprocess.Popen(["git", "-C", ROOT, "archive", commit], stdout=subprocess.PIPE)
        with tarfile.open(fileobj=archive.stdout, mode="r|") as tar:
            bootstrap.extract(tar, PLACE)
        archive.wait()
        for name in _LENT:
            if os.path.exists(os.path.join(BUILD, name)):
                os.symlink(os.path.join(BUILD, name), os.path.join(build, name))
        r = subprocess.run(
            [sys.executable, os.path.join(PLACE, "tools", "sizes.py"), "--json", *args],
            capture_output=True,
            text=True,
        )
        if r.returncode:
            raise Trouble("It cannot be measured:\n" + (r.stderr or r.stdout).strip())
        return r.stdout
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)
