# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""Primitives of the DLMS security suites, without I/O. Made by tools/package.py."""

metadata(
    description="Primitives of the DLMS security suites, without I/O",
    version="0.1.0",
    license="MIT",
)
package(
    "crypto",
    files=(
        "__init__.py",
        "_gcm_host.py",
        "_gcm_loop.py",
        "_gcm_viper.py",
        "gcm.py",
        "keywrap.py",
    ),
    base_path="..",
    opt=2,
)
