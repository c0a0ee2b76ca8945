//! The documents say what is so: what the guide tells its reader to do is done here, in each of its languages, and every link
//! leads somewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guide;
mod links;
mod markdown;
mod terminal;
mod translations;

use libtest_mimic::{Arguments, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut trials = guide::trials();
    trials.push(Trial::test("every_link_leads_somewhere", || {
        links::lead_somewhere();
        Ok(())
    }));
    trials.push(Trial::test("translations_agree", || {
        translations::agree();
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The folder that has everything.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The documents in a folder, in order.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    documents.sort();
    documents
}
