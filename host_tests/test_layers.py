# SPDX-License-Identifier: MIT
"""The rules of the layout, checked on the syntax trees of all sources.

Which folder may import which, what a device may not contain, and that constants which are written
down in several modules (a public constant costs RAM) say the same everywhere.
"""

import ast
import glob
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What the modules of a folder may import, beside their own folder. First match counts.
ALLOWED = {
    "lib/crypto": {"micropython", "struct", "binascii"},
    "lib/dlms": {"micropython", "struct", "binascii", "crypto"},
    "lib/cosem": {"micropython", "struct", "binascii", "crypto", "dlms"},
    "lib/profiles": {"micropython", "struct", "binascii", "dlms"},
}
# The firmware may use everything of lib/, and what MicroPython boards have.
FIRMWARE = {
    "array", "binascii", "cosem", "crypto", "dlms", "errno", "firmware", "gc",
    "json", "machine", "micropython", "os", "profiles", "select", "socket", "struct", "sys",
    "time",
}  # fmt: skip
# Only a port may know its runtime; files.py locks a folder where the host can.
ONLY_HERE = {
    "firmware/ports/ciphers/": {"cryptolib", "hashlib"},
    "firmware/ports/": {"os", "select", "socket", "time"},
    "firmware/files.py": {"fcntl", "os"},
    "firmware/regions.py": {"vfs"},
    # The constants of the board that it runs on.
    "firmware/board_main.py": {"wiring"},
    "firmware/launch.py": {"wiring"},
    "firmware/ports/board.py": {"wiring"},
    "firmware/ports/cause.py": {"microcontroller"},
    "firmware/ports/cpython.py": {"fcntl", "signal", "termios", "threading", "uuid"},
    "firmware/ports/lines/cpython.py": {"fcntl", "io", "serial"},
    "firmware/ports/lines/micropython.py": {"pyb", "usb", "wiring"},
    "firmware/ports/micropython.py": {"network"},
    "firmware/ports/pins.py": {"wiring"},
    # The font of a display, where there is one.
    "firmware/drivers/ssd1306.py": {"framebuf"},
    "firmware/ports/ciphers/cpython.py": {"cryptography"},
    "firmware/ports/ciphers/circuitpython.py": {"aesio"},
    # CircuitPython's own modules; typing is for type checkers only.
    "firmware/ports/circuitpython.py": {
        "board", "busio", "digitalio", "socketpool", "supervisor", "typing", "usb_cdc", "wifi",
        "wiring",
    },
    "firmware/circuitpython/": {
        "board", "busio", "digitalio", "microcontroller", "os", "storage", "supervisor", "usb_cdc",
        "wiring",
    },
}  # fmt: skip


def sources(*patterns):
    found = []
    for pattern in patterns:
        found += glob.glob(os.path.join(ROOT, pattern), recursive=True)
    return sorted(os.path.relpath(path, ROOT) for path in found)


def tree(path):
    with open(os.path.join(ROOT, path)) as f:
        return ast.parse(f.read(), path)


DEVICE = sources("lib/**/*.py", "firmware/**/*.py")
ALL = sources("lib/**/*.py", "firmware/**/*.py", "tools/**/*.py", "host_tests/**/*.py")


def imports(path):
    """(line, top-level name) of everything that a module imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." if node.level else node.module.split(".")[0]


@pytest.mark.parametrize("path", DEVICE)
def test_imports_go_down_only(path):
    own = path.split("/")[1]
    allowed = ALLOWED.get("/".join(path.split("/")[:2]))
    if allowed is None:
        allowed = set(FIRMWARE)
        for names in ONLY_HERE.values():
            allowed -= names
        for place, names in ONLY_HERE.items():
            if path.startswith(place):
                allowed |= names
    else:
        allowed = allowed | {own}
    wrong = ["%s:%d %s" % (path, n, name) for n, name in imports(path) if name not in allowed]
    assert not wrong


@pytest.mark.parametrize("path", DEVICE)
def test_nothing_that_a_device_cannot_or_should_not_run(path):
    wrong = []
    for node in ast.walk(tree(path)):
        kind = None
        if isinstance(node, ast.Assert):
            kind = "assert (mpy-cross -O1 removes it)"
        elif isinstance(node, ast.JoinedStr):
            kind = "f-string (allocates; not on all boards)"
        elif isinstance(node, (ast.Match, ast.AsyncFunctionDef)):
            kind = type(node).__name__
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            kind = "bare except"
        if kind:
            wrong.append("%s:%d: %s" % (path, node.lineno, kind))
    assert not wrong


@pytest.mark.parametrize("path", sources("lib/**/*.py"))
def test_constants_of_lib_are_private(path):
    """A const with a public name stays in the module's dict, and costs RAM on a board."""
    wrong = []
    for node in tree(path).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and getattr(node.value.func, "id", "") == "const"
        ):
            wrong += [t.id for t in node.targets if not t.id.startswith("_")]
    assert not wrong


def value_of(node, known):
    """The integer that a const() expression means; None if it is not one."""
    try:
        return eval(compile(ast.Expression(node), "const", "eval"), {"__builtins__": {}}, known)
    except Exception:
        return None


def constants(path):
    known = {}
    for node in tree(path).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and getattr(node.value.func, "id", "") == "const"
        ):
            known[node.targets[0].id] = value_of(node.value.args[0], known)
    return known


# BER has tags of its own for types of the same name.
OTHER_WORDS = ("lib/dlms/acse.py", "lib/dlms/ber.py")

# The same word for something else, by right: names of a field's place or of a state are local to
# the module that has them. What must agree are the numbers that the standards give.
STANDARD = {
    # data types (IEC 62056-6-2, 4.1.5)
    "_NULL_DATA", "_ARRAY", "_STRUCTURE", "_BOOLEAN", "_BIT_STRING", "_DOUBLE_LONG",
    "_DOUBLE_LONG_UNSIGNED", "_OCTET_STRING", "_VISIBLE_STRING", "_UTF8_STRING", "_BCD",
    "_INTEGER", "_LONG", "_UNSIGNED", "_LONG_UNSIGNED", "_COMPACT_ARRAY", "_LONG64",
    "_LONG64_UNSIGNED", "_ENUM", "_FLOAT32", "_FLOAT64", "_DATE_TIME", "_DATE", "_TIME_TAG",
    "_DONT_CARE",
    # data-access-result and action-result (IEC 62056-5-3)
    "_SUCCESS", "_HARDWARE_FAULT", "_TEMPORARY_FAILURE", "_READ_WRITE_DENIED",
    "_OBJECT_UNDEFINED", "_OBJECT_CLASS_INCONSISTENT", "_OBJECT_UNAVAILABLE", "_TYPE_UNMATCHED",
    "_SCOPE_OF_ACCESS_VIOLATED", "_SCOPE_VIOLATED", "_DATA_BLOCK_UNAVAILABLE",
    "_LONG_GET_ABORTED", "_NO_LONG_GET", "_LONG_SET_ABORTED", "_NO_LONG_SET",
    "_DATA_BLOCK_NUMBER_INVALID", "_LONG_ACTION_ABORTED", "_NO_LONG_ACTION",
    # clock status, bits
    "_DST_ACTIVE", "_DOUBTFUL",
    # tags of APDUs
    "_GET_REQUEST", "_GET_RESPONSE", "_SET_REQUEST",
    "_SET_RESPONSE", "_ACTION_REQUEST", "_ACTION_RESPONSE", "_EXCEPTION_RESPONSE",
    "_CONFIRMED_SERVICE_ERROR", "_INITIATE_REQUEST", "_INITIATE_RESPONSE",
    # events of a modem (lib/profiles/modems/__init__.py)
    "_MODEM_UP", "_MODEM_DOWN", "_MODEM_DATA", "_MODEM_CONFIRM", "_MODEM_FAULT",
    # the project's own
    "_TICKS_MASK", "_ROW_SHIFT", "_ENTRY_SHIFT", "_KIND", "_COMPUTED", "_ROM", "_RAM",
    "_LOGICAL_NAME",
}  # fmt: skip


def test_copies_of_a_constant_agree():
    seen = {}
    for path in DEVICE:
        for name, value in constants(path).items():
            if name in STANDARD and path not in OTHER_WORDS:
                seen.setdefault(name, {}).setdefault(value, []).append(path)
    differing = [
        "%s is %s" % (name, " but ".join("%r in %s" % (v, w[0]) for v, w in values.items()))
        for name, values in seen.items()
        if len(values) > 1
    ]
    assert not differing


def test_the_check_of_copies_sees_a_difference(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from micropython import const\n_A = const(1)\n_B = const(_A << 4 | 2)\n")
    assert constants(str(wrong)) == {"_A": 1, "_B": 18}


@pytest.mark.parametrize("path", ALL)
def test_a_licence_line_and_a_description(path):
    with open(os.path.join(ROOT, path)) as f:
        text = f.read()
    assert "SPDX-License-Identifier: MIT" in text.split("\n", 3)[:3][0] + text.split("\n", 3)[1]
    assert ast.get_docstring(ast.parse(text)), "a paragraph that says what the file is"


def test_top_level_folders_are_those_of_the_layout():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    folders = {path.split("/")[0] for path in listed if "/" in path}
    assert folders <= {"lib", "firmware", "boards", "host_tests", "tools", ".ci", ".github"}


def test_tools_do_not_import_peers():
    """The peers' licences: programs of their own, never part of this one."""
    for path in sources("lib/**/*.py", "firmware/**/*.py", "tools/**/*.py"):
        for _line, name in imports(path):
            assert name not in ("gurux_dlms", "gurux_common", "gurux_net", "dlms_cosem"), path
