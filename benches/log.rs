//! How many entries a second a log takes, and how many pushes at once, in logs of their own and in one.
//!
//! `cargo bench --bench log -- 50`, or with the dependencies of the tests and slower hooks
//! `cargo bench --profile dev --bench log -- 50`. A folder after the number says on which disk.
//!
//! Entries are appended by the library. Pushes are landings on release branches, each reviewed, by
//! so many gits at once over `file://`, beside the same pushes to repositories without hooks; how
//! often git and its hooks sync is counted by strace for one push.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints what it measured"
)]

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use all of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use countersign::record::Record;
use countersign::record::entry::{Entry, Incident, IncidentState};
use countersign::record::shared::RepositoryName;
use jiff::Timestamp;

use support::checkout::review_message;
use support::config::PLAIN_RULE;
use support::{Checkout, Format, Outcome, People, Server, policy};

/// Entries that are appended one at a time.
const SINGLE: usize = 200;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let count = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(50);
    let folder = args.iter().skip(1).find(|arg| arg.starts_with('/'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    println!("appends, a second");
    for batch in [1, 10, 100, 1000] {
        let total = SINGLE.max(batch * 5);
        row(
            &format!("in batches of {batch}"),
            appends(&folder, total, batch),
            None,
        );
    }
    let own = appends_at_once(&folder, count, false);
    row(&format!("by {count} at once, to a log each"), own, None);
    let one = appends_at_once(&folder, count, true);
    row(&format!("by {count} at once, to one log"), one, Some(own));

    println!("landings, a second, {count} at once");
    let plain = pushes(Where::OneRepository, false, count);
    row("one repository, no hooks", plain, None);
    let hooked = pushes(Where::OneRepository, true, count);
    row("one repository", hooked, Some(plain));
    let plain = pushes(Where::LogsOfTheirOwn, false, count);
    row("a repository each, no hooks", plain, None);
    for (what, place) in [
        ("a repository and a log each", Where::LogsOfTheirOwn),
        ("a repository each, one log", Where::OneLog),
    ] {
        row(what, pushes(place, true, count), Some(plain));
    }
}

/// Prints a rate, and its ratio to another.
fn row(what: &str, rate: f64, beside: Option<f64>) {
    let ratio = beside.map_or_else(String::new, |other| format!("  1 / {:.2}", other / rate));
    println!("  {what:40} {rate:9.1}{ratio}");
}

fn entry() -> Entry {
    Entry::Incident(Incident {
        at: Timestamp::from_second(1_790_000_000).unwrap(),
        repository: "git.example.com/payments".to_owned(),
        state: IncidentState::Found,
        finding: "bench".to_owned(),
        about: "refs/heads/main".to_owned(),
        // About what a review takes.
        found: "x".repeat(1500),
        expected: None,
        by: "root".to_owned(),
    })
}

fn put(record: &Record, batch: usize) {
    let lock = record.lock().unwrap();
    record.append(&lock, &vec![entry(); batch]).unwrap();
}

fn appends(folder: &Path, total: usize, batch: usize) -> f64 {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let record = Record::create(&folder.path().join("record"), "example.com/log").unwrap();
    let start = Instant::now();
    for _ in 0..total / batch {
        put(&record, batch);
    }
    rate(total, start)
}

fn appends_at_once(folder: &Path, count: usize, is_shared: bool) -> f64 {
    const EACH: usize = 10;
    let folder = tempfile::tempdir_in(folder).unwrap();
    let dir = |number: usize| {
        let log = if is_shared { 0 } else { number };
        folder.path().join(log.to_string())
    };
    for number in 0..if is_shared { 1 } else { count } {
        Record::create(&dir(number), "example.com/log").unwrap();
    }
    let start = Instant::now();
    thread::scope(|scope| {
        for number in 0..count {
            let (dir, name) = (
                dir(number),
                RepositoryName::new(&format!("r{number}")).unwrap(),
            );
            scope.spawn(move || {
                let record = Record::open_as(&dir, is_shared.then_some(&name)).unwrap();
                (0..EACH).for_each(|_| put(&record, 1));
            });
        }
    });
    rate(count * EACH, start)
}

fn rate(count: usize, start: Instant) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let count = count as f64;
    count / start.elapsed().as_secs_f64()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    OneRepository,
    LogsOfTheirOwn,
    OneLog,
}

/// Lands on as many release branches at once; one more before, to count syncs.
fn pushes(place: Where, has_hooks: bool, count: usize) -> f64 {
    let log = tempfile::tempdir().unwrap();
    let repositories = match place {
        Where::OneRepository => 1,
        Where::LogsOfTheirOwn | Where::OneLog => count + 1,
    };
    let servers: Vec<Server> = (0..repositories)
        .map(|number| server(number, (place == Where::OneLog).then(|| log.path())))
        .collect();
    let alice = servers[0].checkout("alice");
    let heads = prepare(&alice, &servers, count + 1);
    if !has_hooks {
        for server in &servers {
            fs::remove_dir_all(server.repo().join("hooks")).unwrap();
        }
    }
    let push = |number: usize| {
        let url = servers[number % servers.len()].url();
        let refspec = format!("{}:refs/heads/release/{number}", heads[number]);
        (url, refspec)
    };
    let (url, refspec) = push(0);
    let trace = log.path().join("trace");
    let mut traced = alice.command("strace");
    traced.args(["-f", "-e", "trace=fsync,fdatasync", "-o"]);
    traced
        .arg(&trace)
        .args(["git", "push", "-q", &url, &refspec]);
    Outcome::of(&mut traced, b"").accepted();
    let trace = fs::read_to_string(&trace).unwrap();
    let syncs = trace.lines().filter(|line| line.contains("sync(")).count();
    println!("    (one of the following pushes syncs {syncs} times)");
    let commands: Vec<Command> = (1..=count)
        .map(|number| {
            let (url, refspec) = push(number);
            let mut command = alice.command("git");
            command.args(["push", "-q", &url, &refspec]);
            command
        })
        .collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for mut command in commands {
            scope.spawn(move || Outcome::of(&mut command, b"").accepted());
        }
    });
    let rate = rate(count, start);
    for server in servers.iter().filter(|_| has_hooks) {
        server.cli(&["log", "reconcile"]).accepted();
        server.cli(&["log", "verify"]).accepted();
    }
    rate
}

/// An enrolled repository, all of the same first commit.
fn server(number: usize, log: Option<&Path>) -> Server {
    let server = Server::bare(Format::Sha1);
    server.seed(&[
        (".countersign/policy.toml", &policy(PLAIN_RULE)),
        (".countersign/people.toml", &People::new().text()),
    ]);
    match log {
        None => server.enroll(&[]).accepted(),
        Some(log) => {
            let record = format!(
                "pusher = {{ env = \"COUNTERSIGN_PUSHER\" }}\n[record]\ndir = {:?}\n\
                 shared = \"example.com/log\"\nname = \"r{number}\"\n",
                log.join("record")
            );
            fs::create_dir(server.record("")).unwrap();
            fs::write(server.record("server.toml"), record).unwrap();
            server.enroll(&[]).accepted()
        }
    };
    server
}

/// Brings changes, their branches and bob's reviews of them to where they are to land.
fn prepare(alice: &Checkout, servers: &[Server], count: usize) -> Vec<String> {
    let bob = servers[0].checkout("bob");
    let base = servers[0].main();
    let mut heads = Vec::new();
    let mut pushed: Vec<[Vec<String>; 2]> = vec![Default::default(); servers.len()];
    for number in 0..count {
        alice.git(&["checkout", "-q", "--detach", &base]);
        let head = alice.change(&format!("{number}.txt"), "x\n");
        bob.git(&["fetch", "-q", alice.dir().to_str().unwrap(), &head]);
        let target = format!("refs/heads/release/{number}");
        let tag = bob.tag_review(&head, &review_message("approve", &target, &[]));
        bob.git(&["update-ref", &format!("refs/tags/t{number}"), &tag]);
        let [first, then] = &mut pushed[number % servers.len()];
        first.push(format!("{base}:{target}"));
        first.push(format!("{head}:refs/heads/topic-{number}"));
        then.push(format!("{tag}:refs/countersign/reviews/{head}/bob"));
        heads.push(head);
    }
    alice.git(&["fetch", "-q", "--tags", bob.dir().to_str().unwrap()]);
    for (server, steps) in servers.iter().zip(&pushed) {
        for refspecs in steps {
            let mut args = vec!["push".to_owned(), "-q".to_owned(), server.url()];
            args.extend(refspecs.iter().cloned());
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            alice.git(&args);
        }
    }
    heads
}
