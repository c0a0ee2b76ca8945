//! The file of a Unix socket, and who is at its other end.

use crate::{connect, is_served, running};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use socketserver::{ErrorKind, Serial, Server, blocking};
use socketserver_testkit::{Client, PATIENCE};
use std::mem::MaybeUninit;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::mpsc::channel;

#[test]
fn a_live_unix_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("unix:{}", dir.path().join("s").display());
    let first = running(&endpoint);
    let error = Server::bind(&endpoint).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
    is_served(&first.handle().endpoints()[0]);
    first.stop().unwrap();
    assert!(!dir.path().join("s").exists());
}

#[test]
fn a_dead_unix_socket_is_replaced_and_a_file_never() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let endpoint = format!("unix:{}", path.display());
    drop(UnixListener::bind(&path).unwrap());
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
    let server = running(&endpoint);
    is_served(&server.handle().endpoints()[0]);
    server.stop().unwrap();

    for (what, make) in [("file", "text"), ("link", "")] {
        if make.is_empty() {
            std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        } else {
            std::fs::write(&path, make).unwrap();
        }
        let error = Server::bind(&endpoint).unwrap_err();
        assert!(error.to_string().contains("is not a socket"), "{what}: {error}");
        assert!(std::fs::symlink_metadata(&path).is_ok());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn only_the_own_unix_socket_is_unlinked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = Server::bind(format!("unix:{}", path.display()).as_str()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let other_inode = std::fs::metadata(&path).unwrap().ino();
    drop(server);
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), other_inode);
    drop(other);
}

#[test]
fn unix_sockets_have_the_mode_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for (query, mode) in [("", 0o600), ("?mode=600", 0o600), ("?mode=660", 0o660), ("?mode=666", 0o666)] {
        let path = dir.path().join("s");
        let server = Server::bind(format!("unix:{}{query}", path.display())).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{query}");
        drop(server);
    }
}

#[test]
fn a_unix_socket_is_never_seen_with_another_mode() {
    let dir = tempfile::tempdir().unwrap();
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&watch, dir.path(), WatchFlags::CREATE | WatchFlags::ATTRIB).unwrap();
    // No usual umask takes anything of this mode: the file has it from the moment of its making, or by a change.
    let server = Server::bind(format!("unix:{}?mode=600", dir.path().join("s").display())).unwrap();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    let mut seen = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => seen.push((event.events(), event.file_name().unwrap().to_owned())),
            Err(Errno::WOULDBLOCK) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(seen, [(ReadFlags::CREATE, c"s".to_owned())]);
    drop(server);
}

#[test]
fn of_many_who_find_a_dead_socket_one_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let endpoint = format!("unix:{}", path.display());
    for _ in 0..20 {
        drop(UnixListener::bind(&path).unwrap());
        let servers: Vec<_> = std::thread::scope(|scope| {
            let binds: Vec<_> = (0..8).map(|_| scope.spawn(|| Server::bind(&endpoint))).collect();
            binds.into_iter().filter_map(|bind| bind.join().unwrap().ok()).collect()
        });
        assert_eq!(servers.len(), 1);
        // And it is the one that answers.
        assert!(Client::connect(&servers[0].endpoints()[0]).is_ok());
        drop(servers);
        assert!(!path.exists());
    }
}

#[test]
fn unix_peers_have_credentials() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("unix:@socketserver-credentials")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            send.lock().unwrap().send((c.peer().clone(), c.local()))?;
            Ok(())
        })
        .unwrap();
    connect(&server).expect_end();
    let (peer, local) = seen.recv_timeout(PATIENCE).unwrap();
    let credentials = peer.credentials().unwrap();
    assert_eq!(credentials.pid, std::process::id());
    assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());
    assert_eq!((peer.addr(), local), (None, None));
    assert!(peer.to_string().starts_with("unix:pid="));
    server.stop().unwrap();
}
