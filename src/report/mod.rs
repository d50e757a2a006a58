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
#[cfg(test)]
mod fits;
pub mod json;
pub mod log;
pub mod monitor;
pub mod patch;
pub mod people;
pub mod plain;
pub mod proof;
pub mod reply;
pub mod reviews;
pub mod sarif;
pub mod sealed;
pub mod terminal;
pub mod words;

/// What the words need beyond the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// `[help] url` of the server.
    pub help_url: Option<String>,
    /// The person who pushes, where known: whose proposals a refused commit is shared among.
    pub pusher: Option<String>,
    /// What the pusher calls the server.
    pub remote: String,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            help_url: None,
            pusher: None,
            remote: "origin".to_owned(),
        }
    }
}
