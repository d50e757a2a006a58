//! Where signatures are made: one home with ssh keys, certificates, a GnuPG home and a repository.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign::wire::oid::ObjectFormat;
use jiff::Timestamp;
use tempfile::TempDir;

use super::tokens::Token;
use super::{Case, from_now};
use crate::support::Outcome;
use crate::support::server::scrubbed;

/// The id of the empty tree, which every commit here has.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// One home; what runs in it ends with it.
pub(super) struct Shop {
    home: TempDir,
    count: Cell<u32>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        if self.path("pubring.kbx").exists() {
            self.run("gpgconf", &["--kill", "all"], b"");
        }
    }
}

/// Whether a program is there to be run.
pub(super) fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Takes a signature and what it signs apart from a raw object, for another to take its place.
pub(super) fn commit_with(payload: &[u8], armors: &[&[u8]]) -> Vec<u8> {
    let payload = String::from_utf8(payload.to_vec()).unwrap();
    let (headers, body) = payload.split_once("\n\n").unwrap();
    let mut out = headers.to_owned();
    for armor in armors {
        let armor = std::str::from_utf8(armor).unwrap();
        out += "\ngpgsig ";
        out += &armor.trim_end_matches('\n').replace('\n', "\n ");
    }
    format!("{out}\n\n{body}").into_bytes()
}

impl Shop {
    pub(super) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("cs-").tempdir().unwrap();
        let shop = Self {
            home,
            count: Cell::new(0),
        };
        shop.run("git", &["init", "-q", "."], b"");
        shop
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A name that nothing has yet.
    pub(super) fn fresh(&self, prefix: &str) -> String {
        self.count.set(self.count.get() + 1);
        format!("{prefix}{}", self.count.get())
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = scrubbed(program, self.home.path());
        command.args(args).env("GNUPGHOME", self.home.path());
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "alice");
            command.env(format!("GIT_{role}_EMAIL"), "alice@example.com");
        }
        command
    }

    /// Runs what must succeed and returns what it prints.
    #[track_caller]
    pub(super) fn run(&self, program: &str, args: &[&str], input: &[u8]) -> String {
        Outcome::of(&mut self.command(program, args), input)
            .accepted()
            .stdout
    }

    /// Writes a file and returns its path as text.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The public key line of a person's key of a kind, without comment.
    pub(super) fn public(&self, who: &str, kind: &str) -> String {
        let name = format!("{who}.{kind}");
        let file = self.path(&format!("{name}.pub"));
        if !file.exists() {
            match Token::new(who, kind) {
                Some(token) => fs::write(&file, token.line() + "\n").unwrap(),
                None => self.keygen(&name, kind),
            }
        }
        let line = fs::read_to_string(file).unwrap();
        line.split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    }

    fn keygen(&self, name: &str, kind: &str) {
        let mut args = vec!["-q", "-N", "", "-C", "", "-f", name, "-t"];
        // As `ecdsa-256`.
        match kind.split_once('-') {
            Some((kind, bits)) => args.extend([kind, "-b", bits]),
            None => args.push(kind),
        }
        // The older form of private keys is what others read.
        if kind.starts_with("rsa") {
            args.extend(["-m", "PEM"]);
        }
        self.run("ssh-keygen", &args, b"");
    }

    /// Signs bytes in an ssh namespace.
    pub(super) fn sign_in(
        &self,
        who: &str,
        kind: &str,
        namespace: &str,
        payload: &[u8],
    ) -> Vec<u8> {
        self.public(who, kind);
        match Token::new(who, kind) {
            Some(token) => token.armor(namespace, payload, 1),
            None => {
                let name = format!("{who}.{kind}");
                let args = ["-q", "-Y", "sign", "-n", namespace, "-f", &name];
                self.run("ssh-keygen", &args, payload).into_bytes()
            }
        }
    }

    /// Signs bytes as git would.
    pub(super) fn sign(&self, who: &str, kind: &str, payload: &[u8]) -> Vec<u8> {
        self.sign_in(who, kind, "git", payload)
    }

    /// A commit of nothing at a date, unsigned.
    pub(super) fn payload(&self, date: Timestamp) -> Vec<u8> {
        let at = date.as_second();
        format!(
            "tree {EMPTY_TREE}\nauthor alice <alice@example.com> {at} +0000\n\
             committer alice <alice@example.com> {at} +0000\n\na change\n"
        )
        .into_bytes()
    }

    /// A case of a commit, received now, with nothing to judge it by yet.
    pub(super) fn commit(&self, raw: Vec<u8>) -> Case {
        Case {
            kind: "commit",
            raw,
            format: ObjectFormat::Sha1,
            at: from_now(0),
            people: String::new(),
            files: BTreeMap::new(),
            settings: Vec::new(),
        }
    }

    /// A commit or a tag that git itself makes and signs, with these settings.
    pub(super) fn by_git(&self, kind: &'static str, settings: &[String]) -> Case {
        let mut args: Vec<&str> = Vec::new();
        for setting in settings {
            args.extend(["-c", setting]);
        }
        let git = |last: &[&str]| self.run("git", &[&args[..], last].concat(), b"");
        let name = self.fresh("v");
        git(&["commit", "-q", "--allow-empty", "-S", "-m", &name]);
        if kind == "tag" {
            git(&["tag", "-s", &name, "-m", "a tag"]);
        }
        let object = if kind == "tag" { &name } else { "HEAD" };
        let raw = git(&["cat-file", kind, object]).into_bytes();
        Case {
            kind,
            ..self.commit(raw)
        }
    }

    /// Asks git: the person it names, or `refused`, with its words.
    pub(super) fn gits(&self, case: &Case) -> (String, String) {
        let repo = match case.format {
            ObjectFormat::Sha1 => ".",
            ObjectFormat::Sha256 => "sha256",
        };
        let write = [
            "-C",
            repo,
            "hash-object",
            "--literally",
            "-t",
            case.kind,
            "-w",
            "--stdin",
        ];
        let oid = self.run("git", &write, &case.raw);
        let mut args = vec!["-C", repo];
        for setting in &case.settings {
            args.extend(["-c", setting]);
        }
        let verb = format!("verify-{}", case.kind);
        args.extend([verb.as_str(), "--raw", oid.trim()]);
        let outcome = Outcome::of(&mut self.command("git", &args), b"");
        let words = format!("{}{}", outcome.stdout, outcome.stderr);
        let good = |line: &str| -> Option<String> {
            let ssh = line.strip_prefix("Good \"git\" signature for ");
            // Key id, then the user id.
            let rest = line.strip_prefix("[GNUPG:] GOODSIG ");
            let gpg = rest
                .and_then(|rest| rest.split_once(' '))
                .map(|(_, user)| user);
            let user = ssh.or(gpg)?;
            let name = user.trim_start_matches("/CN=").split([' ', '<', '/']);
            name.into_iter().next().map(str::to_owned)
        };
        let person = words.lines().find_map(good).filter(|_| outcome.ok());
        // A good signature by whoever: git asks no more than that gpg does.
        assert!(
            person.is_some() || !outcome.ok(),
            "git names nobody: {words}"
        );
        (person.unwrap_or_else(|| "refused".to_owned()), words)
    }

    /// Keys and certificates of an allowed signers file.
    pub(super) fn allow(&self, lines: &str) -> String {
        let file = self.write(&self.fresh("allowed"), lines);
        format!("gpg.ssh.allowedSignersFile={file}")
    }

    /// Keys or a revocation list that git is not to believe.
    pub(super) fn revoke(&self, path: &Path) -> String {
        format!("gpg.ssh.revocationFile={}", path.display())
    }
}
