//! `log monitor`: a log followed over HTTP and in a folder, and a clone held against it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::server::scrubbed;
use crate::support::{Checkout, MAIN, Outcome, Server, approved_topic, two_people};

/// A real web server of one folder; it ends with the test.
struct Web(Child, String);

impl Web {
    fn of(folder: PathBuf) -> Self {
        let mut command = scrubbed("python3", &folder);
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let port = line.split(' ').find_map(|word| word.parse::<u16>().ok());
        let address = format!("http://127.0.0.1:{}/", port.expect(&line));
        Self(child, address)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn state(server: &Server) -> PathBuf {
    server.folder().join("state.json")
}

/// The command line, run where nothing of the server is at hand.
fn command(server: &Server, place: &str, more: &[&str]) -> Command {
    let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), server.folder());
    let key = server.record("log/vkey");
    command.args(["log", "monitor", place, "--key"]).arg(key);
    command.arg("--state").arg(state(server)).args(more);
    command
}

#[must_use]
fn monitor(server: &Server, place: &str, more: &[&str]) -> Outcome {
    Outcome::of(&mut command(server, place, more), b"")
}

fn adopt_something(server: &Server, alice: &Checkout) -> String {
    let stray = alice.change("stray.txt", "nobody saw this\n");
    alice.share(&stray);
    server.git(&["update-ref", MAIN, &stray]);
    server
        .cli(&["log", "adopt", MAIN, "--reason", "a test"])
        .accepted();
    stray
}

/// Changes a time that was kept to one long ago.
fn long_ago(server: &Server, change: impl Fn(&mut serde_json::Value)) {
    let text = std::fs::read_to_string(state(server)).unwrap();
    let mut kept = serde_json::from_str(&text).unwrap();
    change(&mut kept);
    std::fs::write(state(server), kept.to_string()).unwrap();
}

/// A log that went over to another key is followed on from what was seen; the old key alone is not
/// enough, nor a new one that nothing leads to, and what was taken out in between is found.
#[test]
fn follows_over_a_rotation() {
    let (server, alice, bob) = two_people();
    let place = server.record("log").to_str().unwrap().to_owned();
    let old = server.folder().join("old");
    std::fs::copy(server.record("log/vkey"), &old).unwrap();
    let old = old.to_str().unwrap();
    let look = |more: &[&str]| monitor(&server, &place, more);
    let first = approved_topic(&alice, &bob, "first.txt");
    alice.land(&first).accepted();
    look(&[]).exits(0);
    server.cli(&["log", "rotate"]).accepted();
    let link = server.record(&format!("log/rotations/{}", server.log_size()));
    let link = link.to_str().unwrap();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    look(&[]).exits(3);
    let with = |key: &str, more: &[&str]| {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), server.folder());
        command.args(["log", "monitor", &place, "--key", key]);
        command.arg("--state").arg(state(&server)).args(more);
        Outcome::of(&mut command, b"")
    };
    with(old, &[]).exits(1).says("bad-checkpoint");
    let vkey = server.record("log/vkey");
    let new = vkey.to_str().unwrap();
    with(new, &["--rotation", link])
        .exits(1)
        .says("no rotation");
    let kept = std::fs::read(state(&server)).unwrap();
    // An act of the host's admin, and nothing else to tell.
    with(old, &["--rotation", link])
        .exits(1)
        .says("[admin]")
        .says("1 to look at");
    with(new, &[]).exits(0);
    // What was seen before does hold against another log of this key.
    let text = String::from_utf8(kept).unwrap();
    let root = text.replacen("\"edge\": [\n    \"", "\"edge\": [\n    \"0", 1);
    assert_ne!(root, text);
    std::fs::write(state(&server), root).unwrap();
    with(old, &["--rotation", link]).exits(3);
}

/// Over HTTP: what lands is followed, what was adopted is told of once, and a folder that was put back
/// is found out, with both notes kept.
#[test]
fn follows_over_http() {
    let (server, alice, bob) = two_people();
    let web = Web::of(server.record("log"));
    monitor(&server, &web.1, &[]).exits(0);
    let kept = server.folder().join("kept");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(server.record("log"))
        .arg(&kept)
        .status();
    assert!(copied.unwrap().success());
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let found = monitor(&server, &web.1, &["--json"]);
    assert_eq!(found.json()["entries"], 2, "{found}");
    adopt_something(&server, &alice);
    monitor(&server, &web.1, &[]).exits(1).says("[adopted]");
    monitor(&server, &web.1, &[]).exits(0);
    let old = Web::of(kept.clone());
    for _ in 0..2 {
        monitor(&server, &old.1, &[]).exits(1).says("[rolled-back]");
    }
    let proof = std::fs::read_to_string(server.folder().join("state.json.proof")).unwrap();
    let shorter = std::fs::read_to_string(kept.join("checkpoint")).unwrap();
    assert!(proof.ends_with(&shorter), "{proof}");
    // The record's folder as well as the log's.
    for folder in [server.record("log"), server.record("")] {
        monitor(&server, folder.to_str().unwrap(), &[]).exits(0);
    }
}

/// Who does not answer is no alarm until the log has not grown for longer than allowed; a wrong key,
/// and a state that is none, are never passed over.
#[test]
fn says_what_it_cannot_tell() {
    let (server, ..) = two_people();
    let web = Web::of(server.record("log"));
    let address = web.1.clone();
    monitor(&server, &address, &["--stale", "1w"]).exits(0);
    drop(web);
    monitor(&server, &address, &["--stale", "1w"]).exits(3);
    long_ago(&server, |kept| {
        kept["moved"] = "2020-01-01T00:00:00Z".into()
    });
    monitor(&server, &address, &["--stale", "1w"])
        .exits(1)
        .says("[stale]");
    let folder = server.record("log");
    let folder = folder.to_str().unwrap();
    monitor(&server, folder, &["--stale", "1w"])
        .exits(1)
        .says("[stale]");
    monitor(&server, folder, &["--stale", "soon"]).exits(2);
    let other = two_people().0;
    std::fs::copy(other.record("log/vkey"), server.record("log/vkey")).unwrap();
    monitor(&server, folder, &[]).exits(3);
    std::fs::remove_file(state(&server)).unwrap();
    monitor(&server, folder, &[])
        .exits(1)
        .says("[bad-checkpoint]");
}

/// A branch that the server shows and does not record is found in a clone, after a while; one that is
/// behind, or was recorded meanwhile, is nothing.
#[test]
fn holds_a_clone_against_the_log() {
    let (server, alice, bob) = two_people();
    let log = server.record("log");
    let repo = ["--repo", alice.dir().to_str().unwrap()];
    let look = |more: &[&str]| monitor(&server, log.to_str().unwrap(), &[&repo, more].concat());
    look(&[]).exits(0);
    let head = approved_topic(&alice, &bob, "a.txt");
    bob.land(&head).accepted();
    look(&[]).exits(0);
    alice.fetch();
    look(&[]).exits(0);
    let stray = alice.change("stray.txt", "nobody saw this\n");
    alice.share(&stray);
    server.git(&["update-ref", MAIN, &stray]);
    alice.fetch();
    look(&[]).exits(0);
    let since = |kept: &mut serde_json::Value| {
        let waiting = &mut kept["repositories"][""]["unrecorded"][MAIN];
        waiting[0]["since"] = "2020-01-01T00:00:00Z".into();
    };
    long_ago(&server, since);
    for _ in 0..2 {
        look(&[]).exits(1).says("[unrecorded-tip]");
    }
    look(&["--remote", "nowhere"]).exits(0);
    look(&["--grace", "1w"]).exits(0);
    // Another false tip each time does not begin anew: the one before is told of, once.
    long_ago(&server, since);
    let other = alice.change("stray.txt", "nor this\n");
    alice.git(&["update-ref", "refs/remotes/origin/main", &other]);
    look(&[]).exits(1).says("[unrecorded-tip]").says(&stray);
    look(&[]).exits(0);
    alice.fetch();
    look(&[]).exits(0);
    // A clone that is not there hides nothing of the log.
    let away = ["--repo", "/nonexistent"];
    monitor(&server, log.to_str().unwrap(), &away).exits(3);
    server
        .cli(&["log", "adopt", MAIN, "--reason", "a test"])
        .accepted();
    look(&[]).exits(1).says("[adopted]");
    look(&[]).exits(0);
}

/// With `--every` it goes on after what it could not read, and after what it told.
#[test]
fn goes_on() {
    let (server, alice, _) = two_people();
    adopt_something(&server, &alice);
    let log = server.record("log");
    let away = server.record("away");
    std::fs::rename(&log, &away).unwrap();
    let key = std::fs::read_to_string(away.join("vkey")).unwrap();
    let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), server.folder());
    command.args(["log", "monitor"]).arg(&log);
    command
        .args(["--key", key.trim(), "--every", "1s", "--state"])
        .arg(state(&server));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut data = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(words.next().unwrap().unwrap().contains("checkpoint"));
    std::fs::rename(&away, &log).unwrap();
    let alarm = data.next().unwrap().unwrap();
    let quiet = words.find(|line| line.as_ref().unwrap().contains("nothing to tell"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(alarm.contains("[adopted]"), "{alarm}");
    assert!(quiet.is_some());
}
