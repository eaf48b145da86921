# SPDX-License-Identifier: MIT
# ruff: noqa: F821
# What every board freezes: the stack, the firmware, and the definition of the meter.

import os


def stack(base, name):
    for folder, _folders, files in sorted(os.walk(os.path.join(base, name))):
        for file in sorted(files):
            path = os.path.join(folder, file)
            # A PC's port, and what stands for MicroPython's own modules there.
            if file.endswith(".py") and file != "cpython.py" and "shim" not in folder:
                module(os.path.relpath(path, base), base_path=base, opt=2)


stack("../lib", "dlms")
stack("../lib", "cosem")
stack("../lib", "profiles")
stack("..", "firmware")
module("definition.py", base_path="$(DEFINITION)", opt=2)
