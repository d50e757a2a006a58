//! Bad input and bad days: refused with a reason, nothing lost, repository and log still good.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::push::approved_on_main;
use crate::support::objects;
use crate::support::{
    Checkout, Format, MAIN, Outcome, People, Server, approved_topic, policy, two_people,
};

/// The hook is given bytes and must refuse them, without a panic and without a trace in the log.
#[track_caller]
fn hook_refuses(server: &Server, stdin: &[u8]) -> Outcome {
    let (tip, size) = (server.main(), server.log_size());
    let outcome = server.hook("pre-receive", stdin).refused(&[]);
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    assert!(!outcome.stderr.trim().is_empty(), "refused without a word");
    assert_eq!((server.main(), server.log_size()), (tip, size));
    outcome
}

/// The whole server still works: the log verifies and a reviewed change lands.
#[track_caller]
fn still_good(server: &Server, alice: &Checkout, bob: &Checkout, file: &str) {
    server.log_is_good();
    let head = approved_on_main(alice, bob, file);
    alice.land(&head).accepted();
    assert_eq!(server.main(), head);
    server.log_is_good();
    server.cli(&["verify", "history"]).exits(0);
}

/// Hook lines that are cut off, garbled, repeated, or of another hash are refused.
#[test]
fn garbage_hook_lines() {
    let (server, alice, bob) = two_people();
    let (tip, zero) = (server.main(), "0".repeat(40));
    let head = approved_topic(&alice, &bob, "a.txt");
    let good = format!("{tip} {head} {MAIN}\n");
    let long = "0".repeat(64);
    let lines: Vec<Vec<u8>> = vec![
        good.trim_end().into(),
        good[..60].into(),
        format!("{good}{}", &good[..10]).into(),
        format!("{good}{good}").into(),
        format!("{tip} {head}\n").into(),
        format!("{tip} {head} \n").into(),
        format!("{tip}  {head} {MAIN}\n").into(),
        format!("{tip} {head} {MAIN} more\n").into(),
        format!("{} {head} {MAIN}\n", &tip[..12]).into(),
        format!("{} {head} {MAIN}\n", tip.to_uppercase()).into(),
        format!("{long} {head} {MAIN}\n").into(),
        format!("{tip} {long} {MAIN}\n").into(),
        format!("{tip} {head} {MAIN}\0\n").into(),
        format!("{tip}\t{head}\t{MAIN}\n").into(),
        format!("{tip} {head} {MAIN}\r\n").into(),
        format!("\n{good}").into(),
        format!("{zero} {zero} {MAIN}\n").into(),
        b"\xff\xfe\x00\n".to_vec(),
        vec![b'x'; 1 << 20],
    ];
    for line in lines {
        hook_refuses(&server, &line);
    }
    server.hook("no-such-hook", good.as_bytes()).refused(&[]);
    alice.land(&head).accepted();
    server.log_is_good();
}

/// An empty standard input is no push to accept anything for.
#[test]
fn empty_hook_input() {
    let (server, alice, bob) = two_people();
    let size = server.log_size();
    server.hook("pre-receive", b"").either();
    server.hook("post-receive", b"").either();
    server.hook("post-receive", b"garbage").either();
    assert_eq!(server.log_size(), size);
    still_good(&server, &alice, &bob, "a.txt");
}

/// Ids that no object has are refused on every kind of ref that is judged.
#[test]
fn missing_objects() {
    let (server, ..) = two_people();
    let (tip, zero, none) = (server.main(), "0".repeat(40), "1".repeat(40));
    hook_refuses(&server, format!("{tip} {none} {MAIN}\n").as_bytes());
    for name in [
        "refs/heads/release/9",
        "refs/tags/v9",
        &format!("refs/countersign/reviews/{none}/alice"),
        "refs/countersign/proposals/alice/x",
    ] {
        hook_refuses(&server, format!("{zero} {none} {name}\n").as_bytes());
    }
    // A commit whose tree, or whose parent, is not there.
    let at = server.checkout("alice");
    let good = objects::raw(&at, &tip);
    let tree = at.tree(&tip);
    for broken in [
        good.replace(&tree, &none),
        good.replacen('\n', &format!("\nparent {none}\n"), 1),
    ] {
        let commit = objects::write(&at, "commit", broken.as_bytes());
        objects::write_on_server(&server, &at, &commit);
        hook_refuses(&server, format!("{tip} {commit} {MAIN}\n").as_bytes());
    }
}

/// Names of refs that are not UTF-8, or hold what no ref may hold, are refused.
#[test]
fn refs_that_are_no_text() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let zero = Format::Sha1.zero();
    for name in [
        &b"refs/heads/\xff\xfe"[..],
        b"refs/heads/ma\xffin",
        b"refs/heads/a\x07b",
        b"refs/heads/..",
        b"refs/heads/a..b",
        b"refs/heads/a.lock",
        b"refs/heads/a@{0}",
        b"refs/heads//main",
        b"refs/heads/main/",
        b"HEAD",
        b"main",
        b"refs/heads/$(id)",
    ] {
        let mut line = format!("{zero} {head} ").into_bytes();
        line.extend_from_slice(name);
        line.push(b'\n');
        hook_refuses(&server, &line);
    }
}

/// A path that is not UTF-8 is refused and shown percent-encoded.
#[test]
fn paths_that_are_no_text() {
    let (server, alice, bob) = two_people();
    server.git(&["config", "receive.fsckObjects", "false"]);
    let blob = objects::blob(&alice, "x\n");
    let head = objects::commit_with_entries(&alice, &[("100644", b"a\xff", &blob)]);
    alice.land(&head).refused(&["unsafe-path"]).says("a%FF");
    still_good(&server, &alice, &bob, "b.txt");
}

/// A commit message of 10 MB is refused in good time.
#[test]
fn huge_commit_message() {
    let (server, alice, bob) = two_people();
    let raw = objects::raw(&alice, &server.main());
    let (head, _) = raw.split_once("\n\n").unwrap();
    let text = format!(
        "{}\n\n{}",
        head.replacen('\n', &format!("\nparent {}\n", server.main()), 1),
        "all work and no play\n".repeat(500_000)
    );
    let commit = objects::write(&alice, "commit", text.as_bytes());
    let start = Instant::now();
    alice.land(&commit).refused(&[]);
    assert!(start.elapsed() < Duration::from_secs(30));
    still_good(&server, &alice, &bob, "b.txt");
}

/// A hundred thousand refs in one push are refused, not worked through.
#[test]
fn too_many_refs() {
    let (server, alice, bob) = two_people();
    let (tip, zero) = (server.main(), "0".repeat(40));
    let lines: String = (0..100_000)
        .map(|n| format!("{zero} {tip} refs/heads/flood-{n}\n"))
        .collect();
    let start = Instant::now();
    hook_refuses(&server, lines.as_bytes());
    assert!(start.elapsed() < Duration::from_secs(20));
    still_good(&server, &alice, &bob, "a.txt");
}

/// Without the key that signs the log nothing lands; with it back everything does.
#[test]
fn unreadable_key() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let key = signing_key(&server);
    let good = fs::read(&key).unwrap();
    let before = server.main();
    for bad in [&b""[..], b"PRIVATE+KEY+garbage\n", &good[..good.len() / 2]] {
        fs::write(&key, bad).unwrap();
        alice.land(&head).refused(&[]);
    }
    fs::remove_file(&key).unwrap();
    alice.land(&head).refused(&[]);
    fs::create_dir(&key).unwrap();
    alice.land(&head).refused(&[]);
    fs::remove_dir(&key).unwrap();
    assert_eq!(server.main(), before);
    // A key that is good, but not this log's.
    fs::copy(signing_key(&Server::new()), &key).unwrap();
    alice.land(&head).refused(&[]);
    assert_eq!(server.main(), before);
    fs::write(&key, &good).unwrap();
    alice.land(&head).accepted();
    server.log_is_good();
}

/// The one file of the record that only its owner may read.
fn signing_key(server: &Server) -> PathBuf {
    let keys: Vec<PathBuf> = files_below(&server.record(""))
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.contains("key") && !name.contains("vkey")
        })
        .collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys[0].clone()
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Where no byte can be written, nothing is accepted; the same push lands afterwards.
#[test]
fn no_byte_can_be_written() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let line = format!("{} {head} {MAIN}\n", server.main());
    let size = server.log_size();
    let binary = env!("CARGO_BIN_EXE_countersign");
    let mut shell = crate::support::server::scrubbed("sh", server.folder());
    shell
        .args([
            "-c",
            &format!("ulimit -f 0; '{binary}' hook pre-receive; exit $?"),
        ])
        .current_dir(server.repo())
        .env("GIT_DIR", ".")
        .env("COUNTERSIGN_PUSHER", "alice");
    let outcome = Outcome::of(&mut shell, line.as_bytes());
    assert!(!outcome.ok(), "accepted with nothing durable: {outcome}");
    assert_eq!(server.log_size(), size);
    alice.land(&head).accepted();
    server.log_is_good();
}

/// A full disk refuses and loses nothing.
#[test]
fn full_disk() {
    let disk = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::tmpfs(disk.path(), "size=24m") else {
        return;
    };
    let server = Server::with(&policy(crate::support::config::PLAIN_RULE), &People::new());
    let there = disk.path().join("record");
    move_record(&server, &there);
    let checkpoint = || fs::read(there.join("log/checkpoint")).unwrap();

    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    let (before, signed) = (server.main(), checkpoint());
    let ballast = disk.path().join("ballast");
    assert!(
        fs::write(&ballast, vec![0u8; 64 << 20]).is_err(),
        "the disk is not small"
    );
    alice.land(&head).refused(&[]);
    assert_eq!((server.main(), checkpoint()), (before, signed));
    fs::remove_file(&ballast).unwrap();
    alice.land(&head).accepted();
    server.log_is_good();
}

/// Moves all of the record but the settings to another folder, as `[record] dir` allows.
fn move_record(server: &Server, there: &Path) {
    let here = server.record("");
    fs::create_dir(there).unwrap();
    for entry in fs::read_dir(&here).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("server.toml") {
            continue;
        }
        let mut copy = std::process::Command::new("cp");
        assert!(
            copy.arg("-a")
                .arg(&path)
                .arg(there)
                .status()
                .unwrap()
                .success()
        );
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
    let settings = server.record("server.toml");
    let mut text: String = fs::read_to_string(&settings)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("dir = ") && *line != "[record]")
        .map(|line| format!("{line}\n"))
        .collect();
    text += &format!("\n[record]\ndir = \"{}\"\n", there.display());
    fs::write(settings, text).unwrap();
    // Until it is enrolled again, nothing says whose record that is.
    let hook = server.hook("pre-receive", b"");
    assert!(hook.refused(&[]).stderr.contains("enroll"));
    server.enroll(&[]).accepted();
}

/// A small file system until it is dropped.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Mounts it with options of tmpfs(5), or says that it may not.
    pub(crate) fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!(
                "SKIPPED: a full disk needs the right to mount; no_byte_can_be_written stands in"
            );
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status()
            .ok();
    }
}

/// What a crash left beyond the checkpoint is overwritten, and the log goes on.
#[test]
fn torn_log_tail() {
    let (server, alice, bob) = two_people();
    let size = server.log_size();
    for (level, width) in [
        ("entries", size + 1),
        ("0", size + 1),
        ("entries", size + 2),
    ] {
        let tile = server.record(&format!("log/tile/{level}/000.p/{width}"));
        fs::create_dir_all(tile.parent().unwrap()).unwrap();
        fs::write(tile, b"torn").unwrap();
    }
    still_good(&server, &alice, &bob, "a.txt");
}

/// A torn checkpoint is never believed: refused until it is put back.
#[test]
fn torn_checkpoint() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let checkpoint = server.record("log/checkpoint");
    let good = fs::read(&checkpoint).unwrap();
    let before = server.main();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for bad in [&good[..good.len() / 2], b"", &flipped] {
        fs::write(&checkpoint, bad).unwrap();
        alice.land(&head).refused(&[]);
        server.cli(&["log", "verify"]).refused(&[]);
    }
    assert_eq!(server.main(), before);
    fs::write(&checkpoint, &good).unwrap();
    alice.land(&head).accepted();
    server.log_is_good();
}

/// The index is rebuilt from the log wherever it is gone, garbage, or from another time.
#[test]
fn index_is_never_believed() {
    let (server, alice, bob) = two_people();
    let index = server.record("index.db");
    let early = fs::read(&index).ok();
    still_good(&server, &alice, &bob, "a.txt");
    for bad in [None, Some(b"garbage".to_vec()), early] {
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            fs::remove_file(server.record(name)).ok();
        }
        let name = format!("{}.txt", bad.as_ref().map_or(0, Vec::len));
        if let Some(bytes) = bad {
            fs::write(&index, bytes).unwrap();
        }
        still_good(&server, &alice, &bob, &name);
    }
}

/// A policy that does not parse at the tip refuses every push until the host adopts a mended one.
#[test]
fn broken_policy_at_the_tip() {
    let (server, alice, bob) = two_people();
    let broken = alice.change(".countersign/policy.toml", "version = 99\n");
    alice.share(&broken);
    server.git(&["update-ref", MAIN, &broken]);
    let next = alice.change("a.txt", "x\n");
    alice.land(&next).refused(&[]);
    // Adopting the broken one is the admin's to try; it must not open the gate.
    server.cli(&["log", "adopt", MAIN]).either();
    alice.land(&next).refused(&[]);
    assert_eq!(server.main(), broken);

    let mended = alice.change(
        ".countersign/policy.toml",
        &policy(crate::support::config::PLAIN_RULE),
    );
    server.git(&["fetch", "-q", alice.dir().to_str().unwrap(), "HEAD"]);
    server.git(&["update-ref", MAIN, &mended]);
    server.cli(&["log", "adopt", MAIN, "--policy"]).accepted();
    server.cli(&["verify", "commit", &mended]).exits(1);
    let head = approved_on_main(&alice, &bob, "b.txt");
    alice.land(&head).accepted();
    server.log_is_good();
}

/// A hook that is killed at any moment accepts nothing and leaves a log that goes on.
#[test]
fn killed_hook() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let line = format!("{} {head} {MAIN}\n", server.main());
    for delay in [0u64, 1, 2, 4, 6, 8, 12, 16, 24] {
        let binary = env!("CARGO_BIN_EXE_countersign");
        let mut command = crate::support::server::scrubbed(binary, server.repo());
        command
            .args(["hook", "pre-receive"])
            .env("GIT_DIR", ".")
            .env("COUNTERSIGN_PUSHER", "alice")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut pipe, line.as_bytes()).ok();
        drop(pipe);
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        server.log_is_good();
    }
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server.log_is_good();
    server.cli(&["verify", "history"]).exits(0);
}

/// In a namespace the names git shows are not the refs it moves: refused.
#[test]
fn namespaces_are_refused() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let line = format!("{} {head} {MAIN}\n", server.main());
    let mut command = server.countersign(&["hook", "pre-receive"]);
    command
        .current_dir(server.repo())
        .env("GIT_DIR", ".")
        .env("GIT_NAMESPACE", "n")
        .env("COUNTERSIGN_PUSHER", "alice");
    Outcome::of(&mut command, line.as_bytes()).refused(&[]);
}

/// A server whose settings cannot be read decides nothing.
#[test]
fn broken_server_settings() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let settings = server.record("server.toml");
    let good = fs::read_to_string(&settings).unwrap();
    for bad in [
        format!("{good}\nunknown_key = 1\n"),
        format!("unknown_key = 1\n{good}"),
        "pusher = [".to_owned(),
        good.replace("COUNTERSIGN_PUSHER", "NOT_SET_ANYWHERE"),
    ] {
        fs::write(&settings, bad).unwrap();
        alice.land(&head).refused(&[]);
    }
    fs::write(&settings, good).unwrap();
    alice.land(&head).accepted();
}
