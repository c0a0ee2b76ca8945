use crate::{Carrier, How};
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// A test of one model over one carrier: it is given an address to serve on.
pub type Test = fn(How, &str);

/// Tests that each run on several models and over several carriers, in a program that has its own `main`.
///
/// ```no_run
/// use socketserver_testkit::{How, Stage, Suite};
///
/// fn starts(how: How, endpoint: &str) {
///     assert_eq!(Stage::open("echo", how, endpoint).stop().status, Some(0));
/// }
///
/// fn main() -> std::process::ExitCode {
///     // …and first `play`.
///     let mut suite = Suite::default();
///     suite.both("starts", &[How::Serial, How::Threads(4)], starts);
///     suite.run(None)
/// }
/// ```
#[derive(Debug, Default)]
pub struct Suite(Vec<Trial>);

impl Suite {
    /// Adds a test on each of the models, over each of the carriers.
    pub fn add(&mut self, name: &str, models: &[How], carriers: &[Carrier], test: Test) {
        for how in models {
            for carrier in carriers {
                let (how, carrier) = (*how, *carrier);
                let name = format!("{name}::{}::{carrier:?}", how.to_string().replace(['=', ','], "_"));
                self.0.push(Trial::test(name.to_lowercase(), move || {
                    let (endpoint, _dir) = carrier.endpoint();
                    test(how, &endpoint);
                    Ok(())
                }));
            }
        }
    }

    /// Over both carriers of connections.
    pub fn both(&mut self, name: &str, models: &[How], test: Test) {
        self.add(name, models, &Carrier::STREAMS, test);
    }

    /// Over both carriers of packets.
    pub fn packets(&mut self, name: &str, models: &[How], test: Test) {
        self.add(name, models, &Carrier::PACKETS, test);
    }

    /// Over TCP alone.
    pub fn tcp(&mut self, name: &str, models: &[How], test: Test) {
        self.add(name, models, &[Carrier::Tcp], test);
    }

    /// Over UDP alone.
    pub fn udp(&mut self, name: &str, models: &[How], test: Test) {
        self.add(name, models, &[Carrier::Udp], test);
    }

    /// Runs those that the command line asks for, so many at a time unless it says how many; `None`: one a processor.
    #[must_use]
    pub fn run(self, at_a_time: Option<usize>) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = arguments.test_threads.or(at_a_time);
        libtest_mimic::run(&arguments, self.0).exit_code()
    }
}
