//! An enrolled bare repository.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::checkout::{Checkout, git_command};
use super::config::{PLAIN_RULE, People, policy};
use super::outcome::Outcome;

/// The hash of a repository.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Sha1,
    Sha256,
}

impl Format {
    /// git's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The all-zero id.
    pub(crate) fn zero(self) -> String {
        "0".repeat(if self == Self::Sha1 { 40 } else { 64 })
    }
}

/// A bare repository in a temporary folder, with the real hooks.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    repo: PathBuf,
    format: Format,
    checkouts: Cell<usize>,
}

impl Server {
    /// Enrolled, with the plain policy: one approval of a maintainer for every change.
    pub(crate) fn new() -> Self {
        Self::with(&policy(PLAIN_RULE), &People::new())
    }

    /// Enrolled, with this policy and these people.
    pub(crate) fn with(policy: &str, people: &People) -> Self {
        Self::of(Format::Sha1, policy, people)
    }

    /// Enrolled, of this format.
    pub(crate) fn of(format: Format, policy: &str, people: &People) -> Self {
        let server = Self::bare(format);
        server.found(policy, people);
        server.enroll(&[]).accepted();
        server
    }

    /// Writes a first commit with this policy and these people.
    pub(crate) fn found(&self, policy: &str, people: &People) {
        self.seed(&[
            (".countersign/policy.toml", policy),
            (".countersign/people.toml", &people.text()),
            ("README.md", "hello\n"),
            ("src/lib.rs", "fn one() {}\n"),
        ]);
    }

    /// A bare repository as git makes it: nothing in it, not enrolled.
    pub(crate) fn bare(format: Format) -> Self {
        // `enroll` refuses what the group may write; the umask of whoever runs the tests may not.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("payments.git");
        let kind = format!("--object-format={}", format.name());
        git_command(folder.path())
            .args(["init", "-q", "--bare", "-b", "main", &kind])
            .arg(&repo)
            .status()
            .unwrap();
        Self {
            folder,
            repo,
            format,
            checkouts: Cell::new(0),
        }
    }

    /// The same folder and people, with the repository that a host keeps elsewhere in the folder.
    pub(crate) fn at(mut self, repo: PathBuf) -> Self {
        self.repo = repo;
        self
    }

    /// Writes the first commit of main past every hook, as before enrolment.
    pub(crate) fn seed(&self, files: &[(&str, &str)]) -> String {
        let mut stream = String::from(
            "commit refs/heads/main\ncommitter Root <root@example.com> 1700000000 +0000\ndata 5\nseed\n",
        );
        for (path, text) in files {
            stream += &format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len());
        }
        let mut command = self.git_command();
        command.args(["fast-import", "--quiet", "--force"]);
        Outcome::of(&mut command, stream.as_bytes()).accepted();
        self.tip("refs/heads/main").unwrap()
    }

    /// Runs `countersign enroll <repo>` with more arguments.
    #[must_use]
    pub(crate) fn enroll(&self, more: &[&str]) -> Outcome {
        let mut args = vec!["enroll", self.repo.to_str().unwrap()];
        args.extend(more);
        Outcome::of(&mut self.countersign(&args), b"")
    }

    /// Runs `countersign -C <repo> …`.
    #[must_use]
    pub(crate) fn cli(&self, args: &[&str]) -> Outcome {
        let mut all = vec!["-C", self.repo.to_str().unwrap()];
        all.extend(args);
        Outcome::of(&mut self.countersign(&all), b"")
    }

    /// Runs `countersign check <commit> --onto <ref> --json` here and returns the verdict.
    pub(crate) fn check_json(&self, commit: &str, onto: &str, person: &str) -> serde_json::Value {
        self.cli(&["check", commit, "--onto", onto, "--as", person, "--json"])
            .json()
    }

    /// Feeds one of the hooks as git would, with `GIT_DIR` set and alice at the door.
    #[must_use]
    pub(crate) fn hook(&self, name: &str, stdin: &[u8]) -> Outcome {
        let mut command = self.countersign(&["hook", name]);
        command
            .current_dir(&self.repo)
            .env("GIT_DIR", ".")
            .env("COUNTERSIGN_PUSHER", "alice");
        Outcome::of(&mut command, stdin)
    }

    /// The binary under test in the scrubbed environment.
    pub(crate) fn countersign(&self, args: &[&str]) -> Command {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), self.folder.path());
        command.args(args);
        command
    }

    /// Runs git on the server itself, past every gate: what a raw write to the disk would do.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let mut command = self.git_command();
        command.args(["-c", "core.hooksPath=/dev/null"]).args(args);
        let outcome = Outcome::of(&mut command, b"");
        assert!(outcome.ok(), "git {args:?}: {outcome}");
        outcome.line()
    }

    /// Runs one of the installed gits on the server itself, as its admin would: the hooks run.
    #[must_use]
    pub(crate) fn admin(&self, git: &str, args: &[&str]) -> Outcome {
        Outcome::of(self.admin_command(git).args(args), b"")
    }

    /// That git on the server itself.
    pub(crate) fn admin_command(&self, git: &str) -> Command {
        let mut command = scrubbed(git, self.folder.path());
        command.arg("-C").arg(&self.repo);
        command
    }

    /// Where a ref points, if it is there.
    pub(crate) fn tip(&self, name: &str) -> Option<String> {
        let mut command = self.git_command();
        command.args(["rev-parse", "--verify", "-q", name]);
        let outcome = Outcome::of(&mut command, b"");
        outcome.ok().then(|| outcome.line())
    }

    /// Main's tip.
    pub(crate) fn main(&self) -> String {
        self.tip(super::MAIN).unwrap()
    }

    /// A new checkout for a person, over `file://`.
    pub(crate) fn checkout(&self, person: &'static str) -> Checkout {
        let number = self.checkouts.get();
        self.checkouts.set(number + 1);
        let folder = self.folder.path().join(format!("{number}-{person}"));
        Checkout::new(person, &folder, self.url(), self.format)
    }

    /// The address over `file://`.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.repo.display())
    }

    /// The repository's folder.
    pub(crate) fn repo(&self) -> &Path {
        &self.repo
    }

    /// The folder that everything of this server lives in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the record.
    pub(crate) fn record(&self, path: &str) -> PathBuf {
        self.repo.join("countersign").join(path)
    }

    /// Number of entries that the checkpoint signs, read from its second line.
    pub(crate) fn log_size(&self) -> u64 {
        let checkpoint = fs::read_to_string(self.record("log/checkpoint")).unwrap();
        checkpoint.lines().nth(1).unwrap().parse().unwrap()
    }

    /// The log's own answer to whether it is whole.
    #[track_caller]
    pub(crate) fn log_is_good(&self) {
        self.cli(&["log", "verify"]).accepted();
    }

    fn git_command(&self) -> Command {
        let mut command = git_command(self.folder.path());
        command.arg("-C").arg(&self.repo);
        command
    }
}

/// A command that sees nothing of whoever runs the tests.
pub(crate) fn scrubbed(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .current_dir(home);
    command
}
