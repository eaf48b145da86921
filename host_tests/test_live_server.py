# SPDX-License-Identifier: MIT
"""tools/live/server.py, hub.py, bundle.py: who may use the page, and what slow browsers miss."""

import asyncio
import contextlib
import re

import aiohttp
import pytest
from live import bundle
from live import server as servers
from live.hub import Hub
from live.server import Server

LINE = {"n": 1, "text": "a line"}


class Served:
    """A page on a free port; get() and live() as a browser that is told to say what it says."""

    def __init__(self):
        self.hub = Hub({"name": "a meter"})
        self.asked = []
        self.server = Server(self.hub, {"key": self._key}, "bench.example")

    def _key(self, view, message):
        if message["name"] == "none":
            raise ValueError("There is no such key.")
        self.asked.append(message["name"])

    async def __aenter__(self):
        self.port = await self.server.start("127.0.0.1", 0)
        self.host = "127.0.0.1:%d" % self.port
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        await self.session.close()
        await self.server.stop()

    async def get(self, path="/", **headers):
        async with self.session.get("http://" + self.host + path, headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers

    def live(self, token=None, origin=None, host=None):
        headers = {"Host": host or self.host}
        if origin != "":
            headers["Origin"] = origin or "http://" + headers["Host"]
        url = "http://%s/live?token=%s" % (
            self.host,
            self.server.token if token is None else token,
        )
        return self.session.ws_connect(url, headers=headers)


def run(test):
    async def limited():
        async with Served() as served, asyncio.timeout(20):
            await test(served)

    asyncio.run(limited())


async def said(socket):
    """The next message that says something."""
    while True:
        message = await socket.receive_json()
        if "said" in message:
            return message["said"]


# --- Who may --------------------------------------------------------------------------------


def test_the_page_forbids_all_outside_addresses():
    async def test(served):
        status, text, headers = await served.get()
        assert status == 200 and served.server.token in text
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "connect-src 'self'" in policy and "unsafe" not in policy
        # Addresses in it are names of XML's vocabularies and of the chart's author in a comment.
        found = set(re.findall(r"https?://[^\s\"'`)]+", text))
        assert found <= {"http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"}
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"'](?!data:)", text)

    run(test)


def test_its_parts_are_put_in_as_they_are():
    page, _policy = bundle.bundle("a token")
    assert "{{" not in page.replace("{{}}", "") and "uPlot" in page and 'content="a token"' in page


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_name_that_leads_here_by_a_trick(host):
    async def test(served):
        status, text, _ = await served.get(Host=host)
        assert status == 403 and "addresses of this machine" in text
        with pytest.raises(aiohttp.WSServerHandshakeError) as e:
            await served.live(host=host or "x.example")
        assert e.value.status == 403

    run(test)


@pytest.mark.parametrize("host", ["localhost", "[::1]", "192.0.2.7", "bench.example"])
def test_names_of_this_machine(host):
    async def test(served):
        assert (await served.get(Host="%s:%d" % (host, served.port)))[0] == 200

    run(test)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", ""])
def test_the_page_of_somebody_else(origin):
    async def test(served):
        with pytest.raises(aiohttp.WSServerHandshakeError) as e:
            await served.live(origin=origin)
        assert e.value.status == 403

    run(test)


@pytest.mark.parametrize("token", ["", "x", "\u00e9"])
def test_a_page_of_an_earlier_start(token):
    async def test(served):
        with pytest.raises(aiohttp.WSServerHandshakeError) as e:
            await served.live(token=token)
        assert e.value.status == 403

    run(test)


def test_what_is_not_there_and_not_a_browser():
    async def test(served):
        assert (await served.get("/other"))[:2] == (404, "Not Found\n")
        status, text, _ = await served.get(
            "/live?token=" + served.server.token, Origin="http://" + served.host
        )
        assert status == 400 and "Traceback" not in text

    run(test)


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\xff" * 40, b"\0\1\0\x10\0\1\0\4" * 9 + b"\r\n"],
)
def test_what_is_no_http_is_refused_in_silence(octets, caplog, capsys):
    async def test(served):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(octets)
        assert (await reader.readline()).startswith(b"HTTP/1.")
        writer.close()
        assert (await served.get())[0] == 200

    run(test)
    assert not caplog.records and "Traceback" not in capsys.readouterr().err


# --- What it says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("{", "This is no command."),
        ("[]", "This is no command."),
        ('{"do": "other"}', "This is no command."),
        ('{"do": ["key"]}', "This is no command."),
        ("[" * 4000, "This is no command."),
        ('{"do": "key"}', "This command is not whole."),
        ('{"do": "key", "name": "none"}', "There is no such key."),
    ],
)
def test_what_is_no_command_gets_a_sentence(text, sentence):
    async def test(served):
        async with served.live() as socket:
            await socket.send_str(text)
            assert await said(socket) == sentence
            await socket.send_json({"do": "key", "name": "display"})
            await socket.send_bytes(b"\0")
            assert await said(socket) == "What a browser says here is text."
        assert served.asked == ["display"]

    run(test)


def test_a_message_that_is_too_long_ends_it():
    async def test(served):
        async with served.live() as socket:
            await socket.send_str("x" * 5000)
            while True:
                if (await socket.receive()).type != aiohttp.WSMsgType.TEXT:
                    break
        assert socket.close_code == 1009

    run(test)


def test_several_browsers_see_the_same():
    async def test(served):
        served.hub.set("display", "1.8.0")
        served.hub.add(LINE)
        async with served.live() as one, served.live() as other:
            for socket in (one, other):
                first = await socket.receive_json()
                assert first["facts"] == {"name": "a meter"} and first["talk"] == [LINE]
                assert first["set"] == {"display": "1.8.0"}
            served.hub.set("display", "2.8.0")
            for socket in (one, other):
                assert await socket.receive_json() == {"set": {"display": "2.8.0"}}
        async with asyncio.timeout(5):
            while served.hub.views:
                await asyncio.sleep(0.01)

    run(test)


def test_a_browser_that_does_not_read_keeps_nobody():
    """Its socket fills up; the meter's lines go on, and another browser has them all."""

    async def test(served):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=4096)
        writer.write(
            (
                "GET /live?token=%s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: MDEyMzQ1Njc4OUFCQ0RFRg==\r\n\r\n"
                % (served.server.token, served.host, served.host)
            ).encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        (slow,) = served.hub.views
        seen = []
        async with served.live() as socket:
            n = 0
            while not slow.lost:
                for _ in range(100):
                    n += 1
                    served.hub.add({"n": n, "text": "x" * 2000})
                while not seen or seen[-1] < n:
                    message = await socket.receive_json()
                    seen += [line["n"] for line in message.get("talk", ())]
                    assert "dropped" not in message
            assert seen == list(range(1, n + 1))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    run(test)


def test_a_browser_that_does_not_read_is_let_go_of(monkeypatch):
    monkeypatch.setattr(servers, "_PATIENCE_S", 0.4)

    async def test(served):
        async with served.live():  # whatever comes, a ping too, stays where it is
            assert served.hub.views
            while served.hub.views:
                served.hub.add({"n": 1, "text": "x" * 2000})
                await asyncio.sleep(0.01)

    run(test)


def test_who_asks_for_nothing_is_let_go_of(monkeypatch):
    """Before a request, in the middle of one, and after one."""
    monkeypatch.setattr(servers, "_SILENT_S", 0.3)

    async def test(served):
        for octets in (b"", b"GET / HTTP/1.1\r\nHost: ", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(octets)
            await reader.read()  # until it is closed
            writer.close()
        async with served.live() as socket:
            await asyncio.sleep(0.5)
            await socket.send_json({"do": "key", "name": "none"})
            assert await said(socket) == "There is no such key."

    run(test)


def test_so_many_connections_and_no_more(monkeypatch):
    monkeypatch.setattr(servers, "_MOST", 3)

    async def test(served):
        async with served.live() as socket:
            more = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(5)]
            ends = [await asyncio.wait_for(reader.read(), 20) for reader, _ in more[2:]]
            assert ends == [b""] * 3
            served.hub.set("display", "1.8.0")
            while "display" not in (await socket.receive_json()).get("set", {}):
                pass
            for _, writer in more:
                writer.close()
        while served.server._runner.server.connections:
            await asyncio.sleep(0.01)
        assert (await served.get())[0] == 200

    run(test)


# --- Hub ------------------------------------------------------------------------------------


def test_the_newest_of_each_value_and_how_many_lines_are_missing():
    hub = Hub({})
    view = hub.open()
    assert view.take() == {"facts": {}}
    assert view.take() is None
    for n in range(520):
        hub.set("display", n)
        hub.add(n)
    hub.miss(7)
    assert view.take() == {"set": {"display": 519}, "talk": list(range(20, 520)), "dropped": 27}
    hub.set("display", 519)  # nothing new
    assert view.take() is None
    hub.close(view)
    hub.add(520)
    assert view.take() is None
