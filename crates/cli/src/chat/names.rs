//! What members may be called: one name a member, and none that could be taken for another's.

use caseless::default_case_fold_str;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;
use unicode_security::GeneralSecurityProfile;
use unicode_security::confusable_detection::skeleton;

/// In characters.
pub(super) const LONGEST: usize = 24;

/// Names that speak for the server or whoever runs it.
const RESERVED: [&str; 12] = [
    "server",
    "socketserver",
    "operator",
    "op",
    "admin",
    "administrator",
    "root",
    "system",
    "moderator",
    "mod",
    "everyone",
    "all",
];

/// How they look; in capitals too: an `I` looks like an `l` there, in no other letters.
static RESERVED_LOOKS: LazyLock<HashSet<String>> =
    LazyLock::new(|| RESERVED.iter().flat_map(|name| [looks(name), looks(&name.to_uppercase())]).flatten().collect());

/// A name that may be used, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    shown: String,
    looks: Looks,
}

/// How a name looks as it is written, and how it does in small letters. Names that have either in common are one: `AIice`
/// with a capital `I` looks like `Alice`, and only in small letters like `aiice`.
type Looks = [String; 2];

impl Name {
    /// # Errors
    /// Why it cannot be a name, in words for whoever typed it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let shown: String = text.nfkc().collect();
        if shown.is_empty() {
            return Err("a name has at least one letter".into());
        }
        if shown.chars().count() > LONGEST {
            return Err(format!("a name has at most {LONGEST} characters"));
        }
        if let Some(c) = shown.chars().find(|c| !may_be_in_name(*c)) {
            return Err(format!("a name has letters, digits, `-`, `_` and `.`, and no {}", told(c)));
        }
        if !shown.starts_with(|c: char| c.is_alphanumeric()) {
            return Err("a name begins with a letter or a digit".into());
        }
        let looks = looks(&shown);
        Ok(Self { shown, looks })
    }

    fn is_reserved(&self) -> bool {
        self.looks.iter().any(|look| RESERVED_LOOKS.contains(look))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The character, or its number where it may not be seen, or be taken for another.
fn told(c: char) -> String {
    if c.is_ascii_graphic() { format!("`{c}`") } else { format!("U+{:04X}", u32::from(c)) }
}

/// The characters that Unicode recommends for identifiers (Unicode Technical Standard 39, section 3.1): none that is
/// invisible among them.
fn may_be_in_name(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || "-_.".contains(c) } else { c.identifier_allowed() }
}

/// Names that look alike, whatever their case and their script, have one of them in common (Unicode Technical Standard 39,
/// section 4). Small letters alone would not do: Cyrillic `В` looks like `B`, and `в` like nothing in `bob`.
fn looks(name: &str) -> Looks {
    let name: String = name.nfkc().collect();
    let folded = default_case_fold_str(&name);
    [look(&name), look(&folded)]
}

/// Folded, for what looks like a capital is one for the reader; and then as small letters look.
fn look(name: &str) -> String {
    let seen: String = skeleton(name).nfkc().collect();
    skeleton(&default_case_fold_str(&seen)).collect()
}

/// The names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By how they look, in either way, as they are shown.
    taken: HashMap<String, String>,
    /// By the member's number.
    members: HashMap<u64, String>,
    guests: u64,
}

impl Names {
    /// A name for a member who has not said one.
    pub(super) fn guest(&mut self, member: u64) -> Name {
        loop {
            self.guests += 1;
            let name = Name::new(&format!("guest-{}", self.guests)).unwrap_or_else(|why| unreachable!("{why}"));
            if self.take(&name).is_ok() {
                self.members.insert(member, name.shown.clone());
                return name;
            }
        }
    }

    /// # Errors
    /// Why nobody, or nobody else, can be called so.
    fn take(&mut self, name: &Name) -> Result<(), String> {
        if name.is_reserved() {
            return Err(format!("`{name}` is reserved, or looks like a name that is"));
        }
        if let Some(other) = name.looks.iter().find_map(|look| self.taken.get(look)) {
            return Err(if *other == name.shown {
                format!("`{name}` is taken")
            } else {
                format!("`{name}` looks like `{other}`, which is taken")
            });
        }
        self.put(name);
        Ok(())
    }

    fn put(&mut self, name: &Name) {
        self.taken.extend(name.looks.iter().map(|look| (look.clone(), name.shown.clone())));
    }

    fn remove(&mut self, name: &Name) {
        for look in &name.looks {
            self.taken.remove(look);
        }
    }

    /// A member takes the new one in place of the old one, which may look the same.
    ///
    /// # Errors
    /// As [`take`](Self::take); then the old one is kept.
    pub(super) fn change(&mut self, old: &Name, new: &Name, member: u64) -> Result<(), String> {
        self.remove(old);
        if let Err(why) = self.take(new) {
            self.put(old);
            return Err(why);
        }
        self.members.insert(member, new.shown.clone());
        Ok(())
    }

    /// The member has left.
    pub(super) fn give_back(&mut self, name: &Name, member: u64) {
        self.remove(name);
        self.members.remove(&member);
    }

    /// What a member is called.
    pub(super) fn of(&self, member: u64) -> Option<&str> {
        self.members.get(&member).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_a_member_however_they_are_written() {
        let mut names = Names::default();
        names.take(&Name::new("Alice").unwrap()).unwrap();
        // Case, full width, Cyrillic A and e, a digit for a letter.
        for other in ["alice", "ALICE", "Ａｌｉｃｅ", "\u{410}lic\u{435}", "A1ice"] {
            let refused = names.take(&Name::new(other).unwrap()).unwrap_err();
            assert!(refused.contains("taken"), "{other}: {refused}");
        }
        names.take(&Name::new("Straße").unwrap()).unwrap();
        names.take(&Name::new("STRASSE").unwrap()).unwrap_err();
        names.take(&Name::new("阿莉斯").unwrap()).unwrap();
        names.give_back(&Name::new("Alice").unwrap(), 1);
        names.take(&Name::new("A1ice").unwrap()).unwrap();
    }

    #[test]
    fn capitals_look_like_others_than_their_small_letters_do() {
        // A capital I; capitals of Cyrillic and Greek.
        let cases = [
            ("Alice", "AIice"),
            ("AIice", "Alice"),
            ("Bob", "\u{412}ob"),
            ("bob", "\u{412}\u{41e}\u{412}"),
            ("KATE", "\u{41a}A\u{422}E"),
            ("TIM", "\u{422}I\u{41c}"),
            ("Helen", "\u{397}ele\u{578}"),
        ];
        for (name, other) in cases {
            let mut names = Names::default();
            let (name, other) = (Name::new(name).unwrap(), Name::new(other).unwrap());
            let guest = names.guest(1);
            names.change(&guest, &name, 1).unwrap();
            assert!(names.take(&other).unwrap_err().contains("looks like"), "{other}");
            // What it was refused for goes with it.
            names.change(&name, &guest, 1).unwrap();
            names.take(&other).unwrap();
        }
        let mut names = Names::default();
        for name in ["AD\u{41c}IN", "\u{410}D\u{41c}IN", "ADMlN", "R\u{41e}O\u{422}", "AIl"] {
            let name = Name::new(name).unwrap();
            assert!(names.take(&name).unwrap_err().contains("reserved"), "{name}");
        }
        for name in ["Ali", "Ian", "lan-2", "Mike", "Bill"] {
            names.take(&Name::new(name).unwrap()).unwrap();
        }
    }

    #[test]
    fn nobody_is_called_like_the_server() {
        let mut names = Names::default();
        for name in [
            "server",
            "Server",
            "ＳＥＲＶＥＲ",
            "ser\u{475}er",
            "\u{405}erver",
            "r00t",
            "0perator",
            "Operat\u{43e}r",
            "ADMIN",
        ] {
            if let Ok(name) = Name::new(name) {
                let refused = names.take(&name).unwrap_err();
                assert!(refused.contains("reserved"), "{name}: {refused}");
            }
        }
        names.take(&Name::new("observer").unwrap()).unwrap();
    }

    #[test]
    fn a_name_is_a_word() {
        let cases = [
            ("", "at least one"),
            ("a b", "U+0020"),
            ("<x>", "no `<`"),
            ("a\n", "U+000A"),
            ("a\u{200b}b", "U+200B"),
            ("\u{202e}x", "U+202E"),
            ("\u{3164}", "U+"),
            ("-x", "begins with"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaa", "at most 24"),
        ];
        for (text, why) in cases {
            let refused = Name::new(text).unwrap_err();
            assert!(refused.contains(why), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_new_name_lets_the_old_one_go() {
        let mut names = Names::default();
        let guest = names.guest(1);
        assert_eq!(guest.to_string(), "guest-1");
        let (anna, big) = (Name::new("anna").unwrap(), Name::new("Anna").unwrap());
        names.change(&guest, &anna, 1).unwrap();
        names.change(&anna, &big, 1).unwrap();
        names.change(&big, &Name::new("root").unwrap(), 1).unwrap_err();
        assert_eq!(names.of(1), Some("Anna"));
        names.take(&anna).unwrap_err();
        names.take(&guest).unwrap();
    }
}
