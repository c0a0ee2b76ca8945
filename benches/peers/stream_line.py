"""Echoes lines: socketserver.ThreadingTCPServer with a StreamRequestHandler, as its documentation has it."""

import socketserver


class EchoLines(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """A client that resets is how these measurements end, not something to print a traceback for."""


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), EchoLines) as server:
        print("listening on %s:%d" % server.server_address, flush=True)
        server.serve_forever()
