use super::Native;
use super::line::{Heard, Line, is_wrong};
use crate::Exec;
use crate::audit::Audit;
use crate::auth::{self, Binding, Granted};
use crate::talk::Talk;
use socketserver::{Failure, Result};
use socketserver_proto::exec::{Frame, Refusal, VERSION, Why};
use std::time::Duration;

/// Until then a client has to have proved who it is, from its first byte or none. It is a few hundred bytes.
const PATIENCE: Duration = Duration::from_secs(10);

impl Native {
    /// Finds out who is there. `None`: nobody any more, or nobody who may ask.
    pub(super) async fn greet(&self, exec: &Exec, c: &mut impl Talk, line: &mut Line) -> Result<Option<Granted>> {
        line.set_deadline(c, Some(PATIENCE));
        let granted = match self.ask(exec, c, line).await {
            Err(failure) => match is_wrong(&failure) {
                Some(wrong) => {
                    Audit::without_request(exec, c, None, "rejected");
                    return Err(Failure::from(format!("not the native protocol: {wrong}")));
                }
                None => return Err(failure),
            },
            Ok(granted) => granted,
        };
        line.set_deadline(c, None);
        Ok(granted)
    }

    async fn ask(&self, exec: &Exec, c: &mut impl Talk, line: &mut Line) -> Result<Option<Granted>> {
        let Some(Heard::Version(theirs)) = line.hear(c).await? else { return Ok(None) };
        let version = Frame::Version(theirs.min(VERSION));
        if !self.failures.may_try(c.peer()) {
            return self.throttle(exec, c, line, &[version]).await;
        }
        let channel = c.channel();
        let (methods, nonce) = (self.auth.methods(&channel), auth::nonce()?);
        if methods.is_empty() {
            let text = match channel.binding {
                Binding::Unbound if self.auth.has_token() => "a token is taken over TLS 1.3 and newer versions alone",
                _ => "nobody can prove here who he is; over TLS or a Unix socket one could",
            };
            self.failures.count(c.peer());
            Audit::without_request(exec, c, None, "denied");
            let refusal = Frame::Refused(Refusal { why: Why::Unauthenticated, text });
            line.say(c, &[version, refusal]).await?;
            return Ok(None);
        }
        line.say(c, &[version, Frame::Hello { methods, nonce }]).await?;
        let Some(Heard::Proof(proof)) = line.hear(c).await? else { return Ok(None) };
        // Again: others may have failed from there meanwhile. Between this and the count nothing waits.
        if !self.failures.may_try(c.peer()) {
            return self.throttle(exec, c, line, &[]).await;
        }
        match self.auth.judge(&channel, methods, nonce, &proof) {
            Ok(granted) => {
                line.say(c, &[Frame::Welcome(granted.mac)]).await?;
                Ok(Some(granted))
            }
            Err(denied) => {
                self.failures.count(c.peer());
                Audit::without_request(exec, c, denied.subject.as_deref(), "denied");
                let refusal = Refusal { why: Why::Unauthenticated, text: &denied.text };
                line.say(c, &[Frame::Refused(refusal)]).await?;
                Ok(None)
            }
        }
    }

    async fn throttle(
        &self,
        exec: &Exec,
        c: &mut impl Talk,
        line: &mut Line,
        before: &[Frame<'_>],
    ) -> Result<Option<Granted>> {
        Audit::without_request(exec, c, None, "throttled");
        let text = "too many from there have failed to prove who they are; try again later";
        let refusal = Frame::Refused(Refusal { why: Why::TooManyFailures, text });
        line.say(c, &[before, &[refusal]].concat()).await?;
        Ok(None)
    }
}
