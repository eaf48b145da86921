# SPDX-License-Identifier: MIT
"""Files of records, which only their owner can read, and the folder that has them."""

import contextlib
import glob
import os
import stat
import tomllib

from bootstrap import ROOT, Trouble

from .record import FORMAT, from_table

FOLDER = os.path.join(ROOT, "provisioning")
# Names of what is written: on a board, and in a meter's folder on a PC, where a dot keeps it apart
# from stored values.
ON_BOARD = "provisioning.bin"
IN_STATE = ".provisioning"


def save(record, folder):
    """Keep a new record; Trouble if there is one of this meter already. Returns the path."""
    path = os.path.join(folder, record.name + ".toml")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.lexists(path):
            raise Trouble("There is a record of this meter already: %s. It stays." % path)
        write_private(path, record.toml().encode())
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None
    return path


def replace(record, path):
    """Write a record that has become another one over its file."""
    try:
        write_private(path, record.toml().encode())
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None


def write_private(path, data):
    """A file that only its owner can read, there whole or not at all."""
    fresh = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.remove(fresh)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(fresh, path)


def find(name, folder):
    """Path of a record: a path, or the logical device name or serial number in a folder."""
    for path in (name, os.path.join(folder, name), os.path.join(folder, name + ".toml")):
        if os.path.isfile(path):
            return path
    matches = []
    for path in paths(folder):
        with contextlib.suppress(Trouble):
            if load(path).serial_number == name:
                matches.append(path)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Trouble("More than one record has the serial number %s: %s." % (name, matches))
    raise Trouble("There is no record %s, neither as a file nor in %s." % (name, folder))


def paths(folder):
    return sorted(glob.glob(os.path.join(glob.escape(folder), "*.toml")))


def load(path):
    """The record in a file; Trouble if it is damaged, without showing what is in it."""
    try:
        with open(path, "rb") as f:
            text = f.read().decode()
        t = tomllib.loads(text)
    except OSError as e:
        raise Trouble("Cannot read the record %s (%s)." % (path, e.strerror)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise Trouble("The record %s is damaged: it is no TOML any more." % path) from None
    if t.get("format") not in (1, FORMAT):
        raise Trouble("%s is no provisioning record of format %d." % (path, FORMAT))
    record = from_table(t)
    if record is None:
        raise Trouble("The record %s is damaged: it is not what was written." % path)
    return record


def shared(path):
    """True if others may read a file."""
    return bool(os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO))
