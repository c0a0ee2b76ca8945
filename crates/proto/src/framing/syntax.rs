//! The text of an [`AnyFraming`](super::AnyFraming), both ways.

use super::length_field::Field;
use super::length_parameters::Parameters;
use super::notation::{Escaped, Size, size};
use super::options::{Known, Options, no_size};
use super::{AnyFraming, DEFAULT_MAX, Delimiter, Fixed, LengthPrefix, Line, Netstring, Varint};
use crate::quoted::Quoted;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The names of length fields. Those in this machine's order come last: they print as one of the others, which they are.
const LENGTHS: [(&str, LengthPrefix); 16] = [
    ("u8", LengthPrefix::u8()),
    ("u16be", LengthPrefix::u16_be()),
    ("u16le", LengthPrefix::u16_le()),
    ("u24be", LengthPrefix::u24_be()),
    ("u24le", LengthPrefix::u24_le()),
    ("u32be", LengthPrefix::u32_be()),
    ("u32le", LengthPrefix::u32_le()),
    ("u64be", LengthPrefix::u64_be()),
    ("u64le", LengthPrefix::u64_le()),
    ("i32be", LengthPrefix::i32_be()),
    ("i32le", LengthPrefix::i32_le()),
    ("u16ne", LengthPrefix::u16_ne()),
    ("u24ne", LengthPrefix::u24_ne()),
    ("u32ne", LengthPrefix::u32_ne()),
    ("u64ne", LengthPrefix::u64_ne()),
    ("i32ne", LengthPrefix::i32_ne()),
];

const EXAMPLE: &str = "u32be,max=10k";
const LENGTH_EXAMPLE: &str = "u16be,offset=2,adjustment=-4,strip=0";
const DELIMITER_EXAMPLE: &str = r"delimiter=\r\n,or=\n,max=10k";
const FIXED_EXAMPLE: &str = "fixed=16";

/// Why a string is no [`AnyFraming`].
///
/// The text names the offending part, tells what would be right, and ends with an example. It is for people: match on
/// nothing in it. It shows at most 200 characters of the input, with control characters escaped, so that it can go to a log
/// or a terminal as it is.
///
/// ```
/// use socketserver_proto::framing::AnyFraming;
///
/// let error = "line,maximum=10k".parse::<AnyFraming>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`maximum` is no option of `line`, which has `max=` and `skip-oversized`; for example `line,max=10k`",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyFramingError {
    text: Box<str>,
}

impl AnyFramingError {
    /// `reason` must show the offending part; `example` must parse.
    pub(super) fn new(reason: impl fmt::Display, example: &str) -> Self {
        Self { text: format!("{reason}; for example `{example}`").into() }
    }
}

impl fmt::Display for AnyFramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for AnyFramingError {}

impl FromStr for AnyFraming {
    type Err = AnyFramingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, options) = text.split_once(',').map_or((text, None), |(first, rest)| (first, Some(rest)));
        let (name, value) = first.split_once('=').map_or((first, None), |(name, value)| (name, Some(value)));
        let with_options = |known: &[Known], example| Options::parse(name, options, known, example);
        let limited = [Known::value("max"), Known::flag("skip-oversized")];
        let framing = match (name, value) {
            ("delimiter", Some(value)) => {
                let known = [Known::values("or"), limited[0], limited[1]];
                delimiter(value, &with_options(&known, DELIMITER_EXAMPLE)?)?.into()
            }
            ("fixed", Some(value)) => {
                with_options(&[], FIXED_EXAMPLE)?;
                match size(value) {
                    Some(len) if len > 0 => Fixed::new(len).into(),
                    _ => return Err(no_size("the length", value, FIXED_EXAMPLE)),
                }
            }
            ("delimiter" | "fixed", None) => {
                let example = if name == "fixed" { FIXED_EXAMPLE } else { DELIMITER_EXAMPLE };
                return Err(AnyFramingError::new(
                    format!("{} has no `=` and what is to follow it", Quoted(name)),
                    example,
                ));
            }
            ("line" | "crlf", None) => {
                let crlf = name == "crlf";
                let options = with_options(&limited, if crlf { "crlf,max=10k" } else { "line,max=10k" })?;
                let line = if crlf { Line::new().crlf() } else { Line::new() };
                let line = line.max(options.size("max")?.unwrap_or(Line::DEFAULT_MAX));
                if options.has("skip-oversized") { line.skip_oversized() } else { line }.into()
            }
            ("netstring", None) => {
                let (max, skip_oversized) = with_options(&limited, "netstring,max=10k")?.limit()?;
                Netstring { max, skip_oversized }.into()
            }
            ("varint", None) => {
                let (max, skip_oversized) = with_options(&limited, "varint,max=10k")?.limit()?;
                Varint { max, skip_oversized }.into()
            }
            _ => match LENGTHS.iter().find(|(known, _)| *known == name) {
                Some((_, framing)) if value.is_none() => {
                    let known = [
                        Known::value("offset"),
                        Known::value("header"),
                        Known::value("adjustment"),
                        Known::value("strip"),
                        Known::flag("inclusive"),
                        limited[0],
                        limited[1],
                    ];
                    length_prefix(framing.field, &with_options(&known, LENGTH_EXAMPLE)?)?.into()
                }
                _ => return Err(no_framing(first)),
            },
        };
        Ok(framing)
    }
}

fn no_framing(text: &str) -> AnyFramingError {
    let lengths: Vec<_> = LENGTHS.iter().map(|(name, _)| format!("`{name}`")).collect();
    let lengths = lengths.join(", ");
    let reason = format!(
        "{} is no framing; they are `line`, `crlf`, `delimiter=…`, `fixed=…`, `netstring`, `varint`, {lengths}",
        Quoted(text)
    );
    AnyFramingError::new(reason, EXAMPLE)
}

fn delimiter(first: &str, options: &Options<'_>) -> Result<Delimiter, AnyFramingError> {
    let all = std::iter::once(first).chain(options.values("or"));
    let all = all.map(|text| options.bytes(text).map(Into::into)).collect::<Result<_, _>>()?;
    let framing = Delimiter::checked(all).map_err(|reason| AnyFramingError::new(reason, options.example))?;
    let (max, skip_oversized) = options.limit()?;
    let framing = framing.max(max);
    Ok(if skip_oversized { framing.skip_oversized() } else { framing })
}

fn length_prefix(field: Field, options: &Options<'_>) -> Result<LengthPrefix, AnyFramingError> {
    let mut parameters = Parameters::DEFAULT;
    (parameters.max, parameters.skip_oversized) = options.limit()?;
    parameters.inclusive = options.has("inclusive");
    parameters.strip = options.size("strip")?;
    if let Some(text) = options.value("adjustment") {
        parameters.adjustment = text.parse().map_err(|_| {
            let reason = format!("`adjustment` {} is not a whole number of at most 31 bits", Quoted(text));
            AnyFramingError::new(reason, options.example)
        })?;
    }
    match (options.size("offset")?, options.value("header")) {
        (Some(_), Some(_)) => {
            let reason = "`offset` and `header` do not go together: a header is an offset of as many bytes";
            return Err(AnyFramingError::new(reason, options.example));
        }
        (Some(offset), None) => parameters.offset = offset,
        (None, Some(header)) => {
            if !parameters.set_header(&options.bytes(header)?) {
                let reason = format!("`header` {} has more than 16 bytes", Quoted(header));
                return Err(AnyFramingError::new(reason, options.example));
            }
        }
        (None, None) => (),
    }
    LengthPrefix::checked(field, parameters).map_err(|reason| AnyFramingError::new(reason, options.example))
}

impl fmt::Display for AnyFraming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthPrefix(framing) => {
                let LengthPrefix { field, parameters, .. } = framing;
                let name = LENGTHS.iter().find(|(_, known)| known.field == *field).map_or("", |(name, _)| name);
                f.write_str(name)?;
                match parameters.header() {
                    [] if parameters.offset == 0 => (),
                    [] => write!(f, ",offset={}", Size(parameters.offset))?,
                    header => write!(f, ",header={}", Escaped(header))?,
                }
                if parameters.adjustment != 0 {
                    write!(f, ",adjustment={}", parameters.adjustment)?;
                }
                if parameters.inclusive {
                    f.write_str(",inclusive")?;
                }
                if let Some(strip) = parameters.strip {
                    write!(f, ",strip={}", Size(strip))?;
                }
                limit(f, parameters.max, DEFAULT_MAX, parameters.skip_oversized)
            }
            Self::Line(line) => {
                f.write_str(if line.crlf { "crlf" } else { "line" })?;
                limit(f, line.max, Line::DEFAULT_MAX, line.skip_oversized)
            }
            Self::Delimiter(framing) => {
                for (i, one) in framing.all().enumerate() {
                    write!(f, "{}={}", if i == 0 { "delimiter" } else { ",or" }, Escaped(one))?;
                }
                limit(f, framing.max, DEFAULT_MAX, framing.skip_oversized)
            }
            Self::Fixed(fixed) => write!(f, "fixed={}", Size(fixed.len)),
            Self::Netstring(Netstring { max, skip_oversized }) => {
                f.write_str("netstring")?;
                limit(f, *max, DEFAULT_MAX, *skip_oversized)
            }
            Self::Varint(Varint { max, skip_oversized }) => {
                f.write_str("varint")?;
                limit(f, *max, DEFAULT_MAX, *skip_oversized)
            }
        }
    }
}

fn limit(f: &mut fmt::Formatter<'_>, max: usize, default: usize, skip_oversized: bool) -> fmt::Result {
    if max != default {
        write!(f, ",max={}", Size(max))?;
    }
    if skip_oversized { f.write_str(",skip-oversized") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example at the end of an error's text, which must itself be right.
    #[track_caller]
    fn example_of(error: &AnyFramingError) -> String {
        let message = error.to_string();
        let example = message.strip_suffix('`').and_then(|m| m.rsplit('`').next()).unwrap();
        assert!(example.parse::<AnyFraming>().is_ok(), "the example of {message:?} is itself wrong");
        example.to_owned()
    }

    #[test]
    fn right_ones() {
        let native = |le: &'static str, be: &'static str| if cfg!(target_endian = "big") { be } else { le };
        let u32_be = LengthPrefix::u32_be;
        // (text, framing, how it prints)
        let cases: Vec<(&str, AnyFraming, &str)> = vec![
            ("line", Line::new().into(), "line"),
            ("line,max=65536", Line::new().into(), "line"),
            (
                "crlf,skip-oversized,max=1k",
                Line::new().crlf().max(1_000).skip_oversized().into(),
                "crlf,max=1k,skip-oversized",
            ),
            ("u8", LengthPrefix::u8().into(), "u8"),
            ("u16be", LengthPrefix::u16_be().into(), "u16be"),
            ("u24le", LengthPrefix::u24_le().into(), "u24le"),
            ("i32ne", LengthPrefix::i32_ne().into(), native("i32le", "i32be")),
            ("u64ne", LengthPrefix::u64_ne().into(), native("u64le", "u64be")),
            ("u32be,max=0", u32_be().max(0).into(), "u32be,max=0"),
            ("u32be,strip=0", u32_be().strip(0).into(), "u32be,strip=0"),
            ("u32be,offset=2,adjustment=-6", u32_be().offset(2).adjustment(-6).into(), "u32be,offset=2,adjustment=-6"),
            ("u32be,adjustment=+3", u32_be().adjustment(3).into(), "u32be,adjustment=3"),
            (r"u32be,header=\xca\xfe", u32_be().header(b"\xca\xfe").into(), r"u32be,header=\xca\xfe"),
            ("u32be,header=", u32_be().into(), "u32be"),
            // Some of them alone would let nothing through; the order does not matter.
            (
                "u8,max=5,adjustment=10,strip=11",
                LengthPrefix::u8().strip(11).adjustment(10).max(5).into(),
                "u8,adjustment=10,strip=11,max=5",
            ),
            (r"delimiter=\r\n\r\n", Delimiter::new("\r\n\r\n").into(), r"delimiter=\r\n\r\n"),
            (r"delimiter=\x2c\\\t\0 =", Delimiter::new(",\\\t\0 =").into(), r"delimiter=\x2c\\\t\0\x20="),
            ("delimiter=`", Delimiter::new("`").into(), r"delimiter=\x60"),
            ("delimiter=é,max=3", Delimiter::new("é").max(3).into(), r"delimiter=\xc3\xa9,max=3"),
            (
                r"delimiter=\r\n,or=\n,or=\r",
                Delimiter::new("\r\n").or("\n").or("\r").into(),
                r"delimiter=\r\n,or=\n,or=\r",
            ),
            ("fixed=16", Fixed::new(16).into(), "fixed=16"),
            ("fixed=2k", Fixed::new(2_000).into(), "fixed=2k"),
            ("netstring,max=7", Netstring::new().max(7).into(), "netstring,max=7"),
            ("varint,skip-oversized", Varint::new().skip_oversized().into(), "varint,skip-oversized"),
        ];
        for (text, framing, printed) in cases {
            assert_eq!(text.parse(), Ok(framing.clone()), "{text}");
            assert_eq!(framing.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(framing), "{text}");
        }
    }

    #[test]
    fn wrong_ones() {
        // (input, words of the reason, the example)
        let cases = [
            ("", "`` is no framing; they are `line`, `crlf`, `delimiter=…`", EXAMPLE),
            ("u23be", "`u23be` is no framing", EXAMPLE),
            ("u32", "`u32` is no framing", EXAMPLE),
            ("Line", "`Line` is no framing", EXAMPLE),
            ("line=3", "`line=3` is no framing", EXAMPLE),
            ("u8=", "`u8=` is no framing", EXAMPLE),
            ("\x1b[2J", r"`\u{1b}[2J` is no framing", EXAMPLE),
            ("line,", "`` is no option of `line`, which has `max=` and `skip-oversized`", "line,max=10k"),
            ("crlf, max=1", "` max` is no option of `crlf`", "crlf,max=10k"),
            ("line,inclusive", "`inclusive` is no option of `line`", "line,max=10k"),
            ("fixed=4,max=4", "`max` is no option of `fixed`, which has none", FIXED_EXAMPLE),
            ("line,max", "`max` has no `=`", "line,max=10k"),
            ("line,skip-oversized=yes", "`skip-oversized` takes no value", "line,max=10k"),
            ("line,max=1,max=1", "`max` is there twice", "line,max=10k"),
            ("varint,max=", "`max` `` is not a number of bytes", "varint,max=10k"),
            ("varint,max=-1", "`max` `-1` is not", "varint,max=10k"),
            ("varint,max=1M", "`max` `1M` is not", "varint,max=10k"),
            ("varint,max=18446744073709551616", "is not a number of bytes", "varint,max=10k"),
            ("varint,max=18446744073709551615k", "is not a number of bytes", "varint,max=10k"),
            ("fixed", "`fixed` has no `=`", FIXED_EXAMPLE),
            ("fixed=", "the length `` is not", FIXED_EXAMPLE),
            ("fixed=0", "the length `0` is not", FIXED_EXAMPLE),
            ("delimiter", "`delimiter` has no `=`", DELIMITER_EXAMPLE),
            ("delimiter=", "a delimiter is empty", DELIMITER_EXAMPLE),
            ("delimiter=,", "`` is no option of `delimiter`, which has `or=`, `max=` and", DELIMITER_EXAMPLE),
            (r"delimiter=\q", r"`\q` has a backslash", DELIMITER_EXAMPLE),
            (r"delimiter=\", r"`\` has a backslash", DELIMITER_EXAMPLE),
            (r"delimiter=\x1", r"`\x1` has a backslash", DELIMITER_EXAMPLE),
            (r"delimiter=\xé", r"`\xé` has a backslash", DELIMITER_EXAMPLE),
            (r"delimiter=a,or=\x+1", r"`\x+1` has a backslash", DELIMITER_EXAMPLE),
            ("delimiter=a,or=ab", "`a`, which is written, is the beginning of `ab`", DELIMITER_EXAMPLE),
            ("u8,adjustment=1k", "`adjustment` `1k` is not", LENGTH_EXAMPLE),
            ("u8,adjustment=-256", "no message is both", LENGTH_EXAMPLE),
            ("u8,offset=1,header=a", "`offset` and `header`", LENGTH_EXAMPLE),
            ("u8,header=12345678901234567", "has more than 16 bytes", LENGTH_EXAMPLE),
            ("u8,offset=65536", "more than 65535", LENGTH_EXAMPLE),
            ("u8,offset=18446744073709551615", "more than 65535", LENGTH_EXAMPLE),
        ];
        for (input, words, example) in cases {
            let error = input.parse::<AnyFraming>().unwrap_err();
            assert!(error.to_string().contains(words), "{words:?} is not in {error}");
            assert_eq!(example_of(&error), example, "{error}");
        }
        let error = "9".repeat(1_000_000).parse::<AnyFraming>().unwrap_err();
        assert!(error.to_string().len() < 1_000, "{error}");
    }

    proptest! {
        #[test]
        fn what_parses_prints_so_that_it_parses_to_the_same(
            name in proptest::sample::select(vec![
                "line", "crlf", "u8", "u16le", "u64be", "i32ne", r"delimiter=\r\n", "delimiter=aé`", "fixed=3k", "netstring", "varint",
                "delimiter=\\", "", "x",
            ]),
            options in proptest::collection::vec(proptest::sample::select(vec![
                "max=10k", "max=0", "max=99", "skip-oversized", "inclusive", "offset=3", "offset=2k", "header=a\\x2c\\\\\\0", "strip=0",
                "strip=7", "adjustment=-3", "adjustment=90", "or=\\n", "or=--,", "or= ", "max", "", "x=",
            ]), 0..4),
        ) {
            let text = options.iter().fold(name.to_owned(), |text, option| text + "," + option);
            match text.parse::<AnyFraming>() {
                Ok(framing) => prop_assert_eq!(framing.to_string().parse(), Ok(framing)),
                Err(error) => { example_of(&error); }
            }
        }

        #[test]
        fn any_text_at_all(text in "\\PC*|(delimiter|u8,header)=[ -~]*") {
            match text.parse::<AnyFraming>() {
                Ok(framing) => prop_assert_eq!(framing.to_string().parse(), Ok(framing)),
                Err(error) => { example_of(&error); }
            }
        }
    }
}
