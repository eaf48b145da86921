# SPDX-License-Identifier: MIT
"""firmware/board_main.py: what is loaded for a job goes after it. (The rest of it is in
test_provision, test_rp2040 and test_cortex_m3.)"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import images
from tables import compile as pack
from tables import show
from tables.definition import load_definition

from firmware.meter import running

ROOT = images.ROOT
HERE = Path(__file__).parent
# By what name an import finds its file.
FILES = {}
for place in ("lib", "."):
    for folder in ("dlms", "cosem", "crypto", "profiles", "firmware"):
        for where, _folders, names in os.walk(os.path.join(ROOT, place, folder)):
            for name in names:
                if name.endswith(".py"):
                    path = os.path.join(where, name)
                    parts = os.path.relpath(path[:-3], os.path.join(ROOT, place)).split(os.sep)
                    FILES[".".join(parts).replace(".__init__", "")] = path
# What a client can ask for that is a job: modules that are imported within functions.
ENTRIES = (
    "dlms.set",
    "dlms.action",
    "dlms.access",
    "dlms.opening",
    "dlms.short_names",
    "dlms.write",
    "cosem.arbitrator",
    "cosem.array_manager",
    "cosem.association_sn",
    "cosem.association_ln",
    "cosem.compact_data",
    "cosem.image_transfer",
    "cosem.link_setup",
    "cosem.ipv6_setup",
    "cosem.profile_range",
    "cosem.register",
    "cosem.register_table",
    "cosem.sap_assignment",
    "cosem.security_setup",
    "cosem.status_mapping",
    "cosem.utility_tables",
    "dlms.general",
    "dlms.identified",
    "dlms.agreed",
    "dlms.gbt",
    "dlms.sealed",
    "dlms.certificates",
    "cosem.security_methods",
    "cosem.users",
    "cosem.visible_objects",
    "crypto.ec",
    # What acts by time, and what is sent unasked.
    "cosem.activity_calendar",
    "cosem.schedule",
    "cosem.single_action_schedule",
    "cosem.special_days",
    "cosem.register_activation",
    "cosem.limiter",
    "cosem.push_setup",
    "cosem.notifier",
    "firmware.meter.sender",
    # Power was not gone after all; the program was away for more than a second.
    "firmware.meter.power_up",
    "firmware.meter.steady",
    # And what looks at an image.
    "firmware.container",
)
RESIDENT = (
    "dlms.server",
    "dlms.secured_association",
    "firmware.board_main",
    "cosem.profile_generic",
    "cosem.clock",
    "cosem.script_table",
)
# What security is: it comes with a client who ciphers or proves who he is.
SECURITY = ("dlms.secured", "dlms.marks", "firmware.ports.ciphers", "firmware.vault")
# Not on boards.
_PORTS = ("cpython", "circuitpython", "micropython")
HOST = ("crypto._gcm_host", *("firmware.ports." + name for name in _PORTS))


def imports(name, inner):
    """Modules that a module imports; inner: within functions, too."""
    with open(FILES[name]) as f:
        tree = ast.parse(f.read())
    nodes = list(ast.walk(tree)) if inner else []
    todo = [tree]
    while todo and not inner:
        for node in ast.iter_child_nodes(todo.pop()):
            if not isinstance(node, ast.FunctionDef):
                nodes.append(node)
                todo.append(node)
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (node.module + "." + alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def closure(names, inner):
    found = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in FILES and name not in found:
            found.add(name)
            todo += imports(name, inner)
    return found


def names(which):
    """A tuple of board_main.py, which only a board can import."""
    with open(FILES["firmware.board_main"]) as f:
        for node in ast.parse(f.read()).body:
            if isinstance(node, ast.Assign) and node.targets[0].id == which:
                return ast.literal_eval(node.value)


def test_all_that_a_job_loads_is_let_go_of():
    stays = closure(RESIDENT + SECURITY, False) | {"crypto"}
    assert "crypto.ec" not in stays
    loaded = closure(ENTRIES, True) - stays - set(HOST)
    jobs = set(names("_JOBS"))
    assert loaded - jobs == set()
    assert jobs - loaded <= {"crypto.old_hashes"}, "no longer loaded by one"


def test_all_of_security_is_let_go_of():
    resident = closure(RESIDENT, False)
    assert not closure(SECURITY, False) & resident - {"crypto"} - closure(("dlms.server",), False)
    loaded = closure(SECURITY, False) - resident - set(names("_JOBS")) - {"crypto"}
    other_ports = {"firmware.ports.ciphers." + name for name in ("cpython", "circuitpython")}
    assert loaded - other_ports == set(names("_SECURITY"))
    assert not set(names("_SECURITY")) & set(names("_JOBS"))


def packed(folder):
    """definition.py of small.toml."""
    text = show.module(pack(load_definition(HERE / "definitions/small.toml")))
    (folder / "definition.py").write_text(text)
    return str(folder)


def test_security_comes_and_goes_on_micropython(micropython, tmp_path):
    """Octets are freed, and none is lost, however often: as on a board, with its modules."""
    get, value = "C00141 0001 0000603C01FF 02 00".replace(" ", ""), "C401410009020102"
    # The unix port never frees what it knows of native code that it has made: 32 octets each.
    modules = [n for n in names("_JOBS") + names("_SECURITY") if not n.endswith("_viper")]
    lines = [get] + ["leave " + " ".join(modules), get] * 6
    done = subprocess.run(
        [micropython, str(HERE / "device/ciphered.py"), packed(tmp_path), "glo"],
        input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=120,
        env={"MICROPYPATH": ":".join(str(HERE.parent / p) for p in ("lib", ".")) + ":.frozen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.upper().split("\n")
    assert said[:2] == ["C7014100", value]
    assert said[3::3] == ["C7014100"] * 6 and said[4::3] == [value] * 6
    freed, held = zip(*[map(int, line.split()) for line in said[2:-1:3]])
    assert min(freed) > 20000
    assert held[-1] == held[1]


def test_forget(monkeypatch):
    from crypto import kdf

    monkeypatch.setattr("crypto.kdf", kdf)
    monkeypatch.setitem(sys.modules, "crypto.kdf", kdf)
    assert running.forget(("crypto.kdf", "crypto.no_such"))
    assert "crypto.kdf" not in sys.modules
    assert not running.forget(("crypto.kdf",))


def test_no_room_for_work_is_not_the_end_of_the_meter():
    class Server:
        todo = 1
        fault = on_authentication_failed = None
        tries = 0
        room = 3

        def work(self):
            self.tries += 1
            if self.tries < self.room:
                raise MemoryError
            self.todo = 0

        def refuse(self, e):
            self.fault = e

    class Model:
        on_setup = None

    server = Server()
    meter = running.Meter(Model(), server, None, None, 0, 1)
    assert [meter.work([], 0) for _ in range(3)] == [True, True, False]
    assert not server.todo and server.tries == 3 and server.fault is None
    # It hears so who asks for what finds no room in 64 turns.
    server.todo, server.room = 1, 1000
    for _ in range(63):
        assert meter.work([], 0) and server.fault is None
    assert meter.work([], 0) and isinstance(server.fault, MemoryError)


def test_a_fault_in_work_is_not_the_end_of_the_meter():
    class Server:
        todo = 1
        fault = on_authentication_failed = None

        def work(self):
            raise AttributeError("a slip of ours")

        def refuse(self, e):
            self.fault = e

    class Model:
        on_setup = None

    server = Server()
    assert not running.Meter(Model(), server, None, None, 0, 1).work([], 0)
    assert isinstance(server.fault, AttributeError)
