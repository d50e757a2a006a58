//! Everything that needs the built binary, real git and real hooks, as one test binary.
//!
//! Tests say what is decided by finding codes, exit codes and JSON, never by prose. Each makes its
//! own server under a temporary folder, so all of them may run at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a helper of a test fails the test by panicking, and says why it skips"
)]

mod attacks;
mod attest;
mod audit;
mod audited;
mod bad_input;
mod cli;
mod contributors;
mod coverage;
mod crashes;
mod diff;
mod doctor;
mod enroll_all;
mod evasions;
mod every_commit;
mod explain;
mod generate;
mod guarded;
mod hosts;
mod house;
mod init;
mod install;
mod key_stores;
mod landings;
mod long_push;
mod monitor;
mod never_covered;
mod operations;
mod operator;
mod people;
mod policy;
mod proofs;
mod push;
mod push_cert;
mod record;
mod ref_gate;
mod release;
mod reviewer;
mod reviews;
mod rotation;
mod second_verifier;
mod signatures;
mod signers;
mod starters;
mod support;
mod terms;
mod verdict;
mod versions;
mod witnesses;
mod workflows;
