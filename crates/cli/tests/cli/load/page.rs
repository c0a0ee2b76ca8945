//! The page of what was found, as a browser sees it.

use super::{echo, load};
use socketserver_testkit::{PATIENCE, Python};
use std::process::Command;

#[test]
fn a_browser_shows_the_page_in_light_and_in_dark() {
    let Some(python) = Python::find() else { return };
    for program in ["chromedriver", "chromium"] {
        if Command::new(program).arg("--version").output().is_err() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {program}");
            return eprintln!("skipped: {program} is not installed");
        }
    }
    let (one, other) = (echo(":0"), echo(":0"));
    let folder = tempfile::tempdir().unwrap();
    let files = ["one", "two"].map(|name| folder.path().join(name).with_extension("html").display().to_string());
    let message = "<script>document.title='had'</script>";
    let alone = [one.address(), "-c", "5", "-d", "2s", "--rate", "2k", "--html", &files[0], "--message", message];
    load(1, &[&alone[..], &["--fail-if", "max>0"]].concat());
    load(0, &[one.address(), "--compare", other.address(), "-c", "5", "-d", "3s", "--html", &files[1]]);
    let program = [include_str!("../browser.py"), include_str!("page.py")].concat();
    let pictures = std::env::var("SOCKETSERVER_LOAD_PICTURES").unwrap_or_default();
    let pictures: Vec<&str> = pictures.split_whitespace().collect();
    let said = python.program_within(10 * PATIENCE, &program, &[&[&*files[0], &*files[1]], &*pictures].concat());
    assert_eq!(said, "ok\n");
}
