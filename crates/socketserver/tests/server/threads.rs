//! What `Threads` makes of its options, as `/proc/self` shows it (`proc(5)`).

use crate::{connect, echo};
use rustix::thread::gettid;
use socketserver::{Closed, Observer, Running, Server, Threads, blocking};
use socketserver_testkit::{Client, PATIENCE, Process};
use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// A pool that has grown to its maximum and has nothing to do any more.
struct Pool {
    server: Running,
    /// All of its threads, by number (`gettid(2)`).
    threads: BTreeSet<i32>,
}

impl Pool {
    fn at_rest(options: Threads, max: usize) -> Self {
        struct Tell(Sender<()>);
        impl Observer for Tell {
            fn closed(&self, _: &Closed<'_>) {
                self.0.send(()).unwrap();
            }
        }
        let (tell_closed, closed) = channel();
        let (tell_thread, thread) = channel();
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(Tell(tell_closed));
        let server = server
            .spawn(options.max(max), move |c: &mut blocking::Stream| {
                tell_thread.send(gettid().as_raw_nonzero().get())?;
                echo(c)
            })
            .unwrap();
        // None of them ends before the last is served: each has a thread to itself.
        let clients: Vec<Client> = (0..max).map(|_| connect(&server)).collect();
        let threads: BTreeSet<i32> = clients.iter().map(|_| thread.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(threads.len(), max);
        for client in clients {
            drop(client);
            closed.recv_timeout(PATIENCE).unwrap();
        }
        Self { server, threads }
    }

    /// Those of its threads that are still there, and how often each has gone to sleep.
    fn sleeps(&self) -> Vec<(i32, u64)> {
        let of_thread = |&thread: &i32| {
            let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
            let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            Some((thread, count.trim().parse().unwrap()))
        };
        self.threads.iter().filter_map(of_thread).collect()
    }

    fn len(&self) -> usize {
        self.sleeps().len()
    }
}

#[test]
fn a_pool_shrinks_to_its_minimum_and_no_further() {
    let pool = Pool::at_rest(Threads::default().min(3).keep_alive(Duration::from_millis(100)), 6);
    Process::me().settles("what is above the minimum ends", |_| pool.len() <= 3);
    // Each that is left comes to the end of its time, again and again, and stays.
    let before = pool.sleeps();
    let slept = |now: &[(i32, u64)]| before.iter().zip(now).all(|(before, now)| now.1 >= before.1 + 3);
    Process::me().settles("the others had nothing to do for a while", |_| {
        let now = pool.sleeps();
        now.len() < 3 || slept(&now)
    });
    assert_eq!(pool.len(), 3);
    pool.server.stop().unwrap();
}

#[test]
fn threads_with_nothing_to_do_stay_for_as_long_as_they_are_told() {
    // Side by side, so that no clock has to be looked at: were both kept for the same time, the first would end first.
    let long = Pool::at_rest(Threads::default().keep_alive(Duration::from_secs(3600)), 4);
    let short = Pool::at_rest(Threads::default().keep_alive(Duration::from_millis(100)), 4);
    Process::me().settles("all but one end", |_| short.len() == 1);
    assert_eq!(long.len(), 4);
    long.server.stop().unwrap();
    short.server.stop().unwrap();
}

#[test]
fn threads_have_a_stack_of_the_size_that_was_asked_for() {
    const SIZE: usize = 64 << 20;
    // The C library may count the guard page at its end toward the size.
    const GUARD: usize = 64 << 10;
    let (tell, told) = channel();
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Threads::new(1).stack_size(SIZE), move |_: &mut blocking::Stream| {
            let on_the_stack = 0_u8;
            tell.send(mapping_around(std::ptr::from_ref(&on_the_stack).addr()))?;
            Ok(())
        })
        .unwrap();
    connect(&server).expect_end();
    let size = told.recv_timeout(PATIENCE).unwrap();
    assert!(size >= SIZE - GUARD, "{size}");
    server.stop().unwrap();
}

/// The size of the mapping that an address lies in.
fn mapping_around(address: usize) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let range = |line: &str| {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        Some(usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?)
    };
    maps.lines().filter_map(range).find(|range| range.contains(&address)).unwrap().len()
}
