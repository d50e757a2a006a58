//! A repository and a record in memory, driven in process: what a server would decide, without the
//! pushes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::admit::{Admission, Asked, admit};
use countersign::gather::{Bringer, Bringers, Limits, Proposed, Rulebook};
use countersign::git::{RefValue, Repo};
use countersign::judge::facts::Pusher;
use countersign::judge::verdict::Decision;
use countersign::people::PersonName;
use countersign::policy::Mode as Enforcement;
use countersign::record::entry::{DecisionId, Entry, Genesis, Landed, PusherId};
use countersign::record::{RecordError, View};
use countersign::wire::name::RefName;
use countersign::wire::object::ObjectKind;
use countersign::wire::oid::{ObjectFormat, Oid};
use ed25519_dalek::{Signer as _, SigningKey};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha512};

/// The ref that everything lands on.
pub(crate) const MAIN: &str = "refs/heads/main";
/// The repository of the policy.
const REPOSITORY: &str = "git.example.com/proof";
/// Everybody; alice pushes, and writes where nobody else is named. dana is no maintainer.
const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dana"];

/// What a path holds: mode as trees spell it, and content or the id of a submodule's commit.
pub(crate) type File = (&'static str, String);
/// Everything below the root but the policy.
pub(crate) type Files = BTreeMap<String, File>;

/// A repository of real objects, and a record of it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) repo: Repo,
    policy: Oid,
    entries: Vec<Entry>,
    view: View,
    now: Timestamp,
    counter: u64,
}

impl World {
    /// Makes an empty repository whose policy has `rule` in its one rule and `branches` in its
    /// `[[ref]]`, and returns it with the root commit, which holds `files`.
    pub(crate) fn new(
        format: ObjectFormat,
        rule: &str,
        branches: &str,
        files: &Files,
    ) -> (Self, Oid) {
        let folder = scratch();
        let name = match format {
            ObjectFormat::Sha1 => "--object-format=sha1",
            ObjectFormat::Sha256 => "--object-format=sha256",
        };
        let mut init = git(&folder);
        init.args(["init", "-q", "--bare", name, "r.git"]);
        assert!(init.status().unwrap().success());
        let repo = Repo::open(&folder.path().join("r.git"), None).unwrap();
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let mut world = Self {
            policy: repo.empty_tree(),
            view: View::in_memory(Vec::new()).unwrap(),
            folder,
            repo,
            entries: Vec::new(),
            now,
            counter: 0,
        };
        world.policy = world.policy_tree(rule, branches, None);
        let tree = world.tree(files);
        let root = world.commit(&tree, &[]);
        let rules = Rulebook::at(&world.repo, &root).unwrap();
        world.append(vec![Entry::Genesis(Genesis {
            at: now,
            repository: REPOSITORY.to_owned(),
            format,
            policy_ref: main(),
            tips: BTreeMap::from([(main(), root)]),
            dry_run: Vec::new(),
            policy: rules.id,
            keys: BTreeMap::new(),
            host: None,
        })]);
        (world, root)
    }

    /// The repository's folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("r.git")
    }

    /// Forgets everything that was read.
    #[allow(dead_code, reason = "only benchmarks start cold")]
    pub(crate) fn reopen(&mut self) {
        self.repo = Repo::open(&self.dir(), None).unwrap();
    }

    /// The record.
    #[allow(dead_code, reason = "benchmarks make their own")]
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many entries the record has.
    pub(crate) fn size(&self) -> u64 {
        self.view.size()
    }

    /// Writes the tree of `files` with the policy beside them.
    pub(crate) fn tree(&self, files: &Files) -> Oid {
        let name = b".countersign".to_vec();
        let root = vec![([&name[..], b"/"].concat(), "40000", name, self.policy)];
        let all = files.iter().map(|(path, file)| (path.as_str(), file));
        self.write_tree(root, &all.collect::<Vec<_>>())
            .unwrap_or_else(|| self.repo.empty_tree())
    }

    /// Writes a directory; `entries` are there already, with the name they sort by.
    fn write_tree(
        &self,
        mut entries: Vec<(Vec<u8>, &'static str, Vec<u8>, Oid)>,
        files: &[(&str, &File)],
    ) -> Option<Oid> {
        let mut below: BTreeMap<&str, Vec<(&str, &File)>> = BTreeMap::new();
        for (path, file) in files {
            match path.split_once('/') {
                Some((name, rest)) => below.entry(name).or_default().push((rest, file)),
                None => {
                    let name = path.as_bytes().to_vec();
                    entries.push((name.clone(), file.0, name, self.content(file)));
                }
            }
        }
        for (name, files) in below {
            if let Some(oid) = self.write_tree(Vec::new(), &files) {
                let name = name.as_bytes().to_vec();
                entries.push(([&name[..], b"/"].concat(), "40000", name, oid));
            }
        }
        entries.sort_unstable();
        let mut raw = Vec::new();
        for (_, mode, name, oid) in &entries {
            raw.extend_from_slice(mode.as_bytes());
            raw.push(b' ');
            raw.extend_from_slice(name);
            raw.push(0);
            raw.extend_from_slice(oid.as_bytes());
        }
        (!entries.is_empty()).then(|| self.repo.write(ObjectKind::Tree, &raw).unwrap())
    }

    fn content(&self, (mode, text): &File) -> Oid {
        match *mode {
            // A submodule's commit need not be here; any id of the right length will do.
            "160000" => {
                let named = self.repo.hash(ObjectKind::Blob, text.as_bytes());
                named.unwrap()
            }
            _ => self.repo.write(ObjectKind::Blob, text.as_bytes()).unwrap(),
        }
    }

    /// Has trees from now on hold another policy: with `rule`, and with a key that is revoked.
    #[allow(dead_code, reason = "benchmarks keep their policy")]
    pub(crate) fn set_policy(&mut self, rule: &str, revoked: Option<&str>) {
        self.policy = self.policy_tree(rule, "", revoked);
    }

    fn policy_tree(&self, rule: &str, branches: &str, revoked: Option<&str>) -> Oid {
        let mut people = String::new();
        for person in PEOPLE {
            let term = match revoked == Some(person) {
                true => ", revoked = 2026-01-01T00:00:00Z",
                false => "",
            };
            people += &format!(
                "[people.{person}]\nemails = [\"{person}@example.com\"]\nkeys = [{{ ssh = \"ssh-ed25519 {}\"{term} }}]\n",
                STANDARD.encode(blob(person))
            );
        }
        people += "[teams]\nmaintainers = [\"alice\", \"bob\", \"carol\"]\n";
        let policy = format!(
            "version = 1\nrepository = \"{REPOSITORY}\"\n[[ref]]\nmatch = [\"{MAIN}\"]\n{branches}\n\
             [[rule]]\nname = \"all\"\nrequire = [\"1 of @maintainers\"]\n{rule}\n"
        );
        let files: Files = [("people.toml", people), ("policy.toml", policy)]
            .map(|(name, text)| (name.to_owned(), ("100644", text)))
            .into();
        let all = files.iter().map(|(path, file)| (path.as_str(), file));
        self.write_tree(Vec::new(), &all.collect::<Vec<_>>())
            .unwrap()
    }

    /// Writes a commit by alice, unlike any other.
    pub(crate) fn commit(&mut self, tree: &Oid, parents: &[Oid]) -> Oid {
        self.commit_by("alice", tree, parents)
    }

    /// Writes a commit by somebody, unlike any other.
    pub(crate) fn commit_by(&mut self, author: &str, tree: &Oid, parents: &[Oid]) -> Oid {
        self.counter += 1;
        let at = 1_700_000_000 + self.counter;
        let mut raw = format!("tree {tree}\n");
        for parent in parents {
            raw += &format!("parent {parent}\n");
        }
        raw += &format!(
            "author {author} <{author}@example.com> {at} +0000\ncommitter alice <alice@example.com> {at} +0000\n\n\
             commit {}\n",
            self.counter
        );
        self.repo.write(ObjectKind::Commit, raw.as_bytes()).unwrap()
    }

    /// Has a person sign an approval of `head` for main; returns its index in the log.
    pub(crate) fn review(
        &mut self,
        person: &'static str,
        head: &Oid,
        lines: &[String],
    ) -> Option<u64> {
        self.review_as("approve", person, head, lines)
    }

    /// The same for any verb.
    pub(crate) fn review_as(
        &mut self,
        verb: &str,
        person: &'static str,
        head: &Oid,
        lines: &[String],
    ) -> Option<u64> {
        self.tick();
        let mut payload = format!(
            "object {head}\ntype commit\ntag countersign/ok\ntagger {person} <{person}@example.com> {} +0000\n\n\
             countersign: {verb} {MAIN} of {REPOSITORY}\n",
            self.now.as_second()
        );
        for line in lines {
            payload += &format!("{line}\n");
        }
        let tag = [payload.as_bytes(), &sign(person, payload.as_bytes())].concat();
        let tag = self.repo.write(ObjectKind::Tag, &tag).unwrap();
        let name = RefName::new(format!("refs/countersign/reviews/{head}/{tag}"));
        let admission = self.ask(&[Proposed {
            name,
            old: None,
            new: Some(tag),
            current: Some(None),
        }]);
        let review = admission.reviews.into_iter().next()?;
        self.append(vec![Entry::Review(review)]);
        Some(self.size() - 1)
    }

    /// Decides whether `commit` may land on main.
    pub(crate) fn judge(&self, commit: &Oid) -> Admission {
        let tip = self.view.tip(&main()).unwrap().unwrap().oid;
        self.ask(&[Proposed {
            name: main(),
            old: tip,
            new: Some(*commit),
            current: Some(tip.map(RefValue::Oid)),
        }])
    }

    /// Records an accepted landing.
    pub(crate) fn land(&mut self, admission: &Admission) {
        assert_eq!(admission.verdict.decision, Decision::Accept);
        self.tick();
        let size = self.size();
        let landing = admission.landings.first().unwrap();
        self.append(vec![Entry::Landed(Landed {
            at: self.now,
            judged: self.now,
            size,
            judge: "0".to_owned(),
            limits: Limits::default().by_name(),
            repository: landing.repository.clone(),
            name: landing.name.clone(),
            old: landing.old,
            new: landing.new,
            pusher: PusherId::Person(PersonName::new("alice").unwrap()),
            mode: landing.mode,
            policy: admission.policy.clone().unwrap(),
            intent: format!("{size:032x}"),
            sha256: landing.sha256.clone(),
            rejudged: false,
            certificate: None,
            decision: DecisionId::Inline(Box::new(landing.decided.clone())),
        })]);
    }

    fn ask(&self, updates: &[Proposed]) -> Admission {
        admit(Asked {
            repo: &self.repo,
            view: self.view.clone(),
            policy_ref: &main(),
            limits: &Limits::default(),
            mode: Enforcement::Enforce,
            now: self.now,
            pusher: &|_| Pusher::Person(PersonName::new("alice").unwrap()),
            bringers: &Alice,
            expired: &|| false,
            updates,
        })
        .unwrap()
    }

    fn append(&mut self, entries: Vec<Entry>) {
        self.entries.extend(entries);
        self.view = View::in_memory(self.entries.clone()).unwrap();
    }

    fn tick(&mut self) {
        self.now += SignedDuration::from_secs(1);
    }

    /// git in the repository, without anyone's configuration.
    pub(crate) fn git(&self) -> Command {
        let mut command = git(&self.folder);
        command.arg("-C").arg(self.dir());
        command
    }
}

/// A folder in memory where there is one: thousands of small objects are written, none to stay.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Main as a ref.
pub(crate) fn main() -> RefName {
    RefName::new(MAIN)
}

/// Alice brought everything.
struct Alice;

impl Bringers for Alice {
    fn bringer(&self, _commit: &Oid) -> Result<Option<Bringer>, RecordError> {
        Ok(Some(Bringer {
            person: PersonName::new("alice"),
            at: "2026-02-01T00:00:00Z".parse().unwrap(),
        }))
    }
}

fn git(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(folder.path());
    command
}

/// A person's key: the first bytes of the name, so that everybody has another.
fn key(person: &str) -> SigningKey {
    let mut seed = [7; 32];
    seed[..3].copy_from_slice(&person.as_bytes()[..3]);
    SigningKey::from_bytes(&seed)
}

/// `string` fields (RFC 4251, section 5), one after the other.
fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        out.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// A person's public key, as ssh writes it.
pub(crate) fn blob(person: &str) -> Vec<u8> {
    strings(&[b"ssh-ed25519", key(person).verifying_key().as_bytes()])
}

/// Signs as `ssh-keygen -Y sign -n git` does.
pub(crate) fn sign(person: &str, message: &[u8]) -> Vec<u8> {
    let digest = Sha512::digest(message);
    let to_be_signed = [b"SSHSIG", &strings(&[b"git", b"", b"sha512", &digest])[..]].concat();
    let signature = key(person).sign(&to_be_signed).to_bytes();
    let signature = strings(&[b"ssh-ed25519", &signature]);
    let fields = strings(&[&blob(person), b"git", b"", b"sha512", &signature]);
    let text = STANDARD.encode([b"SSHSIG\0\0\0\x01", &fields[..]].concat());
    let lines = text.as_bytes().chunks(70).map(<[u8]>::to_vec);
    let body = lines.collect::<Vec<_>>().join(&b'\n');
    [
        b"-----BEGIN SSH SIGNATURE-----\n",
        &body[..],
        b"\n-----END SSH SIGNATURE-----\n",
    ]
    .concat()
}
