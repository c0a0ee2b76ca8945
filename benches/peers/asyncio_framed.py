"""Echoes messages with a length of 4 bytes before each: asyncio's streams. `--uvloop`: on that loop."""

import asyncio
import struct
import sys

LENGTH = struct.Struct(">I")


async def echo(reader, writer):
    try:
        while True:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            message = await reader.readexactly(length)
            writer.write(LENGTH.pack(len(message)) + message)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=4096)
    print("listening on %s:%d" % server.sockets[0].getsockname(), flush=True)
    await server.serve_forever()


if "--uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(main())
