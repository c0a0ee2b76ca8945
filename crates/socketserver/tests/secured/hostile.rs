//! Clients that break off the handshake, each in a way of its own: nothing stays of them.

use crate::{MODELS, authority, connector, open};
use socketserver_testkit::{Client, Suite};

const ROUNDS: usize = 10;

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("who_breaks_off_leaves_nothing", &MODELS, |how, _| {
        let Some(openssl) = authority() else { return };
        let stage = open("impatient", how, &openssl);
        let honest = || {
            let mut c = connector(&openssl).connect(stage.endpoint()).unwrap();
            c.write_all(b"bye\n").unwrap();
            c.read_to_end(100).unwrap();
            drop(c);
            stage.line("closed ");
        };
        honest();
        // Children that are kept ready come and go, and each has one to hear of work.
        let before = stage.process().sockets().len();
        for _ in 0..ROUNDS {
            // A record of a handshake that says it is longer than any may be.
            let mut oversized = stage.connect();
            oversized.say_if_there([&[22, 3, 1, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &vec![0; 16_380]].concat());
            oversized.say_if_there(vec![22; 60_000]);
            oversized.expect_gone();
            let mut plain = stage.connect();
            plain.say_if_there(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            plain.expect_gone();
            // In the middle of a record.
            let mut resets = stage.connect();
            resets.say_if_there([22, 3, 1, 0, 200, 1]);
            resets.reset();
            let mut leaves = stage.connect();
            leaves.say_if_there([22, 3, 1]);
            drop(leaves);
            (0..4).for_each(|_| drop(stage.line("closed ")));
        }
        // One that begins, and then says nothing more.
        let mut slow: Vec<Client> = (0..4).map(|_| stage.connect()).collect();
        slow.iter_mut().for_each(|client| client.say_if_there([22]));
        slow.iter_mut().for_each(Client::expect_gone);
        (0..slow.len()).for_each(|_| drop(stage.line("closed ")));
        honest();
        stage.process().settles("their sockets are closed", |process| process.sockets().len() <= before);
        stage.process().settles("their threads are gone", |process| process.threads() < 20);
        let ended = stage.stop();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let failed = 4 * ROUNDS + slow.len();
        assert_eq!(ended.count(&format!("handshakes_failed={failed} ")), 1, "{ended:?}");
        let told = ended.lines.iter().filter(|line| line.contains(" reason=handshake-")).count();
        assert_eq!(told, failed, "{ended:?}");
    });
}
