# SPDX-License-Identifier: MIT
"""Provisioning records for tests, with certificates of an authority that is gone when they end."""

import atexit
import os
import shutil
import tempfile

import authority
import records

_folder = []


def folder():
    """Of the authority, made with the first record that needs it."""
    if not _folder:
        _folder.append(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, _folder[0], True)
    return _folder[0]


def issuer():
    return authority.Authority(os.path.join(folder(), "authority"))


def new(flag_id, serial_number, module, release=False, note=""):
    """records.new() with this authority."""
    return records.new(flag_id, serial_number, module, release, note, issuer)
