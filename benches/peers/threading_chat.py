"""A chat: each line that somebody says goes to all others; socketserver.ThreadingTCPServer."""

import socketserver
import threading

members = set()
lock = threading.Lock()


class Member(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        with lock:
            self.wfile.write(b"welcome\n")
            members.add(self)
        try:
            for line in self.rfile:
                with lock:
                    for other in members:
                        if other is not self:
                            other.wfile.write(line)
        finally:
            with lock:
                members.discard(self)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """A client that resets is how these measurements end, not something to print a traceback for."""


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Member) as server:
        print("listening on %s:%d" % server.server_address, flush=True)
        server.serve_forever()
