//! What is there in two languages says the same, as far as a test can tell: its code, and of each row of a table the names in it.

use crate::markdown::Document;
use crate::root;
use std::collections::BTreeSet;

/// Fails where the table for those who come from Python has other code or other names in Chinese.
pub(crate) fn agree() {
    let [english, chinese] = ["", ".zh-CN"].map(|language| {
        let path = root().join(format!("docs/coming-from-python{language}.md"));
        Document::parse(&std::fs::read_to_string(path).unwrap())
    });
    let code = |document: &Document| document.blocks.iter().map(|(_, block)| block.text.clone()).collect::<Vec<_>>();
    assert_eq!(code(&english), code(&chinese));
    let rows = |document: &Document| -> Vec<_> {
        document.prose.iter().filter(|line| line.starts_with('|')).map(|row| names(row)).collect()
    };
    let [english, chinese] = [rows(&english), rows(&chinese)];
    assert!(english.len() > 50, "{} rows were found", english.len());
    assert_eq!(english, chinese);
}

/// What is in backquotes; the languages may have it in another order.
fn names(row: &str) -> BTreeSet<String> {
    row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
