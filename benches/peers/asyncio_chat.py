"""A chat: each line that somebody says goes to all others; asyncio's streams."""

import asyncio

writers = set()


async def talk(reader, writer):
    writer.write(b"welcome\n")
    writers.add(writer)
    try:
        async for line in reader:
            for other in writers:
                if other is not writer:
                    other.write(line)
    except ConnectionError:
        pass
    finally:
        writers.discard(writer)
        writer.close()


async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=4096)
    print("listening on %s:%d" % server.sockets[0].getsockname(), flush=True)
    await server.serve_forever()


asyncio.run(main())
