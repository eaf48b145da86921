# SPDX-License-Identifier: MIT
"""Cases that a meter has to stand, and what plays them: tools/conformance.py.

case.py has what a case is, and its verdicts; hdlc.py, wrapper.py, optical.py, application.py,
objects.py, security.py, blocks.py and gbt.py have the cases of a group each (groups.py says which
others). Below them are
lines.py (octets), frames.py, wpdus.py and sign_on.py (links that carry APDUs) and client.py (a
client that opens associations and ciphers); target.py says who is asked, player.py plays, and
report.py, junit.py write what came of it.

Names of cases with HDLC_, APPL_, COSEM_ and SYMSEC_ are those of the abstract test suites of the
DLMS UA (1001-3 for HDLC, 1001-6 for the others). Public are their names and a line what each is
about; the steps are ours, made from the standards. Names with PMT_ are ours altogether. "[?]"
marks what a case may ask for and no public source says.
"""
