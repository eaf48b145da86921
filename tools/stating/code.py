# SPDX-License-Identifier: MIT
"""Which modules look at which bit of the negotiated conformance: by their constants, and by the
table of services in lib/dlms/server.py; and which say what a meter says unasked. Nothing is run.
"""

import ast
import glob
import os
import re
import sys

from bootstrap import ROOT

LIB = os.path.join(ROOT, "lib")
_BITS = 24


def constants(path):
    """{name: value} of the private constants of a module, and the tables of plain values."""
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value = node.value
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "const":
            value = value.args[0]
        try:
            found[node.targets[0].id] = ast.literal_eval(value)
        except ValueError:
            continue
    return found


def module(name):
    """Constants of a module of lib/, by its name with dots."""
    return constants(os.path.join(LIB, *name.split(".")) + ".py")


def conformance(names):
    """{bit: [modules that look at it]}; names: {bit: its name in the Book}."""
    found = {bit: set() for bit in names}
    for folder in ("lib", "firmware"):
        for path in sorted(glob.glob(os.path.join(ROOT, folder, "**", "*.py"), recursive=True)):
            for bit in looked_at(path, names):
                found[bit].add(os.path.relpath(path, ROOT))
    for _tag, mask, part in module("dlms.server")["_SERVICES"]:
        found[_BITS - mask.bit_length()].add("lib/%s.py" % part.replace(".", "/"))
    return {bit: sorted(modules) for bit, modules in found.items()}


def looked_at(path, names):
    """Bits that have a constant in a module that knows of a negotiated conformance."""
    with open(path, encoding="utf-8") as f:
        if "conformance &" not in f.read():
            return
    for name, value in constants(path).items():
        for bit, word in names.items():
            word = word.replace("-supported", "").replace("-", "_").upper()
            if value == 1 << _BITS - 1 - bit and ("_CONFORMANCE_" in name or word in name):
                yield bit


def said(names):
    """{tag: [modules that say such an APDU]}; names: {tag: its name in the Book}. They have a
    private constant of that name and value."""
    found = {tag: [] for tag in names}
    for path in sorted(glob.glob(os.path.join(LIB, "*", "*.py"))):
        of = constants(path)
        for tag, name in names.items():
            name = re.sub("(?<=[a-z])(?=[A-Z])", "_", name.replace("-", "_")).upper()
            if of.get("_" + name) == tag:
                found[tag].append(os.path.relpath(path, ROOT))
    return found


def on_path():
    """lib/ and the modules that MicroPython has, for what is asked in this process."""
    for path in (os.path.join(ROOT, "firmware", "ports", "shim"), ROOT, LIB):
        if path not in sys.path:
            sys.path.insert(0, path)
