//! Signatures that are asked about again and again, and the answers.
//!
//! A landing looks at the newest reviews of everybody who may approve, and the next one mostly at the
//! same. What [`People::verify`] says depends on the people, the bytes and the time it is given, and
//! on nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::People;
use super::verify::{SignatureFault, Signer};
use crate::wire::object::Signed;

/// The most answers that are kept; more, and all are forgotten.
const MOST: usize = 8_192;

type Answer = Result<Signer, SignatureFault>;

/// Answers by SHA-256 of what was asked.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<HashMap<[u8; 32], Answer>>);

/// A copy of people may be changed: it knows no answers.
impl Clone for Answers {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A signature, and the time of which is asked whether it is to be believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// What is signed, and by what.
    pub(crate) signed: Signed,
    at: Timestamp,
    digest: [u8; 32],
}

impl Question {
    /// Asks about a signature as of `at`.
    pub(crate) fn new(signed: Signed, at: Timestamp) -> Self {
        Self {
            digest: digest(&signed, at),
            signed,
            at,
        }
    }
}

impl People {
    /// Returns what [`People::verify`] does, and keeps the answer.
    pub(crate) fn answer(&self, question: &Question) -> Answer {
        self.answered(question, Answer::clone)
    }

    /// Looks at what [`People::verify`] says, and keeps it.
    pub(crate) fn answered<T>(&self, question: &Question, see: impl FnOnce(&Answer) -> T) -> T {
        let asked = question.digest;
        let answers = || {
            self.answers
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = answers().get(&asked) {
            return see(known);
        }
        let answer = self.verify(&question.signed, question.at);
        let seen = see(&answer);
        let mut answers = answers();
        if answers.len() >= MOST {
            answers.clear();
        }
        answers.insert(asked, answer);
        seen
    }
}

fn digest(signed: &Signed, at: Timestamp) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [&signed.payload, &signed.armor] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(at.as_nanosecond().to_be_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another payload, signature, border between the two, or time is another question.
    #[test]
    fn questions_differ() {
        let signed = |payload: &[u8], armor: &[u8]| Signed {
            payload: payload.to_vec(),
            armor: armor.to_vec(),
        };
        let at = |nanosecond| Timestamp::from_nanosecond(nanosecond).unwrap();
        let digests = [
            digest(&signed(b"ab", b"c"), at(1)),
            digest(&signed(b"a", b"bc"), at(1)),
            digest(&signed(b"ab", b"d"), at(1)),
            digest(&signed(b"ab", b"c"), at(2)),
        ];
        let different: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(different.len(), digests.len());
    }

    /// The answer is that of asking anew, the second time too, and a copy that knows other people
    /// does not inherit it.
    #[test]
    fn answers_are_the_same() {
        let people = People::default();
        let signed = Signed {
            payload: b"payload".to_vec(),
            armor: b"no armour".to_vec(),
        };
        let fresh = people.verify(&signed, Timestamp::UNIX_EPOCH);
        let question = Question::new(signed, Timestamp::UNIX_EPOCH);
        for _ in 0..2 {
            assert_eq!(people.answer(&question), fresh);
        }
        assert_eq!(people.answers.0.lock().unwrap().len(), 1);
        assert!(people.clone().answers.0.lock().unwrap().is_empty());
    }
}
