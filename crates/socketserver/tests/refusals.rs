//! Pairings that are no use do not compile, and the compiler says why in plain words.
//!
//! The words are the compiler's: where another version of it says the same in another way, write them anew with
//! `TRYBUILD=overwrite cargo test -p socketserver --test refusals`, and read them.

#[test]
fn wrong_pairings_are_refused_in_plain_words() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/refusals/accepted.rs");
    cases.compile_fail("tests/refusals/closure_*.rs");
    cases.compile_fail("tests/refusals/async_*.rs");
    cases.compile_fail("tests/refusals/no_*.rs");
    cases.compile_fail("tests/refusals/captured_*.rs");
    cases.compile_fail("tests/refusals/serve_one_*.rs");
    cases.compile_fail("tests/refusals/sessions_*.rs");
    cases.compile_fail("tests/refusals/tasks_*.rs");
}
