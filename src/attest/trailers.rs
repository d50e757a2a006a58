//! Trailers for the message of a commit that is about to land: who reviewed it, where that stands.
//!
//! From counted approvals alone, never from anything a commit says.

use crate::people::{People, PersonName};
use crate::record::entry::{CountedHead, Entry};
use crate::record::{RecordError, View};

/// Returns `Reviewed-by:` lines, and where `origin` is given, for each a `Reviewed-on:` line with the
/// log and the entry of the review.
pub fn trailers(
    view: &View,
    people: &People,
    counted: &[CountedHead],
    origin: Option<&str>,
) -> Result<Vec<String>, RecordError> {
    let mut lines: Vec<String> = Vec::new();
    for index in counted.iter().flat_map(|head| &head.reviews) {
        let Entry::Review(review) = view.entry(*index)? else {
            continue;
        };
        let by = format!("Reviewed-by: {}", named(people, &review.person));
        if !lines.contains(&by) {
            lines.push(by);
        }
        lines.extend(origin.map(|origin| format!("Reviewed-on: {origin}#{index}")));
    }
    Ok(lines)
}

/// The person with the first address in `people.toml` that is one.
fn named(people: &People, name: &PersonName) -> String {
    let emails = people.person(name).map(|person| &person.emails);
    let plain = |email: &&String| {
        let graphic = email.bytes().all(|byte| byte.is_ascii_graphic());
        graphic && !email.contains(['<', '>'])
    };
    match emails.and_then(|emails| emails.iter().find(plain)) {
        Some(email) => format!("{name} <{email}>"),
        None => name.to_string(),
    }
}
