# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""DLMS application layer, server side, without I/O. Made by tools/package.py."""

metadata(
    description="DLMS application layer, server side, without I/O",
    version="0.1.0",
    license="MIT",
)
add_library("picometer", "..")
require("crypto", library="picometer")
package(
    "dlms",
    files=(
        "__init__.py",
        "_names_loop.py",
        "_names_viper.py",
        "_prim_host.py",
        "_prim_loop.py",
        "_prim_viper.py",
        "acse.py",
        "action.py",
        "agreed.py",
        "association.py",
        "axdr.py",
        "ber.py",
        "certificates.py",
        "ciphering.py",
        "descriptors.py",
        "exceptions.py",
        "gbt.py",
        "general.py",
        "get.py",
        "guard.py",
        "hls.py",
        "identified.py",
        "initiate.py",
        "marks.py",
        "names.py",
        "notification.py",
        "opening.py",
        "outbox.py",
        "prim.py",
        "read.py",
        "report.py",
        "secured.py",
        "secured_association.py",
        "security_work.py",
        "server.py",
        "set.py",
        "short_names.py",
        "stream.py",
        "types.py",
        "variables.py",
        "write.py",
    ),
    base_path="..",
    opt=2,
)
