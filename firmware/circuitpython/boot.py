# SPDX-License-Identifier: MIT
"""Runs once after a reset, before USB is there: who may write to the drive, and a serial port.

The meter may, so that it can keep its state; the PC sees the drive, but can only read it. Hold the
button of wiring.DRIVE_BUTTON while the board resets to have it the other way round, and change
files. What is printed here goes to boot_out.txt on the drive.
"""

import board
import digitalio
import storage
import wiring


def pressed(name):
    """Is the button at this pin (to ground) held?"""
    if not name:
        return False
    pin = digitalio.DigitalInOut(getattr(board, name))
    pin.switch_to_input(pull=digitalio.Pull.UP)
    held = not pin.value
    pin.deinit()
    return held


if not wiring.STATE:
    print("The drive belongs to the PC: wiring.py names no folder for state.")
elif pressed(wiring.DRIVE_BUTTON):
    print("The drive belongs to the PC, for the button is held.")
else:
    try:
        storage.remount("/", readonly=False)
        print("The drive belongs to the meter; the PC can read it.")
    except RuntimeError as e:
        print("The drive stays with the PC:", e)

try:
    import usb_cdc

    usb_cdc.enable(console=True, data=True)
    print("The second USB serial port is the meter's: HDLC.")
except (ImportError, AttributeError, RuntimeError, ValueError) as e:
    print("There is no second USB serial port:", e)
