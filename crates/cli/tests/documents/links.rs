//! Every link from one document to another leads to a file that is there, and to a heading in it.

use crate::markdown::Document;
use crate::{documents, root};
use std::path::Path;

/// Fails with all that lead nowhere.
pub(crate) fn lead_somewhere() {
    let root = root();
    let folders = ["", "docs", "docs/guide", "docs/guide/en", "docs/guide/zh", "benches"];
    let mut checked = 0;
    let mut astray = Vec::new();
    for document in folders.iter().flat_map(|folder| documents(&root.join(folder))) {
        for link in read(&document).links() {
            // What is rustdoc's alone, `](a::b)`, leads nowhere for who reads a file: [`a::b`] does for both.
            if link.starts_with("https://") {
                continue;
            }
            checked += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { document.clone() } else { document.with_file_name(path) };
            let leads = target.exists() && (anchor.is_empty() || read(&target).anchors().iter().any(|it| it == anchor));
            if !leads {
                astray.push(format!("{}: {link}", document.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(astray.is_empty(), "{astray:#?}");
    assert!(checked > 50, "{checked} links were found");
}

fn read(path: &Path) -> Document {
    Document::parse(&std::fs::read_to_string(path).unwrap())
}
