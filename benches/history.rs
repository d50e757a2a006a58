//! How long it takes to decide a whole record again, and how much memory that takes.
//!
//! `cargo bench --bench history -- 10000`, or without building every dependency once more
//! `cargo bench --profile dev --config profile.dev.package.countersign.opt-level=3 --bench history -- 10000`.
//!
//! So many commits land one by one on a main of 5,000 files: each changes one file, is signed by alice
//! and approved by bob, with a review and a landing in the record. Deciding is measured in a process of
//! its own. With `keep` the repository stays, and `measure <its folder>` decides it once more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints what it measured"
)]

#[path = "../tests/proof/world.rs"]
#[allow(dead_code, reason = "this one makes its own landings")]
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::admit::history::history;
use countersign::admit::replay;
use countersign::admit::shares::shares;
use countersign::gather::{Limits, Rulebook};
use countersign::git::Repo;
use countersign::people::PersonName;
use countersign::policy::Mode;
use countersign::record::entry::{
    Decided, DecisionId, Entry, Genesis, Landed, PolicyId, PusherId, Review,
};
use countersign::record::{Checkpoint, Record, View};
use countersign::wire::name::RefName;
use countersign::wire::object::ObjectKind;
use countersign::wire::oid::{ObjectFormat, Oid};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use world::{Files, MAIN, World};

/// Files in the tree.
const FILES: usize = 5_000;
/// Directories, one level deep.
const DIRS: usize = 70;
/// Landings that are packed and appended at once.
const CHUNK: usize = 5_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, what, dir, ..] = args.as_slice()
        && what == "measure"
    {
        return measure(Path::new(dir));
    }
    let count = args.iter().find_map(|arg| arg.parse().ok());
    let count = count.unwrap_or(1_000);
    let start = Instant::now();
    let shop = Shop::new(count);
    println!(
        "{count} landings made in {:.0} s",
        start.elapsed().as_secs_f64()
    );
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.arg("measure").arg(shop.world.dir());
    assert!(child.status().unwrap().success());
    if args.iter().any(|arg| arg == "keep") {
        println!("{}", shop.world.dir().display());
        std::mem::forget(shop);
    }
}

/// Checks and decides again what is in a folder.
fn measure(dir: &Path) {
    let repo = Repo::open(dir, None).unwrap();
    let record = Record::open(&dir.join("countersign")).unwrap();
    let start = Instant::now();
    let nothing = Checkpoint::empty(&record.checkpoint().origin);
    let report = record.verify_anew(&nothing).unwrap();
    assert!(report.ok(), "{:?}", report.problems);
    let verified = start.elapsed();
    let found = history(&repo, &record, &shares(0..record.size()), &mut |_| ()).unwrap();
    assert!(found.problems.is_empty(), "{:?}", &found.problems[..1]);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!(
        "{} entries, {} landings: {:.1} s for all ({:.1} s of CPU), of which {:.1} s for the log itself; {}",
        found.entries,
        found.reviewed,
        start.elapsed().as_secs_f64(),
        cpu_seconds(),
        verified.as_secs_f64(),
        peak.unwrap()
    );
}

/// What this process has used of all cores together: proc(5), in hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u32 = fields[11..13]
        .iter()
        .map(|field| field.parse::<u32>().unwrap())
        .sum();
    f64::from(ticks) / 100.0
}

/// A repository with a record of many landings.
struct Shop {
    world: World,
    /// What is in each directory: names and ids, sorted.
    dirs: Vec<BTreeMap<String, Oid>>,
    trees: Vec<Oid>,
    policy_tree: Oid,
    policy: PolicyId,
    bob: String,
    template: Option<Decided>,
    tip: Oid,
    count: usize,
}

fn at(number: usize) -> Timestamp {
    let seconds = i64::try_from(number).unwrap();
    Timestamp::from_second(1_780_000_000 + seconds).unwrap()
}

fn person(name: &str) -> PersonName {
    PersonName::new(name).unwrap()
}

fn sha256(raw: &[u8]) -> String {
    let hash = Sha256::digest(raw);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Shop {
    fn new(count: usize) -> Self {
        let (world, root) = World::new(ObjectFormat::Sha1, "", "", &Files::new());
        let rules = Rulebook::at(&world.repo, &root).unwrap();
        let tree = world.repo.commit(&root).unwrap().tree;
        let (_, policy_tree) = world.repo.file_at(&tree, b".countersign").unwrap().unwrap();
        let mut shop = Self {
            policy: rules.id.clone(),
            bob: rules.people.persons[&person("bob")].keys[0]
                .fingerprint
                .clone(),
            dirs: vec![BTreeMap::new(); DIRS],
            trees: Vec::new(),
            policy_tree,
            template: None,
            tip: root,
            count: 0,
            world,
        };
        shop.plant();
        let genesis = Entry::Genesis(Genesis {
            at: at(0),
            repository: rules.policy.repository.clone(),
            format: ObjectFormat::Sha1,
            policy_ref: RefName::new(MAIN),
            tips: BTreeMap::from([(RefName::new(MAIN), shop.tip)]),
            dry_run: Vec::new(),
            policy: PolicyId {
                commit: shop.tip,
                ..rules.id
            },
            keys: BTreeMap::new(),
            host: None,
        });
        shop.policy.commit = shop.tip;
        let dir = shop.world.dir().join("countersign");
        let record = Record::create(&dir, &rules.policy.repository).unwrap();
        let lock = record.lock().unwrap();
        record
            .append(&lock, std::slice::from_ref(&genesis))
            .unwrap();
        let mut left = count;
        while left > 0 {
            let mut entries = Vec::new();
            for _ in 0..left.min(CHUNK) {
                entries.extend(shop.land(&genesis));
            }
            left -= left.min(CHUNK);
            record.append(&lock, &entries).unwrap();
            shop.pack();
        }
        drop(lock);
        let index = &["multi-pack-index", "write"];
        assert!(shop.world.git().args(index).status().unwrap().success());
        shop
    }

    /// Writes the first tree and its commit.
    fn plant(&mut self) {
        for number in 0..FILES {
            let text: String = (0..20).map(|line| format!("{number} {line}\n")).collect();
            let blob = self.world.repo.write(ObjectKind::Blob, text.as_bytes());
            self.dirs[number % DIRS].insert(format!("f{number}.rs"), blob.unwrap());
        }
        for dir in 0..DIRS {
            let tree = self.tree(dir);
            self.trees.push(tree);
        }
        let tip = self.tip;
        self.tip = self.commit(&[tip]);
    }

    fn tree(&self, dir: usize) -> Oid {
        let mut raw = Vec::new();
        for (name, oid) in &self.dirs[dir] {
            raw.extend_from_slice(format!("100644 {name}\0").as_bytes());
            raw.extend_from_slice(oid.as_bytes());
        }
        self.world.repo.write(ObjectKind::Tree, &raw).unwrap()
    }

    /// Writes a commit of the trees as they are, signed by alice.
    fn commit(&self, parents: &[Oid]) -> Oid {
        let mut raw = b"40000 .countersign\0".to_vec();
        raw.extend_from_slice(self.policy_tree.as_bytes());
        let names: BTreeMap<_, _> = (0..DIRS).map(|dir| (format!("d{dir}"), dir)).collect();
        // As directories sort.
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_by_key(|(name, _)| format!("{name}/"));
        for (name, dir) in names {
            raw.extend_from_slice(format!("40000 {name}\0").as_bytes());
            raw.extend_from_slice(self.trees[dir].as_bytes());
        }
        let tree = self.world.repo.write(ObjectKind::Tree, &raw).unwrap();
        let mut head = format!("tree {tree}\n");
        for parent in parents {
            head += &format!("parent {parent}\n");
        }
        let who = format!(
            "alice <alice@example.com> {} +0000",
            at(self.count).as_second()
        );
        head += &format!("author {who}\ncommitter {who}\n");
        let body = format!("\nchange {}\n", self.count);
        let signature = world::sign("alice", format!("{head}{body}").as_bytes());
        let signature = String::from_utf8(signature).unwrap();
        let folded = signature.trim_end().replace('\n', "\n ");
        let raw = format!("{head}gpgsig {folded}\n{body}");
        self.world
            .repo
            .write(ObjectKind::Commit, raw.as_bytes())
            .unwrap()
    }

    /// Makes one change, bob's review of it and its landing.
    fn land(&mut self, genesis: &Entry) -> [Entry; 2] {
        self.count += 1;
        let repo = &self.world.repo;
        let file = self.count * 37 % FILES;
        let text: String = (0..20)
            .map(|line| format!("{file} {line} {}\n", if line == 7 { self.count } else { 0 }))
            .collect();
        let blob = repo.write(ObjectKind::Blob, text.as_bytes()).unwrap();
        let dir = file % DIRS;
        self.dirs[dir].insert(format!("f{file}.rs"), blob);
        self.trees[dir] = self.tree(dir);
        let old = self.tip;
        let new = self.commit(&[old]);
        let review = self.review(&new, &old);
        let mut landed = self.landed(&old, &new);
        if self.template.is_none() {
            let before = vec![genesis.clone(), Entry::Review(review.clone())];
            let view = View::in_memory(before).unwrap();
            let main = RefName::new(MAIN);
            let decided = replay::decide(&self.world.repo, view, &main, &landed, &[]).unwrap();
            self.template = Some(decided.landings[0].decided.clone());
        }
        let mut decided = self.template.clone().unwrap();
        decided.verdict.old = old;
        decided.verdict.new = new;
        decided.verdict.approvals[0].commit = new;
        decided.counted[0].head = new;
        decided.counted[0].base = old;
        decided.counted[0].reviews = vec![landed.size - 1];
        decided.contents = BTreeMap::from([(blob, sha256(text.as_bytes()))]);
        landed.decision = DecisionId::Inline(Box::new(decided));
        self.tip = new;
        self.policy.commit = new;
        [Entry::Review(review), Entry::Landed(landed)]
    }

    fn review(&self, head: &Oid, tip: &Oid) -> Review {
        let payload = format!(
            "object {head}\ntype commit\ntag countersign/ok\ntagger bob <bob@example.com> {} +0000\n\n\
             countersign: approve {MAIN} of git.example.com/proof\n",
            at(self.count).as_second()
        );
        let raw = [payload.as_bytes(), &world::sign("bob", payload.as_bytes())].concat();
        Review {
            at: at(self.count),
            name: RefName::new(format!("refs/countersign/reviews/{head}/bob")),
            pusher: Some(person("bob")),
            tag: self.world.repo.hash(ObjectKind::Tag, &raw).unwrap(),
            raw: STANDARD.encode(raw),
            person: person("bob"),
            key: self.bob.clone(),
            target: RefName::new(MAIN),
            head: *head,
            tip: *tip,
        }
    }

    /// The landing without what was decided.
    fn landed(&self, old: &Oid, new: &Oid) -> Landed {
        let raw = self
            .world
            .repo
            .raw(new, ObjectKind::Commit, 1 << 20)
            .unwrap();
        let size = u64::try_from(self.count * 2).unwrap();
        Landed {
            at: at(self.count),
            judged: at(self.count),
            size,
            judge: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits::default().by_name(),
            repository: "git.example.com/proof".to_owned(),
            name: RefName::new(MAIN),
            old: Some(*old),
            new: Some(*new),
            pusher: PusherId::Person(person("alice")),
            mode: Mode::Enforce,
            policy: self.policy.clone(),
            intent: format!("{size:032x}"),
            sha256: BTreeMap::from([(*new, sha256(&raw))]),
            rejudged: false,
            certificate: None,
            // Put in by the caller.
            decision: DecisionId::Beside {
                sha256: String::new(),
                decision: countersign::judge::verdict::Decision::Accept,
            },
        }
    }

    /// Puts what is loose into a pack, as a server has it.
    fn pack(&self) {
        for args in [
            &["update-ref", MAIN, &self.tip.to_string()][..],
            &["-c", "pack.threads=2", "repack", "-q", "-d"],
        ] {
            assert!(self.world.git().args(args).status().unwrap().success());
        }
    }
}
