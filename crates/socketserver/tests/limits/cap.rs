use crate::{MODELS, Suite, number};
use socketserver_testkit::{Client, How, Stage};
use std::net::Ipv4Addr;

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("never_more_than_the_maximum", &MODELS, never_more);
}

/// Clients that come at a time, each for one connection after the other.
const CROWD: usize = 200;

/// 20,000 connections, of which 100 may be open at a time, from ten addresses: there are never more, and when it is over
/// nobody was left out and nothing is left.
fn never_more(how: How, endpoint: &str) {
    let long = std::env::var_os("SOCKETSERVER_LONG").is_some();
    let forks = matches!(how, How::Forks(_) | How::Prefork(..));
    let each = if forks && !long { 4_000 } else { 20_000 } / CROWD;
    let most = if how == How::Serial { 1 } else { 100 };
    let stage = Stage::open("cap", how, endpoint);
    // As many as there may be, for certain, and for as long as it takes to be counted.
    let mut first: Vec<_> = (0..most).map(|_| stage.connect()).collect();
    for client in &mut first {
        client.say("hello\n");
        client.expect("hello\n");
    }
    stage.line(&format!("sampled {most}"));
    std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..CROWD)
            .map(|at| {
                let stage = stage.endpoint();
                let source = Ipv4Addr::new(127, 0, 0, 1 + (at % 10) as u8);
                let comes = move || {
                    for _ in 0..each {
                        let mut client = Client::connect_from(stage, source).unwrap();
                        client.say("hello\n");
                        client.expect("hello\n");
                    }
                };
                std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, comes).unwrap()
            })
            .collect();
        drop(first);
        for client in crowd {
            client.join().unwrap();
        }
    });
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.line("counted"), format!("counted most={most} sampled={most} left=0"));
    let totals = ended.line("totals");
    assert_eq!(number(totals, "accepted: "), (most + CROWD * each) as u64);
    assert_eq!(number(totals, "closed: "), (most + CROWD * each) as u64);
    assert_eq!(number(totals, "open="), 0);
}
