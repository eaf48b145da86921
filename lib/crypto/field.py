# SPDX-License-Identifier: MIT
"""Arithmetic modulo a prime, as a machine with numbered registers that runs small programs.

A program is rows of four octets: what to do, and the registers of the result and of two operands
(the result may be an operand). What may be 0: multiply, 1: add, 2: subtract. Formulas of points
are written so, once for all forms, and a whole formula costs one call.

    m = modulus(octets, kind)          octets of the prime, highest first; kind 1: the prime of
                                       P-256, 2: of P-384, 0: any other
    w = numbers(n, m)                  n registers
    constants(w, at, m)                four registers: the factor that scales a number, 0, 1
                                       scaled, and the factor that unscales, which is 1
    run(program, pos, end, w, m)       numbers are below the modulus, before and after, but a
                                       factor of a product may be any of as many octets
    load(w, at, m, buf, pos)           octets to a register, highest first
    store(w, at, m, buf, pos)          a register to octets
    pick(w, at, m, table, first, n, count, index)
                                       `count` registers become those of row `index` of the n rows
                                       of a table, from its number `first` on: octets, the lowest
                                       first, or None for registers of w. All rows are read
    is_zero(w, at, m)
    clear(w)

A product of two scaled numbers is scaled. Two forms: viper (scaled by 2**bits, and nothing depends
on the numbers' values), and Python's integers.
"""

try:
    from crypto._field_viper import (
        clear, constants, is_zero, load, modulus, numbers, pick, run, store,
    )  # fmt: skip
except (ImportError, AttributeError, SyntaxError, ValueError, NameError):
    # No viper in this runtime, or native code of another architecture.
    from crypto._field_ints import (
        clear, constants, is_zero, load, modulus, numbers, pick, run, store,
    )  # fmt: skip

__all__ = (
    "clear", "constants", "is_zero", "load", "modulus", "numbers", "pick", "run", "store",
)  # fmt: skip
