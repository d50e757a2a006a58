//! Small pushes that stand for an endless amount of work.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::{approved_and_refused, without_fsck};
use crate::support::config::PLAIN_RULE;
use crate::support::objects::{blob, commit_tree, commit_with_entries, raw, tree, write};
use crate::support::{Checkout, MAIN, Outcome, People, Server, policy, rule, two_people};

/// What a refusal may take at the most, on a busy machine and without optimisation.
const SOON: Duration = Duration::from_secs(90);

/// Adds to the `[limits]` of the host.
fn limit(server: &Server, line: &str) {
    let file = server.record("server.toml");
    let mut file = std::fs::File::options().append(true).open(file).unwrap();
    write!(file, "\n[limits]\n{line}\n").unwrap();
}

/// Runs the hook about a push to main with so little memory, in MiB, that a bomb would kill it.
fn hook_within(server: &Server, mib: usize, head: &str) -> Outcome {
    let line = format!("{} {head} {MAIN}\n", server.main());
    let binary = env!("CARGO_BIN_EXE_countersign");
    let script = format!("ulimit -v {}; exec {binary} hook pre-receive", mib * 1024);
    let mut command = crate::support::server::scrubbed("sh", server.folder());
    command
        .args(["-c", &script])
        .current_dir(server.repo())
        .env("GIT_DIR", ".")
        .env("COUNTERSIGN_PUSHER", "alice");
    Outcome::of(&mut command, line.as_bytes())
}

/// Writes a history by `git fast-import`.
fn import(at: &Checkout, stream: &str) {
    at.git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes());
}

/// The lines of a commit in a fast-import stream.
fn commit_lines(name: &str, from: Option<&str>) -> String {
    let from = from.map_or_else(String::new, |from| format!("from {from}\n"));
    format!(
        "commit {name}\ncommitter alice <alice@example.com> 1700000000 +0000\ndata 2\nx\n{from}"
    )
}

/// DOS-01: more refs in one push than anybody means.
#[test]
fn dos_01_ref_flood() {
    let (server, alice, _) = two_people();
    let (tip, zero) = (server.main(), "0".repeat(40));
    let start = Instant::now();
    for count in [2_000, 100_000] {
        let mut lines = String::new();
        for at in 0..count {
            writeln!(lines, "{zero} {tip} refs/tags/flood-{at}").unwrap();
        }
        let outcome = server.hook("pre-receive", lines.as_bytes());
        outcome.refused(&["over-budget"]);
    }
    assert!(start.elapsed() < SOON);
    let mut creations = String::new();
    for at in 0..1_100 {
        writeln!(creations, "create refs/tags/flood-{at} {tip}").unwrap();
    }
    alice.git_with(&["update-ref", "--stdin"], creations.as_bytes());
    let outcome = alice.push(&["refs/tags/*:refs/tags/*"]);
    outcome.refused(&["over-budget"]).says("1000 refs");
    assert_eq!(server.tip("refs/tags/flood-0"), None);
}

/// DOS-02: ten levels of ten times the same tree are ten thousand million paths in twenty objects.
#[test]
fn dos_02_tree_bomb() {
    let (server, alice, bob) = two_people();
    let mut below = ("100644", blob(&alice, "boom\n"));
    for _ in 0..10 {
        let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (below.0, name.as_bytes(), below.1.as_str()))
            .collect();
        below = ("40000", tree(&alice, &entries));
    }
    let head = commit_with_entries(&alice, &[("40000", b"bomb", &below.1)]);
    let start = Instant::now();
    approved_and_refused(&server, &alice, &bob, &head, &["over-budget"]);
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// DOS-02: few paths of long names fill memory as well; their bytes are counted.
#[test]
fn dos_02_long_names() {
    let (server, alice, bob) = two_people();
    let file = blob(&alice, "boom\n");
    let names: Vec<String> = (0..200)
        .map(|n| format!("{n:03}{}", "x".repeat(197)))
        .collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| ("100644", name.as_bytes(), file.as_str()))
        .collect();
    let inner = tree(&alice, &files);
    let long: Vec<String> = (0..200)
        .map(|n| format!("{n:03}{}", "y".repeat(3_700)))
        .collect();
    let folders: Vec<_> = long
        .iter()
        .map(|name| ("40000", name.as_bytes(), inner.as_str()))
        .collect();
    let outer = tree(&alice, &folders);
    let head = commit_with_entries(&alice, &[("40000", b"zz", &outer)]);
    approved_and_refused(&server, &alice, &bob, &head, &["over-budget"]).says("67108864 bytes of");
    hook_within(&server, 512, &head).refused(&["over-budget"]);
}

/// DOS-02: co-authors without end, in one commit or in many: each would be told of, several times over.
#[test]
fn dos_02_co_authors() {
    let (server, alice, _) = two_people();
    let (base, trail) = (server.main(), server.record("audit.jsonl"));
    let mut pushes = 0;
    for (commits, each) in [(1, 2_000), (150, 600)] {
        let mut stream = String::new();
        for commit in 0..commits {
            let mut message = "x\n\n".to_owned();
            for n in 0..each {
                writeln!(message, "Co-authored-by: a <{commit}-{n}@e.x>").unwrap();
            }
            let from = match commit {
                0 => format!("from {base}\n"),
                _ => String::new(),
            };
            writeln!(
                stream,
                "commit refs/heads/many\ncommitter alice <alice@example.com> 1700000000 +0000\ndata {}\n\
                 {message}\n{from}M 100644 inline a.txt\ndata <<E\n{commit}\nE\n",
                message.len()
            )
            .unwrap();
        }
        import(&alice, &stream);
        let head = alice.git(&["rev-parse", "refs/heads/many"]);
        alice.share(&head);
        let outcome = alice.land(&head).refused(&["over-budget"]);
        outcome.says("people named in one c");
        hook_within(&server, 512, &head).refused(&["over-budget"]);
        pushes += 2;
    }
    let len = std::fs::metadata(trail).unwrap().len();
    assert!(len < pushes * 10_000, "{len} bytes about {pushes} pushes");
}

/// DOS-03: two hundred MiB in a few hundred KiB are told by their size and never inflated.
#[test]
fn dos_03_blob_bomb() {
    let (server, alice, bob) = two_people();
    let file = alice.dir().join("zeros");
    std::fs::File::create(&file)
        .and_then(|zeros| zeros.set_len(200 << 20))
        .unwrap();
    let bomb = alice.git(&["hash-object", "-w", file.to_str().unwrap()]);
    let ci = tree(&alice, &[("100644", b"run", &bomb)]);
    let head = commit_with_entries(&alice, &[("40000", b"ci", &ci)]);
    approved_and_refused(&server, &alice, &bob, &head, &["hidden-content"]).says("209715200 bytes");
    let start = Instant::now();
    hook_within(&server, 384, &head).refused(&["hidden-content"]);
    assert!(start.elapsed() < SOON);
}

/// DOS-03: a chain of hundreds of deltas is followed in bounded time, and its end is judged.
#[test]
fn dos_03_delta_chain() {
    let (server, alice, bob) = two_people();
    server.git(&["config", "receive.unpackLimit", "1"]);
    for (key, value) in [
        ("pack.depth", "4000"),
        ("pack.window", "4"),
        ("pack.threads", "1"),
    ] {
        alice.git(&["config", key, value]);
    }
    let mut seed = 1u64;
    let mut line = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{seed:016x} and some more of it\n")
    };
    let mut lines: Vec<String> = (0..1_000).map(|_| line()).collect();
    let mut entries = Vec::new();
    for at in 0..300usize {
        lines[at * 3] = line();
        lines.push(line());
        entries.push((format!("v{at:03}"), blob(&alice, &lines.concat())));
    }
    let entries: Vec<_> = entries
        .iter()
        .map(|(name, oid)| ("100644", name.as_bytes(), oid.as_str()))
        .collect();
    let ci = tree(&alice, &entries);
    let head = commit_with_entries(&alice, &[("40000", b"ci", &ci)]);
    alice.share(&head);
    bob.approve(&head).accepted();
    let start = Instant::now();
    alice.land(&head).accepted();
    assert!(start.elapsed() < SOON);
    let deltas = server.git(&["count-objects", "-v"]);
    assert!(deltas.contains("packs: "), "{deltas}");
}

/// DOS-03: many files that are allowed one by one are too much together.
#[test]
fn dos_03_many_large_files() {
    let (server, alice, bob) = two_people();
    limit(&server, "bytes = 100000");
    let names: Vec<String> = (0..33).map(|n| format!("{n:02}")).collect();
    let file = blob(&alice, &"some text\n".repeat(9_999));
    let files: Vec<_> = names
        .iter()
        .map(|name| ("100644", name.as_bytes(), file.as_str()))
        .collect();
    let all = tree(&alice, &files);
    let head = commit_with_entries(&alice, &[("40000", b"zz", &all)]);
    approved_and_refused(&server, &alice, &bob, &head, &["over-budget"]).says("3200000 bytes of");
}

/// DOS-05: globs that cost other matchers exponential time, over names made for them.
#[test]
fn dos_05_pathological_globs() {
    let glob = format!("{}b", "*a".repeat(60));
    let deep = format!("{}b", "**/a*/".repeat(20));
    let rules = format!(
        "{PLAIN_RULE}{}",
        rule(
            "globs",
            &format!("require = [\"1 of @maintainers\"]\npaths = [\"{glob}\", \"{deep}\"]")
        )
    );
    let server = Server::with(&policy(&rules), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let mut below = ("100644", blob(&alice, "x\n"));
    for level in 0..15 {
        let names: Vec<String> = (0..if level == 0 { 300 } else { 1 })
            .map(|n| format!("{}{n:03}", "a".repeat(240)))
            .collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (below.0, name.as_bytes(), below.1.as_str()))
            .collect();
        below = ("40000", tree(&alice, &entries));
    }
    let head = commit_with_entries(&alice, &[("40000", b"zz", &below.1)]);
    alice.share(&head);
    bob.approve(&head).accepted();
    let start = Instant::now();
    alice.land(&head).accepted();
    assert!(start.elapsed() < SOON);
}

/// DOS-05: a policy made to be slow to read is refused where it is too much.
#[test]
fn dos_05_policy_bombs() {
    let (server, alice, bob) = two_people();
    let good = policy(PLAIN_RULE);
    let list = |count| "\"a\", ".repeat(count);
    let many: String = (0..10_001).fold(String::new(), |mut all, n| {
        write!(all, "\"a{n}\", ").unwrap();
        all
    });
    let stars = "*a".repeat(65);
    for text in [
        format!("{good}[classes]\nconfig = [{many}]\n"),
        format!("{good}[classes]\nconfig = [{}]\n", list(200_000)),
        format!("{good}[classes]\nconfig = [\"{stars}\"]\n"),
        format!("{good}x = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{good}x = {}\n", "{a=".repeat(100_000)),
        format!("{good}{}a = 1\n", "a.".repeat(100_000)),
        format!(
            "{good}{}",
            rule("x", "require = [\"1 of any\"]").repeat(1_001)
        ),
        format!("{good}#{}\n", "x".repeat(1 << 20)),
    ] {
        alice.onto("origin/main");
        let head = alice.change(".countersign/policy.toml", &text);
        let start = Instant::now();
        let codes = ["policy-invalid", "over-budget"];
        approved_and_refused(&server, &alice, &bob, &head, &codes);
        assert!(start.elapsed() < SOON);
    }
}

/// DOS-06: a history of fifty thousand commits under a limit of ten thousand, on any ref.
#[test]
fn dos_06_long_range() {
    let (server, alice, _) = two_people();
    limit(&server, "objects = 10000");
    let mut stream = commit_lines("refs/heads/long", Some(&server.main()));
    for _ in 1..50_000 {
        stream += &commit_lines("refs/heads/long", None);
    }
    import(&alice, &stream);
    for target in [
        MAIN,
        "refs/heads/topic",
        "refs/countersign/proposals/alice/x",
    ] {
        let start = Instant::now();
        let outcome = alice.push(&[&format!("refs/heads/long:{target}")]);
        outcome.refused(&["over-budget"]).says("more than 10000");
        assert!(start.elapsed() < SOON, "{target}");
    }
}

/// DOS-06: two thousand directories one in the other, the most that git itself takes, end no stack.
#[test]
fn dos_06_deep_nesting() {
    let (server, alice, bob) = two_people();
    let path = format!("{}f", "d/".repeat(2_000));
    let lines = commit_lines("refs/heads/deep", Some(&server.main()));
    import(
        &alice,
        &format!("{lines}M 100644 inline {path}\ndata 2\nx\n"),
    );
    let head = alice.git(&["rev-parse", "refs/heads/deep"]);
    approved_and_refused(&server, &alice, &bob, &head, &["over-budget"]).says("directory levels");
}

/// DOS-06: a path longer than any file system takes.
#[test]
fn dos_06_long_path() {
    let (server, alice, bob) = two_people();
    let mut below = ("100644", blob(&alice, "x\n"));
    for letter in ["a", "b", "c"] {
        let name = letter.repeat(2_000);
        below = (
            "40000",
            tree(&alice, &[(below.0, name.as_bytes(), &below.1)]),
        );
    }
    let head = commit_with_entries(&alice, &[("40000", b"zz", &below.1)]);
    approved_and_refused(&server, &alice, &bob, &head, &["over-budget"]).says("4096 bytes");
}

/// DOS-06: a message of more than a MiB, and more parents than any merge has.
#[test]
fn dos_06_swollen_commits() {
    let (server, alice, bob) = without_fsck();
    let good = alice.change("a.txt", "new\n");
    let text = raw(&alice, &good);
    let (head, _) = text.split_once("\n\n").unwrap();
    let long = write(
        &alice,
        "commit",
        format!("{head}\n\n{}", "x".repeat(1 << 20)).as_bytes(),
    );
    approved_and_refused(&server, &alice, &bob, &long, &["over-budget"]).says("1048576");
    let tip = server.main();
    let roots: String = (0..300).fold(String::new(), |mut all, at| {
        let lines = commit_lines(&format!("refs/heads/root-{at}"), Some(&tip));
        write!(all, "{lines}M 100644 inline f{at}\ndata 2\nx\n\n").unwrap();
        all
    });
    import(&alice, &roots);
    let roots = alice.git(&[
        "for-each-ref",
        "--format=%(objectname)",
        "refs/heads/root-*",
    ]);
    let parents: Vec<&str> = roots.lines().collect();
    assert_eq!(parents.len(), 300);
    let octopus = commit_tree(&alice, &alice.tree(&good), &parents);
    approved_and_refused(&server, &alice, &bob, &octopus, &["malformed-object"])
        .says("more than 256");
}
