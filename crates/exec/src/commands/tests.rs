use super::*;
use std::time::Duration;

fn parse(text: &str) -> Result<Commands, String> {
    Commands::parse(text, "c.toml").map_err(|error| error.to_string())
}

#[track_caller]
fn wrong(text: &str, words: &[&str]) {
    let said = parse(text).unwrap_err();
    assert!(!said.contains('\n'), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_what_is_right() {
    wrong("", &["`c.toml`", "no command", "`[disk]`"]);
    wrong("[a]\nargv = [\"ls\"]", &["line 2", "command `a`", "`ls`", "absolute", "`/bin/df`"]);
    wrong("[a]\nargv = []", &["line 2", "`a`", "empty", "`argv = [\"/bin/df\", \"-h\"]`"]);
    wrong("[a]\nargv = [\"/bin/no-such\"]", &["line 2", "`/bin/no-such`", "No such file"]);
    wrong("[a]\nargv = [\"/etc/passwd\"]", &["line 2", "not an executable file"]);
    wrong("[a]\nargv = [\"/bin\"]", &["line 2", "not an executable file"]);
    wrong("[a]\nargv = \"/bin/ls\"", &["line 2", "`a`", "sequence"]);
    wrong("[a]\nargv = [\"/bin/ls\", \"\\u0000\"]", &["line 2", "NUL"]);
    wrong("[a]\ncommand = \"/bin/ls\"", &["line 2", "`command`", "`argv`"]);
    wrong("[a]\n\n[b]\nargv = [\"/bin/ls\"]", &["line 1", "`a`", "`argv`"]);
    let ls = "[a]\nargv = [\"/bin/ls\"]\n";
    wrong(&format!("{ls}arguments = ['(']"), &["line 3", "`a`", "`(`", "regular expression"]);
    wrong(&format!("{ls}arguments = '.*'"), &["line 3", "sequence"]);
    wrong(&format!("{ls}directory = \"srv\""), &["line 3", "`srv`", "`/srv`"]);
    wrong(&format!("{ls}directory = \"/bin/ls\""), &["line 3", "directory"]);
    wrong(&format!("{ls}timeout = \"soon\""), &["line 3", "`soon`", "`500ms`"]);
    wrong(&format!("{ls}timeout = true"), &["line 3", "\"30s\""]);
    wrong(&format!("{ls}output-limit = \"1TiB\""), &["line 3", "`1TiB`", "`16MiB`"]);
    wrong(&format!("{ls}environment = {{ \"A=B\" = \"c\" }}"), &["line 3", "A=B", "variable"]);
    wrong(&format!("{ls}environment = {{ A = 1 }}"), &["line 3", "string"]);
    wrong(&format!("{ls}{ls}"), &["line 3", "duplicate"]);
    wrong("[\"a b\"]\nargv = [\"/bin/ls\"]", &["line 1", "a b", "name"]);
    wrong("[a\nargv", &["line 1"]);
    wrong("a = 1", &["line 1", "a table with `argv`"]);
}

#[test]
fn requests_are_words_and_nothing_is_expanded() {
    let commands = parse("[e]\nargv = [\"/bin/echo\", \"-n\"]\narguments = ['.*', '.*']").unwrap();
    let argv = |request: &str| commands.find(request, Limits::default()).map(|(job, _)| job.argv()[2..].to_vec());
    assert_eq!(argv("e a b").unwrap(), ["a", "b"]);
    assert_eq!(argv("  e\t'a b' \"c\\\"d\" ").unwrap(), ["a b", "c\"d"]);
    assert_eq!(argv("e '' $(id);`id`|&>*").unwrap(), ["", "$(id);`id`|&>*"]);
    assert_eq!(argv("'e' 日志 ~").unwrap(), ["日志", "~"]);
    assert_eq!(argv("e a").unwrap_err(), "`e` takes 2 arguments, and 1 were given");
    assert_eq!(argv("e a b c").unwrap_err(), "`e` takes 2 arguments, and 3 were given");
    assert_eq!(argv("e a -b").unwrap_err(), "argument 2 of `e`, `-b`, is not as `.*` says");
    assert_eq!(argv("e 'a").unwrap_err(), "a quotation in the request has no end");
    assert_eq!(argv("").unwrap_err(), "no command was given; known: e");
    assert_eq!(argv("/bin/echo a b").unwrap_err(), "unknown command `/bin/echo`; known: e");
    assert!(argv(&"x".repeat(4000)).unwrap_err().len() < 200);
}

#[test]
fn limits_are_the_commands_own_or_those_of_all() {
    let commands = "[a]\nargv = [\"/bin/ls\"]\n[b]\nargv = [\"/bin/ls\"]\ntimeout = 5\noutput-limit = 1000\n\
                    [c]\nargv = [\"/bin/ls\"]\ntimeout = \"off\"";
    let commands = parse(commands).unwrap();
    let limits = |request: &str| commands.find(request, Limits::default()).unwrap().1;
    assert_eq!(limits("a"), Limits::default());
    assert_eq!(limits("b").timeout, Some(Duration::from_secs(5)));
    assert_eq!(limits("b").output.bytes(), 1000);
    assert_eq!(limits("c").timeout, None);
}
