//! What async handlers leave to other threads.

use crate::within;
use socketserver::{Offload, Server, Stream, Tasks};
use socketserver_testkit::{Client, PATIENCE};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn offloaded_work_is_done_so_many_at_a_time() {
    for limit in [1, 3] {
        let offload = Offload::new(limit);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, highest) = (now.clone(), most.clone());
        let server = Server::bind("tcp://127.0.0.1:0").unwrap();
        let server = server
            .spawn(Tasks::new(2), async move |c: &mut Stream| {
                let (now, most) = (counted.clone(), highest.clone());
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                offload.run(work).await?;
                c.write_all(b"done\n").await?;
                Ok(())
            })
            .unwrap();
        let mut clients: Vec<Client> = (0..9).map(|_| crate::connect(&server)).collect();
        for client in &mut clients {
            client.expect("done\n");
        }
        assert_eq!((most.load(Ordering::SeqCst), now.load(Ordering::SeqCst)), (limit, 0));
        server.stop().unwrap();
    }
}

#[test]
fn offloaded_work_holds_up_nobody_and_its_panic_is_an_error() {
    let offload = Offload::new(1);
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let server = server
        .spawn(Tasks::new(1), async move |c: &mut Stream| {
            while let Some(word) = c.read_line(100).await? {
                let released = released.clone();
                // What was written leaves before a wait for something else.
                c.flush().await?;
                let reply = match &word[..] {
                    "wait" => offload.run(move || released.lock().unwrap().recv_timeout(PATIENCE).is_ok()).await?,
                    "panic" => {
                        let error = offload.run(|| panic!("on purpose")).await.unwrap_err();
                        error.to_string() == "panicked: on purpose"
                    }
                    _ => true,
                };
                c.write_all(format!("{word} {reply}\n").as_bytes()).await?;
            }
            Ok(())
        })
        .unwrap();
    let mut clients = [crate::connect(&server), crate::connect(&server), crate::connect(&server)];
    clients[0].say("echo\nwait\n");
    clients[0].expect("echo true\n");
    // On the same shard, while that goes on.
    clients[1].say("echo\npanic\n");
    clients[1].expect("echo true\n");
    clients[2].say("echo\n");
    clients[2].expect("echo true\n");
    release.send(()).unwrap();
    clients[0].expect("wait true\n");
    clients[1].expect("panic true\n");
    // A panic gives its turn back.
    clients[2].say("panic\n");
    clients[2].expect("panic true\n");
    drop(clients);
    assert!(server.stop().unwrap().is_clean());
}

#[test]
fn offloaded_work_does_not_hold_up_the_end() {
    for shards in [1, 2] {
        let (release, released) = mpsc::channel();
        let (tell, begun) = mpsc::channel();
        let (released, tell) = (Arc::new(Mutex::new(released)), Mutex::new(tell));
        let offload = Offload::new(1);
        let server = Server::bind("tcp://127.0.0.1:0")
            .unwrap()
            .spawn(Tasks::new(shards), async move |_: &mut Stream| {
                let (released, tell) = (released.clone(), tell.lock().unwrap().clone());
                let wait = move || {
                    tell.send(()).unwrap();
                    released.lock().unwrap().recv_timeout(2 * PATIENCE)
                };
                offload.run(wait).await??;
                Ok(())
            })
            .unwrap();
        let _client = crate::connect(&server);
        begun.recv_timeout(PATIENCE).unwrap();
        server.handle().drain(Duration::ZERO);
        let report = within("a drain with work left to another thread", move || server.join()).unwrap();
        assert_eq!(report.cut.len(), 1, "{report:?}");
        release.send(()).unwrap();
    }
}
