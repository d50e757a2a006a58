//! Pushes of so many commits that they are read on all cores.

use crate::support::objects::{blob, commit_tree, raw, tree, write};
use crate::support::{Checkout, NewCommit, Outcome, two_people};

/// More than one thread's share.
const MANY: usize = 200;

/// Puts many unsigned commits on top of a commit.
fn many(at: &Checkout, from: &str) -> String {
    let mut stream = String::new();
    for n in 0..MANY {
        let from = match n {
            0 => format!("from {from}\n"),
            _ => String::new(),
        };
        stream += &format!(
            "commit refs/heads/many\ncommitter alice <alice@example.com> 1700000000 +0000\ndata 1\nx\n\
             {from}M 100644 inline dir-{}/n.txt\ndata <<E\n{n}\nE\n\n",
            n % 7
        );
    }
    at.git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes());
    at.git(&["rev-parse", "refs/heads/many"])
}

/// A code, and how a commit that brings it is put on top of another.
type Odd<'a> = (&'a str, &'a dyn Fn(&str) -> String);

fn check(at: &Checkout, head: &str, program: &[&str]) -> Outcome {
    let mut command = at.command(program[0]);
    command.args(&program[1..]);
    command.args(["check", head, "--onto", "main", "--as", "alice", "--json"]);
    Outcome::of(&mut command, b"")
}

/// A core that this process may run on.
fn one_core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let cores = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = cores.unwrap().trim().split([',', '-']).next();
    first.unwrap().to_owned()
}

/// What is wrong with one commit of many is found wherever it stands, and what is found is the same
/// whether one core looks or several; when nothing is wrong the push lands, and is decided again.
#[test]
fn one_of_many() {
    let (server, alice, bob) = two_people();
    let mallory = server.checkout("mallory");
    let start = server.main();
    // git itself would refuse one of them.
    server.git(&["config", "receive.fsckObjects", "false"]);
    let binary = env!("CARGO_BIN_EXE_countersign");
    let core = one_core();
    let tampered = |before: &str| {
        alice.onto(before);
        let good = raw(&alice, &alice.change("t.txt", "t\n"));
        write(
            &alice,
            "commit",
            good.replace("a change", "A change").as_bytes(),
        )
    };
    let stranger = |before: &str| {
        alice.share(before);
        mallory.fetch();
        mallory.onto(before);
        let head = mallory.change("m.txt", "m\n");
        alice.git(&["fetch", "-q", mallory.dir().to_str().unwrap(), &head]);
        head
    };
    let co_author = |before: &str| {
        alice.onto(before);
        alice.commit(NewCommit {
            message: "with help\n\nCo-authored-by: E <eve@example.com>",
            author: Some("bob"),
            ..NewCommit::default()
        })
    };
    let unsafe_path = |before: &str| {
        let file = blob(&alice, "x\n");
        let hidden = tree(&alice, &[("100644", b".GIT", &file)]);
        commit_tree(&alice, &hidden, &[before])
    };
    let good = |before: &str| {
        alice.onto(before);
        alice.change("s.txt", "s\n")
    };
    let odd: [Odd<'_>; 5] = [
        ("bad-signature", &tampered),
        ("unknown-signer", &stranger),
        ("unknown-contributor", &co_author),
        ("unsafe-path", &unsafe_path),
        ("missing-approvals", &good),
    ];
    for (code, odd) in odd {
        let head = many(&alice, &odd(&many(&alice, &start)));
        let several = check(&alice, &head, &[binary]).exits(1);
        let alone = check(&alice, &head, &["taskset", "-c", &core, binary]).exits(1);
        assert_eq!(several.json(), alone.json(), "{code}");
        assert!(several.stdout.contains(code), "{code}: {several}");
        alice.land(&head).refused(&[]).says(code);
        assert_eq!(server.main(), start);
        if code == "missing-approvals" {
            alice.share(&head);
            bob.approve(&head).accepted();
            alice.land(&head).accepted();
            server.cli(&["verify", "history"]).exits(0);
        }
    }
}
