# SPDX-License-Identifier: MIT
"""A PC with MicroPython's unix port, or CPython.

Connect: clients           TCP and UDP port 4059: the wrapper; TCP port 4060: HDLC
         serial line       tools/meter.py run --hdlc-pty PATH
"""

PORT = "unix"

# (kind, host, port number): what tools/meter.py opens unless told otherwise
LINKS = (
    ("wrapper-tcp", "127.0.0.1", 4059),
    ("wrapper-udp", "127.0.0.1", 4059),
    ("hdlc-tcp", "127.0.0.1", 4060),
)

# Folder for what the meter keeps; None: nothing. tools/meter.py run --state FOLDER
STATE = None
