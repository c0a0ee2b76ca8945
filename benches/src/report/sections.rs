//! What the report tells, in which order.

use crate::comparison::Comparison;
use crate::peer::Peer;
use crate::row::Row;
use crate::table;
use crate::visit::Visit;

/// A chapter of the report.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// What a reader should know beforehand.
    pub(crate) text: &'static str,
    /// Rows, by name.
    pub(crate) rows: &'static [&'static str],
}

/// All rows but those that compare peers with each other are in one of them.
pub(crate) static SECTIONS: &[Section] = &[
    Section {
        title: "Echo",
        text: "Connections that stay, 64 bytes back and forth. At a depth of 1 each has one message in flight. `socat` and `tcpserver` \
               have a process a connection, and are shown up to 50: their CPU is that of all of them, and memory that several share \
               is shared out among them. Memory a connection is what the server has grown by since it started: at one connection \
               that is what its first use costs. A server that busy-polls is shown at rest, too: the CPU is what one message and the rest cost.",
        rows: &[
            "field-1",
            "spin",
            "spin-idle",
            "echo-tasks",
            "echo",
            "field-50",
            "echo-tasks-1000",
            "field-1000",
            "field-15000",
            "shards",
        ],
    },
    Section {
        title: "Connections made and closed",
        text: "Connect, one message, its echo, reset by the client; 16 at a time. The rate is of connections.",
        rows: &["connect-tasks", "connect", "field-connect"],
    },
    Section {
        title: "Messages",
        text: "Lines, and frames with a length of 4 bytes before each. The depth is how many are in flight on each connection.",
        rows: &[
            "line",
            "line-tasks",
            "framed-1",
            "field-framed-1",
            "framed-16",
            "field-framed-16",
            "framed-threads",
            "bulk",
        ],
    },
    Section {
        title: "UDP",
        text: "Packets over one socket. The last ones are conversations (sessions) over it.",
        rows: &["udp", "field-udp", "udp-one", "udp-1200", "udp-gso", "sessions"],
    },
    Section {
        title: "TLS",
        text: "TLS 1.3, `TLS_AES_128_GCM_SHA256`, X25519, a P-256 certificate; full handshakes. Go, Python and HAProxy have their own \
               TLS. HAProxy ends TLS and passes the bytes on to `epoll-echo`, which is more work than echoing them.",
        rows: &["tls-echo", "field-tls", "tls-echo-16", "tls-bulk", "tls-handshakes", "field-tls-handshakes"],
    },
    Section {
        title: "Passing connections on",
        text: "Each server stands before `epoll-echo`, which runs on a core of its own and whose CPU is not counted. Each connection takes \
               two descriptors, so that 9,000 are the most.",
        rows: &["field-relay", "field-relay-connect", "field-relay-9000"],
    },
    Section {
        title: "Chat",
        text: "What one says comes to all others. The rate is of deliveries.",
        rows: &["hub", "hub-one", "field-hub"],
    },
    Section {
        title: "Memory of idle connections",
        text: "By how much the server's resident memory has grown, a connection, after each has had one message echoed. What the kernel \
               holds (sockets, and 16 KiB of stack a thread) is in nobody's figure.",
        rows: &["memory", "field-idle", "field-relay-idle", "sessions-memory"],
    },
];

/// The comparisons at one kind of work.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) section: &'static str,
    /// What the work is, in words.
    pub(crate) title: String,
    pub(crate) row: &'static Row,
    pub(crate) comparisons: Vec<&'a Comparison>,
}

/// The comparisons of a section, those at the same work together.
pub(crate) fn groups<'a>(section: &'static Section, comparisons: &'a [Comparison]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for name in section.rows {
        for comparison in comparisons.iter().filter(|comparison| comparison.row.name == *name) {
            let title = table::what(comparison.row, comparison.note.as_deref());
            match groups.iter_mut().find(|group| group.title == title) {
                Some(group) => group.comparisons.push(comparison),
                None => {
                    let (section, row) = (section.title, comparison.row);
                    groups.push(Group { section, title, row, comparisons: vec![comparison] });
                }
            }
        }
    }
    groups
}

impl<'a> Group<'a> {
    /// Its title under its section's: other sections have the same work, by other servers.
    pub(crate) fn path(&self) -> String {
        format!("{}: {}", self.section, self.title)
    }

    /// Who was a candidate, each once.
    pub(crate) fn candidates(&self) -> Vec<Peer> {
        let mut found = Vec::new();
        for comparison in &self.comparisons {
            if !found.contains(&comparison.plan.candidate) {
                found.push(comparison.plan.candidate);
            }
        }
        found
    }

    /// The comparisons of that candidate, one a reference.
    pub(crate) fn of(&self, candidate: Peer) -> impl Iterator<Item = &'a Comparison> {
        self.comparisons.iter().copied().filter(move |comparison| comparison.plan.candidate == candidate)
    }

    /// Every server, ours first, with all visits to it that went well.
    pub(crate) fn servers(&self) -> Vec<(Peer, Vec<&'a Visit>)> {
        let mut found: Vec<(Peer, Vec<&'a Visit>)> = Vec::new();
        let both = |comparison: &&'a Comparison| {
            let comparison: &'a Comparison = comparison;
            [(comparison.plan.candidate, &comparison.candidates), (comparison.plan.reference, &comparison.references)]
        };
        for (peer, visits) in self.comparisons.iter().flat_map(both) {
            let good = visits.iter().filter(|visit| visit.failure.is_none());
            match found.iter_mut().find(|(known, _)| *known == peer) {
                Some((_, all)) => all.extend(good),
                None => found.push((peer, good.collect())),
            }
        }
        found.sort_by_key(|(peer, _)| !peer.is_ours());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    #[test]
    fn every_row_is_told_of_once_but_those_of_peers_alone() {
        let told: Vec<&str> = SECTIONS.iter().flat_map(|section| section.rows).copied().collect();
        for row in row::all() {
            let times = told.iter().filter(|name| **name == row.name).count();
            assert_eq!(times, usize::from(!row.name.starts_with("peers-")), "{}", row.name);
        }
        assert!(told.iter().all(|name| row::all().any(|row| row.name == *name)));
    }
}
