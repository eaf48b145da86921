#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images of firmware: MicroPython with lib/, firmware/ and a definition of a meter frozen in.

    python3 tools/images.py --board RPI_PICO [--definition FILE] [--heap OCTETS]

Everything comes from packages of the distribution: compilers, which apt installs where the user
may do that, and the sources of MicroPython and what it needs, which go to build/source. What a
port of MicroPython wants besides stands in ports/<port>.py; the board says which port it has
(PORT in its wiring.py). The image is in build/firmware/<board>/, its path the last line on stdout;
nothing is built twice of the same input.

CPython >= 3.11, standard library only.
"""

import argparse
import ast
import glob
import hashlib
import importlib
import os
import re
import shutil
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import compile as compiling
import apt_packages
from bootstrap import BUILD, ROOT, Trouble, command, as_command, say, stamp, stamped, step

BOARDS = os.path.join(ROOT, "boards")
SOURCE = os.path.join(BUILD, "source")
IMAGES = os.path.join(BUILD, "firmware")
DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")

# Compilers for what runs on this machine: mpy-cross.
HOST_PACKAGES = {"gcc": "gcc libc6-dev", "make": "make"}
JOBS = "-j2"


# --- Boards ---------------------------------------------------------------------------------


def boards():
    return sorted(os.path.basename(os.path.dirname(p)) for p in glob.glob(BOARDS + "/*/wiring.py"))


def wiring(board):
    """The constants of a board, by name."""
    path = os.path.join(BOARDS, board, "wiring.py")
    try:
        with open(path) as f:
            tree = ast.parse(f.read())
    except OSError:
        raise Trouble(
            "There is no board %s. There are: %s." % (board, ", ".join(boards()))
        ) from None
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def port_of(board):
    """The module of tools/ports that builds for a board."""
    name = wiring(board)["PORT"]
    if name == "circuitpython":
        raise Trouble("%s runs CircuitPython: tools/bundle.py makes what its drive takes." % board)
    if name == "unix":
        raise Trouble("%s is this PC: make run starts the meter." % board)
    if os.path.exists(os.path.join(ROOT, "tools", "ports", "%s.py" % name)):
        port = importlib.import_module("ports." + name)
        why = port.refused(board)
    else:
        port = None
        why = "no package has the vendor's libraries for MicroPython's port %s" % name
    if why:
        raise Trouble(
            "The firmware of %s cannot be built of packages: %s. Flash the one that"
            " micropython.org offers for it; make deploy BOARD=%s PORT=... puts the meter on it."
            % (board, why, board)
        )
    return port


# --- Sources --------------------------------------------------------------------------------


def source(name):
    """Folder with the source of a package of the distribution, in the release that bootstrap.py
    takes MicroPython from. A package called <name>-source is one that installs sources."""
    mark = os.path.join(SOURCE, "." + name)
    if os.path.exists(mark):
        with open(mark) as f:
            folder = f.read()
        if os.path.isdir(folder):
            return folder
    if name.endswith("-source"):
        folder = os.path.join(SOURCE, name)
        with step("Getting %s (the distribution's package)" % name):
            bootstrap.unpack([name], folder, alone=True)
            folder = os.path.join(folder, "root", "usr", "src", name.removesuffix("-source"))
            if not os.path.isdir(folder):
                raise Trouble("The package %s has not the files that were expected." % name)
            stamp(mark, folder)
        return folder
    last = None
    label, addresses = bootstrap.archives()
    with step("Getting the source of %s (the distribution's package)" % name):
        for suite in bootstrap.SUITES[label]:
            for address in addresses:
                try:
                    folder = source_from(name, label, address, suite)
                    stamp(mark, folder)
                    return folder
                except Trouble as e:
                    last = last or e
    raise last


def source_from(name, label, address, suite):
    apt = os.path.join(SOURCE, "apt")
    shutil.rmtree(apt, ignore_errors=True)
    for folder in ("lists/partial", "cache/archives/partial", "got"):
        os.makedirs(os.path.join(apt, folder))
    stamp(os.path.join(apt, "status"), "")
    rings = glob.glob("/usr/share/keyrings/%s-archive-keyring.*" % label.lower())
    signed = "[signed-by=%s] " % sorted(rings)[0] if rings else ""
    stamp(
        os.path.join(apt, "sources.list"),
        "deb-src %s%s %s %s\n" % (signed, address, suite, bootstrap.COMPONENTS[label]),
    )
    options = [
        "-oDir::Etc::sourcelist=" + os.path.join(apt, "sources.list"),
        "-oDir::Etc::sourceparts=-",
        "-oDir::State::Lists=" + os.path.join(apt, "lists"),
        "-oDir::State::status=" + os.path.join(apt, "status"),
        "-oDir::Cache=" + os.path.join(apt, "cache"),
        "-oAPT::Sandbox::User=" + str(bootstrap.user_name()),
        "-oAcquire::Languages=none",
        "-oAcquire::Retries=2",
    ]
    why = "The source of %s %s's %s could not be fetched" % (label, suite, name)
    command(["apt-get", *options, "update", "-qq"], why)
    got = os.path.join(apt, "got")
    # Its patches are for the distribution's own build; the upstream archive is what we want.
    command(
        ["apt-get", *options, "source", "--download-only", "--tar-only", "-qq", name], why, cwd=got
    )
    archives = glob.glob(os.path.join(got, "*.orig.tar.*"))
    archives = [a for a in archives if not a.endswith(".asc")]
    if len(archives) != 1:
        raise Trouble(why)
    with tarfile.open(archives[0]) as archive:
        top = {m.name.split("/")[0] for m in archive.getmembers()}
        if len(top) != 1:
            raise Trouble(why)
        folder = os.path.join(SOURCE, top.pop())
        shutil.rmtree(folder, ignore_errors=True)
        bootstrap.extract(archive, SOURCE)
    shutil.rmtree(apt)
    return folder


def micropython():
    """Folder with the source of MicroPython, its mpy-cross built."""
    folder = source("micropython")
    # The distribution leaves this library out; the makefiles only want to see that it is there.
    readme = os.path.join(folder, "lib", "micropython-lib", "README.md")
    os.makedirs(os.path.dirname(readme), exist_ok=True)
    open(readme, "a").close()
    compiler = os.path.join(folder, "mpy-cross")
    if not os.path.exists(os.path.join(compiler, "build", "mpy-cross")):
        with step("Building mpy-cross"):
            make(["-C", compiler], "mpy-cross cannot be built")
    return folder


def make(args, why, program="make", **variables):
    # What is set for a make that this may be part of is not for the ones below.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "MICROPY"))}
    # Else MicroPython takes its version from the repository that build/ is in.
    env["GIT_CEILING_DIRECTORIES"] = SOURCE
    env.update(variables)
    return command([program, *([JOBS] if program == "make" else []), *args], why, env=env)


# --- Images ---------------------------------------------------------------------------------


class Order:
    """What a port is to build: board, its folder, micropython (source), definition (folder of the
    module and of names.py), heap, flash (octets; None: as the board has it), out (folder for the
    image), work (folder for objects).
    """


def names():
    """A module that imports all the others by their whole names, and is frozen but never run.

    What an import calls a module is an interned string. Those that stand in frozen code lie in
    flash; others, such as the whole name of y in `from x import y`, would be made on the heap.
    """
    modules = [name[:-3].replace("/", ".") for _path, name in compiling.device_sources()]
    lines = ["import %s as _\n" % m.replace(".__init__", "") for m in modules]
    return "# Made by tools/images.py, which says what it is for.\n" + "".join(lines)


def digest(order, port):
    """Of everything that goes into an image."""
    paths = [os.path.join(ROOT, p) for p, _name in compiling.device_sources()]
    for folder in (os.path.join(BOARDS, order.board), os.path.join(ROOT, "host_tests", "device")):
        for where, _folders, names in os.walk(folder):
            paths += [os.path.join(where, n) for n in names if not n.endswith((".md", ".pyc"))]
    paths += [port.__file__, __file__, *glob.glob(os.path.join(BOARDS, "*.py"))]
    paths.append(os.path.join(order.definition, "definition.py"))
    what = "%s %d %s" % (order.micropython, order.heap, order.flash)
    h = hashlib.sha256(what.encode())
    for path in sorted(paths):
        with open(path, "rb") as f:
            h.update(path.encode() + b"\0" + f.read() + b"\0")
    return h.hexdigest()


def image(board, definition=DEFINITION, heap=None, flash=None):
    """Path of the image of a board, built if need be. heap, flash: octets, else what the port has;
    boards that differ in their flash alone share a folder."""
    port = port_of(board)
    if flash and not hasattr(port, "FLASH_LEN"):
        raise Trouble("The flash of %s cannot be chosen." % board)
    if heap and not port.HEAP:
        raise Trouble("The heap of %s is what its image leaves: it cannot be chosen." % board)
    with bootstrap.lock("firmware"):
        apt_packages.install({**HOST_PACKAGES, **port.PACKAGES})
        order = Order()
        order.board = board
        order.folder = os.path.join(BOARDS, board)
        order.heap = heap or port.HEAP
        order.flash = flash
        order.micropython = micropython()
        made = compiling.definition(definition)
        name = board
        if definition != DEFINITION:
            name += "-" + re.sub(r"\W", "-", os.path.splitext(os.path.basename(definition))[0])
        if order.heap != port.HEAP:
            name += "-%d" % order.heap
        if flash:
            name += "-%dM" % (flash >> 20)
        order.out = os.path.join(IMAGES, name)
        order.work = os.path.join(order.out, "work")
        order.definition = os.path.join(order.out, "made")
        for folder in (order.work, order.definition):
            os.makedirs(folder, exist_ok=True)
        shutil.copyfile(
            os.path.join(made, "definition.py"), os.path.join(order.definition, "definition.py")
        )
        stamp(os.path.join(order.definition, "names.py"), names())
        mark = os.path.join(order.out, ".made")
        content = digest(order, port)
        path = os.path.join(order.out, port.IMAGE)
        if not stamped(mark, content) or not os.path.exists(path):
            with step("Building the firmware of %s" % name):
                port.build(order, path, source, make)
            stamp(mark, content)
    return path


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--board", required=True, help="one of: " + ", ".join(boards()))
    parser.add_argument("--definition", default=DEFINITION, help="TOML file of a meter")
    parser.add_argument("--heap", type=int, help="octets, where the port lets us choose")
    parser.add_argument("--flash", type=int, metavar="MIB", help="of a board with more")
    options = parser.parse_args(args)
    try:
        flash = options.flash << 20 if options.flash else None
        print(image(options.board, options.definition, options.heap, flash))
    except Trouble as e:
        say(str(e))
        return 1
    return 0


if __name__ == "__main__":
    as_command(main)
