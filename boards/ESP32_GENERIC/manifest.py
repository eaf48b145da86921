# SPDX-License-Identifier: MIT
# ruff: noqa: F821
# _boot.py, which mounts the flash, and the like.
freeze("$(PORT_DIR)/modules")
include("../manifest.py")
module("wiring.py", opt=2)

# Of micropython-lib: the clock of a board with a network.
require("ntptime")
