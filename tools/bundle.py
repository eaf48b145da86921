#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts together what a CircuitPython board needs: a bundle for circup, or a drive.

    python3 tools/bundle.py [--tag TAG] [--mpy-cross PROGRAM]
    python3 tools/bundle.py --drive FOLDER --board BOARD [--definition FILE] [--mpy-cross PROGRAM]

Without --drive: build/bundle/picometer-py-TAG.zip, in the form of the bundles that circup takes
(circup bundle-add, or unpack it and `circup install ./.../lib/dlms`). With it: everything a meter
is goes to the drive CIRCUITPY, and only what has changed is written; settings.toml is left alone
if there is one, and so is all that is not ours.

Modules go as sources without comments, with their lines where they were. CircuitPython's mpy-cross
makes them smaller and quicker to load; it is not on PyPI, and MicroPython's does not do: name it
with --mpy-cross, in the version of the board's CircuitPython.

CPython >= 3.11, standard library only.
"""

import argparse
import ast
import io
import os
import shutil
import subprocess
import sys
import tempfile
import tokenize
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compile as compiling
import images
from bootstrap import BUILD, ROOT, Trouble, as_command, say

NAME = "picometer"
BUNDLES = os.path.join(BUILD, "bundle")
CIRCUITPYTHON = os.path.join(ROOT, "firmware", "circuitpython")

# Packages, and what each needs of the others.
PACKAGES = {
    "crypto": (),
    "dlms": ("crypto",),
    "cosem": ("crypto", "dlms"),
    "profiles": ("dlms",),
    "firmware": ("cosem", "crypto", "dlms", "profiles"),
}
# Sources that CircuitPython has no use for.
LEFT_OUT = (
    "crypto/_field_viper.py",
    "crypto/_gcm_host.py",
    "crypto/_gcm_viper.py",
    "crypto/_sha2_viper.py",
    "dlms/_prim_viper.py",
    "dlms/_prim_host.py",
    "firmware/board_main.py",
    "firmware/drivers/ssd1306.py",
    "firmware/circuitpython/boot.py",
    "firmware/circuitpython/code.py",
    "firmware/ports/board.py",
    "firmware/ports/ciphers/cpython.py",
    "firmware/ports/ciphers/micropython.py",
    "firmware/ports/cpython.py",
    "firmware/ports/micropython.py",
    "firmware/ports/pins.py",
    "firmware/ports/shim/",
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


# --- Sources --------------------------------------------------------------------------------


def stripped(text):
    """A source without comments and docstrings; every statement stays in its line."""
    lines = text.split("\n")
    spans = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            spans.append((token.start, token.end, ""))
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            continue
        if ast.get_docstring(node, False) is not None:
            n = node.body[0]
            # Where there is nothing else the body still needs something.
            spans.append(((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset), "0"))
    for (row, col), (end_row, end_col), instead in sorted(spans, reverse=True):
        # Offsets of ast count octets of UTF-8.
        first = lines[row - 1].encode()[:col].decode() if instead else lines[row - 1][:col]
        last = lines[end_row - 1]
        rest = last.encode()[end_col:].decode() if instead else last[end_col:]
        lines[row - 1 : end_row] = [(first + instead + rest).rstrip()] + [""] * (end_row - row)
    return "\n".join(lines).rstrip("\n") + "\n"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def modules():
    """{name on the device: source text} of the packages."""
    found = {}
    for base, packages in ((os.path.join(ROOT, "lib"), ("crypto", "dlms", "cosem", "profiles")),
                           (ROOT, ("firmware",))):  # fmt: skip
        for package in packages:
            for folder, _folders, files in os.walk(os.path.join(base, package)):
                for file in files:
                    path = os.path.join(folder, file)
                    name = os.path.relpath(path, base).replace(os.sep, "/")
                    ours = file.endswith(".py") and file != "manifest.py"
                    if ours and not name.startswith(LEFT_OUT):
                        found[name] = stripped(read(path))
    return dict(sorted(found.items()))


# --- mpy-cross ------------------------------------------------------------------------------


def compiled(compiler, sources):
    """The same with .mpy instead of sources, as {name: octets}."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="picometer-") as folder:
        for name, text in sources.items():
            path = os.path.join(folder, "in.py")
            out = os.path.join(folder, "out.mpy")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            try:
                r = subprocess.run(
                    [compiler, "-s", name, "-o", out, path], capture_output=True, text=True
                )
            except OSError as e:
                raise Trouble("%s cannot be run (%s)." % (compiler, e.strerror)) from e
            if r.returncode:
                raise Trouble("%s does not compile:\n%s" % (name, r.stderr.strip()))
            with open(out, "rb") as f:
                octets = f.read()
            if octets[:1] != b"C":
                raise Trouble(
                    "%s makes .mpy files of MicroPython; CircuitPython cannot load them. Its own "
                    "mpy-cross is needed, or none." % compiler
                )
            found[name[:-3] + ".mpy"] = octets
    return found


def platform(compiler):
    """What circup calls the files of a compiler, such as 10.x-mpy."""
    r = subprocess.run([compiler, "--version"], capture_output=True, text=True)
    for word in r.stdout.replace(";", " ").split():
        major = word.split(".")[0]
        if major.isdigit() and word.count(".") >= 2:
            return major + ".x-mpy"
    raise Trouble("%s does not say its version." % compiler)


# --- Bundle ---------------------------------------------------------------------------------


def date():
    """The day of the last commit, as circup's bundles are numbered."""
    r = subprocess.run(
        ["git", "log", "-1", "--format=%cs"], cwd=ROOT, capture_output=True, text=True
    )
    return r.stdout.strip().replace("-", "") or "0"


def bundle(kind, files, tag, where=BUNDLES):
    """A zip in circup's form; its path. files: {name: text or octets}."""
    os.makedirs(where, exist_ok=True)
    top = "%s-%s-%s" % (NAME, kind, tag)
    path = os.path.join(where, top + ".zip")
    wanted = {"lib/" + name: content for name, content in files.items()}
    for package, needs in PACKAGES.items():
        text = "".join(n + "\n" for n in needs)
        wanted["requirements/%s/requirements.txt" % package] = text
    for file in ("boot.py", "code.py", "settings.toml"):
        wanted["examples/%s/%s" % (NAME, file)] = read(os.path.join(CIRCUITPYTHON, file))
    wanted["LICENSE"] = read(os.path.join(ROOT, "LICENSE"))
    with zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in sorted(wanted.items()):
            # The same input makes the same zip.
            info = zipfile.ZipInfo("%s/%s" % (top, name), _EPOCH)
            z.writestr(info, content, zipfile.ZIP_DEFLATED)
    os.replace(path + ".new", path)
    return path


# --- Drive ----------------------------------------------------------------------------------


def drive_files(board, definition, compiler=None):
    """{name: octets} of all that goes to a drive, settings.toml too."""
    if "UARTS" not in images.wiring(board) or images.wiring(board)["PORT"] != "circuitpython":
        raise Trouble("%s is no CircuitPython board: see its wiring.py." % board)
    folder = compiling.definition(definition)
    sources = modules()
    sources["definition.py"] = stripped(read(os.path.join(folder, "definition.py")))
    library = compiled(compiler, sources) if compiler else sources
    files = {"lib/" + name: content for name, content in library.items()}
    for name in ("boot.py", "code.py"):
        files[name] = stripped(read(os.path.join(CIRCUITPYTHON, name)))
    files["wiring.py"] = read(os.path.join(images.BOARDS, board, "wiring.py"))
    files["settings.toml"] = read(os.path.join(CIRCUITPYTHON, "settings.toml"))
    return {n: c if isinstance(c, bytes) else c.encode() for n, c in files.items()}


def old_files(drive, wanted):
    """Files of ours on a drive that are of no use any more."""
    found = []
    for package in PACKAGES:
        for folder, _folders, files in os.walk(os.path.join(drive, "lib", package)):
            for file in files:
                name = os.path.relpath(os.path.join(folder, file), drive).replace(os.sep, "/")
                if name not in wanted and file.endswith((".py", ".mpy")):
                    found.append(name)
    for name in ("lib/definition.py", "lib/definition.mpy"):
        if name not in wanted and os.path.exists(os.path.join(drive, name)):
            found.append(name)
    return found


def fill_drive(drive, files, progress=say):
    """Bring a drive up to date; the number of files that were written."""
    if not os.path.isdir(drive):
        raise Trouble("There is no folder %s. Is the board's drive mounted?" % drive)
    changed = {}
    for name, content in files.items():
        path = os.path.join(drive, name)
        if name == "settings.toml" and os.path.exists(path):
            continue
        try:
            with open(path, "rb") as f:
                if f.read() == content:
                    continue
        except OSError:
            pass
        changed[name] = content
    old = old_files(drive, files)
    try:
        for name in old:
            os.remove(os.path.join(drive, name))
        # FAT gives whole clusters.
        need = sum(len(c) // 4096 * 4096 + 4096 for n, c in changed.items()
                   if not os.path.exists(os.path.join(drive, n)))  # fmt: skip
        free = shutil.disk_usage(drive).free
        if need > free:
            raise Trouble(
                "The drive %s is too full: %d KiB are needed, %d KiB are free. With "
                "CircuitPython's own mpy-cross (--mpy-cross) it is less."
                % (drive, need >> 10, free >> 10)
            )
        # What starts the meter comes last: a board restarts with every file that it gets.
        late = ("boot.py", "code.py")
        for i, name in enumerate(sorted(changed, key=lambda n: (n in late, n))):
            progress("%d of %d: %s" % (i + 1, len(changed), name))
            path = os.path.join(drive, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(changed[name])
                f.flush()
                os.fsync(f.fileno())
    except OSError as e:
        raise Trouble(
            "The drive %s cannot be written (%s). While the meter has it, the PC can only read it:"
            " hold the board's button while it resets (see its page)." % (drive, e.strerror)
        ) from e
    for name, content in changed.items():
        with open(os.path.join(drive, name), "rb") as f:
            if f.read() != content:
                raise Trouble("The drive %s has kept something else of %s." % (drive, name))
    return len(changed) + len(old)


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tag", help="of the bundle; the day of the last commit")
    parser.add_argument("--drive", metavar="FOLDER", help="where CIRCUITPY is mounted")
    parser.add_argument("--board", default="ADAFRUIT_FEATHER_RP2040", help="folder in boards/")
    parser.add_argument("--definition", metavar="FILE", default=images.DEFINITION)
    parser.add_argument("--mpy-cross", metavar="PROGRAM", help="that of CircuitPython")
    options = parser.parse_args(args)
    try:
        if options.drive:
            files = drive_files(options.board, options.definition, options.mpy_cross)
            n = fill_drive(options.drive, files)
            print("%d files changed. Reset the board." % n if n else "Nothing has changed.")
            return 0
        tag = options.tag or date()
        sources = modules()
        print(bundle("py", sources, tag))
        if options.mpy_cross:
            files = compiled(options.mpy_cross, sources)
            print(bundle(platform(options.mpy_cross), files, tag))
    except Trouble as e:
        say(str(e))
        return 1
    return 0


if __name__ == "__main__":
    as_command(main)
