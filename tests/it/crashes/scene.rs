//! A push that goes wrong: a server put back for every case, and its hooks run under strace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::server::scrubbed;
use crate::support::{Checkout, MAIN, Outcome, Server};

/// The calls that change what is on the disk, or say that it is there.
pub(super) const WRITES: [&str; 8] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "unlink",
    "ftruncate",
    "mkdir",
];
/// The hooks, in the order in which git runs them.
pub(super) const HOOKS: [&str; 3] = ["pre-receive", "reference-transaction", "post-receive"];

/// What goes wrong in one hook: the call that does, counted from 1, and how.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) hook: &'static str,
    pub(super) call: &'static str,
    pub(super) at: usize,
    /// As strace writes it: `signal=KILL`, `error=ENOSPC`.
    pub(super) how: &'static str,
    /// Every later such call of that process too.
    pub(super) on: bool,
}

/// A server just before a push.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) alice: Checkout,
    /// What is pushed.
    refspecs: Vec<String>,
    /// Name and new value of each ref of the push.
    pub(super) moves: Vec<(String, String)>,
    aside: PathBuf,
    /// The checkpoint before the push.
    checkpoint: PathBuf,
}

impl Scene {
    /// Sets the scene for a push of these commits or tags to these refs.
    pub(super) fn new(server: Server, alice: Checkout, moves: &[(&str, &str)]) -> Self {
        let aside = server.folder().join("aside.git");
        copy(server.repo(), &aside);
        let checkpoint = server.folder().join("checkpoint");
        fs::copy(server.record("log/checkpoint"), &checkpoint).unwrap();
        Self {
            refspecs: moves
                .iter()
                .map(|(name, oid)| format!("{oid}:{name}"))
                .collect(),
            moves: moves
                .iter()
                .map(|(name, oid)| ((*name).to_owned(), (*oid).to_owned()))
                .collect(),
            server,
            alice,
            aside,
            checkpoint,
        }
    }

    /// Puts everything back as it was before the push.
    pub(super) fn reset(&self) {
        copy(&self.aside, self.server.repo());
    }

    /// Pushes.
    pub(super) fn push(&self) -> Outcome {
        let refspecs: Vec<&str> = self.refspecs.iter().map(String::as_str).collect();
        self.alice.push(&refspecs)
    }

    /// Pushes with strace around one hook.
    pub(super) fn push_with(&self, fault: &Fault) -> Outcome {
        let Fault {
            hook,
            call,
            at,
            how,
            on,
        } = fault;
        let on = if *on { "+" } else { "" };
        self.trace(
            hook,
            &format!("-o /dev/null -e trace={call} -e inject={call}:{how}:when={at}{on}"),
        );
        let outcome = self.push();
        fs::copy(
            self.aside.join("hooks").join(hook),
            self.server.repo().join("hooks").join(hook),
        )
        .unwrap();
        outcome
    }

    /// Puts strace in front of a hook.
    fn trace(&self, hook: &str, options: &str) {
        let path = self.server.repo().join("hooks").join(hook);
        let text = fs::read_to_string(&path).unwrap();
        let traced = text.replacen(
            "exec ",
            &format!("exec strace {options} -e signal=none -- "),
            1,
        );
        assert_ne!(text, traced, "{text}");
        fs::write(&path, traced).unwrap();
    }

    /// Pushes once, and counts the writes of each hook; of a hook that runs several times, the most.
    pub(super) fn writes(&self) -> BTreeMap<(&'static str, &'static str), usize> {
        let mut counts = BTreeMap::new();
        let folder = self.server.folder().join("traces");
        fs::create_dir(&folder).unwrap();
        for hook in HOOKS {
            let calls = WRITES.join(",");
            let out = folder.join(hook).display().to_string();
            self.trace(hook, &format!("-o '{out}'.$$ -e trace={calls}"));
        }
        self.push().accepted();
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap();
            let hook = HOOKS
                .into_iter()
                .find(|hook| name.starts_with(hook))
                .unwrap();
            let text = fs::read_to_string(&file).unwrap();
            for call in WRITES {
                let called = |line: &&str| line.starts_with(&format!("{call}("));
                let count = text.lines().filter(called).count();
                let most: &mut usize = counts.entry((hook, call)).or_default();
                *most = count.max(*most);
            }
        }
        fs::remove_dir_all(&folder).unwrap();
        self.reset();
        counts
    }

    /// Holds what must be true at once after a push, however it went: the log is whole and continues
    /// the old one, no ref moved that is not accounted for, and what git acknowledged is there.
    pub(super) fn check_after(&self, pushed: &Outcome, what: &str) {
        let from = self.checkpoint.to_str().unwrap();
        let verified = self
            .server
            .cli(&["log", "verify", "--json", "--from", from]);
        assert!(verified.ok(), "{what}: {verified}");
        let open = verified.json()["open_intents"].as_array().unwrap().len();
        let moved = self.moved();
        if pushed.ok() {
            assert_eq!(moved, self.moves.len(), "{what}: {pushed}");
        }
        if self.server.main() != self.main_before() {
            let landed = verified.json()["kinds"]["landed"].as_u64().unwrap_or(0);
            let landed = usize::try_from(landed).unwrap();
            assert!(
                open + landed > 0,
                "{what}: landed without a trace: {pushed}"
            );
        }
    }

    /// Holds what must be true once the next run has closed what was open.
    pub(super) fn check_settled(&self, what: &str) {
        let verified = self.server.cli(&["log", "verify", "--json"]);
        assert!(verified.ok(), "{what}: {verified}");
        let open = verified.json()["open_intents"].as_array().unwrap().len();
        assert_eq!(open, 0, "{what}: {verified}");
        let history = self.server.cli(&["verify", "history"]);
        assert!(history.ok(), "{what}: {history}");
    }

    /// How many refs of the push are where it wants them.
    pub(super) fn moved(&self) -> usize {
        let at = |(name, oid): &&(String, String)| self.server.tip(name).as_ref() == Some(oid);
        self.moves.iter().filter(at).count()
    }

    fn main_before(&self) -> String {
        let mut command = scrubbed("git", self.server.folder());
        command.arg("-C").arg(&self.aside).args(["rev-parse", MAIN]);
        Outcome::of(&mut command, b"").line()
    }
}

/// Puts a copy of a file or folder, with times and modes, in the place of what is there.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}
