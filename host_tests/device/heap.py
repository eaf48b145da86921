# SPDX-License-Identifier: MIT
"""Where the heap goes that a board holds after the start of its meter; prints a JSON object.

    weigh(modules, steps)   modules: names in the order of their imports; steps: see below

A step is a function or method, "module.function" or "module.Class.method": what the heap holds
more after it than before. Steps that call each other are counted in each of them. tools/sizes.py
starts it and prints the figures.
"""

import gc
import json
import sys

from micropython import const

_DEPTH = const(20)


def _deep(n):
    return n and _deep(n - 1)


def used():
    """Octets of heap in use. The collector believes old pointers on the stack: overwrite them."""
    _deep(_DEPTH)
    gc.collect()
    return gc.mem_alloc()


def _weighed(name, function, figures):
    def wrapper(*args, **kwargs):
        before = used()
        result = function(*args, **kwargs)
        figures[name] = figures.get(name, 0) + used() - before
        return result

    return wrapper


def _owner(name):
    """Module or class that has the function of this name, and its name there."""
    parts = name.split(".")
    last = parts.pop()
    n = len(parts)
    while True:
        try:
            __import__(".".join(parts[:n]))
            break
        except ImportError:
            n -= 1
    owner = sys.modules[".".join(parts[:n])]
    for part in parts[n:]:
        owner = getattr(owner, part)
    return owner, last


def weigh(modules, steps, **options):
    imports = []
    __import__("_boot")
    for name in modules:
        before = used()
        __import__(name)
        imports.append((name, used() - before))
    figures = {}
    for name in steps:
        owner, last = _owner(name)
        setattr(owner, last, _weighed(name, getattr(owner, last), figures))
    before = used()
    from firmware import board_main

    board = board_main.start(**options)
    after = used()
    print(
        json.dumps(
            {
                "imports": imports,
                "start": after - before,
                "steps": figures,
                "held": after,
                "loaded": list(sys.modules),
            }
        )
    )
    return board
