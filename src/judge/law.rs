//! Which rules a change must satisfy.

use std::collections::BTreeSet;

use crate::people::{People, Person, PersonName};
use crate::policy::{Place, Policy, Rule};
use crate::wire::name::{RefName, RepoPath};

use super::facts::PathFacts;

/// The policy and the people in force, with the built-in rule beside the written ones.
pub(crate) struct Law<'a> {
    /// Who there is.
    pub(crate) people: &'a People,
    /// The policy.
    pub(crate) policy: &'a Policy,
    default: Rule,
}

/// A rule that a change must satisfy, and the changed paths that are why.
pub(crate) struct Matched<'l> {
    /// The rule.
    pub(crate) rule: &'l Rule,
    /// Sorted; empty where the change has no path.
    pub(crate) paths: Vec<RepoPath>,
}

impl<'a> Law<'a> {
    /// Puts the built-in rule beside the policy's.
    pub(crate) fn new(policy: &'a Policy, people: &'a People) -> Self {
        Self {
            people,
            policy,
            default: Rule::default_rule(),
        }
    }

    /// Returns every rule that a change of these paths on this ref must satisfy; never none, unless
    /// only rules that name the ref have a say.
    ///
    /// A change without paths is judged by every rule of the ref. What no written rule matches
    /// falls under the built-in one.
    pub(crate) fn matching(
        &self,
        name: &RefName,
        paths: &[PathFacts],
        only_naming: bool,
    ) -> Vec<Matched<'_>> {
        if only_naming {
            let naming = self.policy.rules.iter().filter(|rule| rule.names_ref(name));
            return naming
                .map(|rule| Matched {
                    rule,
                    paths: Vec::new(),
                })
                .collect();
        }
        let mut matched = Vec::new();
        let mut orphans: BTreeSet<&RepoPath> = paths.iter().map(|facts| &facts.path).collect();
        for rule in self.policy.rules.iter().filter(|r| r.matches_ref(name)) {
            let mut mine = BTreeSet::new();
            for facts in paths {
                if rule.matches_path(&facts.path, &facts.classes) {
                    orphans.remove(&facts.path);
                    mine.insert(facts.path.clone());
                }
            }
            if paths.is_empty() || !mine.is_empty() {
                let paths = mine.into_iter().collect();
                matched.push(Matched { rule, paths });
            }
        }
        if matched.is_empty() || !orphans.is_empty() {
            matched.push(Matched {
                rule: &self.default,
                paths: orphans.into_iter().cloned().collect(),
            });
        }
        matched
    }

    /// Returns whether someone may fill one of these places.
    pub(crate) fn names(&self, places: &[Place], person: &Person) -> bool {
        let whos = places.iter().flat_map(|place| &place.who);
        whos.into_iter()
            .any(|who| who.includes(person, self.people))
    }

    /// Returns everyone who may fill one of these places.
    pub(crate) fn named(&self, places: &[Place]) -> BTreeSet<PersonName> {
        let persons = self.people.persons.values();
        persons
            .filter(|person| self.names(places, person))
            .map(|person| person.name.clone())
            .collect()
    }
}
