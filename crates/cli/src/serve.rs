use crate::args::{Log, Serve, What};
use crate::builtin::{Answer, Packets};
use crate::model::Model;
use crate::values::Limit;
use crate::{chat, complain, exec, talk};
use socketserver::{Endpoint, Error, Failure, Forks, Observer, Report, RunsOn, Serial, Server, Signal, Tasks, Threads};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) fn run(args: Serve) -> ExitCode {
    let status = suits(&args).and_then(|()| match args.what {
        What::Echo => answer(args, Answer::Echo),
        What::Upper => answer(args, Answer::Upper),
        What::Hello => answer(args, Answer::Hello),
        What::Discard => answer(args, Answer::Discard),
        What::Chat => chat::run(args),
        What::Talk => talk::run(args),
        What::Exec => exec::run(args),
    });
    status.unwrap_or_else(|error| {
        complain(error);
        ExitCode::from(2)
    })
}

/// Whether the flags are for what is to be done.
fn suits(args: &Serve) -> Result<(), Failure> {
    if args.spin.0.is_some() && !matches!(args.model, Model::Tasks(_)) {
        Err("`--spin` is for `--model tasks` alone: the threads of the other models sleep in the kernel")?;
    }
    if args.raw && args.what != What::Talk {
        Err("`--raw` is for `talk` alone: nothing else prints what peers send")?;
    }
    if args.what != What::Chat {
        args.rooms.is_for_chat_alone()?;
    }
    if args.what != What::Exec {
        args.exec.is_for_exec_alone()?;
    }
    if !args.proxy_protocol.is_empty() {
        if args.exec.wire.is_some() {
            Err("`--wire` asks nobody, and is for this machine: who is behind `--proxy-protocol` need not be on it")?;
        }
        has_streams(&args.addresses)?;
    }
    Ok(())
}

/// Whether proxies have something to come to, and can to all of it but packets.
fn has_streams(addresses: &[Endpoint]) -> Result<(), Failure> {
    if addresses.iter().all(Endpoint::is_datagram) {
        Err("`--proxy-protocol` is for connections, and only packets come here")?;
    }
    if let Some(at) = addresses.iter().find(|at| matches!(at, Endpoint::Seqpacket { .. })) {
        Err(format!("`--proxy-protocol` is for streams of bytes, and whole messages come to `{at}`"))?;
    }
    Ok(())
}

fn answer(args: Serve, what: Answer) -> Result<ExitCode, Failure> {
    // Before anything is bound, and said to listen. What an inherited socket carries is not known yet.
    let keeps_messages = |at: &&Endpoint| at.path().is_some() || matches!(at, Endpoint::Seqpacket { .. });
    if let Some(at) = args.addresses.iter().find(keeps_messages) {
        Err(format!(
            "whole messages come to `{at}`, and what is served here takes bytes and packets: `chat` and `talk` take messages"
        ))?;
    }
    let (log, model, spin) = (args.log, args.model, args.spin.0);
    let mut server = set_up(args, log)?;
    log.all_listening(&server);
    Ok(conclude(log, serve_on(&mut server, model, spin, (what, Packets(what)))))
}

/// Serves with whichever model was asked for.
pub(crate) fn serve_on<H, B, A>(
    server: &mut Server,
    model: Model,
    spin: Option<Duration>,
    handler: H,
) -> Result<Report, Error>
where
    H: RunsOn<Serial, B> + RunsOn<Threads, B> + RunsOn<Forks, B> + RunsOn<Tasks, A> + Send + Sync + 'static,
{
    match model {
        Model::Tasks(shards) => {
            let tasks = shards.map_or_else(Tasks::default, Tasks::new);
            server.serve(tasks.spin(spin), handler)
        }
        Model::Serial => server.serve(Serial::new(), handler),
        Model::Threads(max) => server.serve(Threads::new(max), handler),
        Model::Forks(max) => server.serve(Forks::new(max), handler),
    }
}

/// Says how serving ended.
pub(crate) fn conclude(log: Log, result: Result<Report, Error>) -> ExitCode {
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

/// A server as the arguments want it.
pub(crate) fn set_up(args: Serve, observer: impl Observer) -> Result<Server, Failure> {
    let log = args.log;
    let max_conns = args.max_conns.unwrap_or(Limit(Some(10_000)));
    let idle = args.idle.unwrap_or(Limit(Some(Duration::from_secs(60))));
    let tls = args.tls.of_server(&args.addresses, &args.rooms.host)?;
    let mut server = Server::bind(args.addresses)?
        .max_connections(max_conns.0.map(|max| max as u64))
        .max_per_peer(args.max_per_ip.0)
        .accept_rate(args.accept_rate.0)
        .packet_rate(args.packet_rate.0)
        .over_limit(args.over_limit)
        .allow(args.allow)
        .deny(args.deny)
        .proxy_protocol(args.proxy_protocol)
        .handshake(args.handshake.0)
        .first_byte(args.first_byte.0)
        .idle(idle.0)
        .write_timeout(args.write_timeout.0)
        .lifetime(args.lifetime.0)
        .min_rate(args.min_rate.0)
        .drain_deadline(args.drain)
        .observe(observer)
        .stop_on_signals()?
        .on_signal(Signal::User1, move |handle| {
            log.totals(handle.totals());
            Ok(())
        })?;
    if let Some(factor) = args.max_amplification {
        server = server.max_amplification(factor.0);
    }
    if let Some(tls) = tls {
        server = args.tls.arm(server, tls, log)?;
    }
    Ok(server)
}

fn status(report: &Report) -> u8 {
    match report.hurried {
        Some(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        None if report.is_clean() => 0,
        None => 1,
    }
}
