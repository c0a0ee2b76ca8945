//! The conversation over the native protocol: who is there, then one command after the other.

mod greeting;
mod line;
mod serving;

use crate::auth::Failures;
use crate::talk::Talk;
use crate::{Auth, Commands, Error, Exec};
use line::Line;
use socketserver::Result;

/// What may be asked for, and by whom.
#[derive(Debug)]
pub(crate) struct Native {
    commands: Commands,
    auth: Auth,
    failures: Failures,
}

impl Native {
    pub(crate) fn new(commands: Commands, auth: Auth) -> Result<Self, Error> {
        let failures = Failures::new(auth.failures())
            .map_err(|error| Error::new(format!("no memory for those who fail to prove who they are: {error}")))?;
        Ok(Self { commands, auth, failures })
    }

    pub(crate) async fn converse(&self, exec: &Exec, c: &mut impl Talk) -> Result {
        let mut line = Line::new();
        let Some(granted) = self.greet(exec, c, &mut line).await? else { return Ok(()) };
        if let Some(subject) = &granted.subject {
            c.set_label(subject);
        }
        self.serve(exec, c, &mut line, granted.subject.as_deref()).await
    }
}
