//! Figures as people read them.

use std::time::Duration;

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `12.3 M`, for a unit behind it.
pub(super) fn scaled(number: f64) -> String {
    match number {
        ..999.5 => format!("{number:.0} "),
        ..999.95e3 => format!("{:.1} k", number / 1e3),
        ..999.95e6 => format!("{:.1} M", number / 1e6),
        _ => format!("{:.1} G", number / 1e9),
    }
}

/// A time to three digits: `12.3 ms`.
pub(super) fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match nanos {
        ..999.5 => return format!("{nanos:.0} ns"),
        ..999.5e3 => (nanos / 1e3, "µs"),
        ..999.5e6 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    let digits = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// `p99.9`, of a percentile; the last one is the maximum.
pub(super) fn percentile(percent: f64) -> String {
    if percent == 100.0 { "max".into() } else { format!("p{percent}") }
}

/// The percentiles that are told.
pub(super) const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_scaled() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 999.0, 1500.0, 2.5e6, 3e9].map(scaled), ["0 ", "999 ", "1.5 k", "2.5 M", "3.0 G"]);
    }

    #[test]
    fn times_have_three_digits() {
        let nanos = [0, 999, 1_000, 12_345, 999_400, 999_600, 1_234_567_890, 600_000_000_000];
        let told = nanos.map(Duration::from_nanos).map(time);
        assert_eq!(told, ["0 ns", "999 ns", "1.00 µs", "12.3 µs", "999 µs", "1.00 ms", "1.23 s", "600 s"]);
    }
}
