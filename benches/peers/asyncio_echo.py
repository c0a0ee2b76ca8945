"""Echoes chunks: an asyncio.Protocol. `--uvloop`: on that loop. `--tls FILE`: over TLS with the certificate and key in it."""

import argparse
import asyncio
import ssl


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main(tls):
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
    loop = asyncio.get_running_loop()
    # TCP_NODELAY is asyncio's default.
    server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096, ssl=context)
    print("listening on %s:%d" % server.sockets[0].getsockname(), flush=True)
    await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("--uvloop", action="store_true")
parser.add_argument("--tls")
options = parser.parse_args()
if options.uvloop:
    import uvloop

    uvloop.install()
asyncio.run(main(options.tls))
