# SPDX-License-Identifier: MIT
"""Packages of the distribution that programs here need, which apt installs where the user may do
that: compilers, and what tests look with.

    install({"tshark": "tshark"})       of {a program or file: its packages}; Trouble says what is
                                        missing, and the command that gets it
"""

import glob
import os
import shutil
import subprocess

from bootstrap import Trouble, command, lock, step


def missing(packages):
    """Of {a program or file: its packages}, the packages of those that are not there."""
    absent = []
    for what, names in packages.items():
        if not (glob.glob(what) if what.startswith("/") else shutil.which(what)):
            absent += names.split()
    return absent


def administrator():
    """What to put before a command to run it as root; None if this user may not."""
    if os.getuid() == 0:
        return []
    if shutil.which("sudo"):
        if subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
            return ["sudo", "-n"]
    return None


def install(packages):
    """Have the programs or files of a dictionary as missing() has it."""
    absent = missing(packages)
    if not absent:
        return
    names = " ".join(absent)
    sentence = "These packages are missing: %s. Install them: apt install %s" % (names, names)
    prefix = administrator()
    if prefix is None or not shutil.which("apt-get"):
        raise Trouble(sentence)
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    args = [*apt, "install", "-y", "--no-install-recommends", *absent]
    # The tests of two boards may want packages at the same time, and dpkg refuses the second.
    with lock("packages"), step("Installing %s" % names):
        try:
            command(args, sentence)
        except Trouble:
            command([*apt, "update"], sentence)
            command(args, sentence)
    if missing(packages):
        raise Trouble(sentence)
