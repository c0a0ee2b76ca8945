//! Those who come: honest ones, who keep books of what they asked for and got, and others.

use crate::chance::Chance;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, SockAddr, Socket, Type};
use socketserver::{Endpoint, Host, UnixName};
use socketserver_testkit::{OpenSsl, PATIENCE, Stage};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What one visitor after the other does.
pub(crate) type Habit = fn(&Clients, &mut Chance);

pub(crate) const HABITS: [Habit; 13] = [
    honest,
    honest,
    honest,
    honest,
    honest,
    honest,
    resets,
    resets,
    stalls,
    stalls,
    disturbs,
    leaves_halfway,
    says_nonsense,
];

/// Where they come to, and their books.
pub(crate) struct Clients {
    endpoints: Vec<Endpoint>,
    tls: Arc<ClientConfig>,
    /// How often `connect(2)` said yes.
    pub(crate) connected: AtomicU64,
    /// How many of them then said and heard nothing, and reset it over TCP.
    pub(crate) silent: AtomicU64,
    /// What crowds have left, at each place.
    crowds: Vec<Crowds>,
    last_key: AtomicU64,
    pub(crate) visits: Mutex<Vec<Visit>>,
}

/// Whoever comes behind a crowd is served once all of it has been accepted.
#[derive(Default)]
struct Crowds {
    /// How many have left.
    left: AtomicU64,
    /// Behind how many of them a visit came that has ended.
    passed: AtomicU64,
}

/// What came of an honest visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visit {
    pub(crate) key: u64,
    pub(crate) is_tls: bool,
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    /// Bytes that were sent, and bytes that came.
    pub(crate) sent: u64,
    pub(crate) got: u64,
    /// Behind the last answer came an end, in order.
    pub(crate) ended: bool,
}

impl Visit {
    /// Everything was answered.
    pub(crate) fn is_whole(&self) -> bool {
        self.ended && self.answered == self.asked
    }
}

impl Clients {
    pub(crate) fn new(stage: &Stage, openssl: &OpenSsl) -> Self {
        let mut endpoints = stage.endpoints().to_vec();
        for _ in 0..2 {
            endpoints.push(stage.line("listening ")["listening ".len()..].parse().unwrap());
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(openssl.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
        Self {
            crowds: endpoints.iter().map(|_| Crowds::default()).collect(),
            endpoints,
            tls,
            connected: AtomicU64::new(0),
            silent: AtomicU64::new(0),
            last_key: AtomicU64::new(0),
            visits: Mutex::default(),
        }
    }

    /// How many places there are to come to.
    pub(crate) fn places(&self) -> usize {
        self.endpoints.len()
    }

    fn any_place(&self, chance: &mut Chance) -> usize {
        usize::try_from(chance.below(self.places() as u64)).unwrap()
    }

    /// Has a crowd come and leave, unless the last one may still wait there, dead: it costs the server a process each, and
    /// the honest ones behind several of them their patience.
    pub(crate) fn crowd(&self, place: usize, come_and_leave: impl FnOnce()) {
        let Crowds { left, passed } = &self.crowds[place];
        if passed.load(SeqCst) == left.load(SeqCst) {
            come_and_leave();
            left.fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn connect(&self, place: usize) -> Option<Socket> {
        let (domain, addr) = match &self.endpoints[place] {
            Endpoint::Tcp { host: Host::Ip(ip), port } | Endpoint::Tls { host: Host::Ip(ip), port } => {
                (Domain::IPV4, SockAddr::from(SocketAddr::new(*ip, *port)))
            }
            Endpoint::Unix { name: UnixName::Path(path), .. } => (Domain::UNIX, SockAddr::unix(path).unwrap()),
            other => panic!("{other}"),
        };
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.connect(&addr).ok()?;
        self.connected.fetch_add(1, SeqCst);
        Some(socket)
    }

    /// An honest visit: a few requests, each answered before the next or all at once, and then the end is waited for.
    pub(crate) fn visit(&self, place: usize, chance: &mut Chance) -> Option<Visit> {
        let crowds = &self.crowds[place];
        let behind = crowds.left.load(SeqCst);
        let socket = self.connect(place)?;
        let is_tls = self.endpoints[place].is_tls();
        let key = self.last_key.fetch_add(1, SeqCst) + 1;
        let asked = 1 + chance.below(8);
        let mut visit = Visit { key, is_tls, asked, answered: 0, sent: 0, got: 0, ended: false };
        let talked = if is_tls {
            let session = ClientConnection::new(self.tls.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
            let mut stream = StreamOwned::new(session, socket);
            talk(&mut stream, &mut visit, chance).and_then(|()| {
                stream.conn.send_close_notify();
                let _ = stream.conn.complete_io(&mut stream.sock)?;
                end(&mut stream, &mut visit)
            })
        } else {
            let mut socket = socket;
            talk(&mut socket, &mut visit, chance).and_then(|()| {
                socket.shutdown(Shutdown::Write)?;
                end(&mut socket, &mut visit)
            })
        };
        if let Err(error) = talked {
            // Whatever goes wrong, nobody is left to wait.
            assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}: {visit:?}");
        }
        crowds.passed.fetch_max(behind, SeqCst);
        self.visits.lock().unwrap().push(visit.clone());
        Some(visit)
    }
}

fn talk(wire: &mut (impl Read + Write), visit: &mut Visit, chance: &mut Chance) -> io::Result<()> {
    let all_at_once = chance.once_in(2);
    let requests: Vec<(String, usize)> = (0..visit.asked)
        .map(|number| {
            let length = if chance.once_in(8) { chance.below(200_000) } else { chance.below(200) };
            (format!("{} {number} {length}\n", visit.key), usize::try_from(length).unwrap())
        })
        .collect();
    if all_at_once {
        let all: String = requests.iter().map(|(line, _)| line.as_str()).collect();
        wire.write_all(all.as_bytes())?;
        visit.sent += all.len() as u64;
    }
    for (number, (line, length)) in requests.iter().enumerate() {
        if !all_at_once {
            wire.write_all(line.as_bytes())?;
            visit.sent += line.len() as u64;
        }
        wire.flush()?;
        let mut answer = vec![0; line.len() + length];
        wire.read_exact(&mut answer)?;
        let (head, body) = answer.split_at(line.len());
        // Whoever is turned away with a word is told less than any answer.
        assert!(head == line.as_bytes(), "{:?} to {line:?}", String::from_utf8_lossy(head));
        assert!(body.iter().all(|byte| usize::from(*byte) == number), "another body to {line:?}");
        visit.answered += 1;
        visit.got += answer.len() as u64;
    }
    Ok(())
}

fn end(wire: &mut (impl Read + Write), visit: &mut Visit) -> io::Result<()> {
    let mut rest = Vec::new();
    wire.read_to_end(&mut rest)?;
    assert!(rest.is_empty(), "{} bytes behind the last answer: {visit:?}", rest.len());
    visit.ended = true;
    Ok(())
}

fn honest(clients: &Clients, chance: &mut Chance) {
    let place = clients.any_place(chance);
    clients.visit(place, chance);
}

/// Asks, and breaks off whatever comes of it.
fn resets(clients: &Clients, chance: &mut Chance) {
    let place = clients.any_place(chance);
    let Some(mut socket) = clients.connect(place) else { return };
    let (asks, listens) = (chance.once_in(2), chance.once_in(2));
    if asks {
        let _ = socket.write_all(b"0 0 100000\n0 1 1");
    }
    if listens {
        let _ = socket.read(&mut [0; 1000]);
    }
    if !asks && !listens && !matches!(clients.endpoints[place], Endpoint::Unix { .. }) {
        clients.silent.fetch_add(1, SeqCst);
    }
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// Says a little, or asks for a lot, and then neither speaks nor listens until the server ends it.
fn stalls(clients: &Clients, chance: &mut Chance) {
    let Some(mut socket) = clients.connect(clients.any_place(chance)) else { return };
    let _ = socket.write_all(if chance.once_in(2) { b"0 0 9999999\n" } else { b"0 0" });
    // Who does not read waits for what it is told when the server has given up.
    std::thread::sleep(Duration::from_millis(100 + chance.below(3000)));
}

/// Has the handler panic, or fail.
fn disturbs(clients: &Clients, chance: &mut Chance) {
    let Some(mut socket) = clients.connect(clients.any_place(chance)) else { return };
    let _ = socket.write_all(if chance.once_in(2) { b"panic\n" } else { b"fail\n" });
    let _ = socket.read(&mut [0; 100]);
    std::thread::sleep(Duration::from_millis(chance.below(20)));
}

/// Is gone in the middle of a request, or of a handshake.
fn leaves_halfway(clients: &Clients, chance: &mut Chance) {
    let Some(mut socket) = clients.connect(clients.any_place(chance)) else { return };
    let _ = socket.write_all(if chance.once_in(2) { b"0 0" } else { b"\x16\x03\x01\x02\x00\x01" });
    std::thread::sleep(Duration::from_millis(chance.below(10)));
}

fn says_nonsense(clients: &Clients, chance: &mut Chance) {
    let Some(mut socket) = clients.connect(clients.any_place(chance)) else { return };
    let nonsense: Vec<u8> = (0..chance.below(2000)).map(|_| chance.below(256).to_le_bytes()[0]).collect();
    let _ = socket.write_all(&nonsense);
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.read(&mut [0; 100]);
}
