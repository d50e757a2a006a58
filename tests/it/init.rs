//! `countersign init`: what it makes of a history, and that no name in one gets anywhere.

mod branches;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::people::Gpg;
use crate::support::outcome::Outcome;
use crate::support::{Checkout, Format, NewCommit, Server, keys};

const POLICY: &str = ".countersign/policy.toml";
const PEOPLE: &str = ".countersign/people.toml";
const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

/// A bare repository with a commit of one file by each of these, name and e-mail and date.
fn history(commits: &[(&str, &str, u64)], files: &[(&str, &str)]) -> Server {
    let server = Server::bare(Format::Sha1);
    let mut stream = String::new();
    for (at, (name, email, date)) in commits.iter().enumerate() {
        stream += &format!(
            "commit refs/heads/main\ncommitter {name} <{email}> {date} +0000\ndata 1\nx\n\
             M 100644 inline file\ndata 4\n{at:03}\n\n"
        );
        for (path, text) in files {
            stream += &format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len());
        }
    }
    let mut command = crate::support::checkout::git_command(server.folder());
    command
        .arg("-C")
        .arg(server.repo())
        .args(["fast-import", "--quiet"]);
    Outcome::of(&mut command, stream.as_bytes()).accepted();
    server
}

fn days(ago: u64) -> u64 {
    NOW - ago * DAY
}

/// What `init --json --print` says.
fn proposed(checkout: &Checkout, more: &[&str]) -> Value {
    let args = [&["init", "--print", "--json"], more].concat();
    checkout.countersign(&args).exits(0).json()
}

fn text<'a>(proposed: &'a Value, key: &str) -> &'a str {
    proposed[key].as_str().unwrap()
}

fn lines(proposed: &Value, key: &str) -> String {
    let lines = proposed[key].as_array().unwrap().iter();
    let lines: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

/// The proposed people as a table.
fn people(proposed: &Value) -> toml::Table {
    text(proposed, "people").parse().unwrap()
}

fn names(proposed: &Value) -> BTreeSet<String> {
    people(proposed)["people"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

fn maintainers(proposed: &Value) -> Vec<String> {
    let team = people(proposed)["teams"]["maintainers"]
        .as_array()
        .unwrap()
        .clone();
    team.iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// From a history that two people signed to a policy that is enforced, by the commands it ends with.
#[test]
fn from_history_to_enforcement() {
    let server = history(&[("Alice", "alice@example.com", NOW)], &[]);
    let alice = server.checkout("alice");
    let head = alice.change("a.txt", "one\n");
    alice.land(&head).accepted();
    let bob = server.checkout("bob");
    let head = bob.change("a.txt", "two\n");
    bob.land(&head).accepted();
    alice.git(&["pull", "-q", "origin", "main"]);

    let done = alice.countersign(&["init"]).exits(0);
    for line in [
        format!("written: {PEOPLE}"),
        format!("written: {POLICY}"),
        "countersign policy check".to_owned(),
        "git push origin main".to_owned(),
        "countersign enroll <repository> --mode dry-run".to_owned(),
    ] {
        assert!(done.stderr.contains(&line), "{line}: {done}");
    }
    assert!(
        !done.stderr.contains("no key") && !done.stderr.contains("warning"),
        "{done}"
    );
    assert_eq!(done.stdout, "");
    for person in ["alice", "bob"] {
        let key = keys::public(person);
        let key = key.rsplit_once(' ').unwrap().0;
        assert!(
            fs::read_to_string(alice.dir().join(PEOPLE))
                .unwrap()
                .contains(key)
        );
    }
    alice
        .countersign(&["policy", "check"])
        .exits(0)
        .says("working tree");
    alice.git(&["add", ".countersign"]);
    alice.git(&["commit", "-q", "-m", "Say who reviews what"]);
    alice
        .countersign(&["policy", "check"])
        .exits(0)
        .says("read at");
    alice.land("main").accepted();
    server.enroll(&[]).accepted();
    let head = alice.change("a.txt", "three\n");
    alice.land(&head).refused(&["missing-approvals"]);
    alice.share(&head);
    // What the file calls the repository is where origin is: here its folder.
    let message = "countersign: approve refs/heads/main of work\n";
    let tag = bob.tag_review(&head, message);
    bob.push_review(&tag, &head, "bob").accepted();
    alice.land(&head).accepted();
}

/// Nothing that is there is written over, and nothing is written through a link.
#[test]
fn overwrites_nothing() {
    let server = history(&[("A", "a@x", NOW), ("B", "b@x", NOW)], &[]);
    let elsewhere = server.folder().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for path in [POLICY, PEOPLE] {
        let checkout = server.checkout("alice");
        checkout.write(&[(path, Some("mine\n"))]);
        checkout
            .countersign(&["init"])
            .exits(2)
            .says("hint: countersign init --print");
        assert_eq!(
            fs::read_to_string(checkout.dir().join(path)).unwrap(),
            "mine\n"
        );
        let other = if path == POLICY { PEOPLE } else { POLICY };
        assert!(!checkout.dir().join(other).exists());
        checkout.countersign(&["init", "--print"]).exits(0);
    }
    for path in [".countersign", PEOPLE, POLICY, ".countersign/keys"] {
        let checkout = server.checkout("alice");
        let link = checkout.dir().join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&elsewhere, &link).unwrap();
        checkout.countersign(&["init"]).exits(2);
        // Also where what is linked to is not there.
        fs::remove_file(&link).unwrap();
        symlink(elsewhere.join("missing"), &link).unwrap();
        checkout.countersign(&["init"]).exits(2);
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

/// In a bare repository, and with --print, both files are shown apart and nothing is written.
#[test]
fn prints() {
    let server = history(&[("A", "a@x", NOW), ("B", "b@x", NOW)], &[]);
    let before = crate::bad_input::files_below(server.repo());
    let shown = server.cli(&["init"]).exits(0);
    assert_eq!(crate::bad_input::files_below(server.repo()), before);
    let (people, policy) = shown
        .stdout
        .split_once(&format!("# ==> {POLICY} <==\n"))
        .unwrap();
    assert!(
        people.starts_with(&format!("# ==> {PEOPLE} <==\n")),
        "{shown}"
    );
    let _: toml::Table = people.parse().unwrap();
    let policy: toml::Table = policy.parse().unwrap();
    assert_eq!(policy["repository"].as_str(), Some("payments"));
    let checkout = server.checkout("alice");
    let printed = checkout.countersign(&["init", "--print"]).exits(0);
    assert!(
        printed.stdout.contains(people.trim_end()) && !checkout.dir().join(".countersign").exists()
    );
    let value = proposed(&checkout, &["--name", "git.example.com/x"]);
    assert_eq!(value["schema"], "countersign.init/v1");
    assert_eq!(value["written"], false);
    assert!(text(&value, "policy").contains("\"git.example.com/x\""));
    // A name that no policy takes is an error by line, and no file.
    checkout
        .countersign(&["init", "--name", "two words"])
        .exits(2)
        .says("`repository` is one word");
    assert!(!checkout.dir().join(".countersign").exists());
    // Nobody to propose.
    Server::bare(Format::Sha1)
        .cli(&["init"])
        .exits(2)
        .says("no commit yet");
}

/// One human is one person: by name, or by a key that signed for two addresses. Who only looks alike is
/// two, and that is said.
#[test]
fn merges_people() {
    let server = history(
        &[
            ("Alice Example", "alice@work.example", NOW),
            ("alice  EXAMPLE", "Alice@Home.example", NOW),
            ("Alice Other", "alice@third.example", NOW),
            ("root", "one@x", NOW),
            ("root", "two@x", NOW),
        ],
        &[],
    );
    let checkout = server.checkout("bob");
    for email in ["bob@example.com", "robert@example.com"] {
        checkout.git(&["config", "user.email", email]);
        let mut command = checkout.command("git");
        command
            .env("GIT_AUTHOR_NAME", email)
            .env("GIT_COMMITTER_NAME", email);
        command.args(["commit", "-q", "--allow-empty", "-m", "signed"]);
        Outcome::of(&mut command, b"").accepted();
    }
    let value = proposed(&checkout, &[]);
    assert_eq!(
        names(&value),
        set(&["alice", "alice-2", "bob", "one", "two"])
    );
    let people = people(&value);
    let emails = |person: &str| people["people"][person]["emails"].to_string();
    assert_eq!(
        emails("alice"),
        r#"["alice@home.example", "alice@work.example"]"#
    );
    assert_eq!(
        emails("bob"),
        r#"["bob@example.com", "robert@example.com"]"#
    );
    let guessed = lines(&value, "guessed");
    assert!(
        guessed.contains("alice-2 is somebody else than alice; if not,"),
        "{guessed}"
    );
    assert!(
        guessed.contains("the history has 2 commits signed with it"),
        "{guessed}"
    );
    assert_eq!(people["people"]["bob"]["keys"].as_array().unwrap().len(), 1);
}

/// Who made no commit in the newest year is left out, by the newest commit that is not in the future;
/// forges are left out, bots are bots.
#[test]
fn leaves_out() {
    let server = history(
        &[
            ("Old Hand", "old@x", days(400)),
            ("Recent", "recent@x", days(300)),
            ("Alice", "583231+alice@users.noreply.github.com", NOW),
            ("GitHub", "noreply@github.com", NOW),
            (
                "dependabot[bot]",
                "49699333+dependabot[bot]@users.noreply.github.com",
                NOW,
            ),
            ("Liar", "liar@x", 4_000_000_000),
        ],
        &[],
    );
    let value = proposed(&server.checkout("bob"), &[]);
    assert_eq!(names(&value), set(&["alice", "recent", "dependabot"]));
    assert_eq!(maintainers(&value), ["alice", "recent"]);
    assert_eq!(
        people(&value)["people"]["dependabot"]["kind"].as_str(),
        Some("bot")
    );
    let left_out = lines(&value, "left_out");
    for who in ["<old@x>", "<noreply@github.com>", "<liar@x>"] {
        assert!(left_out.contains(who), "{left_out}");
    }
}

/// Whose patches others commit may approve nothing, unless there is only one who commits.
#[test]
fn authors_alone_approve_nothing() {
    let server = history(&[("Alice", "alice@x", NOW)], &[]);
    let checkout = server.checkout("bob");
    let by_carol = |committer| {
        checkout.commit(NewCommit {
            author: Some("carol"),
            committer: Some(committer),
            unsigned: true,
            ..NewCommit::default()
        });
        maintainers(&proposed(&checkout, &[]))
    };
    // `history` has one who commits; these are two.
    assert_eq!(by_carol("bob"), ["alice", "bob"]);
    let value = proposed(&checkout, &[]);
    assert!(names(&value).contains("carol"));
    assert!(lines(&value, "guessed").contains("carol may approve nothing"));
    // What a forge commits for her she could have committed.
    let mut command = checkout.command("git");
    command
        .env("GIT_AUTHOR_NAME", "Carol")
        .env("GIT_AUTHOR_EMAIL", "carol@example.com")
        .env("GIT_COMMITTER_NAME", "GitHub")
        .env("GIT_COMMITTER_EMAIL", "noreply@github.com");
    command.args([
        "commit",
        "-q",
        "--allow-empty",
        "--no-gpg-sign",
        "-m",
        "squashed",
    ]);
    Outcome::of(&mut command, b"").accepted();
    assert_eq!(maintainers(&proposed(&checkout, &[])).len(), 3);
}

/// Names and addresses that a file or a terminal would obey are text and nothing else.
#[test]
fn hostile_names() {
    let server = history(&[("Alice", "alice@x", NOW)], &[]);
    let checkout = server.checkout("bob");
    let parent = checkout.head();
    let tree = checkout.tree(&parent);
    let mut parents = vec![parent];
    for who in [
        "\"]\\n[people.mallory]\\nkeys = [ <q\"]#@x>",
        "'''\"\"\" <a'\"b\\c@x>",
        "\u{202e}evil\u{2066} <\u{202e}bidi@x>",
        "\u{9b}2J <c1\u{9b}2J@x>",
        "a\u{2028}b <zero\u{200b}width@x>",
        "$(touch /tmp/x) `id` <$(id)@x>",
        "\u{e0041}tag <--help@x>",
        "any <any@x>",
        "\u{96ea} <\u{96ea}@x>",
        " <>",
        "spaced <a b@x>",
    ] {
        let raw = format!(
            "tree {tree}\nparent {}\nauthor {who} {NOW} +0000\ncommitter {who} {NOW} +0000\n\nx\n",
            parents[0]
        );
        let write = [
            "hash-object",
            "-t",
            "commit",
            "-w",
            "--stdin",
            "--literally",
        ];
        parents.push(checkout.git_with(&write, raw.as_bytes()));
    }
    let steers = format!(
        "tree {tree}\nparent {}\nauthor \u{1b}[2J <esc\u{1b}@x> {NOW} +0000\n\
         committer A <a@y> {NOW} +0000\n\nx\n",
        parents[0]
    );
    let write = [
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--stdin",
        "--literally",
    ];
    parents.push(checkout.git_with(&write, steers.as_bytes()));
    let mut merge = vec!["commit-tree", tree.as_str(), "-m", "all"];
    for parent in &parents {
        merge.extend(["-p", parent]);
    }
    let head = checkout.git(&merge);
    checkout.git(&["reset", "-q", "--hard", &head]);

    let file = ".github/workflows/a'''\"\"\"[[rule]]\u{202e}.yml";
    checkout.write(&[(file, Some("on: push\n")), ("ci/a\nb.sh", Some("true\n"))]);
    checkout.git(&["add", "-A"]);
    checkout.git(&["commit", "-q", "-m", "hostile file"]);

    let value = proposed(&checkout, &[]);
    assert!(
        text(&value, "policy").contains("# Here: .github/workflows/a'"),
        "{value}"
    );
    let all = names(&value);
    assert!(
        all.contains("alice") && !all.contains("mallory") && !all.contains("any"),
        "{all:?}"
    );
    assert!(all.len() >= 9, "{all:?}");
    let left_out = lines(&value, "left_out");
    assert!(left_out.contains("no usable address"), "{left_out}");
    assert!(
        left_out.contains("1 commit: not what git writes"),
        "{left_out}"
    );
    assert!(left_out.contains("1 folder with names"), "{left_out}");
    let outcome = checkout.countersign(&["init"]).exits(0);
    for text in [
        outcome.stderr.as_str(),
        &fs::read_to_string(checkout.dir().join(PEOPLE)).unwrap(),
        &fs::read_to_string(checkout.dir().join(POLICY)).unwrap(),
    ] {
        let steers = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(
                    c,
                    '\u{200b}' | '\u{202e}' | '\u{2066}' | '\u{2028}' | '\u{e0041}'
                )
        };
        assert!(!text.contains(steers), "{text:?}");
    }
    checkout
        .countersign(&["policy", "check"])
        .says("working tree");
}

/// A signature proves a key only over what it was made for: moved to another's commit it proves nothing.
/// Who truly signs under another's address is one person with them, which is the safe side, and told.
#[test]
fn forged_signatures() {
    let server = history(&[("Bob Example", "bob@example.com", NOW)], &[]);
    let mallory = server.checkout("mallory");
    let signed = mallory.change("a.txt", "mine\n");
    let raw = mallory.git(&["cat-file", "commit", &signed]) + "\n";
    let forged = raw.replace("mallory@example.com", "bob@example.com");
    assert_ne!(raw, forged);
    let forged = mallory.git_with(
        &["hash-object", "-t", "commit", "-w", "--stdin"],
        forged.as_bytes(),
    );
    mallory.git(&["reset", "-q", "--hard", &forged]);
    mallory.git(&["config", "user.email", "nobody@example.com"]);
    let value = proposed(&mallory, &[]);
    assert!(
        lines(&value, "left_out").contains("a signature that is bad"),
        "{value}"
    );
    assert!(!text(&value, "people").contains("ssh-ed25519"), "{value}");

    mallory.git(&["reset", "-q", "--hard", &signed]);
    mallory.commit(NewCommit {
        committer: Some("bob"),
        author: Some("bob"),
        ..NewCommit::default()
    });
    let value = proposed(&mallory, &[]);
    assert_eq!(names(&value).len(), 1, "{value}");
    let guessed = lines(&value, "guessed");
    assert!(
        guessed.contains("Bob Example") && guessed.contains("mallory"),
        "{guessed}"
    );
}

/// Who lacks a key is named with the command that adds one; with it the policy is satisfiable.
#[test]
fn names_who_lacks_a_key() {
    let everyone = [
        ("Alice", "alice@example.com", NOW),
        ("Bob", "bob@example.com", NOW),
    ];
    let server = history(&everyone, &[]);
    let carol = server.checkout("carol");
    let done = carol.countersign(&["init"]).exits(0);
    for person in ["alice", "bob"] {
        let add = format!("no key: {person}: countersign people import --keys");
        assert!(done.stderr.contains(&add), "{done}");
    }
    assert!(done.stderr.contains("warning: rule"), "{done}");
    carol.countersign(&["policy", "check"]).exits(1);
    for person in ["alice", "bob"] {
        let key = keys::private(person).with_extension("pub");
        let args = [
            "people",
            "import",
            "--keys",
            key.to_str().unwrap(),
            "--person",
            person,
            "--write",
        ];
        carol.countersign(&args).exits(0);
    }
    carol.countersign(&["policy", "check"]).exits(0);
    // One alone can land nothing.
    let lonely = history(&everyone[..1], &[]).cli(&["init"]).exits(0);
    assert!(
        lonely.stderr.contains("one person alone can land nothing"),
        "{lonely}"
    );
}

/// Keys come from lists and keyrings that are given or configured, each with where it came from; an
/// OpenPGP key that only signatures name is asked for.
#[test]
fn takes_keys() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("carol@example.com");
    let everyone = [
        ("Alice", "alice@example.com", NOW),
        ("Bob", "bob@example.com", NOW),
        ("Carol", "carol@example.com", NOW),
        ("Dana", "dana@example.com", NOW),
    ];
    let server = history(&everyone, &[]);
    let alice = server.checkout("alice");
    // Her own key is configured: she did not sign yet.
    let value = proposed(&alice, &[]);
    assert!(
        lines(&value, "guessed").contains("is alice's: user.signingKey here"),
        "{value}"
    );

    let dana = server
        .checkout("dana")
        .env("GNUPGHOME", gpg.path().to_str().unwrap());
    dana.git(&["config", "gpg.format", "openpgp"]);
    dana.git(&["config", "user.signingkey", &fingerprint]);
    dana.change("a.txt", "signed with OpenPGP\n");
    let value = proposed(&dana, &[]);
    let wanted = format!("gpg --export --armor {fingerprint} > dana.asc");
    assert!(lines(&value, "no_key").contains(&wanted), "{value}");

    let folder = server.folder().join("keys");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("bob.pub"), keys::public("bob") + "\n").unwrap();
    fs::write(folder.join("eve.pub"), keys::public("mallory") + "\n").unwrap();
    let mut export = gpg
        .run(&["--armor", "--export", "carol@example.com"], b"")
        .stdout;
    export.push('\n');
    fs::write(folder.join("any.asc"), export.trim_end().to_owned() + "\n").unwrap();
    let list = format!(
        "dana@example.com valid-before=\"20400101Z\" {}\nbob@example.com,d@x {}\nzed@x {}\n",
        keys::public("dana"),
        keys::public("mallory"),
        keys::public("release-bot"),
    );
    fs::write(server.folder().join("signers"), list).unwrap();
    let signers = server.folder().join("signers");
    alice.git(&[
        "config",
        "gpg.ssh.allowedSignersFile",
        signers.to_str().unwrap(),
    ]);
    let value = proposed(&alice, &["--keys", folder.to_str().unwrap()]);
    let people = people(&value);
    let count = |person: &str| people["people"][person]["keys"].as_array().unwrap().len();
    assert_eq!(
        ["alice", "bob", "carol", "dana"].map(count),
        [1, 2, 1, 1],
        "{value}"
    );
    assert!(
        people["people"]["dana"]["keys"]
            .to_string()
            .contains("until = 2040-01-01"),
        "{value}"
    );
    assert!(
        value["files"]["keys/carol.asc"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PGP")
    );
    assert_eq!(lines(&value, "no_key"), "");
    let left_out = lines(&value, "left_out");
    assert!(
        left_out.contains("eve.pub:1: a key of nobody who is proposed"),
        "{left_out}"
    );
    assert!(
        left_out.contains("1 key of nobody who is proposed"),
        "{left_out}"
    );
    assert!(
        lines(&value, "guessed").contains("<d@x> is bob's"),
        "{value}"
    );

    let args = ["init", "--keys", folder.to_str().unwrap()];
    alice
        .countersign(&args)
        .exits(0)
        .says("written: .countersign/keys/carol.asc");
    alice.countersign(&["policy", "check"]).exits(0);
    alice
        .countersign(&["init", "--print", "--keys", "missing"])
        .exits(2);
}

/// What is protected follows the refs and files there are: release branches, versions, and from five
/// people on what builds; owners files are named with whom they name.
#[test]
fn fits_the_repository() {
    let five = ["Ann", "Ben", "Cem", "Dot", "Eli"].map(|name| name.to_lowercase() + "@x");
    let commits: Vec<(&str, &str, u64)> = ["Ann", "Ben", "Cem", "Dot", "Eli"]
        .into_iter()
        .zip(&five)
        .map(|(name, email)| (name, email.as_str(), NOW))
        .collect();
    let files = [
        (".github/workflows/ci.yml", "on: push\n"),
        ("Makefile", "all:\n"),
        (".github/CODEOWNERS", "* @ann\n/docs/ @org/docs ben@x\n"),
    ];
    let server = history(&commits, &files);
    for name in [
        "refs/heads/release/1.0",
        "refs/heads/topic",
        "refs/tags/v1.0",
        "refs/tags/nightly",
    ] {
        server.git(&["update-ref", name, "refs/heads/main"]);
    }
    let checkout = server.checkout("alice");
    checkout.git(&["fetch", "-q", "--tags", "origin"]);
    let value = proposed(&checkout, &[]);
    let policy = text(&value, "policy");
    for line in [
        "match = [\"refs/heads/main\", \"refs/heads/release/**\"]",
        "match       = [\"refs/tags/v[0-9]*\"]",
        "class   = [\"policy\", \"pipeline\"]\nrequire = [\"2 of @maintainers\"]",
        "# Here: .github/workflows/ci.yml, Makefile.",
        "#   @ann: ann\n",
        "#   @org/docs: not in people.toml\n",
        "#   ben@x: ben\n",
    ] {
        assert!(policy.contains(line), "{line}: {policy}");
    }
    assert!(
        lines(&value, "guessed").contains(".github/CODEOWNERS names owners"),
        "{value}"
    );
    let small = history(&commits[..4], &files);
    assert!(!text(&proposed(&small.checkout("bob"), &[]), "policy").contains("pipeline\"]"));
}

/// Each starter fits a repository with enough people, whatever its branch is called; where there are too
/// few, nothing is written.
#[test]
fn starters() {
    let everyone: Vec<(&str, &str, u64)> = vec![
        ("Alice", "alice@example.com", NOW),
        ("Bob", "bob@example.com", NOW),
        ("Carol", "carol@example.com", NOW),
    ];
    let server = history(&everyone, &[]);
    let checkout = server.checkout("alice");
    checkout.git(&["branch", "-m", "main", "trunk"]);
    checkout.git(&["branch", "main"]);
    let head = "refs/remotes/origin/HEAD";
    checkout.git(&["symbolic-ref", head, "refs/remotes/origin/trunk"]);
    let folder = server.folder().join("keys");
    fs::create_dir(&folder).unwrap();
    for person in ["alice", "bob", "carol"] {
        fs::write(
            folder.join(format!("{person}.pub")),
            keys::public(person) + "\n",
        )
        .unwrap();
    }
    for starter in [
        "two-people",
        "strict",
        "outside-contributors",
        "dry-run-first",
    ] {
        let args = [
            "init",
            "--starter",
            starter,
            "--keys",
            folder.to_str().unwrap(),
        ];
        let done = checkout.countersign(&args).exits(0);
        assert!(done.stderr.contains("git push origin trunk"), "{done}");
        let policy = fs::read_to_string(checkout.dir().join(POLICY)).unwrap();
        assert!(
            policy.contains("refs/heads/trunk") && !policy.contains("refs/heads/main"),
            "{policy}"
        );
        assert!(
            policy.contains("Choose it") && policy.contains("\"work\""),
            "{policy}"
        );
        checkout.countersign(&["policy", "check"]).exits(0);
        fs::remove_dir_all(checkout.dir().join(".countersign")).unwrap();
    }
    let server = history(&everyone[..1], &[]);
    let few = server.checkout("alice");
    few.countersign(&["init", "--starter", "strict"])
        .exits(2)
        .says("unsatisfiable-rule");
    assert!(!few.dir().join(".countersign").exists());
}
