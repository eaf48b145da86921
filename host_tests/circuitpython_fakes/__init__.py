# SPDX-License-Identifier: MIT
"""A CircuitPython board that is not there: its modules as their stubs describe them, no more."""
