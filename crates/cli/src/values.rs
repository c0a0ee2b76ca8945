//! What is typed behind flags, as what is meant: times, counts, rates, limits.

use socketserver::{OverLimit, ProxySource, Rate};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

/// What `parse` understands, or `off`.
pub(crate) fn or_off<T>(
    parse: impl Fn(&str) -> Result<T, String> + Clone,
) -> impl Fn(&str) -> Result<Limit<T>, String> + Clone {
    move |text| match text {
        "off" => Ok(Limit(None)),
        _ => parse(text).map(|limit| Limit(Some(limit))).map_err(|wrong| format!("{wrong}; or `off`")),
    }
}

/// Who speaks for others.
pub(crate) fn source(text: &str) -> Result<ProxySource, String> {
    text.parse().map_err(|wrong| format!("{wrong}; or `unix`"))
}

/// `500ms`, `2s`, `5m`, or a bare number of seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; for example `500ms`, `2s`, `5m`, or `2` for seconds");
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        Err(_) => humantime::parse_duration(text).map_err(|_| wrong()),
    }
}

/// As [`time`], and more than none.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err(format!("`{text}` is no time at all; for example `500ms`, `2s`, `5m`")),
        time => Ok(time),
    }
}

/// `200`, `10k`, no more than a million of anything.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    number(text, 1..=1_000_000)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is not a count from 1 to 1000k; for example `200` or `10k`"))
}

/// `3`, and `0` for none.
pub(crate) fn factor(text: &str) -> Result<u32, String> {
    number(text, 0..=1_000_000)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is not a factor from 0 to 1000k; for example `3`"))
}

/// So many bytes: `500`, `10k`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    number(text, 1..=u64::MAX)
        .ok_or_else(|| format!("`{text}` is not a number of bytes a second; for example `500` or `10k`"))
}

/// A whole number, a `k` behind it for thousands.
pub(crate) fn number(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => (text, 1),
    };
    let number = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    range.contains(&number).then_some(number)
}

/// Some bytes that were typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// `68656c6c6f`, white space between bytes.
pub(crate) fn hex(text: &str) -> Result<Bytes, String> {
    let wrong = |what: &str| format!("{what}; for example `68656c6c6f` or `68 65 6c 6c 6f`");
    let mut bytes = Vec::new();
    for word in text.split_ascii_whitespace() {
        let digit = |digit: char| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits: Option<Vec<u8>> = word.chars().map(digit).collect();
        let short = || word.chars().take(40).collect::<String>().escape_debug().to_string();
        let digits = digits.ok_or_else(|| wrong(&format!("`{}` has other characters than 0-9 and a-f", short())))?;
        if digits.len() % 2 != 0 {
            return Err(wrong(&format!("`{}` is not whole bytes, of two digits each", short())));
        }
        bytes.extend(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    Ok(Bytes(bytes))
}

/// `100/s`, `5/m`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    text.parse().map_err(|wrong: socketserver::RateError| wrong.to_string())
}

/// `queue`, `close`, `busy=TEXT`. The text may hold whatever it likes.
pub(crate) fn over_limit(text: &str) -> Result<OverLimit, String> {
    match (text, text.strip_prefix("busy=")) {
        ("queue", _) => Ok(OverLimit::Queue),
        ("close", _) => Ok(OverLimit::Close),
        (_, Some(words)) if !words.is_empty() => Ok(OverLimit::reply(words)),
        ("busy" | "busy=", _) => Err(format!("`{text}` lacks what to say; for example `busy=try again later`")),
        _ => Err(format!("`{text}` is not a policy; one of `queue`, `close`, `busy=TEXT`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "-1", "inf", "NaN", "x", "2 parsecs"] {
            assert!(time(wrong).unwrap_err().contains("500ms"), "{wrong}");
        }
        assert_eq!(count("10k"), Ok(10_000));
        for wrong in ["", "0", "-1", "k", "1.5", "99999999999999999999", "9999999k"] {
            assert!(count(wrong).unwrap_err().contains("10k"), "{wrong}");
        }
        assert_eq!(bytes("10k"), Ok(10_000));
        assert_eq!(bytes("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "0", "1.5", "10kb", "18446744073709551615k"] {
            assert!(bytes(wrong).unwrap_err().contains("10k"), "{wrong}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(or_off(some_time)("off"), Ok(Limit(None)));
        assert_eq!(or_off(some_time)("2s"), Ok(Limit(Some(Duration::from_secs(2)))));
        for wrong in ["0", "0ms", "never"] {
            assert!(or_off(some_time)(wrong).unwrap_err().ends_with("; or `off`"), "{wrong}");
        }
        assert_eq!(rate("100/s").map(|rate| rate.to_string()), Ok("100/s".into()));
        assert!(rate("fast").unwrap_err().contains("100/s"));
        assert_eq!([factor("0"), factor("3")], [Ok(0), Ok(3)]);
        for wrong in ["", "-1", "1.5", "x", "9999k"] {
            assert!(factor(wrong).unwrap_err().contains("`3`"), "{wrong}");
        }
    }

    #[test]
    fn bytes_in_hex() {
        assert_eq!(hex("00fF"), Ok(Bytes(vec![0, 255])));
        assert_eq!(hex(" 68 6569\t"), Ok(Bytes(b"hei".to_vec())));
        assert_eq!(hex(""), Ok(Bytes(Vec::new())));
        for wrong in ["f", "0 0", "0x00", "+1", "é0", &"g".repeat(1_000_000)] {
            let said = hex(wrong).unwrap_err();
            assert!(said.contains("68656c6c6f") && said.len() < 200, "{said}");
        }
    }

    #[test]
    fn policies() {
        assert_eq!(over_limit("queue"), Ok(OverLimit::Queue));
        assert_eq!(over_limit("close"), Ok(OverLimit::Close));
        assert_eq!(over_limit("busy= a=b\n"), Ok(OverLimit::reply(" a=b\n")));
        for wrong in ["busy", "busy=", "drop", "", "Close"] {
            assert!(over_limit(wrong).unwrap_err().contains("busy="), "{wrong}");
        }
    }
}
