//! Each target on its corpus, and on what becomes of that by chance: no libFuzzer, and always the same.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

/// How many inputs each target is given besides its corpus, unless `SOCKETSERVER_FUZZ_RUNS` says otherwise.
const RUNS: usize = 3_000;
/// No input is longer.
const LONGEST: usize = 4096;

macro_rules! smoke {
    ($($target:ident),* $(,)?) => {
        $(#[test]
        fn $target() {
            smoke(stringify!($target), crate::$target);
        })*

        const TARGETS: &[&str] = &[$(stringify!($target)),*];
    };
}

smoke!(
    any_framing,
    block,
    call,
    certificates,
    classic,
    commands,
    delimiter,
    endpoint,
    exec,
    fingerprint,
    first_bytes,
    fixed,
    identity,
    length_prefix,
    line,
    load,
    load_packets,
    load_tls,
    load_websocket,
    native,
    netstring,
    proxy,
    rate,
    settings,
    shown,
    targets,
    token,
    upgrade,
    varint,
);

/// Each has a program, seeds, and runs here.
#[test]
fn nothing_is_left_out() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |dir: &str, ending: &str| {
        let entries =
            fs::read_dir(here.join(dir)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.map(|name| name.trim_end_matches(ending).to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("fuzz_targets", ".rs"), TARGETS);
    assert_eq!(names("corpus", ""), TARGETS);
    let manifest = fs::read_to_string(here.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        assert!(
            manifest.contains(&format!("\nname = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"\n")),
            "{target}"
        );
    }
}

fn smoke(name: &str, target: fn(&[u8])) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> =
        fs::read_dir(here.join("corpus").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let words = fs::read_to_string(here.join("dictionaries").join(name)).unwrap_or_default();
    let words: Vec<Vec<u8>> = words.lines().filter_map(word).collect();
    assert!(!seeds.is_empty(), "there is nothing to begin with");
    seeds.iter().for_each(|seed| run(target, seed));
    let runs = std::env::var("SOCKETSERVER_FUZZ_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..runs {
        let mut input = seeds[chance.below(seeds.len())].clone();
        for _ in 0..1 + chance.below(8) {
            chance.change(&mut input, &seeds, &words);
        }
        input.truncate(LONGEST);
        run(target, &input);
    }
}

fn run(target: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("the input was b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

/// A word of a dictionary of libFuzzer's: `"text"`, in which `\xAB` is a byte.
fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut word = Vec::new();
    while let [first, tail @ ..] = rest {
        rest = match tail {
            [b'x', high, low, tail @ ..] if *first == b'\\' => {
                let digits = [*high, *low];
                word.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                tail
            }
            [escaped, tail @ ..] if *first == b'\\' => {
                word.push(*escaped);
                tail
            }
            tail => {
                word.push(*first);
                tail
            }
        };
    }
    Some(word)
}

/// The same each time (xorshift64*).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A place in it, and one behind that.
    fn range(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let from = self.below(input.len() + 1);
        from..from + self.below((input.len() - from + 1).min(32))
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>]) {
        let range = self.range(input);
        match self.below(8) {
            0 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] ^= 1 << self.below(8);
            }
            1 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] = if self.below(2) == 0 { self.byte() } else { b"\0\xff\n\r :/,0"[self.below(9)] };
            }
            2 => drop(input.splice(range.start..range.start, [self.byte()])),
            3 => drop(input.drain(range)),
            4 => {
                let again = input[range.clone()].repeat(1 + self.below(4));
                input.splice(range.start..range.start, again);
            }
            5 if !words.is_empty() => {
                let word = words[self.below(words.len())].clone();
                let end = if self.below(2) == 0 { range.start } else { range.end };
                input.splice(range.start..end, word);
            }
            6 => input.truncate(range.end.max(1)),
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let tail = other[self.below(other.len() + 1)..].to_vec();
                input.splice(range.start.., tail);
            }
        }
    }
}
