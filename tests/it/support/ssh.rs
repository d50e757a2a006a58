//! A real sshd on loopback with forced commands, as a host would set it up.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::checkout::Checkout;
use super::keys;
use super::outcome::Outcome;
use super::server::{Server, scrubbed};

/// sshd until it is dropped.
pub(crate) struct SshServer {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl SshServer {
    /// Starts sshd for a server, or says loudly that there is none; in CI that is a failure.
    pub(crate) fn start(server: &Server) -> Option<Self> {
        let lines = keys::EVERYBODY.iter().map(|person| {
            format!(
                "restrict,command=\"COUNTERSIGN_PUSHER={person} exec git-shell -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" {}\n",
                keys::public(person)
            )
        });
        Self::start_with(server, &lines.collect::<String>())
    }

    /// The same with an authorized_keys of one's own.
    pub(crate) fn start_with(server: &Server, authorized_keys: &str) -> Option<Self> {
        let Some(sshd) = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists())
        else {
            assert!(
                std::env::var_os("CI").is_none(),
                "sshd is not installed, and in CI it must be"
            );
            eprintln!("SKIPPED: sshd is not installed (openssh-server)");
            return None;
        };
        let folder = server.folder().join("sshd");
        fs::create_dir_all(&folder).unwrap();
        if rustix::process::geteuid().is_root() {
            // sshd as root insists on its empty folder.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        write_keys(&folder, authorized_keys);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            // The port may be taken between here and sshd, hence again.
            let port = TcpListener::bind("127.0.0.1:0")
                .and_then(|socket| socket.local_addr())
                .unwrap()
                .port();
            let child = spawn(sshd, &folder, port);
            let mut this = Self {
                child,
                port,
                folder: folder.clone(),
            };
            if this.answers() {
                return Some(this);
            }
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "sshd does not answer: {log}");
        }
    }

    /// A checkout whose every word to the server goes through ssh with the person's own key.
    pub(crate) fn checkout(&self, server: &Server, person: &'static str) -> Checkout {
        let path = server.repo().display().to_string();
        self.checkout_of(server, person, &path)
    }

    /// The same of what the server calls `path`, which begins with a slash.
    pub(crate) fn checkout_of(
        &self,
        server: &Server,
        person: &'static str,
        path: &str,
    ) -> Checkout {
        let plain = server.checkout(person);
        let user = whoami();
        let url = format!("ssh://{user}@127.0.0.1:{}{path}", self.port);
        plain.git(&["remote", "set-url", "origin", &url]);
        let ssh = format!(
            "ssh -F /dev/null -i {} -o IdentitiesOnly=yes -o BatchMode=yes \
             -o StrictHostKeyChecking=yes -o UserKnownHostsFile={}",
            keys::private(person).display(),
            self.folder.join("known_hosts").display()
        );
        fs::write(
            self.folder.join("known_hosts"),
            format!(
                "[127.0.0.1]:{} {}\n",
                self.port,
                fs::read_to_string(self.folder.join("host.pub")).unwrap()
            ),
        )
        .unwrap();
        plain.env("GIT_SSH_COMMAND", &ssh)
    }

    fn answers(&mut self) -> bool {
        for _ in 0..100 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn write_keys(folder: &Path, authorized_keys: &str) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "host", "-f"]);
    Outcome::of(keygen.arg(folder.join("host")), b"").accepted();
    fs::write(folder.join("authorized_keys"), authorized_keys).unwrap();
}

fn spawn(sshd: &str, folder: &Path, port: u16) -> Child {
    let path = std::env::var("PATH").unwrap_or_default();
    let at = folder.display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nPidFile {at}/pid\n\
         AuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
         SetEnv PATH={path} GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\n"
    );
    fs::write(folder.join("config"), config).unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    scrubbed(sshd, folder)
        .args(["-D", "-e", "-f"])
        .arg(folder.join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
