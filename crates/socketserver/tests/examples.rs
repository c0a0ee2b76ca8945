//! Every example runs to its end by itself, and says what it teaches.

use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What each example is known by. One that is missing here fails the test.
const SAYS: &[(&str, &str)] = &[
    ("ask_many", "0 of 3 said nothing"),
    ("client", r#"["3 one", "3 two", "5 three", "and that was all"]"#),
    ("drain", "cut: connection 3 of 127.0.0.1:"),
    ("every_and_signals", "stopped by TERM"),
    ("forks", "server: 4 served, 1 lost"),
    ("hooks", "on_error: division by zero"),
    ("in_memory", "minutes went by"),
    ("https", "HTTP/1.1 200 OK"),
    ("limits", "the third hears: busy, try later\ninside: Ada and Bob\nthe silent one: closed: first-byte"),
    ("messages", "that is no number: goodbye"),
    ("own_listener", "endpoint 1: tcp://127.0.0.1:"),
    ("own_model", "hello, says number 2"),
    ("poll_from_outside", "served 2"),
    (
        "sticky",
        "reads of [13]\none send of 10000 bytes arrived as reads of [4096, 4096, 1808]\na message: one\na message: two\n\
         a message: three\nfour messages arrived as messages of 4 bytes, 4 bytes, 5 bytes, 10000 bytes",
    ),
    ("tasks", "200 connections, 2 answers:\n1 500500 socketserver-0\n1 500500 socketserver-1"),
    ("upper", "你好abc -> 你好ABC"),
];

/// Each is through within a second or so.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn every_example_runs_and_says_what_it_teaches() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let in_folder: BTreeSet<_> = std::fs::read_dir(&sources)
        .expect("there are examples")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned())
        .collect();
    let known: BTreeSet<_> = SAYS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(in_folder, known, "the folder on the left, what this test knows on the right");

    // All at a time: each talks to itself alone.
    let failures: Vec<_> = thread::scope(|scope| {
        let sources = &sources;
        let built = SAYS.iter().filter(|(name, _)| *name != "https" || cfg!(feature = "self-signed"));
        let runs: Vec<_> =
            built.map(|(name, phrase)| scope.spawn(move || check(sources, name, phrase).err())).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a check does not panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(sources: &Path, name: &str, phrase: &str) -> Result<(), String> {
    let program = built(&sources.join(format!("{name}.rs")), name)?;
    let child = Command::new(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that one that hangs can be ended together with what it has started.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let (ended, said, complained) = run_within(child, DEADLINE);
    if ended != Some(0) {
        return Err(format!("{name}: ended with {ended:?} and said\n{said}{complained}"));
    }
    if !said.contains(phrase) {
        return Err(format!("{name}: it says {said:?} and not {phrase:?}"));
    }
    Ok(())
}

/// Where `cargo test` has put the example: `examples` is a neighbour of the folder that this test runs from.
fn built(source: &Path, name: &str) -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = test.ancestors().nth(2).ok_or("a test is in a folder in a folder")?;
    let program = folder.join("examples").join(name);
    let age = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    match (age(&program), age(source)) {
        (Ok(built), Ok(written)) if built >= written => Ok(program),
        // `cargo test --test examples` builds no examples.
        _ => Err(format!("{name}: not built since it was written; `cargo test -p socketserver` builds it")),
    }
}

/// The exit status and what was written to standard output and standard error; no status for one that was killed.
fn run_within(mut child: Child, deadline: Duration) -> (Option<i32>, String, String) {
    let (through, wait) = mpsc::channel();
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        let through = through.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            let _ = through.send(());
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let said = read(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let complained = read(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    // Both pipes end with the program.
    let in_time = (0..2).all(|_| wait.recv_timeout(deadline).is_ok());
    if !in_time {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait().expect("it is our child");
    let text = |thread: thread::JoinHandle<String>| thread.join().expect("reading does not panic");
    (status.code().filter(|_| in_time), text(said), text(complained))
}

#[cfg(feature = "self-signed")]
#[test]
fn curl_takes_the_page_of_the_example() {
    use socketserver_testkit::{OpenSsl, is_installed};
    use std::io::{BufRead, BufReader};

    let curl = |args: &[&str]| Command::new("curl").args(args).output().map_err(|error| error.to_string());
    if !is_installed("curl", "--version") {
        return;
    }
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.authority("ca");
    openssl.issue("ca", "server", "DNS:localhost,IP:127.0.0.1");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/https.rs");
    let mut server = Command::new(built(&source, "https").expect("it is built"))
        .args(["tls://127.0.0.1:0", "server.pem", "server.key"])
        .current_dir(openssl.dir())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let line = lines.next().expect("it listens").expect("it says so");
    let port = line.rsplit(':').next().unwrap_or_default();
    let authority = openssl.path("ca.pem").display().to_string();
    for version in ["1.2", "1.3"] {
        let at = format!("https://localhost:{port}/");
        let fetched = curl(&[
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--noproxy",
            "*",
            "--resolve",
            &format!("localhost:{port}:127.0.0.1"),
            "--cacert",
            &authority,
            "--tlsv1.2",
            "--tls-max",
            version,
            "--write-out",
            "%{http_code} %{ssl_verify_result}",
            &at,
            &at,
        ])
        .expect("curl runs");
        let told = String::from_utf8_lossy(&fetched.stdout);
        assert_eq!(told.matches("<p>hello\n200 0").count(), 2, "{told} {}", String::from_utf8_lossy(&fetched.stderr));
    }
    let _ = kill_process_group(Pid::from_child(&server), Signal::TERM);
    assert!(server.wait().expect("it is our child").success());
}
