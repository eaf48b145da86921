# SPDX-License-Identifier: MIT
# ruff: noqa: F821
# CircuitPython has no manifests: tools/bundle.py puts the meter on its drive. This one is for a
# build of CircuitPython of one's own that freezes the stack, and for its checks here.
include("../manifest.py")
module("wiring.py", opt=2)
