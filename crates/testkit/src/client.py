import select, socket, sys, time
socket.setdefaulttimeout(30)
address = sys.argv[1]

def connect(source=None):
    if address.startswith('unix:'):
        s = socket.socket(socket.AF_UNIX)
        s.connect(address[5:])
        return s
    host, port = address.removeprefix('tcp://').rsplit(':', 1)
    return socket.create_connection((host.strip('[]'), int(port)), source_address=source and (source, 0))

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
