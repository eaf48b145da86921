# SPDX-License-Identifier: MIT
"""Mounts the flash, as the _boot.py of other ports does; the port qemu has none."""

import os

from chip import Flash

try:
    os.mount(os.VfsLfs2(Flash()), "/")
except OSError:
    os.VfsLfs2.mkfs(Flash())
    os.mount(os.VfsLfs2(Flash()), "/")
