//! What `docs/operations.md` tells an admin to do, each done once between real pushes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::thread;

use crate::audit::codes;
use crate::bad_input::files_below;
use crate::operator::landed_unrecorded;
use crate::push::approved_on_main;
use crate::second_verifier::python;
use crate::support::server::scrubbed;
use crate::support::{Checkout, MAIN, NewCommit, Outcome, Server, approved_topic, two_people};

/// A backup as the page makes it: the repository first, then the record under its lock, and the
/// key in a place of its own.
struct Backup {
    mirror: PathBuf,
    record: PathBuf,
    key: PathBuf,
}

impl Backup {
    fn of(server: &Server, name: &str) -> Self {
        let this = Self::named(server, name);
        this.repository(server);
        this.record(server);
        this
    }

    fn named(server: &Server, name: &str) -> Self {
        let folder = server.folder().join(name);
        fs::create_dir(&folder).unwrap();
        Self {
            mirror: folder.join("payments.git"),
            record: folder.join("payments.tar"),
            key: folder.join("key"),
        }
    }

    fn repository(&self, server: &Server) {
        let mirror = self.mirror.to_str().unwrap();
        let live = server.repo().to_str().unwrap();
        sh(server, &format!("git init -q --bare {mirror}"));
        let refs = "'+refs/*:refs/*'";
        sh(
            server,
            &format!("git -C {mirror} fetch -q --prune {live} {refs}"),
        );
    }

    fn record(&self, server: &Server) {
        let live = server.repo().display();
        let tar = self.record.display();
        sh(
            server,
            &format!(
                "cd {live} && flock countersign/lock tar -cf {tar} \
                 --exclude='countersign/index.db*' --exclude='countersign/guarded' \
                 --exclude='countersign/lock' \
                 --exclude='countersign/key*' HEAD config hooks countersign || [ $? -eq 1 ]"
            ),
        );
        fs::copy(server.record("key"), &self.key).unwrap();
    }

    /// Puts it where the server was, which goes aside, and enrols.
    fn restore(&self, server: &Server) {
        let live = server.repo();
        fs::remove_dir_all(live).unwrap();
        self.restore_to(server, live);
        server.enroll(&[]).accepted();
    }

    fn restore_to(&self, server: &Server, to: &Path) {
        let (mirror, tar) = (self.mirror.display(), self.record.display());
        let (to, key) = (to.display(), self.key.display());
        sh(
            server,
            &format!(
                "git init -q --bare {to} && git -C {to} fetch -q {mirror} '+refs/*:refs/*' && \
                 tar -C {to} -xpf {tar} && install -m 0600 {key} {to}/countersign/key"
            ),
        );
    }
}

#[track_caller]
fn sh(server: &Server, line: &str) -> String {
    let mut command = scrubbed("sh", server.folder());
    let outcome = Outcome::of(command.args(["-c", line]), b"");
    assert!(outcome.ok(), "{line}: {outcome}");
    outcome.line()
}

/// Runs the binary for another repository of the same folder.
fn at(server: &Server, repo: &Path, args: &[&str]) -> Outcome {
    let all = [&["-C", repo.to_str().unwrap()], args].concat();
    Outcome::of(&mut server.countersign(&all), b"")
}

/// Everything the page asks for after a restore, with nothing found.
#[track_caller]
fn in_order(server: &Server) {
    server.log_is_good();
    server.cli(&["log", "reconcile"]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
    assert_eq!(codes(server), Vec::<String>::new());
}

#[track_caller]
fn next_lands(server: &Server, alice: &Checkout, bob: &Checkout, file: &str) {
    let head = approved_on_main(alice, bob, file);
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    in_order(server);
}

/// Lands changes from another thread, and does something else for as long as that takes.
fn while_landing(alice: Checkout, bob: Checkout, mut act: impl FnMut()) -> (Checkout, Checkout) {
    let pushing = thread::spawn(move || {
        for number in 0..3 {
            let head = approved_on_main(&alice, &bob, &format!("meanwhile-{number}.txt"));
            alice.land(&head).accepted();
        }
        (alice, bob)
    });
    loop {
        act();
        if pushing.is_finished() {
            return pushing.join().unwrap();
        }
    }
}

/// Pushes bob's review of a head once more, under another name.
fn push_review_again(server: &Server, bob: &Checkout, head: &str) {
    let pattern = format!("refs/countersign/reviews/{head}/");
    let tag = server.git(&["for-each-ref", "--format=%(objectname)", &pattern]);
    bob.push_review(&tag, head, "bob-again").accepted();
}

/// A backup between pushes has neither key nor index nor lock in it, and restored it is in order.
#[test]
fn restored_between_pushes() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let backup = Backup::of(&server, "backup");
    let list = sh(&server, &format!("tar -tf {}", backup.record.display()));
    for word in ["index.db", "countersign/lock", "countersign/key"] {
        assert!(!list.contains(word), "{list}");
    }
    let size = server.log_size();
    backup.restore(&server);
    assert_eq!(server.log_size(), size);
    in_order(&server);
    server.cli(&["verify", "commit", &head]).exits(0);
    next_lands(&server, &alice, &bob, "b.txt");
}

/// Whenever a backup is taken while others push, its record is never behind its refs, and it
/// is whole.
#[test]
fn backups_while_others_push() {
    let (server, alice, bob) = two_people();
    let mut backups = Vec::new();
    while_landing(alice, bob, || {
        backups.push(Backup::of(&server, &format!("backup-{}", backups.len())));
    });
    for (number, backup) in backups.iter().enumerate() {
        let repo = server.folder().join(format!("restored-{number}.git"));
        backup.restore_to(&server, &repo);
        at(&server, &repo, &["log", "verify"]).exits(0);
        let told = at(&server, &repo, &["log", "reconcile", "--json"]).json();
        for drift in told["unknown"].as_array().unwrap() {
            assert_eq!(drift["ref"], MAIN);
            let recorded = drift["recorded"].as_str().unwrap();
            let old = sh(
                &server,
                &format!("git -C {} rev-parse main", repo.display()),
            );
            server.git(&["merge-base", "--is-ancestor", &old, recorded]);
        }
    }
    in_order(&server);
}

/// A push that was accepted when the backup was taken, and had moved its ref, is recorded after the
/// restore by its intent; without intents it would be an unknown tip.
#[test]
fn restored_before_the_entry() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let hook = server.repo().join("hooks/post-receive");
    let aside = server.folder().join("aside");
    fs::rename(&hook, &aside).unwrap();
    alice.land(&head).accepted();
    fs::rename(&aside, &hook).unwrap();
    let backup = Backup::of(&server, "backup");
    backup.restore(&server);
    for intent in files_below(&server.record("intents")) {
        fs::remove_file(intent).unwrap();
    }
    server.cli(&["log", "reconcile"]).exits(1).says(&head);
    assert_eq!(codes(&server), ["unknown-tip"]);
    backup.restore(&server);
    server.cli(&["log", "verify"]).exits(0).says("reconcile");
    server.cli(&["log", "reconcile"]).exits(0).says("landed");
    server.cli(&["verify", "commit", &head]).exits(0);
    next_lands(&server, &alice, &bob, "b.txt");
}

/// A push that was accepted between the copies of refs and record has lapsed after the restore, and
/// lands when it is pushed again.
#[test]
fn restored_before_the_ref_moved() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let backup = Backup::named(&server, "backup");
    backup.repository(&server);
    let hook = server.repo().join("hooks/post-receive");
    let aside = server.folder().join("aside");
    fs::rename(&hook, &aside).unwrap();
    alice.land(&head).accepted();
    fs::rename(&aside, &hook).unwrap();
    backup.record(&server);
    backup.restore(&server);
    server.cli(&["log", "reconcile"]).exits(0).says("lapsed");
    in_order(&server);
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    in_order(&server);
}

/// A server restored from a backup between whose two halves a push landed, and what it brought: nothing
/// of that is in the repository.
fn restored_ahead() -> (Server, Checkout, Checkout, String) {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let backup = Backup::named(&server, "backup");
    backup.repository(&server);
    alice.land(&head).accepted();
    backup.record(&server);
    // The topic and its review are in this one, and need not be.
    sh(
        &server,
        &format!(
            "cd {} && git for-each-ref --format='delete %(refname)' refs/heads/topic-* \
             refs/countersign/reviews | git update-ref --stdin && git gc -q --prune=now",
            backup.mirror.display()
        ),
    );
    backup.restore(&server);
    (server, alice, bob, head)
}

/// Where the record is ahead of the refs, what is missing is fetched from a clone by the id that the
/// record gives: nothing is adopted.
#[test]
fn record_ahead_of_refs() {
    let (server, alice, bob, head) = restored_ahead();
    server.log_is_good();
    server
        .cli(&["log", "reconcile"])
        .exits(1)
        .says(&head)
        .says("the record is ahead");
    let audit = server.cli(&["audit"]).exits(1).says(&head);
    assert!(!audit.stdout.contains("--policy"), "{audit}");
    let stray = alice.change("b.txt", "x\n");
    alice.land(&stray).refused(&["unknown-tip"]);
    // One that does not bring the missing commit, without which there is no policy.
    let other = bob.change("other.txt", "x\n");
    bob.land(&other).refused(&["undecidable"]);
    let bundle = server.folder().join("payments.bundle");
    alice.git(&["update-ref", "refs/remotes/origin/main", &head]);
    alice.git(&["bundle", "create", bundle.to_str().unwrap(), "origin/main"]);
    let from = "refs/remotes/origin/main";
    let args = ["fetch", "-q", bundle.to_str().unwrap(), from];
    server.admin("git", &args).accepted();
    // The hooks let a ref go back to where the record has it.
    server.admin("git", &["update-ref", MAIN, &head]).accepted();
    in_order(&server);
    server.cli(&["verify", "commit", &head]).exits(0);
    next_lands(&server, &alice, &bob, "c.txt");
}

/// Where nobody has it any more, the older tip is adopted, and pushes go on.
#[test]
fn record_ahead_for_good() {
    let (server, _, bob, _) = restored_ahead();
    server.cli(&["log", "adopt", "main", "--policy"]).exits(0);
    server.cli(&["log", "reconcile"]).exits(0);
    let carol = server.checkout("carol");
    let next = approved_on_main(&carol, &bob, "b.txt");
    carol.land(&next).accepted();
    server.cli(&["verify", "commit", &next]).exits(0);
    assert_eq!(codes(&server), ["missing-object"]);
    server.cli(&["verify", "history"]).exits(1).says("entry 2");
}

/// Where the refs are ahead of the record, whoever kept a checkpoint knows; set back, what had landed
/// is reviewed and landed once more, and nothing is adopted.
#[test]
fn refs_ahead_of_record() {
    let (server, alice, bob) = two_people();
    let old = server.main();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    let backup = Backup::named(&server, "backup");
    backup.record(&server);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    let kept = server.folder().join("kept");
    fs::copy(server.record("log/checkpoint"), &kept).unwrap();
    backup.repository(&server);
    backup.restore(&server);
    server.log_is_good();
    let args = ["log", "verify", "--from", kept.to_str().unwrap()];
    server.cli(&args).exits(1).says("shorter");
    server.cli(&["log", "reconcile"]).exits(1).says(&head);
    assert_eq!(codes(&server), ["unknown-tip"]);
    let stray = alice.change("b.txt", "x\n");
    alice.land(&stray).refused(&["unknown-tip"]);
    let aside = ["update-ref", "refs/heads/topic-lost", &head];
    server.admin("git", &aside).accepted();
    server.admin("git", &["update-ref", MAIN, &old]).accepted();
    in_order(&server);
    alice.land(&head).refused(&["missing-approvals"]);
    push_review_again(&server, &bob, &head);
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&args).exits(1);
    next_lands(&server, &alice, &bob, "c.txt");
}

/// An older backup of both agrees with itself: only a checkpoint kept elsewhere tells.
#[test]
fn both_put_back() {
    let (server, alice, bob) = two_people();
    let backup = Backup::of(&server, "backup");
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let kept = server.folder().join("kept");
    fs::copy(server.record("log/checkpoint"), &kept).unwrap();
    backup.restore(&server);
    in_order(&server);
    let args = ["log", "verify", "--from", kept.to_str().unwrap()];
    server.cli(&args).exits(1).says("shorter");
    server.cli(&["verify", "commit", &head]).exits(1);
}

/// With the key lost a new log begins with a baseline; the old one stays verifiable where it lies.
#[test]
fn lost_key() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let open = approved_on_main(&alice, &bob, "b.txt");
    let kept = server.folder().join("kept");
    fs::copy(server.record("log/vkey"), &kept).unwrap();
    fs::remove_file(server.record("key")).unwrap();
    alice.land(&open).refused(&["undecidable"]);
    assert_eq!(codes(&server), ["record-key"]);
    let aside = server.folder().join("payments-record-1");
    sh(
        &server,
        &format!(
            "mkdir -m 0700 {aside} && cd {} && mv log evidence intents {aside}/ && rm -f index.db*",
            server.record("").display(),
            aside = aside.display()
        ),
    );
    alice.land(&open).refused(&["undecidable"]);
    server.enroll(&[]).accepted().says("record: begins");
    in_order(&server);
    server
        .cli(&["verify", "commit", &head])
        .exits(1)
        .says("baseline");
    let old = aside.to_str().unwrap();
    let args = ["log", "verify", "--record", old, "--key"];
    let key = kept.to_str().unwrap();
    server.cli(&[&args[..], &[key]].concat()).accepted();
    let new = server.record("log/vkey");
    let new = new.to_str().unwrap();
    server.cli(&[&args[..], &[new]].concat()).exits(1);
    python(&[&aside, Path::new("--key"), &kept]).accepted();
    // What was approved before is not in the new log.
    alice.land(&open).refused(&["missing-approvals"]);
    push_review_again(&server, &bob, &open);
    alice.land(&open).accepted();
    next_lands(&server, &alice, &bob, "c.txt");
}

/// A repository may be moved with its record; a record that is elsewhere wants its new place said.
#[test]
fn moved() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let there = server.folder().join("moved.git");
    fs::rename(server.repo(), &there).unwrap();
    let url = format!("file://{}", there.display());
    for checkout in [&alice, &bob] {
        checkout.git(&["remote", "set-url", "origin", &url]);
    }
    let lands = |file: &str| {
        let head = approved_on_main(&alice, &bob, file);
        alice.land(&head).accepted();
        at(&server, &there, &["verify", "commit", &head]).exits(0);
        at(&server, &there, &["verify", "history"]).exits(0);
        at(&server, &there, &["audit"])
            .exits(0)
            .says("nothing found");
    };
    lands("b.txt");
    let elsewhere = server.folder().join("records/payments");
    sh(
        &server,
        &format!(
            "mkdir -m 0700 -p {to} && cd {from} && \
             mv log evidence intents received key audit.jsonl {to}/ 2>/dev/null; rm -f index.db* lock",
            to = elsewhere.display(),
            from = there.join("countersign").display()
        ),
    );
    let next = unshared(&alice);
    alice.land(&next).refused(&["undecidable"]);
    let file = there.join("countersign/server.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = format!("{text}[record]\ndir = \"{}\"\n", elsewhere.display());
    fs::write(&file, text).unwrap();
    // Nobody has said yet that the record there is this repository's.
    at(&server, &there, &["audit"])
        .exits(3)
        .says("two repositories cannot share one");
    let args = ["enroll", there.to_str().unwrap()];
    Outcome::of(&mut server.countersign(&args), b"").accepted();
    lands("c.txt");
}

/// Alice's commit on main that nobody has seen.
fn unshared(alice: &Checkout) -> String {
    alice.onto("origin/main");
    alice.change("refused.txt", "x\n")
}

/// The binary may be replaced, by renaming, while pushes run; enrolled from another place, the hooks
/// run that one.
#[test]
fn upgraded_while_pushes_run() {
    let (server, alice, bob) = two_people();
    let folder = server.folder().join("bin");
    fs::create_dir(&folder).unwrap();
    let place = folder.join("countersign");
    let built = Path::new(env!("CARGO_BIN_EXE_countersign"));
    let copied = folder.join("copied");
    fs::copy(built, &copied).unwrap();
    fs::hard_link(&copied, &place).unwrap();
    let enrol = |binary: &Path| {
        let mut command = scrubbed(binary.to_str().unwrap(), server.folder());
        Outcome::of(command.arg("enroll").arg(server.repo()), b"")
            .accepted()
            .says("hook pre-receive: renewed")
            .says("how the host is now");
    };
    enrol(&place);
    let mut count = 0;
    let (alice, bob) = while_landing(alice, bob, || {
        let new = folder.join("new");
        match count % 2 {
            0 => symlink(built, &new).unwrap(),
            _ => fs::hard_link(&copied, &new).unwrap(),
        }
        fs::rename(&new, &place).unwrap();
        count += 1;
    });
    in_order(&server);
    fs::remove_file(&place).unwrap();
    let open = unshared(&alice);
    alice.land(&open).refused(&[]);
    assert_eq!(codes(&server), ["binary-unusable"]);
    let other = folder.join("2/countersign");
    fs::create_dir(folder.join("2")).unwrap();
    fs::hard_link(&copied, &other).unwrap();
    enrol(&other);
    next_lands(&server, &alice, &bob, "b.txt");
}

/// With no room for files beyond a size, of which the record has the largest, a push lands or is refused
/// as a whole; with room again the record is in order, and what was refused lands.
#[test]
fn full_disk() {
    let (server, alice, bob) = two_people();
    let mut refused = 0;
    for blocks in [2, 12, 24, 96] {
        let head = approved_on_main(&alice, &bob, &format!("{blocks}.txt"));
        let before = (server.main(), server.log_size());
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec git push origin {head}:{MAIN}");
        let outcome = Outcome::of(alice.command("sh").args(["-c", &line]), b"");
        let moved = server.main() == head;
        assert_eq!(outcome.ok(), moved, "{outcome}");
        server.log_is_good();
        server.cli(&["log", "reconcile"]).exits(0);
        if !moved {
            assert_eq!((server.main(), server.log_size()), before);
            alice.land(&head).accepted();
            refused += 1;
        }
        assert_eq!(server.log_size(), before.1 + 1);
        in_order(&server);
    }
    assert!(refused > 0);
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The audit trail may be renamed at any time: no refusal is lost, and the next makes a new file,
/// for its owner alone.
#[test]
fn rotated_audit_trail() {
    let (server, alice, bob) = two_people();
    let trail = server.record("audit.jsonl");
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(lines(&trail).len(), 1);
    let old = server.record("audit.jsonl.1");
    fs::rename(&trail, &old).unwrap();
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!((lines(&old).len(), lines(&trail).len()), (1, 1));
    assert_eq!(lines(&trail)[0]["commits"], lines(&old)[0]["commits"]);
    let mode = fs::metadata(&trail).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let refused = 6;
    let pushing = thread::spawn(move || {
        for _ in 0..refused {
            alice.land(&head).refused(&["missing-approvals"]);
        }
        (alice, head)
    });
    let mut number = 2;
    while !pushing.is_finished() {
        if fs::rename(&trail, server.record(&format!("audit.jsonl.{number}"))).is_ok() {
            number += 1;
        }
    }
    let (alice, head) = pushing.join().unwrap();
    let files = files_below(&server.record(""));
    let trails = files.iter().filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("audit.jsonl")
    });
    let all: usize = trails.map(|path| lines(path).len()).sum();
    assert_eq!(all, 2 + refused);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
    in_order(&server);
}

/// What is shipped for logrotate renames and makes nothing, which is what the trail stands.
#[test]
fn logrotate_template() {
    let path = "templates/logrotate/countersign";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(&path).unwrap();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(said[0], "/srv/git/*.git/countersign/audit.jsonl {");
    for word in ["nocreate", "missingok", "delaycompress", "su git git"] {
        assert!(said.contains(&word), "{word}: {text}");
    }
    assert!(!said.contains(&"copytruncate") && !text.contains("received"));
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    alice.land(&head).refused(&["missing-approvals"]);
    let ours = text
        .replace(
            "/srv/git/*.git",
            server.folder().join("*.git").to_str().unwrap(),
        )
        .replace("    su git git\n", "");
    let conf = server.folder().join("logrotate.conf");
    fs::write(&conf, ours).unwrap();
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o644)).unwrap();
    let state = server.folder().join("state");
    let line = format!("logrotate -f -s {} {}", state.display(), conf.display());
    sh(&server, &line);
    assert_eq!(lines(&server.record("audit.jsonl.1")).len(), 1);
    bob.approve(&head).accepted();
    alice.land(&head).accepted();
}

/// Without `received`, what nobody signed has nobody who brought it, and wants one approval more;
/// put back, it lands.
#[test]
fn received_is_not_rotated() {
    let (server, alice, bob) = two_people();
    let head = alice.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        unsigned: true,
        ..NewCommit::default()
    });
    alice.share(&head);
    bob.approve(&head).accepted();
    let (notes, aside) = (server.record("received"), server.record("received.1"));
    fs::rename(&notes, &aside).unwrap();
    alice.land(&head).refused(&["missing-approvals"]);
    fs::rename(&aside, &notes).unwrap();
    alice.land(&head).accepted();
    in_order(&server);
}

/// Root is told to be the account that runs git where it would write, and what it makes by looking
/// is that account's.
#[test]
fn root_leaves_nothing_of_its_own() {
    const GIT: u32 = 65_534;
    let (server, alice, bob) = two_people();
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: giving files to another account wants root");
        return;
    }
    let head = approved_topic(&alice, &bob, "a.txt");
    let landed = landed_unrecorded(&server, &alice, &head);
    assert_eq!(landed.new.unwrap().to_string(), head);
    let record = server.record("");
    for name in ["index.db", "index.db-wal", "index.db-shm", "lock"] {
        fs::remove_file(record.join(name)).ok();
    }
    chown(&record, Some(GIT), Some(GIT)).unwrap();
    for file in files_below(&record) {
        chown(file, Some(GIT), Some(GIT)).unwrap();
    }
    let size = server.log_size();
    for args in [
        &["log", "reconcile"][..],
        &["log", "adopt", "main"],
        &["log", "rotate"],
    ] {
        server.cli(args).exits(2).says("belongs to").says("sudo -u");
    }
    assert_eq!(server.log_size(), size);
    server.cli(&["log", "adopt", "main", "--dry-run"]).exits(0);
    server.cli(&["log", "show"]).exits(0);
    server.cli(&["audit"]).exits(1);
    let made = ["index.db", "lock"].map(|name| record.join(name).exists());
    assert_eq!(made, [true, true]);
    for file in files_below(&record) {
        let meta = fs::metadata(&file).unwrap();
        assert_eq!(meta.uid(), GIT, "{}", file.display());
    }
    // Only what is new changes hands: a link goes where its owner wants.
    let victim = server.folder().join("victim");
    fs::write(&victim, "").unwrap();
    fs::remove_file(record.join("lock")).unwrap();
    symlink(&victim, record.join("lock")).unwrap();
    server.cli(&["audit"]).exits(1);
    assert_eq!(fs::metadata(&victim).unwrap().uid(), 0);
}
