import atexit, os, select, socket, sys, tempfile, time
socket.setdefaulttimeout(30)
address = sys.argv[1]

def connect(source=None):
    if address.startswith('unix:'):
        s = socket.socket(socket.AF_UNIX)
        s.connect(address[5:])
        return s
    if address.startswith('unixgram:'):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = tempfile.mktemp()
        s.bind(name)
        atexit.register(os.unlink, name)
        s.connect(address.removeprefix('unixgram:'))
        return s
    if address.startswith('seqpacket:'):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(address.removeprefix('seqpacket:').replace('@', '\0', 1))
        return s
    scheme, _, at = address.partition('://')
    host, port = at.rsplit(':', 1)
    there = host.strip('[]'), int(port)
    if scheme == 'udp':
        s = socket.socket(socket.AF_INET6 if ':' in there[0] else socket.AF_INET, socket.SOCK_DGRAM)
        if source:
            s.bind((source, 0))
        s.connect(there)
        return s
    return socket.create_connection(there, source_address=source and (source, 0))

def exactly(s, count):
    data = b''
    while len(data) < count:
        piece = s.recv(count - len(data))
        assert piece, f'the end after {data!r}'
        data += piece
    return data

def everything(s):
    data = b''
    while piece := s.recv(65536):
        data += piece
    return data

def ask(s, packet):
    s.send(packet)
    return s.recv(65536)
