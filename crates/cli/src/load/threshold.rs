//! What must not be: `p99>5ms`.

use super::figures::{grouped, time as told};
use crate::values::{number, time};
use socketserver_load::{Latency, Outcome};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A bound on a figure, and on which side of it is the miss.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    figure: Figure,
    miss: Miss,
    /// Seconds, or as many as there are.
    bound: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    Latency(Place),
    Connect(Place),
    Rate,
    Errors,
    TimeOuts,
    Lost,
    Unsent,
    InFlight,
}

/// Where in a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Min,
    Mean,
    Max,
    Percentile(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Miss {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Threshold {
    /// Whether there is such a figure of that load.
    ///
    /// # Errors
    /// There is none, so that nothing could ever be a miss.
    pub(super) fn check(&self, is_paced: bool, is_datagram: bool) -> Result<(), String> {
        match self.figure {
            Figure::Unsent if !is_paced => {
                Err(format!("`--fail-if '{self}'`: without `--rate` nothing is due, and nothing is left unsent"))
            }
            Figure::Connect(_) if is_datagram => Err(format!("`--fail-if '{self}'`: over UDP no connection is made")),
            _ => Ok(()),
        }
    }

    /// What was found, if that is a miss.
    pub(super) fn missed_by(&self, outcome: &Outcome) -> Option<String> {
        let found = self.figure.of(outcome);
        if self.is_miss(found) {
            return Some(match self.figure {
                Figure::Latency(_) | Figure::Connect(_) => told(Duration::from_secs_f64(found)),
                Figure::Rate => format!("{}/s", grouped(found.round() as u64)),
                _ => grouped(found as u64),
            });
        }
        self.missed_by_unanswered(outcome)
    }

    /// The same of those that had no answer too: in an open loop a server that stands still to the end would pass with the latency
    /// of those before. So far they have waited no longer than they would have had to, so that what is a miss now stays one.
    fn missed_by_unanswered(&self, outcome: &Outcome) -> Option<String> {
        let (Figure::Latency(place @ (Place::Max | Place::Percentile(_))), Miss::Above | Miss::AtLeast) =
            (self.figure, self.miss)
        else {
            return None;
        };
        let unanswered = &outcome.open_loop.as_ref()?.unanswered;
        let mut all = outcome.latency.clone();
        all.merge(unanswered);
        let found = place.of(&all);
        self.is_miss(found).then(|| {
            let (none, all) = (grouped(unanswered.len()), grouped(all.len()));
            format!("{} at least, as {none} of {all} messages had no answer", told(Duration::from_secs_f64(found)))
        })
    }

    fn is_miss(&self, found: f64) -> bool {
        match self.miss {
            Miss::Above => found > self.bound,
            Miss::AtLeast => found >= self.bound,
            Miss::Below => found < self.bound,
            Miss::AtMost => found <= self.bound,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: String| format!("{what}; for example `p99>5ms`, `rate<10k`, `errors>0`");
        let at = text.find(['<', '>']).ok_or_else(|| wrong(format!("`{text}` compares nothing")))?;
        let (name, rest) = (text[..at].trim(), &text[at + 1..]);
        let (miss, bound) = match (&text[at..=at], rest.strip_prefix('=')) {
            (">", Some(bound)) => (Miss::AtLeast, bound),
            (">", None) => (Miss::Above, rest),
            (_, Some(bound)) => (Miss::AtMost, bound),
            (_, None) => (Miss::Below, rest),
        };
        let figure = Figure::named(name).ok_or_else(|| wrong(format!("`{name}` is no figure that is found")))?;
        let bound = bound.trim();
        let bound = match figure {
            Figure::Latency(_) | Figure::Connect(_) => time(bound).map_err(wrong)?.as_secs_f64(),
            _ => number(bound, 0..=u64::MAX).ok_or_else(|| wrong(format!("`{bound}` is no number")))? as f64,
        };
        Ok(Self { text: text.to_owned(), figure, miss, bound })
    }
}

impl Figure {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "errors" => Self::Errors,
            "timeouts" => Self::TimeOuts,
            "lost" => Self::Lost,
            "unsent" => Self::Unsent,
            "in-flight" => Self::InFlight,
            other => match other.strip_prefix("connect-") {
                Some(place) => Self::Connect(Place::named(place)?),
                None => Self::Latency(Place::named(other)?),
            },
        })
    }

    fn of(self, outcome: &Outcome) -> f64 {
        match self {
            Self::Latency(place) => place.of(&outcome.latency),
            Self::Connect(place) => place.of(&outcome.connect),
            Self::Rate => outcome.rate(),
            Self::Errors => outcome.errors.total() as f64,
            Self::TimeOuts => outcome.errors.timeout as f64,
            Self::Lost => outcome.lost as f64,
            Self::Unsent => outcome.open_loop.as_ref().map_or(0, |open| open.unsent) as f64,
            Self::InFlight => outcome.in_flight as f64,
        }
    }
}

impl Place {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "min" => Self::Min,
            "mean" => Self::Mean,
            "max" => Self::Max,
            other => {
                let digits =
                    other.strip_prefix('p').filter(|digits| digits.starts_with(|one: char| one.is_ascii_digit()))?;
                Self::Percentile(digits.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))?)
            }
        })
    }

    fn of(self, latency: &Latency) -> f64 {
        let found = match self {
            Self::Min => latency.min(),
            Self::Mean => latency.mean(),
            Self::Max => latency.max(),
            Self::Percentile(percent) => latency.percentile(percent),
        };
        found.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let mut outcome = Outcome::default();
        (1..=100).for_each(|millis| outcome.latency.record(Duration::from_millis(millis)));
        outcome.messages = 100;
        outcome.elapsed = Duration::from_secs(1);
        outcome.errors.timeout = 2;
        outcome
    }

    #[test]
    fn a_miss_tells_what_was_found() {
        for (text, found) in [
            ("p99>5ms", Some("99.0 ms")),
            ("p99 > 2s", None),
            ("max >= 100ms", Some("100 ms")),
            ("p50<=40ms", None),
            ("min<1", Some("1.00 ms")),
            ("rate<10k", Some("100/s")),
            ("rate<100", None),
            ("rate<=100", Some("100/s")),
            ("errors>0", Some("2")),
            ("timeouts>=2", Some("2")),
            ("lost>0", None),
            ("unsent>0", None),
            ("in-flight>0", None),
            ("connect-p99>0", None),
        ] {
            let threshold: Threshold = text.parse().unwrap();
            let missed = threshold.missed_by(&outcome());
            assert_eq!(missed.as_deref().map(|told| told.trim_start_matches("100.0")), found, "{text}");
            assert_eq!(threshold.to_string(), text);
        }
    }

    #[test]
    fn what_compares_nothing_known_is_refused() {
        for (text, word) in [
            ("p99", "compares nothing"),
            ("p99=5ms", "compares nothing"),
            ("p101>5ms", "`p101`"),
            ("p>5ms", "`p`"),
            ("p-1>5ms", "`p-1`"),
            ("pNaN>1", "`pNaN`"),
            ("speed>5", "`speed`"),
            ("p99>soon", "`soon`"),
            ("rate<5ms", "`5ms`"),
            ("errors>-1", "`-1`"),
            (">5", "``"),
        ] {
            let wrong = text.parse::<Threshold>().unwrap_err();
            assert!(wrong.contains(word) && wrong.contains("`p99>5ms`"), "{wrong}");
        }
    }
}
