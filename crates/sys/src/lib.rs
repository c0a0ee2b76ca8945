//! Every `unsafe` block of socketserver, and the thin safe wrappers round system calls that stand beside them.
//!
//! Each unsafe block carries its proof. Nothing here knows what a server is.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "socketserver runs on Linux 5.10 or later and nowhere else: fork supervision, epoll and pidfds are what it is made of"
);

#[cfg(target_os = "linux")]
mod linux {
    mod account;
    mod cpu;
    mod credentials;
    mod descriptor;
    mod fork;
    mod packets;
    mod seqpacket;
    mod session;
    mod shared;
    mod wake;
    #[cfg(feature = "tokio")]
    mod watched;

    pub use account::Account;
    pub use cpu::process_cpu;
    pub use credentials::{Credentials, peer_credentials};
    pub use descriptor::{SharedFd, WithFd, disown, inherit, receive_descriptor, send_descriptor, unsent, untaken};
    pub use descriptor::{descriptor_limit, set_descriptor_limit};
    pub use fork::{Child, Ended, Fork, Forked, exit_child, fork, thread_count};
    pub use packets::{
        Bounce, Inbox, Local, Origin, Outbox, Packet, dropped, join_trains, joins_trains, may_be_anothers, next_error,
        tell_errors, tell_local,
    };
    pub use seqpacket::receive_packet;
    pub use session::{ChildSignals, keep_descriptors, spawn_session};
    pub use shared::SharedWords;
    pub use wake::Wake;
    #[cfg(feature = "tokio")]
    pub use watched::Watched;
}

#[cfg(target_os = "linux")]
pub use linux::*;
