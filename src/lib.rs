//! Countersign: "two people saw this" as a property of a git repository.
//!
//! One decision serves every door. What flows through it, left to right:
//!
//! ```text
//!  receive            read                 judge            record             report
//!  gate::push ─┐                                        ┌─ Intent ─ Entry
//!  gate::refs ─┤                                        │
//!  cli check  ─┼─ admit ── gather ── Facts ── judge ── Verdict ─── report (terminal, json)
//!  verify     ─┘            │ Repo (raw objects)
//!                           │ View (the record as of one size)
//! ```
//!
//! Modules, in pipeline order. Each imports only those above it; `tests/it/house.rs` holds that.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests drive the real git")
)]

// Bytes become structs: hook lines, commits, trees, tags, signatures, reviews. No I/O.
pub mod wire;

// `people.toml`: who may vouch, and with which keys.
pub mod people;

// `policy.toml`: which refs are protected, and which rules a change must satisfy.
pub mod policy;

// The pure decision: facts in, verdict out.
pub mod judge;

// The only place that reads git: quarantine, strict objects, walks, tree changes, `merge/v1`.
pub mod git;

// The signed append-only log, intents, the received notes and the index.
pub mod record;

// From tips to facts: commits, contributors, paths and classes, coverage.
pub mod gather;

// The one path from a proposed update to a decision; push, clone and replay all take it.
pub mod admit;

// The machine: `server.toml`, hooks on disk, who the pusher is.
pub mod host;

// What others can hold against a signature: who reviewed a commit, and which levels that gives.
pub mod attest;

// What no hook can see: refs, host, configuration and keys held against the record.
pub mod audit;

// Verdicts and entries become words; the only place that makes text.
pub mod report;

// The doors: bytes from git to `admit` to an exit code.
pub mod gate;

// What listens: the witness of other logs.
#[cfg(feature = "server")]
pub mod server;

// The command line.
pub mod cli;
