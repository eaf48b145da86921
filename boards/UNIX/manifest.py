# SPDX-License-Identifier: MIT
# ruff: noqa: F821
# For a unix port of one's own with the meter in it; tools/meter.py loads .mpy files instead.
include("../manifest.py")
module("wiring.py", opt=2)
