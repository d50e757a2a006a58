//! A day at one repository, through the real hooks: what pushes take as the record grows.
//!
//! `cargo bench --bench day -- 5000 <folder>`, or with the dependencies of the tests and slower hooks
//! `cargo bench --profile dev --config profile.dev.package.countersign.opt-level=3 --bench day -- 5000 <folder>`. A second
//! number says after how many minutes the day ends at the latest.
//!
//! Eight people push topics of some twenty commits, review each other's, and land them by merges, on a
//! main that has moved twice since the review. Some try to land before anybody approved. Afterwards
//! the log verifies, every decision is made again, and the audit finds nothing. What a push took, how
//! much memory its hooks had and how large the record is goes to `day.csv` in the folder;
//! `docs/images/day.py` draws it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints what it measured"
)]

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use all of it")]
mod support;
#[allow(dead_code, reason = "each benchmark uses a part")]
mod workshop;
#[path = "../tests/proof/world.rs"]
#[allow(dead_code, reason = "only its signatures")]
mod world;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign::wire::oid::Oid;

use support::MAIN;
use workshop::{FILES, PEOPLE, Taken, Tree, Workshop, percentile};

/// Commits of the longest topic. Three pushes bring a topic: twenty commits for each push.
const LONGEST: usize = 118;
/// Topics that are on their way at once.
const OPEN: usize = 3;
/// Every so many topics somebody tries to land one that nobody has approved.
const HASTY: usize = 8;
/// Pushes that one line of the table is about.
const WINDOW: usize = 100;

/// A change on its way.
struct Topic {
    number: usize,
    head: Oid,
    /// Which files it changes.
    files: Vec<usize>,
}

/// What a push was for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Topic,
    Review,
    Landing,
    Refused,
}

struct Day {
    workshop: Workshop,
    main: Oid,
    tree: Tree,
    open: VecDeque<Topic>,
    topics: usize,
    commits: usize,
    pushes: Vec<(Kind, Taken)>,
    start: Instant,
    table: String,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = args.iter().filter_map(|arg| arg.parse::<usize>().ok());
    let pushes = numbers.next().unwrap_or(300);
    let minutes = numbers.next().unwrap_or(24 * 60);
    let folder = args.iter().find(|arg| arg.starts_with('/'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let (workshop, tree, main) = Workshop::new(1);
    workshop.time_hooks();
    let mut day = Day {
        workshop,
        main,
        tree,
        open: VecDeque::new(),
        topics: 0,
        commits: 0,
        pushes: Vec::new(),
        start: Instant::now(),
        table: "pushes,commits,seconds,topic_ms,review_ms,landing_ms,refused_ms,p99_ms,cpu_ms,\
                hook_mib,log_mib,index_mib,received_mib\n"
            .to_owned(),
    };
    let end = Duration::from_secs(u64::try_from(minutes).unwrap() * 60);
    let mut windows = 0;
    while day.pushes.len() < pushes && day.start.elapsed() < end {
        day.go_on();
        if day.pushes.len() / WINDOW > windows {
            windows = day.pushes.len() / WINDOW;
            day.window();
            fs::write(folder.join("day.csv"), &day.table).unwrap();
        }
    }
    day.end();
}

impl Day {
    /// Begins a topic, and brings the oldest to its end.
    fn go_on(&mut self) {
        let number = self.topics;
        self.topics += 1;
        let author = PEOPLE[number % PEOPLE.len()];
        let (mut tree, mut head, mut files) = (self.tree.clone(), self.main, Vec::new());
        // From one commit to many, so that about twenty are a push.
        for _ in 0..=number * 37 % LONGEST {
            let file = self.commits * 37 % FILES;
            self.commits += 1;
            self.workshop.edit(&mut tree, file, self.commits);
            head = self.workshop.commit(author, &tree, &[head]);
            files.push(file);
        }
        self.push(
            Kind::Topic,
            author,
            &format!("{head}:refs/heads/topic-{number}"),
        );
        if number.is_multiple_of(HASTY) {
            self.push(Kind::Refused, author, &format!("{head}:{MAIN}"));
        }
        let reviewer = PEOPLE[(number + 3) % PEOPLE.len()];
        let review = self.workshop.approve(reviewer, &head);
        self.push(Kind::Review, reviewer, &review);
        self.open.push_back(Topic {
            number,
            head,
            files,
        });
        if self.open.len() == OPEN {
            let topic = self.open.pop_front().unwrap();
            self.land(&topic);
        }
    }

    /// Merges a topic into a main that has moved since, and cleans up after it.
    fn land(&mut self, topic: &Topic) {
        let theirs = Tree::read(&self.workshop.repo, &topic.head);
        for file in &topic.files {
            self.workshop.take(&mut self.tree, &theirs, *file);
        }
        let lander = PEOPLE[(topic.number + 5) % PEOPLE.len()];
        let parents = [self.main, topic.head];
        let merged = self.workshop.commit(lander, &self.tree, &parents);
        self.commits += 1;
        self.push(Kind::Landing, lander, &format!("{merged}:{MAIN}"));
        self.main = merged;
    }

    fn push(&mut self, kind: Kind, person: &str, refspec: &str) {
        let (taken, outcome) = self.workshop.push(person, refspec);
        let expected = kind != Kind::Refused;
        assert_eq!(taken.accepted, expected, "{refspec}: {outcome}");
        self.pushes.push((kind, taken));
    }

    /// Puts a line into the table.
    fn window(&mut self) {
        let last = &self.pushes[self.pushes.len() - WINDOW..];
        let median = |kind| {
            let of_kind = last.iter().filter(|(other, _)| *other == kind);
            let walls: Vec<f64> = of_kind.map(|(_, taken)| taken.wall).collect();
            percentile(&walls, 50)
        };
        let walls: Vec<f64> = last.iter().map(|(_, taken)| taken.wall).collect();
        let cpu: f64 = last.iter().map(|(_, taken)| taken.cpu).sum();
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let cpu = cpu / WINDOW as f64;
        let hooks = self.workshop.timed().into_iter();
        let peak = hooks.map(|hook| hook.peak_mib).fold(0.0, f64::max);
        let record = |path| mib(&self.workshop.server.record(path));
        let index: f64 = ["index.db", "index.db-wal", "index.db-shm"]
            .map(record)
            .iter()
            .sum();
        write!(self.table, "{},{},", self.pushes.len(), self.commits).unwrap();
        writeln!(
            self.table,
            "{:.1},{:.1},{:.1},{:.1},{:.1},{:.1},{cpu:.1},{peak:.1},{:.2},{index:.2},{:.2}",
            self.start.elapsed().as_secs_f64(),
            median(Kind::Topic),
            median(Kind::Review),
            median(Kind::Landing),
            median(Kind::Refused),
            percentile(&walls, 99),
            record("log"),
            record("received"),
        )
        .unwrap();
        println!("{}", self.table.lines().last().unwrap());
        // What is loose becomes a pack, as a person's own `git gc` would have it.
        let name = format!("refs/heads/seen-{}", self.pushes.len());
        self.workshop
            .run(&["update-ref", &name, &self.main.to_string()]);
        self.workshop.run(&["repack", "-q", "-d"]);
    }

    /// Lands what is open, and holds the record against all there is.
    fn end(&mut self) {
        while let Some(topic) = self.open.pop_front() {
            self.land(&topic);
        }
        let server = &self.workshop.server;
        self.workshop.untime_hooks();
        assert_eq!(server.main(), self.main.to_string());
        let count = |kind| {
            self.pushes
                .iter()
                .filter(|(other, _)| *other == kind)
                .count()
        };
        let [reviews, landings] = [Kind::Review, Kind::Landing].map(count);
        server.cli(&["log", "reconcile"]).accepted();
        let log = server.cli(&["log", "verify", "--json"]).accepted().json();
        assert_eq!(log["kinds"]["landed"], landings, "{log}");
        assert_eq!(log["kinds"]["review"], reviews, "{log}");
        server.cli(&["verify", "history"]).exits(0);
        server.cli(&["audit"]).exits(0);
        println!(
            "{} pushes ({} topics, {reviews} reviews, {landings} landings, {} refused), {} commits: \
             the log verifies, every decision is made again, the audit finds nothing",
            self.pushes.len(),
            count(Kind::Topic),
            count(Kind::Refused),
            self.commits
        );
    }
}

/// The bytes of a file, or of all files below a folder.
fn mib(path: &Path) -> f64 {
    fn bytes(path: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(path) else {
            return fs::metadata(path).map_or(0, |file| file.len());
        };
        entries.map(|entry| bytes(&entry.unwrap().path())).sum()
    }
    #[allow(clippy::cast_precision_loss, reason = "far from so many bytes")]
    let bytes = bytes(path) as f64;
    bytes / f64::from(1 << 20)
}
