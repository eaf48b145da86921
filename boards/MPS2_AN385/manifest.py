# SPDX-License-Identifier: MIT
# ruff: noqa: F821
include("../manifest.py")
module("_boot.py", opt=2)
module("wiring.py", opt=2)

# This board exists for tests only, and has those that run on it.
package("device", base_path="../../host_tests", opt=2)
