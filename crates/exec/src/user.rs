//! Whose privileges commands have.

use crate::{Allowed, Error};
#[doc(inline)]
pub use socketserver_sys::Account;

/// The user that this process has to become, by name; `None`: none, it is that user already.
///
/// As root a name is wanted, for whoever may ask would otherwise be root without a word; and that of root itself only for
/// commands that were written down.
///
/// # Errors
/// No name where one is wanted; a user that there is not, or that this process cannot become.
pub fn choose(name: Option<&str>, allowed: &Allowed) -> Result<Option<Account>, Error> {
    let us = rustix::process::geteuid().as_raw();
    let Some(name) = name else {
        return match us {
            0 => Err(Error::new(
                "as root commands are run for nobody without `--user NAME`: they would have all privileges; name a user that \
                 has no more than they need, for example `--user nobody`",
            )),
            _ => Ok(None),
        };
    };
    let failed = |error| Error::new(format!("cannot look up user `{name}`: {error}"));
    let account = Account::named(name).map_err(failed)?;
    let account = account.ok_or_else(|| Error::new(format!("`--user {name}`: there is no user of that name")))?;
    if account.uid() == 0 && matches!(allowed, Allowed::Shell) {
        return Err(Error::new(format!(
            "`--user {name}` is refused with `--shell`: whoever asked would be root; name another user, or write the commands \
             down for `--commands`"
        )));
    }
    if us != 0 && account.uid() != us {
        return Err(Error::new(format!(
            "`--user {name}`: only root can become another user; start it as root or as `{name}`"
        )));
    }
    Ok((us == 0).then_some(account))
}

/// The number of a user, of whom this is the name or the number.
///
/// ```
/// use socketserver_exec::user;
/// assert_eq!((user::number("root")?, user::number("1000")?), (0, 1000));
/// # Ok::<_, socketserver_exec::Error>(())
/// ```
///
/// # Errors
/// There is no user of that name.
pub fn number(text: &str) -> Result<u32, Error> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    match Account::named(text) {
        Ok(Some(account)) => Ok(account.uid()),
        Ok(None) => Err(Error::new(format!("there is no user of the name `{text}`"))),
        Err(error) => Err(Error::new(format!("cannot look up user `{text}`: {error}"))),
    }
}

/// Makes this process that user's, for good. After everything for which the present privileges are needed, and before
/// anybody is served.
///
/// # Errors
/// It could not be done; the process must end.
pub fn assume(account: &Account) -> Result<(), Error> {
    let failed = |error| Error::new(format!("cannot become user `{}`: {error}", account.name()));
    account.assume().map_err(failed)
}
