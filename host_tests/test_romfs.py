# SPDX-License-Identifier: MIT
"""tools/romfs.py: octets worked out from the description of the format in MicroPython's vfs_rom.c,
and a file system that MicroPython reads."""

import subprocess

import pytest
import romfs

VECTORS = {
    "nothing": ({}, "D2CD3100"),
    "a file, padded to an even number": ({"a": b"x"}, "D2CD318007" + "05050161020178"),
    "a file in a folder": ({"d/a": b"xy"}, "D2CD310C" + "040A0164" + "0506016102027879"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_octets(name):
    files, wanted = VECTORS[name]
    made = romfs.image(files)
    assert made.hex().upper() == wanted and len(made) % 2 == 0


READS = """
import os, sys, vfs
with open(sys.argv[1], "rb") as f:
    vfs.mount(vfs.VfsRom(f.read()), "/rom")
def walk(path):
    for name in os.listdir(path):
        name = path + "/" + name
        if os.stat(name)[0] & 0x4000:
            walk(name)
        else:
            with open(name, "rb") as f:
                print(name, "".join("%02x" % c for c in f.read()))
walk("/rom")
"""


def test_micropython_reads_it(micropython, tmp_path):
    files = {"a.py": b"", "b/c/d.mpy": bytes(range(256)) * 70, "b/e": b"e", "f": b"x" * 127}
    path = tmp_path / "romfs"
    path.write_bytes(romfs.image(files))
    script = tmp_path / "reads.py"
    script.write_text(READS)
    done = subprocess.run([micropython, script, path], capture_output=True, text=True)
    found = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    assert found == {"/rom/" + name: octets.hex() for name, octets in files.items()}, done.stderr
