"""UDP echo with asyncio. `--uvloop`: on that loop."""

import asyncio
import sys


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def main():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    print("listening on %s:%d" % transport.get_extra_info("sockname"), flush=True)
    await asyncio.Event().wait()


if "--uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(main())
