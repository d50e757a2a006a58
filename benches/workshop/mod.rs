//! A server with a history, and a clone where commits and reviews are made in process.

pub(crate) mod gitolite;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::git::Repo;
use countersign::wire::object::ObjectKind;
use countersign::wire::oid::Oid;
use jiff::Timestamp;

use crate::support::server::scrubbed;
use crate::support::{Format, MAIN, Outcome, REPOSITORY, Server};
use crate::world;

use gitolite::Gitolite;

/// Files in the tree.
pub(crate) const FILES: usize = 5_000;
/// Directories, one level deep.
const DIRS: usize = 70;
/// Everybody; all are maintainers.
pub(crate) const PEOPLE: [&str; 8] = [
    "alice", "bob", "carol", "dana", "erin", "frank", "grace", "heidi",
];

/// The hooks that are installed.
const HOOKS: [&str; 3] = ["pre-receive", "reference-transaction", "post-receive"];

/// A clone of a server that was not enrolled yet when it was made.
pub(crate) struct Workshop {
    pub(crate) server: Server,
    pub(crate) repo: Repo,
    clone: PathBuf,
}

/// The tree of a commit: its directories, with the names and ids of what is in them.
#[derive(Clone)]
pub(crate) struct Tree(BTreeMap<String, (Oid, BTreeMap<String, Oid>)>);

/// What one push took.
pub(crate) struct Taken {
    /// On the clock, in milliseconds.
    pub(crate) wall: f64,
    /// Of the processor, by git at both ends and by all hooks, in milliseconds.
    pub(crate) cpu: f64,
    /// Whether all of it was accepted.
    pub(crate) accepted: bool,
}

/// What one hook took, as time(1) has it.
pub(crate) struct HookTaken {
    pub(crate) name: String,
    pub(crate) peak_mib: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
}

impl Workshop {
    /// Makes a server with so many commits, enrolls it, and clones it.
    pub(crate) fn new(commits: usize) -> (Self, Tree, Oid) {
        Self::certified(commits, None)
    }

    /// Makes a server where olga has this OpenPGP certificate too.
    pub(crate) fn certified(commits: usize, certificate: Option<&str>) -> (Self, Tree, Oid) {
        let server = Server::bare(Format::Sha1);
        let mut import = server.admin_command("git");
        import
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped());
        let mut child = import.spawn().unwrap();
        history(child.stdin.take().unwrap(), commits, certificate);
        assert!(child.wait().unwrap().success());
        let clone = server.folder().join("clone.git");
        let mut command = scrubbed("git", server.folder());
        command.args(["clone", "-q", "--bare"]);
        command.arg(server.repo()).arg(&clone);
        Outcome::of(&mut command, b"").accepted();
        for repo in [server.repo(), &clone] {
            know_keys(repo, &server.folder().join("allowed"));
        }
        server.enroll(&[]).accepted();
        let main = server.main().parse().unwrap();
        let repo = Repo::open(&clone, None).unwrap();
        let tree = Tree::read(&repo, &main);
        let workshop = Self {
            server,
            repo,
            clone,
        };
        (workshop, tree, main)
    }

    /// git in the clone.
    pub(crate) fn git(&self) -> Command {
        let mut command = scrubbed("git", self.server.folder());
        command.arg("-C").arg(&self.clone);
        command
    }

    /// Runs git in the clone, which must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        Outcome::of(self.git().args(args), b"").accepted().line()
    }

    /// Changes a line of one file, by its number.
    pub(crate) fn edit(&self, tree: &mut Tree, number: usize, what: usize) {
        let blob = self
            .repo
            .write(ObjectKind::Blob, text(number, what).as_bytes());
        self.put(tree, number, blob.unwrap());
    }

    /// Takes a file as another tree has it.
    pub(crate) fn take(&self, tree: &mut Tree, from: &Tree, number: usize) {
        let (_, names) = &from.0[&dir(number)];
        self.put(tree, number, names[&name(number)]);
    }

    fn put(&self, tree: &mut Tree, number: usize, blob: Oid) {
        let (oid, names) = tree.0.get_mut(&dir(number)).unwrap();
        names.insert(name(number), blob);
        let mut raw = Vec::new();
        for (name, oid) in names {
            raw.extend_from_slice(format!("100644 {name}\0").as_bytes());
            raw.extend_from_slice(oid.as_bytes());
        }
        *oid = self.repo.write(ObjectKind::Tree, &raw).unwrap();
    }

    /// Writes a commit that somebody makes and signs now.
    pub(crate) fn commit(&self, person: &str, tree: &Tree, parents: &[Oid]) -> Oid {
        self.commit_by(person, tree, parents, &|payload| {
            world::sign(person, payload)
        })
    }

    /// Writes a commit that somebody makes now, with a signature over it.
    pub(crate) fn commit_by(
        &self,
        person: &str,
        tree: &Tree,
        parents: &[Oid],
        sign: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Oid {
        let mut raw = Vec::new();
        // As directories sort.
        let mut dirs: Vec<_> = tree.0.iter().collect();
        dirs.sort_by_key(|(name, _)| format!("{name}/"));
        for (name, (oid, _)) in dirs {
            raw.extend_from_slice(format!("40000 {name}\0").as_bytes());
            raw.extend_from_slice(oid.as_bytes());
        }
        let tree = self.repo.write(ObjectKind::Tree, &raw).unwrap();
        let mut head = format!("tree {tree}\n");
        for parent in parents {
            head += &format!("parent {parent}\n");
        }
        let now = Timestamp::now().as_second();
        let who = format!("{person} <{person}@example.com> {now} +0000");
        head += &format!("author {who}\ncommitter {who}\n");
        let body = "\nA change\n\nThat is explained in a line or two, and why it is wanted.\n";
        let signature = sign(format!("{head}{body}").as_bytes());
        let signature = String::from_utf8(signature).unwrap();
        let folded = signature.trim_end().replace('\n', "\n ");
        let raw = format!("{head}gpgsig {folded}\n{body}");
        self.repo.write(ObjectKind::Commit, raw.as_bytes()).unwrap()
    }

    /// Writes somebody's approval of a head for main, and returns how it is pushed.
    pub(crate) fn approve(&self, person: &str, head: &Oid) -> String {
        let payload = format!(
            "object {head}\ntype commit\ntag countersign/ok\ntagger {person} <{person}@example.com> {} +0000\n\n\
             countersign: approve {MAIN} of {REPOSITORY}\n",
            Timestamp::now().as_second()
        );
        let raw = [payload.as_bytes(), &world::sign(person, payload.as_bytes())].concat();
        let tag = self.repo.write(ObjectKind::Tag, &raw).unwrap();
        format!("{tag}:refs/countersign/reviews/{head}/{person}")
    }

    /// Pushes as somebody.
    pub(crate) fn push(&self, person: &str, refspec: &str) -> (Taken, Outcome) {
        self.push_to(self.server.repo(), person, refspec)
    }

    /// Pushes as somebody to another repository.
    pub(crate) fn push_to(&self, repo: &Path, person: &str, refspec: &str) -> (Taken, Outcome) {
        let mut command = self.git();
        command.env("COUNTERSIGN_PUSHER", person);
        command.args(["push", "-q", &format!("file://{}", repo.display()), refspec]);
        taken(&mut command)
    }

    /// Pushes by way of gitolite.
    pub(crate) fn push_by(&self, gitolite: &Gitolite, refspec: &str) -> (Taken, Outcome) {
        let mut command = self.git();
        gitolite.reach(&mut command);
        command.args(["push", "-q", "ssh://git@localhost/payments", refspec]);
        taken(&mut command)
    }

    /// Puts time(1) in front of the hooks, which writes to a file that [`Workshop::timed`] reads.
    pub(crate) fn time_hooks(&self) {
        fs::create_dir(self.aside()).unwrap();
        for hook in HOOKS {
            let path = self.server.repo().join("hooks").join(hook);
            fs::copy(&path, self.aside().join(hook)).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let file = self.times().display().to_string();
            let time = format!("exec time -q -a -o '{file}' -f '{hook} %M %U %S %e' ");
            fs::write(&path, text.replacen("exec ", &time, 1)).unwrap();
        }
    }

    /// Puts the hooks back.
    pub(crate) fn untime_hooks(&self) {
        for hook in HOOKS {
            let path = self.server.repo().join("hooks").join(hook);
            fs::copy(self.aside().join(hook), path).unwrap();
        }
        fs::remove_dir_all(self.aside()).unwrap();
    }

    fn aside(&self) -> PathBuf {
        self.server.folder().join("hooks-aside")
    }

    /// What the hooks took since last asked.
    pub(crate) fn timed(&self) -> Vec<HookTaken> {
        let text = fs::read_to_string(self.times()).unwrap_or_default();
        fs::write(self.times(), "").unwrap();
        let line = |line: &str| {
            let (name, numbers) = line.split_once(' ').unwrap();
            let numbers: Vec<f64> = numbers.split(' ').map(|it| it.parse().unwrap()).collect();
            HookTaken {
                name: name.to_owned(),
                peak_mib: numbers[0] / 1024.0,
                cpu_seconds: numbers[1] + numbers[2],
                wall_seconds: numbers[3],
            }
        };
        text.lines().map(line).collect()
    }

    fn times(&self) -> PathBuf {
        self.server.folder().join("times")
    }
}

impl Tree {
    /// Reads a commit's.
    pub(crate) fn read(repo: &Repo, commit: &Oid) -> Self {
        let entries = |oid: &Oid| -> BTreeMap<String, Oid> {
            let tree = repo.tree(oid).unwrap();
            let entries = tree.iter();
            entries
                .map(|entry| (entry.name.to_string(), entry.oid))
                .collect()
        };
        let root = entries(&repo.commit(commit).unwrap().tree);
        let dirs = root.into_iter();
        Self(
            dirs.map(|(name, oid)| (name, (oid, entries(&oid))))
                .collect(),
        )
    }
}

/// Has git itself know everybody's keys in a repository.
fn know_keys(repo: &Path, file: &Path) {
    let line = |person: &&str| {
        let key = STANDARD.encode(world::blob(person));
        format!("{person}@example.com namespaces=\"git\" ssh-ed25519 {key}\n")
    };
    fs::write(file, PEOPLE.iter().map(line).collect::<String>()).unwrap();
    let mut config = scrubbed("git", repo);
    config
        .args(["config", "gpg.ssh.allowedSignersFile"])
        .arg(file);
    Outcome::of(&mut config, b"").accepted();
}

/// Runs a command that may fail, and says what it took.
pub(crate) fn taken(command: &mut Command) -> (Taken, Outcome) {
    let (cpu, start) = (children_cpu(), Instant::now());
    let outcome = Outcome::of(command, b"");
    let taken = Taken {
        wall: start.elapsed().as_secs_f64() * 1_000.0,
        cpu: children_cpu() - cpu,
        accepted: outcome.ok(),
    };
    (taken, outcome)
}

/// Milliseconds of processor time of all children that have ended, theirs included, in ticks of ten
/// (proc(5)): good in sums.
fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = fields[13..15].iter().map(|it| it.parse::<f64>().unwrap());
    ticks.sum::<f64>() * 10.0
}

/// The value that so many hundredths of all are not above.
pub(crate) fn percentile(values: &[f64], hundredths: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

fn dir(number: usize) -> String {
    format!("d{}", number % DIRS)
}

fn name(number: usize) -> String {
    format!("f{number}.rs")
}

fn text(number: usize, what: usize) -> String {
    let line = |line| format!("{number} {line} {}\n", if line == 7 { what } else { 0 });
    (0..20).map(line).collect()
}

/// Writes a history for fast-import: all files, then a change of one in each commit.
fn history(mut to: impl std::io::Write, commits: usize, certificate: Option<&str>) {
    let mut to = std::io::BufWriter::new(&mut to);
    let people: String = PEOPLE
        .iter()
        .map(|person| {
            let key = STANDARD.encode(world::blob(person));
            format!(
                "[people.{person}]\nemails = [\"{person}@example.com\"]\nlogins = [\"{person}\"]\n\
                 keys = [{{ ssh = \"ssh-ed25519 {key}\" }}]\n"
            )
        })
        .collect();
    let olga = match certificate {
        Some(_) => {
            "[people.olga]\nemails = [\"olga@example.com\"]\nlogins = [\"olga\"]\n\
             keys = [{ openpgp = \"keys/olga.asc\" }]\n"
        }
        None => "",
    };
    let people = format!("{people}{olga}[teams]\nmaintainers = {PEOPLE:?}\n");
    let policy = crate::support::policy(crate::support::config::PLAIN_RULE);
    for commit in 0..commits.max(1) {
        let who = format!("Root <root@example.com> {} +0000", 1_500_000_000 + commit);
        write!(to, "commit {MAIN}\ncommitter {who}\ndata 5\nseed\n").unwrap();
        let mut file = |path: &str, text: &str| {
            write!(to, "M 100644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
        };
        let path = |number: usize| format!("{}/{}", dir(number), name(number));
        if commit == 0 {
            file(".countersign/policy.toml", &policy);
            file(".countersign/people.toml", &people);
            if let Some(certificate) = certificate {
                file(".countersign/keys/olga.asc", certificate);
            }
            (0..FILES).for_each(|number| file(&path(number), &text(number, 0)));
        } else {
            let number = commit * 37 % FILES;
            file(&path(number), &text(number, commit));
        }
    }
    to.flush().unwrap();
}
