# SPDX-License-Identifier: MIT
# ruff: noqa: F821
# _boot.py, which mounts the flash, and rp2.py.
freeze("$(PORT_DIR)/modules")
include("../manifest.py")
module("wiring.py", opt=2)
# Starts the meter. It goes before a main.py on the file system.
module("main.py", base_path="..", opt=2)

# Nothing of micropython-lib: this image is built from the packages of a distribution, which leave
# it out.
