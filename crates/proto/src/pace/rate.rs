//! How often something may happen.

use crate::quoted::Quoted;
use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

const NANOS_PER_SEC: u128 = 1_000_000_000;

const EXAMPLE: &str = "100/s";
/// For whoever asked for less than one a second.
const SLOW_EXAMPLE: &str = "30/m";

/// The units of a period in nanoseconds, longest first.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400 * NANOS_PER_SEC),
    ("h", 3_600 * NANOS_PER_SEC),
    ("m", 60 * NANOS_PER_SEC),
    ("s", NANOS_PER_SEC),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// So many in such a time, at most one each nanosecond: `100/s`, `5/m`.
///
/// | text | meaning |
/// |---|---|
/// | `100/s`, `100` | 100 a second |
/// | `5/m`, `5/h`, `5/d` | 5 a minute, an hour, a day of 24 hours |
/// | `1/10s`, `3/250ms` | one each 10 seconds, 3 each 250 ms; `us` and `ns` are known too |
///
/// The count is a whole number from 1 to 4294967295. It is parsed from a string by [`str::parse`]
/// and printed by [`Display`](fmt::Display). What is printed gives the same value when it is parsed
/// again, and has the longest unit of which the period is a whole number: `100/60s` prints as
/// `100/m`. Two rates are equal if count and period are, so `60/m` is not equal to `1/s`, though a
/// [`Pace`](super::Pace) of either is the same.
///
/// ```
/// use socketserver_proto::Rate;
/// use std::time::Duration;
///
/// let rate: Rate = "5/m".parse()?;
/// assert_eq!(rate, Rate::per(5, Duration::from_secs(60))?);
/// assert_eq!(rate.to_string(), "5/m");
/// assert_eq!("10".parse::<Rate>()?.to_string(), "10/s");
/// # Ok::<(), socketserver_proto::RateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU32,
    /// At least `count` nanoseconds.
    period: Duration,
}

impl Rate {
    /// `count` in each `period`.
    ///
    /// # Errors
    ///
    /// The count or the period is zero, or the rate is above one each nanosecond, which is
    /// 1000000000 a second.
    ///
    /// ```
    /// use socketserver_proto::Rate;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Rate::per(100, Duration::from_secs(1))?, "100/s".parse()?);
    /// assert!(Rate::per(0, Duration::from_secs(1)).is_err());
    /// # Ok::<(), socketserver_proto::RateError>(())
    /// ```
    pub fn per(count: u32, period: Duration) -> Result<Self, RateError> {
        let Some(nonzero) = NonZeroU32::new(count) else {
            return Err(RateError::count("0"));
        };
        if period.is_zero() {
            return Err(RateError::new(format!("the period of `{}` is zero", Written { count, period }), EXAMPLE));
        }
        if period.as_nanos() < u128::from(count) {
            let reason = format!("`{}` is more than {NANOS_PER_SEC} a second", Written { count, period });
            return Err(RateError::new(reason, EXAMPLE));
        }
        Ok(Self { count: nonzero, period })
    }

    /// How many in each [`period`](Self::period).
    ///
    /// ```
    /// # use socketserver_proto::Rate;
    /// assert_eq!("5/m".parse::<Rate>()?.count().get(), 5);
    /// # Ok::<(), socketserver_proto::RateError>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> NonZeroU32 {
        self.count
    }

    /// The time in which there are so many; never zero.
    ///
    /// ```
    /// # use socketserver_proto::Rate;
    /// assert_eq!("5/m".parse::<Rate>()?.period().as_secs(), 60);
    /// # Ok::<(), socketserver_proto::RateError>(())
    /// ```
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The burst that a [`Pace`](super::Pace) of this rate has if none is given: as many as the
    /// rate allows in one second, rounded down, and at least 1.
    ///
    /// ```
    /// # use socketserver_proto::Rate;
    /// assert_eq!("100/s".parse::<Rate>()?.burst(), 100);
    /// assert_eq!("90/m".parse::<Rate>()?.burst(), 1);
    /// assert_eq!("5/m".parse::<Rate>()?.burst(), 1);
    /// # Ok::<(), socketserver_proto::RateError>(())
    /// ```
    #[must_use]
    pub fn burst(&self) -> u32 {
        let a_second = u128::from(self.count.get()) * NANOS_PER_SEC / self.period.as_nanos();
        // The period has at least `count` nanoseconds, so this is at most 10^9 and fits.
        u32::try_from(a_second).unwrap_or(u32::MAX).max(1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { count: self.count.get(), period: self.period }.fmt(f)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(RateError::new("a rate cannot be empty", EXAMPLE));
        }
        let (count, period) = text.split_once('/').unwrap_or((text, "s"));
        if count.is_empty() {
            return Err(RateError::new(format!("{} has no number before the `/`", Quoted(text)), EXAMPLE));
        }
        if period.is_empty() {
            return Err(RateError::new(format!("{} has no time after the `/`", Quoted(text)), EXAMPLE));
        }
        let parsed = if is_digits(count) { count.parse().ok() } else { None };
        let parsed = parsed.ok_or_else(|| RateError::count(count))?;
        Self::per(parsed, parse_period(period)?)
    }
}

/// `s` or `10s`.
fn parse_period(text: &str) -> Result<Duration, RateError> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &text[..text.len() - unit.len()];
    let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let reason = match unit {
            "" => format!("time {} has no unit after it", Quoted(text)),
            _ => format!("unit {} is none of `d`, `h`, `m`, `s`, `ms`, `us` and `ns`", Quoted(unit)),
        };
        return Err(RateError::new(reason, EXAMPLE));
    };
    let number = if number.is_empty() { Some(1) } else { number.parse::<u128>().ok() };
    number
        .and_then(|number| number.checked_mul(*nanos))
        .and_then(duration)
        .ok_or_else(|| RateError::new(format!("time {} is too long", Quoted(text)), EXAMPLE))
}

/// So many nanoseconds, if that is a duration.
pub(super) fn duration(nanos: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanos / NANOS_PER_SEC).ok()?;
    let rest = u32::try_from(nanos % NANOS_PER_SEC).ok()?;
    Some(Duration::new(seconds, rest))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// A count and a period as they are typed, whether or not they make a rate.
struct Written {
    count: u32,
    period: Duration,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.period.as_nanos();
        // Every period is whole nanoseconds, and none at all is written in seconds.
        let whole = |&&(_, unit): &&(&str, u128)| nanos >= unit && nanos.is_multiple_of(unit);
        let (name, unit) = *UNITS.iter().find(whole).unwrap_or(&("s", NANOS_PER_SEC));
        match nanos / unit {
            1 => write!(f, "{}/{name}", self.count),
            number => write!(f, "{}/{number}{name}", self.count),
        }
    }
}

/// Why something is not a [`Rate`].
///
/// The text names the offending part and ends with an example of a right rate. It is for people:
/// match on nothing in it. It shows at most 200 characters of the input, with control characters
/// escaped, so that it can go to a log or a terminal as it is.
///
/// ```
/// use socketserver_proto::Rate;
///
/// let error = "0.5/s".parse::<Rate>().unwrap_err();
/// assert_eq!(error.to_string(), "count `0.5` is not a whole number from 1 to 4294967295; for example `30/m`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateError {
    text: Box<str>,
}

impl RateError {
    /// `reason` must show the offending part; `example` must parse.
    fn new(reason: impl fmt::Display, example: &str) -> Self {
        Self { text: format!("{reason}; for example `{example}`").into() }
    }

    fn count(count: &str) -> Self {
        let example = if count.contains('.') { SLOW_EXAMPLE } else { EXAMPLE };
        Self::new(format!("count {} is not a whole number from 1 to {}", Quoted(count), u32::MAX), example)
    }
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example at the end of an error's text, which must itself be right.
    #[track_caller]
    fn example_of(error: &RateError) -> String {
        let message = error.to_string();
        let example = message.strip_suffix('`').and_then(|m| m.rsplit('`').next()).unwrap();
        assert!(example.parse::<Rate>().is_ok(), "the example of {message:?} is itself wrong");
        example.to_owned()
    }

    #[test]
    fn well_formed() {
        let (s, ms, ns) = (Duration::from_secs, Duration::from_millis, Duration::from_nanos);
        // (text, its count, its period, how it prints, its burst)
        let cases = [
            ("100/s", 100, s(1), "100/s", 100),
            ("10", 10, s(1), "10/s", 10),
            ("007", 7, s(1), "7/s", 7),
            ("5/m", 5, s(60), "5/m", 1),
            ("5/h", 5, s(3600), "5/h", 1),
            ("5/d", 5, s(86400), "5/d", 1),
            ("119/m", 119, s(60), "119/m", 1),
            ("120/60s", 120, s(60), "120/m", 2),
            ("60/90s", 60, s(90), "60/90s", 1),
            ("1/48h", 1, s(172800), "1/2d", 1),
            ("1/1000ms", 1, s(1), "1/s", 1),
            ("3/250ms", 3, ms(250), "3/250ms", 12),
            ("1/us", 1, ns(1000), "1/us", 1_000_000),
            ("1/1ns", 1, ns(1), "1/ns", 1_000_000_000),
            ("1000000000", 1_000_000_000, s(1), "1000000000/s", 1_000_000_000),
            ("4294967295/m", u32::MAX, s(60), "4294967295/m", 71_582_788),
            ("1/18446744073709551615999999999ns", 1, Duration::MAX, "1/18446744073709551615999999999ns", 1),
        ];
        for (text, count, period, printed, burst) in cases {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count().get(), rate.period()), (count, period), "{text}");
            assert_eq!(Rate::per(count, period), Ok(rate), "{text}");
            assert_eq!(rate.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(rate), "{text}");
            assert_eq!(rate.burst(), burst, "{text}");
        }
    }

    #[test]
    fn malformed() {
        let long = format!("1/{}s", "9".repeat(1_000));
        // (input, words of the reason, the example)
        let cases = [
            ("", "empty", EXAMPLE),
            ("/s", "`/s` has no number", EXAMPLE),
            ("5/", "`5/` has no time", EXAMPLE),
            ("/", "no number", EXAMPLE),
            ("0", "count `0` is not a whole number from 1", EXAMPLE),
            ("0/m", "count `0` is not", EXAMPLE),
            ("-1/s", "count `-1` is not", EXAMPLE),
            ("+1/s", "count `+1` is not", EXAMPLE),
            ("5s", "count `5s` is not", EXAMPLE),
            ("10k/s", "count `10k` is not", EXAMPLE),
            ("5 /s", "count `5 ` is not", EXAMPLE),
            ("0.5/s", "count `0.5` is not", SLOW_EXAMPLE),
            ("4294967296/m", "count `4294967296` is not", EXAMPLE),
            ("\x1b[2J", r"count `\u{1b}[2J` is not", EXAMPLE),
            ("5/ s", "unit ` s` is none of", EXAMPLE),
            ("5/min", "unit `min` is none of `d`, `h`, `m`, `s`", EXAMPLE),
            ("5/M", "unit `M` is none of", EXAMPLE),
            ("5/s/s", "unit `s/s` is none of", EXAMPLE),
            ("5/1.5s", "unit `.5s` is none of", EXAMPLE),
            ("5/é", "unit `é` is none of", EXAMPLE),
            ("5/10", "time `10` has no unit", EXAMPLE),
            ("5/0m", "the period of `5/0s` is zero", EXAMPLE),
            ("1/18446744073709551616s", "`18446744073709551616s` is too long", EXAMPLE),
            (&long, "is too long", EXAMPLE),
            ("1000000001/s", "`1000000001/s` is more than 1000000000 a second", EXAMPLE),
            ("2/ns", "`2/ns` is more than", EXAMPLE),
        ];
        for (input, words, example) in cases {
            let error = input.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains(words), "{words:?} is not in {error}");
            assert!(error.to_string().len() < 1_000, "{error}");
            assert_eq!(example_of(&error), example, "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn printing_then_parsing_gives_the_same(
            count in any::<u32>(),
            number in any::<u128>().prop_flat_map(|most| 0..=most),
            (_, unit) in proptest::sample::select(UNITS.as_slice()),
        ) {
            let period = duration(number % (Duration::MAX.as_nanos() / unit + 1) * unit).unwrap();
            prop_assert_eq!(Written { count, period }.to_string().parse(), Rate::per(count, period));
        }

        #[test]
        fn any_string_is_a_rate_or_an_error(text in any::<String>()) {
            holds_for(&text)?;
        }

        #[test]
        fn nearly_rates_too(text in "[0-9.+-]{0,11}/?[0-9]{0,4}(d|h|m|s|ms|us|ns|x|/|`)?") {
            holds_for(&text)?;
        }
    }

    /// What parses prints so that it parses to the same; what does not has a right example.
    fn holds_for(text: &str) -> Result<(), TestCaseError> {
        match text.parse::<Rate>() {
            Ok(rate) => prop_assert_eq!(rate.to_string().parse(), Ok(rate)),
            Err(error) => drop(example_of(&error)),
        }
        Ok(())
    }
}
