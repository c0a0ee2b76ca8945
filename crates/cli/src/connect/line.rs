use std::io::{self, BufRead, Read};

/// What a packet holds at most: UDP over IPv4 (RFC 768, RFC 791).
pub(super) const MAX: usize = 65_507;

/// A line that is to be a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It stands in the buffer, without its newline. Whatever else it has belongs to it, a carriage return as well.
    Whole,
    /// It does not fit into a packet.
    TooLong,
    End,
}

/// Reads the next line into `line`, and no more than fits into a packet and a byte.
pub(super) fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    input.take(MAX as u64 + 1).read_until(b'\n', line)?;
    Ok(match line.last() {
        None => Line::End,
        Some(b'\n') => {
            line.pop();
            Line::Whole
        }
        Some(_) if line.len() > MAX => Line::TooLong,
        // The last one, that does not end.
        Some(_) => Line::Whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Vec<u8>> {
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        while next(&mut input, &mut line).unwrap() == Line::Whole {
            lines.push(line.clone());
        }
        lines
    }

    #[test]
    fn a_line_is_what_stands_before_a_newline() {
        assert_eq!(lines(b"one\n\ntwo\r\nthree"), [&b"one"[..], b"", b"two\r", b"three"]);
        assert_eq!(lines(b"\n"), [b""]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn no_more_is_read_than_fits() {
        let mut line = Vec::new();
        for (len, newline, found) in [
            (MAX, "\n", Line::Whole),
            (MAX, "", Line::Whole),
            (MAX + 1, "\n", Line::TooLong),
            (MAX + 1, "", Line::TooLong),
            (10 * MAX, "\n", Line::TooLong),
        ] {
            let text = [&vec![b'x'; len], newline.as_bytes()].concat();
            assert_eq!(next(&mut &text[..], &mut line).unwrap(), found, "{len}");
            assert!(line.len() <= MAX + 1);
        }
    }
}
