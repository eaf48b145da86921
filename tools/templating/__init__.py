# SPDX-License-Identifier: MIT
"""Gurux' object lists, from and to definitions; tools/meter.py calls it.

command     the subcommands export and import of tools/meter.py
layouts     which element of a class has which attribute
texts       a value as the text of an element, and back
xml         the file as elements, carefully
export      objects of a definition to elements
definition  objects that were read to the text of a definition
sources     which registers the simulated household feeds then
"""
