# SPDX-License-Identifier: MIT
"""tools/conformance.py against a meter that nobody here wrote: peers/gurux_server.py, of Gurux'
server classes, in a process of its own. What fails is what that meter does otherwise than the
standard says, each with the octets or the result that shows it; all else passes, or is told to be
not applicable; and no case depends on what only our meter has."""

import contextlib
import json
import os
import subprocess

import pytest
from conforming.case import FAIL, INAPPLICABLE, INCONCLUSIVE, PASS

import conformance

pytest_plugins = ["peer_sessions"]

from peer_sessions import PEERS

DESCRIPTION = {
    "associations": [
        {"client_sap": 16, "server_sap": 1},
        {"client_sap": 32, "server_sap": 1, "mechanism_id": 1, "secret_hex": b"plugfest".hex()},
    ]
}

# What Gurux' meter does, seen with gurux-dlms 1.0.203: the case, and what is said of it.
OVER_THE_WRAPPER = {
    "PMT_WRAPPER_P3": "A GET behind another wpdu is not answered.",
    "PMT_WRAPPER_N2": "What came is no wpdu: 7e a0",
    "PMT_WRAPPER_N6": "What came is no wpdu: 7e a0",
    "APPL_IDLE_N1": "ACTION before any AARQ is answered with c7 01 c1 03.",
    "APPL_OPEN_4": "protocol-version 2: accepted; expected to be rejected.",
    "APPL_OPEN_5": "A foreign context: answered with 00 01 c1 01; expected an AARE.",
    "APPL_OPEN_6": "Field A2: answered with 00 01 c1 01; expected an AARE.",
    "APPL_OPEN_7": "Mechanism 9: answered with 00 01 c1 01; expected an AARE.",
    "APPL_OPEN_11": "Quality 01: result 1, diagnostic 1; expected to be accepted.",
    "APPL_OPEN_14": "Size 0: result 1, diagnostic 1; expected to be accepted.",
    "APPL_DATA_LN_N1": "An unknown attribute: hardware-fault (1); expected object-undefined (4)",
    "APPL_DATA_LN_N3": "invoke-id-and-priority 42 is answered with 41.",
    "APPL_DATA_LN_N4": "GET with list, which was not negotiated, is answered with c4 03",
    "COSEM_8_0": "8/0.0.1.0.0.255/5 daylight_savings_begin: GET says hardware-fault (1)",
    "COSEM_15_2": "15/0.0.40.0.0.255/3 associated_partners_id: GET says hardware-fault (1)",
    "COSEM_MULTIPLE": "A list of an object that is not there and of 1/0.0.42.0.0.255/1 reads",
    "COSEM_7_ENTRY": "GET of the rows of 7/1.0.99.1.0.255 by entry says hardware-fault (1).",
    "COSEM_7_RANGE": "GET of the rows of 7/1.0.99.1.0.255 by range says hardware-fault (1).",
    "PMT_BLOCK_GET_P1": "No answer to the request c0 02.",
    "PMT_BLOCK_GET_N1": "Block 5: the block with the result is not the last one.",
    "PMT_BLOCK_GET_N2": "No answer to the request c0 02.",
    "PMT_BLOCK_GET_P2": "It does not come in blocks, but c4 03",
    "PMT_GBT_N3": "It is answered with e0 81 00 01.",
}
OVER_HDLC = {
    "HDLC_FRAME_N5": "Control field F7 is answered with I, N(S) 0, N(R) 1; expected FRMR.",
    "HDLC_FRAME_N7": "The AARQ is answered with silence.",
    "HDLC_FRAME_N8": "A SNRM with a wrong FCS is answered with FRMR; expected silence.",
    "HDLC_NDM2NRM_P1": "The information field of UA is no list of parameters: 81 80 00",
    "HDLC_NDM2NRM_P2": "The information field of UA is no list of parameters: 81 80 00",
    "HDLC_INFO_P1": "RR is answered with RR",
    "HDLC_INFO_N1": "FRMR has 0 octets of information; expected 3.",
    "HDLC_INFO_N2": "An I frame with N(R) 5 is not answered; expected FRMR.",
    "HDLC_INFO_N3": "N(S) 2 is not answered; expected RR 1.",
    "HDLC_NDMOP_N1": "I, N(S) 0, N(R) 0 is answered with I",
    "PMT_HDLC_SEGMENTS": "RR 1 does not bring the answer again.",
    "PMT_HDLC_RNR": "RNR is answered with I, N(S) 2",
    "PMT_HDLC_PARAMETERS": "The information field of UA is no list of parameters: 81 80 00",
    "PMT_HDLC_RELEASE": "A GET is served without an association.",
    "PMT_HDLC_REJECTED": "A control field F7 brings no FRMR.",
}
UNSURE = {
    "HDLC_FRAME_P2": "Over TCP a meter need not see pauses [?]: UA came.",
    "HDLC_FRAME_P3": "What the inactivity time-out is, nobody says; give inactivity_s.",
    "COSEM_1_0": "1/0.0.42.0.0.255/2 value: SET of its own value says hardware-fault (1)",
}


@contextlib.contextmanager
def gurux(peers, link):
    """The port of a Gurux meter."""
    program = os.path.join(PEERS, "gurux_server.py")
    process = subprocess.Popen(
        [peers, program, "--link", link], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield json.loads(process.stdout.readline())["port"]
    finally:
        process.kill()
        process.communicate()


def played(place, tmp_path, capsys, *args, description=DESCRIPTION):
    """[(id, verdict, why)] of a run."""
    path = tmp_path / "meter.json"
    path.write_text(json.dumps(description))
    files = ["--report", str(tmp_path / "r.html"), "--junit", str(tmp_path / "j.xml")]
    args = [place, "--description", str(path), "--patience", "0.6", "--json", *files, *args]
    assert conformance.main(args) == 1
    cases = json.loads(capsys.readouterr().out)["cases"]
    return [(c["id"], c["verdict"], c["why"]) for c in cases]


@pytest.mark.parametrize(
    "link, place, groups, expected",
    [
        ("wrapper", "tcp", "wrapper,application,objects,blocks,gbt,security", OVER_THE_WRAPPER),
        ("hdlc", "hdlc+tcp", "hdlc", OVER_HDLC),
    ],
)
def test_a_meter_of_gurux(link, place, groups, expected, peers, tmp_path, capsys):
    with gurux(peers, link) as port:
        found = played("%s://127.0.0.1:%d" % (place, port), tmp_path, capsys, "--only", groups)
    assert {id for id, verdict, _ in found if verdict == FAIL} == set(expected)
    for id, verdict, why in found:
        if verdict == FAIL:
            assert why.startswith(expected[id]), (id, why)
        if verdict == INCONCLUSIVE:
            assert why.startswith(UNSURE[id]), (id, why)
        if verdict == INAPPLICABLE:
            assert why, id
    assert sum(verdict == PASS for _, verdict, _ in found) >= 9


def test_without_a_public_client(peers, tmp_path, capsys):
    """What needs any association takes the one with a secret."""
    description = {"associations": DESCRIPTION["associations"][1:]}
    ids = "PMT_WRAPPER_P1,PMT_WRAPPER_P2,APPL_OPEN_12,COSEM_MANDATORY,APPL_OPEN_4"
    with gurux(peers, "wrapper") as port:
        place = "tcp://127.0.0.1:%d" % port
        found = played(place, tmp_path, capsys, "--case", ids, description=description)
    assert {id: verdict for id, verdict, _ in found if id != "COSEM_LIST"} == {
        "PMT_WRAPPER_P1": PASS, "PMT_WRAPPER_P2": PASS, "APPL_OPEN_12": PASS,
        "COSEM_MANDATORY": PASS, "APPL_OPEN_4": FAIL,
    }  # fmt: skip
