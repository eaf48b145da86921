# SPDX-License-Identifier: MIT
"""Ports of MicroPython that tools/images.py builds, a module each:

PACKAGES   {program or file: packages that have it}
IMAGE      name of the file that a build gives
HEAP       octets of the heap, unless the caller says another number; 0: it is what is left
refused(board)    why the image of a board of this port cannot be built of packages, or None
build(order, path, source, make)   make the image at path; see images.Order;
                                   source(name): folder of a package's source
                                   make(args, why, ...): run make, or another program
"""
