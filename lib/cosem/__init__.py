# SPDX-License-Identifier: MIT
"""COSEM object model (IEC 62056-6-2): tables, image, and one module per class that behaves."""
