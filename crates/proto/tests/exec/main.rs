//! The native protocol of remote execution, from outside: any split, any order, any length.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use proptest::prelude::*;
use socketserver_proto::exec::{
    Exit, Fate, Frame, Kind, MAX_REFUSED, MAX_RUN, MAX_WORDS, Method, Methods, PIECE, Proof, Receiver, Refusal, Side,
    Stage, VERSION, Why, WireError, open, run,
};
use std::time::Duration;
use stream::{hear, holds};

fn bytes(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

/// What a frame with this head and payload comes to, for this side at that stage.
fn judged(side: Side, stage: Stage, kind: u8, length: u32, payload: &[u8]) -> Result<bool, WireError> {
    let mut stream = vec![kind];
    stream.extend(length.to_be_bytes());
    stream.extend(payload);
    let mut receiver = Receiver::at(side, stage);
    let result = receiver.next(&mut &stream[..]).map(|frame| frame.is_some());
    assert!(receiver.held() <= 2 * payload.len().max(8), "memory for what was announced");
    result
}

#[test]
fn each_proof_comes_back_as_it_was() {
    let token = Proof::Token { nonce: [1; 32], mac: [2; 32] };
    for (proof, method) in [
        (Proof::None, Method::None),
        (Proof::Credentials, Method::Credentials),
        (Proof::Certificate, Method::Certificate),
        (token, Method::Token),
    ] {
        assert_eq!(proof.method(), method);
        let sent = bytes(&Frame::Auth(proof));
        let mut server = Receiver::at(Side::Server, Stage::Proving);
        assert_eq!(server.next(&mut &sent[..]), Ok(Some(Frame::Auth(proof))));
    }
}

#[test]
fn methods_are_a_set_and_print_in_their_order() {
    let none = Methods::default();
    assert!(none.is_empty() && none.to_string().is_empty());
    let mut all = none;
    for method in Method::ALL.into_iter().rev() {
        assert!(!all.has(method));
        all = all.with(method);
        assert!(all.has(method) && all.with(method) == all);
    }
    assert_eq!(all.to_string(), "none, credentials, certificate, token");
}

/// They stand in logs, and in what a program reads of them.
#[test]
fn each_word_is_another() {
    let fates = [Fate::Exited(1), Fate::Killed(2), Fate::TimedOut, Fate::NotStarted(3), Fate::Lost, Fate::Stopped];
    let fates = fates.map(|fate| (fate.as_str(), fate.number()));
    assert_eq!(fates[..3], [("exited", Some(1)), ("killed", Some(2)), ("timed-out", None)]);
    assert_eq!(fates[3..], [("not-started", Some(3)), ("lost", None), ("stopped", None)]);
    let whys = [Why::Unauthenticated, Why::TooManyFailures, Why::Unknown, Why::Arguments];
    assert_eq!(whys.map(Why::as_str), ["unauthenticated", "too-many-failures", "unknown-command", "arguments"]);
    let whys = [Why::Busy, Why::Failed, Why::Other];
    assert_eq!(whys.map(Why::as_str), ["busy", "failed", "other"]);
    let kinds =
        [Kind::Version, Kind::Hello, Kind::Auth, Kind::Run, Kind::Stdout, Kind::Stderr, Kind::Exit, Kind::Refused];
    let kinds = kinds.map(|kind| kind.to_string());
    assert_eq!(kinds, ["version", "HELLO", "AUTH", "RUN", "STDOUT", "STDERR", "EXIT", "REFUSED"]);
}

#[test]
fn a_large_frame_leaves_no_memory_behind() {
    let sent = [bytes(&Frame::Stdout(b"small")), large_frame(), bytes(&Frame::Stdout(b"small"))].concat();
    let (mut client, mut input) = (Receiver::at(Side::Client, Stage::Running), &sent[..]);
    // In pieces, for what comes at once is not kept at all.
    let mut held = Vec::new();
    while !input.is_empty() {
        let (mut piece, rest) = input.split_at(input.len().min(1000));
        input = rest;
        while client.next(&mut piece).unwrap().is_some() {}
        held.push(client.held());
    }
    assert!(held.iter().any(|held| *held > 4 * PIECE) && *held.last().unwrap() <= 2 * PIECE, "{held:?}");
}

/// Longer than what is sent at once, and not longer than may be.
fn large_frame() -> Vec<u8> {
    let mut frame = vec![Kind::Stdout as u8];
    frame.extend(u32::try_from(8 * PIECE).unwrap().to_be_bytes());
    frame.resize(frame.len() + 8 * PIECE, b'x');
    frame
}

#[test]
fn four_gib_are_refused_before_anything_is_allocated() {
    for (side, stage, kind) in [
        (Side::Server, Stage::Proving, 2),
        (Side::Server, Stage::Ready, 3),
        (Side::Client, Stage::Running, 4),
        (Side::Client, Stage::Running, 5),
        (Side::Client, Stage::Running, 6),
        (Side::Client, Stage::Judging, 7),
        (Side::Client, Stage::Greeting, 1),
    ] {
        let error = judged(side, stage, kind, u32::MAX, b"").unwrap_err();
        assert!(matches!(error, WireError::TooLong { length: u32::MAX, .. }), "{error}");
    }
}

#[test]
fn each_type_has_its_own_bound_and_the_cap_is_on_top() {
    let max = |side, stage, kind, max: u32| {
        assert!(!matches!(judged(side, stage, kind, max, b""), Err(WireError::TooLong { .. })), "{kind} {max}");
        let error = judged(side, stage, kind, max + 1, b"").unwrap_err();
        assert!(matches!(error, WireError::TooLong { .. }), "{kind} {error}");
    };
    max(Side::Server, Stage::Proving, 2, 65);
    max(Side::Server, Stage::Ready, 3, 128 << 10);
    max(Side::Client, Stage::Judging, 2, 32);
    max(Side::Client, Stage::Greeting, 1, 33);
    max(Side::Client, Stage::Running, 4, 1 << 20);
    max(Side::Client, Stage::Running, 6, 18);
    max(Side::Client, Stage::Running, 7, 4096);
    let mut small = Receiver::at(Side::Client, Stage::Running).cap(10);
    assert!(matches!(small.next(&mut &b"\x04\0\0\0\x0b"[..]), Err(WireError::TooLong { max: 10, .. })));
}

#[test]
fn nothing_comes_before_its_time_or_from_the_wrong_side() {
    for (side, stage, kind) in [
        (Side::Server, Stage::Proving, Kind::Run),
        (Side::Server, Stage::Proving, Kind::Hello),
        (Side::Server, Stage::Ready, Kind::Auth),
        (Side::Server, Stage::Running, Kind::Run),
        (Side::Server, Stage::Running, Kind::Stdout),
        (Side::Server, Stage::Over, Kind::Run),
        (Side::Client, Stage::Greeting, Kind::Auth),
        (Side::Client, Stage::Judging, Kind::Stdout),
        (Side::Client, Stage::Ready, Kind::Stdout),
        (Side::Client, Stage::Ready, Kind::Exit),
        (Side::Client, Stage::Running, Kind::Run),
        (Side::Client, Stage::Over, Kind::Refused),
    ] {
        assert_eq!(judged(side, stage, kind as u8, 0, b""), Err(WireError::Order(kind)), "{stage:?}");
    }
    for unknown in [0, 8, 9, 255] {
        assert_eq!(judged(Side::Server, Stage::Ready, unknown, 0, b""), Err(WireError::Kind(unknown)));
    }
    let mut receiver = Receiver::at(Side::Server, Stage::Proving);
    assert_eq!(receiver.sent(Kind::Exit), Err(WireError::Order(Kind::Exit)));
}

#[test]
fn versions_are_agreed_upon() {
    let opening = |version| {
        let mut out = Vec::new();
        open(version, &mut out);
        out
    };
    // A client may know newer ones; a server says what is spoken.
    for (version, server, client) in [(0, false, false), (1, true, true), (2, true, false), (u16::MAX, true, false)] {
        assert_eq!(hear(Side::Server, &opening(version), []).error.is_none(), server, "{version}");
        assert_eq!(hear(Side::Client, &opening(version), []).error.is_none(), client, "{version}");
    }
    for wrong in [&b"SSEXED\0\x01"[..], b"GET / HTTP/1.1\r\n", b"echo hello", b"\x16\x03\x01\x02\0\x01\0\0"] {
        assert_eq!(hear(Side::Server, wrong, []).error, Some(WireError::Magic));
    }
    assert_eq!(hear(Side::Server, b"SSEX", []).error, None);
    assert!(hear(Side::Server, b"SSEX", []).midway);
}

#[test]
fn what_is_no_run_is_refused() {
    let judge = |payload: &[u8]| judged(Side::Server, Stage::Ready, 3, payload.len() as u32, payload);
    assert_eq!(judge(b"\0\x01\0\0\0\x02ls"), Ok(true));
    for wrong in [
        &b""[..],
        b"\0",
        b"\0\0",
        b"\0\x01",
        b"\0\x01\0\0\0\x03ls",
        b"\0\x01\xff\xff\xff\xffls",
        b"\0\x01\0\0\0\x02lsx",
        b"\0\x02\0\0\0\x02ls",
        b"\0\x01\0\0\0\x02l\xff",
        b"\0\x01\0\0\0\x02l\0",
        b"\xff\xff\0\0\0\x02ls",
    ] {
        assert!(matches!(judge(wrong), Err(WireError::Malformed(Kind::Run, _))), "{wrong:?}");
    }
    let mut out = b"before".to_vec();
    assert!(run(&[""; 0], &mut out).is_err() && run(&["a\0"], &mut out).is_err());
    assert!(run(&vec![""; MAX_WORDS + 1], &mut out).is_err() && run(&vec![""; 70_000], &mut out).is_err());
    assert!(run(&["x".repeat(MAX_RUN)], &mut out).is_err());
    assert_eq!(out, b"before");
    assert!(run(&vec![""; MAX_WORDS], &mut out).is_ok() && run(&["x".repeat(MAX_RUN - 6)], &mut out).is_ok());
}

#[test]
fn what_is_no_proof_is_refused() {
    let judge = |payload: &[u8]| judged(Side::Server, Stage::Proving, 2, payload.len() as u32, payload);
    assert_eq!(judge(&[1]), Ok(true));
    assert_eq!(judge(&[&[8][..], &[0; 64]].concat()), Ok(true));
    for wrong in [&b""[..], &[0], &[3], &[16], &[1, 0], &[8], &[8; 64]] {
        assert!(matches!(judge(wrong), Err(WireError::Malformed(Kind::Auth, _))), "{wrong:?}");
    }
    let judge = |payload: &[u8]| judged(Side::Client, Stage::Judging, 2, payload.len() as u32, payload);
    assert_eq!((judge(b""), judge(&[7; 32])), (Ok(true), Ok(true)));
    assert!(judge(&[7; 31]).is_err());
}

#[test]
fn a_refusal_is_bounded_and_whole_characters() {
    let text = "世".repeat(3000);
    let sent = bytes(&Frame::Refused(Refusal { why: Why::Busy, text: &text }));
    assert!(sent.len() <= 5 + MAX_REFUSED && sent.len() > MAX_REFUSED);
    let mut client = Receiver::at(Side::Client, Stage::Running);
    let Ok(Some(Frame::Refused(refusal))) = client.next(&mut &sent[..]) else { panic!("it is one") };
    assert!(refusal.why == Why::Busy && text.starts_with(refusal.text));
    // Two of a newer version, and two that are none.
    for newer in [&b"\x07\0\0\0\x02\x07x"[..], b"\x07\0\0\0\x02\xeex"] {
        let refusal = Frame::Refused(Refusal { why: Why::Other, text: "x" });
        assert_eq!(Receiver::at(Side::Client, Stage::Ready).next(&mut &newer[..]), Ok(Some(refusal)));
    }
    assert!(judged(Side::Client, Stage::Ready, 7, 0, b"").is_err());
    assert!(judged(Side::Client, Stage::Ready, 7, 2, b"\x01\xff").is_err());
}

#[test]
fn long_output_leaves_in_pieces_and_none_in_none() {
    let sent = bytes(&Frame::Stderr(&vec![b'x'; PIECE * 2 + 1]));
    assert_eq!(sent.len(), PIECE * 2 + 1 + 3 * 5);
    assert!(bytes(&Frame::Stdout(b"")).is_empty());
}

#[test]
fn the_bytes_are_as_they_are_written_down() {
    assert_eq!(bytes(&Frame::Version(VERSION)), b"SSEXEC\0\x01");
    let hello = bytes(&Frame::Hello { methods: Methods(10), nonce: [7; 32] });
    assert_eq!((&hello[..6], &hello[6..]), (&b"\x01\0\0\0\x21\x0a"[..], &[7; 32][..]));
    let token = bytes(&Frame::Auth(Proof::Token { nonce: [1; 32], mac: [2; 32] }));
    assert_eq!((&token[..6], token.len()), (&b"\x02\0\0\0\x41\x08"[..], 5 + 65));
    let exit = Exit { fate: Fate::Killed(9), cut: true, left: 2, duration: Duration::from_micros(258) };
    assert_eq!(bytes(&Frame::Exit(exit)), b"\x06\0\0\0\x12\x01\0\0\0\x09\x01\0\0\0\x02\0\0\0\0\0\0\x01\x02");
    let mut out = Vec::new();
    run(&["ls", ""], &mut out).unwrap();
    assert_eq!(out, b"\x03\0\0\0\x0c\0\x02\0\0\0\x02ls\0\0\0\0");
}

#[test]
fn exits_as_a_shell_has_them() {
    let status = |fate| Exit { fate, cut: false, left: 0, duration: Duration::ZERO }.status();
    let all = [
        (Fate::Exited(0), 0),
        (Fate::Exited(3), 3),
        (Fate::Exited(255), 255),
        (Fate::Exited(-1), 255),
        (Fate::Killed(15), 143),
        (Fate::Killed(i32::MAX), 255),
        (Fate::TimedOut, 124),
        (Fate::NotStarted(2), 127),
        (Fate::NotStarted(13), 126),
        (Fate::Lost, 255),
        (Fate::Stopped, 255),
    ];
    for (fate, expected) in all {
        assert_eq!(status(fate), expected, "{fate:?}");
    }
    assert!(judged(Side::Client, Stage::Running, 6, 17, &[0; 17]).is_err());
    assert!(judged(Side::Client, Stage::Running, 6, 18, &[9; 18]).is_err());
}

/// What a client says in a conversation, and what a server does.
fn conversation(words: &[String], output: &[u8]) -> [Vec<u8>; 2] {
    let (mut client, mut server) = (Vec::new(), Vec::new());
    open(VERSION, &mut client);
    Frame::Version(VERSION).encode(&mut server);
    Frame::Hello { methods: Methods(15), nonce: [7; 32] }.encode(&mut server);
    Frame::Auth(Proof::Token { nonce: [1; 32], mac: [2; 32] }).encode(&mut client);
    Frame::Welcome(Some([3; 32])).encode(&mut server);
    for _ in 0..2 {
        run(words, &mut client).unwrap();
        // As a client hears it when it has asked.
        Frame::Stdout(output).encode(&mut server);
        Frame::Stderr(output).encode(&mut server);
        let exit = Exit { fate: Fate::Exited(1), cut: false, left: 0, duration: Duration::from_micros(7) };
        Frame::Exit(exit).encode(&mut server);
    }
    [client, server]
}

proptest! {
    #[test]
    fn any_split_is_heard_alike(
        words in proptest::collection::vec("[^\0]{0,20}", 1..5), output in proptest::collection::vec(any::<u8>(), 0..300),
        pieces in proptest::collection::vec(1..90_usize, 0..30), cut in 0..1000_usize, changed in any::<Option<(usize, u8)>>(),
    ) {
        for (side, mut stream) in [Side::Server, Side::Client].into_iter().zip(conversation(&words, &output)) {
            let outcome = hear(side, &stream, []);
            prop_assert_eq!((outcome.error, outcome.midway), (None, false));
            holds(side, &stream, &pieces);
            // Cut off anywhere, and with any byte another.
            holds(side, &stream[..cut % stream.len()], &pieces);
            if let Some((at, byte)) = changed {
                let at = at % stream.len();
                stream[at] = byte;
                holds(side, &stream, &pieces);
            }
        }
    }

    #[test]
    fn anything_at_all_is_bounded(
        stream in proptest::collection::vec(any::<u8>(), 0..400), pieces in proptest::collection::vec(1..50_usize, 0..20),
    ) {
        for side in [Side::Server, Side::Client] {
            holds(side, &stream, &pieces);
            let mut opened = Vec::new();
            open(1, &mut opened);
            opened.extend_from_slice(&stream);
            holds(side, &opened, &pieces);
        }
    }

    #[test]
    fn words_come_back_as_they_were(words in proptest::collection::vec("[^\0]{0,40}", 1..40)) {
        let mut out = Vec::new();
        run(&words, &mut out).unwrap();
        let mut server = Receiver::at(Side::Server, Stage::Ready);
        let Ok(Some(Frame::Run(heard))) = server.next(&mut &out[..]) else { panic!("it is one") };
        prop_assert_eq!(heard.iter().collect::<Vec<_>>(), words);
        prop_assert_eq!(bytes(&Frame::Run(heard)), out);
    }

    #[test]
    fn exits_come_back_as_they_were(
        which in 0..6_u8, number in any::<i32>(), cut in any::<bool>(), left in any::<u32>(), micros in any::<u64>(),
    ) {
        let fate = match which {
            0 => Fate::Exited(number),
            1 => Fate::Killed(number),
            2 => Fate::TimedOut,
            3 => Fate::NotStarted(number),
            4 => Fate::Lost,
            _ => Fate::Stopped,
        };
        let exit = Exit { fate, cut, left, duration: Duration::from_micros(micros) };
        let out = bytes(&Frame::Exit(exit));
        let mut client = Receiver::at(Side::Client, Stage::Running);
        prop_assert_eq!(client.next(&mut &out[..]), Ok(Some(Frame::Exit(exit))));
        prop_assert_eq!(client.stage(), Stage::Ready);
    }
}
