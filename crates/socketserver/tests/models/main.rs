//! What every model does alike, over TCP and over Unix sockets: each server in a process of its own, each client a plain
//! socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod drain;
mod failures;
mod forks;
mod limits;
mod prefork;
mod roles;
mod serving;
mod tasks;

use libtest_mimic::{Arguments, Trial};
use socketserver_testkit::{How, Stage, play};
use std::collections::BTreeSet;
use std::process::ExitCode;

const MODELS: [How; 6] =
    [How::Serial, How::Threads(8), How::Forks(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2)];
/// Those that serve several connections at a time.
const PARALLEL: [How; 5] = [How::Threads(8), How::Forks(8), How::Prefork(2, 8), How::Tasks(1), How::Tasks(2)];
const FORKING: [How; 2] = [How::Forks(8), How::Prefork(2, 8)];
const TASKS: [How; 2] = [How::Tasks(1), How::Tasks(2)];

#[derive(Debug, Clone, Copy)]
enum Carrier {
    Tcp,
    Unix,
}

impl Carrier {
    const ALL: [Self; 2] = [Self::Tcp, Self::Unix];

    /// An address of its own for each server, and what has to live as long.
    fn endpoint(self) -> (String, Option<tempfile::TempDir>) {
        match self {
            Self::Tcp => ("tcp://127.0.0.1:0".into(), None),
            Self::Unix => {
                let dir = tempfile::tempdir().unwrap();
                (format!("unix:{}", dir.path().join("s").display()), Some(dir))
            }
        }
    }
}

/// What sockets a server holds that serves nobody. One that has just made its last child ready may hold the child's end
/// of the feed for a moment longer: so what is held later need only be among these.
fn sockets_at_rest(stage: &Stage, how: How) -> BTreeSet<String> {
    if let How::Prefork(ready, _) = how {
        stage.process().settles("its children are ready", |process| process.children().len() == ready);
    }
    stage.process().sockets()
}

/// A test of one model over one carrier.
type Test = fn(How, &str);

struct Suite(Vec<Trial>);

impl Suite {
    fn add(&mut self, name: &str, models: &[How], carriers: &'static [Carrier], test: Test) {
        for how in models {
            for carrier in carriers {
                let how = *how;
                let name = format!("{name}::{}::{carrier:?}", how.to_string().replace(['=', ','], "_"));
                self.0.push(Trial::test(name.to_lowercase(), move || {
                    let (endpoint, _dir) = carrier.endpoint();
                    test(how, &endpoint);
                    Ok(())
                }));
            }
        }
    }

    /// Over both carriers.
    fn both(&mut self, name: &str, models: &[How], test: Test) {
        self.add(name, models, &Carrier::ALL, test);
    }

    /// Over TCP alone.
    fn tcp(&mut self, name: &str, models: &[How], test: Test) {
        self.add(name, models, &[Carrier::Tcp], test);
    }
}

fn main() -> ExitCode {
    if let Some(status) = play(&[roles::ALL, tasks::ROLES].concat()) {
        return status;
    }
    let mut suite = Suite(Vec::new());
    serving::add(&mut suite);
    failures::add(&mut suite);
    limits::add(&mut suite);
    drain::add(&mut suite);
    forks::add(&mut suite);
    prefork::add(&mut suite);
    tasks::add(&mut suite);
    libtest_mimic::run(&Arguments::from_args(), suite.0).exit_code()
}
