//! What stands below the arguments in the help of a command: addresses, framings, examples.

pub(crate) const TARGETS: &str = "\
Addresses:
  tcp://host:port, host:port   TCP
  udp://host:port              UDP
  :port, *:port                127.0.0.1
  host:22,80,8000-8010         several ports, 65535 targets in all at most
Times: 500ms, 2s, 5m; a bare number is seconds.
Examples:
  socketserver probe db.example:5432 --wait 30s     until the database takes connections
  socketserver probe udp://127.0.0.1:53 --send-hex 0000010000010000000000000000020001
                                                    a question that a name server answers
  socketserver probe 192.0.2.7:1-1024 --json";

pub(crate) const CALLED: &str = "\
Addresses:
  unix:/path, unix:@name       a Unix socket: the kernel says who asks
  127.0.0.1:port, :port        TCP on this machine
  tls://host:port              TLS over TCP, to anywhere
Times: 500ms, 2s, 5m; a bare number is seconds.
Examples:
  socketserver call unix:/run/exec.sock disk
  socketserver call tls://host.example:9000 tail web.log --token-file ~/exec.token";

pub(crate) const FRAMINGS: &str = "\
Framings:
  line, crlf                   a line
  u8, u16be, u32le, i32ne, …   a length of so many bits, then the message: in network byte order (be), in the other one
                               (le), or in that of this machine (ne)
  fixed=16                     messages of one length
  delimiter=\\r\\n\\r\\n           the message, then these bytes
  netstring, varint            `5:hello,`; a length as Protocol Buffers have it
  u32be,max=10k,inclusive      options follow: max, skip-oversized, offset, header, adjustment, strip, inclusive; or=\\n for
                               another delimiter";

pub(crate) const LISTENING: &str = "\
Addresses:
  tcp://host:port, host:port   TCP
  :port                        127.0.0.1
  *:port                       every address, IPv6 and IPv4
  tls://host:port              TLS over TCP
  unix:/path?mode=600          a Unix socket, with the mode of its file
  unix:@name                   an abstract Unix socket
  udp://host:port              UDP: each packet is answered by itself
  unixgram:/path, unixgram:@name
                               a Unix datagram socket
  ws://host:port/path          WebSocket, for `chat`; its page is at /
  wss://host:port/path         the same over TLS
  seqpacket:/path              a Unix socket that keeps messages apart, for `chat`
  fd:3                         a listening socket that the command was started with
Times: 500ms, 2s, 5m; a bare number is seconds. Counts: 200, 10k.
Blocks of addresses: 10.0.0.0/8, 192.0.2.7, 2001:db8::/32, several with commas between them.";

pub(crate) const TALKED_TO: &str = "\
Addresses:
  tcp://host:port, host:port   TCP
  :port, *:port                127.0.0.1
  tls://host:port              TLS over TCP
  unix:/path, unix:@name       a Unix socket
  udp://host:port              UDP: each line is a packet
  unixgram:/path, unixgram:@name
                               a Unix datagram socket
Times: 500ms, 2s, 5m; a bare number is seconds.";
