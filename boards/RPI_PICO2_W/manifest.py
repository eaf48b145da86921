# SPDX-License-Identifier: MIT
# ruff: noqa: F821
# _boot.py, which mounts the flash, and rp2.py.
freeze("$(PORT_DIR)/modules")
include("../manifest.py")
module("wiring.py", opt=2)
# Starts the meter. It goes before a main.py on the file system.
module("main.py", base_path="..", opt=2)

# Of micropython-lib: the clock of a board with a network.
require("ntptime")
