# SPDX-License-Identifier: MIT
"""Mounts a file system in a part of the flash: for updates, and for scripts."""

import os

from chip import Flash

_PLACE = 128, 128  # blocks: the first one, how many

try:
    os.mount(os.VfsLfs2(Flash(*_PLACE)), "/")
except OSError:
    os.VfsLfs2.mkfs(Flash(*_PLACE))
    os.mount(os.VfsLfs2(Flash(*_PLACE)), "/")
