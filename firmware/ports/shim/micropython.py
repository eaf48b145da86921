# SPDX-License-Identifier: MIT
"""Stands in for MicroPython's module of this name on CPython: const, and nothing that pretends.

There is no viper here, so that the primitives fall back to their plain form.
"""


def const(value):
    return value
