//! Files change, and the server takes them in.

use crate::{MODELS, ask, connect, open, rename, unseen};
use rustix::process::Signal;
use socketserver::blocking::Stream;
use socketserver_testkit::{How, OpenSsl, Stage, Suite, skip};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("a_pair_that_is_renamed_is_taken_in", &MODELS, renamed);
    suite.tcp("a_pair_that_is_written_over_is_taken_in", &[How::Threads(4), How::Run], written);
    suite.tcp("half_of_a_pair_is_told_when_it_lasts", &[How::Threads(4), How::Forks(4), How::Run], half);
    suite.tcp("a_broken_file_keeps_the_last_good_one", &MODELS, broken);
    suite.tcp("a_directory_of_secrets_is_swapped", &[How::Threads(4), How::Prefork(2, 4), How::Run], swapped);
    suite.tcp("links_to_an_archive_are_set_anew", &[How::Threads(4)], archived);
    suite.tcp("a_signal_says_at_once_what_is_wrong", &MODELS, signalled);
    suite.tcp("a_signal_where_nothing_changed_says_nothing", &[How::Threads(4), How::Forks(4)], unchanged);
    suite.tcp("where_nothing_can_be_watched_a_signal_does_it", &[How::Threads(4), How::Forks(4)], unwatched);
    suite.tcp("a_server_without_certificates_says_so", &[How::Threads(4)], absent);
}

/// The client goes on as it was, the next one is shown what is there now, and as many reloads were told, and failures.
fn stop(stage: Stage, openssl: &OpenSsl, dir: &Path, mut client: Stream, reloaded: usize, failed: usize) {
    assert_eq!(ask(&mut client, "echo after"), "after");
    drop(client);
    stage.line("closed id=1 ");
    drop(connect(stage.endpoint(), openssl, dir));
    stage.line("closed id=2 ");
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!((ended.count("tls_reloaded"), ended.count("tls_reload_failed")), (reloaded, failed), "{ended:#?}");
    assert_eq!((ended.count("hook_failed"), ended.count("closed")), (0, 2), "{ended:?}");
}

/// The server tells that this certificate is in use.
fn reloaded(stage: &Stage, openssl: &OpenSsl, file: &str) {
    assert_eq!(stage.line("tls_reload"), format!("tls_reloaded {}", openssl.fingerprint(file)));
}

fn renamed(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("live", "DNS:first");
    let (stage, client) = open("pair", how, &openssl, openssl.dir());
    for next in ["second", "third"] {
        openssl.self_signed(next, "DNS:next");
        unseen(&stage, || rename(&openssl, next, "live"));
        reloaded(&stage, &openssl, "live.pem");
    }
    stop(stage, &openssl, openssl.dir(), client, 2, 0);
}

fn written(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("live", "DNS:first");
    let (stage, client) = open("pair", how, &openssl, openssl.dir());
    openssl.self_signed("next", "DNS:next");
    unseen(&stage, || {
        for kind in ["pem", "key"] {
            fs::copy(openssl.path(&format!("next.{kind}")), openssl.path(&format!("live.{kind}"))).unwrap();
        }
    });
    reloaded(&stage, &openssl, "next.pem");
    stop(stage, &openssl, openssl.dir(), client, 1, 0);
}

fn half(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("live", "DNS:first");
    let (stage, client) = open("pair", how, &openssl, openssl.dir());
    openssl.self_signed("next", "DNS:next");
    fs::rename(openssl.path("next.key"), openssl.path("live.key")).unwrap();
    let failed = stage.line("tls_reload");
    assert!(
        failed.starts_with("tls_reload_failed ") && failed.contains("the key is not that of the certificate"),
        "{failed}"
    );
    fs::rename(openssl.path("next.pem"), openssl.path("live.pem")).unwrap();
    reloaded(&stage, &openssl, "live.pem");
    stop(stage, &openssl, openssl.dir(), client, 1, 1);
}

fn broken(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("live", "DNS:first");
    let (stage, client) = open("pair", how, &openssl, openssl.dir());
    fs::write(openssl.path("live.pem"), "nonsense").unwrap();
    let failed = stage.line("tls_reload");
    assert!(failed.ends_with("live.pem`: there is no certificate in it"), "{failed}");
    fs::remove_file(openssl.path("live.pem")).unwrap();
    let failed = stage.line("tls_reload");
    assert!(failed.contains("cannot read") && failed.contains("No such file"), "{failed}");
    openssl.self_signed("next", "DNS:next");
    unseen(&stage, || rename(&openssl, "next", "live"));
    reloaded(&stage, &openssl, "live.pem");
    stop(stage, &openssl, openssl.dir(), client, 1, 2);
}

/// As Kubernetes does it: all files of a secret change in one step.
fn swapped(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    let secret = |name: &str| {
        openssl.self_signed(name, "DNS:next");
        fs::create_dir(openssl.path(&format!("..{name}"))).unwrap();
        for kind in ["pem", "key"] {
            let file = openssl.path(&format!("{name}.{kind}"));
            fs::rename(file, openssl.path(&format!("..{name}/live.{kind}"))).unwrap();
        }
        symlink(format!("..{name}"), openssl.path("..new")).unwrap();
        fs::rename(openssl.path("..new"), openssl.path("..data")).unwrap();
    };
    secret("1");
    for kind in ["pem", "key"] {
        symlink(format!("..data/live.{kind}"), openssl.path(&format!("live.{kind}"))).unwrap();
    }
    let (stage, client) = open("pair", how, &openssl, openssl.dir());
    for round in 2..5 {
        secret(&round.to_string());
        reloaded(&stage, &openssl, "live.pem");
        fs::remove_dir_all(openssl.path(&format!("..{}", round - 1))).unwrap();
    }
    stop(stage, &openssl, openssl.dir(), client, 3, 0);
}

/// As certbot does it: links are set one after the other.
fn archived(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    fs::create_dir(openssl.path("live")).unwrap();
    let link = |name: &str| {
        for kind in ["pem", "key"] {
            let link = openssl.path(&format!("live/live.{kind}"));
            let _ = fs::remove_file(&link);
            symlink(format!("../{name}.{kind}"), &link).unwrap();
        }
    };
    openssl.self_signed("1", "DNS:first");
    link("1");
    let (stage, client) = open("pair", how, &openssl, &openssl.path("live"));
    for name in ["2", "3"] {
        openssl.self_signed(name, "DNS:next");
        unseen(&stage, || link(name));
        reloaded(&stage, &openssl, "live/live.pem");
    }
    stop(stage, &openssl, &openssl.path("live"), client, 2, 0);
}

fn signalled(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("live", "DNS:first");
    let (stage, client) = open("pair", how, &openssl, openssl.dir());
    fs::write(openssl.path("live.key"), "").unwrap();
    stage.signal(Signal::HUP);
    let failed = stage.line("tls_reload");
    assert!(failed.ends_with("live.key`: there is no private key in it: it is empty"), "{failed}");
    openssl.self_signed("next", "DNS:next");
    unseen(&stage, || rename(&openssl, "next", "live"));
    stage.signal(Signal::HUP);
    reloaded(&stage, &openssl, "live.pem");
    // That the files had changed, too, was found out, and is told but once.
    stop(stage, &openssl, openssl.dir(), client, 1, 1);
}

fn unwatched(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    if !Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|status| status.success()) {
        return skip("namespaces of users");
    }
    openssl.self_signed("live", "DNS:first");
    for (role, why) in
        [("unwatched", "(`fs.inotify.max_user_instances`)"), ("half-watched", "(`fs.inotify.max_user_watches`)")]
    {
        let (stage, client) = open(role, how, &openssl, openssl.dir());
        let failed = stage.line("tls_reload_failed cannot watch ");
        assert!(failed.ends_with(&format!("{why}; they are read when the server is told to")), "{failed}");
        openssl.self_signed("next", "DNS:next");
        unseen(&stage, || rename(&openssl, "next", "live"));
        stage.signal(Signal::HUP);
        reloaded(&stage, &openssl, "live.pem");
        stop(stage, &openssl, openssl.dir(), client, 1, 1);
    }
}

fn unchanged(how: How, _: &str) {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("live", "DNS:first");
    let (stage, mut client) = open("pair", how, &openssl, openssl.dir());
    stage.signal(Signal::HUP);
    let answer = ask(&mut client, "reload");
    assert_eq!(
        answer,
        if matches!(how, How::Forks(_)) { "certificates are read by the process that accepts" } else { "done" }
    );
    stop(stage, &openssl, openssl.dir(), client, 0, 0);
}

fn absent(how: How, endpoint: &str) {
    let stage = Stage::open("absent", how, endpoint);
    let mut client = stage.connect();
    client.say("reload\n");
    client.expect("the server was given no certificates: it has no TLS\n");
    stage.signal(Signal::HUP);
    stage.line("hook_failed on_signal the server was given no certificates");
    drop(client);
    assert_eq!(stage.stop().status, Some(0));
}
