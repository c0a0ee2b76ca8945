use super::Native;
use super::line::{Heard, Line, is_wrong};
use crate::audit::{Audit, CUT};
use crate::commands::NoCommand;
use crate::talk::Talk;
use crate::{Exec, Job, Limits, Outcome, Output, Run, Status, Turn};
use socketserver::{Failure, Result};
use socketserver_proto::exec::{Exit, Frame, Refusal, Why};
use std::io;

impl Native {
    /// Runs one command after the other, to the end of the conversation.
    pub(super) async fn serve(&self, exec: &Exec, c: &mut impl Talk, line: &mut Line, subject: Option<&str>) -> Result {
        loop {
            let (words, length) = match line.hear(c).await {
                Ok(Some(Heard::Run(words, length))) => (words, length),
                Ok(_) => return Ok(()),
                Err(failure) => match is_wrong(&failure) {
                    Some(wrong) => {
                        Audit::without_request(exec, c, subject, "rejected");
                        return Err(Failure::from(format!("not a request: {wrong}")));
                    }
                    None => return Err(failure),
                },
            };
            let text = shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default();
            let mut audit = Audit::new(exec, c, subject, b"", Some(&text)).length(length);
            match self.commands.find_words(&words, exec.default_limits()) {
                Ok((job, limits)) => {
                    if !run(exec, c, line, &job, limits, audit).await? {
                        return Ok(());
                    }
                }
                Err(NoCommand { why, text }) => {
                    audit.status = "refused";
                    drop(audit);
                    line.say(c, &[Frame::Refused(Refusal { why, text: &text })]).await?;
                }
            }
        }
    }
}

/// Runs a command, and says what it says. `false`: nobody is there to hear it.
async fn run(
    exec: &Exec,
    c: &mut impl Talk,
    line: &mut Line,
    job: &Job,
    limits: Limits,
    mut audit: Audit<'_>,
) -> Result<bool> {
    let begun = exec.start(c, job, limits).and_then(|run| Ok((c.watch(&run)?, run)));
    let (watch, mut run) = match begun {
        Ok(begun) => begun,
        // Descriptors, processes, memory or places are used up.
        Err(error) => {
            audit.was_not_started(&error);
            drop(audit);
            let why = if error.kind() == io::ErrorKind::WouldBlock { Why::Busy } else { Why::Failed };
            let text = format!("the command could not be run: {error}");
            line.say(c, &[Frame::Refused(Refusal { why, text: &text })]).await?;
            return Ok(true);
        }
    };
    let outcome = match relay(c, &mut run, &watch, &mut audit.bytes).await {
        Ok(outcome) => outcome,
        Err(error) => {
            // Dropping the run ends it.
            if error.kind() != io::ErrorKind::ConnectionAborted {
                audit.is(Status::Disconnected);
            }
            return Err(error.into());
        }
    };
    audit.ended(&outcome);
    let Some(fate) = outcome.status.fate() else {
        if c.was_cut().await {
            audit.status = CUT;
        }
        return Ok(false);
    };
    // Its place is free, and it is told of, before the client can ask for the next.
    drop((run, watch, audit));
    let exit = Exit { fate, cut: outcome.cut, left: outcome.left, duration: outcome.duration };
    line.say(c, &[Frame::Exit(exit)]).await?;
    Ok(true)
}

/// Hands on what a command says, as it comes. While the client does not take it nothing more is read of it, and the command
/// waits in its writes; its supervisor looks after the time meanwhile.
async fn relay<T: Talk>(c: &mut T, run: &mut Run, watch: &T::Watch, sent: &mut u64) -> io::Result<Outcome> {
    let mut frames = Vec::new();
    loop {
        let turn = run.turn(&mut |output, bytes| {
            *sent += bytes.len() as u64;
            match output {
                Output::Stdout => Frame::Stdout(bytes),
                Output::Stderr => Frame::Stderr(bytes),
            }
            .encode(&mut frames);
        })?;
        let said = !frames.is_empty();
        if said {
            c.write_all(&frames).await?;
            // Requests that wait would hold it back.
            c.flush().await?;
            frames.clear();
        }
        match turn {
            Turn::Over(outcome) => return Ok(outcome),
            Turn::Wait if !said => c.ready(watch).await?,
            Turn::Wait | Turn::Again => {}
        }
    }
}
