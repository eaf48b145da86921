# SPDX-License-Identifier: MIT
"""The optical port on an emulated Cortex-M3: sign-on, programming mode and HDLC over its UART, at
two rates and with parity, with 64 KiB of heap that is locked in every poll (device/optical.py).
"""

import socket
import subprocess
import sys

import images
import pytest
import qemu
from bootstrap import Trouble
from optical import ACK, BREAK, DEFINITION, IDENTIFICATION, REQUEST, block, command, with_parity
from peer_sessions import missing
from test_iec62056_21 import DISC, OPERAND, SNRM


@pytest.fixture(scope="module")
def definition(tmp_path_factory):
    """The generated module, a line a name."""
    path = tmp_path_factory.mktemp("definition") / "definition.py"
    tool = images.ROOT + "/tools/tables.py"
    subprocess.run([sys.executable, tool, DEFINITION, "-o", path], check=True, capture_output=True)
    names = {}
    exec(path.read_text(), names)
    return "".join("%s = %r\n" % row for row in names.items() if row[0][0] != "_")


def test_a_session_over_the_uart(definition):
    try:
        elf = images.image(qemu.BOARD)
    except Trouble as e:
        missing(str(e))
    with qemu.Chip(elf, live=True) as chip:
        chip.start("from device import optical\noptical.serve()")
        chip.write(definition + "end\n")
        chip.wait_for("ready")
        s = socket.create_connection(chip.address)
        s.settimeout(30)

        def ask(octets, n):
            s.sendall(octets)
            said = b""
            while len(said) < n:
                said += s.recv(n - len(said))
            return said

        def says(octets, answer):
            assert ask(with_parity(octets), len(answer)) == with_parity(answer)

        says(REQUEST, IDENTIFICATION)
        says(ACK + b"051\r\n", OPERAND)
        says(command("P1", "(11111111)"), ACK)
        says(command("W1", "C.50.5(1.23*kW)"), ACK)
        says(command("R1", "C.50.5()"), block("C.50.5(1.23*kW)"))
        s.sendall(with_parity(BREAK))
        says(REQUEST, IDENTIFICATION)
        says(ACK + b"252\r\n", ACK + b"252\r\n")
        assert ask(SNRM, 9)[5] == ask(DISC, 9)[5] == 0x73
        assert chip.result().split("\n")[0] == "rates 300 9600 300 9600 300"
        s.close()
