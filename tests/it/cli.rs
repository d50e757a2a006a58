//! The command line: a reviewer's commands, exit codes, and what `enroll` does to a host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bad_input::files_below;
use crate::support::config::PLAIN_RULE;
use crate::support::{
    Authority, Format, MAIN, Outcome, People, Server, approved_topic, keys, policy, two_people,
};

/// `approve` writes, signs and pushes what plain git would, and cleans up.
#[test]
fn approve() {
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    bob.countersign(&["approve", &head, "--onto", "main"])
        .accepted();
    assert_eq!(bob.git(&["tag", "-l"]), "", "left a tag behind");
    alice.land(&head).accepted();
    server.cli(&["log", "show"]).accepted().says("bob");
}

/// `reject` blocks and `withdraw` ends it.
#[test]
fn reject_and_withdraw() {
    let (_server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    bob.countersign(&["reject", &head, "--onto", MAIN])
        .accepted();
    alice.land(&head).refused(&["rejected"]);
    bob.countersign(&["withdraw", &head, "--onto", "main"])
        .accepted();
    let outcome = alice.land(&head).refused(&["missing-approvals"]);
    assert!(!outcome.codes().contains("rejected"), "{outcome}");
    bob.countersign(&["approve", &head, "--onto", "main"])
        .accepted();
    alice.land(&head).accepted();
}

/// `--print` shows what would be signed and `--no-push` keeps it here: the server sees neither.
#[test]
fn print_and_no_push() {
    let (server, alice, bob) = two_people();
    let head = alice.change("a.txt", "new\n");
    alice.share(&head);
    bob.fetch();
    let size = server.log_size();
    bob.countersign(&["approve", &head, "--onto", "main", "--print"])
        .accepted()
        .says("countersign: approve refs/heads/main of git.example.com/payments")
        .says(&head);
    bob.countersign(&["approve", &head, "--onto", "main", "--no-push"])
        .accepted();
    assert_eq!(server.log_size(), size);
    alice.land(&head).refused(&["missing-approvals"]);
}

/// `reviews` says who signed what, on the server and in a clone.
#[test]
fn reviews() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    server
        .cli(&["reviews", &head, "--onto", "main"])
        .accepted()
        .says("bob");
    alice.fetch();
    alice
        .countersign(&["reviews", &head, "--onto", "main"])
        .accepted()
        .says("bob");
}

/// A command that is wrong as such exits 2, whatever it was about.
#[test]
fn usage_errors() {
    let (server, alice, _) = two_people();
    let head = server.main();
    for args in [
        &[][..],
        &["frobnicate"],
        &["check"],
        &["check", &head],
        &["check", &head, "--onto"],
        &["check", &head, "--onto", "main", "--frobnicate"],
        &["approve"],
        &["verify"],
        &["verify", "commit"],
        &["log"],
        &["log", "frobnicate"],
        &["hook"],
    ] {
        server.cli(args).exits(2);
    }
    alice
        .countersign(&["-C", "nowhere", "log", "show"])
        .exits(2);
    let outside = tempfile::tempdir().unwrap();
    let mut command = server.countersign(&["log", "show"]);
    Outcome::of(command.current_dir(outside.path()), b"").exits(2);
    Outcome::of(
        &mut server.countersign(&["enroll", "/nonexistent/x.git"]),
        b"",
    )
    .exits(2);
}

/// `--help` and `--version` are no errors.
#[test]
fn help_and_version() {
    let server = Server::bare(Format::Sha1);
    Outcome::of(&mut server.countersign(&["--help"]), b"")
        .exits(0)
        .says("enroll");
    Outcome::of(&mut server.countersign(&["--version"]), b"")
        .exits(0)
        .says("countersign");
}

/// Enrolment leaves hooks of one `exec` line, a key for its owner alone, and fsck switched on.
#[test]
fn what_enroll_writes() {
    let (server, ..) = two_people();
    for name in ["pre-receive", "reference-transaction", "post-receive"] {
        let hook = server.repo().join("hooks").join(name);
        let text = fs::read_to_string(&hook).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(code.len(), 1, "{text}");
        // The ref hook has nothing to start in most states of a transaction.
        let line = match name {
            "reference-transaction" => code[0].split_once(" || ").unwrap().1,
            _ => code[0],
        };
        let binary = line.strip_prefix("exec ").unwrap();
        let absolute = binary.trim_start_matches(['\'', '"']).starts_with('/');
        assert!(absolute, "not an absolute path: {text}");
        assert_eq!(
            fs::metadata(&hook).unwrap().permissions().mode() & 0o111,
            0o111
        );
    }
    let secrets: Vec<_> = files_below(&server.record(""))
        .into_iter()
        .filter(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600)
        .collect();
    assert!(
        secrets
            .iter()
            .any(|path| path.to_string_lossy().contains("key")),
        "{secrets:?}"
    );
    assert_eq!(server.git(&["config", "receive.fsckObjects"]), "true");
    assert!(server.record("server.toml").exists());
    assert!(server.record("log/vkey").exists());
}

/// Enrolling again changes neither hooks, settings, key nor log.
#[test]
fn enroll_is_idempotent() {
    let (server, alice, bob) = two_people();
    let state = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut files = files_below(&server.repo().join("hooks"));
        files.extend(["server.toml", "log/checkpoint", "log/vkey"].map(|name| server.record(name)));
        files
            .into_iter()
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    };
    let before = state();
    server.enroll(&[]).accepted();
    assert_eq!(state(), before);
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let before = state();
    server.enroll(&[]).accepted();
    assert_eq!(state(), before);
}

fn seeded() -> Server {
    let server = Server::bare(Format::Sha1);
    server.seed(&[
        (".countersign/policy.toml", &policy(PLAIN_RULE)),
        (".countersign/people.toml", &People::new().text()),
    ]);
    server
}

/// A repository that its group may write, or that git shares, is refused and left alone.
#[test]
fn enroll_refuses_shared_repositories() {
    for folder in ["", "objects", "refs", "hooks"] {
        let server = seeded();
        let path = server.repo().join(folder);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).unwrap();
        server.enroll(&[]).refused(&[]).says("chmod");
        assert!(
            !server.repo().join("hooks/pre-receive").exists(),
            "{folder}"
        );
        assert!(!server.record("log").exists(), "{folder}");
    }
    for value in ["group", "all", "0660", "true"] {
        let server = seeded();
        server.git(&["config", "core.sharedRepository", value]);
        server
            .enroll(&[])
            .refused(&[])
            .says("core.sharedRepository");
        assert!(!server.repo().join("hooks/pre-receive").exists(), "{value}");
    }
}

/// A repository without a policy, or with a broken one, is not enrolled.
#[test]
fn enroll_checks_the_policy() {
    let empty = Server::bare(Format::Sha1);
    empty.enroll(&[]).exits(2);
    let without = Server::bare(Format::Sha1);
    without.seed(&[("README.md", "hello\n")]);
    without.enroll(&[]).exits(2);
    let broken = Server::bare(Format::Sha1);
    broken.seed(&[
        (".countersign/policy.toml", "version = 1\nbogus = 1\n"),
        (".countersign/people.toml", &People::new().text()),
    ]);
    broken.enroll(&[]).exits(2).says("policy.toml:2");
    for server in [empty, without, broken] {
        assert!(!server.repo().join("hooks/pre-receive").exists());
        assert!(!server.record("log").exists());
    }
}

fn foreign_hook(server: &Server, exit: i32) -> String {
    let text = format!(
        "#!/bin/sh\ncat >>{}\nexit {exit}\n",
        server.folder().join("seen").display()
    );
    let hook = server.repo().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, &text).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    text
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A foreign hook is kept, sees the same lines, may refuse, and comes back with `--remove`.
#[test]
fn foreign_hook_is_kept() {
    let server = seeded();
    let text = foreign_hook(&server, 0);
    server.enroll(&[]).accepted();
    server.enroll(&[]).accepted();
    let kept = server.repo().join("hooks/pre-receive.d/50-previous");
    assert_eq!(read(&kept), text);

    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    let old = server.main();
    alice.land(&head).accepted();
    let seen = read(&server.folder().join("seen"));
    assert!(seen.contains(&format!("{old} {head} {MAIN}\n")), "{seen}");

    fs::write(&kept, text.replace("exit 0", "exit 1")).unwrap();
    let next = crate::push::approved_on_main_quietly(&alice, &bob, &kept, "b.txt");
    fs::write(&kept, text.replace("exit 0", "exit 1")).unwrap();
    alice.land(&next).refused(&[]);
    fs::write(&kept, &text).unwrap();
    alice.land(&next).accepted();

    server.enroll(&["--remove"]).accepted();
    assert_eq!(read(&server.repo().join("hooks/pre-receive")), text);
    assert!(!server.repo().join("hooks/post-receive").exists());
    assert!(
        server.record("log/checkpoint").exists(),
        "the record is kept"
    );
    let free = alice.change("free.txt", "x\n");
    alice.land(&free).accepted();
}

/// `enroll --init` writes a first policy for the people it is given where there is none, and it is in force.
#[test]
fn enroll_init() {
    let server = Server::bare(Format::Sha1);
    server.seed(&[("README.md", "hello\n")]);
    let keys = ["alice", "bob"].map(|name| keys::private(name).with_extension("pub"));
    let [alice, bob] = keys.each_ref().map(|path| path.to_str().unwrap());
    server
        .enroll(&[
            "--init", "alice", "--key", alice, "--init", "bob", "--key", bob,
        ])
        .accepted()
        .says("no e-mail of alice, bob");
    let people = server.git(&["show", "main:.countersign/people.toml"]);
    assert!(people.contains("alice"), "{people}");
    // The account's own address is nobody's of theirs.
    assert_eq!(people.matches("emails = []").count(), 2, "{people}");
    assert_eq!(server.git(&["show", "main:README.md"]), "hello");
    let alice = server.checkout("alice");
    let head = alice.change("a.txt", "new\n");
    alice.land(&head).refused(&["missing-approvals"]);
}

/// Help fits a terminal of 80 columns, but for the line that lists what can be given.
#[test]
fn help_fits() {
    let server = seeded();
    let all = server.cli(&["--help"]).accepted().stdout;
    let commands = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let help = server.cli(&[name, "--help"]).accepted().stdout;
        let mut lines = help.lines().filter(|line| !line.starts_with("Usage: "));
        let long = lines.find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{name}");
    }
}

/// `enroll --mode dry-run` says and does not hold.
#[test]
fn enroll_in_dry_run() {
    let server = seeded();
    server.enroll(&["--mode", "dry-run"]).accepted();
    let alice = server.checkout("alice");
    let head = alice.change("a.txt", "new\n");
    let outcome = alice.land(&head).accepted();
    assert!(outcome.codes().contains("missing-approvals"), "{outcome}");
    server.cli(&["verify", "commit", &head]).exits(1);
}

/// `people export` writes a line for sshd for each key, which asks for a PIN where people.toml does;
/// `people check` says for whom a CA vouches.
#[test]
fn people_for_others() {
    let token = include_str!("../data/corpus/ssh_key/sk").trim();
    let authority = Authority::new();
    let people = People::new()
        .lines("dana", "kind = \"bot\"\n")
        .teams(&format!(
            "maintainers = [\"alice\", \"bob\", \"carol\"]\n\n\
             [people.erin]\nkeys = [{{ ssh = \"{token}\", verify_required = true }}]\n\n{}",
            authority.table("\"bob@corp\" = \"bob\"", "")
        ));
    let server = Server::with(&policy(PLAIN_RULE), &people);
    let lines = server
        .cli(&["people", "export", "--authorized-keys"])
        .accepted()
        .stdout;
    let of = |person: &str| -> &str {
        let pusher = format!("COUNTERSIGN_PUSHER={person} ");
        lines.lines().find(|line| line.contains(&pusher)).unwrap()
    };
    assert!(of("alice").starts_with("restrict,command=\""), "{lines}");
    assert!(of("erin").starts_with("restrict,verify-required,command=\""));
    assert!(of("erin").contains(token.split(' ').nth(1).unwrap()));
    let check = server.cli(&["people", "check"]).accepted();
    for (person, authorities) in [("alice", "0"), ("bob", "1")] {
        let rows = check.stdout.lines().map(|row| row.split_whitespace());
        let mut rows = rows.filter(|row| row.clone().next() == Some(person));
        let row: Vec<_> = rows.next().unwrap().take(8).collect();
        let expected = [person, "human", "1", "of", "1", "no", "end", authorities];
        assert_eq!(row, expected, "{check}");
    }
    let json = server.cli(&["people", "check", "--json"]).accepted().json();
    assert_eq!(json["people"][1]["person"], "bob");
    assert_eq!(
        json["people"][1]["authorities"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        json["people"][0]["authorities"].as_array().unwrap().len(),
        0
    );
}
