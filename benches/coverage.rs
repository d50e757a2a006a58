//! How long it takes to find out what an approval covers, beside git's own merge of the same trees.
//!
//! `cargo bench --bench coverage`, or without building every dependency once more
//! `cargo bench --profile dev --config profile.dev.package.countersign.opt-level=3 --bench coverage`.
//!
//! Times are of whole judgements in process, in a repository opened anew for each: policy, people,
//! signatures of the reviews, strict objects, coverage, rules. git is asked as a child process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints what it measured"
)]

#[path = "../tests/proof/world.rs"]
mod world;

use std::time::Instant;

use countersign::judge::verdict::Decision;
use countersign::wire::oid::{ObjectFormat, Oid};

use world::{Files, World};

/// Runs of each measurement.
const RUNS: usize = 15;
/// Files in every tree.
const FILES: usize = 5_000;

fn main() {
    println!(
        "| work | countersign, wall / CPU | git merge-tree, wall / CPU | CPU ratio | at most |"
    );
    println!("|---|---|---|---|---|");
    one_landing();
    stack();
}

/// A head that edits three files of a 5,000-file tree lands by a merge on a main that moved.
fn one_landing() {
    let (mut world, root, files) = start();
    let mut theirs = files.clone();
    for number in [17, 1_717, 4_444] {
        edit(&mut theirs, number, "head");
    }
    let head = commit(&mut world, &theirs, &[root]);
    world.review("bob", &head, &[]).unwrap();
    let mut ours = files.clone();
    for number in (0..FILES).step_by(100) {
        edit(&mut ours, number, "main");
    }
    let moved = commit(&mut world, &ours, &[root]);
    world.review("carol", &moved, &[]).unwrap();
    world.land(&world.judge(&moved));
    for number in [17, 1_717, 4_444] {
        edit(&mut ours, number, "head");
    }
    let merged = commit(&mut world, &ours, &[moved, head]);
    pack(&world);
    let judged = measure(|| judge(&mut world, &merged));
    let git = measure(|| merge_tree(&world, &[[root, moved, head]]));
    row("one landing, 5,000 files, main moved", &judged, &git, 5);
}

/// A stack of 100 commits with 20 approved heads lands by 20 merges, one after the other.
fn stack() {
    let (mut world, root, files) = start();
    let mut theirs = files.clone();
    let (mut at, mut heads) = (root, Vec::new());
    for number in 1..=100 {
        edit(&mut theirs, number * 37, "stack");
        at = commit(&mut world, &theirs, &[at]);
        if number % 5 == 0 {
            let person = ["bob", "carol"][number / 5 % 2];
            world.review(person, &at, &[]).unwrap();
            heads.push((number, at));
        }
    }
    let mut ours = files.clone();
    edit(&mut ours, 0, "main");
    let moved = commit(&mut world, &ours, &[root]);
    world.review("carol", &moved, &[]).unwrap();
    world.land(&world.judge(&moved));
    let (mut on, mut merges, mut base) = (moved, Vec::new(), root);
    for (last, head) in heads {
        for number in last - 4..=last {
            edit(&mut ours, number * 37, "stack");
        }
        merges.push([base, on, head]);
        on = commit(&mut world, &ours, &[on, head]);
        base = head;
    }
    pack(&world);
    let judged = measure(|| judge(&mut world, &on));
    let git = measure(|| merge_tree(&world, &merges));
    row("a stack of 100 commits, 20 approvals", &judged, &git, 100);
}

fn start() -> (World, Oid, Files) {
    let files: Files = (0..FILES)
        .map(|number| {
            let text: String = (0..20).map(|line| format!("{number} {line}\n")).collect();
            (
                format!("d{}/s{}/f{number}.rs", number % 20, number % 7),
                ("100644", text),
            )
        })
        .collect();
    let (world, root) = World::new(ObjectFormat::Sha1, "", "", &files);
    (world, root, files)
}

/// Changes a line of one file, by its number: `main` near the top, everybody else near the end.
fn edit(files: &mut Files, number: usize, who: &str) {
    let name = format!("d{}/s{}/f{number}.rs", number % 20, number % 7);
    let (_, text) = files.get_mut(&name).unwrap();
    let line = if who == "main" { 2 } else { 17 };
    *text = text.replacen(
        &format!("{number} {line}\n"),
        &format!("{number} by {who}\n"),
        1,
    );
}

fn commit(world: &mut World, files: &Files, parents: &[Oid]) -> Oid {
    let tree = world.tree(files);
    world.commit(&tree, parents)
}

/// Puts all objects into one pack, as a server has them.
fn pack(world: &World) {
    let mut repack = world.git();
    repack.args(["repack", "-q", "-a", "-d", "-k"]);
    assert!(repack.status().unwrap().success());
}

fn judge(world: &mut World, commit: &Oid) {
    world.reopen();
    let admission = world.judge(commit);
    assert_eq!(admission.verdict.decision, Decision::Accept);
}

/// Has git merge the same commits, all in one process.
fn merge_tree(world: &World, merges: &[[Oid; 3]]) {
    let input: String = merges
        .iter()
        .map(|[base, ours, theirs]| format!("{base} -- {ours} {theirs}\n"))
        .collect();
    let file = world.dir().join("merges");
    std::fs::write(&file, input).unwrap();
    let mut git = world.git();
    git.args(["merge-tree", "--stdin", "--no-messages"]);
    git.stdin(std::fs::File::open(file).unwrap());
    assert!(git.output().unwrap().status.success());
}

/// What one run took.
struct Taken {
    /// On the clock; the median.
    wall: f64,
    /// Of the processor, children included; the mean.
    cpu: f64,
}

fn measure(mut work: impl FnMut()) -> Taken {
    work();
    let before = cpu();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    let cpu = (cpu() - before) / RUNS as f64;
    times.sort_unstable_by(f64::total_cmp);
    Taken {
        wall: times[RUNS / 2],
        cpu,
    }
}

/// Milliseconds of processor time so far: this thread's to the nanosecond, children's in ticks of
/// ten milliseconds (proc(5)).
fn cpu() -> f64 {
    let own = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let own: f64 = own.split(' ').next().unwrap().parse().unwrap();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let children: f64 = fields[13..15]
        .iter()
        .map(|it| it.parse::<f64>().unwrap())
        .sum();
    own / 1e6 + children * 10.0
}

fn row(what: &str, ours: &Taken, git: &Taken, most: u64) {
    println!(
        "| {what} | {:.1} / {:.1} ms | {:.1} / {:.1} ms | {:.2} | {most} ms |",
        ours.wall,
        ours.cpu,
        git.wall,
        git.cpu,
        ours.cpu / git.cpu
    );
}
