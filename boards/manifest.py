# SPDX-License-Identifier: MIT
# ruff: noqa: F821
# What every board freezes: the stack, the firmware, and the definition of the meter.

import os


def stack(base, name):
    for folder, _folders, files in sorted(os.walk(os.path.join(base, name))):
        for file in sorted(files):
            path = os.path.join(folder, file)
            # Other runtimes' ports, and what stands for MicroPython's own modules on a PC.
            other = file in ("cpython.py", "circuitpython.py", "manifest.py")
            other = other or os.path.basename(folder) in ("shim", "circuitpython")
            if file.endswith(".py") and not other:
                module(os.path.relpath(path, base), base_path=base, opt=2)


stack("../lib", "dlms")
stack("../lib", "cosem")
stack("../lib", "profiles")
stack("..", "firmware")
module("definition.py", base_path="$(DEFINITION)", opt=2)
module("names.py", base_path="$(DEFINITION)", opt=2)
# Last: an import looks through all of them, and few ask for these.
stack("../lib", "crypto")
