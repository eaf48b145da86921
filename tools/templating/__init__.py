# SPDX-License-Identifier: MIT
"""Gurux' object lists, from and to definitions; tools/templates.py is what others call.

layouts     which element of a class has which attribute
texts       a value as the text of an element, and back
xml         the file as elements, carefully
export      objects of a definition to elements
definition  objects that were read to the text of a definition
"""
