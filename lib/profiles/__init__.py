# SPDX-License-Identifier: MIT
"""Communication profiles: what lies between the application layer and octets. Sans-IO."""
