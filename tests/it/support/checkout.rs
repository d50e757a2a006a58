//! One person's clone, and what they do there with plain git.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::config::REPOSITORY;
use super::keys;
use super::outcome::Outcome;
use super::server::{Format, Server, scrubbed};

/// A clone with a person's name, e-mail and key in its configuration.
pub(crate) struct Checkout {
    /// Whose it is.
    pub(crate) person: &'static str,
    dir: PathBuf,
    home: PathBuf,
    more_env: Vec<(String, String)>,
    clock: Cell<u64>,
}

/// A commit to make; whoever is not given is the checkout's person.
#[derive(Clone, Copy, Default)]
pub(crate) struct NewCommit<'a> {
    /// Path and text, written before; a missing text deletes.
    pub(crate) files: &'a [(&'a str, Option<&'a str>)],
    /// The message.
    pub(crate) message: &'a str,
    /// Author.
    pub(crate) author: Option<&'a str>,
    /// Committer.
    pub(crate) committer: Option<&'a str>,
    /// Leave the signature out.
    pub(crate) unsigned: bool,
}

/// git in the scrubbed environment.
pub(crate) fn git_command(home: &Path) -> Command {
    scrubbed("git", home)
}

impl Checkout {
    /// Clones `url` into `folder`.
    pub(crate) fn new(person: &'static str, folder: &Path, url: String, format: Format) -> Self {
        let (dir, home) = (folder.join("work"), folder.join("home"));
        fs::create_dir_all(&home).unwrap();
        let this = Self {
            person,
            dir,
            home,
            more_env: Vec::new(),
            // Dates of their own for each, so that equal changes are not equal commits.
            clock: Cell::new(1_700_000_000 + u64::from(person.as_bytes()[0]) * 100_000),
        };
        let kind = format!("--object-format={}", format.name());
        let mut init = git_command(folder);
        init.args(["init", "-q", "-b", "main", &kind])
            .arg(&this.dir);
        Outcome::of(&mut init, b"").accepted();
        let config = format!(
            "[user]\n\tname = {person}\n\temail = {person}@example.com\n\tsigningkey = {}\n\
             [gpg]\n\tformat = ssh\n[advice]\n\tdetachedHead = false\n[commit]\n\tgpgsign = true\n\
             [gc]\n\tauto = 0\n[remote \"origin\"]\n\turl = {url}\n\
             \tfetch = +refs/heads/*:refs/remotes/origin/*\n\
             \tfetch = +refs/countersign/reviews/*:refs/countersign/reviews/*\n",
            keys::private(person).display()
        );
        let file = this.dir.join(".git/config");
        let text = fs::read_to_string(&file).unwrap() + &config;
        fs::write(file, text).unwrap();
        if this.try_git(&["fetch", "-q", "origin"]).ok() {
            this.git(&["reset", "-q", "--hard", "origin/main"]);
        }
        this
    }

    /// Sets one more variable for every command here.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.more_env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The working tree.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// git here, with the person at the door.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = scrubbed(program, &self.home);
        let now = self.clock.get() + 60;
        self.clock.set(now);
        command
            .env("COUNTERSIGN_PUSHER", self.person)
            .env("GIT_AUTHOR_DATE", format!("{now} +0000"))
            .env("GIT_COMMITTER_DATE", format!("{now} +0000"))
            .env("GIT_EDITOR", "true")
            .envs(self.more_env.iter().cloned())
            .current_dir(&self.dir);
        command
    }

    /// Runs git, whatever comes of it.
    #[must_use]
    pub(crate) fn try_git(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.command("git").args(args), b"")
    }

    /// Runs a line of shell, as somebody who copied it.
    pub(crate) fn shell(&self, line: &str) -> Outcome {
        Outcome::of(self.command("sh").args(["-c", line]), b"")
    }

    /// Runs git, which must succeed, and returns its output.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let outcome = self.try_git(args);
        assert!(outcome.ok(), "git {args:?}: {outcome}");
        outcome.line()
    }

    /// Runs git with standard input, which must succeed.
    #[track_caller]
    pub(crate) fn git_with(&self, args: &[&str], stdin: &[u8]) -> String {
        let outcome = Outcome::of(self.command("git").args(args), stdin);
        assert!(outcome.ok(), "git {args:?}: {outcome}");
        outcome.line()
    }

    /// Runs the binary under test here.
    #[must_use]
    pub(crate) fn countersign(&self, args: &[&str]) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_countersign"));
        Outcome::of(command.args(args), b"")
    }

    /// Writes (or deletes) files of the working tree.
    pub(crate) fn write(&self, files: &[(&str, Option<&str>)]) {
        for (path, text) in files {
            let path = self.dir.join(path);
            match text {
                None => fs::remove_file(&path).unwrap(),
                Some(text) => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(&path, text).unwrap();
                }
            }
        }
    }

    /// Makes a commit on whatever is checked out and returns its id.
    #[track_caller]
    pub(crate) fn commit(&self, new: NewCommit<'_>) -> String {
        self.write(new.files);
        self.git(&["add", "-A"]);
        let mut command = self.command("git");
        for (role, who) in [("AUTHOR", new.author), ("COMMITTER", new.committer)] {
            let who = who.unwrap_or(self.person);
            command.env(format!("GIT_{role}_NAME"), who);
            command.env(format!("GIT_{role}_EMAIL"), format!("{who}@example.com"));
        }
        command.args(["commit", "-q", "--allow-empty", "-m"]);
        command.arg(if new.message.is_empty() {
            "a change"
        } else {
            new.message
        });
        if new.unsigned {
            command.arg("--no-gpg-sign");
        }
        Outcome::of(&mut command, b"").accepted();
        self.head()
    }

    /// Makes a signed commit that writes one file.
    #[track_caller]
    pub(crate) fn change(&self, path: &str, text: &str) -> String {
        self.commit(NewCommit {
            files: &[(path, Some(text))],
            ..NewCommit::default()
        })
    }

    /// What is checked out.
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// The tree of a commit.
    pub(crate) fn tree(&self, commit: &str) -> String {
        self.git(&["rev-parse", &format!("{commit}^{{tree}}")])
    }

    /// Fetches branches and reviews.
    pub(crate) fn fetch(&self) {
        self.git(&["fetch", "-q", "origin"]);
    }

    /// Fetches and puts the working tree on a commit or remote branch.
    pub(crate) fn onto(&self, commit: &str) {
        self.fetch();
        self.git(&["checkout", "-q", "--detach", commit]);
    }

    /// Pushes refspecs to the server.
    #[must_use]
    pub(crate) fn push(&self, refspecs: &[&str]) -> Outcome {
        let mut args = vec!["push", "origin"];
        args.extend(refspecs);
        self.try_git(&args)
    }

    /// Pushes a commit to main.
    #[must_use]
    pub(crate) fn land(&self, commit: &str) -> Outcome {
        self.push(&[&format!("{commit}:refs/heads/main")])
    }

    /// Puts a commit on a free topic branch of the server.
    #[track_caller]
    pub(crate) fn share(&self, commit: &str) {
        self.push(&[&format!("{commit}:refs/heads/topic-{}", &commit[..12])])
            .accepted();
    }

    /// Signs a review tag with plain git and returns the tag's id; the head is fetched if need be.
    #[track_caller]
    pub(crate) fn tag_review(&self, head: &str, message: &str) -> String {
        if !self.try_git(&["cat-file", "-e", head]).ok() {
            self.fetch();
        }
        self.git(&["tag", "-s", "-f", "countersign/ok", head, "-m", message]);
        let tag = self.git(&["rev-parse", "refs/tags/countersign/ok"]);
        self.git(&["tag", "-d", "countersign/ok"]);
        tag
    }

    /// Pushes a tag object to the review ref of `head` under `leaf`.
    #[must_use]
    pub(crate) fn push_review(&self, tag: &str, head: &str, leaf: &str) -> Outcome {
        self.push(&[&format!("{tag}:refs/countersign/reviews/{head}/{leaf}")])
    }

    /// Signs and pushes a review for main: `verb`, then more header lines, with plain git.
    #[must_use]
    pub(crate) fn review(&self, verb: &str, head: &str, lines: &[&str]) -> Outcome {
        let message = review_message(verb, "refs/heads/main", lines);
        let tag = self.tag_review(head, &message);
        let leaf = format!("{}-{}", self.person, &tag[..8]);
        self.push_review(&tag, head, &leaf)
    }

    /// Approves, for main, what a ref of the server points to.
    #[must_use]
    pub(crate) fn approve_fetched(&self, server: &Server, name: &str) -> Outcome {
        let head = server.tip(name).unwrap();
        self.git(&["fetch", "-q", "origin", name]);
        self.approve(&head)
    }

    /// Approves a head for main.
    #[must_use]
    pub(crate) fn approve(&self, head: &str) -> Outcome {
        self.review("approve", head, &[])
    }
}

/// The message of a review tag.
pub(crate) fn review_message(verb: &str, target: &str, lines: &[&str]) -> String {
    let mut message = format!("countersign: {verb} {target} of {REPOSITORY}\n");
    for line in lines {
        message += line;
        message.push('\n');
    }
    message
}
