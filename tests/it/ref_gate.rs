//! The ref gate: what writes refs and is no push, with every git that is installed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign::record::{Intent, Process, Record};

use crate::push::approved_on_main;
use crate::support::checkout::review_message;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::{
    Checkout, Format, MAIN, Outcome, People, Server, approved_topic, policy, two_people,
};

/// Every git in the search path, one of each version.
fn gits() -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap();
    let mut gits = BTreeMap::new();
    for git in std::env::split_paths(&path).map(|folder| folder.join("git")) {
        if let Ok(output) = Command::new(&git).arg("--version").output() {
            let git = git.to_str().unwrap().to_owned();
            gits.entry(output.stdout).or_insert(git);
        }
    }
    assert!(!gits.is_empty());
    gits.into_values().collect()
}

/// Whether the ref hook sees symbolic refs: since git 2.46.
fn tells_symbolic(git: &str) -> bool {
    let output = Command::new(git).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.trim_start_matches("git version ").split('.');
    let mut next = || numbers.next().unwrap().parse::<u32>().unwrap();
    (next(), next()) >= (2, 46)
}

/// A commit of alice's that nobody approved, on a free branch of the server.
fn unapproved(alice: &Checkout) -> String {
    let evil = alice.change("evil.txt", "evil\n");
    alice.share(&evil);
    evil
}

/// Writes a ref's file, past git.
fn raw(server: &Server, name: &str, text: &str) {
    fs::write(server.repo().join(name), format!("{text}\n")).unwrap();
}

fn script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// git as an admin who says that he is alice.
fn as_alice(server: &Server, git: &str, args: &[&str]) -> Outcome {
    let mut command = server.admin_command(git);
    Outcome::of(command.env("COUNTERSIGN_PUSHER", "alice").args(args), b"")
}

fn stdin(server: &Server, git: &str, lines: &str) -> Outcome {
    let mut command = server.admin_command(git);
    Outcome::of(command.args(["update-ref", "--stdin"]), lines.as_bytes())
}

/// The hook itself, as if this test were git.
fn hook(server: &Server, state: &str, lines: &str) -> Outcome {
    let mut command = server.countersign(&["hook", "reference-transaction", state]);
    command.current_dir(server.repo()).env("GIT_DIR", ".");
    Outcome::of(&mut command, lines.as_bytes())
}

fn record(server: &Server) -> Record {
    Record::open(&server.record("")).unwrap()
}

fn open_intents(server: &Server) -> Vec<Intent> {
    record(server).open_intents().unwrap()
}

fn refs(server: &Server) -> String {
    server.git(&["for-each-ref"])
}

/// No way that git has moves main, a release or Countersign's own refs, loose or packed.
#[test]
fn every_way_to_write() {
    for git in gits() {
        let (server, alice, _) = two_people();
        let (old, evil) = (server.main(), unapproved(&alice));
        let elsewhere = alice.dir().to_str().unwrap().to_owned();
        let from = format!("+{evil}:{MAIN}");
        let keep = format!("refs/countersign/keep/{evil}");
        let review = format!("refs/countersign/reviews/{evil}/bob");
        let replace = format!("refs/replace/{evil}");
        server.git(&["update-ref", &keep, &evil]);
        let ways: &[(&[&str], &str)] = &[
            (&["update-ref", MAIN, &evil], "missing-approvals"),
            (&["update-ref", MAIN, &evil, &old], "unknown-pusher"),
            (&["update-ref", "HEAD", &evil], "missing-approvals"),
            (&["update-ref", "-d", MAIN], "deleted-ref"),
            (&["update-ref", "-d", MAIN, &old], "deleted-ref"),
            (&["update-ref", "-d", "HEAD"], "deleted-ref"),
            (&["branch", "-f", "main", &evil], "missing-approvals"),
            (&["branch", "-m", "main", "other"], "deleted-ref"),
            (&["fetch", &elsewhere, &from], "missing-approvals"),
            (&["fetch", "--atomic", &elsewhere, &from], "unknown-pusher"),
            (&["branch", "release/1", &evil], "missing-approvals"),
            (&["tag", "v1", &evil], "unrecorded-target"),
            (&["update-ref", "refs/heads/Main", &evil], "shadowing-ref"),
            (
                &["update-ref", "refs/heads/refs/heads/x", &evil],
                "shadowing-ref",
            ),
            (&["update-ref", &replace, &old], "forbidden-ref"),
            (&["update-ref", "-d", &keep], "forbidden-ref"),
            (
                &["update-ref", "refs/countersign/x", &evil],
                "forbidden-ref",
            ),
            (&["update-ref", &review, &evil], "unknown-pusher"),
        ];
        for packed in [false, true] {
            if packed {
                server.git(&["pack-refs", "--all"]);
            }
            let before = refs(&server);
            for (args, code) in ways {
                let outcome = server.admin(&git, args).refused(&[]);
                assert!(
                    outcome.codes().contains(code),
                    "{git} {args:?} {code}: {outcome}"
                );
                assert_eq!(refs(&server), before, "{git} {args:?}");
            }
        }
        // A newer loose ref over an older packed one.
        raw(&server, "refs/heads/stale", &old);
        server.git(&["pack-refs", "--all"]);
        raw(&server, MAIN, &old);
        let before = refs(&server);
        for args in [
            &["update-ref", "-d", MAIN, &old][..],
            &["branch", "-D", "main"],
        ] {
            server.admin(&git, args).refused(&[]);
            assert_eq!(refs(&server), before, "{git} {args:?}");
        }
        assert_eq!(server.log_size(), 1);
        assert!(open_intents(&server).is_empty());
    }
}

/// What nothing protects is written as if there were no gate.
#[test]
fn free_refs() {
    for git in gits() {
        let (server, alice, _) = two_people();
        let (old, evil) = (server.main(), unapproved(&alice));
        let tree = server.folder().join("tree");
        server.git(&["update-ref", &format!("refs/replace/{evil}"), &old]);
        let elsewhere = alice.dir().to_str().unwrap();
        let ways: &[&[&str]] = &[
            &["update-ref", "refs/heads/a", &evil],
            &["update-ref", "refs/heads/a", &old, &evil],
            &["branch", "-f", "a", &evil],
            &["branch", "-m", "a", "b"],
            &["branch", "-C", "b", "c"],
            &["symbolic-ref", "refs/heads/alias", "refs/heads/b"],
            &["update-ref", "refs/heads/alias", &old],
            &["symbolic-ref", "refs/heads/stable", MAIN],
            &["symbolic-ref", "-d", "refs/heads/alias"],
            &["symbolic-ref", "HEAD", "refs/heads/b"],
            &["symbolic-ref", "HEAD", MAIN],
            &["tag", "free", &evil],
            &["tag", "-d", "free"],
            &["fetch", "-q", elsewhere, "+HEAD:refs/remotes/x/y"],
            &["replace", "-d", &evil],
            &["worktree", "add", "-q", tree.to_str().unwrap(), "b"],
            &[
                "-C",
                tree.to_str().unwrap(),
                "checkout",
                "-q",
                "--detach",
                &evil,
            ],
            &["-C", tree.to_str().unwrap(), "reset", "-q", "--hard", &old],
            &["worktree", "remove", "--force", tree.to_str().unwrap()],
            &["branch", "-D", "b", "c"],
            &["update-ref", "HEAD", &old],
        ];
        for args in ways {
            let outcome = server.admin(&git, args);
            assert!(outcome.ok(), "{git} {args:?}: {outcome}");
            assert!(!outcome.stderr.contains("countersign"), "{outcome}");
        }
        assert_eq!((server.main(), server.log_size()), (old, 1));
    }
}

/// Packing sends lines that look like movements; it goes through, with the record gone too.
#[test]
fn packing_and_collecting() {
    for git in gits() {
        let (server, alice, bob) = two_people();
        let head = approved_topic(&alice, &bob, "a.txt");
        alice.land(&head).accepted();
        let squashed = approved_topic(&alice, &bob, "b.txt");
        alice.land(&squashed).accepted();
        let before = refs(&server);
        let upkeep: [&[&str]; 6] = [
            &["pack-refs", "--all"],
            &["pack-refs", "--all", "--no-prune"],
            &["gc", "-q"],
            &["gc", "-q", "--prune=now"],
            &["repack", "-q", "-a", "-d"],
            &["pack-refs", "--all", "--prune"],
        ];
        for gone in [false, true] {
            if gone {
                fs::rename(server.record(""), server.folder().join("aside")).unwrap();
            }
            for args in upkeep {
                raw(&server, MAIN, &squashed);
                let outcome = server.admin(&git, args);
                assert!(
                    outcome.ok() && outcome.stderr.is_empty(),
                    "{git} {args:?}: {outcome}"
                );
                assert_eq!(refs(&server), before, "{git} {args:?}");
            }
            assert!(!server.repo().join(MAIN).exists(), "nothing was packed");
        }
        fs::rename(server.folder().join("aside"), server.record("")).unwrap();
        server.cli(&["verify", "history"]).exits(0);
    }
}

/// Packing goes through while somebody else holds a lock that makes it look like a movement.
#[test]
fn packing_beside_others() {
    let (server, alice, bob) = two_people();
    let (old, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
    alice.land(&head).accepted();
    let zero = "0".repeat(40);
    let packed = server.repo().join("packed-refs.lock");
    let loose = server.repo().join(format!("{MAIN}.lock"));
    let for_a_while = |path: &Path| {
        fs::write(path, "").unwrap();
        let path = path.to_owned();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(150));
            fs::remove_file(path).unwrap();
        })
    };
    let other = for_a_while(&packed);
    hook(&server, "prepared", &format!("{head} {zero} {MAIN}\n")).accepted();
    other.join().unwrap();
    // It read main before it moved on to `head`.
    fs::write(&packed, "").unwrap();
    hook(&server, "prepared", &format!("{zero} {old} {MAIN}\n")).accepted();
    let other = for_a_while(&loose);
    hook(&server, "prepared", &format!("{zero} {old} {MAIN}\n")).accepted();
    other.join().unwrap();
    fs::write(&loose, "").unwrap();
    hook(&server, "prepared", &format!("{zero} {old} {MAIN}\n")).refused(&["rewound-branch"]);
    hook(&server, "prepared", &format!("{head} {zero} {MAIN}\n")).refused(&["deleted-ref"]);
}

/// `verify` lines look like deletions, and are none.
#[test]
fn verified_refs() {
    for git in gits() {
        let (server, _, _) = two_people();
        let tip = server.main();
        for packed in [false, true] {
            if packed {
                server.git(&["pack-refs", "--all"]);
            }
            let name = format!("refs/heads/new-{packed}");
            stdin(
                &server,
                &git,
                &format!("verify {MAIN} {tip}\ncreate {name} {tip}\n"),
            )
            .accepted();
            assert_eq!(server.tip(&name).as_ref(), Some(&tip));
            let both = format!("verify {MAIN} {tip}\ndelete {MAIN} {tip}\n");
            stdin(&server, &git, &both).refused(&[]);
            assert_eq!(server.main(), tip);
        }
    }
}

/// An admin who says who he is lands what is approved, and it is recorded; a nobody does not.
#[test]
fn judged_like_a_push() {
    for git in gits() {
        let (server, alice, bob) = two_people();
        let head = approved_topic(&alice, &bob, "a.txt");
        let size = server.log_size();
        server
            .admin(&git, &["update-ref", MAIN, &head])
            .refused(&["unknown-pusher"]);
        as_alice(&server, &git, &["update-ref", MAIN, &head]).accepted();
        assert_eq!(server.main(), head);
        server.cli(&["log", "reconcile"]).exits(0);
        assert_eq!(server.log_size(), size + 1);
        server.cli(&["verify", "commit", &head]).exits(0);

        let next = approved_on_main(&alice, &bob, "b.txt");
        let elsewhere = alice.dir().to_str().unwrap();
        alice.git(&["branch", "-f", "out", &next]);
        as_alice(
            &server,
            &git,
            &["fetch", "-q", elsewhere, &format!("out:{MAIN}")],
        )
        .accepted();
        // The next push closes it.
        let last = approved_on_main(&alice, &bob, "c.txt");
        alice.land(&last).accepted();
        server.cli(&["verify", "commit", &next]).exits(0);
        server.cli(&["verify", "history"]).exits(0);
        server.log_is_good();
    }
}

/// A transaction that is called off after it was admitted leaves nothing, and can be made again.
#[test]
fn called_off() {
    for git in gits() {
        let (server, alice, bob) = two_people();
        let (old, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
        let size = server.log_size();
        let lines = format!("start\nupdate {MAIN} {head}\nprepare\n");
        for end in ["abort\n", ""] {
            let mut command = server.admin_command(&git);
            command
                .env("COUNTERSIGN_PUSHER", "alice")
                .args(["update-ref", "--stdin"]);
            Outcome::of(&mut command, format!("{lines}{end}").as_bytes()).either();
            assert_eq!(server.main(), old);
            assert!(!open_intents(&server).is_empty(), "it was not admitted");
            server.cli(&["log", "reconcile"]).exits(0);
            assert!(open_intents(&server).is_empty());
        }
        // Killed between the two.
        let mut command = server.admin_command(&git);
        command
            .env("COUNTERSIGN_PUSHER", "alice")
            .args(["update-ref", "--stdin"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut pipe, lines.as_bytes()).unwrap();
        for _ in 0..1000 {
            if !open_intents(&server).is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(pipe);
        for lock in [format!("{MAIN}.lock"), "HEAD.lock".to_owned()] {
            fs::remove_file(server.repo().join(lock)).ok();
        }
        assert_eq!((server.main(), server.log_size()), (old, size));
        alice.land(&head).accepted();
        server.cli(&["verify", "commit", &head]).exits(0);
        server.cli(&["verify", "history"]).exits(0);
    }
}

/// The intent of a push passes its own process alone: neither a program that a hook of the push starts,
/// nor whoever comes with the same values before it is recorded.
#[test]
fn intents_of_others() {
    let (server, alice, bob) = two_people();
    let (old, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
    let said = server.folder().join("said");
    let update = server.repo().join("hooks/update");
    script(
        &update,
        &format!(
            "env -u COUNTERSIGN_PUSHER git update-ref {MAIN} {head} {old} 2>'{}' && exit 1\nexit 0",
            said.display()
        ),
    );
    fs::remove_file(server.repo().join("hooks/post-receive")).unwrap();
    alice.land(&head).accepted();
    let said = fs::read_to_string(said).unwrap();
    assert!(said.contains("[unknown-pusher]"), "{said}");
    assert_eq!(open_intents(&server).len(), 1);
    raw(&server, MAIN, &old);
    for git in gits() {
        server
            .admin(&git, &["update-ref", MAIN, &head, &old])
            .refused(&["unknown-pusher"]);
        assert_eq!(server.main(), old);
    }
    assert!(open_intents(&server).is_empty(), "it has lapsed");
}

/// The process itself passes once with one intent.
#[test]
fn spent_once() {
    let (server, alice, bob) = two_people();
    let (old, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
    server
        .hook("pre-receive", format!("{old} {head} {MAIN}\n").as_bytes())
        .accepted();
    let mut intent = open_intents(&server).pop().unwrap();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let start = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(19)
        .unwrap();
    intent.process = Process {
        pid: std::process::id(),
        start: start.parse().unwrap(),
    };
    record(&server).write_intent(&intent).unwrap();
    let line = format!("{old} {head} {MAIN}\n");
    let other = format!("{old} {} {MAIN}\n", unapproved(&alice));
    hook(&server, "prepared", &other).refused(&["missing-approvals"]);
    hook(&server, "prepared", &line).accepted();
    hook(&server, "prepared", &line).refused(&["unknown-pusher"]);
    raw(&server, MAIN, &head);
    server.cli(&["log", "reconcile"]).exits(0);
    server.cli(&["verify", "commit", &head]).exits(0);
    let left = fs::read_dir(server.record("intents")).unwrap().count();
    assert_eq!(left, 0, "intents or their notes are left");
}

/// What enters the log between the two gates is heard at the second.
#[test]
fn withdrawn_between_the_gates() {
    let (server, alice, bob) = two_people();
    let (old, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
    let tag = bob.tag_review(&head, &review_message("withdraw", MAIN, &[]));
    let body = format!(
        "[ \"$1\" = {MAIN} ] || exit 0\n\
         exec env -i PATH=\"$PATH\" HOME=/nonexistent COUNTERSIGN_PUSHER=bob GIT_CONFIG_NOSYSTEM=1 \
         git -C '{}' push -q origin {tag}:refs/countersign/reviews/{head}/bob-too-late >&2",
        bob.dir().display()
    );
    script(&server.repo().join("hooks/update"), &body);
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), old);
    server.cli(&["log", "reconcile"]).exits(0);
    server.cli(&["verify", "history"]).exits(0);
}

/// A push that `pre-receive` never saw is judged here.
#[test]
fn without_pre_receive() {
    let (server, alice, bob) = two_people();
    let old = server.main();
    let good = approved_topic(&alice, &bob, "a.txt");
    fs::remove_file(server.repo().join("hooks/pre-receive")).unwrap();
    alice.onto("origin/main");
    let evil = unapproved(&alice);
    alice.land(&evil).refused(&["missing-approvals"]);
    alice.push(&[&format!(":{MAIN}")]).refused(&[]);
    assert_eq!(server.main(), old);
    alice.land(&good).accepted();
    server.cli(&["verify", "commit", &good]).exits(0);
}

/// A deletion that the policy allows passes both questions git asks, by push and by hand.
#[test]
fn allowed_deletions() {
    let text = policy_text("", "delete = \"allow\"\n", PLAIN_RULE);
    for git in gits() {
        let server = Server::with(&text, &People::new());
        let alice = server.checkout("alice");
        let name = "refs/heads/release/1";
        let make = format!("{}:{name}", server.main());
        for packed in [false, true] {
            for by_hand in [false, true] {
                alice.push(&[&make]).accepted();
                if packed {
                    server.git(&["pack-refs", "--all"]);
                }
                match by_hand {
                    true => as_alice(&server, &git, &["update-ref", "-d", name]).accepted(),
                    false => alice.push(&[&format!(":{name}")]).accepted(),
                };
                assert_eq!(server.tip(name), None);
                server.cli(&["log", "reconcile"]).exits(0);
            }
        }
        assert_eq!(server.log_size(), 9);
        server.cli(&["verify", "history"]).exits(0);
    }
}

/// In dry run what would be refused goes on, and is on record as not reviewed.
#[test]
fn dry_run() {
    let text = policy_text("", "mode = \"dry-run\"\n", PLAIN_RULE);
    for git in gits() {
        let server = Server::with(&text, &People::new());
        let alice = server.checkout("alice");
        let evil = unapproved(&alice);
        server
            .admin(&git, &["update-ref", MAIN, &evil])
            .accepted()
            .says("missing-approvals");
        server.cli(&["log", "reconcile"]).exits(0);
        server
            .cli(&["verify", "commit", &evil])
            .exits(1)
            .says("unreviewed");
        let next = alice.change("b.txt", "b\n");
        alice.land(&next).accepted();
        assert_eq!(server.log_size(), 3);
        server.cli(&["verify", "history"]).exits(0);
    }
}

/// A ref that was moved behind every gate is set back by hand; what landed is not undone that way.
#[test]
fn set_back() {
    for git in gits() {
        let (server, alice, bob) = two_people();
        let (old, evil) = (server.main(), unapproved(&alice));
        raw(&server, MAIN, &evil);
        fs::create_dir_all(server.repo().join("refs/heads/release")).unwrap();
        raw(&server, "refs/heads/release/9", &evil);
        server
            .admin(
                &git,
                &["update-ref", "-d", &format!("refs/countersign/keep/{old}")],
            )
            .either();
        server
            .admin(&git, &["update-ref", "refs/heads/release/9", &old])
            .refused(&["unknown-tip"]);
        server
            .admin(&git, &["update-ref", "-d", "refs/heads/release/9"])
            .accepted();
        server.admin(&git, &["update-ref", MAIN, &old]).accepted();
        let trail = fs::read_to_string(server.record("audit.jsonl")).unwrap();
        assert_eq!(trail.matches("\"set back\"").count(), 2, "{trail}");
        fs::write(server.repo().join(MAIN), "ref: refs/heads/nowhere\n").unwrap();
        server.admin(&git, &["symbolic-ref", "-d", MAIN]).accepted();
        server.admin(&git, &["update-ref", MAIN, &old]).accepted();

        alice.onto("origin/main");
        let head = approved_topic(&alice, &bob, "a.txt");
        fs::remove_file(server.repo().join("hooks/post-receive")).unwrap();
        alice.land(&head).accepted();
        as_alice(&server, &git, &["update-ref", MAIN, &old]).refused(&["rewound-branch"]);
        assert_eq!(server.main(), head);
        server.cli(&["verify", "commit", &head]).exits(0);
    }
}

/// A protected ref does not become another name of a ref, where git lets the hook know; main moves by
/// no alias either.
#[test]
fn aliases() {
    for git in gits() {
        let (server, alice, _) = two_people();
        let (old, evil) = (server.main(), unapproved(&alice));
        server
            .admin(&git, &["update-ref", "refs/heads/evil", &evil])
            .accepted();
        server
            .admin(&git, &["symbolic-ref", "refs/heads/stable", MAIN])
            .accepted();
        server
            .admin(&git, &["update-ref", "refs/heads/stable", &evil])
            .refused(&["missing-approvals"]);
        assert_eq!(server.main(), old);
        for name in [
            MAIN,
            "refs/heads/release/1",
            "refs/heads/Main",
            "refs/countersign/x",
        ] {
            let outcome = server.admin(&git, &["symbolic-ref", name, "refs/heads/evil"]);
            if tells_symbolic(&git) {
                outcome.refused_with_any(&["symref-alias", "shadowing-ref", "forbidden-ref"]);
                assert_eq!(server.main(), old);
            } else {
                outcome.accepted();
                server.git(&["symbolic-ref", "-d", name]);
                server.git(&["update-ref", MAIN, &old]);
            }
        }
        // Made behind the gate, it cannot be written through.
        fs::write(server.repo().join(MAIN), "ref: refs/heads/stray\n").unwrap();
        server
            .admin(&git, &["update-ref", MAIN, &evil])
            .refused(&["symref-alias"]);
    }
}

/// What git asks nobody about shows as an unknown tip; nothing builds on it, and it can be set back.
#[test]
fn unseen() {
    for git in gits() {
        let (server, alice, bob) = two_people();
        let (old, evil) = (server.main(), unapproved(&alice));
        let make = &["update-ref", "refs/heads/evil", &evil];
        server.admin(&git, make).accepted();
        // git has taken the old name away by then.
        server
            .admin(&git, &["branch", "-M", "evil", "main"])
            .refused(&["deleted-ref"]);
        assert_eq!(server.main(), old);
        server.admin(&git, make).accepted();
        server
            .admin(&git, &["branch", "-C", "evil", "main"])
            .accepted();
        assert_eq!(server.main(), evil);
        server
            .admin(&git, &["branch", "-m", "evil", "release/1"])
            .accepted();
        server.cli(&["verify", "commit", &evil]).exits(1);
        let told = server.cli(&["log", "reconcile"]).exits(1).says(MAIN);
        assert!(told.stdout.contains("refs/heads/release/1"), "{told}");
        let next = alice.change("b.txt", "b\n");
        alice.land(&next).refused(&["unknown-tip"]);
        server.admin(&git, &["update-ref", MAIN, &old]).accepted();
        server
            .admin(&git, &["branch", "-D", "release/1"])
            .accepted();
        server.cli(&["log", "reconcile"]).exits(0);
        alice.onto("origin/main");
        let head = approved_topic(&alice, &bob, "a.txt");
        alice.land(&head).accepted();
        server.cli(&["verify", "history"]).exits(0);
    }
}

/// In any other state, known or not, the answer is yes at once: to garbage, and with nothing to ask.
#[test]
fn other_states() {
    let (server, _, _) = two_people();
    fs::rename(server.record(""), server.folder().join("aside")).unwrap();
    for state in ["committed", "aborted", "preparing", "some-day", ""] {
        hook(&server, state, "garbage").exits(0);
    }
    let mut none = server.countersign(&["hook", "reference-transaction"]);
    none.current_dir(server.repo()).env("GIT_DIR", ".");
    Outcome::of(&mut none, b"").exits(0);
    hook(&server, "prepared", "garbage\n").refused(&["undecidable"]);
    hook(&server, "prepared", "").exits(0);
    let (zero, one) = ("0".repeat(40), "1".repeat(40));
    hook(&server, "prepared", &format!("{zero} {one} ORIG_HEAD\n")).exits(0);
    hook(
        &server,
        "prepared",
        &format!("{zero} {one} refs/heads/free\n"),
    )
    .exits(2);
    hook(
        &server,
        "prepared",
        &format!("{zero} {one} refs/heads/free"),
    )
    .refused(&["undecidable"]);
}

/// A hook that stood there before hears every state, can refuse in `prepared`, and comes back.
#[test]
fn chained() {
    let server = Server::bare(Format::Sha1);
    let text = policy(PLAIN_RULE);
    server.seed(&[
        (".countersign/policy.toml", text.as_str()),
        (".countersign/people.toml", &People::new().text()),
    ]);
    let path = server.repo().join("hooks/reference-transaction");
    let heard = server.folder().join("heard");
    script(
        &path,
        &format!(
            "echo \"$1\" >>'{0}'; cat >>'{0}'; ! [ \"$1\" = prepared ] || ! [ -e '{0}.no' ]",
            heard.display()
        ),
    );
    let before = fs::read(&path).unwrap();
    server.enroll(&[]).accepted();
    let ours = fs::read_to_string(&path).unwrap();
    assert_eq!(ours.lines().count(), 2);
    assert!(
        ours.ends_with("hook reference-transaction \"$@\"\n"),
        "{ours}"
    );
    for git in gits() {
        fs::write(&heard, "").unwrap();
        server
            .admin(&git, &["update-ref", "refs/heads/a", MAIN])
            .accepted();
        let text = fs::read_to_string(&heard).unwrap();
        let states: Vec<&str> = text.lines().filter(|line| !line.contains(' ')).collect();
        assert!(states.ends_with(&["prepared", "committed"]), "{text}");
        assert!(text.contains(" refs/heads/a\n"), "{text}");
        fs::write(heard.with_extension("no"), "").unwrap();
        server
            .admin(&git, &["update-ref", "refs/heads/b", MAIN])
            .refused(&[]);
        assert_eq!(server.tip("refs/heads/b"), None);
        fs::remove_file(heard.with_extension("no")).unwrap();
        server
            .admin(&git, &["update-ref", "-d", "refs/heads/a"])
            .accepted();
    }
    server.enroll(&["--remove"]).accepted();
    assert_eq!(fs::read(&path).unwrap(), before);
    server.admin("git", &["update-ref", "-d", MAIN]).accepted();
}

/// A repository of SHA-256 has the same gate.
#[test]
fn sha256() {
    for git in gits() {
        let server = Server::of(Format::Sha256, &policy(PLAIN_RULE), &People::new());
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let (old, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
        server.admin(&git, &["pack-refs", "--all"]).accepted();
        server
            .admin(&git, &["update-ref", "-d", MAIN])
            .refused(&["deleted-ref"]);
        server
            .admin(&git, &["update-ref", MAIN, &head])
            .refused(&["unknown-pusher"]);
        assert_eq!(server.main(), old);
        alice.land(&head).accepted();
        server.admin(&git, &["gc", "-q"]).accepted();
        server.cli(&["verify", "commit", &head]).exits(0);
    }
}

/// Many at once: each landing is recorded once, free refs all come to be, and no git waits for ever.
#[test]
fn several_processes() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let size = server.log_size();
    let gits = gits();
    let mut children: Vec<(PathBuf, std::process::Child)> = Vec::new();
    for number in 0..6 {
        let git = &gits[number % gits.len()];
        let name = format!("refs/heads/free-{number}");
        for (name, new) in [(name.as_str(), head.as_str()), (MAIN, &head)] {
            let mut command = server.admin_command(git);
            command.env("COUNTERSIGN_PUSHER", "alice");
            command
                .args(["update-ref", name, new])
                .stderr(Stdio::null());
            children.push((PathBuf::from(name), command.spawn().unwrap()));
        }
    }
    let pushed = alice.land(&head);
    for (name, mut child) in children {
        let done = child.wait().unwrap();
        assert!(done.success() || name == Path::new(MAIN), "{name:?}");
    }
    pushed.either();
    assert_eq!(server.main(), head);
    server.cli(&["log", "reconcile"]).exits(0);
    assert_eq!(server.log_size(), size + 1);
    server.cli(&["verify", "history"]).exits(0);
}
