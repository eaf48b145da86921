# SPDX-License-Identifier: MIT
"""Frozen as main.py: the meter starts when the board does. Ctrl-C ends it and leaves the REPL."""

from firmware import launch

launch.board()
