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
        "_field_ints.py",
        "_field_viper.py",
        "_gcm_host.py",
        "_gcm_loop.py",
        "_gcm_viper.py",
        "_p256.py",
        "_p384.py",
        "_points.py",
        "_sha2_k.py",
        "_sha2_loop.py",
        "_sha2_viper.py",
        "ccm.py",
        "certificate.py",
        "certificate_request.py",
        "cmac.py",
        "der.py",
        "ec.py",
        "field.py",
        "gcm.py",
        "gcm_stream.py",
        "hashes.py",
        "kdf.py",
        "keywrap.py",
        "old_hashes.py",
        "sha2.py",
    ),
    base_path="..",
    opt=2,
)
