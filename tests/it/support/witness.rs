//! Witnesses as processes of their own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::server::{Server, scrubbed};

/// A running `countersign witness`; stopped when dropped.
pub(crate) struct Witness {
    child: Child,
    folder: PathBuf,
    /// Its name, which is that of its key.
    pub(crate) name: String,
    /// Its verifier line.
    pub(crate) key: String,
    /// `127.0.0.1:<port>`
    pub(crate) address: String,
}

impl Witness {
    /// Starts one in a folder of its own, on a port that is free.
    pub(crate) fn start(home: &Path, name: &str) -> Self {
        let folder = home.join(format!("witness-{}", name.replace('/', "-")));
        Self::start_at(&folder, name, "127.0.0.1:0")
    }

    fn start_at(folder: &Path, name: &str, address: &str) -> Self {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), &std::env::temp_dir());
        command
            .args(["witness", "--json", "--name", name, "--listen", address])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).expect(&line);
        Self {
            child,
            folder: folder.to_owned(),
            name: name.to_owned(),
            key: told["key"].as_str().unwrap().to_owned(),
            address: told["listen"].as_str().unwrap().to_owned(),
        }
    }

    /// Kills it, as a power cut would, and starts it again at the same address.
    pub(crate) fn restart(mut self) -> Self {
        self.kill();
        Self::start_at(&self.folder, &self.name, &self.address)
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells it of a log.
    pub(crate) fn watch(&self, server: &Server) {
        fs::copy(server.record("log/vkey"), self.folder.join("logs")).unwrap();
    }

    /// Sends bytes and returns status, `Content-Type` and body of the answer.
    pub(crate) fn raw(&self, bytes: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // A server that has read enough answers and hangs up.
        stream.write_all(bytes).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let kind = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-type").then_some(value)
        });
        (status, kind.unwrap_or_default().to_owned(), body.to_owned())
    }

    /// Posts a body to `add-checkpoint`.
    pub(crate) fn add(&self, body: &str) -> (u16, String, String) {
        let length = body.len();
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        self.raw(format!("{head}{body}").as_bytes())
    }

    /// Gets a path.
    pub(crate) fn get(&self, path: &str) -> (u16, String, String) {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n").as_bytes())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It may be gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns the table that names witnesses in a policy.
pub(crate) fn witnesses_table(witnesses: &[Witness], quorum: usize) -> String {
    let keys: Vec<String> = witnesses
        .iter()
        .map(|it| format!("\"{}\"", it.key))
        .collect();
    format!(
        "\n[witnesses]\nkeys = [{}]\nquorum = {quorum}\n",
        keys.join(", ")
    )
}

/// Writes where the witnesses are into the host's settings.
pub(crate) fn witness_addresses(server: &Server, witnesses: &[Witness]) {
    let path = server.record("server.toml");
    let mut text = fs::read_to_string(&path).unwrap() + "\n[witnesses]\n";
    for witness in witnesses {
        text += &format!("\"{}\" = \"http://{}/\"\n", witness.name, witness.address);
    }
    fs::write(path, text).unwrap();
}
