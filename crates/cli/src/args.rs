//! What was typed, as what is meant.

use crate::chat::Rooms;
use crate::connect::Trust;
use crate::exec::Remote;
use crate::tls::Tls;
use clap::{Parser, Subcommand, ValueEnum};
use socketserver::framing::AnyFraming;
use socketserver::probe::Targets;
use socketserver::{Cidr, Endpoint, OverLimit, ProxySource, Rate};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Say where to listen, how to run connections and what to do with each; everything else is done for you.
#[derive(Debug, Parser)]
#[command(name = "socketserver", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<Serve>),
    Connect(Box<Connect>),
    Call(Box<Call>),
    Probe(Probe),
}

/// Serve connections until TERM or INT.
///
/// The first TERM or INT lets connections end, for as long as --drain says; a second one ends at once. USR1 prints
/// totals. HUP reads certificates again (so does a change of their files). Everything that is printed goes to standard error, but for what peers say to `talk`.
///
/// `talk` is a conversation: what a peer sends is shown on standard output, with its number and address; what you type goes
/// to the chosen peer, without the newline, and nothing is added. One read is one message: TCP keeps no boundaries, so a
/// text may come in parts, or several together. The first peer is chosen by itself; once a chosen one has left nobody is.
/// `/to N` or `/N` chooses, `/who` tells who is there, `/help` the rest. The end of standard input ends nothing.
///
/// Exit status: 0 when every connection came to its own end, 1 when some were cut, 2 when it could not start, 128+N
/// after a second signal N.
#[derive(Debug, clap::Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Serve {
    /// What to do with each connection
    #[arg(value_enum)]
    pub(crate) what: What,

    /// Where to listen
    #[arg(value_name = "ADDR", default_value = "tcp://127.0.0.1:8080")]
    pub(crate) addresses: Vec<Endpoint>,

    /// How to run connections: `tasks[=SHARDS]` (one a processor), `threads[=MAX]` (200), `forks[=MAX]` (40) or
    /// `serial`
    #[arg(long, default_value = "tasks", value_name = "MODEL")]
    pub(crate) model: Model,

    /// How long a shard that was busy a moment ago polls before it sleeps, or `off`; with `--model tasks` only
    #[arg(long, default_value = "off", value_name = "TIME", value_parser = or_off(some_time))]
    pub(crate) spin: Limit<Duration>,

    /// How many connections may be open at a time, or `off` [default: 10000; `talk`: 100]
    #[arg(long, value_name = "N", value_parser = or_off(count), help_heading = LETTING_IN)]
    pub(crate) max_conns: Option<Limit<usize>>,

    /// How many connections one peer, an IPv4 address or an IPv6 /64, may have open at a time, or `off`
    #[arg(long, default_value = "off", value_name = "N", value_parser = or_off(count), help_heading = LETTING_IN)]
    pub(crate) max_per_ip: Limit<usize>,

    /// How many connections are accepted in a time, as `100/s`, or `off`; who comes faster waits
    ///
    /// Those turned away count too. As many as the rate allows in a second, at least one, may come at once.
    #[arg(long, default_value = "off", value_name = "RATE", value_parser = or_off(rate), help_heading = LETTING_IN)]
    pub(crate) accept_rate: Limit<Rate>,

    /// How many UDP packets one peer may send in a time, or `off`; those that come faster are dropped, so no peer is
    /// answered more often
    ///
    /// As many as the rate allows in a second, at least one, may come at once.
    #[arg(long, default_value = "1000/s", value_name = "RATE", value_parser = or_off(rate), help_heading = LETTING_IN)]
    pub(crate) packet_rate: Limit<Rate>,

    /// How many times the bytes of a UDP peer's first packet it may be sent before a second one comes, or `off`
    /// [default: 3 beyond the loopback]
    ///
    /// Who sends packets with a forged address gets no more than that sent there.
    #[arg(long, value_name = "N", value_parser = or_off(factor), help_heading = LETTING_IN)]
    pub(crate) max_amplification: Option<Limit<u32>>,

    /// What becomes of who comes over a limit: `queue` lets it wait (over --max-per-ip it is closed), `close` closes it,
    /// `busy=TEXT` sends it TEXT, exactly, and closes it
    #[arg(long, default_value = "queue", value_name = "POLICY", value_parser = over_limit, help_heading = LETTING_IN)]
    pub(crate) over_limit: OverLimit,

    /// Only peers in these blocks of addresses may come in; may be given several times
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = LETTING_IN)]
    pub(crate) allow: Vec<Cidr>,

    /// Peers in these blocks may not, even if allowed; may be given several times
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = LETTING_IN)]
    pub(crate) deny: Vec<Cidr>,

    /// Connections come through proxies in these blocks, or over Unix sockets (`unix`), which say by the PROXY protocol for
    /// whom; nobody else may connect; may be given several times
    ///
    /// Both versions are understood, before TLS. The header is there within --handshake, or the connection is closed. Until then it
    /// counts towards --max-conns alone; then --allow, --deny, --max-per-ip and the log are about who is behind the proxy.
    #[arg(long, value_name = "SOURCE", value_delimiter = ',', value_parser = source, help_heading = LETTING_IN)]
    pub(crate) proxy_protocol: Vec<ProxySource>,

    /// How long after accept it may take until hands are shaken (TLS), and then until the request of a WebSocket is there, or
    /// `off`
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = or_off(some_time), help_heading = DEADLINES)]
    pub(crate) handshake: Limit<Duration>,

    /// How long to wait for a peer's first byte, or `off`
    #[arg(long, default_value = "off", value_name = "TIME", value_parser = or_off(some_time), help_heading = DEADLINES)]
    pub(crate) first_byte: Limit<Duration>,

    /// How long to wait for a peer that sends nothing, or `off` [default: 60s; `chat` and `talk`: off, over
    /// datagrams 10m]
    #[arg(long, value_name = "TIME", value_parser = or_off(some_time), help_heading = DEADLINES)]
    pub(crate) idle: Option<Limit<Duration>>,

    /// How long to wait for a peer that takes nothing, or `off`
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = or_off(some_time), help_heading = DEADLINES)]
    pub(crate) write_timeout: Limit<Duration>,

    /// How long a connection may be open, whatever it does, or `off`
    #[arg(long, default_value = "off", value_name = "TIME", value_parser = or_off(some_time), help_heading = DEADLINES)]
    pub(crate) lifetime: Limit<Duration>,

    /// How many bytes a second, over 5 s, a peer must send in the middle of a line or a message, or `off`; of those,
    /// `chat` reads lines
    #[arg(long, default_value = "off", value_name = "BYTES", value_parser = or_off(bytes), help_heading = DEADLINES)]
    pub(crate) min_rate: Limit<u64>,

    /// How long connections may go on after the first signal
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = time, help_heading = DEADLINES)]
    pub(crate) drain: Duration,

    /// How to write what happens
    #[arg(long, value_enum, default_value_t = Log::Text)]
    pub(crate) log: Log,

    /// With `talk`: print what peers send as it comes, without saying who; not to a terminal
    #[arg(long)]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) tls: Tls,

    #[command(flatten)]
    pub(crate) rooms: Rooms,

    #[command(flatten)]
    pub(crate) exec: Remote,
}

/// Talk to a server: standard input goes to it, what it says goes to standard output.
///
/// At the end of standard input the server is told that nothing more comes, and what it still says is printed until it
/// closes.
///
/// With --framing each line of standard input is sent as a message, without its newline, and each message that comes is
/// printed as a line.
///
/// Over UDP and Unix datagrams a line is a packet, without its newline; an empty line is an empty packet. Each reply is
/// printed with a newline after it. It ends when standard input has, and for --wait nothing more came. Packets may be
/// lost, and nobody tells.
///
/// Over tls:// the server's certificate has to be for the host that is connected to, and issued by an authority that this
/// system trusts, unless told otherwise.
///
/// Exit status: 0 when the server closed, 1 when it could not be reached or broke off, 2 for bad arguments and local
/// errors. For packets: 0 at the end, 1 when one was refused, as by ICMP where nobody has the port.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{FRAMINGS}\n{ADDRESSES}"))]
pub(crate) struct Connect {
    /// Where to
    #[arg(value_name = "ADDR")]
    pub(crate) address: Endpoint,

    /// How long to wait for another reply after the end of standard input, or `off`; for packets only [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = or_off(time))]
    pub(crate) wait: Option<Limit<Duration>>,

    /// How messages are told apart in a stream of bytes; see below
    #[arg(long, value_name = "FRAMING")]
    pub(crate) framing: Option<AnyFraming>,

    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// Run a command at a server of `serve exec`.
///
/// What the command says on its standard output and standard error is said on ours, as it comes; it has no standard input.
/// Ctrl-C ends it there too, and so does whatever else ends this.
///
/// An argument that begins with `-` comes after `--`: `call ADDR unit -- -u ssh`.
///
/// With --json an object a line is printed: `stdout` and `stderr` with `text`, or with `hex` where it is no UTF-8, and at last
/// `exit`, `refused` or `failed`.
///
/// Exit status: as the command's; 128+N when signal N ended it; 124 when its time was up, or that of --timeout; 127 when the
/// server has no command of that name, or no such program, 126 when it cannot be run, or not with these arguments; 255 for
/// everything else, as bad arguments and a server that does not let us in.
#[derive(Debug, clap::Args)]
#[command(after_help = CALLED)]
pub(crate) struct Call {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    pub(crate) address: Endpoint,

    /// Which command
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Its arguments, each as it is
    #[arg(value_name = "ARGS")]
    pub(crate) args: Vec<String>,

    /// Prove with this token who asks, and have the server prove that it knows it too
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Over a Unix socket the server may be this user's too, beside root's and your own; may be given several times. With a
    /// token it may be anybody's
    #[arg(long, value_name = "NAME|UID")]
    pub(crate) server_user: Vec<String>,

    #[command(flatten)]
    pub(crate) trust: Trust,

    /// How long all of it may take, or `off`; looking up a name, and who reads our output, are waited for all the same
    /// [default: off; the server has its own limits]
    #[arg(long, value_name = "TIME", value_parser = or_off(some_time))]
    pub(crate) timeout: Option<Limit<Duration>>,

    /// Print an object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Find out whether somebody is there, over TCP or UDP.
///
/// Each target has a line on standard output, in the order in which they were given: `open`, `closed`, `filtered` or
/// `open|filtered`, and what that was concluded from. Silence is never taken for success: over UDP it is `open|filtered`.
/// There are three tries, which wait 500ms, 1s and 2s for an answer.
///
/// Exit status: 0 when all are open, 1 when some are closed or filtered, 3 when of some it cannot be told
/// (`open|filtered`), which outweighs 1; 2 for bad arguments and local errors, which outweigh both.
#[derive(Debug, clap::Args)]
#[command(after_help = TARGETS)]
pub(crate) struct Probe {
    /// Whom to ask: addresses with one port or several
    #[arg(value_name = "ADDR", required = true)]
    pub(crate) targets: Vec<Targets>,

    /// Send this, exactly: in each packet over UDP, which is empty otherwise; over TCP once connected
    #[arg(long, value_name = "TEXT", conflicts_with = "send_hex")]
    pub(crate) send: Option<String>,

    /// Send these bytes, as `68656c6c6f` or `68 65 6c 6c 6f`
    #[arg(long, value_name = "HEX", value_parser = hex)]
    pub(crate) send_hex: Option<Bytes>,

    /// Ask again and again until all are open, for so long at most
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub(crate) wait: Option<Duration>,

    /// Print an object a line: target, proto, state, evidence, rtt_ms (or null), tries
    #[arg(long)]
    pub(crate) json: bool,
}

/// Some bytes that were typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

const TARGETS: &str = "\
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

const CALLED: &str = "\
Addresses:
  unix:/path, unix:@name       a Unix socket: the kernel says who asks
  127.0.0.1:port, :port        TCP on this machine
  tls://host:port              TLS over TCP, to anywhere
Times: 500ms, 2s, 5m; a bare number is seconds.
Examples:
  socketserver call unix:/run/exec.sock disk
  socketserver call tls://host.example:9000 tail web.log --token-file ~/exec.token";

const FRAMINGS: &str = "\
Framings:
  line, crlf                   a line
  u8, u16be, u32le, i32ne, …   a length of so many bits, then the message: in network byte order (be), in the other one
                               (le), or in that of this machine (ne)
  fixed=16                     messages of one length
  delimiter=\\r\\n\\r\\n          the message, then these bytes
  netstring, varint            `5:hello,`; a length as Protocol Buffers have it
  u32be,max=10k,inclusive      options follow: max, skip-oversized, offset, header, adjustment, strip, inclusive; or=\\n for
                               another delimiter";

const LETTING_IN: &str = "Letting in";
const DEADLINES: &str = "Deadlines";

const ADDRESSES: &str = "\
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

#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum What {
    /// Send back what comes
    Echo,
    /// Send back what comes with ASCII letters in upper case
    Upper,
    /// Send `hello world`, read once, close
    Hello,
    /// Read and drop
    Discard,
    /// Rooms in which peers talk with one another, a line at a time, terminals and browsers alike
    Chat,
    /// Talk to each peer from here: what it sends is shown, what you type is sent
    Talk,
    /// Run the commands of a file for `call`, or for plain clients with --wire; wants --commands
    Exec,
}

#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Log {
    /// A line an event
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// With so many shards, or one a processor.
    Tasks(Option<usize>),
    Serial,
    Threads(usize),
    Forks(usize),
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let max = |default| number.map_or(Ok(default), count);
        match name {
            "tasks" => number.map(shards).transpose().map(Self::Tasks),
            "serial" if number.is_some() => Err("`serial` takes no maximum: it serves one connection at a time".into()),
            "serial" => Ok(Self::Serial),
            "threads" => max(200).map(Self::Threads),
            "forks" => max(40).map(Self::Forks),
            _ => Err(format!(
                "`{name}` is not a model; one of `tasks`, `tasks=4`, `serial`, `threads`, `threads=200`, `forks`, \
                 `forks=40`"
            )),
        }
    }
}

impl Model {
    pub(crate) fn is_forks(self) -> bool {
        matches!(self, Self::Forks(_))
    }
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

/// What `parse` understands, or `off`.
pub(crate) fn or_off<T>(
    parse: impl Fn(&str) -> Result<T, String> + Clone,
) -> impl Fn(&str) -> Result<Limit<T>, String> + Clone {
    move |text| match text {
        "off" => Ok(Limit(None)),
        _ => parse(text).map(|limit| Limit(Some(limit))).map_err(|wrong| format!("{wrong}; or `off`")),
    }
}

/// Who speaks for others.
fn source(text: &str) -> Result<ProxySource, String> {
    text.parse().map_err(|wrong| format!("{wrong}; or `unix`"))
}

/// `500ms`, `2s`, `5m`, or a bare number of seconds.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; for example `500ms`, `2s`, `5m`, or `2` for seconds");
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        Err(_) => humantime::parse_duration(text).map_err(|_| wrong()),
    }
}

/// As [`time`], and more than none.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err(format!("`{text}` is no time at all; for example `500ms`, `2s`, `5m`")),
        time => Ok(time),
    }
}

/// `200`, `10k`, no more than a million of anything.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    number(text, 1..=1_000_000)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is not a count from 1 to 1000k; for example `200` or `10k`"))
}

/// `3`, and `0` for none.
fn factor(text: &str) -> Result<u32, String> {
    number(text, 0..=1_000_000)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is not a factor from 0 to 1000k; for example `3`"))
}

/// How many runtimes share the work.
fn shards(text: &str) -> Result<usize, String> {
    number(text, 1..=1024)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is not a number of shards from 1 to 1024; for example `tasks=4`"))
}

/// So many bytes: `500`, `10k`.
fn bytes(text: &str) -> Result<u64, String> {
    number(text, 1..=u64::MAX)
        .ok_or_else(|| format!("`{text}` is not a number of bytes a second; for example `500` or `10k`"))
}

/// A whole number, a `k` behind it for thousands.
fn number(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => (text, 1),
    };
    let number = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    range.contains(&number).then_some(number)
}

/// `68656c6c6f`, white space between bytes.
fn hex(text: &str) -> Result<Bytes, String> {
    let wrong = |what: &str| format!("{what}; for example `68656c6c6f` or `68 65 6c 6c 6f`");
    let mut bytes = Vec::new();
    for word in text.split_ascii_whitespace() {
        let digit = |digit: char| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits: Option<Vec<u8>> = word.chars().map(digit).collect();
        let short = || word.chars().take(40).collect::<String>().escape_debug().to_string();
        let digits = digits.ok_or_else(|| wrong(&format!("`{}` has other characters than 0-9 and a-f", short())))?;
        if digits.len() % 2 != 0 {
            return Err(wrong(&format!("`{}` is not whole bytes, of two digits each", short())));
        }
        bytes.extend(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    Ok(Bytes(bytes))
}

/// `100/s`, `5/m`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    text.parse().map_err(|wrong: socketserver::RateError| wrong.to_string())
}

/// `queue`, `close`, `busy=TEXT`. The text may hold whatever it likes.
fn over_limit(text: &str) -> Result<OverLimit, String> {
    match (text, text.strip_prefix("busy=")) {
        ("queue", _) => Ok(OverLimit::Queue),
        ("close", _) => Ok(OverLimit::Close),
        (_, Some(words)) if !words.is_empty() => Ok(OverLimit::reply(words)),
        ("busy" | "busy=", _) => Err(format!("`{text}` lacks what to say; for example `busy=try again later`")),
        _ => Err(format!("`{text}` is not a policy; one of `queue`, `close`, `busy=TEXT`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_and_counts() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "-1", "inf", "NaN", "x", "2 parsecs"] {
            assert!(time(wrong).unwrap_err().contains("500ms"), "{wrong}");
        }
        assert_eq!(count("10k"), Ok(10_000));
        for wrong in ["", "0", "-1", "k", "1.5", "99999999999999999999", "9999999k"] {
            assert!(count(wrong).unwrap_err().contains("10k"), "{wrong}");
        }
        assert_eq!(bytes("10k"), Ok(10_000));
        assert_eq!(bytes("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "0", "1.5", "10kb", "18446744073709551615k"] {
            assert!(bytes(wrong).unwrap_err().contains("10k"), "{wrong}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(or_off(some_time)("off"), Ok(Limit(None)));
        assert_eq!(or_off(some_time)("2s"), Ok(Limit(Some(Duration::from_secs(2)))));
        for wrong in ["0", "0ms", "never"] {
            assert!(or_off(some_time)(wrong).unwrap_err().ends_with("; or `off`"), "{wrong}");
        }
        assert_eq!(rate("100/s").map(|rate| rate.to_string()), Ok("100/s".into()));
        assert!(rate("fast").unwrap_err().contains("100/s"));
        assert_eq!([factor("0"), factor("3")], [Ok(0), Ok(3)]);
        for wrong in ["", "-1", "1.5", "x", "9999k"] {
            assert!(factor(wrong).unwrap_err().contains("`3`"), "{wrong}");
        }
    }

    #[test]
    fn bytes_in_hex() {
        assert_eq!(hex("00fF"), Ok(Bytes(vec![0, 255])));
        assert_eq!(hex(" 68 6569\t"), Ok(Bytes(b"hei".to_vec())));
        assert_eq!(hex(""), Ok(Bytes(Vec::new())));
        for wrong in ["f", "0 0", "0x00", "+1", "é0", &"g".repeat(1_000_000)] {
            let said = hex(wrong).unwrap_err();
            assert!(said.contains("68656c6c6f") && said.len() < 200, "{said}");
        }
    }

    #[test]
    fn policies() {
        assert_eq!(over_limit("queue"), Ok(OverLimit::Queue));
        assert_eq!(over_limit("close"), Ok(OverLimit::Close));
        assert_eq!(over_limit("busy= a=b\n"), Ok(OverLimit::reply(" a=b\n")));
        for wrong in ["busy", "busy=", "drop", "", "Close"] {
            assert!(over_limit(wrong).unwrap_err().contains("busy="), "{wrong}");
        }
    }

    #[test]
    fn models() {
        assert_eq!("tasks".parse(), Ok(Model::Tasks(None)));
        assert_eq!("tasks=2".parse(), Ok(Model::Tasks(Some(2))));
        assert!("tasks=0".parse::<Model>().unwrap_err().contains("`tasks=4`"));
        assert!("tasks=2k".parse::<Model>().unwrap_err().contains("1024"));
        assert_eq!("threads".parse(), Ok(Model::Threads(200)));
        assert_eq!("forks=8".parse(), Ok(Model::Forks(8)));
        assert!("serial=2".parse::<Model>().unwrap_err().contains("one connection"));
        assert!("thread".parse::<Model>().unwrap_err().contains("`threads`"));
    }
}
