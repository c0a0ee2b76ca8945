//! What is seen at a terminal while a load goes on.

use super::echo;
use socketserver_testkit::Python;

/// A terminal with so many columns, and what came there: `lines` are those that were drawn one over the other.
const TERMINAL: &str = r"
import fcntl, os, pty, re, select, struct, subprocess, sys, termios, time
keys, window = pty.openpty()
came = b''
def size(columns):
    fcntl.ioctl(window, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
def look(patience):
    global came
    if select.select([keys], [], [], patience)[0]:
        came += os.read(keys, 65536)
def until(pattern):
    end = time.monotonic() + 30
    while not re.search(pattern, came.decode(errors='replace')):
        left = end - time.monotonic()
        assert left > 0, (pattern, came)
        look(left)
def lines():
    return came.decode().split('\r\x1b[K')[1:]
def start(*args, term='xterm', stdout=window):
    global came
    came = b''
    return subprocess.Popen([sys.argv[1], 'load', sys.argv[2], '-c', '3', *args], stdin=window, stdout=stdout, stderr=window,
                            start_new_session=True, env={**os.environ, 'TERM': term},
                            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
def ended(load, status):
    global came
    # Somebody has to read what it still says.
    while load.poll() is None:
        look(0.01)
    # A terminal hands on in its own time: all that was said is there once this is.
    os.write(window, b'\0')
    while not came.endswith(b'\0'):
        look(30)
    came = came[:-1]
    assert load.returncode == status, (load.returncode, came)
load = None
";

fn at_a_terminal(program: &str) {
    let Some(python) = Python::find() else { return };
    let server = echo(":0");
    let indented: String = program.lines().map(|line| format!("    {line}\n")).collect();
    let program = format!("{TERMINAL}\ntry:\n{indented}\nfinally:\n    if load: load.kill()\n");
    python.program(&program, &[env!("CARGO_BIN_EXE_socketserver"), server.address()]);
}

#[test]
fn it_is_shown_live_fits_the_window_and_ends_on_ctrl_c() {
    at_a_terminal(
        r"
size(120)
load = start('-d', '5m')
until(r'\[[#-]{20}\] \d+\.\d of 300\.0 s  [\d,]+/s  p50 .* p99 .*  \d in flight, no errors')
# The window is made narrower: what is drawn from then on fits.
size(40)
until(r'(\r\x1b\[K[^\r]{39}){3}')
assert all(len(line) <= 119 for line in lines())
# In the usual one the figures have the room, and no bar.
size(80)
until(r'\r\x1b\[K\d+\.\d of 300\.0 s  [^\r]* in flight, no errors\r')
size(1)
size(100)
until(r'(\r\x1b\[K\[[^\r]{45,99}){2}\Z')
os.write(keys, b'\x03')
ended(load, 0)
# The last of it is wiped away, and the table stands there.
table = lines()[-1]
assert table.startswith('model      closed loop') and table.endswith('ended early\r\n'), table
assert came.count(b'\x1b[') == came.count(b'\r\x1b[K'), came
",
    );
}

#[test]
fn a_number_of_messages_shows_how_many_are_left() {
    at_a_terminal(
        r"
size(120)
load = start('-n', '100000', '--rate', '1k')
until(r'\[[#-]{20}\] [\d,]+ of 100,000  [\d,]+/s ')
os.write(keys, b'\x03')
ended(load, 0)
",
    );
}

#[test]
fn the_warm_up_is_shown_as_one() {
    at_a_terminal(
        r"
size(120)
load = start('--warmup', '5m')
until(r'\r\x1b\[Kwarming up')
os.write(keys, b'\x03')
ended(load, 2)
",
    );
}

#[test]
fn what_is_printed_elsewhere_has_nothing_of_it_and_neither_has_a_dumb_terminal() {
    at_a_terminal(
        r"
size(120)
load = start('-n', '1000', '--rate', '2k', stdout=subprocess.PIPE)
table = load.stdout.read()
ended(load, 0)
assert table.startswith(b'model ') and b'\x1b' not in table, table
assert came.endswith(b'\r\x1b[K'), came
load = start('-n', '1000', '--rate', '2k', term='dumb')
ended(load, 0)
assert came.startswith(b'model ') and b'\x1b' not in came, came
",
    );
}
