//! Real repositories made by the git command for the tests of this module.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Quarantine, Repo};
use crate::wire::object::ObjectKind;
use crate::wire::oid::{ObjectFormat, Oid};

/// A repository in a directory of its own, and the git command without anyone's configuration.
pub(super) struct Scratch {
    home: tempfile::TempDir,
    /// Where the repository is; bare.
    pub(super) dir: PathBuf,
    /// Opened before anything was in it.
    pub(super) repo: Repo,
}

pub(super) const BOTH: [ObjectFormat; 2] = [ObjectFormat::Sha1, ObjectFormat::Sha256];

impl Scratch {
    pub(super) fn new(format: ObjectFormat) -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("r.git");
        let name = match format {
            ObjectFormat::Sha1 => "sha1",
            ObjectFormat::Sha256 => "sha256",
        };
        let init = format!("--object-format={name}");
        git_in(
            home.path(),
            home.path(),
            &[],
            &["init", "-q", "--bare", &init, "r.git"],
        );
        let repo = Repo::open(&dir, None).unwrap();
        Self { home, dir, repo }
    }

    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs git in the repository and returns what it prints; it must succeed.
    pub(super) fn git(&self, args: &[&str]) -> String {
        String::from_utf8(self.git_bytes(&[], args)).unwrap()
    }

    pub(super) fn git_bytes(&self, env: &[(&str, &str)], args: &[&str]) -> Vec<u8> {
        git_in(self.home(), &self.dir, env, args)
    }

    /// Runs git where it may fail; returns whether it succeeded, and what it printed.
    pub(super) fn try_git(&self, args: &[&str]) -> (bool, Vec<u8>) {
        let output = command(self.home(), &self.dir, &[], args).output().unwrap();
        (output.status.success(), output.stdout)
    }

    pub(super) fn blob(&self, bytes: &[u8]) -> Oid {
        self.repo.write(ObjectKind::Blob, bytes).unwrap()
    }

    /// Writes a tree as it is given, in git's order or not.
    pub(super) fn raw_tree(&self, entries: &[(&str, &str, Oid)]) -> Oid {
        let mut raw = Vec::new();
        for (mode, name, oid) in entries {
            raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            raw.extend_from_slice(oid.as_bytes());
        }
        self.repo.write(ObjectKind::Tree, &raw).unwrap()
    }

    /// Writes a tree, subtrees and blobs from `(mode, path, content)`; of a submodule the content
    /// is the id.
    pub(super) fn tree(&self, files: &[(&str, &str, &str)]) -> Oid {
        let mut names: Vec<&str> = files
            .iter()
            .map(|(_, path, _)| path.split('/').next().unwrap())
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut entries = Vec::new();
        for name in names {
            let below: Vec<_> = files
                .iter()
                .filter_map(|(mode, path, text)| {
                    let rest = path.strip_prefix(name)?.strip_prefix('/')?;
                    Some((*mode, rest, *text))
                })
                .collect();
            if !below.is_empty() {
                entries.push(("40000", name, self.tree(&below)));
            }
            for (mode, _, text) in files.iter().filter(|(_, path, _)| *path == name) {
                let oid = match *mode {
                    "160000" => text.parse().unwrap(),
                    _ => self.blob(text.as_bytes()),
                };
                entries.push((mode, name, oid));
            }
        }
        let key = |(mode, name, _): &(&str, &str, Oid)| {
            format!("{name}{}", if *mode == "40000" { "/" } else { "" })
        };
        entries.sort_by_key(key);
        self.raw_tree(&entries)
    }

    pub(super) fn commit(&self, tree: Oid, parents: &[Oid], seconds: u64) -> Oid {
        let mut text = format!("tree {tree}\n");
        for parent in parents {
            text += &format!("parent {parent}\n");
        }
        let who = format!("A <a@example.com> {seconds} +0000");
        text += &format!("author {who}\ncommitter {who}\n\nm{seconds}\n");
        self.repo
            .write(ObjectKind::Commit, text.as_bytes())
            .unwrap()
    }

    /// Runs git in the repository with this on its input.
    pub(super) fn feed(&self, args: &[&str], input: &[u8]) -> String {
        self.fed(&[], args, input)
    }

    /// Runs git with new objects going to a quarantine, as receive-pack does.
    pub(super) fn quarantined(&self, args: &[&str], input: &[u8]) -> String {
        let quarantine = self.quarantine();
        let env = [
            ("GIT_OBJECT_DIRECTORY", quarantine.objects.to_str().unwrap()),
            (
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                quarantine.alternates[0].to_str().unwrap(),
            ),
        ];
        self.fed(&env, args, input)
    }

    fn fed(&self, env: &[(&str, &str)], args: &[&str], input: &[u8]) -> String {
        use std::io::Write;
        let mut child = command(self.home(), &self.dir, env, args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(super) fn quarantine(&self) -> Quarantine {
        let objects = self.dir.join("objects/tmp_objdir-incoming-x");
        std::fs::create_dir_all(objects.join("pack")).unwrap();
        Quarantine {
            objects,
            alternates: vec![self.dir.join("objects")],
        }
    }
}

/// Returns every file below a directory, sorted.
pub(super) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn git_in(home: &Path, dir: &Path, env: &[(&str, &str)], args: &[&str]) -> Vec<u8> {
    let output = command(home, dir, env, args).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {error}");
    output.stdout
}

fn command(home: &Path, dir: &Path, env: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "A")
        .env("GIT_AUTHOR_EMAIL", "a@example.com")
        .env("GIT_COMMITTER_NAME", "A")
        .env("GIT_COMMITTER_EMAIL", "a@example.com")
        .envs(env.iter().copied())
        .current_dir(dir)
        .args(args);
    command
}
