# SPDX-License-Identifier: MIT
"""A network on a power line, simulated: discrete events, a virtual clock, and chance from a seed.

    network.py    the clock, nodes, links that lose frames in bursts; what a medium is
    sfsk.py       the rules of S-FSK's medium: slots, credits, repetitions; its modem
    initiator.py  a concentrator: finds meters, registers them, asks them
    lon.py        the rules of a medium for ISO/IEC 14908; a modem, a concentrator, an agent
    mesh.py       the rules of one for PRIME and G3: ways, retries, registration; its modem
    head.py       what is at the head of such a network, with a client
    prime.py, g3.py   service nodes and a base node; devices and a coordinator
    meters.py     meters around the real server and the real profile

Rules of a medium, nodes, and profiles know nothing of each other: another profile brings its
medium and its modem.
"""
