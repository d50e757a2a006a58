//! Second opinions on random objects, whole and broken: what we accept, git and libgit2 read alike.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use bstr::{BStr, ByteSlice};
use countersign::git::{Change, Repo, changes};
use countersign::wire::commit::Commit;
use countersign::wire::ident::Ident;
use countersign::wire::object::{ObjectKind, Signed};
use countersign::wire::oid::{ObjectFormat, Oid};
use countersign::wire::tag::Tag;
use countersign::wire::tree::{self, FileMode};

use super::corpus;
use super::mutate::Mutator;

/// Accepted mutations that are shown to git and libgit2.
const CASES: usize = 100;
/// Mutations among which so many accepted ones must be.
const TRIES: usize = 20_000;

/// What mode and id a path has on each side of a change.
type Sides = [Option<(u32, String)>; 2];

/// Commits: tree, parents, idents and message.
#[test]
fn commits_read_alike() {
    let scratch = Scratch::new(ObjectFormat::Sha1);
    let libgit2 = git2::Repository::open(&scratch.dir).unwrap();
    let commits = accepted(&["commit", "verify"], |raw| {
        Commit::parse(raw, ObjectFormat::Sha1).ok()
    });
    let mut ids = String::new();
    let mut expected = Vec::new();
    for (raw, commit) in &commits {
        let oid = scratch.write(ObjectKind::Commit, raw);
        let theirs = libgit2.find_commit(libgit2_id(&oid)).unwrap();
        assert_eq!(theirs.tree_id().to_string(), commit.tree.to_string());
        let parents: Vec<String> = commit.parents.iter().map(Oid::to_string).collect();
        let their_parents: Vec<String> = theirs.parent_ids().map(|id| id.to_string()).collect();
        assert_eq!(their_parents, parents);
        assert_ident(&commit.author, &theirs.author(), raw);
        assert_ident(&commit.committer, &theirs.committer(), raw);
        assert_eq!(theirs.message_raw_bytes(), commit.message.as_slice());

        ids += &format!("{oid}\n");
        let start = format!("{oid}\x1f{}\x1f{}\x1f", commit.tree, parents.join(" "));
        let who = [&commit.author, &commit.committer].map(|who| {
            let seconds = who.seconds.to_string();
            [&who.name[..], &who.email[..], seconds.as_bytes()].join(&b'\x1f')
        });
        let end = [&who[0], &who[1], commit.message.as_slice()].join(&b'\x1f');
        expected.push([start.as_bytes(), &end].concat());
    }
    let format = "--format=tformat:%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%cn%x1f%ce%x1f%ct%x1f%B";
    let args = [
        "log",
        "-z",
        "--no-walk=unsorted",
        "--stdin",
        "--encoding=none",
        format,
    ];
    let output = scratch.git(&args, ids.as_bytes());
    let mut theirs: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    assert_eq!(theirs.pop(), Some(&b""[..]), "{}", output.stderr.as_bstr());
    assert_eq!(theirs.len(), expected.len());
    for (theirs, ours) in theirs.iter().zip(&expected) {
        assert_eq!(theirs.as_bstr(), ours.as_bstr());
    }
}

/// Trees: modes, ids, names and their order.
#[test]
fn trees_read_alike() {
    let scratch = Scratch::new(ObjectFormat::Sha1);
    let libgit2 = git2::Repository::open(&scratch.dir).unwrap();
    for (raw, entries) in accepted(&["tree"], |raw| tree::parse(raw, ObjectFormat::Sha1).ok()) {
        let oid = scratch.write(ObjectKind::Tree, &raw);
        let theirs = libgit2.find_tree(libgit2_id(&oid)).unwrap();
        assert_eq!(theirs.len(), entries.len());
        let mut listed = Vec::new();
        for (ours, theirs) in entries.iter().zip(theirs.iter()) {
            assert_eq!(theirs.name_bytes(), &*ours.name);
            assert_eq!(theirs.id().to_string(), ours.oid.to_string());
            assert_eq!(format!("{:o}", theirs.filemode()), ours.mode.octal());
            let kind = match ours.mode {
                FileMode::Tree => "tree",
                FileMode::Submodule => "commit",
                FileMode::File | FileMode::Executable | FileMode::Symlink => "blob",
            };
            listed.extend(format!("{:0>6} {kind} {}\t", ours.mode.octal(), ours.oid).bytes());
            listed.extend_from_slice(&ours.name);
            listed.push(0);
        }
        let output = scratch.git(&["ls-tree", "-z", &oid], b"");
        assert_eq!(output.stdout.as_bstr(), listed.as_bstr());
    }
}

/// Tags: target, kind, name, tagger, and the message with its signature.
#[test]
fn tags_read_alike() {
    let scratch = Scratch::new(ObjectFormat::Sha1);
    let libgit2 = git2::Repository::open(&scratch.dir).unwrap();
    for (raw, tag) in accepted(&["tag", "verify"], |raw| {
        Tag::parse(raw, ObjectFormat::Sha1).ok()
    }) {
        let oid = scratch.write(ObjectKind::Tag, &raw);
        let theirs = libgit2.find_tag(libgit2_id(&oid)).unwrap();
        assert_eq!(theirs.target_id().to_string(), tag.target.to_string());
        let kind = theirs.target_type().map(|kind| kind.str());
        assert_eq!(kind, Some(tag.kind.as_str()));
        assert_eq!(theirs.name_bytes().as_bstr(), tag.name);
        assert_eq!(theirs.tagger().is_some(), tag.tagger.is_some());
        if let (Some(ours), Some(theirs)) = (&tag.tagger, theirs.tagger()) {
            assert_ident(ours, &theirs, &raw);
        }
        let armor = tag.signed.map(|signed| signed.armor).unwrap_or_default();
        let message = [tag.message.as_slice(), &armor].concat();
        assert_eq!(
            theirs.message_bytes().unwrap_or_default().as_bstr(),
            message.as_bstr()
        );
    }
}

/// Of what we accept, git has its verifier look at just the payload and signature that we take.
#[test]
fn git_verifies_the_same_bytes() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let scratch = Scratch::new(format);
        let commits = accepted(&["commit", "verify"], |raw| Commit::parse(raw, format).ok());
        let tags = accepted(&["tag", "verify"], |raw| Tag::parse(raw, format).ok());
        let commits = commits
            .into_iter()
            .map(|(raw, commit)| (raw, commit.signed));
        // git verifies no tag without a tagger, who would tell it the time.
        let tags = tags.into_iter().filter(|(_, tag)| tag.tagger.is_some());
        let tags = tags.map(|(raw, tag)| (raw, tag.signed));
        let mut signatures = 0;
        for (kind, verify, objects) in [
            (
                ObjectKind::Commit,
                "verify-commit",
                commits.collect::<Vec<_>>(),
            ),
            (ObjectKind::Tag, "verify-tag", tags.collect()),
        ] {
            for (raw, ours) in objects {
                let theirs = scratch.what_git_verifies(verify, &scratch.write(kind, &raw));
                signatures += usize::from(theirs.is_some());
                // git knows a signature by its first line; whatever else is there verifies nowhere.
                let ours = ours.filter(|signed| theirs.is_some() || begins_as_one(&signed.armor));
                assert_eq!(
                    shown(ours.as_ref()),
                    shown(theirs.as_ref()),
                    "{:?}",
                    raw.as_bstr()
                );
            }
        }
        assert!(signatures > CASES / 4, "only {signatures} were signed");
    }
}

/// Changed paths: git's raw comparison and libgit2's name the same ones, with the same sides; a
/// tree that is out of order is refused.
#[test]
fn changes_read_alike() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let scratch = Scratch::new(format);
        let mut random = Mutator::new(7);
        for _ in 0..CASES / 2 {
            let old = scratch.random_tree(&mut random, false);
            let new = scratch.random_tree(&mut random, false);
            let found = changes(&scratch.repo, Some(&old), &new, 1000).unwrap();
            let ours: BTreeMap<Vec<u8>, Sides> = found.iter().map(sides).collect();
            assert_eq!(ours.len(), found.len());
            let (a, b) = (old.to_string(), new.to_string());
            let args = [
                "diff-tree",
                "-r",
                "-z",
                "--no-renames",
                "--full-index",
                &a,
                &b,
            ];
            assert_eq!(ours, raw_changes(&scratch.git(&args, b"").stdout));
            if format == ObjectFormat::Sha1 {
                assert_eq!(ours, libgit2_changes(&scratch, &a, &b));
            }
            let broken = scratch.random_tree(&mut random, true);
            assert!(changes(&scratch.repo, Some(&old), &broken, 1000).is_err());
        }
    }
}

/// Returns mutations of the corpora that `parse` accepts, each once.
fn accepted<T>(names: &[&str], parse: impl Fn(&[u8]) -> Option<T>) -> Vec<(Vec<u8>, T)> {
    let pool: Vec<Vec<u8>> = names.iter().flat_map(|name| corpus(name)).collect();
    let mut mutator = Mutator::new(11);
    let mut found = BTreeMap::new();
    for _ in 0..TRIES {
        let raw = mutator.mutation(&pool);
        if let Some(parsed) = parse(&raw) {
            found.insert(raw, parsed);
        }
        if found.len() == CASES {
            return found.into_iter().collect();
        }
    }
    panic!(
        "only {} of {TRIES} mutations of {names:?} are accepted",
        found.len()
    );
}

fn assert_ident(ours: &Ident, theirs: &git2::Signature<'_>, raw: &[u8]) {
    let raw = raw.as_bstr();
    let [name, email] = [&ours.name, &ours.email].map(|text| trimmed(text.as_bstr()));
    assert_eq!(theirs.name_bytes().as_bstr(), name, "{raw:?}");
    assert_eq!(theirs.email_bytes().as_bstr(), email, "{raw:?}");
    let when = theirs.when();
    assert_eq!(u64::try_from(when.seconds()), Ok(ours.seconds), "{raw:?}");
    // libgit2 takes what no place on earth has for none.
    if ours.offset_minutes.abs() < 15 * 60 {
        assert_eq!(when.offset_minutes(), ours.offset_minutes, "{raw:?}");
    }
}

/// Takes away what libgit2 cuts off at both ends of names and e-mails; git leaves it there.
fn trimmed(text: &BStr) -> &BStr {
    let is_cut = |at: char| at <= ' ' || ",:;<>\"\\'".contains(at);
    let text = text.trim_start_with(is_cut).trim_end_with(is_cut);
    text.as_bstr()
}

fn libgit2_id(oid: &str) -> git2::Oid {
    git2::Oid::from_str(oid).unwrap()
}

fn begins_as_one(armor: &[u8]) -> bool {
    armor.starts_with(b"-----BEGIN PGP SIGNATURE-----")
        || armor.starts_with(b"-----BEGIN SSH SIGNATURE-----")
}

fn shown(signed: Option<&Signed>) -> Option<(&BStr, &BStr)> {
    signed.map(|signed| (signed.payload.as_bstr(), signed.armor.as_bstr()))
}

fn sides(change: &Change) -> (Vec<u8>, Sides) {
    let side = |side: Option<(FileMode, Oid)>| {
        side.map(|(mode, oid)| (octal(mode.octal().as_bytes()), oid.to_string()))
    };
    (
        change.path.as_bstr().to_vec(),
        [side(change.old), side(change.new)],
    )
}

fn octal(text: &[u8]) -> u32 {
    u32::from_str_radix(text.to_str().unwrap(), 8).unwrap()
}

/// Reads `:<old mode> <new mode> <old id> <new id> <letter>\0<path>\0`.
fn raw_changes(output: &[u8]) -> BTreeMap<Vec<u8>, Sides> {
    let mut fields = output.split(|byte| *byte == 0);
    let mut found = BTreeMap::new();
    while let (Some(line), Some(path)) = (fields.next(), fields.next()) {
        let words: Vec<&[u8]> = line[1..].split(|byte| *byte == b' ').collect();
        let side = |at: usize| {
            let mode = octal(words[at]);
            (mode != 0).then(|| (mode, words[at + 2].to_str().unwrap().to_owned()))
        };
        assert!(found.insert(path.to_vec(), [side(0), side(1)]).is_none());
    }
    found
}

fn libgit2_changes(scratch: &Scratch, old: &str, new: &str) -> BTreeMap<Vec<u8>, Sides> {
    let repository = git2::Repository::open(&scratch.dir).unwrap();
    let tree = |hex: &str| repository.find_tree(libgit2_id(hex)).unwrap();
    let mut options = git2::DiffOptions::new();
    options.include_typechange(true);
    let diff = repository
        .diff_tree_to_tree(Some(&tree(old)), Some(&tree(new)), Some(&mut options))
        .unwrap();
    let mut found: BTreeMap<Vec<u8>, Sides> = BTreeMap::new();
    for delta in diff.deltas() {
        for (at, file) in [delta.old_file(), delta.new_file()].into_iter().enumerate() {
            let path = file.path_bytes().unwrap().to_vec();
            let sides = found.entry(path).or_default();
            if !file.id().is_zero() {
                sides[at] = Some((u32::from(file.mode()), file.id().to_string()));
            }
        }
    }
    found
}

/// A bare repository, and programs that keep what git would have them verify.
struct Scratch {
    home: tempfile::TempDir,
    dir: PathBuf,
    repo: Repo,
}

/// Stands for gpg and for ssh-keygen.
const VERIFIER: &str = r#"#!/bin/sh
case "$*" in *"-Y find-principals"*) echo somebody; exit ;; esac
while [ $# -gt 0 ]; do
    case $1 in -s | --verify) signature=$2 ;; esac
    shift
done
cp "$signature" "${0%/*}/signature"
cat >"${0%/*}/payload"
printf '\n[GNUPG:] GOODSIG 0 0\n'
"#;

impl Scratch {
    fn new(format: ObjectFormat) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("r.git");
        let name = match format {
            ObjectFormat::Sha1 => "sha1",
            ObjectFormat::Sha256 => "sha256",
        };
        let init = format!("--object-format={name}");
        let git = command(&home)
            .args(["init", "-q", "--bare", &init, "r.git"])
            .status();
        assert!(git.unwrap().success());
        let verifier = home.path().join("verifier");
        fs::write(&verifier, VERIFIER).unwrap();
        fs::set_permissions(&verifier, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(home.path().join("allowed"), "").unwrap();
        let repo = Repo::open(&dir, None).unwrap();
        Self { home, dir, repo }
    }

    fn git(&self, args: &[&str], input: &[u8]) -> Output {
        use std::io::Write;
        let mut child = command(&self.home)
            .current_dir(&self.dir)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || pipe.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        output
    }

    fn write(&self, kind: ObjectKind, raw: &[u8]) -> String {
        self.repo.write(kind, raw).unwrap().to_string()
    }

    /// Returns what git hands its verifier, if it comes to that.
    fn what_git_verifies(&self, verify: &str, oid: &str) -> Option<Signed> {
        let file = |name: &str| self.home.path().join(name);
        for name in ["payload", "signature"] {
            fs::remove_file(file(name)).ok();
        }
        let setting = |key: &str, name: &str| format!("{key}={}", file(name).display());
        let gpg = setting("gpg.program", "verifier");
        let ssh = setting("gpg.ssh.program", "verifier");
        let allowed = setting("gpg.ssh.allowedSignersFile", "allowed");
        self.git(&["-c", &gpg, "-c", &ssh, "-c", &allowed, verify, oid], b"");
        Some(Signed {
            payload: fs::read(file("payload")).ok()?,
            armor: fs::read(file("signature")).ok()?,
        })
    }

    /// Writes a tree of up to three levels; a broken one has its last two entries the wrong way.
    fn random_tree(&self, random: &mut Mutator, broken: bool) -> Oid {
        self.random_level(random, 0, broken)
    }

    fn random_level(&self, random: &mut Mutator, depth: usize, broken: bool) -> Oid {
        const NAMES: [&[u8]; 10] = [
            b"a",
            b"a-b",
            b"a.c",
            b"a0",
            b"d",
            b"d-e",
            b"d e",
            b"q\"",
            "\u{96ea}".as_bytes(),
            "\u{e9}".as_bytes(),
        ];
        let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for name in NAMES {
            let kind = random.below(8);
            // Two at least, where their order is to be wrong.
            if kind == 0 && !broken {
                continue;
            }
            let (mode, oid) = match kind {
                1 | 2 if depth < 2 => ("40000", self.random_level(random, depth + 1, false)),
                3 => ("160000", random_blob(self, random)),
                4 => ("120000", random_blob(self, random)),
                5 => ("100755", random_blob(self, random)),
                _ => ("100644", random_blob(self, random)),
            };
            let key = match mode {
                "40000" => [name, b"/"].concat(),
                _ => name.to_vec(),
            };
            let entry = [mode.as_bytes(), b" ", name, b"\0", oid.as_bytes()].concat();
            entries.insert(key, entry);
        }
        let mut entries: Vec<Vec<u8>> = entries.into_values().collect();
        if broken {
            let last = entries.len() - 1;
            entries.swap(last - 1, last);
        }
        self.repo
            .write(ObjectKind::Tree, &entries.concat())
            .unwrap()
    }
}

fn random_blob(scratch: &Scratch, random: &mut Mutator) -> Oid {
    let text = format!("{}\n", random.below(3));
    scratch
        .repo
        .write(ObjectKind::Blob, text.as_bytes())
        .unwrap()
}

fn command(home: &tempfile::TempDir) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(home.path());
    command
}
