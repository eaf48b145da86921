# SPDX-License-Identifier: MIT
"""Serves the page and its WebSocket: to whom, and what it may ask for.

    GET /                     the page. Host must be an address of this machine, or a name that
                              was asked for: a name that leads here by a trick (DNS rebinding) is
                              refused
    GET /live?token=...       the WebSocket. Origin must be this page's own, the token the one that
                              this page has, another with each start

Refusals are status 403 and a sentence. Messages of the browser are JSON, one command each:

    {"do": "key", "name": "display" | "disconnector"}
    {"do": "fault", "link": kind or "", "fault": "crc" | "drop" | "delay", "n": answers, or ms}
    {"do": "mend"}
    {"do": "tree", "n": number of a line}
    {"do": "profile", "id": id or ""}

What is none of these is answered with {"said": a sentence}. Frames go out at most 60 times a
second, and only when the browser has taken the last one.

Who connects and asks for nothing, or does not answer a ping, is let go of. Beyond so many
connections at a time more are closed at once.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
import secrets

from aiohttp import WSMsgType, web

from live.bundle import bundle

_FRAME_S = 1 / 60
_LONGEST = 4096  # octets of a browser's message
_CLOSE_S = 2
_PATIENCE_S = 20  # a browser that has not answered a ping for so long is gone
_SILENT_S = 10  # between connecting, or the last request, and the next one
_MOST = 100  # connections
_BACKLOG = 16  # of them are taken at once


class _Full(asyncio.Protocol):
    def connection_made(self, transport):
        transport.abort()


class Server:
    """commands: {word: function(view, message)}, which raises ValueError with a sentence."""

    def __init__(self, hub, commands, host="127.0.0.1"):
        self.hub = hub
        self.token = secrets.token_urlsafe(24)
        self._commands = commands
        self._names = {host.lower(), "localhost"}
        self._page, self._policy = bundle(self.token)
        self._sockets = set()
        self._silent = set()  # connections without a request
        self._runner = None
        self._listener = None

    # --- Who may ------------------------------------------------------------------------------

    def _knows(self, host):
        """Is this Host one that nobody else can point here?"""
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def _refusal(self, request):
        if not self._knows(request.headers.get("Host", "")):
            return "This page is served under addresses of this machine only."
        return None

    def _refusal_live(self, request):
        sentence = self._refusal(request)
        if sentence:
            return sentence
        if request.headers.get("Origin") != "http://" + request.headers["Host"]:
            return "Only the meter's own page may ask for this."
        token = request.query.get("token", "")
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return "This page is of an earlier start of the meter: load it again."
        return None

    # --- What they get ------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request, handler):
        self._silent.discard(request.protocol)
        sentence = self._refusal(request)
        if sentence:
            return web.Response(status=403, text=sentence + "\n")
        try:
            return await handler(request)
        except web.HTTPException as e:
            return web.Response(status=e.status, text="%s\n" % e.reason)
        except (ConnectionError, RuntimeError):
            return web.Response(status=400, text="This request cannot be answered.\n")

    async def _index(self, request):
        headers = {
            "Content-Security-Policy": self._policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        return web.Response(text=self._page, content_type="text/html", headers=headers)

    async def _live(self, request):
        sentence = self._refusal_live(request)
        if sentence:
            return web.Response(status=403, text=sentence + "\n")
        socket = web.WebSocketResponse(
            max_msg_size=_LONGEST, heartbeat=_PATIENCE_S, compress=False, timeout=_CLOSE_S
        )
        await socket.prepare(request)
        view = self.hub.open()
        self._sockets.add(socket)
        sender = asyncio.create_task(self._send(socket, view))
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._obey(view, message.data)
                else:
                    view.tell(said="What a browser says here is text.")
        finally:
            sender.cancel()
            self.hub.close(view)
            self._sockets.discard(socket)
        return socket

    def _obey(self, view, text):
        try:
            message = json.loads(text)
            command = self._commands[message["do"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            view.tell(said="This is no command.")
            return
        try:
            command(view, message)
        except ValueError as e:
            view.tell(said=str(e))
        except (KeyError, TypeError):
            view.tell(said="This command is not whole.")

    async def _send(self, socket, view):
        """What is new, frame by frame; waits while this browser has not taken the last one."""
        news = asyncio.Event()
        view.wake = news.set
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                message = view.take()
                if message is not None:
                    await socket.send_str(json.dumps(message, separators=(",", ":")))
                    await asyncio.sleep(_FRAME_S)
                await news.wait()
                news.clear()

    # --- From its start to its end ------------------------------------------------------------

    async def start(self, host, port):
        """Begin to serve; the port. OSError: it cannot be had."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_get("/live", self._live)
        # What is no HTTP is answered, and is not worth a traceback on the terminal of the meter.
        quiet = logging.getLogger("picometer.page")
        quiet.setLevel(logging.CRITICAL + 1)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=quiet,
            handle_signals=False,
            shutdown_timeout=_CLOSE_S,
            keepalive_timeout=_SILENT_S,
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connection, host, port, backlog=_BACKLOG)
        return self._listener.sockets[0].getsockname()[1]

    def _connection(self):
        if len(self._runner.server.connections) >= _MOST:
            return _Full()
        connection = self._runner.server()
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(_SILENT_S, self._drop_if_silent, connection)
        return connection

    def _drop_if_silent(self, connection):
        if connection in self._silent:
            self._silent.discard(connection)
            connection.force_close()

    async def stop(self):
        if self._listener is not None:
            self._listener.close()
        for socket in list(self._sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
