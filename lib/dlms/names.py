# SPDX-License-Identifier: MIT
"""From a short name to the attribute or method that it names, in the fastest form of the runtime.

    resolve(names, first, n, members, buf, pos, own)
        row << 8 | attribute index, or row << 8 | 0x80 | method index, of the object that the name
        buf[pos:pos+2] belongs to, among the rows first..first+n-1 of names; -1: nothing has it.

names and members are NAMES and MEMBERS of the definition (tools/tables/show.py). Names FA00 to
FAFF are those of the current Association SN object: own, its base_name, stands for FA00. Nothing
is allocated.
"""

try:
    from dlms._names_viper import resolve
except (ImportError, AttributeError, SyntaxError, ValueError, NameError):
    # No viper in this runtime, or native code of another architecture.
    from dlms._names_loop import resolve

__all__ = ("resolve",)
