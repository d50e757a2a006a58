//! `countersign people`: who is who, brought in from elsewhere and handed on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::authority::Authority;
use crate::support::outcome::Outcome;
use crate::support::server::scrubbed;
use crate::support::{Checkout, NewCommit, People, Server, keys};

/// A GnuPG home; its agent ends with it.
pub(crate) struct Gpg {
    home: tempfile::TempDir,
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        command
            .args(["--kill", "all"])
            .env("GNUPGHOME", self.path());
        command.output().unwrap();
    }
}

impl Gpg {
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
        Self { home }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Outcome {
        let mut command = scrubbed("gpg", self.path());
        command
            .env("GNUPGHOME", self.path())
            .args([
                "-q",
                "--no-tty",
                "--yes",
                "--batch",
                "--pinentry-mode=loopback",
                "--passphrase=",
            ])
            .args(args);
        Outcome::of(&mut command, input)
    }

    /// Makes a signing key and returns its fingerprint.
    pub(crate) fn make(&self, user: &str) -> String {
        self.run(&["--quick-gen-key", user, "ed25519", "sign", "never"], b"")
            .accepted();
        let listing = self
            .run(&["--with-colons", "--list-keys", user], b"")
            .stdout;
        let line = listing
            .lines()
            .find(|line| line.starts_with("fpr:"))
            .unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// Writes an export of these keys to a file.
    fn export(&self, options: &[&str], name: &str) -> PathBuf {
        let file = self.path().join(name);
        let to = ["--output", file.to_str().unwrap(), "--export"];
        self.run(&[&to[..2], options, &to[2..]].concat(), b"")
            .accepted();
        file
    }

    fn knows(&self, fingerprint: &str) -> bool {
        self.run(&["--list-keys", fingerprint], b"").ok()
    }
}

fn text_of(checkout: &Checkout) -> String {
    fs::read_to_string(checkout.dir().join(".countersign/people.toml")).unwrap()
}

/// Commits the files as they are and asks whether a push would be judged by them.
fn accepted_policy(checkout: &Checkout) {
    checkout.git(&["add", "-A"]);
    checkout.git(&["commit", "-q", "-m", "people"]);
    for command in [
        ["policy", "check", "HEAD-branch"],
        ["people", "check", "HEAD-branch"],
    ] {
        checkout.git(&["branch", "-f", "HEAD-branch"]);
        let outcome = checkout.countersign(&command);
        assert!(matches!(outcome.status, Some(0 | 1)), "{outcome}");
    }
}

/// A list of allowed signers becomes people: shown first, written when asked, and read by the policy.
#[test]
fn imports_allowed_signers() {
    let server = Server::new();
    let alice = server.checkout("alice");
    let before = text_of(&alice);
    let list = format!(
        "# signers\nalice@example.com {}\nmallory@example.com,m@home namespaces=\"git\",valid-before=\"20400101Z\" {}\n",
        keys::public("alice"),
        keys::public("mallory"),
    );
    alice.write(&[("list", Some(&list))]);
    let args = ["people", "import", "--allowed-signers", "list"];
    let shown = alice.countersign(&args).exits(0).says("mallory: new");
    assert_eq!(text_of(&alice), before);
    let below = alice.dir().join("src");
    let mut command = alice.command(env!("CARGO_BIN_EXE_countersign"));
    command.current_dir(&below).args([
        "people",
        "import",
        "--write",
        "--allowed-signers",
        "../list",
    ]);
    Outcome::of(&mut command, b"").exits(0);
    assert_eq!(text_of(&alice), shown.stdout);
    assert!(
        shown.stdout.contains("until = 2040-01-01T00:00:01Z"),
        "{shown}"
    );
    fs::remove_file(alice.dir().join("list")).unwrap();
    accepted_policy(&alice);

    // The server has the same people, but nowhere to write.
    fs::write(server.folder().join("list"), &list).unwrap();
    let file = server.folder().join("list");
    let args = [
        "people",
        "import",
        "--allowed-signers",
        file.to_str().unwrap(),
    ];
    assert_eq!(server.cli(&args).exits(0).stdout, shown.stdout);
    server.cli(&[&args[..], &["--write"]].concat()).exits(2);
}

/// A conflict names file and line, and nothing is written.
#[test]
fn import_conflicts() {
    let server = Server::new();
    let alice = server.checkout("alice");
    let before = text_of(&alice);
    let list = format!("# a\n\nbob@example.com {}\n", keys::public("alice"));
    alice.write(&[
        ("list", Some(&list)),
        ("none", Some("# nobody\n")),
        ("keys", Some("ssh-rsa AAAA\n")),
    ]);
    let import =
        |args: &[&str]| alice.countersign(&[&["people", "import", "--write"], args].concat());
    import(&["--allowed-signers", "list"])
        .exits(2)
        .says("list:3: the key SHA256:")
        .says("belongs to alice");
    import(&["--keys", "keys", "--person", "bob"])
        .exits(2)
        .says("keys:1: ");
    import(&["--keys", "keys"]).exits(2);
    import(&["--keys", "keys", "--person", "Bob"]).exits(2);
    import(&["--allowed-signers", "gone"]).exits(2);
    import(&["--allowed-signers", "none"]).exits(1);
    import(&[]).exits(2);
    assert_eq!(text_of(&alice), before);
}

/// What GitHub and GitLab serve under `<user>.keys` and `<user>.gpg` goes to the one it is said of.
#[test]
fn imports_keys_of_a_forge() {
    let server = Server::new();
    let alice = server.checkout("alice");
    let gpg = Gpg::new();
    let own = gpg.make("Alice <alice@elsewhere.example.com>");
    let other = gpg.make("alice-private");
    let ssh = keys::public("mallory");
    let bare = ssh.rsplit_once(' ').unwrap().0;
    // GitHub has no comments and one block; GitLab has a block a key.
    alice.write(&[("alice.keys", Some(bare))]);
    let one = gpg.export(&["--armor"], "one.gpg");
    let blocks: String = [&own, &other]
        .iter()
        .map(|key| gpg.run(&["--armor", "--export", key], b"").stdout)
        .collect();
    alice.write(&[("blocks.gpg", Some(&blocks.replace('\n', "\r\n")))]);
    let import = |file: &str| {
        alice.countersign(&[
            "people", "import", "--write", "--person", "alice", "--keys", file,
        ])
    };
    import("alice.keys").exits(0).says("alice: key SHA256:");
    import(one.to_str().unwrap())
        .exits(0)
        .says(&own)
        .says(&other);
    let after = text_of(&alice);
    assert!(after.contains("openpgp = \"keys/alice.asc\""), "{after}");
    assert!(after.contains("openpgp = \"keys/alice-2.asc\""), "{after}");
    import("blocks.gpg").exits(0).says("there already");
    assert_eq!(text_of(&alice), after);
    accepted_policy(&alice);
}

/// Keyrings in each form GnuPG has: by the user ids to those who are known, the rest left out.
#[test]
fn imports_keyrings() {
    let gpg = Gpg::new();
    let alices = gpg.make("Alice <Alice@Example.com>");
    let bobs = gpg.make("bob@example.com");
    let strangers = gpg.make("Stranger <stranger@example.org>");
    let binary = gpg.export(&[], "keys.gpg");
    let armored = gpg.export(&["--armor"], "keys.asc");
    let folder = gpg.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::copy(&binary, folder.join("a.gpg")).unwrap();
    let old = gpg.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::copy(&binary, old.join("pubring.gpg")).unwrap();
    let mut texts = Vec::new();
    for ring in [
        gpg.path(),
        &gpg.path().join("pubring.kbx"),
        &binary,
        &armored,
        &folder,
        &old,
    ] {
        let server = Server::new();
        let alice = server.checkout("alice");
        let outcome = alice.countersign(&[
            "people",
            "import",
            "--write",
            "--keyring",
            ring.to_str().unwrap(),
        ]);
        outcome
            .exits(0)
            .says(&alices)
            .says(&bobs)
            .says(&format!("nobody in people.toml: {strangers}"));
        for person in ["alice", "bob"] {
            let key = alice.dir().join(format!(".countersign/keys/{person}.asc"));
            let text = fs::read_to_string(key).unwrap();
            assert!(
                text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
                "{text}"
            );
        }
        texts.push(text_of(&alice));
        accepted_policy(&alice);
    }
    assert!(texts.windows(2).all(|two| two[0] == two[1]));

    let server = Server::new();
    let alice = server.checkout("alice");
    let import = |args: &[&str]| {
        alice.countersign(&[&["people", "import", "--write", "--keyring"], args].concat())
    };
    let secret = gpg.path().join("secret");
    gpg.run(
        &[
            "--output",
            secret.to_str().unwrap(),
            "--export-secret-keys",
            &alices,
        ],
        b"",
    )
    .accepted();
    import(&[secret.to_str().unwrap()]).exits(2).says("SECRET");
    let stranger = gpg.path().join("stranger.gpg");
    gpg.run(
        &[
            "--output",
            stranger.to_str().unwrap(),
            "--export",
            &strangers,
        ],
        b"",
    )
    .accepted();
    import(&[stranger.to_str().unwrap()])
        .exits(2)
        .says(&strangers);
    import(&[stranger.to_str().unwrap(), "--person", "carol"])
        .exits(0)
        .says("carol: key");
    // The same key in another state is not taken unasked.
    gpg.run(&["--quick-set-expire", &strangers, "2y"], b"")
        .accepted();
    gpg.run(
        &[
            "--output",
            stranger.to_str().unwrap(),
            "--export",
            &strangers,
        ],
        b"",
    )
    .accepted();
    let again = [stranger.to_str().unwrap(), "--person", "carol"];
    import(&again)
        .exits(2)
        .says(".countersign/keys/carol.asc holds another state");
    import(&[&again[..], &["--replace"]].concat())
        .exits(0)
        .says("another state");
    import(&again).exits(0).says("there already");
    accepted_policy(&alice);
    import(&[alice.dir().to_str().unwrap()])
        .exits(2)
        .says("no OpenPGP keys");
}

/// What git shows of signatures with the exported list is what Countersign believes: people's, in
/// their time, and nobody else's.
#[test]
fn git_agrees_with_the_exported_list() {
    let people = People::new()
        .key_terms("bob", "until = 2023-11-20T00:00:00Z")
        .key_terms(
            "carol",
            "from = 2023-11-01T00:00:00Z, revoked = 2023-11-10T00:00:00Z",
        )
        .key_terms("dana", "from = 2023-11-20T00:00:00Z")
        .lines("release-bot", "");
    let server = Server::with(
        &crate::support::policy(crate::support::config::PLAIN_RULE),
        &people,
    );
    let list = server
        .cli(&["people", "export", "--allowed-signers"])
        .exits(0)
        .stdout;
    let file = server.folder().join("allowed_signers");
    fs::write(&file, &list).unwrap();
    for (person, date, state) in [
        ("alice", "2023-11-14T00:00:00Z", "G"),
        ("bob", "2023-11-19T23:59:59Z", "G"),
        ("bob", "2023-11-20T00:00:00Z", "U"),
        ("carol", "2023-10-31T23:59:59Z", "U"),
        ("carol", "2023-11-01T00:00:00Z", "G"),
        ("carol", "2023-11-10T00:00:00Z", "U"),
        ("dana", "2023-11-19T00:00:00Z", "U"),
        ("dana", "2023-11-21T00:00:00Z", "G"),
        ("release-bot", "2023-11-14T00:00:00Z", "G"),
        ("mallory", "2023-11-14T00:00:00Z", "U"),
    ] {
        let checkout = server.checkout(person);
        checkout.git(&[
            "config",
            "gpg.ssh.allowedSignersFile",
            file.to_str().unwrap(),
        ]);
        let mut command = checkout.command("git");
        command.env("GIT_COMMITTER_DATE", date).args([
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "signed",
        ]);
        Outcome::of(&mut command, b"").accepted();
        let shown = checkout.git(&["log", "-1", "--format=%G? %GS", "--show-signature"]);
        let line = shown.lines().last().unwrap();
        let (found, signer) = line.split_once(' ').unwrap_or((line, ""));
        assert_eq!(found, state, "{person} {date}: {shown}");
        assert_eq!(signer.contains('@'), state == "G", "{shown}");
        if state == "G" {
            assert_eq!(signer, format!("{person}@example.com"));
            assert!(shown.contains("Good \"git\" signature"), "{shown}");
        }
    }
}

/// The exported OpenPGP keys are those that count now, and GnuPG takes them.
#[test]
fn exports_openpgp_keys() {
    let gpg = Gpg::new();
    let alices = gpg.make("alice@example.com");
    let bobs = gpg.make("bob@example.com");
    let server = Server::new();
    let alice = server.checkout("alice");
    alice
        .countersign(&[
            "people",
            "import",
            "--write",
            "--keyring",
            gpg.path().to_str().unwrap(),
        ])
        .exits(0);
    let text = text_of(&alice).replace(
        "\"keys/bob.asc\" }",
        "\"keys/bob.asc\", revoked = 2020-01-01T00:00:00Z }",
    );
    let head = alice.commit(NewCommit {
        files: &[(".countersign/people.toml", Some(&text))],
        ..NewCommit::default()
    });
    alice.git(&["update-ref", "refs/heads/keys", &head]);
    let exported = alice
        .countersign(&["people", "export", "--openpgp", "keys"])
        .exits(0)
        .says(&bobs);
    assert!(!exported.stdout.contains(&bobs));
    let fresh = Gpg::new();
    fresh
        .run(&["--import"], exported.stdout.as_bytes())
        .accepted();
    assert!(fresh.knows(&alices) && !fresh.knows(&bobs));
    // Nobody's ssh key is in it, and no OpenPGP key in the list for ssh.
    let list = alice
        .countersign(&["people", "export", "--allowed-signers", "keys"])
        .exits(0);
    assert!(
        list.stderr.contains(&alices) && !list.stdout.contains(&alices),
        "{list}"
    );
    alice.countersign(&["people", "export"]).exits(2);
    alice
        .countersign(&["people", "export", "--openpgp", "--json"])
        .exits(2);
}

/// What must be done about the people is exit 1, and told to people and programs alike.
#[test]
fn checks_people() {
    let server = Server::new();
    // Dana alone is `security`, but no rule asks for that team.
    let fine = server.cli(&["people", "check"]).exits(0);
    assert!(fine.stdout.contains("release-bot"), "{fine}");
    fine.says("note: no rule asks dana")
        .says("root@example.com is nobody's");

    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20 * 24);
    let people = People::new()
        .key_terms("alice", &format!("until = {soon}"))
        .key_terms("bob", "revoked = 2020-01-01T00:00:00Z");
    let rules = crate::support::rule("lone", "require = [\"1 of @security\"]");
    let server = Server::with(&crate::support::policy(&rules), &people);
    let found = server.cli(&["people", "check", "--json"]).exits(1).json();
    let what = |action: bool| -> Vec<String> {
        let findings = found["findings"].as_array().unwrap().iter();
        let findings = findings.filter(|finding| finding["action"] == action);
        findings
            .map(|finding| finding["what"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(what(true), ["hangs-on", "key-ends", "no-valid-key"]);
    assert_eq!(
        what(false),
        [
            "no-place",
            "key-revoked",
            "no-place",
            "no-place",
            "unknown-email"
        ]
    );
    assert_eq!(found["findings"][0]["people"], serde_json::json!(["dana"]));
    assert_eq!(found["people"][1]["valid_keys"], 0);
    server
        .cli(&["people", "check", "--within", "1w"])
        .exits(1)
        .says("hangs on dana");
    let short = server.cli(&["people", "check", "--within", "1w"]);
    assert!(!short.stderr.contains("ends at"), "{short}");
    server
        .cli(&["people", "check", "--within", "soon"])
        .exits(2);
    // What stands in a working tree is read where it was changed, as `policy check` does.
    let alice = server.checkout("alice");
    let (before, after) = (
        text_of(&alice),
        text_of(&alice).replace("until = ", "from = "),
    );
    let check = || alice.countersign(&["people", "check"]);
    assert!(check().stdout.contains("read at"), "{}", check());
    std::fs::write(alice.dir().join(".countersign/people.toml"), after).unwrap();
    let changed = check();
    assert!(changed.stdout.contains("working tree"), "{changed}");
    let found = alice.countersign(&["people", "check", "--json"]).json();
    assert_eq!(found["findings"][1]["person"], "alice", "{found}");
    assert!(changed.stderr.contains("alice"), "{changed}");
    std::fs::write(alice.dir().join(".countersign/people.toml"), before).unwrap();
    assert!(check().stdout.contains("read at"), "{}", check());
}

/// A committer who did not sign is seen: worth a warning where it is somebody known, a note else;
/// neither holds a push up, and nobody is accused who signed their own work.
#[test]
fn committers_who_did_not_sign() {
    let server = Server::new();
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    for (committer, severity) in [
        ("carol", Some("warn")),
        ("eve", Some("note")),
        ("alice", None),
    ] {
        alice.onto("origin/main");
        let head = alice.commit(NewCommit {
            files: &[("a.txt", Some(committer))],
            committer: Some(committer),
            ..NewCommit::default()
        });
        alice.share(&head);
        let verdict = server.check_json(&head, "main", "alice");
        let findings = verdict["updates"][0]["findings"]
            .as_array()
            .unwrap()
            .clone();
        let seen = findings
            .iter()
            .find(|finding| finding["code"] == "unknown-contributor");
        assert_eq!(
            seen.map(|seen| seen["severity"].as_str().unwrap()),
            severity,
            "{verdict}"
        );
        if let Some(seen) = seen {
            let detail = seen["detail"].as_str().unwrap();
            let committed =
                format!("signed by alice, but the committer {committer}@example.com is ");
            assert!(
                detail.starts_with(&committed) && detail.contains(&head),
                "{detail}"
            );
        }
        bob.approve(&head).accepted();
        let landed = alice.land(&head).accepted();
        assert_eq!(
            landed.codes().contains("unknown-contributor"),
            severity.is_some(),
            "{landed}"
        );
    }
    server.cli(&["verify", "history"]).exits(0);
}

/// A certificate that ends by itself is known to end, though people.toml lets it count for ever.
#[test]
fn checks_certificates() {
    let gpg = Gpg::new();
    for (user, end) in [("bob@example.com", "10d"), ("carol@example.com", "2y")] {
        let make = ["--quick-gen-key", user, "ed25519", "sign", end];
        gpg.run(&make, b"").accepted();
    }
    let server = Server::new();
    let alice = server.checkout("alice");
    let ring = gpg.path().to_str().unwrap();
    alice
        .countersign(&["people", "import", "--write", "--keyring", ring])
        .exits(0);
    let head = alice.commit(NewCommit::default());
    alice.git(&["update-ref", "refs/heads/keys", &head]);
    let ends = |within: &str| -> Vec<String> {
        let args = ["people", "check", "--json", "--within", within, "keys"];
        let outcome = alice.countersign(&args);
        let found = outcome.json();
        let findings = found["findings"].as_array().unwrap().iter();
        let ends = findings.filter(|finding| finding["what"] == "key-ends");
        let ends = ends.map(|finding| finding["person"].as_str().unwrap().to_owned());
        let ends: Vec<_> = ends.collect();
        assert_eq!(
            outcome.status,
            Some(i32::from(!ends.is_empty())),
            "{outcome}"
        );
        ends
    };
    assert_eq!(ends("9d"), [""; 0]);
    assert_eq!(ends("11d"), ["bob"]);
    assert_eq!(ends("800d"), ["bob", "carol"]);
}

/// A forge signs what people commit there: nobody is said to have signed for another.
#[test]
fn forges_sign_for_people() {
    let people = People::new()
        .lines("dana", "kind = \"forge\"\n")
        .teams("maintainers = [\"alice\", \"bob\", \"carol\"]\n");
    let rules = crate::support::policy(crate::support::config::PLAIN_RULE);
    let server = Server::with(&rules, &people);
    let forge = server.checkout("dana");
    let head = forge.commit(NewCommit {
        files: &[("a.txt", Some("new\n"))],
        author: Some("alice"),
        committer: Some("alice"),
        ..NewCommit::default()
    });
    forge.share(&head);
    let verdict = server.check_json(&head, "main", "alice");
    let findings = verdict["updates"][0]["findings"].as_array().unwrap();
    let codes: Vec<_> = findings.iter().map(|finding| &finding["code"]).collect();
    assert!(
        codes.iter().any(|code| *code == "missing-approvals"),
        "{verdict}"
    );
    assert!(
        !codes.iter().any(|code| *code == "unknown-contributor"),
        "{verdict}"
    );
}

/// What a CA certifies is good to git for the principals that are mapped to somebody, in the CA's
/// time and no other; what a list cannot say is said beside it.
#[test]
fn git_agrees_about_certificates() {
    let authority = Authority::new();
    let table = authority.table(
        "\"alice@corp\" = \"alice\", \"*@corp\" = \"bob\"",
        "until = 2023-11-20T00:00:00Z",
    );
    let teams = format!("maintainers = [\"alice\", \"bob\"]\n\n{table}");
    let people = People::new().teams(&teams);
    let rules = crate::support::policy(crate::support::config::PLAIN_RULE);
    // A principal that would be a pattern is none here, so nothing can be mapped to it.
    let bare = Server::bare(crate::support::server::Format::Sha1);
    bare.seed(&[
        (".countersign/policy.toml", &rules),
        (".countersign/people.toml", &people.text()),
    ]);
    bare.enroll(&[]).exits(2);

    let people = People::new().teams(&teams.replace(", \"*@corp\" = \"bob\"", ""));
    let server = Server::with(&rules, &people);
    let exported = server
        .cli(&["people", "export", "--allowed-signers"])
        .exits(0);
    let line = exported
        .stdout
        .lines()
        .find(|line| line.contains("cert-authority"))
        .unwrap();
    assert!(
        line.starts_with(
            "alice@corp cert-authority,namespaces=\"git\",valid-before=\"20231119235959Z\" "
        ),
        "{exported}"
    );
    let file = server.folder().join("allowed_signers");
    fs::write(&file, &exported.stdout).unwrap();
    let alice = server.checkout("alice");
    alice.git(&[
        "config",
        "gpg.ssh.allowedSignersFile",
        file.to_str().unwrap(),
    ]);
    for (principal, date, state) in [
        ("alice@corp", "2023-11-14T00:00:00Z", "G"),
        ("alice@corp", "2023-11-20T00:00:00Z", "U"),
        ("mallory@corp", "2023-11-14T00:00:00Z", "U"),
    ] {
        authority.equip(&alice, &["-n", principal]);
        let mut command = alice.command("git");
        command.env("GIT_COMMITTER_DATE", date).args([
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "certified",
        ]);
        Outcome::of(&mut command, b"").accepted();
        let shown = alice.git(&["log", "-1", "--format=%G?"]);
        assert_eq!(shown, state, "{principal} {date}");
    }
    // Brought in again, a CA is not taken for anybody's key.
    alice.write(&[("list", Some(&exported.stdout))]);
    let again = alice
        .countersign(&["people", "import", "--allowed-signers", "list"])
        .exits(0);
    again.says("a certificate authority: [[ca]] maps its principals to people");
}
