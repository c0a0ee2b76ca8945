//! TLS over real sockets.

mod echo;
