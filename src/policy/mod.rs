//! What the policy asks for: `.countersign/policy.toml`.

pub mod pattern;

pub use pattern::Pattern;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::people::PersonName;
use crate::wire::name::RefName;

/// The policy as parsed and checked against the people.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The repository's name, part of every review.
    pub repository: String,
    /// How long an approval counts after its receipt; for ever if none.
    pub approvals_expire: Option<SignedDuration>,
    /// `[[ref]]` tables in order.
    pub refs: Vec<RefRule>,
    /// `[[rule]]` tables in order; the built-in `default` is not among them.
    pub rules: Vec<Rule>,
    /// `[classes]`: patterns that add to the built-in ones.
    pub classes: BTreeMap<Class, Vec<Pattern>>,
}

/// One `[[ref]]` table.
#[derive(Clone, Debug)]
pub struct RefRule {
    /// Matched against full ref names.
    pub matches: Vec<Pattern>,
    /// Its settings.
    pub protection: Protection,
    /// The line it starts at, from 1.
    pub line: usize,
}

/// How one ref is protected; [`Protection::stricter`] merges two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Enforce unless it says dry run.
    pub mode: Mode,
    /// Every new commit must carry a known person's good signature.
    pub signed_commits: bool,
    /// Every first-parent commit is a step of its own.
    pub every_commit: bool,
    /// Whether N may leave P behind.
    pub allow_rewind: bool,
    /// Whether the ref may be deleted.
    pub allow_delete: bool,
    /// Never moved, deleted or made again.
    pub create_once: bool,
    /// Refs whose landed commits contribute nobody here.
    pub trusts: Vec<RefName>,
}

/// Enforce, or only say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Decide, say, let pass.
    DryRun,
    /// Decide and hold.
    #[default]
    Enforce,
}

/// One `[[rule]]`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique.
    pub name: String,
    /// Path patterns; every path if empty.
    pub paths: Vec<Pattern>,
    /// Classes; any if empty.
    pub classes: Vec<Class>,
    /// Protected refs; all of them if empty.
    pub refs: Vec<Pattern>,
    /// The places to fill.
    pub require: Vec<Place>,
    /// Whether a forge's word is enough.
    pub evidence: EvidenceWanted,
    /// Whether an approval lapses when the base moves.
    pub base: BaseWanted,
    /// The line it starts at, from 1; 0 for the built-in rule.
    pub line: usize,
}

/// `evidence = …`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvidenceWanted {
    /// A reviewer's own key.
    #[default]
    Signed,
    /// Also the forge's word.
    Forge,
}

/// `base = …`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BaseWanted {
    /// An exact landing on a moved base is covered.
    #[default]
    Replay,
    /// The base must be the one the review names.
    Exact,
}

/// `<n> of <who>{|<who>}`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// How many people, at least 1.
    pub count: usize,
    /// Who may fill it, in the order written.
    pub who: Vec<Who>,
}

/// One alternative of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// `any`: any human.
    Any,
    /// `@team`, without the sign.
    Team(String),
    /// A person.
    Person(PersonName),
}

/// What kind of thing a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// All else.
    Code,
    /// What is deployed rather than compiled.
    Config,
    /// What can change what CI does.
    Pipeline,
    /// What decides who must review.
    Policy,
}
