# SPDX-License-Identifier: MIT
"""DLMS/COSEM application layer (IEC 62056-5-3), server side, without input or output."""
