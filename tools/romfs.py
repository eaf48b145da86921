# SPDX-License-Identifier: MIT
"""ROMFS: a file system that is read where it lies in flash (MicroPython 1.25, vfs.VfsRom).

A record is its kind, the length of its payload, and that; numbers have 7 bits an octet, highest
first, and bit 7 where another one follows. All of it is a record of an even number of octets,
whose kind reads "RM1". In it are directories (4) and files (5): length of the name, name, what is
in them; of a file that is a record of its content (2).

CPython >= 3.11, standard library only.
"""

_CONTENT, _DIRECTORY, _FILE = 2, 4, 5
_FILE_SYSTEM = 0x14A6B1


def image(files):
    """Octets of one with {path: octets}."""
    tree = {}
    for path, octets in files.items():
        *folders, name = path.split("/")
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = octets
    payload = _entries(tree)
    made = _record(_FILE_SYSTEM, payload)
    if len(made) % 2:
        # A number may begin with zeros.
        made = _number(_FILE_SYSTEM) + b"\x80" + _number(len(payload)) + payload
    return made


def _entries(tree):
    made = b""
    for name, what in sorted(tree.items()):
        is_folder = isinstance(what, dict)
        inside = _entries(what) if is_folder else _record(_CONTENT, what)
        name = name.encode("ascii")
        made += _record(_DIRECTORY if is_folder else _FILE, _number(len(name)) + name + inside)
    return made


def _record(kind, payload):
    return _number(kind) + _number(len(payload)) + payload


def _number(n):
    octets = [n & 0x7F]
    while n > 0x7F:
        n >>= 7
        octets.append(n & 0x7F | 0x80)
    return bytes(reversed(octets))
