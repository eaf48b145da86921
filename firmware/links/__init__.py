# SPDX-License-Identifier: MIT
"""Links move octets between a port's streams and a profile, without blocking.

A link has `ready` (its streams have something; the poller sets it), open(poller), poll(now_ms),
wait_ms() (how long the loop may sleep on its behalf), close(), and `name`, `address` for the boot
line. Buffers are allocated when a link is made. Serving a request allocates nothing; accepting a
connection and each datagram do, since the sockets of the runtimes do.
"""
