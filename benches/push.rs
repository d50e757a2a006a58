//! What a push takes: a long one to judge, a short one into a large repository, one nobody protects.
//!
//! `cargo bench --bench push -- 10000 100000`, or with the dependencies of the tests and slower hooks
//! `cargo bench --profile dev --config profile.dev.package.countersign.opt-level=3 --bench push -- 1000 10000`: so many
//! commits in the long push, and in the repository of the short ones. Where the temporary folder is
//! a slow disk, its syncs are measured as well; `TMPDIR=/dev/shm` leaves them out.
//!
//! All through the real hooks, each a process of its own. Beside them, in the same run, on the same
//! commits: `git log --format=%G?`, `git verify-commit`, and a hook that runs it. Machines differ, and
//! so does what else they do: look at ratios, and at time of the processor.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
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

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign::wire::oid::Oid;

use support::server::scrubbed;
use support::{MAIN, Outcome};
use workshop::gitolite::Gitolite;
use workshop::{FILES, Taken, Tree, Workshop, percentile, taken};

/// How often each short push is made.
const RUNS: usize = 21;
/// Commits that git verifies; each takes it a process or two.
const SAMPLE: usize = 200;

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse().ok());
    let long = numbers.next().unwrap_or(1_000);
    let large = numbers.next().unwrap_or(10_000);
    let (workshop, tree, main) = Workshop::new(large);
    let tip = long_push(&workshop, &tree, main, long);
    short_pushes(&workshop, tip, large + long);
}

/// One push of many signed commits, approved at their tip.
fn long_push(workshop: &Workshop, tree: &Tree, main: Oid, count: usize) -> Oid {
    let (mut tree, mut head) = (tree.clone(), main);
    for number in 0..count {
        workshop.edit(&mut tree, number * 37 % FILES, 1_000_000 + number);
        head = workshop.commit("alice", &tree, &[head]);
    }
    workshop.time_hooks();
    accepted(workshop.push("alice", &format!("{head}:refs/heads/topic")));
    accepted(workshop.push("bob", &workshop.approve("bob", &head)));
    workshop.timed();
    accepted(workshop.push("alice", &format!("{head}:{MAIN}")));
    let hooks = workshop.timed();
    workshop.untime_hooks();
    let hook = hooks
        .iter()
        .find(|hook| hook.name == "pre-receive")
        .unwrap();
    let ours = count as f64 / hook.cpu_seconds;
    println!("| {count} commits, {FILES} files | a second of CPU | beside ours | cores | peak |");
    println!("|---|---|---|---|---|");
    println!(
        "| `pre-receive`, all of it | {ours:.0} | 1 | {:.1} | {:.0} MiB |",
        hook.cpu_seconds / hook.wall_seconds,
        hook.peak_mib
    );

    let theirs = |name: &str, sample: usize, took: &Taken| {
        let rate = sample as f64 * 1_000.0 / took.cpu;
        let cores = took.cpu / took.wall;
        println!(
            "| `{name}` | {rate:.0} | 1 / {:.0} | {cores:.1} | |",
            ours / rate
        );
    };
    let sample = SAMPLE.min(count);
    let range = format!("{head}~{sample}..{head}");
    let mut log = workshop.git();
    log.args(["log", "--format=%G?", &range]);
    let (took, outcome) = taken(&mut log);
    assert!(outcome.stdout.lines().all(|line| line == "G"), "{outcome}");
    assert_eq!(outcome.stdout.lines().count(), sample);
    theirs("git log --format=%G?", sample, &took);
    let mut shell = workshop.git();
    shell.arg("-c");
    let each = format!("alias.each=!git rev-list {range} | {VERIFY}");
    theirs(
        "git verify-commit, in a loop",
        sample,
        &accepted(taken(shell.args([&each, "each"]))),
    );
    head
}

/// Has git verify the commits that it reads.
const VERIFY: &str = "while read -r commit; do git verify-commit $commit || exit 1; done";

/// Where pushes go.
enum Place {
    Repository(PathBuf),
    Gitolite(Gitolite),
}

impl Place {
    fn push(&self, workshop: &Workshop, refspec: &str) -> Taken {
        accepted(match self {
            Self::Repository(path) => workshop.push_to(path, "alice", refspec),
            Self::Gitolite(gitolite) => workshop.push_by(gitolite, refspec),
        })
    }
}

/// The same repository with no hooks first, then with ours, then with others'.
fn places(workshop: &Workshop) -> Vec<(&'static str, Place)> {
    let plain = copy(workshop, "plain.git");
    let verifying = copy(workshop, "verifying.git");
    let hook = format!(
        "#!/bin/sh\nwhile read -r old new name; do\n  case $old in *[!0]*) set -- \"^$old\" ;; *) \
         set -- --not --all ;; esac\n  git rev-list \"$new\" \"$@\" | {VERIFY} || exit 1\ndone\n"
    );
    fs::create_dir(verifying.join("hooks")).unwrap();
    let path = verifying.join("hooks/pre-receive");
    fs::write(&path, hook).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let gitolite = Gitolite::new(workshop, &plain);
    if gitolite.is_none() {
        println!("gitolite3 is not installed, and left out");
    }
    let ours = workshop.server.repo().to_owned();
    let mut places = vec![
        ("no hooks", Place::Repository(plain)),
        ("Countersign", Place::Repository(ours)),
        (
            "a hook that runs `git verify-commit`",
            Place::Repository(verifying),
        ),
    ];
    places.extend(gitolite.map(|it| ("gitolite, a VREF that does", Place::Gitolite(it))));
    places
}

/// Pushes of one commit, as a topic and as its landing, and a ref written by hand: everywhere in turn.
fn short_pushes(workshop: &Workshop, tip: Oid, commits: usize) {
    let places = places(workshop);
    let mut tree = Tree::read(&workshop.repo, &tip);
    let mut head = tip;
    let mut works: [Vec<Vec<Taken>>; 3] = Default::default();
    // The last is for the memory alone.
    for run in 0..=RUNS {
        if run == RUNS {
            workshop.time_hooks();
        }
        workshop.edit(&mut tree, run, 2_000_000 + run);
        head = workshop.commit("alice", &tree, &[head]);
        let topic = format!("{head}:refs/heads/topic-{run}");
        let everywhere = |refspec: &str| {
            let places = places.iter();
            places
                .map(|(_, place)| place.push(workshop, refspec))
                .collect()
        };
        let topics = everywhere(&topic);
        accepted(workshop.push("bob", &workshop.approve("bob", &head)));
        let landings = everywhere(&format!("{head}:{MAIN}"));
        if run < RUNS {
            let name = format!("refs/heads/free-{run}");
            let by_hand = |(_, place): &(_, Place)| match place {
                Place::Repository(path) => Some(update_ref(path, &name, &tip)),
                Place::Gitolite(_) => None,
            };
            works[0].push(topics);
            works[1].push(landings);
            works[2].push(places.iter().filter_map(by_hand).collect());
        }
    }
    let hooks = workshop.timed();
    let peak = hooks.iter().map(|hook| hook.peak_mib).fold(0.0, f64::max);
    workshop.untime_hooks();
    println!(
        "\n| {commits} commits, {FILES} files | median (least) of {RUNS}, ms | adds | CPU | adds |"
    );
    println!("|---|---|---|---|---|");
    let whats = [
        "one commit to a topic that no policy names",
        "its landing on main",
        "`update-ref` of a ref that no policy names",
    ];
    for (what, takes) in whats.into_iter().zip(&works) {
        rows(what, &places, takes);
    }
    println!("\nmost memory of a hook of a topic, a review and a landing: {peak:.0} MiB");
}

fn update_ref(repository: &Path, name: &str, to: &Oid) -> Taken {
    let mut command = scrubbed("git", repository);
    command.args(["update-ref", name, &to.to_string()]);
    accepted(taken(&mut command))
}

/// Prints what the same work took everywhere, and how much more than without hooks.
fn rows(what: &str, places: &[(&str, Place)], takes: &[Vec<Taken>]) {
    let mut plain = None;
    for (at, (place, _)) in places.iter().enumerate().take(takes[0].len()) {
        let column = |take: fn(&Taken) -> f64| -> Vec<f64> {
            takes
                .iter()
                .map(|everywhere| take(&everywhere[at]))
                .collect()
        };
        let walls = column(|taken| taken.wall);
        let [median, least] = [50, 0].map(|hundredths| percentile(&walls, hundredths));
        let cpu = column(|taken| taken.cpu).iter().sum::<f64>() / RUNS as f64;
        let [median_0, least_0, cpu_0] = *plain.get_or_insert([median, least, cpu]);
        println!(
            "| {what}: {place} | {median:.1} ({least:.1}) | {:.1} ({:.1}) | {cpu:.1} | {:.1} |",
            median - median_0,
            least - least_0,
            cpu - cpu_0
        );
    }
}

/// A bare copy of the server without its hooks.
fn copy(workshop: &Workshop, name: &str) -> PathBuf {
    let to = workshop.server.folder().join(name);
    let status = Command::new("cp")
        .arg("-a")
        .arg(workshop.server.repo())
        .arg(&to)
        .status();
    assert!(status.unwrap().success());
    fs::remove_dir_all(to.join("hooks")).unwrap();
    to
}

fn accepted((taken, outcome): (Taken, Outcome)) -> Taken {
    outcome.accepted();
    taken
}
