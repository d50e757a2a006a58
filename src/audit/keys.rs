//! Approvals that counted, under keys that the policy in force takes back.
//!
//! A landing was judged by the keys of its time, and that decision stands in the record. When a key is
//! later revoked as of a time before a review was received, what rests on that review is listed here.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::admit::AdmitError;
use crate::admit::replay::is_reviewed;
use crate::people::verify::SignatureFault;
use crate::people::{People, PersonName};
use crate::record::entry::{Entry, Landed, Review};
use crate::wire::tag::Tag;

use super::{Audited, Code, Detail, Family, Finding, Ground, Rests};

/// The most landings that are listed for one key.
const MOST: usize = 1_000;

/// Finds landings that rest on keys which the policy in force does not believe at their receipt.
pub(super) fn check(ground: &Ground<'_>, audited: &mut Audited) {
    let Some(rules) = &ground.rules else {
        return audited.unread(Family::Keys, "the policy cannot be used".to_owned());
    };
    let mut held = BTreeMap::new();
    match landings(ground, &rules.people, &mut held) {
        Ok(()) => audited.findings.extend(held.into_iter().map(finding)),
        Err(error) => audited.unread(Family::Keys, error.to_string()),
    }
}

/// What is held against a key: which, whose, and why.
type Held = BTreeMap<(Code, PersonName, String, String), Vec<Rests>>;

fn landings(ground: &Ground<'_>, people: &People, held: &mut Held) -> Result<(), AdmitError> {
    let mut verified: BTreeMap<u64, Option<(Code, String)>> = BTreeMap::new();
    for entry in ground.record.entries(0..ground.view.size()) {
        let (index, Entry::Landed(landed)) = entry? else {
            continue;
        };
        if !is_reviewed(&landed) {
            continue;
        }
        let decided = ground.record.decided(&landed)?;
        for counted in decided.counted.iter().flat_map(|head| &head.reviews) {
            let Entry::Review(review) = ground.view.entry(*counted)? else {
                continue;
            };
            let fault = verified
                .entry(*counted)
                .or_insert_with(|| fault(people, &review));
            if let Some((code, why)) = fault {
                let key = (
                    *code,
                    review.person.clone(),
                    review.key.clone(),
                    why.clone(),
                );
                let rests = held.entry(key).or_default();
                rests.push(rests_on(index, &landed, *counted, &review));
            }
        }
    }
    Ok(())
}

fn rests_on(index: u64, landed: &Landed, review: u64, by: &Review) -> Rests {
    Rests {
        index,
        name: landed.name.clone(),
        commit: landed.new,
        review,
        received: by.at,
        person: by.person.clone(),
    }
}

/// Verifies a review again by the people of now, as of when it was received.
fn fault(people: &People, review: &Review) -> Option<(Code, String)> {
    let raw = STANDARD.decode(&review.raw).unwrap_or_default();
    let tag = Tag::parse(&raw, review.tag.format()).ok();
    let Some(signed) = tag.and_then(|tag| tag.signed) else {
        // A review that cannot be read is the log's own fault, and `verify history` says so.
        return None;
    };
    let revoked = |key: &str| {
        let (_, key) = people.key(key)?;
        key.term.revoked
    };
    match people.verify(&signed, review.at) {
        Ok(signer) if signer.person == review.person => None,
        Ok(signer) => {
            let why = format!("listed as {}'s now", signer.person);
            Some((Code::UnlistedApproval, why))
        }
        Err(SignatureFault::Revoked(signer)) => {
            let since = revoked(&signer.fingerprint);
            let since = since.map_or(String::new(), |since| format!(" as of {since}"));
            Some((Code::RevokedApproval, format!("revoked{since}")))
        }
        Err(SignatureFault::Expired(_)) => {
            let why = "not valid when it was used, by what people.toml says now";
            Some((Code::RevokedApproval, why.to_owned()))
        }
        Err(SignatureFault::UnknownSigner(_)) => {
            Some((Code::UnlistedApproval, "listed no more".to_owned()))
        }
        Err(SignatureFault::Bad(why) | SignatureFault::Unsupported(why)) => {
            Some((Code::RevokedApproval, why))
        }
    }
}

fn finding(
    ((code, person, key, why), mut rests): ((Code, PersonName, String, String), Vec<Rests>),
) -> Finding {
    let count = rests.len();
    rests.truncate(MOST);
    let first = rests.first().map(|first| (first.index, first.received));
    let found = format!("{why}; {count} counted");
    Finding::new(code, format!("{person} {key}"), found)
        .since(first)
        .with(Detail::Rests(rests))
}
