//! Children that are kept ready give way when certificates change.

use crate::{ask, connect, open, rename, unseen};
use socketserver::blocking::Stream;
use socketserver_testkit::{How, OpenSsl, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("children_with_old_certificates_give_way", &[How::Prefork(2, 8), How::Prefork(2, 2)], renewal);
}

fn pid(client: &mut Stream) -> u32 {
    ask(client, "pid").parse().unwrap()
}

fn renewal(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("live", "DNS:first");
    let (stage, mut client) = open("pair", how, &openssl, openssl.dir());
    stage.process().settles("two are ready", |process| process.children().len() == 2);
    let old = stage.process().children();
    let busy = pid(&mut client);
    assert!(old.contains(&busy));
    openssl.self_signed("next", "DNS:next");
    unseen(&stage, || rename(&openssl, "next", "live"));
    stage.line("tls_reloaded ");
    stage.process().settles("who waits gives way to another", |process| {
        let children = process.children();
        children.len() == 2 && old.iter().all(|child| children.contains(child) == (*child == busy))
    });
    // Who is at work goes on, and goes after that.
    assert_eq!(pid(&mut client), busy);
    let mut next = connect(stage.endpoint(), &openssl, openssl.dir());
    assert!(!old.contains(&pid(&mut next)));
    drop(client);
    stage.line("closed id=1 ");
    stage.process().settles("who was at work goes", |process| !process.children().contains(&busy));
    assert!(!old.contains(&pid(&mut next)));
    drop(next);
    stage.line("closed id=2 ");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.count("child_ended"), 0, "{ended:?}");
}
