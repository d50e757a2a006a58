//! Every function that takes pushed bytes, on its corpus and on mutations of it, without coverage.
//!
//! `targets` is the one list of what is fuzzed; `fuzz/` runs the same functions under libFuzzer.
//! Ten seconds each, or `COUNTERSIGN_FUZZ_SECONDS`; the same sequence every run, or another with
//! `COUNTERSIGN_FUZZ_SEED`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and says how much it has run"
)]

mod mutate;
mod properties;
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::{TARGETS, Target};

/// Most inputs that are kept to be mutated further.
const POOL: usize = 512;
/// No input of this size may take longer, even on a loaded machine and without optimisation.
const SLOWEST: Duration = Duration::from_secs(5);

macro_rules! fuzz {
    ($($name:ident),+ $(,)?) => {
        /// What has a test below.
        const TESTED: &[&str] = &[$(stringify!($name)),+];

        $(
            /// No input breaks what the function of this name promises.
            #[test]
            fn $name() {
                run(stringify!($name), targets::$name);
            }
        )+
    };
}

fuzz! {
    add_checkpoint, allowed_signers, armor, commit, display, entry, envelope, fold, hidden,
    hook_lines, ident, intent, keyring, log_policy, log_proof, merge_lines, note, openpgp_key,
    openpgp_signature, owners, pattern, people, place, policy, push_cert, ref_name, ref_writes,
    review, ssh_agent, ssh_certificate, ssh_key, sshd, sshsig, statement, tag, tree, verify,
    witness_answer,
}

/// Every function has a test and seeds, and nothing has them without a function.
#[test]
fn nothing_is_left_out() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let tested = TESTED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(listed, tested);
    assert_eq!(listed, names_in(&corpora()));
}

/// Replays the corpus, then mutates it until the time is up.
///
/// The function says whether it accepted the input. What it accepts is mutated further, so that
/// several steps lead away from the corpus; both answers must have been given.
fn run(name: &str, target: Target) {
    let mut pool = corpus(name);
    assert!(pool.len() > 1, "{name} has no corpus");
    let (mut accepted, mut refused) = (0u64, 0u64);
    let mut count = |taken: bool| *(if taken { &mut accepted } else { &mut refused }) += 1;
    for input in &pool {
        count(checked(name, target, input));
    }
    let end = Instant::now() + seconds();
    let seeds = pool.len();
    let mut mutator = Mutator::new(number("COUNTERSIGN_FUZZ_SEED").unwrap_or(1));
    while Instant::now() < end {
        let input = mutator.mutation(&pool);
        let taken = checked(name, target, &input);
        count(taken);
        if taken && pool.len() < POOL {
            pool.push(input);
        } else if taken {
            let at = seeds + mutator.below(POOL - seeds);
            pool[at] = input;
        }
    }
    eprintln!("{name}: {accepted} accepted, {refused} refused");
    assert!(accepted > 0, "{name} accepts nothing");
    assert!(
        refused > 0 || targets::TOTAL.contains(&name),
        "{name} refuses nothing"
    );
}

/// Runs one input; one that breaks a promise is kept for `fuzz/README.md` to say what to do.
fn checked(name: &str, target: Target, input: &[u8]) -> bool {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    let slow = start.elapsed() > SLOWEST;
    match outcome {
        Ok(taken) if !slow => taken,
        outcome => {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            fs::write(&kept, input).unwrap();
            let what = if outcome.is_err() {
                "breaks on"
            } else {
                "is slow on"
            };
            panic!(
                "{name} {what} {}: {:?}",
                kept.display(),
                bstr::BStr::new(input)
            );
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(corpora().join(name))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn seconds() -> Duration {
    Duration::from_secs(number("COUNTERSIGN_FUZZ_SECONDS").unwrap_or(10))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap())
}

/// Returns the names of the folders in a folder.
fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.is_dir())
        .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus")
}
