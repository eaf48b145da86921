#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs a meter definition (TOML) and the class files it uses into a module of constants.

    python3 tools/tables.py DEFINITION.toml -o build/definition/definition.py [--check]
    python3 tools/tables.py --list DEFINITION.toml      objects, one a line
    python3 tools/tables.py --json DEFINITION.toml      the same for programs

The work is done in the package beside this file. CPython >= 3.11 only.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from tables.command import main  # noqa: E402  (the package, found before this file)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
