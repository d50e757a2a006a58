//! Where the log's key is kept: each store by the real thing, and what a push sees when it is gone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::bad_input::files_below;
use crate::second_verifier::python;
use crate::support::config::PLAIN_RULE;
use crate::support::server::scrubbed;
use crate::support::{Checkout, Format, MAIN, Outcome, People, Server, approved_topic, policy};

/// A server that is not enrolled yet, with this below `[record]` of its `server.toml`.
pub(crate) fn server_with(record: &str) -> Server {
    let server = Server::bare(Format::Sha1);
    server.seed(&[
        (".countersign/policy.toml", policy(PLAIN_RULE).as_str()),
        (".countersign/people.toml", People::new().text().as_str()),
        ("README.md", "hello\n"),
    ]);
    let mut private = fs::DirBuilder::new();
    private.mode(0o700).create(server.record("")).unwrap();
    settings(&server, record);
    server
}

/// Writes `server.toml` as an admin would.
pub(crate) fn settings(server: &Server, record: &str) {
    let text = format!("pusher = {{ env = \"COUNTERSIGN_PUSHER\" }}\n[record]\n{record}\n");
    fs::write(server.record("server.toml"), text).unwrap();
}

fn run(program: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut command = scrubbed(program, &std::env::temp_dir());
    command.args(args).envs(env.iter().copied());
    Outcome::of(&mut command, b"").accepted().stdout
}

/// A real ssh-agent, until it is dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) socket: PathBuf,
}

impl Agent {
    pub(crate) fn start(folder: &Path) -> Self {
        let socket = folder.join("agent.sock");
        fs::remove_file(&socket).ok();
        let child = scrubbed("ssh-agent", folder)
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            assert!(Instant::now() < deadline, "ssh-agent does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, socket }
    }

    /// Makes a key of this name, where there is none, and adds it.
    pub(crate) fn add(&self, name: &str) {
        let path = self.socket.with_file_name(name);
        let path = path.to_str().unwrap();
        if !Path::new(path).exists() {
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", path],
                &[],
            );
        }
        self.ssh_add(&["-q", path]);
    }

    /// Fingerprints of what it holds.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        let lines = self.ssh_add(&["-l"]);
        let second = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
        lines.lines().map(second).collect()
    }

    fn ssh_add(&self, args: &[&str]) -> String {
        let socket = self.socket.to_str().unwrap();
        run("ssh-add", args, &[("SSH_AUTH_SOCK", socket)])
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A SoftHSM token with a key labelled `note`.
pub(crate) struct Token {
    folder: PathBuf,
    module: &'static str,
}

impl Token {
    /// Makes one where the server's processes find it; in CI SoftHSM must be there.
    pub(crate) fn new(server: &Server) -> Option<Self> {
        let module = [
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib64/pkcs11/libsofthsm2.so",
        ];
        let Some(module) = module.into_iter().find(|path| Path::new(path).exists()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "SoftHSM is not installed, and in CI it must be"
            );
            eprintln!("SKIPPED: SoftHSM is not installed (softhsm2, opensc)");
            return None;
        };
        let folder = server.folder().join("softhsm");
        fs::create_dir_all(folder.join("tokens")).unwrap();
        let tokens = folder.join("tokens");
        let conf = format!("directories.tokendir = {}\n", tokens.display());
        fs::write(folder.join("softhsm2.conf"), &conf).unwrap();
        // Where commands of the admin's look, whose home this is.
        let usual = server.folder().join(".config/softhsm2");
        fs::create_dir_all(&usual).unwrap();
        fs::write(usual.join("softhsm2.conf"), &conf).unwrap();
        let this = Self { folder, module };
        this.pin("1234");
        let init = "--init-token --free --label log --pin 1234 --so-pin 5678";
        let init: Vec<_> = init.split(' ').collect();
        run("softhsm2-util", &init, &[("SOFTHSM2_CONF", &this.conf())]);
        this.generate("note");
        Some(this)
    }

    pub(crate) fn generate(&self, label: &str) {
        let args = "--token-label log --login --pin 1234 --keypairgen --key-type EC:edwards25519";
        let mut args: Vec<_> = args.split(' ').collect();
        args.extend(["--module", self.module, "--label", label]);
        run("pkcs11-tool", &args, &[("SOFTHSM2_CONF", &self.conf())]);
    }

    pub(crate) fn conf(&self) -> String {
        let path = self.folder.join("softhsm2.conf");
        path.to_str().unwrap().to_owned()
    }

    fn pin(&self, pin: &str) {
        let path = self.folder.join("pin");
        fs::write(&path, format!("{pin}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn value(&self, label: &str) -> String {
        let pin = self.folder.join("pin");
        format!(
            "{{ pkcs11 = \"{}\", token = \"log\", label = \"{label}\", pin_file = \"{}\" }}",
            self.module,
            pin.display()
        )
    }
}

/// Everything of the record that a push may write; the audit trail and the index aside.
fn written(server: &Server) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files_below(&server.record("")).into_iter();
    let files = files.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        !name.starts_with("index.db") && name != "audit.jsonl"
    });
    files
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect()
}

/// Enrols, lands a change, and asks both verifiers; no private key is in the record.
fn lands(server: &Server, people: &[&dyn Fn(Checkout) -> Checkout]) -> (Checkout, Checkout) {
    server.enroll(&[]).accepted();
    let checkout = |person| {
        people
            .iter()
            .fold(server.checkout(person), |at, set| set(at))
    };
    let (alice, bob) = (checkout("alice"), checkout("bob"));
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    assert!(!server.record("key").exists());
    is_good(server);
    server.cli(&["verify", "commit", MAIN]).accepted();
    (alice, bob)
}

fn is_good(server: &Server) {
    server.log_is_good();
    python(&[&server.record("")]).accepted();
    server.cli(&["verify", "history"]).accepted();
}

/// Sees a landing refused because nobody signs, with nothing written; and taken once that is mended.
#[track_caller]
fn refused_until(server: &Server, alice: &Checkout, head: &str, why: &str, mend: impl FnOnce()) {
    let (tip, before) = (server.main(), written(server));
    let refused = alice.land(head);
    let refused = refused.refused(&["undecidable"]);
    assert!(refused.stderr.contains(why), "{why}: {refused}");
    assert_eq!(server.main(), tip);
    assert_eq!(written(server), before, "{why}");
    server.cli(&["audit"]).exits(1).says("record-key");
    mend();
    alice.land(head).accepted();
    is_good(server);
}

/// A key in an ssh-agent signs; an agent that is gone, or holds another key, lets nothing land.
#[test]
fn ssh_agent() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path());
    let value = |print: &str| {
        let socket = folder.path().join("agent.sock");
        format!("key = {{ agent = \"{}\"{print} }}", socket.display())
    };
    let server = server_with(&value(""));
    server.enroll(&[]).exits(3).says("holds no Ed25519 key");
    agent.add("one");
    agent.add("two");
    server.enroll(&[]).exits(3).says("holds 2 Ed25519 keys");
    let print = format!(", fingerprint = \"{}\"", agent.fingerprints()[0]);
    settings(&server, &value(&print));
    // Whoever forwards an agent of his own reaches nobody with it.
    let forwards = |at: Checkout| at.env("SSH_AUTH_SOCK", "/nonexistent");
    let (alice, bob) = lands(&server, &[&forwards]);

    let head = approved_topic(&alice, &bob, "b.txt");
    drop(agent);
    let mut again = None;
    refused_until(&server, &alice, &head, "cannot be asked", || {
        let agent = Agent::start(folder.path());
        agent.add("two");
        let why = "which is the log's";
        alice.land(&head).refused(&["undecidable"]).says(why);
        agent.add("one");
        again = Some(agent);
    });
}

/// A key behind PKCS#11 signs; without its token, its PIN or its label nothing lands.
#[test]
fn pkcs11() {
    let server = server_with("");
    let Some(token) = Token::new(&server) else {
        return;
    };
    settings(&server, &format!("key = {}", token.value("note")));
    let conf = token.conf();
    let finds = |at: Checkout| at.env("SOFTHSM2_CONF", &conf);
    let (alice, bob) = lands(&server, &[&finds]);
    let head = approved_topic(&alice, &bob, "b.txt");
    let (tokens, away) = (token.folder.join("tokens"), token.folder.join("away"));
    fs::rename(&tokens, &away).unwrap();
    fs::create_dir(&tokens).unwrap();
    refused_until(&server, &alice, &head, "0 tokens labelled", || {
        fs::remove_dir(&tokens).unwrap();
        fs::rename(&away, &tokens).unwrap();
    });
    let head = approved_topic(&alice, &bob, "c.txt");
    token.pin("4321");
    refused_until(&server, &alice, &head, "PIN", || token.pin("1234"));
    let head = approved_topic(&alice, &bob, "d.txt");
    let pin = token.folder.join("pin");
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o644)).unwrap();
    let mend = || fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
    refused_until(&server, &alice, &head, "others than its owner", mend);
    let head = approved_topic(&alice, &bob, "e.txt");
    token.generate("other");
    settings(&server, &format!("key = {}", token.value("other")));
    let why = "its signature is not by the log's key";
    refused_until(&server, &alice, &head, why, || {
        settings(&server, &format!("key = {}", token.value("note")));
    });
}

/// The script of `docs/keys.md`, with the keys `one` and `two`; the file `mode` beside it says what it
/// does instead.
pub(crate) fn command(folder: &Path) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys.md");
    let page = fs::read_to_string(page).unwrap();
    let script = page
        .split("```sh\n")
        .find(|block| block.starts_with("#!/bin/sh"))
        .and_then(|block| block.split("```").next())
        .unwrap();
    for key in ["one", "two"] {
        let path = folder.join(format!("{key}.pem"));
        let path = path.to_str().unwrap();
        run(
            "openssl",
            &["genpkey", "-algorithm", "ed25519", "-out", path],
            &[],
        );
    }
    let here = folder.display();
    let odd = format!(
        "#!/bin/sh\nmode=$(cat '{here}/mode')\ncase $mode in\nfail) echo 'the card is gone' >&2; exit 1;;\n\
         hang) exec sleep 1000;;\nlong) exec yes;;\nesac\nkey='{here}'/$mode.pem\n"
    );
    assert_eq!(script.matches("\nkey=").count(), 1, "{script}");
    let lines = script.lines().skip(1);
    let kept: Vec<_> = lines.filter(|line| !line.starts_with("key=")).collect();
    let path = folder.join("sign");
    fs::write(&path, odd + &kept.join("\n") + "\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join("mode"), "one").unwrap();
    format!("{{ command = [\"{}\"] }}", path.display())
}

/// A command signs; one that fails, hangs, writes too much or signs with another key lets nothing land.
#[test]
fn a_command() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_with(&format!("key = {}", command(folder.path())));
    let (alice, bob) = lands(&server, &[]);
    for (number, (mode, why)) in [
        ("fail", "exit status: 1: the card is gone"),
        ("hang", "no answer within 5 s"),
        ("two", "its signature is not by the log's key"),
    ]
    .into_iter()
    .enumerate()
    {
        let head = approved_topic(&alice, &bob, &format!("{number}.txt"));
        fs::write(folder.path().join("mode"), mode).unwrap();
        refused_until(&server, &alice, &head, why, || {
            fs::write(folder.path().join("mode"), "one").unwrap();
        });
    }
}

/// A store that breaks off between the verdict and the entry leaves the landing to be recorded later.
#[test]
fn a_store_that_breaks_off_half_way() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_with(&format!("key = {}", command(folder.path())));
    let (alice, bob) = lands(&server, &[]);
    let head = approved_topic(&alice, &bob, "b.txt");
    let size = server.log_size();
    // After our hook has said yes, before the one that records.
    let hook = server.repo().join("hooks/post-receive");
    let ours = fs::read_to_string(&hook).unwrap();
    let mode = folder.path().join("mode");
    let first = format!("#!/bin/sh\necho fail >'{}'\n", mode.display());
    fs::write(&hook, ours.replacen("#!/bin/sh\n", &first, 1)).unwrap();
    alice.land(&head).either();
    fs::write(&hook, ours).unwrap();
    assert_eq!(server.main(), head);
    assert_eq!(server.log_size(), size);
    fs::write(&mode, "one").unwrap();
    server.cli(&["log", "reconcile"]).accepted();
    assert_eq!(server.log_size(), size + 1);
    server.cli(&["verify", "commit", &head]).accepted();
    is_good(&server);
}
