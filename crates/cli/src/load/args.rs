//! What was typed after `load`, as the load that is meant.

use super::threshold::Threshold;
use crate::connect::Trust;
use crate::values::{count, number, some_time, time};
use socketserver::framing::AnyFraming;
use socketserver::{Endpoint, Failure, Rate};
use socketserver_load::{ConnectClose, Load, Target};
use std::path::PathBuf;
use std::time::Duration;

/// Put load on a server that echoes, and tell how it bears it.
///
/// Messages go over some connections at a time, and each byte that comes back is compared with what was sent. Without --rate each
/// connection sends its next message when a reply has come (a closed loop): the rate is what the server makes of it, and while it
/// stalls it is asked nothing. With --rate messages are sent whatever comes back (an open loop), and the latency of each
/// counts from when it was to be sent: so a stall shows in the percentiles as users would feel it.
///
/// A connection that fails is not opened again; when none is left the load ends. Ctrl-C ends it early, and what was found so far
/// is told; a second one breaks it off.
///
/// Exit status: 0 when all is well, 1 when a threshold of --fail-if was missed or all connections have failed, 2 when nothing
/// was echoed, and for bad arguments and local errors.
#[derive(Debug, clap::Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Args {
    /// The server
    #[arg(value_name = "ADDR")]
    pub(super) address: Endpoint,

    /// Load this server too, by turns with the first one in five rounds, and tell how they compare
    #[arg(long, value_name = "ADDR")]
    pub(super) compare: Option<Endpoint>,

    #[command(flatten)]
    pub(super) shape: Shape,

    /// Miss when this holds: `p99>5ms`, `rate<10k`, `errors>0`; may be given several times
    ///
    /// A latency (`min`, `mean`, `max`, `p50`, `p99.9`, …, of connecting `connect-p99`, `connect-max`, …), `rate`, `errors`, `timeouts`,
    /// `lost`, `unsent` (with --rate) or `in-flight`; then `>`, `>=`, `<` or `<=`; then a time or a number.
    /// With --rate messages without an answer at the end count for `max>` and `p99>` too, by how long they have waited.
    #[arg(long, value_name = "THRESHOLD", help_heading = FOUND)]
    pub(super) fail_if: Vec<Threshold>,

    /// Print an object for each server in place of the table, and one for how they compare
    #[arg(long, help_heading = FOUND)]
    pub(super) json: bool,

    /// Write a page about it too, with the rate and the latency over time
    #[arg(long, value_name = "FILE", help_heading = FOUND)]
    pub(super) html: Option<PathBuf>,

    #[command(flatten)]
    pub(super) trust: Trust,
}

/// What is sent, how much of it and how often.
#[derive(Debug, clap::Args)]
pub(super) struct Shape {
    /// How many connections are open at a time
    #[arg(short, long, default_value = "50", value_name = "N", value_parser = count)]
    pub(super) connections: usize,

    /// For how long [default: 10s, or without end where --count is given]
    #[arg(short, long, value_name = "TIME", value_parser = some_time)]
    duration: Option<Duration>,

    /// How many messages
    #[arg(short = 'n', long, value_name = "N", value_parser = messages)]
    count: Option<u64>,

    /// How long it goes on before anything counts
    #[arg(long, default_value = "0", value_name = "TIME", value_parser = time)]
    warmup: Duration,

    /// How many messages may be in flight on each connection
    #[arg(long, default_value = "1", value_name = "N", value_parser = count)]
    pub(super) depth: usize,

    /// Send messages at this rate, as `1000/s` or `5k`, whatever comes back
    ///
    /// No more are in flight than --connections times --depth: what is due beyond that waits, and its latency grows.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) rate: Option<Rate>,

    /// How long a reply may take, and a connection until it is open
    ///
    /// Who is late loses the connection, with all that is in flight on it; over UDP the packet alone.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = some_time)]
    timeout: Duration,

    /// Bytes of each message; they all differ as far as that lets them
    #[arg(long, default_value = "64", value_name = "BYTES", value_parser = size)]
    size: usize,

    /// Send this each time, exactly
    #[arg(long, value_name = "TEXT", conflicts_with = "size")]
    message: Option<String>,

    /// How messages are told apart in a stream of bytes, as `connect --help` has it: replies are compared by their messages
    #[arg(long, value_name = "FRAMING")]
    framing: Option<AnyFraming>,

    /// Make a connection for each message; the latency is of all of it
    #[arg(long)]
    pub(super) connect_per_request: bool,
}

const FOUND: &str = "What was found";

const ADDRESSES: &str = "\
Addresses:
  tcp://host:port, host:port   TCP
  :port, *:port                127.0.0.1
  tls://host:port              TLS over TCP
  unix:/path, unix:@name       a Unix socket
  udp://host:port              UDP: each packet is a message
  ws://host:port/path, wss://  WebSocket, the same over TLS: binary messages
Times: 500ms, 2s, 5m; a bare number is seconds. Counts: 200, 10k.
Examples:
  socketserver load :8080                           50 connections, one message at a time on each, for 10 s
  socketserver load :8080 --rate 5k --fail-if 'p99>5ms'
  socketserver load :8080 --compare :8081 -c 200 --depth 16 --html load.html
  socketserver load udp://:8080                     of a `serve echo udp://:8080 --packet-rate off`: it drops what is too fast";

/// How long it goes on when neither its duration nor its count is given.
const DURATION: Duration = Duration::from_secs(10);

impl Args {
    /// The load on that server, or a round of so many.
    ///
    /// # Errors
    /// What does not go together, a name that cannot be looked up, files for TLS that are of no use.
    pub(super) fn load(&self, address: &Endpoint, rounds: u32) -> Result<Load, Failure> {
        let mut load = self.shape.on(address, rounds)?;
        // What is said of TLS may be for the other one.
        let has_tls = address.is_tls() || !self.addresses().any(Endpoint::is_tls);
        let tls = if has_tls { self.trust.client_tls(address)? } else { None };
        if let (Some(tls), Some((host, _))) = (tls, address.tcp()) {
            let (config, name) = tls.to_rustls(host)?;
            load = load.tls_with(config, name);
        }
        Ok(load)
    }

    /// The servers.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.address).chain(&self.compare)
    }
}

impl Shape {
    fn on(&self, address: &Endpoint, rounds: u32) -> Result<Load, Failure> {
        let mut load = Load::new(Target::of(address)?)
            .connections(self.connections)
            .depth(self.depth)
            .warmup(self.warmup)
            .timeout(self.timeout);
        load = match &self.message {
            Some(text) => load.message(text.as_bytes()),
            None => load.size(self.size),
        };
        if let Some(duration) = self.duration() {
            load = load.duration(duration / rounds);
        }
        if let Some(count) = self.count {
            load = load.requests(count.div_ceil(rounds.into()));
        }
        if let Some(rate) = self.rate {
            load = load.rate(rate);
        }
        if self.connect_per_request {
            load = load.connect_per_request(ConnectClose::Reset);
        }
        match (address, &self.framing) {
            (Endpoint::Ws { .. } | Endpoint::Wss { .. }, None) => {
                let host = address.tcp().map(|(host, port)| format!("{host}:{port}").replace('*', "127.0.0.1"));
                Ok(load.websocket(host.unwrap_or_default(), address.path().unwrap_or("/")))
            }
            (Endpoint::Ws { .. } | Endpoint::Wss { .. } | Endpoint::Udp { .. }, Some(_)) => {
                Err(format!("`--framing` is for streams of bytes: `{address}` keeps messages apart by itself").into())
            }
            (_, Some(framing)) => Ok(load.framing(framing.clone())),
            (_, None) => Ok(load),
        }
    }

    /// For how long it goes on, unless it is without end.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.duration.or(self.count.is_none().then_some(DURATION))
    }

    /// How many messages end it.
    pub(super) fn count(&self) -> Option<u64> {
        self.count
    }

    /// What each message is, in words.
    pub(super) fn message(&self) -> String {
        let what = match &self.message {
            Some(text) => format!("{:?}, {} bytes", text, text.len()),
            None if self.size == 1 => "1 byte".into(),
            None => format!("{} bytes", self.size),
        };
        let framing = self.framing.as_ref().map_or_else(String::new, |framing| format!(", framed as `{framing}`"));
        let connect = if self.connect_per_request { ", over a connection of its own" } else { "" };
        what + &framing + connect
    }

    /// By which model it is sent, in words.
    pub(super) fn model(&self) -> String {
        let most = self.connections * if self.connect_per_request { 1 } else { self.depth };
        let connections = match self.connections {
            1 => "1 connection".to_owned(),
            more => format!("{more} connections"),
        };
        match self.rate {
            None => format!("closed loop: {connections}, {most} in flight, the next one is sent when a reply has come"),
            Some(rate) => {
                format!("open loop: {rate} whatever comes back, over {connections}, at most {most} in flight")
            }
        }
    }
}

/// So many messages: `500`, `10k`.
fn messages(text: &str) -> Result<u64, String> {
    number(text, 1..=u64::MAX)
        .ok_or_else(|| format!("`{text}` is not a number of messages; for example `500` or `10k`"))
}

/// The most bytes that a message may have: more than that in flight is no test of a server, but of memory.
const LARGEST: u64 = 1 << 30;

/// So many bytes: `500`, `10k`.
fn size(text: &str) -> Result<usize, String> {
    number(text, 1..=LARGEST)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is not a number of bytes from 1 to {LARGEST}; for example `64` or `10k`"))
}

/// `1000/s`, `30/m`, `5k`, `5k/s`.
fn rate(text: &str) -> Result<Rate, String> {
    let (count, per) = text.split_once('/').unwrap_or((text, "s"));
    let thousands = count.ends_with(['k', 'K']).then(|| number(count, 1..=u32::MAX.into())).flatten();
    let plain = thousands.map_or_else(|| text.to_owned(), |count| format!("{count}/{per}"));
    plain.parse().map_err(|wrong: socketserver::RateError| wrong.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, meant) in
            [("1000/s", "1000/s"), ("5k", "5000/s"), ("5k/m", "5000/m"), ("7", "7/s"), ("1/10s", "1/10s")]
        {
            assert_eq!(rate(text).map(|rate| rate.to_string()), Ok(meant.into()));
        }
        for wrong in ["", "0", "k", "fast", "-1/s", "5k/", "99999999k"] {
            assert!(rate(wrong).unwrap_err().contains("100/s"), "{wrong}: {:?}", rate(wrong));
        }
    }
}
