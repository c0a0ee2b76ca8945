//! The operator at a terminal, and what is seen there.

use socketserver_testkit::Python;

/// An operator at a terminal: `typed` is what keys send, `until` waits until words stand on the screen, in this order.
///
/// The terminal understands as much as a line editor needs. It has no end, and the oldest lines are forgotten.
const TERMINAL: &str = r"
import fcntl, os, pty, re, select, signal, socket, struct, subprocess, sys, termios, threading, time, unicodedata
keys, window = pty.openpty()
fcntl.ioctl(window, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
before = termios.tcgetattr(window)
rows, row, column, came, unread = [[]], 0, 0, b'', b''
def put(letter):
    global row, column
    width = 2 if unicodedata.east_asian_width(letter) in 'WF' else 1
    if column + width > 80:
        row, column = row + 1, 0
    while row >= len(rows):
        rows.append([])
    line = rows[row]
    line += ' ' * (column - len(line))
    line[column:column + width] = [letter] + [''] * (width - 1)
    column += width
def shown(text):
    global row, column, rows
    for control, count, command, letter in re.findall(r'(\x1b\[[?]?([0-9;]*)([A-Za-z]))|(.)', text, re.S):
        if letter == '\n':
            row += 1
        elif letter == '\r':
            column = 0
        elif letter:
            assert letter >= ' ' and not '\x7f' <= letter < '\xa0', repr(text)
            put(letter)
        elif command in 'ABCD':
            count = int(count or 1)
            row += {'A': -count, 'B': count}.get(command, 0)
            column += {'C': count, 'D': -count}.get(command, 0)
        elif command == 'K' and row < len(rows):
            del rows[row][column:]
        elif command == 'J' and row < len(rows):
            del rows[row][column:], rows[row + 1:]
        else:
            assert command in 'hlKJ', control
    while row >= len(rows):
        rows.append([])
    drop = max(0, len(rows) - 100)
    rows, row = rows[drop:], row - drop
def look(patience):
    global came, unread
    if not select.select([keys], [], [], patience)[0]:
        return False
    piece = os.read(keys, 4096)
    came += piece
    # A control sequence or a letter may be cut in two.
    whole = re.match(rb'(?s)(.*?)((\x1b(\[[?0-9;]*)?)|[\xc0-\xff][\x80-\xbf]{0,2})?\Z', unread + piece)
    unread = whole[2] or b''
    shown(whole[1].decode())
    return True
def screen():
    return '\n'.join(''.join(line) for line in rows)
def until(*words):
    end = time.monotonic() + 30
    while not re.search('.*'.join(map(re.escape, words)), screen(), re.S):
        assert look(max(0, end - time.monotonic())), (words, screen())
def typed(text):
    os.write(keys, text.encode())
def start(*args, term='xterm'):
    global rows, row, column, came
    rows, row, column, came = [[]], 0, 0, b''
    return subprocess.Popen([sys.argv[1], 'serve', 'talk', ':0', *args], stdin=window, stdout=window, stderr=window,
                            start_new_session=True, env={**os.environ, 'TERM': term},
                            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
def listening():
    until('listening on tcp://127.0.0.1:', '\n')
    return int(re.search(r'listening on tcp://127.0.0.1:(\d+)', screen())[1])
def peer(port):
    s = socket.create_connection(('127.0.0.1', port))
    s.settimeout(30)
    return s
def ended(status):
    # Somebody has to read what it still says.
    while server.poll() is None:
        look(0.01)
    while look(0):
        pass
    assert server.returncode == status, (server.returncode, screen())
    assert termios.tcgetattr(window) == before
server = None
";

fn at_a_terminal(python: &Python, program: &str) {
    let indented: String = program.lines().map(|line| format!("    {line}\n")).collect();
    let program = format!("{TERMINAL}\ntry:\n{indented}\nfinally:\n    if server: server.kill()\n");
    python.program(&program, &[env!("CARGO_BIN_EXE_socketserver")]);
}

#[test]
fn an_operator_at_a_terminal() {
    let Some(python) = Python::find() else { return };
    at_a_terminal(
        &python,
        r"
server = start()
port = listening()
until('\nto nobody> ')
one = peer(port)
until('1 127.0.0.1:', ' has come; 1 open\n', '\nto 1> ')
# A message comes in the middle of a line.
typed('hel')
until('\nto 1> hel')
one.sendall(b'\x1b[31mexcuse me\x1b[m')
until('\n[1 127.0.0.1:', r'] \u{1b}[31mexcuse me\u{1b}[m', '\nto 1> hel')
assert screen().count('to 1> hel') == 1 and b'\x1b[31m' not in came, came
typed('lo 你好\r')
assert one.recv(1024).decode() == 'hello 你好'
# Another one, who is to be chosen.
two = peer(port)
until('2 127.0.0.1:', ' has come; 2 open')
two.sendall(b'and me')
until('] and me')
typed('/2\r')
until('what you type goes to 2 127.0.0.1:', '\nto 2> ')
typed('oops\x7f\x7f\x7f\x7fwelcome\r')
assert two.recv(1024) == b'welcome'
# What is pasted is one message.
typed('\x1b[200~a\nb\x1b[201~\r')
assert two.recv(1024) == b'a\nb'
# The chosen one leaves in the middle of a line, and the prompt says so.
typed('for two')
until('\nto 2> for two')
two.close()
until('to whom you talked, has left', '\nto nobody> for two')
typed('\r')
until('nobody is chosen, so this was not sent')
typed('/1\r')
until('what you type goes to 1 ', '\nto 1> ')
typed('still there?\r')
assert one.recv(1024) == b'still there?'
# Ctrl-D ends nothing.
typed('\x04')
until('`/quit` or Ctrl-C stops the server')
typed('yes\r')
assert one.recv(1024) == b'yes'
typed('/quit\r')
assert one.recv(1024) == b''
ended(0)
until('\nstopped served=2 cut=0\n')
",
    );
}

#[test]
fn a_key_and_signals_end_it_and_the_terminal_is_as_it_was() {
    let Some(python) = Python::find() else { return };
    at_a_terminal(
        &python,
        r"
# With a line that was begun.
for stop in [lambda: typed('\x03'), lambda: server.send_signal(signal.SIGINT), lambda: server.send_signal(signal.SIGTERM)]:
    server = start()
    one = peer(listening())
    one.sendall(b'hello')
    until('] hello')
    typed('begun')
    until('\nto 1> begun')
    stop()
    assert one.recv(1024) == b''
    one.close()
    ended(0)
    until('\nstopped served=1 cut=0\n')
",
    );
}

#[test]
fn a_flood_does_not_keep_the_operator_from_typing() {
    let Some(python) = Python::find() else { return };
    at_a_terminal(
        &python,
        r"
server = start()
one = peer(listening())
until('\nto 1> ')
def flood():
    try:
        while True:
            one.sendall(b'flood\n' * 10)
    except OSError:
        pass
flooding = threading.Thread(target=flood, daemon=True)
flooding.start()
until('] flood')
typed('/close\r')
# It is too much to look at.
tail = b''
while b', to whom you talked, has left' not in tail:
    assert select.select([keys], [], [], 30)[0]
    tail = tail[-100:] + os.read(keys, 4096)
typed('/quit\r')
ended(0)
",
    );
}

#[test]
fn a_terminal_that_cannot_edit_takes_plain_lines() {
    let Some(python) = Python::find() else { return };
    at_a_terminal(
        &python,
        r"
server = start(term='dumb')
one = peer(listening())
one.sendall(b'hello')
until('] hello')
typed('hi\n')
assert one.recv(1024) == b'hi'
server.send_signal(signal.SIGINT)
assert one.recv(1024) == b''
ended(0)
",
    );
}

#[test]
fn what_would_command_the_terminal_is_refused() {
    let Some(python) = Python::find() else { return };
    at_a_terminal(
        &python,
        r"
server = start('--raw')
ended(2)
until('`--raw` is for pipes and files alone')
",
    );
}
