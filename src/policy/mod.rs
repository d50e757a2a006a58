//! What the policy asks for: `.countersign/policy.toml`.

pub mod classes;
pub mod digest;
pub mod parse;
pub mod pattern;
pub mod places;
pub mod roster;
pub mod witnesses;

pub use pattern::Pattern;
pub use witnesses::Witnesses;

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::people::PersonName;
use crate::wire::fold::fold_path;
use crate::wire::name::{RefName, RepoPath};

use classes::Classes;
use pattern::Names;

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
    pub classes: Classes,
    /// `[hidden_content]`: where content that a reviewer may not see refuses.
    pub hidden_content: HiddenContent,
    /// `[witnesses]`: who must have cosigned the record.
    pub witnesses: Option<Witnesses>,
}

/// `[hidden_content]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenContent {
    /// On paths of these classes it refuses, on others it is a warning.
    pub refuse: Vec<Class>,
    /// Paths that are not looked into at all.
    pub allow: Vec<Pattern>,
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

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "code",
            Self::Config => "config",
            Self::Pipeline => "pipeline",
            Self::Policy => "policy",
        })
    }
}

impl Policy {
    /// Returns how a ref is protected, or nothing where it is free.
    ///
    /// Of several `[[ref]]` the strictest value of each key holds. The policy ref is protected
    /// whether listed or not.
    pub fn protection(&self, name: &RefName, policy_ref: &RefName) -> Option<Protection> {
        let listed = self
            .refs
            .iter()
            .filter(|rule| rule.matches.iter().any(|p| p.is_match(name.as_bstr())))
            .map(|rule| rule.protection.clone())
            .reduce(Protection::stricter);
        listed.or_else(|| (name == policy_ref).then(Protection::default))
    }

    /// Returns the patterns that protect refs; the policy ref need not be among them.
    pub fn protected_patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.refs.iter().flat_map(|rule| &rule.matches)
    }

    /// Returns the classes of a path, sorted, at least one.
    pub fn classes(&self, path: &RepoPath) -> Vec<Class> {
        self.classes.of(path)
    }

    /// Returns whether a path may hide what it likes.
    ///
    /// Matches the path as it is alone: an exemption is not for what only looks like it.
    pub fn may_hide(&self, path: &RepoPath) -> bool {
        let allow = &self.hidden_content.allow;
        allow.iter().any(|p| p.is_match(path.as_bstr()))
    }
}

impl Default for HiddenContent {
    fn default() -> Self {
        Self {
            refuse: vec![Class::Config, Class::Pipeline, Class::Policy],
            allow: Vec::new(),
        }
    }
}

impl Default for Protection {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            signed_commits: false,
            every_commit: false,
            allow_rewind: false,
            allow_delete: false,
            create_once: false,
            trusts: Vec::new(),
        }
    }
}

impl Protection {
    /// Returns the strictest value of each key; only what both trust is trusted.
    pub fn stricter(self, other: Self) -> Self {
        Self {
            mode: self.mode.max(other.mode),
            signed_commits: self.signed_commits || other.signed_commits,
            every_commit: self.every_commit || other.every_commit,
            allow_rewind: self.allow_rewind && other.allow_rewind,
            allow_delete: self.allow_delete && other.allow_delete,
            create_once: self.create_once || other.create_once,
            trusts: {
                let mut both = self.trusts;
                both.retain(|name| other.trusts.contains(name));
                both
            },
        }
    }
}

impl Rule {
    /// The name of the built-in rule.
    pub const DEFAULT: &str = "default";

    /// Returns the built-in rule for a path that no other rule matches: 1 of any.
    pub fn default_rule() -> Self {
        Self {
            name: Self::DEFAULT.to_owned(),
            paths: Vec::new(),
            classes: Vec::new(),
            refs: Vec::new(),
            require: vec![Place {
                count: 1,
                who: vec![Who::Any],
            }],
            evidence: EvidenceWanted::default(),
            base: BaseWanted::default(),
            line: 0,
        }
    }

    /// Returns whether the rule applies on a ref, which must be protected.
    pub fn matches_ref(&self, name: &RefName) -> bool {
        self.refs.is_empty() || self.names_ref(name)
    }

    /// Returns whether the rule has `refs` and one of them matches.
    pub fn names_ref(&self, name: &RefName) -> bool {
        self.refs.iter().any(|p| p.is_match(name.as_bstr()))
    }

    /// Returns whether the rule matches a path of these classes, as it is or folded.
    pub fn matches_path(&self, path: &RepoPath, classes: &[Class]) -> bool {
        let class = || self.classes.iter().any(|class| classes.contains(class));
        let named = || {
            let folded = folded(path);
            any_match(&self.paths, &Names::new(path.as_bstr(), &folded))
        };
        (self.classes.is_empty() || class()) && (self.paths.is_empty() || named())
    }

    /// Returns where the rule stands, for people: `.countersign/policy.toml:17`.
    pub fn at(&self) -> String {
        match self.line {
            0 => "built-in".to_owned(),
            line => format!("{}:{line}", parse::FILE),
        }
    }
}

/// Returns a path as a checkout that ignores case and the like would see it.
fn folded(path: &RepoPath) -> Vec<u8> {
    fold_path(path.as_bstr())
}

fn any_match(patterns: &[Pattern], names: &Names<'_>) -> bool {
    patterns.iter().any(|pattern| names.matches(pattern))
}
