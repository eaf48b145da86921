#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How large the meter is: octets of each module as .mpy, RAM after its import, RAM of the meter.

    python3 tools/sizes.py [--json] [--definition FILE]

Measured on MicroPython's unix port, where nothing is frozen: pointers have 64 bits there, so RAM
is about twice what a board of 32 bits needs, and the code itself is in it.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import compile as compiling
from bootstrap import ROOT, Trouble, say
from meter import DEFAULT_DEFINITION, DEFAULT_LINKS

HEAP = "2m"
BUDGET = 64 * 1024

# Runs in MicroPython. Imports the modules that it is told in that order, then makes the meter.
_PROBE = """
import gc, json, sys
todo = json.loads(sys.stdin.readline())
steps = []
def used():
    gc.collect()
    return gc.mem_alloc()
for name in todo["modules"]:
    before = used()
    try:
        __import__(name)
    except ImportError:
        continue
    steps.append([name, used() - before])
from firmware import app, ports, store
from firmware.links.make import apply, make_links
port = ports.current()
base = used()
definition = app.Tables("definition")
tables = used()
storage = store.FileStorage(todo["state"], store.Files(False))
meter = app.build(definition, storage, port, 1, 13149360)
definition = None
def deep(n):
    return n and deep(n - 1)
deep(50)  # no pointers of before on the stack: the collector would believe them
built = used()
links = make_links(todo["links"], meter, port)
poller = port.Poller()
for link in links:
    link.open(poller)
apply(meter.model, links)
linked = used()
for i in range(120):
    meter.program.tick(1000)
served = used()
loaded = [n for n in sys.modules if n != "definition" and sys.modules[n] is not None]
print(json.dumps({"imports": steps, "tables": tables - base, "meter": built - tables,
    "links": linked - built, "later": served - linked, "all": served, "loaded": loaded}))
"""


def order(names):
    """Module names, each after those that it imports."""
    files = {name: path for path, name in names}
    done = []

    def visit(name, trail):
        if name in done or name in trail or name not in files:
            return
        with open(os.path.join(ROOT, files[name])) as f:
            tree = ast.parse(f.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                visit(node.module, trail + [name])
                for alias in node.names:
                    visit(node.module + "." + alias.name, trail + [name])
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    visit(alias.name, trail + [name])
        if name not in done:
            done.append(name)

    for name in sorted(files):
        package = name.rpartition(".")[0]
        if package in files:
            visit(package, [])
        visit(name, [])
    return done


def module_name(path):
    name = path[:-3].replace("/", ".")
    return name[: -len(".__init__")] if name.endswith(".__init__") else name


def measure(definition):
    found = bootstrap.micropython()
    compiler = bootstrap.mpy_cross()
    if not found or not compiler:
        found = bootstrap.provide("run")
        compiler = bootstrap.mpy_cross()
    code = compiling.device_code(compiler, found[1])
    tables = compiling.definition_mpy(compiler, compiling.definition(definition))
    sources = [(path, module_name(name)) for path, name in compiling.device_sources()]
    files = {module_name(name): name for _path, name in compiling.device_sources()}
    links = [[kind, "127.0.0.1", 0] for kind, _number in DEFAULT_LINKS]
    loaded = probe(found[0], [tables, code], [], links)["loaded"]
    wanted = [name for name in order(sources) if name in loaded]
    result = probe(found[0], [tables, code], wanted, links)
    ram = dict(result["imports"])
    modules = []
    for name in sorted(files):
        path = os.path.join(code, files[name][:-3] + ".mpy")
        if os.path.exists(path):
            modules.append({"module": name, "mpy": os.path.getsize(path), "ram": ram.get(name)})
    return {
        "definition_mpy": os.path.getsize(os.path.join(tables, "definition.mpy")),
        "modules": modules,
        "running": {
            "tables": result["tables"],
            "meter": result["meter"],
            "links": result["links"],
            "later": result["later"],
            "total": result["tables"] + result["meter"] + result["links"] + result["later"],
            "budget": BUDGET,
        },
        "heap_in_use": result["all"],
    }


def probe(program, paths, modules, links):
    with tempfile.TemporaryDirectory(prefix="picometer-") as folder:
        script = os.path.join(folder, "probe.py")
        with open(script, "w") as f:
            f.write(_PROBE)
        todo = {"modules": modules, "links": links, "state": os.path.join(folder, "state")}
        r = subprocess.run(
            [program, "-X", "heapsize=" + HEAP, script],
            input=json.dumps(todo) + "\n",
            env={**os.environ, "MICROPYPATH": ":".join(paths)},
            capture_output=True,
            text=True,
        )
    if r.returncode:
        raise Trouble("The meter cannot be measured:\n" + (r.stdout + r.stderr).strip())
    return json.loads(r.stdout.splitlines()[-1])


def table(result):
    lines = ["%-32s %8s %8s" % ("module", ".mpy", "RAM")]
    for m in result["modules"]:
        ram = "%8d" % m["ram"] if m["ram"] is not None else "%8s" % "-"
        lines.append("%-32s %8d %s" % (m["module"], m["mpy"], ram))
    used = [m for m in result["modules"] if m["ram"] is not None]
    lines.append(
        "%-32s %8d %8d"
        % ("all that this meter loads", sum(m["mpy"] for m in used), sum(m["ram"] for m in used))
    )
    lines += ["", "The running meter adds to that (octets of RAM)"]
    words = (
        ("tables", "tables: the definition (%d as .mpy)" % result["definition_mpy"]),
        ("meter", "meter: image, classes, program, server, less what the start needs"),
        ("links", "links: wrapper TCP (4), UDP (2), HDLC over TCP"),
        ("later", "in its first two minutes"),
        ("total", "in all (budget %d)" % result["running"]["budget"]),
    )
    for key, text in words:
        lines.append("%-62s %8d" % (text, result["running"][key]))
    lines.append("%-62s %8d" % ("heap in use, code included", result["heap_in_use"]))
    return "\n".join(lines)


def main(args):
    p = argparse.ArgumentParser(prog="sizes.py", description="How large the meter is.")
    p.add_argument("--json", action="store_true")
    p.add_argument("--definition", metavar="FILE", default=DEFAULT_DEFINITION)
    options = p.parse_args(args)
    result = measure(options.definition)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as e:
        say(str(e))
        sys.exit(1)
