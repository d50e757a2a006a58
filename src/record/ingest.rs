//! What an entry says, taken apart by what is asked of it.
//!
//! Where that is put, in SQLite ([`super::index`]) or in memory ([`super::tables`]), is a [`Sink`]'s.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

use super::RecordError;
use super::entry::{Decided, Entry, Landed, Review};
use super::view::{Tip, TipKind};
use crate::judge::verdict::Decision;
use crate::policy::Mode;
use crate::wire::oid::Oid;
use crate::wire::review::{ReviewMessage, ReviewVerb};
use crate::wire::tag::Tag;

/// Where what entries say is put, by what is asked of it.
pub(super) trait Sink {
    /// An entry of the repository; `place` is where its bytes stand in their bundle.
    fn entry(
        &mut self,
        index: u64,
        kind: &'static str,
        latest: Timestamp,
        place: (u64, usize),
    ) -> Result<(), RecordError>;
    fn tip(&mut self, name: &str, tip: Tip) -> Result<(), RecordError>;
    fn review(&mut self, index: u64, review: &Review, verb: ReviewVerb) -> Result<(), RecordError>;
    fn landed(&mut self, index: u64, name: &str, landed: &Landed) -> Result<(), RecordError>;
    /// A head that a landing counted; `place` is where in its sequence.
    fn counted(
        &mut self,
        index: u64,
        name: &str,
        place: i64,
        head: &Oid,
    ) -> Result<(), RecordError>;
    /// A commit that can be counted no more.
    fn spent(&mut self, index: u64, name: &str, oid: &Oid) -> Result<(), RecordError>;
}

/// An entry to be put somewhere.
pub(super) struct Ingest<'a> {
    pub(super) index: u64,
    pub(super) entry: &'a Entry,
    /// What a landing was decided on.
    pub(super) decided: Option<&'a Decided>,
    /// What a review says, as [`check`] has it.
    pub(super) verb: Option<ReviewVerb>,
    /// The latest time up to and with the entry.
    pub(super) latest: Timestamp,
    /// Where its bytes stand in their bundle.
    pub(super) place: (u64, usize),
}

impl Ingest<'_> {
    /// Puts all of it there.
    pub(super) fn put(&self, to: &mut impl Sink) -> Result<(), RecordError> {
        let index = self.index;
        to.entry(index, self.entry.kind(), self.latest, self.place)?;
        match self.entry {
            Entry::Genesis(genesis) => {
                for (name, oid) in &genesis.tips {
                    let tip = Tip {
                        oid: Some(*oid),
                        index,
                        how: TipKind::Genesis,
                        accepted: true,
                        mode: match genesis.dry_run.contains(name) {
                            true => Mode::DryRun,
                            false => Mode::Enforce,
                        },
                    };
                    to.tip(&name.to_string(), tip)?;
                }
                Ok(())
            }
            Entry::Review(review) => {
                let verb = self.verb.ok_or_else(|| self.lacks("what it says"))?;
                to.review(index, review, verb)
            }
            Entry::Landed(landed) => self.landed(to, landed),
            Entry::Adopted(adopted) => {
                let tip = Tip {
                    oid: adopted.new,
                    index,
                    how: TipKind::Adopted,
                    accepted: false,
                    mode: Mode::Enforce,
                };
                to.tip(&adopted.name.to_string(), tip)
            }
            // Found again by their kind.
            Entry::Incident(_) | Entry::Admin(_) => Ok(()),
        }
    }

    fn landed(&self, to: &mut impl Sink, landed: &Landed) -> Result<(), RecordError> {
        let index = self.index;
        let accepted =
            landed.decision.decision() == Decision::Accept && landed.mode == Mode::Enforce;
        let name = landed.name.to_string();
        let tip = Tip {
            oid: landed.new,
            index,
            how: TipKind::Landed,
            accepted,
            mode: landed.mode,
        };
        to.tip(&name, tip)?;
        to.landed(index, &name, landed)?;
        let decided = self.decided.ok_or_else(|| self.lacks("its decision"))?;
        for (place, counted) in (0i64..).zip(&decided.counted) {
            to.counted(index, &name, place, &counted.head)?;
            if !accepted {
                continue;
            }
            for oid in std::iter::once(&counted.head).chain(&counted.spent) {
                to.spent(index, &name, oid)?;
            }
        }
        Ok(())
    }

    fn lacks(&self, what: &str) -> RecordError {
        let why = format!("{what} is not here");
        RecordError::damaged(format_args!("entry {}", self.index), why)
    }
}

/// Refuses an entry that the index could not take; returns what a review says.
pub(crate) fn check(index: u64, entry: &Entry) -> Result<Option<ReviewVerb>, RecordError> {
    match entry {
        Entry::Review(review) => verb(index, review).map(Some),
        Entry::Genesis(_)
        | Entry::Landed(_)
        | Entry::Adopted(_)
        | Entry::Incident(_)
        | Entry::Admin(_) => Ok(None),
    }
}

/// Reads what a review says from its raw bytes, which must agree with the entry around them.
fn verb(index: u64, review: &Review) -> Result<ReviewVerb, RecordError> {
    let damaged = |why: &dyn std::fmt::Display| {
        RecordError::damaged(format_args!("entry {index}"), format_args!("review: {why}"))
    };
    let raw = BASE64
        .decode(&review.raw)
        .map_err(|error| damaged(&error))?;
    let format = review.tag.format();
    let tag = Tag::parse(&raw, format).map_err(|error| damaged(&error))?;
    let message = ReviewMessage::parse(&tag.message, format).map_err(|error| damaged(&error))?;
    if tag.target != review.head || message.target != review.target {
        return Err(damaged(&"the entry says otherwise than the tag"));
    }
    Ok(message.verb)
}
