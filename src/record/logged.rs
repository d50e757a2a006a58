//! A review of the log, read: one landing after the other looks at mostly the same ones.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::entry::Review;
use crate::people::Question;
use crate::wire::oid::{ObjectFormat, Oid};
use crate::wire::review::ReviewMessage;
use crate::wire::tag::Tag;

/// A review's entry with what its tag says. All that is public follows from the entry alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Logged {
    review: Review,
    target: Option<Oid>,
    message: Option<Rc<ReviewMessage>>,
    question: Option<Question>,
    /// The first entry of the log that spent the head on the target, once that was seen.
    pub(super) spent: Cell<Option<u64>>,
}

impl Logged {
    /// Reads the tag of a review's entry, in the object format of its head.
    pub(crate) fn new(review: Review) -> Self {
        let format = review.head.format();
        let raw = STANDARD.decode(&review.raw).ok();
        let tag = raw.and_then(|raw| Tag::parse(&raw, format).ok());
        let target = tag.as_ref().map(|tag| tag.target);
        let message = tag.as_ref();
        let message = message.and_then(|tag| ReviewMessage::parse(&tag.message, format).ok());
        let signed = tag.and_then(|tag| tag.signed);
        Self {
            target,
            message: message.map(Rc::new),
            question: signed.map(|signed| Question::new(signed, review.at)),
            review,
            spent: Cell::new(None),
        }
    }

    /// Returns what the tag points at; nothing where it is none of a repository of this format.
    pub(crate) fn target(&self, format: ObjectFormat) -> Option<Oid> {
        self.target.filter(|target| target.format() == format)
    }

    /// Returns what the review says; nothing where it is none of a repository of this format.
    pub(crate) fn message(&self, format: ObjectFormat) -> Option<Rc<ReviewMessage>> {
        let is_ours = self.review.head.format() == format;
        self.message.clone().filter(|_| is_ours)
    }

    /// Returns its signature, asked about as of its receipt.
    pub(crate) fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }
}

impl Deref for Logged {
    type Target = Review;

    fn deref(&self) -> &Review {
        &self.review
    }
}
