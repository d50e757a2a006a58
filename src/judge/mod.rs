//! The decision, and nothing else: `judge(policy, people, facts) → Verdict`.
//!
//! No I/O, no clock, no git: the same facts give the same verdict anywhere, for ever.

pub mod facts;
pub mod verdict;
