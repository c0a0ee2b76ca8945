use std::io::{self, BufRead, Read};

/// What a packet holds at most: UDP over IPv4 (RFC 768, RFC 791).
pub(crate) const MAX_PACKET: usize = 65_507;

/// A line that is to be a packet, or a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It stands in the buffer, without its newline. Whatever else it has belongs to it, a carriage return as well.
    Whole,
    /// It is longer than it may be.
    TooLong,
    End,
}

/// Reads the next line, of at most `max` bytes, into `line`, and no more than that and a byte.
pub(crate) fn next(input: &mut impl BufRead, line: &mut Vec<u8>, max: usize) -> io::Result<Line> {
    line.clear();
    input.take((max as u64).saturating_add(1)).read_until(b'\n', line)?;
    Ok(match line.last() {
        None => Line::End,
        Some(b'\n') => {
            line.pop();
            Line::Whole
        }
        Some(_) if line.len() > max => Line::TooLong,
        // The last one, that does not end.
        Some(_) => Line::Whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Vec<u8>> {
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        while next(&mut input, &mut line, 10).unwrap() == Line::Whole {
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
        const MAX: usize = MAX_PACKET;
        let mut line = Vec::new();
        for (len, newline, found) in [
            (MAX, "\n", Line::Whole),
            (MAX, "", Line::Whole),
            (MAX + 1, "\n", Line::TooLong),
            (MAX + 1, "", Line::TooLong),
            (10 * MAX, "\n", Line::TooLong),
        ] {
            let text = [&vec![b'x'; len], newline.as_bytes()].concat();
            assert_eq!(next(&mut &text[..], &mut line, MAX).unwrap(), found, "{len}");
            assert!(line.len() <= MAX + 1);
        }
    }
}
