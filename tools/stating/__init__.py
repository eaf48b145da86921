# SPDX-License-Identifier: MIT
"""What tools/statement.py says, found where it is so.

probe       asks a server of the stack what it serves
code        constants of lib/: which code looks at which conformance bit
pages       what the pages of the profiles and the README say is left out
classes     interface classes as tables
meters      definitions: associations, objects, rights, settings of profiles
"""
