//! What of a visit is compared, and what it is to be.

use crate::visit::Visit;

/// Something to reach, or only to be known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) measure: Measure,
    pub(crate) target: Target,
}

/// What of a visit is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Messages a second.
    Rate,
    /// The server's CPU time a message, or a connection.
    Cpu,
    /// The latency that half of the messages do not exceed.
    P50,
    /// The latency that 99 % of the messages do not exceed.
    P99,
    /// The latency that 99.9 % of the messages do not exceed.
    P999,
    /// Bytes by which the server's resident memory has grown, a connection or session.
    Memory,
}

/// What a ratio, candidate to reference, is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Not the ratio but the candidate's own figure, in the unit of [`Measure::of`].
    OwnAtMost(f64),
    /// What was measured of peers of this kind elsewhere, within 10 %.
    About(f64),
    /// Only to be known.
    None,
}

impl Measure {
    /// In messages, seconds or bytes.
    pub(crate) fn of(self, visit: &Visit) -> f64 {
        match self {
            Self::Rate => visit.rate,
            Self::Cpu => visit.cpu_each.as_secs_f64(),
            Self::P50 => visit.p50.as_secs_f64(),
            Self::P99 => visit.p99.as_secs_f64(),
            Self::P999 => visit.p999.as_secs_f64(),
            Self::Memory => visit.memory_each,
        }
    }
}

pub(crate) const fn rate(target: Target) -> Goal {
    Goal { measure: Measure::Rate, target }
}

pub(crate) const fn cpu(target: Target) -> Goal {
    Goal { measure: Measure::Cpu, target }
}

pub(crate) const fn p50(target: Target) -> Goal {
    Goal { measure: Measure::P50, target }
}

pub(crate) const fn p99(target: Target) -> Goal {
    Goal { measure: Measure::P99, target }
}

pub(crate) const fn memory(target: Target) -> Goal {
    Goal { measure: Measure::Memory, target }
}
