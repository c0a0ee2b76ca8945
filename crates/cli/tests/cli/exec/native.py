import hmac, struct

HELLO, AUTH, RUN, STDOUT, STDERR, EXIT, REFUSED = range(1, 8)
NONE, CREDENTIALS, CERTIFICATE, TOKEN = 1, 2, 4, 8
OPENING = b'SSEXEC\0\1'

def frame(kind, payload=b''):
    return struct.pack('>BI', kind, len(payload)) + payload

def say(s, kind, payload=b''):
    s.sendall(frame(kind, payload))

def hear(s):
    kind, length = struct.unpack('>BI', exactly(s, 5))
    return kind, exactly(s, length)

# The methods and the nonce that a server greets with.
def greeting(s):
    s.sendall(OPENING)
    assert exactly(s, 8) == OPENING
    kind, payload = hear(s)
    assert kind == HELLO and len(payload) == 33, (kind, payload)
    return payload[0], payload[1:]

def mac(side, token, methods, server, client, exporter=None):
    words = f'socketserver-exec 1 {side} {"plain" if exporter is None else "tls"}\0'.encode()
    return hmac.new(token, words + bytes([methods]) + server + client + (exporter or b''), 'sha256').digest()

# What proves that the token is known.
def proof(token, methods, server, client):
    return bytes([TOKEN]) + client + mac('client', token, methods, server, client)

# Proves who is there, and has the server do so.
def enter(s, token=None):
    methods, server = greeting(s)
    if token is None:
        say(s, AUTH, bytes([CREDENTIALS if methods & CREDENTIALS else NONE]))
        assert hear(s) == (AUTH, b'')
    else:
        client = os.urandom(32)
        say(s, AUTH, proof(token, methods, server, client))
        assert hear(s) == (AUTH, mac('server', token, methods, server, client))
    return s

def request(*words):
    words = [word.encode() for word in words]
    return struct.pack('>H', len(words)) + b''.join(struct.pack('>I', len(word)) + word for word in words)

# What a command says, and how it ends: (stdout, stderr, (fate, number, flags, left)), or what is said in place of that.
def result(s):
    said = {STDOUT: b'', STDERR: b''}
    while True:
        kind, payload = hear(s)
        if kind == EXIT:
            return said[STDOUT], said[STDERR], struct.unpack('>BiBIQ', payload)[:4]
        if kind == REFUSED:
            return payload[0], payload[1:].decode()
        said[kind] += payload

def run(s, *words):
    say(s, RUN, request(*words))
    return result(s)
