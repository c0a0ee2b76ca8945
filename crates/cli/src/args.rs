//! What may be typed: the commands, and the flags of each.

use crate::chat::Rooms;
use crate::connect::Trust;
use crate::exec::Remote;
use crate::help::{CALLED, FRAMINGS, LISTENING, TALKED_TO, TARGETS};
use crate::load;
use crate::model::Model;
use crate::tls::Tls;
use crate::values::{Bytes, Limit, bytes, count, factor, hex, or_off, over_limit, rate, some_time, source, time};
use clap::{Parser, Subcommand, ValueEnum};
use socketserver::framing::AnyFraming;
use socketserver::probe::Targets;
use socketserver::{Cidr, Endpoint, OverLimit, ProxySource, Rate};
use std::path::PathBuf;
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
    Load(Box<load::Args>),
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
#[command(after_help = LISTENING)]
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
#[command(after_help = format!("{FRAMINGS}\n{TALKED_TO}"))]
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

const LETTING_IN: &str = "Letting in";
const DEADLINES: &str = "Deadlines";

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

/// The first of these flags that was given: so that it can be refused where it has nothing to be for.
pub(crate) fn first_given(flags: impl IntoIterator<Item = (&'static str, bool)>) -> Option<&'static str> {
    flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
