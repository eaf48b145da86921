# SPDX-License-Identifier: MIT
"""What the setup objects of the definition say goes to the links and their profiles, when they
have been made and when a client has changed one of them: IEC local port setup (class_id 19), IEC
HDLC setup (class_id 23), TCP-UDP setup (class_id 41), IPv4 setup (class_id 42), M-Bus master port
setup (class_id 74) and NTP setup (class_id 100); of links over a power line, what plc.py has for
the profile. All links of a kind follow the first object of that class. Buffers keep the size that
they got at boot; after a start port numbers are those of the options.
"""

from micropython import const

_HDLC_SETUP = const(23)
_WINDOW_TX = const(3)
_WINDOW_RX = const(4)
_MAX_INFO_TX = const(5)
_MAX_INFO_RX = const(6)
_INTER_OCTET = const(7)
_INACTIVITY_HDLC = const(8)
_DEVICE_ADDRESS = const(9)

_TCP_UDP_SETUP = const(41)
_PORT = const(2)
_N_CONNECTIONS = const(5)
_INACTIVITY_TCP = const(6)

_IPV4_SETUP = const(42)
_MULTICAST_IP_ADDRESS = const(4)


def first(model, class_id):
    """Row of the first object of a class, or -1."""
    rows = model.rows(class_id)
    return rows[0] if rows else -1


def apply(model, links):
    """Hand what the setup objects say to the profiles of the links."""
    row = first(model, _HDLC_SETUP)
    if row >= 0:
        for link in links:
            if link.name[:4] == "hdlc" or link.name[:7] == "optical":
                for profile in link.profiles():
                    profile = getattr(profile, "hdlc", profile)
                    model.longest_info = min(model.longest_info, profile.capacity)
                    profile.configure(
                        model.get_int(row, _MAX_INFO_TX),
                        model.get_int(row, _MAX_INFO_RX),
                        model.get_int(row, _WINDOW_TX),
                        model.get_int(row, _WINDOW_RX),
                        model.get_int(row, _INTER_OCTET),
                        model.get_int(row, _INACTIVITY_HDLC),
                        model.get_int(row, _DEVICE_ADDRESS),
                    )
    row = first(model, _TCP_UDP_SETUP)
    if row >= 0:
        _move(model, row, [link for link in links if link.name[:7] == "wrapper"])
    row = first(model, _IPV4_SETUP)
    if row >= 0:
        addresses = _multicast(model, row)
        for link in links:
            if link.name == "wrapper-udp":
                link.join(addresses)
    row = first(model, _TCP_UDP_SETUP)
    if row >= 0:
        for link in links:
            if link.name[:7] == "wrapper":
                for profile in link.profiles():
                    profile.configure(model.get_int(row, _INACTIVITY_TCP))
                if link.name == "wrapper-tcp":
                    n = model.get_int(row, _N_CONNECTIONS)
                    places = len(link.profiles())
                    link.limit = n if 0 < n < places else places
    for link in links:
        if link.name == "ntp" or link.name == "mbus":
            link.configure()
        elif link.name[:4] == "plc-":
            link.configure(model)
        elif link.name[:7] == "optical":
            link.profiles()[0].renew()


def _move(model, row, links):
    """A client has set TCP-UDP_port: the links that know of it (see interface.py) go there. If
    none can, it is set to what it was."""
    links = [link for link in links if link.told is not None]
    number = model.get_int(row, _PORT) if links else 0
    for link in links:
        if link.told != number:
            if link.move(number):
                link.port.out(link.name + " " + link.address)
            else:
                link.port.out("cannot move %s to port %d" % (link.name, number))
                if link is links[0]:
                    number = link.number
                    model.put_int(row, _PORT, number)
            link.told = number


def _multicast(model, row):
    """multicast_IP_address, four octets each."""
    at = model.slot(row, _MULTICAST_IP_ADDRESS)
    if at < 0:
        return []
    # An array of double-long-unsigned; link_setup.py keeps it shorter than 128.
    return [
        bytes(model.image[at + 3 + 5 * k : at + 7 + 5 * k]) for k in range(model.image[at + 1])
    ]
