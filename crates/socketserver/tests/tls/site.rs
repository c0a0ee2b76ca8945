use socketserver::{
    Closed, Endpoint, Observer, Reason, Report, Running, Serial, Server, ServerTls, Stream, Tasks, Threads,
};
use socketserver::{Result, blocking};
use socketserver_testkit::{Client, PATIENCE};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

/// A server of one engine that does what each line says, and tells how each connection ended.
pub(crate) struct Site {
    running: Running,
    closed: Receiver<(Reason, String)>,
    pub(crate) name: &'static str,
}

struct Tell(Mutex<Sender<(Reason, String)>>);

impl Observer for Tell {
    fn closed(&self, e: &Closed<'_>) {
        let _ = self.0.lock().unwrap().send((e.reason, e.failure.unwrap_or_default().to_owned()));
    }
}

/// The same for both engines.
macro_rules! script {
    ($c:ident $(, $await:tt)?) => {{
        while let Some(line) = $c.read_line(100_000)$(.$await)?? {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "echo" => $c.write_all(format!("{rest}\n").as_bytes())$(.$await)??,
                "who" => {
                    let words = format!("{:?} {:?}\n", $c.peer().identity(), $c.tls());
                    $c.write_all(words.as_bytes())$(.$await)??;
                }
                "bye" => {
                    $c.write_all(b"bye\n")$(.$await)??;
                    return Ok(());
                }
                // To the end of input, and the answer after that.
                "all" => {
                    let all = $c.read_to_end(1 << 30)$(.$await)??;
                    $c.write_all(format!("{} bytes\n", all.len()).as_bytes())$(.$await)??;
                }
                // The other way round.
                "half" => {
                    $c.write_all(b"no more\n")$(.$await)??;
                    $c.close_write()$(.$await)??;
                }
                "bulk" => $c.write_all(&vec![b'x'; rest.parse()?])$(.$await)??,
                "flood" => loop {
                    $c.write_all(&[b'x'; 64 * 1024])$(.$await)??;
                },
                "panic" => panic!("{rest}"),
                "fail" => return Err(rest.into()),
                "upgrade" => {
                    $c.write_all(b"go on\n")$(.$await)??;
                    $c.start_tls()$(.$await)??;
                }
                other => return Err(format!("no such word: {other}").into()),
            }
        }
        Ok(())
    }};
}

pub(crate) fn script(c: &mut blocking::Stream) -> Result {
    script!(c)
}

pub(crate) async fn script_async(c: &mut Stream) -> Result {
    script!(c, await)
}

/// One on each engine, at this address. The blocking engine is there with both of its models that stay in one process.
pub(crate) fn sites(endpoint: &str, tls: &ServerTls, tune: impl Fn(Server) -> Server) -> [Site; 3] {
    let server = || {
        let (send, closed) = channel();
        let server = Server::bind(endpoint).unwrap().tls(tls.clone()).unwrap().observe(Tell(Mutex::new(send)));
        (tune(server), closed)
    };
    let site = |name, running, closed| Site { running, closed, name };
    let [(serial, a), (threads, b), (tasks, c)] = [server(), server(), server()];
    [
        site("serial", serial.spawn(Serial::default(), script).unwrap(), a),
        site("threads", threads.spawn(Threads::new(50), script).unwrap(), b),
        site("tasks", tasks.spawn(Tasks::new(2), async |c: &mut Stream| script_async(c).await).unwrap(), c),
    ]
}

impl Site {
    pub(crate) fn at(&self) -> Endpoint {
        self.handle().endpoints()[0].clone()
    }

    pub(crate) fn handle(&self) -> &socketserver::Handle {
        self.running.handle()
    }

    /// A plain socket.
    pub(crate) fn plain(&self) -> Client {
        Client::connect(&self.at()).unwrap()
    }

    /// How the next connection to end did.
    #[track_caller]
    pub(crate) fn closed(&self) -> (Reason, String) {
        self.closed.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{}: nothing ends ({error})", self.name))
    }

    #[track_caller]
    pub(crate) fn expect_closed(&self, reason: Reason) {
        let closed = self.closed();
        assert!(closed.0 == reason, "{}: {closed:?} and not {reason:?}", self.name);
    }

    /// Stops it. Nobody has ended who was not told of.
    #[track_caller]
    pub(crate) fn stop(self) -> Report {
        let name = self.name;
        let report = self.running.stop().unwrap();
        let more: Vec<_> = self.closed.try_iter().collect();
        assert!(more.is_empty(), "{name}: {more:?}");
        assert_eq!(report.totals.accepted, report.totals.closed, "{name}");
        report
    }

    /// Asks it to drain, which may go on; then what ends can be looked at.
    pub(crate) fn join(self) -> (Report, Vec<(Reason, String)>) {
        let report = self.running.join().unwrap();
        (report, self.closed.try_iter().collect())
    }

    /// Waits until so many are open.
    pub(crate) fn settles(&self, open: u64) {
        let give_up = Instant::now() + PATIENCE;
        while self.handle().open() != open {
            assert!(Instant::now() < give_up, "{}: {} are open", self.name, self.handle().open());
            match self.closed.recv_timeout(std::time::Duration::from_millis(2)) {
                Ok(closed) => panic!("{}: {closed:?}", self.name),
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => panic!("{}: {error}", self.name),
            }
        }
    }
}
