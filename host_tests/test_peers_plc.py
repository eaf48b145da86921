# SPDX-License-Identifier: MIT
"""What gurux-dlms writes for S-FSK, where that agrees with the standard: credits, MAC addresses
and the header of the LLC. How it differs is said in lib/profiles/sfsk.md.
"""

import os
import subprocess

import pytest
from test_sfsk import AARQ

pytest_plugins = ["peer_sessions"]

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.parametrize("credits", [0x00, 0x6C, 0xFC])
@pytest.mark.parametrize("address", [0x005, 0xABC])
def test_the_head_of_a_request(peers, credits, address):
    words = ["C00", "%X" % address, "1", "10", "%X" % credits, AARQ.hex()]
    done = subprocess.run(
        [peers, os.path.join(HERE, "peers", "gurux_plc.py"), *words],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frame = bytes.fromhex(done.stdout)
    # STX, length, MA_Data: those of the modems, of which the length counts the check sequence.
    assert frame[0] == 0x02 and frame[1] == len(AARQ) + 11 and frame[2] == 0x50
    mac = bytes((credits,)) + (0xC00 << 12 | address).to_bytes(3, "big")
    assert frame[3:7] == mac
    assert frame[8:11] == b"\x90\x01\x10"
    # 1.0.203 for Python leaves the APDU out, and pads; modems do that themselves.
    assert frame[11:-2] == bytes(frame[7])
