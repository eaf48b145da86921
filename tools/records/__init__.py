# SPDX-License-Identifier: MIT
"""Provisioning records: identity, secrets, keys and certificates of one meter, as a file on the PC
and as the octets that firmware/provisioning.py reads.

The file is TOML, its name the logical device name, and only its owner can read it:

    format, made, note, release           release = true: made for a meter that leaves the bench
    flag_id, serial_number, system_title  three letters, decimal digits, 8 octets
    maker_key           public key (64 octets) of whose firmware it takes, if anybody's
    [[device]]          server_sap, logical_device_name, serial_number
    [[secret]]          server_sap, client_sap, text        of an association with a shared secret
    [[security_setup]]  server_sap, logical_name; guek, gbek, gak, kek: 16 octets, 32 with suite 2
    [[certificate]]     server_sap, logical_name of its Security setup; entity (server, client,
                        authority), kind (sign, agree), system_title, certificate (X.509, base64);
                        private_key: the meter's own
    check               CRC-32 of all that is written to the meter

A Record never shows secrets or keys by itself: they are in `secrets`, `setups`, `certificates`.
Records of format 1 had no Security setups: what they have is kept, complete() adds the rest.

record      Record: its octets, its text
making      records for a definition: made, completed, held against it
files       where they are kept
connection  the connection sheet of a meter with one
"""

from .connection import sheet, sheet_text
from .files import (
    FOLDER,
    IN_STATE,
    ON_BOARD,
    find,
    load,
    paths,
    replace,
    save,
    shared,
    write_private,
)
from .making import client_title, complete, fits, flag, new, security_setups, shared_secrets
from .record import CURVES, DEMO_FLAG_ID, ENTITIES, KEYS, KINDS, Certificate, Record, from_octets

__all__ = (
    "CURVES", "DEMO_FLAG_ID", "ENTITIES", "FOLDER", "IN_STATE", "KEYS", "KINDS", "ON_BOARD",
    "Certificate", "Record", "client_title", "complete", "find", "fits", "flag", "from_octets",
    "load", "new", "paths", "replace", "save", "security_setups", "shared", "shared_secrets",
    "sheet", "sheet_text", "write_private",
)  # fmt: skip
