use crate::Process;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Whether a process gives back what it takes: descriptors, sockets, threads, children and files.
///
/// It begins when the process rests, and ends when it rests again with no more than before. What is there meanwhile is
/// nobody's business. Have the process do once what it is to do before that begins: some things are made when they are
/// first needed, and kept.
///
/// ```
/// use socketserver::{Server, Threads, blocking};
/// use socketserver_testkit::{Client, LeakCheck, Process};
///
/// let check = LeakCheck::begin(Process::me());
/// for _ in 0..10 {
///     let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), |c: &mut blocking::Stream| {
///         Ok(c.write_all(b"hello")?)
///     })?;
///     Client::connect(&server.handle().endpoints()[0])?.expect("hello");
///     server.stop()?;
/// }
/// check.end();
///
/// // What was leaked is named.
/// std::mem::forget(std::net::TcpListener::bind("127.0.0.1:0")?);
/// assert!(check.leaked()[0].starts_with("socket:["));
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct LeakCheck {
    process: Process,
    threads: usize,
    children: usize,
    descriptors: usize,
    sockets: BTreeSet<String>,
    files: Vec<PathBuf>,
    /// It waited for something, with every thread.
    waits: bool,
}

impl LeakCheck {
    /// Begins with what the process holds now.
    #[must_use]
    pub fn begin(process: Process) -> Self {
        Self {
            process,
            threads: process.threads(),
            children: process.children().len(),
            descriptors: process.descriptors().len(),
            sockets: process.sockets(),
            files: Vec::new(),
            waits: false,
        }
    }

    /// Begins when the process rests: it has so many children, at most so many threads, and all of these wait. If fewer
    /// threads are there at that moment, there may be that many in the end; and it has to rest then.
    ///
    /// # Panics
    /// When it does not come to rest within [`PATIENCE`](crate::PATIENCE).
    #[must_use]
    pub fn begin_at_rest(process: Process, threads: usize, children: usize) -> Self {
        process.settles(&format!("it rests, with {threads} threads at most and {children} children"), |process| {
            process.threads() <= threads && process.children().len() == children && process.waits()
        });
        Self { threads, waits: true, ..Self::begin(process) }
    }

    /// In the end there must be no such file: the socket of a server that is gone by then.
    #[must_use]
    pub fn without_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// What the process holds at the moment that it did not hold when this began, in words. Each of its sockets is told
    /// from every other, unless it keeps children ready: each of those brings sockets along, so there they are only
    /// counted, as are all other descriptors.
    #[must_use]
    pub fn leaked(&self) -> Vec<String> {
        let now = Self::begin(self.process);
        let more = |what: &str, now: usize, then: usize| (now > then).then(|| format!("{now} {what}, and not {then}"));
        let sockets = now.sockets.difference(&self.sockets).filter(|_| self.children == 0).cloned();
        let counted = [
            more("sockets", now.sockets.len(), self.sockets.len()),
            more("descriptors", now.descriptors, self.descriptors),
            more("threads", now.threads, self.threads),
            more("children", now.children, self.children),
        ];
        let runs = (self.waits && !self.process.waits()).then(|| "a thread that does not wait".to_owned());
        let files = self.files.iter().filter(|file| file.exists()).map(|file| file.display().to_string());
        sockets.chain(counted.into_iter().flatten()).chain(runs).chain(files).collect()
    }

    /// Waits until nothing is left: what a process gives back is told by no event, and takes it a moment.
    ///
    /// # Panics
    /// When for [`PATIENCE`](crate::PATIENCE) something still is.
    #[track_caller]
    pub fn end(&self) {
        self.process.settles("nothing is left", |_| self.leaked().is_empty());
    }
}
