//! Who must approve a change, before there is one: the rules that [`super::law`] would match.

use jiff::Timestamp;

use crate::people::{People, Person, PersonName};
use crate::policy::roster::may_approve;
use crate::policy::{Class, Place, Policy, Rule, places};
use crate::wire::name::{RefName, RepoPath};

use super::facts::PathFacts;
use super::law::Law;

/// What a change of one path must satisfy.
#[derive(Clone, Debug)]
pub struct PathAsks {
    /// The path.
    pub path: RepoPath,
    /// Its classes, sorted, at least one.
    pub classes: Vec<Class>,
    /// Every rule that matches, the built-in one where none does; for a tag those that name it.
    pub rules: Vec<RuleAsks>,
}

/// A rule, and who may fill its places.
#[derive(Clone, Debug)]
pub struct RuleAsks {
    /// The rule.
    pub rule: Rule,
    /// Its places in the order written.
    pub places: Vec<PlaceAsks>,
    /// Whether so many people could approve now, if none of them contributed.
    pub satisfiable: bool,
}

/// A place, and everyone whom it names, each sorted.
#[derive(Clone, Debug)]
pub struct PlaceAsks {
    /// The place.
    pub place: Place,
    /// Who could approve now, unless they contributed to the change.
    pub able: Vec<PersonName>,
    /// Who has no key that counts now.
    pub without_key: Vec<PersonName>,
}

/// Returns what a change of each path asks for on a ref, which must be protected.
///
/// A change of all of them must satisfy every rule of each. A tag is made at a commit that is there
/// already, so only rules that name it have a say; that holds also for a branch made at a recorded
/// commit, but not for one made elsewhere. Nothing is said of what else may refuse it.
pub fn explain(
    policy: &Policy,
    people: &People,
    name: &RefName,
    paths: &[RepoPath],
    now: Timestamp,
) -> Vec<PathAsks> {
    let law = Law::new(policy, people);
    let only_naming = name.as_bstr().starts_with(b"refs/tags/");
    let asks = |path: &RepoPath| {
        let classes = policy.classes(path);
        let facts = [PathFacts {
            path: path.clone(),
            classes: classes.clone(),
        }];
        let matched = law.matching(name, &facts, only_naming);
        let rules = matched
            .iter()
            .map(|matched| asks_of(people, matched.rule, now));
        PathAsks {
            path: path.clone(),
            rules: rules.collect(),
            classes,
        }
    };
    paths.iter().map(asks).collect()
}

fn asks_of(people: &People, rule: &Rule, now: Timestamp) -> RuleAsks {
    let ready = |person: &Person| may_approve(people, person, rule, now);
    let asks = |place: &Place| {
        let named = people.persons.values();
        let named = named.filter(|person| place.admits(person, people));
        let (able, without_key): (Vec<_>, Vec<_>) = named.partition(|person| ready(person));
        let names = |persons: Vec<&Person>| -> Vec<PersonName> {
            persons.iter().map(|person| person.name.clone()).collect()
        };
        PlaceAsks {
            place: place.clone(),
            able: names(able),
            without_key: names(without_key),
        }
    };
    RuleAsks {
        rule: rule.clone(),
        places: rule.require.iter().map(asks).collect(),
        satisfiable: places::satisfiable(&rule.require, people, &ready),
    }
}
