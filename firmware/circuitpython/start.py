# SPDX-License-Identifier: MIT
"""What code.py starts: the meter with the links and the storage that the board has.

    run()            as wiring.py and settings.toml say, until Ctrl-C

HDLC, or an optical port, on every UART of wiring.LINKS, HDLC on the second USB serial port if
boot.py has enabled it, the wrapper over TCP on wiring.TCP_PORT if settings.toml has a Wi-Fi
network. State goes to the folder wiring.STATE if the program may write to its drive, else to nvm,
else nowhere.
"""

import os

import microcontroller
import storage
import supervisor
import wiring
from micropython import const

from firmware import main
from firmware.ports import circuitpython as port

# Where tools/provision.py writes who the meter is.
_RECORD = "/provisioning.bin"

# Clients at a time: each costs memory for a long request.
_ASSOCIATIONS = const(4)


def links():
    """Links as main.py wants them, of those there are."""
    found = [list(link) for link in wiring.LINKS]
    if port.usb() is not None:
        found.append(["hdlc-usb", "usb_cdc.data", 0])
    ssid = os.getenv("CIRCUITPY_WIFI_SSID")
    if ssid and wiring.TCP_PORT:
        try:
            host = port.network(ssid, os.getenv("CIRCUITPY_WIFI_PASSWORD") or "")
        except ImportError:
            port.out("This board has no Wi-Fi; settings.toml names a network.")
        except (OSError, RuntimeError, ValueError) as e:
            # ConnectionError is an OSError; the others are what a wrong password's length raises.
            port.out("Cannot join the Wi-Fi network %s (%s). Going on without." % (ssid, e))
        else:
            found.append(["wrapper-tcp", host, wiring.TCP_PORT])
    return found


def state():
    """(folder or None, storage or None): where the meter keeps what it must not forget."""
    if wiring.STATE and not storage.getmount("/").readonly:
        return wiring.STATE, None
    why = "The drive belongs to the PC" if wiring.STATE else "wiring.py names no folder"
    from firmware.circuitpython.nvm import NVMStorage, SmallStorage

    if microcontroller.nvm is None:
        port.out(why + ": nothing is kept, and there is no nvm on this board.")
        return None, SmallStorage()
    port.out(why + ": values are kept in nvm, profiles are not kept.")
    return None, NVMStorage(microcontroller.nvm)


def record():
    """File that says who this meter is; None: it may do without, and has none."""
    if wiring.PROVISIONING:
        return _RECORD
    try:
        os.stat(_RECORD)
    except OSError:
        return None
    return _RECORD


def run(**options):
    # Files that a PC writes would end the meter.
    supervisor.runtime.autoreload = False
    folder, kept = state()
    wanted = {"definition": "definition", "links": links(), "state": folder, "storage": kept}
    wanted["provisioning"] = record()
    wanted["associations"] = _ASSOCIATIONS
    wanted["display"] = getattr(wiring, "DISPLAY", None)
    wanted.update(options)
    return main.run(wanted)
