//! `serve exec`: the arguments that it alone has, and what comes before and after serving.

use crate::args::{Log, Serve, first_given};
use crate::serve;
use crate::tls::Tls;
use crate::values::{Limit, count, or_off, rate, some_time};
use socketserver::{Endpoint, Failure, Rate, Report, Server};
use socketserver_exec::{Allowed, Auth, Commands, Encoding, Exec, Limits, Runner, Size, Token, Wire, place, user};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const EXEC: &str = "Running commands (exec)";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Remote {
    /// Answer plain clients in place of `call`: `int32`, four bytes of length and the result; `ready`, the length in digits,
    /// the client's `ready`, the result
    #[arg(long, value_name = "WIRE", help_heading = EXEC)]
    pub(crate) wire: Option<Wire>,

    /// The commands that may be run, a TOML file
    #[arg(long, value_name = "FILE", conflicts_with = "shell", help_heading = EXEC)]
    pub(crate) commands: Option<PathBuf>,

    /// Whatever is asked for is run, by /bin/sh; with --wire only
    #[arg(long, help_heading = EXEC)]
    pub(crate) shell: bool,

    /// Become this user, for good, once its sockets are bound; wanted as root
    #[arg(long, value_name = "NAME", help_heading = EXEC)]
    pub(crate) user: Option<String>,

    /// What requests and results are written in: `gbk`, `big5` and so on; with --wire only [default: utf-8]
    #[arg(long, value_name = "NAME", help_heading = EXEC)]
    pub(crate) encoding: Option<Encoding>,

    /// How long a command may run that has no timeout of its own, or `off` [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = or_off(some_time), help_heading = EXEC)]
    pub(crate) timeout: Option<Limit<Duration>>,

    /// How much a command may print that has no limit of its own [default: 16MiB]
    #[arg(long, value_name = "SIZE", help_heading = EXEC)]
    pub(crate) output_limit: Option<Size>,

    /// How many commands may run at a time [default: 100]
    #[arg(long, value_name = "N", value_parser = count, help_heading = EXEC)]
    pub(crate) max_commands: Option<usize>,

    /// Whoever knows the token in this file may ask: 32 bytes or more, which nobody else can read
    #[arg(long, value_name = "FILE", help_heading = EXEC)]
    pub(crate) token_file: Option<PathBuf>,

    /// This user may ask over Unix sockets, beside the server's own and root; may be given several times
    #[arg(long, value_name = "NAME|UID", help_heading = EXEC)]
    pub(crate) allow_user: Vec<String>,

    /// Whoever has shown a certificate for this name may ask over tls://, as `client.example` or `spiffe://example/client`; may be
    /// given several times
    #[arg(long, value_name = "NAME", help_heading = EXEC)]
    pub(crate) allow_san: Vec<String>,

    /// How often a peer may fail to prove who it is, so many at once, or `off` [default: 5/m]
    #[arg(long, value_name = "RATE", value_parser = or_off(rate), help_heading = EXEC)]
    pub(crate) auth_failures: Option<Limit<Rate>>,
}

/// What is known before anything is bound.
pub(crate) struct Prepared {
    remote: Remote,
    speaks: Speaks,
    /// Whom it becomes.
    account: Option<user::Account>,
}

/// How clients ask, and for what.
enum Speaks {
    Classic(Wire, Allowed),
    Native(Commands, Auth),
}

impl Remote {
    /// For the other handlers: none of it may have been given.
    pub(crate) fn is_for_exec_alone(&self) -> Result<(), Failure> {
        let mine = [
            ("--wire", self.wire.is_some()),
            ("--commands", self.commands.is_some()),
            ("--shell", self.shell),
            ("--user", self.user.is_some()),
            ("--encoding", self.encoding.is_some()),
            ("--timeout", self.timeout.is_some()),
            ("--output-limit", self.output_limit.is_some()),
            ("--max-commands", self.max_commands.is_some()),
        ];
        match first_given(mine.into_iter().chain(self.native())) {
            Some(flag) => Err(format!("`{flag}` is for `serve exec` alone: nothing else runs commands").into()),
            None => Ok(()),
        }
    }

    /// What is for the native protocol alone, and whether it was given.
    fn native(&self) -> [(&'static str, bool); 4] {
        [
            ("--token-file", self.token_file.is_some()),
            ("--allow-user", !self.allow_user.is_empty()),
            ("--allow-san", !self.allow_san.is_empty()),
            ("--auth-failures", self.auth_failures.is_some()),
        ]
    }

    /// Reads what may be run, and refuses what would not be safe.
    pub(crate) fn prepare(self, addresses: &[Endpoint], tls: &Tls) -> Result<Prepared, Failure> {
        let speaks = match self.wire {
            Some(wire) => self.classic(wire, addresses)?,
            None => self.for_call(addresses, tls)?,
        };
        // Before anything is bound, so that who may not serve leaves no trace.
        let account = speaks.account(self.user.as_deref())?;
        Ok(Prepared { remote: self, speaks, account })
    }

    fn classic(&self, wire: Wire, addresses: &[Endpoint]) -> Result<Speaks, Failure> {
        if let Some(flag) = first_given(self.native()) {
            return Err(
                format!("`{flag}` is for the native protocol, without `--wire`: a classic wire asks nobody").into()
            );
        }
        addresses.iter().try_for_each(place::check)?;
        let allowed = match &self.commands {
            Some(file) => Allowed::Commands(Commands::load(file)?),
            None if self.shell => Allowed::Shell,
            None => {
                return Err(
                    "`serve exec` wants `--commands FILE`, the commands that may be run, or `--shell`: then any may"
                        .into(),
                );
            }
        };
        Ok(Speaks::Classic(wire, allowed))
    }

    fn for_call(&self, addresses: &[Endpoint], tls: &Tls) -> Result<Speaks, Failure> {
        if let Some(flag) = first_given([("--shell", self.shell), ("--encoding", self.encoding.is_some())]) {
            return Err(format!(
                "`{flag}` is for a classic wire, `--wire int32` or `--wire ready`: the native protocol runs the commands of \
                 `--commands FILE`, and hands on what they say as it is"
            )
            .into());
        }
        match (tls.asks_clients(), self.allow_san.is_empty()) {
            (false, false) => Err("`--allow-san` wants `--tls-client-ca FILE`: no client shows a certificate unasked")?,
            (true, true) if self.token_file.is_none() => Err(
                "`--tls-client-ca` is not enough: an authority may have issued any number of certificates; `--allow-san NAME` \
                 says whose may ask",
            )?,
            _ => {}
        }
        let auth = self.auth()?;
        addresses.iter().try_for_each(|address| place::check_native(address, &auth))?;
        let Some(file) = &self.commands else {
            return Err("`serve exec` wants `--commands FILE`, the commands that may be run".into());
        };
        Ok(Speaks::Native(Commands::load(file)?, auth))
    }

    fn auth(&self) -> Result<Auth, Failure> {
        let mut auth = Auth::new();
        if let Some(file) = &self.token_file {
            auth = auth.token(Token::load(file)?);
        }
        for user in &self.allow_user {
            auth = auth.allow_user(user::number(user)?);
        }
        auth = self.allow_san.iter().fold(auth, |auth, name| auth.allow_san(name));
        if let Some(rate) = self.auth_failures {
            auth = auth.max_failures(rate.0);
        }
        Ok(auth)
    }
}

impl Speaks {
    fn account(&self, user: Option<&str>) -> Result<Option<user::Account>, Failure> {
        let allowed = match self {
            Self::Classic(_, allowed) => allowed,
            Self::Native(commands, _) => &Allowed::Commands(commands.clone()),
        };
        Ok(user::choose(user, allowed)?)
    }
}

impl Prepared {
    /// Gives up the privileges that binding needed; from here on commands can be run.
    pub(crate) fn begin(self, server: &Server, log: Log) -> Result<Exec, Failure> {
        let Self { remote, speaks, account } = self;
        let endpoints = server.endpoints();
        match &speaks {
            Speaks::Classic(..) => place::secure(&endpoints, account.as_ref())?,
            Speaks::Native(_, auth) => place::secure_native(&endpoints, auth, account.as_ref())?,
        }
        if let Some(account) = &account {
            user::assume(account)?;
        }
        let over_tcp = endpoints.iter().any(|endpoint| endpoint.tcp().is_some());
        if matches!(speaks, Speaks::Classic(_, Allowed::Shell)) && over_tcp {
            log.warning(
                "with `--shell` over TCP every user of this machine, and every program of theirs, can run any command here as \
                 the user of this server; a Unix socket is for its owner alone, `--commands FILE` for what is written there",
            );
        }
        let mut limits = Limits::new();
        if let Some(timeout) = remote.timeout {
            limits = limits.timeout(timeout.0);
        }
        if let Some(size) = remote.output_limit {
            limits = limits.output(size);
        }
        let exec = match speaks {
            Speaks::Classic(wire, allowed) => Exec::new(allowed, wire)?.encoding(remote.encoding.unwrap_or_default()),
            Speaks::Native(commands, auth) => Exec::native(commands, auth)?,
        };
        let mut exec = exec.limits(limits).on_event(move |event| log.exec(event));
        if let Some(max) = remote.max_commands {
            exec = exec.max_commands(max);
        }
        Ok(exec)
    }
}

pub(crate) fn run(mut args: Serve) -> Result<ExitCode, Failure> {
    let (log, model, spin) = (args.log, args.model, args.spin.0);
    let prepared = std::mem::take(&mut args.exec).prepare(&args.addresses, &args.tls)?;
    let mut server = serve::set_up(args, log)?;
    let exec = prepared.begin(&server, log)?;
    log.all_listening(&server);
    let runner = exec.runner().clone();
    let result = serve::serve_on(&mut server, model, spin, exec);
    // A second signal waits for nothing: what is left then ends by itself.
    if !matches!(&result, Ok(Report { hurried: Some(_), .. })) && !runner.end(Runner::END + Duration::from_secs(1)) {
        log.warning("some processes of commands cannot be ended; their supervisors stay with them");
    }
    Ok(serve::conclude(log, result))
}
