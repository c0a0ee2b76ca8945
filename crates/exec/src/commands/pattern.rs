use regex_lite::Regex;

/// What one argument may be: a regular expression that has to match the whole of it.
///
/// An argument that begins with `-` is an option to most programs. It is taken only where the pattern itself begins with `-`.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let wrong = |error: regex_lite::Error| {
            format!("`{text}` is not a regular expression ({error}); for example `[a-z]+\\.log`")
        };
        // By itself first, so that what has one parenthesis too many is not made whole by those around it.
        Regex::new(text).map_err(wrong)?;
        let regex = Regex::new(&format!(r"\A(?:{text})\z")).map_err(wrong)?;
        Ok(Self { text: text.to_owned(), regex })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, argument: &str) -> bool {
        let own_option = self.text.starts_with('-') || self.text.starts_with(r"\-");
        (own_option || !argument.starts_with('-')) && self.regex.is_match(argument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_argument_or_none_of_it() {
        let file = Pattern::new(r"[a-z]+\.log|all").unwrap();
        assert!(file.matches("web.log") && file.matches("all"));
        for wrong in ["", "web.log ", " web.log", "web.log\n", "\nall", "all\nall", "xall", "web.log/../x", "WEB.log"] {
            assert!(!file.matches(wrong), "{wrong:?}");
        }
        // Anchors of lines do not loosen it.
        let lines = Pattern::new("(?m)^a$").unwrap();
        assert!(lines.matches("a") && !lines.matches("a\nb") && !lines.matches("b\na"));
    }

    #[test]
    fn options_are_for_patterns_that_begin_like_one() {
        let anything = Pattern::new("(?s).*").unwrap();
        assert!(anything.matches("x-") && anything.matches("") && anything.matches("日志 1"));
        assert!(!anything.matches("-rf") && !anything.matches("-") && !anything.matches("--"));
        let option = Pattern::new("-(?:l|h)").unwrap();
        assert!(option.matches("-l") && !option.matches("-lh") && !option.matches("l"));
        assert!(Pattern::new(r"\-?[0-9]+").unwrap().matches("-5"));
        // Neither a group nor a class is its own dash.
        assert!(!Pattern::new("(?:-l|-h)").unwrap().matches("-l"));
        assert!(!Pattern::new("[-a-z]+").unwrap().matches("-l"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in ["(", "a)|(b", "[", "*", "(?x)a # to the end", r"\p{Han}"] {
            assert!(Pattern::new(wrong).is_err(), "{wrong}");
        }
    }
}
