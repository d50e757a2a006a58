//! `countersign doctor`: each thing that can be open, opened by itself, is named with what shuts it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::audit::{chmod, copy, mend, write};
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::server::scrubbed;
use crate::support::{Format, MAIN, Outcome, People, Server, approved_topic, policy, rule};

/// Everything that must not change however often the doctor comes.
fn untouched(server: &Server) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![server.repo().to_owned()];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if !name.starts_with("index.db") {
                let bytes = fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

/// sshd's settings and keys as they should be, beside the server.
fn ssh(server: &Server) -> (PathBuf, PathBuf) {
    let config = server.folder().join("sshd_config");
    let keys = server.folder().join("authorized_keys");
    if !config.exists() {
        fs::write(
            &config,
            "# Debian's\nAcceptEnv LANG LC_*\nSubsystem sftp x\n",
        )
        .unwrap();
        let exported = server.cli(&["people", "export", "--authorized-keys"]);
        fs::write(&keys, exported.accepted().stdout).unwrap();
        chmod(&keys, 0o600);
    }
    (config, keys)
}

fn command(server: &Server, more: &[&str]) -> std::process::Command {
    let (config, keys) = ssh(server);
    let mut args = vec!["-C", server.repo().to_str().unwrap(), "doctor"];
    args.extend(["--sshd-config", config.to_str().unwrap()]);
    args.extend(["--authorized-keys", keys.to_str().unwrap()]);
    args.extend(more);
    server.countersign(&args)
}

fn run(mut command: std::process::Command) -> Outcome {
    Outcome::of(&mut command, b"")
}

/// The checks that are open or unknown, by name; the exit code must be theirs.
#[track_caller]
fn open_of(outcome: &Outcome) -> Vec<(String, Value)> {
    let value = outcome.json();
    assert_eq!(value["schema"], "countersign.doctor/v1");
    let checks = value["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 20);
    let open: Vec<_> = checks
        .iter()
        .filter(|check| check["state"] != "ok")
        .map(|check| (check["check"].as_str().unwrap().to_owned(), check.clone()))
        .collect();
    let is = |state: &str| open.iter().any(|(_, check)| check["state"] == state);
    let code = match (is("open"), is("unknown")) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    };
    assert_eq!(outcome.status, Some(code), "{outcome}");
    assert_eq!(value["ok"], code == 0, "{outcome}");
    open
}

#[track_caller]
fn open(server: &Server) -> Vec<(String, Value)> {
    open_of(&run(command(server, &["--json"])))
}

fn names(open: &[(String, Value)]) -> Vec<&str> {
    open.iter().map(|(name, _)| name.as_str()).collect()
}

/// A server with a landing, as an admin leaves it.
fn server() -> Server {
    let (server, alice, bob) = crate::support::two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    server
}

/// Where nothing is open it says so, an unreviewed push to a copy was refused, and nothing has changed.
#[test]
fn shut() {
    for format in [Format::Sha1, Format::Sha256] {
        let server = Server::of(format, &policy(PLAIN_RULE), &People::new());
        let before = untouched(&server);
        assert_eq!(open(&server), []);
        let told = run(command(&server, &[])).exits(0);
        let told = told.says("an unreviewed push to a copy was refused");
        let told = told
            .says("git update-ref there was refused")
            .says("nothing is open");
        for line in told.stdout.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(untouched(&server) == before, "something was written");
    }
    let bare = Server::bare(Format::Sha1);
    bare.cli(&["doctor"]).exits(2);
}

/// What is done, which checks must be open, and how many of the commands given shut the last of them.
type Opening<'a> = (&'a str, Box<dyn Fn(&Server) + 'a>, &'a [&'a str], usize);

#[track_caller]
fn each(server: &Server, openings: &[Opening<'_>]) {
    assert_eq!(open(server), []);
    let good = server.folder().join("good");
    copy(server.repo(), &good);
    let (config, keys) = ssh(server);
    let kept = [&config, &keys].map(|path| (path.clone(), fs::read(path).unwrap()));
    for (what, tamper, want, mends) in openings {
        tamper(server);
        let found = open(server);
        assert_eq!(names(&found), *want, "{what}: {found:#?}");
        let told = run(command(server, &[]));
        for (_, check) in &found {
            for open in check["open"].as_array().unwrap() {
                let commands = open["commands"].as_array().unwrap();
                let advice = open["advice"].as_array().unwrap();
                let can = commands.len() + advice.len() > 0 || check["state"] == "unknown";
                assert!(can, "{what}: {open}");
                for command in commands {
                    assert!(told.stdout.contains(command.as_str().unwrap()), "{told}");
                }
            }
        }
        if *mends > 0 {
            let last = found.last().unwrap().1["open"].as_array().unwrap();
            mend(server, &last[0], *mends);
            assert_eq!(open(server), [], "{what} was not mended");
        }
        copy(&good, server.repo());
        for (path, bytes) in &kept {
            fs::write(path, bytes).unwrap();
            chmod(path, 0o600);
            chown(path, Some(rustix::process::geteuid().as_raw()), None).unwrap();
        }
    }
    assert_eq!(open(server), [], "after all of them");
}

/// A hook that git does not run lets an unreviewed commit land in the copy, and that comes first.
#[test]
fn hooks() {
    let server = server();
    let hook = |name: &str| server.repo().join("hooks").join(name);
    let (pre, refs) = (hook("pre-receive"), hook("reference-transaction"));
    let openings: Vec<Opening<'_>> = vec![
        (
            "neither hook can be executed",
            Box::new(|_| {
                chmod(&pre, 0o644);
                chmod(&refs, 0o644);
            }),
            &["push", "ref-write", "hooks"],
            0,
        ),
        (
            "pre-receive cannot be executed: the other holds the push up",
            Box::new(|_| chmod(&pre, 0o644)),
            &["hooks"],
            1,
        ),
        (
            "the ref hook is gone",
            Box::new(|_| fs::remove_file(&refs).unwrap()),
            &["ref-write", "hooks"],
            1,
        ),
        (
            "both hooks let everything pass",
            Box::new(|_| {
                fs::write(&pre, "#!/bin/sh\nexit 0\n").unwrap();
                fs::write(&refs, "#!/bin/sh\nexit 0\n").unwrap();
            }),
            &["push", "ref-write", "hooks"],
            0,
        ),
        (
            "a hook that refuses all, for no reason of ours",
            Box::new(|_| fs::write(&pre, "#!/bin/sh\nexit 1\n").unwrap()),
            &["push", "hooks"],
            0,
        ),
    ];
    each(&server, &openings);
    chmod(&pre, 0o644);
    chmod(&refs, 0o644);
    let told = run(command(&server, &[])).exits(1);
    let first = told.stdout.lines().nth(2).unwrap();
    assert!(
        first.starts_with("open") && first.contains("LANDED"),
        "{told}"
    );
}

/// A hook that never ends is stopped, with what it started, and leaves it untold what would come of a push.
#[test]
fn a_hook_without_end() {
    let server = server();
    let settings = server.record("server.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text + "[limits]\nseconds = 1\n").unwrap();
    server.enroll(&[]).accepted();
    let mark = server.folder().join("sleeps");
    std::os::unix::fs::symlink("/bin/sleep", &mark).unwrap();
    let hook = server.repo().join("hooks/pre-receive");
    fs::write(&hook, format!("#!/bin/sh\n'{}' 1000\n", mark.display())).unwrap();
    let found = open(&server);
    assert_eq!(names(&found), ["push", "hooks"]);
    assert_eq!(found[0].1["state"], "unknown");
    let says = found[0].1["open"][0]["says"].as_str().unwrap();
    assert!(says.contains("did not end"), "{says}");
    let mut list = scrubbed("sh", server.folder());
    list.args(["-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"]);
    let running = Outcome::of(&mut list, b"").stdout;
    assert!(
        !running.contains(&format!("{} 1000", mark.display())),
        "{running}"
    );
}

/// Configuration of any level that keeps git from running the hooks.
#[test]
fn configuration() {
    let server = server();
    let set = |key: &'static str, value: &'static str| -> Box<dyn Fn(&Server)> {
        Box::new(move |server| {
            server.git(&["config", key, value]);
        })
    };
    let openings: Vec<Opening<'_>> = vec![
        (
            "hooks elsewhere",
            set("core.hooksPath", "/nowhere"),
            &["push", "ref-write", "config"],
            1,
        ),
        (
            "a program at the event of ours",
            set("hook.mine.event", "pre-receive"),
            &["config"],
            1,
        ),
        (
            "another program for some refs",
            set("receive.procReceiveRefs", "refs/for"),
            &["config"],
            1,
        ),
        (
            "shared with the group",
            set("core.sharedRepository", "group"),
            &["owner"],
            0,
        ),
    ];
    each(&server, &openings);
    // Without settings nothing can be tried, which is no answer; what is open by it stands in `settings`.
    let path = server.record("server.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "colour = 1\n").unwrap();
    let found = open(&server);
    assert!(names(&found).contains(&"settings") && names(&found).contains(&"push"));
    let push = &found.iter().find(|(name, _)| name == "push").unwrap().1;
    assert_eq!(push["state"], "unknown", "{push}");
    // The account's own file counts as the repository's does.
    let server = self::server();
    let file = server.folder().join("gitconfig");
    fs::write(&file, "[core]\n\thooksPath = /nowhere\n").unwrap();
    let mut doctor = command(&server, &["--json"]);
    doctor.env("GIT_CONFIG_GLOBAL", &file);
    let found = open_of(&run(doctor));
    assert_eq!(names(&found), ["push", "ref-write", "config"]);
}

/// Who may write, what the binary is, and where the record is kept.
#[test]
fn host() {
    let server = server();
    let root = rustix::process::geteuid().is_root();
    let key = server.record("key");
    let mut openings: Vec<Opening<'_>> = vec![
        (
            "hooks that the group may write",
            Box::new(|server| chmod(&server.repo().join("hooks"), 0o775)),
            &["owner"],
            0,
        ),
        (
            "a key that others can read",
            Box::new(|_| chmod(&key, 0o640)),
            &["key"],
            1,
        ),
        (
            "no key",
            Box::new(|_| fs::remove_file(&key).unwrap()),
            &["key"],
            0,
        ),
        (
            "grafts",
            Box::new(|server| write(server, "info/grafts", &format!("{}\n", server.main()))),
            &["files"],
            1,
        ),
        (
            "a ref written on disk",
            Box::new(|server| {
                let parent = server.git(&["rev-parse", "main~1"]);
                write(server, MAIN, &format!("{parent}\n"));
            }),
            &["refs"],
            0,
        ),
    ];
    if root {
        openings.push((
            "a ref of another account",
            Box::new(|server| chown(server.repo().join(MAIN), Some(65_534), None).unwrap()),
            &["owner"],
            0,
        ));
    }
    each(&server, &openings);
    // No disk has that much room.
    let found = open_of(&run(command(
        &server,
        &["--json", "--room", "1000000000000"],
    )));
    assert_eq!(names(&found), ["disk"]);
    // Another account than the owner's sees another configuration, and cannot tell.
    if !root {
        eprintln!("not run: giving the repository to another account wants root");
        return;
    }
    Outcome::of(
        scrubbed("chown", server.folder())
            .args(["-R", "65534"])
            .arg(server.repo()),
        b"",
    )
    .accepted();
    let found = open(&server);
    let owner = &found.iter().find(|(name, _)| name == "owner").unwrap().1;
    assert_eq!(owner["state"], "unknown", "{owner}");
    // And its shell is one that runs no forced command.
    let login = &found.iter().find(|(name, _)| name == "login").unwrap().1;
    assert_eq!(login["state"], "open", "{login}");
    assert!(
        login["open"][0]["says"]
            .as_str()
            .unwrap()
            .contains("nologin")
    );
}

/// What stands in the hooks of another account's repository does not run as whoever examines it.
#[test]
fn runs_nothing_of_another_account() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: giving the repository to another account wants root");
        return;
    }
    let server = server();
    let ran = server.folder().join("ran");
    for hook in ["pre-receive", "reference-transaction"] {
        let path = server.repo().join("hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
        chmod(&path, 0o755);
    }
    open(&server);
    assert!(fs::remove_file(&ran).is_ok());
    let mut give = scrubbed("chown", server.folder());
    Outcome::of(give.args(["-R", "65534"]).arg(server.repo()), b"").accepted();
    let found = open(&server);
    assert!(!ran.exists());
    for topic in ["push", "ref-write"] {
        let (_, check) = found.iter().find(|(name, _)| name == topic).unwrap();
        assert_eq!(check["state"], "unknown", "{check}");
    }
}

/// A full disk is told before the push that it would refuse.
#[test]
fn full_disk() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: a small file system wants root");
        return;
    }
    let server = server();
    let small = server.folder().join("small");
    fs::create_dir(&small).unwrap();
    let mut mount = scrubbed("mount", server.folder());
    mount
        .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
        .arg(&small);
    if !Outcome::of(&mut mount, b"").ok() {
        eprintln!("not run: nothing can be mounted here");
        return;
    }
    let record = small.join("record");
    copy(&server.repo().join("countersign"), &record);
    fs::remove_file(record.join("server.toml")).unwrap();
    let settings = server.record("server.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(
        &settings,
        format!("{text}[record]\ndir = \"{}\"\n", record.display()),
    )
    .unwrap();
    server.enroll(&[]).accepted();
    let roomy = open_of(&run(command(&server, &["--json", "--room", "1"])));
    let filler = small.join("filler");
    fs::write(&filler, vec![0; 7 << 20]).ok();
    let full = open_of(&run(command(&server, &["--json", "--room", "1"])));
    let mut umount = scrubbed("umount", server.folder());
    Outcome::of(umount.arg("--lazy").arg(&small), b"").accepted();
    assert_eq!(roomy, []);
    assert_eq!(names(&full), ["disk"]);
}

/// A git without the ref hook, and a clock before the record, are told.
#[test]
fn git_and_clock() {
    let server = server();
    let bin = server.folder().join("bin");
    fs::create_dir(&bin).unwrap();
    let real = Outcome::of(
        scrubbed("sh", server.folder()).args(["-c", "command -v git"]),
        b"",
    );
    let fake = bin.join("git");
    for (version, want) in [("2.27.1", &["git"][..]), ("2.28.0", &[]), ("new", &["git"])] {
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then echo git version {version}; exit; fi\n\
             exec '{}' \"$@\"\n",
            real.line()
        );
        fs::write(&fake, script).unwrap();
        chmod(&fake, 0o755);
        let mut doctor = command(&server, &["--json"]);
        let path = std::env::var("PATH").unwrap();
        doctor.env("PATH", format!("{}:{path}", bin.display()));
        assert_eq!(names(&open_of(&run(doctor))), want, "{version}");
    }
    // An entry of tomorrow puts the clock behind the record.
    crate::audit::tomorrow(&server);
    let found = open(&server);
    assert_eq!(names(&found), ["clock"]);
}

/// Hooks that run another binary than the one that looks are told, and enrolling again mends it.
#[test]
fn another_binary() {
    let server = server();
    let other = server.folder().join("countersign");
    fs::copy(env!("CARGO_BIN_EXE_countersign"), &other).unwrap();
    let mut enroll = scrubbed(other.to_str().unwrap(), server.folder());
    Outcome::of(enroll.arg("enroll").arg(server.repo()), b"").accepted();
    // The same bytes elsewhere are the same binary.
    assert_eq!(open(&server), []);
    let mut bytes = fs::read(&other).unwrap();
    bytes.push(0);
    fs::remove_file(&other).unwrap();
    fs::write(&other, bytes).unwrap();
    chmod(&other, 0o755);
    let found = open(&server);
    assert_eq!(names(&found), ["binary"]);
    let says = found[0].1["open"][0]["says"].as_str().unwrap();
    assert!(says.contains("countersign 0."), "{says}");
    mend(&server, &found[0].1["open"][0], 1);
    assert_eq!(open(&server), []);
}

/// What sshd takes over from clients, what keys are held to, and whose they are.
#[test]
fn ssh_settings() {
    let server = server();
    let (config, keys) = ssh(&server);
    let add = |path: &Path, line: &str| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, format!("{text}{line}\n")).unwrap();
    };
    let mallory = crate::support::keys::public("mallory");
    let held = "restrict,command=\"COUNTERSIGN_PUSHER=alice exec git-shell -c \
                \\\"$SSH_ORIGINAL_COMMAND\\\"\"";
    let mut openings: Vec<Opening<'_>> = vec![
        (
            "clients name themselves",
            Box::new(|_| add(&config, "AcceptEnv COUNTERSIGN_PUSHER")),
            &["environment"],
            0,
        ),
        (
            "clients configure git",
            Box::new(|_| add(&config, "Match User git\n\tAcceptEnv LANG GIT_*")),
            &["environment"],
            0,
        ),
        (
            "a key without a forced command",
            Box::new(|_| add(&keys, &mallory)),
            &["login"],
            1,
        ),
        (
            "a key of nobody, in alice's name",
            Box::new(|_| add(&keys, &format!("{held} {mallory}"))),
            &["login"],
            1,
        ),
        (
            "a key that does something else",
            Box::new(|_| add(&keys, &format!("command=\"backup\" {mallory}"))),
            &[],
            0,
        ),
        (
            "keys that others can write",
            Box::new(|_| chmod(&keys, 0o666)),
            &["login"],
            2,
        ),
        (
            "settings that include themselves in a way not read here",
            Box::new(|_| add(&config, "Include /etc/ssh/[a-z]/*.conf")),
            &["environment"],
            0,
        ),
    ];
    if rustix::process::geteuid().is_root() {
        openings.push((
            "keys of another account",
            Box::new(|_| chown(&keys, Some(65_534), None).unwrap()),
            &["login"],
            2,
        ));
    }
    each(&server, &openings);
    // The line it gives keeps what does no harm; reloading sshd is not for a test.
    add(&config, "AcceptEnv XMODIFIERS GIT_* LC_MINE");
    let found = open(&server);
    mend(&server, &found[0].1["open"][0], 1);
    assert_eq!(open(&server), []);
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.ends_with("\nAcceptEnv XMODIFIERS LC_MINE\n"), "{text}");
    assert_eq!(
        fs::metadata(&config).unwrap().uid(),
        rustix::process::geteuid().as_raw()
    );
    assert_ne!(fs::metadata(&keys).unwrap().permissions().mode() & 0o600, 0);
}

/// Dry run is open, of the host and of a ref, while the proof says that it would have been refused.
#[test]
fn dry_run() {
    let server = Server::with(&policy(PLAIN_RULE), &People::new());
    server.enroll(&["--mode", "dry-run"]).accepted();
    let found = open(&server);
    assert_eq!(names(&found), ["dry-run"]);
    run(command(&server, &[])).exits(1).says("but for dry run");
    mend(&server, &found[0].1["open"][0], 1);
    assert_eq!(open(&server), []);
    let by_policy = policy_text("", "mode = \"dry-run\"\n", PLAIN_RULE);
    let server = Server::with(&by_policy, &People::new());
    let found = open(&server);
    assert_eq!(names(&found), ["dry-run"]);
    assert!(
        found[0].1["open"][0]["says"]
            .as_str()
            .unwrap()
            .contains(MAIN)
    );
}

/// People without a key, rules that hang on one person or on bots, and a host that knows nobody.
#[test]
fn people_and_rules() {
    let ended = "until = 2026-01-01T00:00:00Z";
    let team = |require: &str| rule("r", &format!("require = [\"{require}\"]"));
    for (rules, people, pusher, want) in [
        (
            PLAIN_RULE.to_owned(),
            People::new().key_terms("dana", ended),
            None,
            &["people"][..],
        ),
        (team("1 of @security"), People::new(), None, &["rules"]),
        (
            team("1 of release-bot|alice"),
            People::new(),
            None,
            &["rules"],
        ),
        (
            PLAIN_RULE.to_owned(),
            People::new(),
            Some("forgejo"),
            &["people"],
        ),
        (
            PLAIN_RULE.to_owned(),
            People::new().lines("bob", "accounts = { forgejo = 7 }\n"),
            Some("forgejo"),
            &[],
        ),
        (PLAIN_RULE.to_owned(), People::new(), Some("push-cert"), &[]),
    ] {
        let server = Server::with(&policy(&rules), &people);
        ssh(&server);
        if let Some(pusher) = pusher {
            server.enroll(&["--pusher", pusher]).accepted();
        }
        let found = open(&server);
        assert_eq!(names(&found), want, "{rules}{pusher:?}: {found:#?}");
    }
}
