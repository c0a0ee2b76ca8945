//! What happened, a line an event, on standard error.

use crate::args::Log;
use crate::printable;
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};
use socketserver::{
    AcceptFailed, AcceptThen, ChildEnded, Closed, Cut, Draining, Endpoint, Fingerprint, Hogged, HookFailed, Observer,
    Opened, Refused, Report, Server, SpawnFailed, TlsReloadFailed, TlsReloaded, Totals, Undelivered, Unsent,
};
use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

impl Log {
    /// Writes one event.
    fn event(self, name: &str, fields: &[(&str, Value)]) {
        line(&self.line_of(name, fields));
    }

    /// An event as an object, or as its name and `key=value`.
    fn line_of(self, name: &str, fields: &[(&str, Value)]) -> String {
        match self {
            Self::Text => {
                let mut text = name.to_owned();
                for (key, value) in fields {
                    text.push_str(&match value {
                        Value::Null => continue,
                        // So that no value looks like two, or commands the terminal.
                        Value::String(value) if !is_word(value) => {
                            format!(" {key}={}", printable::text(&format!("{value:?}")))
                        }
                        Value::String(value) => format!(" {key}={value}"),
                        value => format!(" {key}={value}"),
                    });
                }
                text
            }
            Self::Json => {
                let mut object = serde_json::Map::new();
                object.insert("event".into(), name.into());
                object.extend(fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
                printable::json(&Value::Object(object).to_string())
            }
        }
    }

    /// Where the server can be reached, a line an endpoint.
    pub(crate) fn all_listening(self, server: &Server) {
        for endpoint in server.endpoints() {
            self.listening(&endpoint);
        }
    }

    fn listening(self, endpoint: &Endpoint) {
        let message = format!("listening on {endpoint}");
        match self {
            Self::Text => line(&message),
            Self::Json => {
                self.event("listening", &[("endpoint", endpoint.to_string().into()), ("message", message.into())]);
            }
        }
    }

    /// A certificate was made, which clients know by this.
    pub(crate) fn made(self, fingerprint: Fingerprint) {
        let message = format!("SHA-256 fingerprint {fingerprint}");
        match self {
            Self::Text => line(&message),
            Self::Json => {
                let fields = [("fingerprint", text(fingerprint)), ("message", message.into())];
                self.event("certificate", &fields);
            }
        }
    }

    /// Something for whoever sits there: a line, or several.
    pub(crate) fn note(self, lines: &str) {
        match self {
            Self::Text if divert(lines) => {}
            Self::Text => lines.lines().for_each(line),
            Self::Json => self.event("note", &[("message", lines.into())]),
        }
    }

    /// Something that the operator should know.
    pub(crate) fn warning(self, message: &str) {
        match self {
            Self::Text => line(&format!("warning: {message}")),
            Self::Json => self.event("warning", &[("message", message.into())]),
        }
    }

    pub(crate) fn totals(self, totals: Totals) {
        self.event(
            "totals",
            &[
                ("open", (totals.accepted - totals.closed).into()),
                ("accepted", totals.accepted.into()),
                ("closed", totals.closed.into()),
                ("refused", totals.refused.into()),
                ("denied", totals.denied.into()),
                ("untrusted", totals.untrusted.into()),
                ("bad-headers", totals.bad_headers.into()),
                ("over-limit", totals.over_limit.into()),
                ("over-peer-limit", totals.over_peer_limit.into()),
                ("lost", totals.lost.into()),
                ("exhausted", totals.exhausted.into()),
                ("shed", totals.shed.into()),
                ("given-up", totals.given_up.into()),
                ("failed", totals.failed.into()),
                ("handshakes-failed", totals.handshakes_failed.into()),
                ("read", totals.read.into()),
                ("written", totals.written.into()),
                ("packets", totals.packets.into()),
                ("replies", totals.replies.into()),
                ("overflowed", totals.overflowed.into()),
                ("truncated", totals.truncated.into()),
                ("nonsense", totals.nonsense.into()),
                ("unwelcome", totals.unwelcome.into()),
                ("over-rate", totals.over_rate.into()),
                ("withheld", totals.withheld.into()),
                ("unsent", totals.unsent.into()),
                ("undelivered", totals.undelivered.into()),
                ("packets-failed", totals.packets_failed.into()),
                ("queue-full", totals.queue_full.into()),
                ("evicted", totals.evicted.into()),
            ],
        );
    }

    /// A request of `serve exec`.
    pub(crate) fn exec(self, e: &socketserver_exec::Event<'_>) {
        self.event(
            "exec",
            &[
                ("id", e.id.into()),
                ("peer", text(e.peer)),
                ("subject", e.subject.map_or(Value::Null, Into::into)),
                ("status", e.status.into()),
                ("detail", e.detail.into()),
                ("bytes", e.bytes.into()),
                ("duration", self.duration(e.duration)),
                // In text what is rare stands where it is the case.
                ("output-cut", if e.output_cut || self == Self::Json { e.output_cut.into() } else { Value::Null }),
                ("left", if e.left > 0 || self == Self::Json { e.left.into() } else { Value::Null }),
                ("length", e.length.into()),
                ("command", e.command.into()),
            ],
        );
    }

    pub(crate) fn stopped(self, report: &Report) {
        self.event("stopped", &[("served", report.served.into()), ("cut", report.cut.len().into())]);
    }
}

impl Observer for Log {
    fn opened(&self, e: &Opened<'_>) {
        let fields = [("id", e.id.into()), ("peer", text(e.peer)), ("endpoint", text(e.endpoint))];
        self.event("open", &fields);
    }

    fn closed(&self, e: &Closed<'_>) {
        self.event(
            "close",
            &[
                ("id", e.id.into()),
                ("peer", text(e.peer)),
                ("endpoint", text(e.endpoint)),
                ("read", e.read.into()),
                ("written", e.written.into()),
                ("duration", self.duration(e.duration)),
                ("reason", e.reason.as_str().into()),
                ("detail", e.reason.number().into()),
                ("error", e.failure.map_or(Value::Null, Into::into)),
            ],
        );
    }

    fn refused(&self, e: &Refused<'_>) {
        let error = e.failure.map_or(Value::Null, text);
        let fields =
            [("peer", text(e.peer)), ("endpoint", text(e.endpoint)), ("why", e.why.as_str().into()), ("error", error)];
        self.event("refused", &fields);
    }

    fn accept_failed(&self, e: &AcceptFailed<'_>) {
        let (delay, shed) = match e.then {
            AcceptThen::BackedOff { delay, shed } => (self.duration(delay), shed.into()),
            _ => (Value::Null, Value::Null),
        };
        self.event(
            "accept-failed",
            &[
                ("endpoint", text(e.endpoint)),
                ("error", text(e.error)),
                ("then", e.then.as_str().into()),
                ("delay", delay),
                ("shed", shed),
            ],
        );
    }

    fn unsent(&self, e: &Unsent<'_>) {
        self.event("unsent", &[("peer", text(e.peer)), ("endpoint", text(e.endpoint)), ("error", text(e.error))]);
    }

    fn undelivered(&self, e: &Undelivered<'_>) {
        let fields = [
            ("peer", text(e.peer)),
            ("endpoint", text(e.endpoint)),
            ("by", e.by.map_or(Value::Null, text)),
            ("error", text(e.error)),
            ("mtu", e.mtu.map_or(Value::Null, Into::into)),
        ];
        self.event("undelivered", &fields);
    }

    fn spawn_failed(&self, e: &SpawnFailed<'_>) {
        self.event("spawn-failed", &[("what", e.what.into()), ("error", text(e.error))]);
    }

    fn child_ended(&self, e: &ChildEnded) {
        let fields = [
            ("pid", e.pid.into()),
            ("connection", e.connection.map_or(Value::Null, Into::into)),
            ("reason", e.how.as_str().into()),
            ("detail", e.how.number().into()),
        ];
        self.event("child-ended", &fields);
    }

    fn hook_failed(&self, e: &HookFailed<'_>) {
        self.event("hook-failed", &[("hook", e.hook.into()), ("error", e.failure.into())]);
    }

    fn hogged(&self, e: &Hogged) {
        line(&self.line_of_hogged(e));
    }

    fn tls_reloaded(&self, e: &TlsReloaded<'_>) {
        let fingerprints: Vec<_> = e.fingerprints.iter().map(ToString::to_string).collect();
        self.event("tls-reloaded", &[("fingerprints", fingerprints.join(",").into())]);
    }

    fn tls_reload_failed(&self, e: &TlsReloadFailed<'_>) {
        self.event("tls-reload-failed", &[("error", e.failure.into())]);
    }

    fn draining(&self, e: &Draining) {
        self.event("draining", &[("open", e.open.into()), ("deadline", self.duration(e.deadline))]);
    }

    fn cut(&self, e: &Cut) {
        let fields = [
            ("id", e.id.into()),
            ("peer", text(&e.peer)),
            ("endpoint", text(&e.endpoint)),
            ("age", self.duration(e.age)),
        ];
        self.event("cut", &fields);
    }
}

impl Log {
    fn line_of_hogged(self, e: &Hogged) -> String {
        let fields = [("connection", e.connection.into()), ("shard", e.shard.into()), ("time", self.duration(e.time))];
        self.line_of("hogged", &fields)
    }

    /// Seconds: a number in JSON, with its unit in text.
    fn duration(self, time: Duration) -> Value {
        match self {
            Self::Text => format!("{:.3}s", time.as_secs_f64()).into(),
            Self::Json => json!((time.as_secs_f64() * 1e6).round() / 1e6),
        }
    }
}

/// Whether it needs no quotes: what is quoted has everything written out that does not just stand there.
fn is_word(value: &str) -> bool {
    value.chars().all(|letter| letter != '"' && !letter.is_whitespace() && printable::is_harmless(letter))
}

fn text(value: impl ToString) -> Value {
    value.to_string().into()
}

/// Lines that were not written since the last one that was.
static LOST: AtomicU64 = AtomicU64::new(0);
/// What a pipe that is writable takes without waiting (`PIPE_BUF`, pipe(7)).
const PIPE_BUF: usize = 4096;

/// What became of lines that were to be shown elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Diverted {
    Taken,
    /// There is no room for them now.
    Lost,
    /// They are not shown there any more.
    Refused,
}

type Elsewhere = Box<dyn Fn(&str) -> Diverted + Send + Sync>;

/// Where lines go in place of standard error.
static ELSEWHERE: Mutex<Option<Elsewhere>> = Mutex::new(None);

/// From now on lines go there, or to standard error again.
pub(crate) fn set_elsewhere(elsewhere: Option<Elsewhere>) {
    *ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner) = elsewhere;
}

/// `false`: they are for standard error.
fn divert(lines: &str) -> bool {
    let elsewhere = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(show) = &*elsewhere else { return false };
    let lost = LOST.swap(0, Relaxed);
    let diverted = match lost {
        0 => show(lines),
        _ => show(&format!("lines-lost lines={lost}\n{lines}")),
    };
    match diverted {
        Diverted::Taken => return true,
        Diverted::Lost => LOST.fetch_add(lost + 1, Relaxed),
        Diverted::Refused => LOST.fetch_add(lost, Relaxed),
    };
    diverted == Diverted::Lost
}

/// A whole line in one write. When nobody reads standard error any more, or not fast enough, serving goes on: lines are
/// lost, and the next that goes out says how many.
pub(crate) fn line(text: &str) {
    if divert(text) {
        return;
    }
    let mut stderr = io::stderr().lock();
    let mut ready = [PollFd::from_borrowed_fd(rustix::stdio::stderr(), PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if rustix::event::poll(&mut ready, Some(&now)) == Ok(0) {
        LOST.fetch_add(1, Relaxed);
        return;
    }
    let lost = match LOST.swap(0, Relaxed) {
        0 => String::new(),
        lost if text.starts_with('{') => format!("{}\n", json!({ "event": "lines-lost", "lines": lost })),
        lost => format!("lines-lost lines={lost}\n"),
    };
    let room = PIPE_BUF - 1 - lost.len();
    let text = &text[..floor_char_boundary(text, room)];
    let _ = stderr.write_all(format!("{lost}{text}\n").as_bytes());
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socketserver::{Server, Stream, Tasks, client};
    use std::sync::mpsc::{Sender, channel};

    /// Hands on what the log would say.
    struct Hears(Sender<[String; 2]>);

    impl Observer for Hears {
        fn hogged(&self, e: &Hogged) {
            let _ = self.0.send([Log::Text, Log::Json].map(|log| log.line_of_hogged(e)));
        }
    }

    #[test]
    fn a_value_is_one_and_only_text() {
        let line = |value: &str| Log::Text.line_of("exec", &[("command", value.into())]);
        assert_eq!(line("ls-日志"), "exec command=ls-日志");
        assert_eq!(line("ls -l"), r#"exec command="ls -l""#);
        assert_eq!(line("a\tb"), r#"exec command="a\tb""#);
        assert_eq!(line("a\u{3164}b"), r#"exec command="a\u{3164}b""#);
        assert_eq!(line("a\u{1b}[2J\u{200e}"), r#"exec command="a\u{1b}[2J\u{200e}""#);
    }

    /// No handler of the command's own does it.
    #[test]
    fn a_handler_that_hogs_its_shard_is_told_of() -> socketserver::Result {
        let (send, lines) = channel();
        let server =
            Server::bind("tcp://127.0.0.1:0")?.observe(Hears(send)).spawn(Tasks::new(1), async |c: &mut Stream| {
                c.write_all(b"in").await?;
                std::thread::sleep(Duration::from_millis(500));
                Ok(())
            })?;
        let mut c = client::connect(&server.handle().endpoints()[0])?;
        c.read_to_end(10)?;
        server.stop()?;
        let [text, json] = lines.recv()?;
        assert!(text.starts_with("hogged connection=1 shard=0 time=0.") && text.ends_with('s'), "{text}");
        let json: Value = serde_json::from_str(&json)?;
        assert_eq!((&json["event"], &json["connection"], &json["shard"]), (&"hogged".into(), &1.into(), &0.into()));
        assert!(json["time"].is_f64(), "{json}");
        Ok(())
    }
}
