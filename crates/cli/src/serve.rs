use crate::args::{Model, Serve};
use crate::complain;
use socketserver::{Error, Forks, Report, Serial, Server, Signal, Threads};
use std::process::ExitCode;

pub(crate) fn run(args: Serve) -> ExitCode {
    let log = args.log;
    let (model, what) = (args.model, args.what);
    let mut server = match set_up(args) {
        Ok(server) => server,
        Err(error) => {
            complain(error);
            return ExitCode::from(2);
        }
    };
    for endpoint in server.endpoints() {
        log.listening(&endpoint);
    }
    let result = match model {
        Model::Serial => server.serve(Serial::new(), what),
        Model::Threads(max) => server.serve(Threads::new(max), what),
        Model::Forks(max) => server.serve(Forks::new(max), what),
    };
    match result {
        Ok(report) => {
            log.stopped(&report);
            ExitCode::from(status(&report))
        }
        Err(error) => {
            complain(&error);
            ExitCode::from(if error.kind() == socketserver::ErrorKind::Unsupported { 2 } else { 1 })
        }
    }
}

fn set_up(args: Serve) -> Result<Server, Error> {
    let log = args.log;
    Server::bind(args.addresses)?
        .idle(args.idle.0)
        .write_timeout(args.write_timeout.0)
        .drain_deadline(args.drain)
        .observe(log)
        .stop_on_signals()?
        .on_signal(Signal::User1, move |handle| {
            log.totals(handle.totals());
            Ok(())
        })
}

fn status(report: &Report) -> u8 {
    match report.hurried {
        Some(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        None if report.is_clean() => 0,
        None => 1,
    }
}
