# SPDX-License-Identifier: MIT
"""Cryptographic primitives of the DLMS/COSEM security suites (IEC 62056-5-3), without I/O."""
