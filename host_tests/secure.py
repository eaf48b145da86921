# SPDX-License-Identifier: MIT
"""The client of tools/conforming with the keys and titles of the tests' definitions."""

from conforming import client
from conforming.client import AE, DED, GLO, A, E, gcm, length, take_length  # noqa: F401

GUEK = bytes(range(16))
SECOND_GUEK, THIRD_GUEK = bytes(range(0x20, 0x30)), bytes(range(0x30, 0x40))
# What the definitions have for clients of the second and third Security setup.
GUEKS = {41: SECOND_GUEK, 51: THIRD_GUEK, 52: THIRD_GUEK, 53: THIRD_GUEK, 54: THIRD_GUEK,
         57: THIRD_GUEK}  # fmt: skip
GAK = bytes(range(0xD0, 0xE0))
GBEK = bytes(range(15, -1, -1))
KEK = bytes(range(0, 256, 17))
SERVER_TITLE = b"PMT\0\0\0\0\1"
TITLE = b"CLI\0\0\0\0\7"


class Client(client.Client):
    """guek: that of the client SAP if it is not said."""

    meter_title = SERVER_TITLE  # the meter that is talked to

    def __init__(self, talk, mechanism=5, context=3, kind="glo", sc=AE, secret=b"", guek=None,
                 gak=GAK, title=TITLE, ic=0, dedicated=None, challenge=None, suite=0,
                 meter_title=SERVER_TITLE):  # fmt: skip
        if guek is None:
            guek = GUEKS.get(getattr(talk, "client", 0), GUEK)
        super().__init__(
            talk, mechanism, context, kind, sc, secret, guek, gak, title, ic, dedicated,
            challenge, suite, meter_title,
        )  # fmt: skip
