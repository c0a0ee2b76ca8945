//! What has to hold in the end, of what the server has told, what it has counted, and what its clients have.

use crate::client::{Clients, Visit};
use socketserver_testkit::Ended;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::SeqCst;

/// One connection, as the server told of it.
#[derive(Debug, Default)]
struct Record {
    opened: u64,
    closed: u64,
    reason: String,
    read: u64,
    written: u64,
    /// Whose first request came through.
    key: Option<u64>,
}

pub(crate) struct Books {
    ended: Ended,
    records: HashMap<u64, Record>,
    refused: u64,
    totals: HashMap<String, u64>,
}

impl Books {
    /// Everything balances.
    pub(crate) fn close(ended: Ended, clients: Clients) {
        assert_eq!(ended.status, Some(0), "nobody was left, so nobody was cut: {:#?}", tail(&ended));
        let books = Self::of(ended);
        let connected = clients.connected.load(SeqCst);
        books.each_connection_ended_once();
        books.the_totals_are_sums();
        books.everybody_who_came_is_counted(connected, clients.silent.load(SeqCst));
        let visits = clients.visits.into_inner().unwrap();
        books.each_request_is_answered_or_accounted_for(&visits);
        let whole = visits.iter().filter(|visit| visit.is_whole()).count();
        let counted = ["refused", "shed", "lost", "exhausted"].map(|name| format!("{name} {}", books.total(name)));
        let (all, honest, reasons) = (books.records.len(), visits.len(), books.reasons());
        eprintln!("  {all} connections, {}; {honest} honest visits, {whole} whole; {reasons:?}", counted.join(", "));
        assert!(whole > 0, "nobody was served");
        assert!(connected > visits.len() as u64, "nobody came but the honest");
    }

    fn of(ended: Ended) -> Self {
        let mut books = Self { records: HashMap::new(), refused: 0, totals: HashMap::new(), ended };
        for line in &books.ended.lines {
            let mut words = line.split(' ');
            let word = words.next().unwrap_or_default();
            let facts: HashMap<&str, &str> = words.filter_map(|word| word.split_once('=')).collect();
            let number = |name: &str| facts.get(name).and_then(|number| number.parse::<u64>().ok()).unwrap_or_default();
            let id = number("id");
            match word {
                "opened" => books.records.entry(id).or_default().opened += 1,
                "closed" => {
                    let record = books.records.entry(id).or_default();
                    record.closed += 1;
                    record.reason = facts["reason"].to_owned();
                    (record.read, record.written) = (number("read"), number("written"));
                }
                "serves" => books.records.entry(id).or_default().key = Some(number("key")),
                "refused" => books.refused += 1,
                "totals" => {
                    let numbers =
                        facts.iter().filter_map(|(name, number)| Some(((*name).to_owned(), number.parse().ok()?)));
                    books.totals = numbers.collect();
                }
                _ => {}
            }
        }
        books
    }

    fn total(&self, name: &str) -> u64 {
        *self.totals.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.totals))
    }

    fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        self.records.values().for_each(|record| *reasons.entry(record.reason.as_str()).or_default() += 1);
        reasons
    }

    fn count(&self, is: impl Fn(&Record) -> bool) -> u64 {
        self.records.values().filter(|record| is(record)).count() as u64
    }

    fn each_connection_ended_once(&self) {
        let odd: Vec<_> = self.records.iter().filter(|(_, record)| record.opened != 1 || record.closed != 1).collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert_eq!((self.total("open"), self.total("closed")), (0, self.total("accepted")));
        assert_eq!(self.total("accepted"), self.records.len() as u64);
    }

    fn the_totals_are_sums(&self) {
        let sum = |of: fn(&Record) -> u64| self.records.values().map(of).sum::<u64>();
        assert_eq!(self.total("read"), sum(|record| record.read));
        assert_eq!(self.total("written"), sum(|record| record.written));
        assert_eq!(self.total("refused"), self.refused);
        let failed = ["failed", "panicked", "killed", "exited"];
        assert_eq!(self.total("failed"), self.count(|record| failed.contains(&record.reason.as_str())));
        assert_eq!(self.total("handshakes_failed"), self.count(|record| record.reason.starts_with("handshake-")));
        assert_eq!(self.total("given_up"), 0);
    }

    /// Whoever was connected was let in, turned away, closed for want of descriptors, or had left before. A reset that comes
    /// at once, on another processor, may overtake the acknowledgement that completes the connection: then the server's
    /// side never had it whole, and nobody is accepted.
    fn everybody_who_came_is_counted(&self, connected: u64, silent: u64) {
        let counted = ["accepted", "refused", "shed", "lost"].map(|name| self.total(name));
        let sum = counted.iter().sum::<u64>();
        assert!(
            connected - silent <= sum && sum <= connected,
            "{connected} connected, {silent} reset silently; accepted, refused, shed and lost: {counted:?}"
        );
    }

    fn each_request_is_answered_or_accounted_for(&self, visits: &[Visit]) {
        let mut by_key: HashMap<u64, &Record> = HashMap::new();
        for record in self.records.values() {
            // Those who are not honest have none.
            if let Some(key) = record.key.filter(|key| *key != 0) {
                assert!(by_key.insert(key, record).is_none(), "{key} was served twice");
            }
        }
        let mut unheard = 0;
        for visit in visits {
            match by_key.get(&visit.key) {
                // What it did last a process that is killed had no time to count.
                Some(record) if record.reason == "killed" => {
                    assert!(visit.is_tls || record.read <= visit.sent, "{visit:?} {record:?}");
                }
                Some(record) if visit.is_whole() && !visit.is_tls => {
                    assert_eq!((record.read, record.written), (visit.sent, visit.got), "{visit:?} {record:?}");
                }
                Some(_) if visit.is_whole() => {}
                // It did not leave by itself, and its requests were right: so that is why.
                Some(record) => {
                    let ours = ["finished", "disconnected", "failed", "panicked", "bad-message", "refused"];
                    assert!(!ours.contains(&record.reason.as_str()), "{visit:?} {record:?}");
                }
                None => {
                    assert_eq!(visit.answered, 0, "nobody served {visit:?}");
                    unheard += 1;
                }
            }
        }
        let turned_away: u64 = ["refused", "shed", "lost"].map(|name| self.total(name)).iter().sum();
        assert!(unheard <= turned_away + self.count(|record| record.key.is_none()), "{unheard} were never heard");
    }
}

/// The last of what it told.
fn tail(ended: &Ended) -> &[String] {
    &ended.lines[ended.lines.len().saturating_sub(20)..]
}
