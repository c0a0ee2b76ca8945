use crate::Error;
use encoding_rs::EncoderResult;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What requests and results are written in; UTF-8 unless said otherwise.
///
/// Any label of the Encoding Standard that text can be written in: `gbk`, `gb18030`, `big5`, `shift_jis`, `latin1` and so
/// on. What a command prints is taken for UTF-8; a character that the encoding lacks becomes `?`. With UTF-8 results are
/// the bytes that the command printed, whatever they are.
///
/// ```
/// use socketserver_exec::Encoding;
/// let gbk: Encoding = "gbk".parse()?;
/// assert_eq!(gbk.decode(b"\xc4\xe3\xba\xc3").as_deref(), Some("你好"));
/// assert_eq!(gbk.encode("你好 🦀".as_bytes().to_vec()), b"\xc4\xe3\xba\xc3 ?");
/// assert!("klingon".parse::<Encoding>().unwrap_err().to_string().contains("`gbk`"));
/// # Ok::<_, socketserver_exec::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Encoding(Option<&'static encoding_rs::Encoding>);

impl FromStr for Encoding {
    type Err = Error;

    fn from_str(label: &str) -> Result<Self, Error> {
        match encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) if encoding == encoding_rs::UTF_8 => Ok(Self(None)),
            // UTF-16 can be read and not be written there.
            Some(encoding) if encoding.output_encoding() == encoding => Ok(Self(Some(encoding))),
            _ => Err(Error::new(format!(
                "`{label}` is not an encoding that text can be written in; for example `gbk`, `gb18030`, `big5` or `utf-8`"
            ))),
        }
    }
}

impl Encoding {
    /// The text of these bytes; `None`: they are none.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self.0 {
            None => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Some(encoding) => encoding.decode_without_bom_handling_and_without_replacement(bytes),
        }
    }

    /// What a command printed, as the client is to have it.
    #[must_use]
    pub fn encode(self, printed: Vec<u8>) -> Vec<u8> {
        let Some(encoding) = self.0 else { return printed };
        let text = String::from_utf8_lossy(&printed);
        let mut encoder = encoding.new_encoder();
        let mut bytes = Vec::with_capacity(printed.len() + 16);
        let mut rest = &*text;
        loop {
            bytes.reserve(rest.len() + 16);
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
            rest = &rest[read..];
            match result {
                EncoderResult::InputEmpty => return bytes,
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(_) => {
                    bytes.reserve(16);
                    // Through the encoder, for some have states.
                    let _ = encoder.encode_from_utf8_to_vec_without_replacement("?", &mut bytes, false);
                }
            }
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("UTF-8", encoding_rs::Encoding::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels() {
        assert_eq!(
            ["GBK", "gb2312", "utf-8", "Shift_JIS"].map(|label| label.parse::<Encoding>().unwrap().to_string()),
            ["GBK", "GBK", "UTF-8", "Shift_JIS"]
        );
        for wrong in ["", "klingon", "utf-16le", "replacement", "iso-2022-cn"] {
            assert!(wrong.parse::<Encoding>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_an_encoding_lacks_is_a_question_mark() {
        let encode = |label: &str, text: &str| label.parse::<Encoding>().unwrap().encode(text.into());
        assert_eq!(encode("latin1", "a€é世"), b"a\x80\xe9?");
        assert_eq!(encode("iso-2022-jp", "日🦀本"), b"\x1b$BF|\x1b(B?\x1b$BK\\\x1b(B");
        assert_eq!("gbk".parse::<Encoding>().unwrap().encode(b"a\xffb".to_vec()), b"a?b");
        assert_eq!(Encoding::default().encode(b"a\xffb".to_vec()), b"a\xffb");
    }

    proptest! {
        #[test]
        fn nothing_grows_beyond_four_times(bytes in any::<Vec<u8>>(), label in 0..4_usize) {
            let encoding: Encoding = ["gbk", "gb18030", "big5", "latin1"][label].parse().unwrap();
            prop_assert!(encoding.encode(bytes.clone()).len() <= 4 * bytes.len());
        }

        #[test]
        fn what_gb18030_says_it_understands(text in any::<String>()) {
            let encoding: Encoding = "gb18030".parse().unwrap();
            let bytes = encoding.encode(text.clone().into_bytes());
            let back = encoding.decode(&bytes).map(Cow::into_owned);
            // Of the private use area a character has no code.
            let is_same = back.as_deref() == Some(&*text) || text.contains('\u{e5e5}');
            prop_assert!(is_same);
        }
    }
}
