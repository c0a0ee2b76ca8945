//! The conversation over the classic wires.

use crate::audit::{Audit, CUT};
use crate::reply::Gathered;
use crate::request::{self, NoRequest};
use crate::talk::Talk;
use crate::{Allowed, Encoding, Exec, Job, Limits, Run, Status, Wire};
use socketserver::{Failure, Result};
use std::borrow::Cow;
use std::io;

/// How the conversation goes, and what may be asked for.
#[derive(Debug)]
pub(crate) struct Classic {
    pub(crate) allowed: Allowed,
    pub(crate) wire: Wire,
    pub(crate) encoding: Encoding,
}

impl Classic {
    pub(crate) async fn converse(&self, exec: &Exec, c: &mut impl Talk) -> Result {
        loop {
            let bytes = c.read().await?;
            if bytes.is_empty() {
                return Ok(());
            }
            let Some(result) = self.result_of(exec, c, &bytes).await? else { return Ok(()) };
            self.wire.send(c, &result.bytes).await?;
        }
    }

    /// What a request comes to. `None`: the connection ends.
    async fn result_of(&self, exec: &Exec, c: &mut impl Talk, bytes: &[u8]) -> Result<Option<Reply>> {
        let text = self.encoding.decode(bytes);
        let mut audit = Audit::new(exec, c, None, bytes, text.as_deref());
        if let Err(why) = self.check(bytes, text.as_ref()) {
            audit.status = "rejected";
            return Err(Failure::from(format!("not a request: {why}")));
        }
        let found = match &text {
            Some(text) => self.allowed.find(text, exec.default_limits()),
            None => Err(format!("the request is not {}", self.encoding)),
        };
        let mut reply = match found {
            Ok((job, limits)) => match run(exec, c, &job, limits, &mut audit).await? {
                Some(reply) => reply,
                None => return Ok(None),
            },
            Err(why) => {
                audit.status = "refused";
                format!("{why}\n").into()
            }
        };
        if reply.bytes.is_empty() {
            reply.bytes = self.wire.when_empty().into();
        }
        reply.bytes = self.encoding.encode(reply.bytes);
        audit.bytes = reply.bytes.len() as u64;
        Ok(Some(reply))
    }

    fn check(&self, bytes: &[u8], text: Option<&Cow<'_, str>>) -> Result<(), NoRequest> {
        request::check(bytes)?;
        // Encodings with states may hide one from the look at bytes.
        text.map_or(Ok(()), |text| match text.contains(['\r', '\n', '\0']) {
            true => Err(NoRequest::Controls),
            false => Ok(()),
        })
    }
}

/// What a command printed; `None`: nobody is there to hear it.
async fn run(
    exec: &Exec,
    c: &mut impl Talk,
    job: &Job,
    limits: Limits,
    audit: &mut Audit<'_>,
) -> io::Result<Option<Reply>> {
    let mut gathered = Gathered::default();
    let finished = match exec.start(c, job, limits) {
        Ok(mut run) => {
            let finished = c.finish(&mut run, &mut |output, bytes| gathered.take(output, bytes)).await;
            finished.map(|outcome| (run, outcome))
        }
        Err(error) => Err(error),
    };
    let (run, outcome) = match finished {
        Ok(finished) => finished,
        // Descriptors, processes, memory or places are used up.
        Err(error) => {
            audit.was_not_started(&error);
            return Ok(Some(format!("the command could not be run: {error}\n").into()));
        }
    };
    audit.ended(&outcome);
    if outcome.status == Status::Disconnected {
        if c.was_cut().await {
            audit.status = CUT;
        }
        return Ok(None);
    }
    let program = job.argv().first().map_or("", |program| program);
    let bytes = gathered.into_result(&outcome, limits, program);
    let held = (bytes.len() > SMALL).then_some(run);
    Ok(Some(Reply { bytes, _held: held }))
}

/// As much as a connection may well take up besides. Who is slow to take a small result keeps nobody from running commands.
const SMALL: usize = 64 * 1024;

/// A result on its way.
struct Reply {
    bytes: Vec<u8>,
    /// The place of its command. So the results in memory are bounded as the commands are, however slowly clients take them.
    _held: Option<Run>,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self { bytes: text.into_bytes(), _held: None }
    }
}
