//! What is done to the server.

use crate::chance::Chance;
use crate::client::Clients;
use rustix::process::{Pid, PidfdFlags, Signal};
use socketserver_testkit::{OpenSsl, Stage};
use std::fs;
use std::thread;
use std::time::Duration;

/// More than the server has descriptors.
const CROWD: usize = 200;

/// One thing of many, and a moment without.
pub(crate) fn some(stage: &Stage, openssl: &OpenSsl, clients: &Clients, chance: &mut Chance) {
    match chance.below(12) {
        0 => crowd(clients, chance),
        1 | 2 => renew(stage, openssl, chance),
        3..=6 => stage.signal(Signal::USR1),
        _ => kill(stage, chance),
    }
    thread::sleep(Duration::from_millis(chance.below(60)));
}

/// More come than there can be, say nothing, and leave.
fn crowd(clients: &Clients, chance: &mut Chance) {
    let place = usize::try_from(chance.below(clients.places() as u64)).unwrap();
    clients.crowd(place, || {
        let crowd: Vec<_> = (0..CROWD).map_while(|_| clients.connect(place)).collect();
        thread::sleep(Duration::from_millis(chance.below(200)));
        drop(crowd);
    });
}

/// Other certificates, or now and then none that is any.
fn renew(stage: &Stage, openssl: &OpenSsl, chance: &mut Chance) {
    let name = ["odd", "even"][usize::from(chance.once_in(2))];
    if chance.once_in(4) {
        fs::write(openssl.path("next"), "-----BEGIN CERTIFICATE-----\n").unwrap();
        fs::rename(openssl.path("next"), openssl.path("live.pem")).unwrap();
    } else {
        for kind in ["key", "pem"] {
            fs::copy(openssl.path(&format!("{name}.{kind}")), openssl.path("next")).unwrap();
            fs::rename(openssl.path("next"), openssl.path(&format!("live.{kind}"))).unwrap();
        }
    }
    stage.signal(Signal::HUP);
}

/// Kills one of its children, if it has any.
fn kill(stage: &Stage, chance: &mut Chance) {
    let children = stage.process().children();
    let Some(count) = std::num::NonZero::new(children.len() as u64) else { return };
    let child = children[usize::try_from(chance.below(count.get())).unwrap()];
    let Some(pid) = Pid::from_raw(child.cast_signed()) else { return };
    let Ok(held) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    // The number may have become somebody else's before it was held.
    if stage.process().children().contains(&child) {
        let _ = rustix::process::pidfd_send_signal(held, Signal::KILL);
    }
}

/// No more of it: all is as it was in the beginning.
pub(crate) fn end(stage: &Stage) {
    stage.signal(Signal::USR2);
    stage.line("calm");
}
