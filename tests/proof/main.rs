//! Coverage proven: over random histories, what is decided is what design §6 says.
//!
//! `world` is the product, asked in process with real objects and real signatures. `oracle` says the
//! same once more by brute force, and shares nothing with it. `history` draws histories with edits,
//! renames, changes of mode, symlinks, submodules, criss-cross merges, approvals and every kind of
//! landing; `mutations` changes what was found covered. git itself computes the merges again where
//! it follows no rename.
//!
//! The same histories in every run. `COUNTERSIGN_PROOF_HISTORIES` says how many of each kind, and
//! `COUNTERSIGN_PROOF_SEED` draws others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and says how much it has run"
)]

mod history;
mod mutations;
mod open_approvals;
mod oracle;
mod replayed;
mod second_opinion;
mod world;

use countersign::wire::oid::ObjectFormat;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use history::{Draw, Making, Tally, Under};

/// Histories of each kind, unless the environment says otherwise.
const HISTORIES: u32 = 40;

/// Approvals are replayed wherever the base moves.
#[test]
fn replay() {
    prove(1, ObjectFormat::Sha1, Under::Replay);
}

/// The same where ids are SHA-256.
#[test]
fn replay_in_sha256() {
    prove(2, ObjectFormat::Sha256, Under::Replay);
}

/// Approvals lapse when the base moves.
#[test]
fn exact() {
    prove(3, ObjectFormat::Sha1, Under::Exact);
}

/// Every first-parent commit is a step of its own.
#[test]
fn every_commit() {
    prove(4, ObjectFormat::Sha1, Under::EveryCommit);
}

/// Who wrote what, several rules, rejections, and reviews that are taken back or replaced.
#[test]
fn people() {
    prove(5, ObjectFormat::Sha1, Under::People);
}

fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}

fn prove(kind: u8, format: ObjectFormat, under: Under) {
    let histories = number("COUNTERSIGN_PROOF_HISTORIES", HISTORIES);
    let seed = number("COUNTERSIGN_PROOF_SEED", 1).to_be_bytes();
    let mut bytes = [kind; 32];
    bytes[..4].copy_from_slice(&seed);
    let config = Config {
        cases: histories,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let draw = (any::<u8>(), any::<u16>(), any::<u16>(), any::<u16>());
    let draws = proptest::collection::vec(draw, 10..45);
    let total = std::cell::RefCell::new(Tally::default());
    let ran = runner.run(&draws, |draws: Vec<Draw>| {
        let mut making = Making::new(format, under);
        making.run(&draws);
        second_opinion::check(&mut making);
        total.borrow_mut().add(&making.tally);
        Ok(())
    });
    let total = *total.borrow();
    eprintln!("{under:?}: {total:?}");
    if let Err(error) = ran {
        panic!("{error}");
    }
    total.assert_something_was_tried(under);
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.sequences += other.sequences;
        self.replayed += other.replayed;
        self.mutations += other.mutations;
        self.merges += other.merges;
        self.conflicts += other.conflicts;
        self.criss_cross += other.criss_cross;
        self.barred += other.barred;
    }

    /// A proof over histories in which nothing lands proves nothing.
    fn assert_something_was_tried(&self, under: Under) {
        assert!(self.accepted >= self.histories, "{self:?}");
        assert!(self.refused >= self.histories, "{self:?}");
        assert!(self.mutations >= self.histories * 10, "{self:?}");
        if under == Under::People {
            assert!(self.barred >= self.histories, "{self:?}");
        } else {
            assert!(self.criss_cross > 0, "{self:?}");
        }
        if under == Under::Replay {
            assert!(self.replayed * 10 >= self.histories, "{self:?}");
            assert!(self.sequences * 20 >= self.histories, "{self:?}");
        }
    }
}
