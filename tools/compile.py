# SPDX-License-Identifier: MIT
"""From sources to what a runtime loads: definitions to modules, modules to .mpy.

definition(toml)        build/definitions/<name>-<what it was made from>/definition.py
device_code(...)        build/mpy/<arch>/...: lib/ and firmware/ as .mpy, only what has changed
definition_mpy(...)     the definition as .mpy, beside its source

Everything is made under a lock and put in place whole, so that several meters may start at once.
"""

import concurrent.futures
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

import bootstrap
import tables
import tables.certificates
from bootstrap import BUILD, ROOT, Trouble

DEFINITIONS = os.path.join(BUILD, "definitions")
_DAY_S = 86400

# Sources that no MicroPython board or PC needs; tools/bundle.py puts together CircuitPython's.
_NOT_FOR_DEVICES = (
    "firmware/ports/ciphers/circuitpython.py",
    "firmware/ports/ciphers/cpython.py",
    "firmware/ports/cpython.py",
    "firmware/ports/shim/",
    "firmware/ports/circuitpython.py",
    "firmware/circuitpython/",
)


def _digest(paths):
    h = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as f:
            h.update(os.path.basename(path).encode() + b"\0" + f.read() + b"\0")
    return h.hexdigest()


def definition(toml):
    """Folder with the module `definition` that tools/tables.py makes of a TOML file."""
    if not os.path.isfile(toml):
        raise Trouble("There is no definition file %s." % toml)
    try:
        parts = tables.source.read(toml).files
    except tables.TableError:
        parts = [toml]  # it is said below
    sources = list(parts)
    for pattern in ("lib/cosem/classes/*.toml", "tools/tables.py", "tools/tables/*.py"):
        sources += sorted(glob.glob(os.path.join(ROOT, pattern)))
    # Its certificates lie beside it, or beside ours, or in a folder there.
    folders = {os.path.dirname(os.path.abspath(part)): None for part in parts}
    for folder in (*folders, tables.certificates.FOLDER):
        for pattern in ("*.pem", os.path.join("*", "*.pem")):
            sources += sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
    stem = os.path.splitext(os.path.basename(toml))[0]
    folder = os.path.join(DEFINITIONS, "%s-%s" % (stem, _digest(sources)[:12]))
    with bootstrap.lock("definitions"):
        if not os.path.exists(os.path.join(folder, "definition.py")):
            _drop_old(stem)
            fresh = folder + ".new"
            shutil.rmtree(fresh, ignore_errors=True)
            os.makedirs(fresh)
            r = subprocess.run(
                [sys.executable, os.path.join(ROOT, "tools", "tables.py"), toml,
                 "-o", os.path.join(fresh, "definition.py")],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True,
            )  # fmt: skip
            if r.returncode:
                shutil.rmtree(fresh, ignore_errors=True)
                raise Trouble(r.stdout.strip() or "tools/tables.py failed without a word.")
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(fresh, folder)
    return folder


def _drop_old(stem):
    """Forget what was made of earlier forms of a file; a meter that starts now needs its own."""
    for folder in glob.glob(os.path.join(DEFINITIONS, glob.escape(stem) + "-*")):
        if time.time() - os.path.getmtime(folder) > _DAY_S:
            shutil.rmtree(folder, ignore_errors=True)


def all_sources():
    """Paths, from the root, of the modules of lib/ and firmware/: [(source, name in an image)]."""
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "lib/**/*.py"), recursive=True)):
        if os.path.basename(path) != "manifest.py":
            found.append((os.path.relpath(path, ROOT), os.path.relpath(path, ROOT + "/lib")))
    for path in sorted(glob.glob(os.path.join(ROOT, "firmware/**/*.py"), recursive=True)):
        name = os.path.relpath(path, ROOT)
        found.append((name, name))
    return found


def device_sources():
    """Of these, what goes to a device."""
    return [pair for pair in all_sources() if not pair[0].startswith(_NOT_FOR_DEVICES)]


def cross(compiler, arch, source, name, out):
    """Compile one module: no asserts, line numbers kept. False: it has code for no known arch."""
    args = [compiler, "-O2", "-s", name, "-o", out + ".new"]
    if arch:
        args.append("-march=" + arch)
    r = subprocess.run(args + [source], capture_output=True, text=True)
    if r.returncode:
        if not arch and "arch" in r.stderr:
            return False
        raise Trouble("%s does not compile for MicroPython:\n%s" % (name, r.stderr.strip()))
    os.replace(out + ".new", out)
    return True


def device_code(compiler, arch):
    """Compile lib/ and firmware/; returns the folder to put on MicroPython's path."""
    folder = os.path.join(BUILD, "mpy", arch or "any")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    with bootstrap.lock("mpy"):
        os.makedirs(folder, exist_ok=True)
        listing = os.path.join(folder, "made.json")
        try:
            with open(listing) as f:
                before = json.load(f)
        except (OSError, ValueError):
            before = {}
        now = {}
        jobs = []
        for source, name in device_sources():
            out = os.path.join(folder, name[:-3] + ".mpy")
            with open(os.path.join(ROOT, source), "rb") as f:
                now[name] = hashlib.sha256(version.encode() + f.read()).hexdigest()
            if before.get(name) != now[name] or not os.path.exists(out):
                os.makedirs(os.path.dirname(out), exist_ok=True)
                jobs.append((compiler, arch, os.path.join(ROOT, source), source, out))
        for name in set(before) - set(now):
            with_suffix = os.path.join(folder, name[:-3] + ".mpy")
            if os.path.exists(with_suffix):
                os.remove(with_suffix)
        if jobs:
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                list(pool.map(lambda job: cross(*job), jobs))
            with open(listing + ".new", "w") as f:
                json.dump(now, f)
            os.replace(listing + ".new", listing)
    return folder


def definition_mpy(compiler, folder):
    """Compile the definition in a folder of definition(); the folder to put on the path."""
    out = os.path.join(folder, "mpy", "definition.mpy")
    with bootstrap.lock("mpy"):
        if not os.path.exists(out):
            os.makedirs(os.path.dirname(out), exist_ok=True)
            cross(compiler, None, os.path.join(folder, "definition.py"), "definition.py", out)
    return os.path.dirname(out)
