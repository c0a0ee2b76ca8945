//! The guide, done as its reader does it: files are written, commands run, and what they print is what is shown.
//!
//! What a page may have, all of it the same in each language:
//!
//! | fence | what is done |
//! |---|---|
//! | `LANGUAGE file=PATH` | the file is written; the line above names it, for who reads it rendered |
//! | `console`, `console terminal=NAME` | see [`Terminal::show`]; without a name it is the first terminal |
//! | `text typed=NAME` | it is typed there |
//! | `text` | nothing: it is there to be read |
//!
//! Each page has a folder of its own, beside one that is called `socketserver` and is this project. Ports between 8000 and 8499 are
//! replaced by such as nobody listens at.

use crate::markdown::{Block, Document};
use crate::terminal::Terminal;
use crate::{documents, root};
use libtest_mimic::Trial;
use socketserver_testkit::skip;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;
use std::{env, fs};

const LANGUAGES: [&str; 2] = ["en", "zh"];

/// One for each page, and one for all of them together.
pub(crate) fn trials() -> Vec<Trial> {
    let pages = documents(&folder(LANGUAGES[0]));
    let names: Vec<_> = pages.iter().map(|page| page.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let place = Place::make();
    let each = names.iter().cloned().map(|name| {
        let place = place.clone();
        Trial::test(format!("guide::{name}"), move || {
            LANGUAGES.iter().for_each(|language| place.do_what_it_says(&name, language));
            Ok(())
        })
    });
    let mut trials: Vec<_> = each.collect();
    trials.push(Trial::test("guide::is_the_same_in_each_language", move || {
        is_the_same_in_each_language(&names);
        Ok(())
    }));
    trials
}

fn folder(language: &str) -> PathBuf {
    root().join("docs/guide").join(language)
}

fn page(name: &str, language: &str) -> Document {
    Document::parse(&fs::read_to_string(folder(language).join(format!("{name}.md"))).unwrap())
}

fn is_the_same_in_each_language(names: &[String]) {
    assert!(names.len() >= 10, "{names:?}");
    for language in &LANGUAGES[1..] {
        let theirs: Vec<_> = documents(&folder(language));
        assert_eq!(theirs.len(), names.len(), "{language} has {theirs:?}");
        for name in names {
            let [one, other] = [LANGUAGES[0], language].map(|language| page(name, language).blocks);
            let code = |blocks: Vec<(String, Block)>| blocks.into_iter().map(|(_, block)| block).collect::<Vec<_>>();
            assert_eq!(code(one), code(other), "{name} in {language}");
        }
    }
    let index = fs::read_to_string(root().join("docs/guide/README.md")).unwrap();
    for (name, language) in names.iter().flat_map(|name| LANGUAGES.map(|language| (name, language))) {
        assert!(index.contains(&format!("]({language}/{name}.md)")), "{language}/{name} is not in the index");
    }
}

/// Where the pages have their folders.
#[derive(Clone)]
struct Place(PathBuf);

impl Place {
    fn make() -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
        fs::create_dir_all(&place).unwrap();
        let link = place.join("socketserver");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(root(), link).unwrap();
        Self(place)
    }

    /// Does what a page says, in a folder that nothing is in.
    fn do_what_it_says(&self, name: &str, language: &str) {
        let page = page(name, language);
        let missing = missing(&page);
        if !missing.is_empty() {
            return skip(missing.join(", "));
        }
        let folder = self.0.join(name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-'));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        // So that the versions are those that are here already, for nothing is fetched.
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

        let target = self.target(name, &page);
        let mut ports = Ports::default();
        let mut terminals: BTreeMap<String, Terminal> = BTreeMap::new();
        for (before, block) in &page.blocks {
            let text = ports.replaced(&block.text);
            if let Some(file) = block.word("file") {
                assert!(before.contains(&format!("`{file}`")), "the line above `{file}` does not name it: {before}");
                let path = folder.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            } else if let Some(terminal) = block.word("typed") {
                terminals.get_mut(terminal).expect("it was used before").typed(&text);
            } else if block.language() == "console" {
                let terminal = terminals.entry(block.word("terminal").unwrap_or("1").to_owned()).or_default();
                terminal.show(&text, |command| self.command(command, &folder, &target));
            } else {
                assert_eq!(block.info, "text", "what is to be done with it?");
            }
        }
        terminals.values_mut().for_each(|terminal| terminal.end(false));
    }

    /// Where a page's programs are built: in one place for all, so that what they depend on is built once, and one page waits for
    /// the other. One whose own program runs cargo, while clients have deadlines, waits for none.
    fn target(&self, name: &str, page: &Document) -> PathBuf {
        let runs_cargo = |block: &Block| block.word("file").is_some() && block.text.contains("\"cargo\"");
        let by_itself = page.blocks.iter().any(|(_, block)| runs_cargo(block));
        self.0.join(if by_itself { format!("target-{name}") } else { "target".to_owned() })
    }

    fn command(&self, text: &str, folder: &Path, target: &Path) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_socketserver")).parent().unwrap();
        let mut path = OsString::from(own);
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.args(["-c", text]).current_dir(folder).env("PATH", path);
        command.env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true");
        command
    }
}

/// The programs that a page runs and that are not here.
fn missing(page: &Document) -> Vec<&str> {
    let consoles = page.blocks.iter().filter(|(_, block)| block.language() == "console");
    let commands = consoles.flat_map(|(_, block)| block.text.lines()).filter_map(|line| line.strip_prefix("$ "));
    let programs = commands.filter_map(|command| command.trim_start_matches('(').split(' ').next());
    let programs = programs.filter(|program| *program != "socketserver");
    let is_there = |program: &&str| {
        let look = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status();
        look.is_ok_and(|status| status.success())
    };
    programs.filter(|program| !is_there(program)).collect()
}

/// Ports in place of those that a page names.
#[derive(Default)]
struct Ports(BTreeMap<String, u16>);

impl Ports {
    fn replaced(&mut self, text: &str) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let is_digit = rest.starts_with(|c: char| c.is_ascii_digit());
            let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
            let (piece, after) = rest.split_at(end);
            if piece.len() == 4 && ["80", "81", "82", "83", "84"].iter().any(|begin| piece.starts_with(begin)) {
                let port = *self.0.entry(piece.to_owned()).or_insert_with(free_port);
                replaced.push_str(&port.to_string());
            } else {
                replaced.push_str(piece);
            }
            rest = after;
        }
        replaced
    }
}

/// A port that is free, and that the system gives to nobody by itself (`ip_local_port_range`, `ip(7)`).
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 12_000 + (std::process::id() % 1_000) as u16 * 16;
    loop {
        let port = begin + NEXT.fetch_add(1, Relaxed);
        let at = ("127.0.0.1", port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            return port;
        }
    }
}
