//! `countersign enroll --all`: every bare repository below a directory, whatever one of them says.

use std::fs;
use std::path::{Path, PathBuf};

use crate::audit::{chmod, copy};
use crate::support::server::scrubbed;
use crate::support::{Format, Outcome, Server, keys};

/// How many repositories there are. `COUNTERSIGN_REPOSITORIES` says more, to measure.
fn count() -> usize {
    let given = std::env::var("COUNTERSIGN_REPOSITORIES").ok();
    given.map_or(12, |count| count.parse().unwrap())
}

struct Host {
    /// Whose empty repository all others are copies of.
    server: Server,
    root: PathBuf,
}

impl Host {
    fn new() -> Self {
        let server = Server::bare(Format::Sha1);
        let root = server.folder().join("git");
        for number in 0..count() {
            let team = root.join(format!("team-{}", number % 3));
            fs::create_dir_all(&team).unwrap();
            copy(server.repo(), &team.join(format!("{number}.git")));
        }
        Self { server, root }
    }

    fn enroll(&self, more: &[&str]) -> Outcome {
        let mut args = vec!["enroll", "--all", self.root.to_str().unwrap()];
        args.extend(more);
        Outcome::of(&mut self.server.countersign(&args), b"")
    }

    /// The arguments that write a first policy of two people.
    fn founding(&self) -> Vec<String> {
        let mut args = Vec::new();
        for person in ["alice", "bob"] {
            let key = keys::private(person).with_extension("pub");
            let key = key.to_str().unwrap().to_owned();
            args.extend([
                "--init".to_owned(),
                person.to_owned(),
                "--key".to_owned(),
                key,
            ]);
        }
        args
    }
}

fn is_enrolled(repo: &Path) -> bool {
    repo.join("hooks/pre-receive").exists() && repo.join("countersign/log/checkpoint").exists()
}

/// All are enrolled alike but the one that cannot be, again changes nothing, and removal takes all back.
#[test]
fn all_of_them() {
    let host = Host::new();
    let bad = host.root.join("team-1/1.git");
    let good = host.root.join("team-2/2.git");
    chmod(&bad.join("refs"), 0o777);
    let founding = host.founding();
    let founding: Vec<&str> = founding.iter().map(String::as_str).collect();
    let dry = [&founding[..], &["--dry-run"]].concat();
    host.enroll(&dry).exits(1).says("would change");
    assert!(!is_enrolled(&good));

    let told = host.enroll(&founding).exits(1);
    let line = |name: &str, outcome: &str| {
        let mut lines = told.stdout.lines();
        lines.any(|line| line.trim_start().starts_with(name) && line.ends_with(outcome))
    };
    assert!(
        line("team-1/1.git", "failed") && line("team-2/2.git", "enrolled"),
        "{told}"
    );
    assert!(
        told.stdout
            .contains(&format!("{} repositories, 1 failed", count()))
    );
    assert!(told.stderr.contains("hint: chmod -R go-w"), "{told}");
    assert!(is_enrolled(&good) && !is_enrolled(&bad));
    // What a review names is told apart by where the repository lies.
    let mut show = scrubbed("git", host.server.folder());
    show.arg("-C")
        .arg(&good)
        .args(["show", "main:.countersign/policy.toml"]);
    Outcome::of(&mut show, b"").accepted().says("\"team-2/2\"");

    chmod(&bad.join("refs"), 0o755);
    let told = host.enroll(&founding).exits(0).says("0 failed");
    assert_eq!(
        told.stdout.matches("nothing to do").count(),
        count() - 1,
        "{told}"
    );
    assert!(is_enrolled(&bad));
    // Its people are there by now: no founding is needed any more.
    let again = host.enroll(&["--json"]).exits(0).json();
    assert_eq!(again["schema"], "countersign.enroll-all/v1");
    let all = again["repositories"].as_array().unwrap();
    assert!(all.len() == count() && all.iter().all(|one| one["ok"] == true));

    host.enroll(&["--remove"]).exits(0).says("hooks removed");
    assert!(!good.join("hooks/pre-receive").exists());
    assert!(good.join("countersign/log/checkpoint").exists());
}

/// A directory without repositories, or one repository and all, is a mistake of whoever asks.
#[test]
fn mistakes() {
    let server = Server::bare(Format::Sha1);
    let empty = server.folder().join("empty");
    fs::create_dir(&empty).unwrap();
    let (empty, repo) = (empty.to_str().unwrap(), server.repo().to_str().unwrap());
    let run = |args: &[&str]| Outcome::of(&mut server.countersign(args), b"");
    run(&["enroll", "--all", empty])
        .exits(2)
        .says("no bare repository");
    run(&["enroll", "--all", "/nonexistent"]).exits(2);
    run(&["enroll", "--all", empty, repo]).exits(2);
    run(&["enroll"]).exits(2);
}
