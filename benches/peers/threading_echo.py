"""Echoes chunks: socketserver.ThreadingTCPServer, a thread a connection, as its documentation has it."""

import socket
import socketserver


class Echo(socketserver.BaseRequestHandler):
    def setup(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """A client that resets is how these measurements end, not something to print a traceback for."""


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Echo) as server:
        print("listening on %s:%d" % server.server_address, flush=True)
        server.serve_forever()
