# SPDX-License-Identifier: MIT
"""A meter on a CircuitPython board: code.py and boot.py of its drive, and what they start."""
