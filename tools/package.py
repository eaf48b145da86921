#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what `mip` and manifests of MicroPython need to install lib/: package.json, and a
manifest.py in each of its packages.

    python3 tools/package.py            write them
    python3 tools/package.py --check    exit code 1 if they do not say what is there

    mpremote mip install --target /lib github:OWNER/REPOSITORY
    add_library("picometer", "$(PICOMETER)/lib")      in the manifest of a board ...
    require("cosem", library="picometer")             ... freezes cosem, and all that it needs

CPython >= 3.11, standard library only.
"""

import argparse
import glob
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bootstrap import ROOT, say

VERSION = "0.1.0"
# Packages of lib/, what each is, and which others it imports.
PACKAGES = {
    "crypto": ("Primitives of the DLMS security suites, without I/O", ()),
    "dlms": ("DLMS application layer, server side, without I/O", ("crypto",)),
    "cosem": ("COSEM object model and interface classes", ("dlms", "crypto")),
    "profiles": ("HDLC and wrapper communication profiles, without I/O", ("dlms",)),
}
_MANIFEST = '''# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""%s. Made by tools/package.py."""

metadata(
    description="%s",
    version="%s",
    license="MIT",
)
%spackage(
    "%s",
    files=(
%s    ),
    base_path="..",
    opt=2,
)
'''


def modules(package):
    """Names of the modules of a package of lib/, from there."""
    found = glob.glob(os.path.join(ROOT, "lib", package, "**", "*.py"), recursive=True)
    base = os.path.join(ROOT, "lib", package)
    names = sorted(os.path.relpath(path, base) for path in found)
    return [name for name in names if name != "manifest.py"]


def package_json():
    urls = [
        ["%s/%s" % (package, name), "lib/%s/%s" % (package, name)]
        for package in PACKAGES
        for name in modules(package)
    ]
    lines = ",\n".join("        " + json.dumps(pair) for pair in urls)
    return '{\n    "version": "%s",\n    "urls": [\n%s\n    ],\n    "deps": []\n}\n' % (
        VERSION,
        lines,
    )


def manifest(package):
    text, needs = PACKAGES[package]
    includes = 'add_library("picometer", "..")\n' if needs else ""
    includes += "".join('require("%s", library="picometer")\n' % need for need in needs)
    files = "".join('        "%s",\n' % name for name in modules(package))
    return _MANIFEST % (text, text, VERSION, includes, package, files)


def wanted():
    """{path from the root: text}"""
    files = {"package.json": package_json()}
    for package in PACKAGES:
        files["lib/%s/manifest.py" % package] = manifest(package)
    return files


def stale(root=ROOT):
    """Of wanted(), the files that say something else, or are not there."""
    found = []
    for path, text in wanted().items():
        try:
            with open(os.path.join(root, path)) as f:
                same = f.read() == text
        except OSError:
            same = False
        if not same:
            found.append(path)
    return found


def main(args):
    parser = argparse.ArgumentParser(prog="package.py", description="package.json, manifests")
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args(args)
    paths = stale()
    if options.check:
        for path in paths:
            say("%s is not up to date: python3 tools/package.py writes it." % path)
        return 1 if paths else 0
    for path in paths:
        with open(os.path.join(ROOT, path), "w") as f:
            f.write(wanted()[path])
        say("Wrote %s." % path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
