//! Verdicts become words; the only place that makes text.
//!
//! [`words`] says what each finding means and what to do next; [`terminal`] lays that out for
//! somebody whose push was refused, [`json`] for a program. Everything a pusher can choose (names,
//! paths, refs, e-mails) goes through [`plain`] before a terminal sees it.

pub mod attestation;
pub mod audit;
mod audit_words;
pub mod command;
pub mod diff;
pub mod doctor;
mod entry;
pub mod explain;
#[cfg(test)]
mod fits;
pub mod json;
pub mod log;
pub mod monitor;
pub mod patch;
pub mod people;
pub mod plain;
pub mod policy;
pub mod proof;
pub mod reply;
pub mod reviews;
pub mod sarif;
pub mod sealed;
pub mod terminal;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::admit::Admission;
use crate::git::RefValue;
use crate::judge::facts::Pusher;
use crate::judge::verdict::{UpdateVerdict, Verdict};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// What the words need beyond the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// `[help] url` of the server.
    pub help_url: Option<String>,
    /// The person who pushes, where known: whose proposals a refused commit is shared among.
    pub pusher: Option<String>,
    /// What the pusher calls the server.
    pub remote: String,
    /// The commits of tag objects that are pushed: what is shared and reviewed in their stead.
    pub commits: BTreeMap<Oid, Oid>,
    /// Refs of the server by the commits that they hold already.
    pub shared: BTreeMap<Oid, RefName>,
}

impl Context {
    /// Takes from an admission who pushes and which commits are meant.
    #[must_use]
    pub fn about(self, admission: &Admission) -> Self {
        let landings = admission.landings.iter();
        let commits = landings.filter_map(|landing| landing.new.zip(landing.commit));
        Self {
            pusher: match &admission.pusher {
                Pusher::Person(person) => Some(person.to_string()),
                Pusher::Unknown(_) | Pusher::Nobody => None,
            },
            commits: commits.filter(|(new, commit)| new != commit).collect(),
            ..self
        }
    }

    /// Takes from the server's refs where commits that were refused can be fetched already.
    #[must_use]
    pub fn among(self, verdict: &Verdict, refs: &[(RefName, RefValue)]) -> Self {
        let commits: BTreeSet<Oid> = verdict.updates.iter().map(|it| self.commit(it)).collect();
        let mut shared = BTreeMap::new();
        let proposals = "refs/countersign/proposals/".to_owned();
        let own = self
            .pusher
            .as_ref()
            .map(|person| format!("{proposals}{person}/"));
        // The last of several counts: the more a ref is meant for this, the later it comes.
        let folders = ["refs/heads/".to_owned(), proposals].into_iter().chain(own);
        for folder in folders {
            for (name, value) in refs {
                let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./".contains(byte);
                let is_meant = name.as_bstr().starts_with(folder.as_bytes());
                if let RefValue::Oid(oid) = value
                    && is_meant
                    && name.as_bstr().iter().all(plain)
                    && commits.contains(oid)
                {
                    shared.insert(*oid, name.clone());
                }
            }
        }
        Self { shared, ..self }
    }

    /// Returns the commit that a reviewer of the update looks at.
    fn commit(&self, update: &UpdateVerdict) -> Oid {
        *self.commits.get(&update.new).unwrap_or(&update.new)
    }
}

impl Default for Context {
    fn default() -> Self {
        Self {
            help_url: None,
            pusher: None,
            remote: "origin".to_owned(),
            commits: BTreeMap::new(),
            shared: BTreeMap::new(),
        }
    }
}
