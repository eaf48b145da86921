# SPDX-License-Identifier: MIT
# ruff: noqa: F821
include("../manifest.py")
module("wiring.py", opt=2)
