"""Echoes messages with a length of 4 bytes before each: a StreamRequestHandler with struct, read and write."""

import socketserver
import struct

LENGTH = struct.Struct(">I")


class EchoMessages(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while header := self.rfile.read(LENGTH.size):
            (length,) = LENGTH.unpack(header)
            message = self.rfile.read(length)
            self.wfile.write(LENGTH.pack(len(message)) + message)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """A client that resets is how these measurements end, not something to print a traceback for."""


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), EchoMessages) as server:
        print("listening on %s:%d" % server.server_address, flush=True)
        server.serve_forever()
