//! From tips to facts.

pub mod rulebook;

pub use rulebook::{Rulebook, RulebookError};
