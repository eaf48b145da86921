# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""COSEM object model and interface classes. Made by tools/package.py."""

metadata(
    description="COSEM object model and interface classes",
    version="0.1.0",
    license="MIT",
)
add_library("picometer", "..")
require("dlms", library="picometer")
require("crypto", library="picometer")
package(
    "cosem",
    files=(
        "__init__.py",
        "access_rights.py",
        "association_ln.py",
        "association_sn.py",
        "calendar.py",
        "certificate_fields.py",
        "class_modules.py",
        "clock.py",
        "compact_capture.py",
        "compact_data.py",
        "data_protection.py",
        "demand_register.py",
        "disconnect_control.py",
        "envelope.py",
        "handler.py",
        "key_agreement.py",
        "key_places.py",
        "key_transfer.py",
        "link_setup.py",
        "model.py",
        "notifier.py",
        "port_protection.py",
        "profile_columns.py",
        "profile_compact_array.py",
        "profile_compression.py",
        "profile_generic.py",
        "profile_order.py",
        "profile_range.py",
        "profile_selection.py",
        "protected.py",
        "push_list.py",
        "push_setup.py",
        "push_terms.py",
        "register.py",
        "register_activation.py",
        "register_monitor.py",
        "sap_assignment.py",
        "script_table.py",
        "security_certificates.py",
        "security_methods.py",
        "security_setup.py",
        "single_action_schedule.py",
        "slots.py",
        "users.py",
        "windows.py",
    ),
    base_path="..",
    opt=2,
)
