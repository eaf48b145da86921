# SPDX-License-Identifier: MIT
"""Starts the meter. CircuitPython runs this file, from the root of its drive, after boot.py."""

from firmware.circuitpython import start

start.run()
