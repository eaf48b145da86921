# SPDX-License-Identifier: MIT
"""Chips that a board may have, one a module; meter/fittings.py loads what a definition names."""
