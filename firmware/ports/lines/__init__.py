# SPDX-License-Identifier: MIT
"""What a runtime knows of a serial line, beside its octets: rate, direction, what was lost. For
links of links/line.py; apart from the ports, so that only they load it.

    open_uart(number, baud, even) -> stream   as uart() of a port, with the receive buffer that
                                        overruns() knows, and even parity, or none
    open_usb() -> stream | None         the second USB serial port of a board: usb_cdc.data, or
                                        pyb.USB_VCP(1), or what boot.py has kept as
                                        usb.device.meter; None: there is none
    driver(number) -> pin | None        the pin that switches a half-duplex transceiver to sending:
                                        pin.set(on); None: there is none, or the runtime does it
    set_rate(stream, baud)              OSError: the line has no such rate
    is_sending(stream)                  are octets that were written still leaving? False also
                                        where nobody can say
    overruns(stream) -> n               times that octets were lost for want of room since it was
                                        asked last, where that can be known

is_sending and overruns allocate nothing on MicroPython.
"""

import sys

if sys.implementation.name == "circuitpython":
    from firmware.ports.lines.circuitpython import (
        driver,
        is_sending,
        open_uart,
        open_usb,
        overruns,
        set_rate,
    )
elif sys.implementation.name == "micropython":
    from firmware.ports.lines.micropython import (
        driver,
        is_sending,
        open_uart,
        open_usb,
        overruns,
        set_rate,
    )
else:
    from firmware.ports.lines.cpython import (
        driver,
        is_sending,
        open_uart,
        open_usb,
        overruns,
        set_rate,
    )

__all__ = ("driver", "is_sending", "open_uart", "open_usb", "overruns", "set_rate")
