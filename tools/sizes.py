#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How large the meter is: octets of each module as .mpy, RAM after its import, RAM of the meter.

    python3 tools/sizes.py [--runtime RUNTIME] [--json] [--definition FILE]

Behind each figure stands by how much it has changed since the last commit (last_commit.py).

RUNTIME micropython (the default) is its unix port, where nothing is frozen: pointers have 64 bits
there, so RAM is about twice what a board of 32 bits needs, and the code itself is in it.
cortex-m3 is a chip in QEMU (qemu.py) with the code frozen, so that only what a module defines is
in RAM: imports, and then what the start leaves behind, by the steps of CHIP_STEPS.
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
import last_commit
from bootstrap import ROOT, Trouble, as_command
from meter import DEFAULT_DEFINITION, DEFAULT_LINKS

HEAP = "2m"
BUDGET = 64 * 1024

# Steps of the start on a chip: function, and what it makes. A step further in is part of the one
# above it.
CHIP_STEPS = (
    ("firmware.app.build", "the meter, without links"),
    ("firmware.store.FileStorage.prepare", "  files of the state"),
    ("cosem.model.Model.__init__", "  model: image, handlers, two streams"),
    ("cosem.clock.Handler.__init__", "    clock"),
    ("cosem.model.Model.start", "  handlers: start"),
    ("cosem.profile_generic.Handler.start", "    profiles, with their rings"),
    ("firmware.store.FileStorage.ring", "      rings"),
    ("cosem.profile_columns.Profile.__init__", "      numbers and columns"),
    ("cosem.profile_order.Order.__init__", "      order of a sorted profile"),
    ("firmware.meter.household.Household.__init__", "  household"),
    ("firmware.meter.program.Program.__init__", "  program"),
    ("firmware.meter.events.Events.__init__", "    events"),
    ("firmware.meter.registers.Registers.__init__", "    registers"),
    ("firmware.meter.sources.connect", "    tables of the sources"),
    ("dlms.server.Server.__init__", "  server"),
    ("dlms.association.Association.__init__", "    associations"),
    ("firmware.links.make.make_links", "links"),
    ("dlms.server.Server.channel", "  channel: buffer of the answer"),
    ("profiles.hdlc.HDLC.__init__", "  HDLC: two frames, a request"),
)
CHIP_HEAP = 256 * 1024

# Runs in MicroPython. Imports the modules that it is told in that order, then makes the meter.
_PROBE = """
import gc, json, sys
todo = json.loads(sys.stdin.readline())
steps = []
def deep(n):
    return n and deep(n - 1)
def used():
    deep(50)  # no pointers of before on the stack: the collector would believe them
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
from firmware.links.make import make_links
from firmware.links.settings import apply
port = ports.current()
base = used()
definition = app.Tables("definition")
tables = used()
storage = store.FileStorage(todo["state"], store.Files(False))
meter = app.build(definition, storage, port, 1, 13149360)
definition = None
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
        # By names that are as long in every checkout: else the heap would be another one.
        for k, path in enumerate(paths):
            os.symlink(path, os.path.join(folder, "path%d" % k))
        names = ["path%d" % k for k in range(len(paths))]
        todo = {"modules": modules, "links": links, "state": "state"}
        r = subprocess.run(
            [program, "-X", "heapsize=" + HEAP, "probe.py"],
            cwd=folder,
            input=json.dumps(todo) + "\n",
            env={**os.environ, "MICROPYPATH": ":".join(names)},
            capture_output=True,
            text=True,
        )
    if r.returncode:
        raise Trouble("The meter cannot be measured:\n" + (r.stdout + r.stderr).strip())
    return json.loads(r.stdout.splitlines()[-1])


def measure_chip(definition):
    """Octets of heap on the Cortex-M3: imports and steps of the start, as device/heap.py has them,
    in an image with room for the measuring; and what is held in one with 64 KiB."""
    import images
    import qemu

    with qemu.Chip(images.image(qemu.BOARD, definition)) as chip:
        held = qemu.weigh(chip)["held"]
    elf = images.image(qemu.BOARD, definition, CHIP_HEAP)
    script = "from device import heap\nheap.weigh(%r, %r, seed=1)"

    def run(modules, steps):
        with qemu.Chip(elf) as chip:
            return json.loads(chip.run(script % (modules, steps)).splitlines()[-1])

    sources = [(path, module_name(name)) for path, name in compiling.device_sources()]
    loaded = run([], [])["loaded"]
    modules = [name for name in order(sources) if name in loaded]
    result = run(modules, [name for name, _ in CHIP_STEPS])
    # The measuring takes some itself.
    with qemu.Chip(elf) as chip:
        result["base"] = int(chip.run("import gc\ngc.collect()\nprint(gc.mem_alloc())"))
    del result["loaded"]
    result["held"] = held
    return result


# --- Tables: figures, and by how much they differ from those of the last commit ----------------


def difference(now, before):
    """As text; nothing if there was no such figure, or the same."""
    if now is None or before is None or now == before:
        return ""
    return "%+d" % (now - before)


def line(text, now, before, width=46):
    """A figure; before: None if that was not measured."""
    return ("%-*s %8d %7s" % (width, text, now, difference(now, before))).rstrip()


def chip_table(result, before):
    """before: the result of the last commit; {} if there is none."""
    ram = dict(before.get("imports", ()))
    steps = before.get("steps", {})
    lines = ["%-46s %8s" % ("module (code frozen)", "RAM")]
    for name, n in result["imports"]:
        lines.append(line(name, n, ram.get(name, 0) if before else None))
    names = [name for name, _ in result["imports"]]
    lines += [line(name, 0, n) for name, n in ram.items() if name not in names]
    total = sum(n for _, n in result["imports"])
    lines.append(line("%d modules" % len(names), total, sum(ram.values()) if before else None))
    lines += ["", "%-46s %8s" % ("The start adds to that", "RAM")]
    for name, text in CHIP_STEPS:
        if name in result["steps"]:
            lines.append(line(text, result["steps"][name], steps.get(name)))
    lines.append(line("The runtime, before all that", result["base"], before.get("base")))
    lines.append(line("heap held by the running meter", result["held"], before.get("held")))
    return "\n".join(lines)


def table(result, before):
    """before: the result of the last commit; {} if there is none."""
    known = {m["module"]: m for m in before.get("modules", ())}
    none = {"mpy": 0, "ram": 0} if before else {"mpy": None, "ram": None}
    gone = dict(known)
    lines = ["%-32s %8s %7s %8s" % ("module", ".mpy", "", "RAM")]

    def add(name, mpy, ram, was):
        text = "%8d" % ram if ram is not None else "%8s" % "-"
        change = difference(ram, was["ram"])
        lines.append(
            ("%-32s %8d %7s %s %7s" % (name, mpy, difference(mpy, was["mpy"]), text, change))
            .rstrip()
        )  # fmt: skip

    for m in result["modules"]:
        add(m["module"], m["mpy"], m["ram"], known.get(m["module"], none))
        gone.pop(m["module"], None)
    for name, m in gone.items():
        add(name, 0, 0, m)
    now, was = loaded(result["modules"]), loaded(known.values()) if before else none
    add("all that this meter loads", now["mpy"], now["ram"], was)
    lines += ["", "The running meter adds to that (octets of RAM)"]
    words = (
        ("tables", "tables: the definition (%d as .mpy)" % result["definition_mpy"]),
        ("meter", "meter: image, classes, program, server, less what the start needs"),
        ("links", "links: wrapper TCP (4), UDP (2), HDLC over TCP"),
        ("later", "in its first two minutes"),
        ("total", "in all (budget %d)" % result["running"]["budget"]),
    )
    running = before.get("running", {})
    for key, text in words:
        lines.append(line(text, result["running"][key], running.get(key), 66))
    in_use = result["heap_in_use"]
    lines.append(line("heap in use, code included", in_use, before.get("heap_in_use"), 66))
    return "\n".join(lines)


def loaded(modules):
    """Octets of the modules that the meter loads."""
    used = [m for m in modules if m["ram"] is not None]
    return {"mpy": sum(m["mpy"] for m in used), "ram": sum(m["ram"] for m in used)}


def main(args):
    p = argparse.ArgumentParser(prog="sizes.py", description="How large the meter is.")
    p.add_argument("--json", action="store_true")
    p.add_argument("--definition", metavar="FILE", default=DEFAULT_DEFINITION)
    p.add_argument("--runtime", choices=("micropython", "cortex-m3"), default="micropython")
    options = p.parse_args(args)
    on_chip = options.runtime == "cortex-m3"
    if on_chip:
        result = measure_chip(os.path.abspath(options.definition))
    else:
        result = measure(options.definition)
    wanted = ["--runtime", options.runtime]
    if options.definition != DEFAULT_DEFINITION:
        wanted += ["--definition", os.path.abspath(options.definition)]
    before = {}
    try:
        words, before = last_commit.figures(wanted)
        words = "Changes since %s." % words
    except Trouble as e:
        words = str(e)
    if options.json:
        result["last_commit"] = before or None
        print(json.dumps(result, indent=2))
    else:
        print((chip_table if on_chip else table)(result, before))
        print(words)
    return 0


if __name__ == "__main__":
    as_command(main)
