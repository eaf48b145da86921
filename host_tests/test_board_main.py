# SPDX-License-Identifier: MIT
"""firmware/board_main.py: what is loaded for a job goes after it. (The rest of it is in
test_provision, test_rp2040 and test_cortex_m3.)"""

import ast
import os
import sys

import images

from firmware.meter import running

ROOT = images.ROOT
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
    "cosem.association_sn",
    "cosem.association_ln",
    "cosem.compact_data",
    "cosem.link_setup",
    "cosem.profile_range",
    "cosem.register",
    "cosem.sap_assignment",
    "cosem.security_setup",
    "dlms.general",
    "dlms.agreed",
    "dlms.gbt",
    "dlms.sealed",
    "dlms.certificates",
    "cosem.security_methods",
    "cosem.users",
    "crypto.ec",
    # And what is sent unasked.
    "cosem.notifier",
    "firmware.meter.sender",
)
RESIDENT = (
    "dlms.server",
    "dlms.secured_association",
    "firmware.board_main",
    "dlms.server",
    "dlms.secured",
    "dlms.marks",
    "cosem.profile_generic",
    "cosem.push_setup",
    "cosem.script_table",
)
# Not on boards.
HOST = ("crypto._gcm_host",)


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


def jobs():
    """_JOBS of board_main.py, which only a board can import."""
    with open(FILES["firmware.board_main"]) as f:
        for node in ast.parse(f.read()).body:
            if isinstance(node, ast.Assign) and node.targets[0].id == "_JOBS":
                return ast.literal_eval(node.value)


def test_all_that_a_job_loads_is_let_go_of():
    resident = closure(RESIDENT, False) | {"crypto"}
    assert "crypto.gcm" in resident and "crypto.ec" not in resident
    loaded = closure(ENTRIES, True) - resident - set(HOST)
    assert loaded - set(jobs()) == set()
    assert set(jobs()) - loaded <= {"crypto.old_hashes"}, "no longer loaded by one"


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
