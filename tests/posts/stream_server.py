"""A server of live streams on loopback, run as a process of its own.

Run it with `python stream_server.py SCRIPT PORT`. The script (JSON) states what it sends and how it
fails:

    kind        "jetstream" or "mastodon"
    events      what it has sent so far, oldest first
                (Jetstream: with time_us; Mastodon: [event, data])
    drop_after  abort each connection after this number of messages (0: never)
    repeat      how often to send each message
    shuffle     the size of blocks of messages that are sent in reverse
    oldest      Jetstream: refuse cursors before this time (`too_old: "refuse"`), or move them up
                to it (`"move"`)
    refuses     Jetstream: answer every connection with this status
    busy        how many first connections to answer with 503 and Retry-After: 0
    noise       messages in between that are no events

A Mastodon server has statuses `statuses` in its timeline, by id.
"""

import asyncio
import json
import sys
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve


async def jetstream(script: dict, port: int) -> None:
    busy = [script.get("busy", 0)]

    def refuse(connection, request):
        if script.get("refuses"):
            return connection.respond(HTTPStatus(script["refuses"]), "no\n")
        cursor = _cursor(request.path)
        if busy[0] > 0:
            busy[0] -= 1
            response = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "busy\n")
            response.headers["Retry-After"] = "0"
            return response
        if (
            cursor is not None
            and cursor < script.get("oldest", 0)
            and script.get("too_old") == "refuse"
        ):
            return connection.respond(HTTPStatus.BAD_REQUEST, "CursorTooOld\n")
        return None

    async def send_events(connection) -> None:
        cursor = max(_cursor(connection.request.path) or 0, script.get("oldest", 0))
        messages = [json.dumps(e) for e in script["events"] if e["time_us"] >= cursor]
        messages = _arranged(messages, script)
        drop = script.get("drop_after", 0)
        for number, message in enumerate(messages, 1):
            await connection.send(message)
            if drop and number == drop:
                connection.transport.abort()
                return
        await connection.wait_closed()

    async with serve(
        send_events, "127.0.0.1", port, process_request=refuse, max_size=None
    ) as server:
        await _ready(server.sockets[0])


def _cursor(path: str) -> int | None:
    found = parse_qs(urlsplit(path).query).get("cursor")
    return int(found[0]) if found else None


def _arranged(messages: list[str], script: dict) -> list[str]:
    block = script.get("shuffle", 1)
    turned = [
        m
        for start in range(0, len(messages), block)
        for m in reversed(messages[start : start + block])
    ]
    noise = script.get("noise", [])
    noisy = [
        m
        for number, message in enumerate(turned)
        for m in ([*noise, message] if number == 1 else [message])
    ]
    return [m for m in noisy for _ in range(script.get("repeat", 1))]


async def mastodon(script: dict, port: int) -> None:
    busy = [script.get("busy", 0)]
    connections = [0]

    async def answer(reader, writer) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = request.split(" ")[1]
        if busy[0] > 0:
            busy[0] -= 1
            writer.write(
                b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: "
                b"close\r\n\r\n"
            )
        elif script.get("token") and f"Bearer {script['token']}" not in request:
            writer.write(b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif path.startswith("/api/v1/timelines/public"):
            least = int(parse_qs(urlsplit(path).query)["min_id"][0])
            found = [s for s in script.get("statuses", []) if int(s["id"]) > least][:40]
            body = json.dumps(found[::-1]).encode()
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                f"{len(body)}\r\n"
            )
            writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        else:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: "
                b"close\r\n\r\n:thump\n\n"
            )
            sent = (
                script["events"][connections[0]] if connections[0] < len(script["events"]) else []
            )
            connections[0] += 1
            for kind, data in sent:
                writer.write(f"event: {kind}\ndata: {data}\n\n".encode())
            await writer.drain()
            if connections[0] >= len(script["events"]):
                await asyncio.sleep(600)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with server:
        await _ready(server.sockets[0])


async def _ready(socket) -> None:
    print(socket.getsockname()[1], flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    script = json.loads(open(sys.argv[1]).read())
    asyncio.run(
        {"jetstream": jetstream, "mastodon": mastodon}[script["kind"]](script, int(sys.argv[2]))
    )
