//! What a consumer holds against envelopes: signature, subject, claim.
//!
//! The rules are those of SLSA's "verifying source" and of the VSA's "how to verify". An envelope
//! that is not by an accepted key, or about something else, is no evidence and is passed over: it
//! can neither help nor harm (in-toto's monotonic principle). What is wanted must be there.

use serde_json::Value;

use super::{SOURCE_REVIEW, VSA};
use crate::admit::replay::is_reviewed;
use crate::record::Proven;
use crate::record::entry::Entry;
use crate::record::shared::RepositoryName;
use crate::wire::dsse::{Envelope, IN_TOTO};
use crate::wire::pem::PublicKey;
use crate::wire::statement::{ResourceDescriptor, Statement};

/// The most bytes of a file of envelopes.
pub const MAX_FILE: usize = 8 << 20;
/// The most envelopes that are looked at.
pub const MAX_LINES: usize = 1000;

/// What is expected.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Keys that are believed.
    pub keys: Vec<PublicKey>,
    /// How many of them must have signed, at least 1.
    pub threshold: usize,
    /// The commit, a full id.
    pub commit: String,
    /// The address of the repository.
    pub resource: String,
    /// The ref that it must have landed on.
    pub onto: Option<String>,
    /// Who must have verified.
    pub verifier: Option<String>,
    /// Levels that a VSA must give; a higher one of SLSA's source track does too.
    pub levels: Vec<String>,
    /// The repository's name in a log of many.
    pub of: Option<String>,
    /// The log's entry, where a proof of it is at hand.
    pub proven: Option<Proven>,
}

/// What was found out.
#[derive(Debug, Default)]
pub struct Checked {
    /// Statements that hold, in order.
    pub good: Vec<Statement>,
    /// Lines that do not, with why.
    pub passed_over: Vec<(usize, String)>,
    /// Why all of it is not enough.
    pub why: Option<String>,
}

/// Checks envelopes, one a line.
pub fn check(bytes: &[u8], expected: &Expected) -> Checked {
    let mut checked = Checked::default();
    if bytes.len() > MAX_FILE {
        checked.why = Some(format!("more than {MAX_FILE} bytes"));
        return checked;
    }
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    for (count, (at, line)) in lines.enumerate() {
        if count >= MAX_LINES {
            checked.good.clear();
            checked.why = Some(format!("more than {MAX_LINES} envelopes"));
            return checked;
        }
        match one(line, expected) {
            Ok(statement) => checked.good.push(statement),
            Err(why) => checked.passed_over.push((at.saturating_add(1), why)),
        }
    }
    checked.why = missing(&checked, expected);
    checked
}

/// Returns why what holds is not all that is wanted.
fn missing(checked: &Checked, expected: &Expected) -> Option<String> {
    if checked.good.is_empty() {
        return Some(match checked.passed_over.as_slice() {
            [] => "there is no attestation".to_owned(),
            [(_, why)] => why.clone(),
            [(line, why), ..] => format!("no attestation holds; line {line}: {why}"),
        });
    }
    let summaries = || checked.good.iter().filter(|it| it.predicate_type == VSA);
    for wanted in &expected.levels {
        let gives = |summary: &Statement| {
            let levels = summary.predicate.get("verifiedLevels");
            let levels = levels.and_then(Value::as_array).into_iter().flatten();
            levels
                .filter_map(Value::as_str)
                .any(|level| is_at_least(level, wanted))
        };
        if !summaries().any(gives) {
            return Some(format!("no VSA that holds gives {wanted}"));
        }
    }
    None
}

fn is_at_least(level: &str, wanted: &str) -> bool {
    let number = |level: &str| -> Option<u8> {
        let digit = level.strip_prefix("SLSA_SOURCE_LEVEL_")?;
        digit
            .parse()
            .ok()
            .filter(|number: &u8| number.to_string() == digit)
    };
    match (number(level), number(wanted)) {
        (Some(level), Some(wanted)) => level >= wanted,
        _ => level == wanted,
    }
}

/// Returns the statement of an envelope that holds, else why it does not.
fn one(line: &[u8], expected: &Expected) -> Result<Statement, String> {
    let envelope = Envelope::parse(line).map_err(|error| error.to_string())?;
    if envelope.payload_type != IN_TOTO {
        return Err(format!(
            "carries {:?}, not {IN_TOTO}",
            envelope.payload_type
        ));
    }
    let signed = envelope.signed_by(&expected.keys);
    let threshold = expected.threshold.max(1);
    if signed < threshold {
        return Err(format!(
            "signed by {signed} of the keys given, {threshold} must have signed"
        ));
    }
    let statement = Statement::parse(&envelope.payload).map_err(|error| error.to_string())?;
    let is_it = |subject: &&ResourceDescriptor| {
        // The tree alone would take another commit for this one.
        subject.digest.get("gitCommit") == Some(&expected.commit)
    };
    let subject = statement.subject.iter().find(is_it);
    let subject = subject.ok_or_else(|| format!("not about {}", expected.commit))?;
    if let Some(onto) = &expected.onto
        && !refs(subject).any(|name| name == onto)
    {
        return Err(format!("not about {onto}"));
    }
    match statement.predicate_type.as_str() {
        SOURCE_REVIEW => review(&statement, expected)?,
        VSA => summary(&statement, expected)?,
        other => return Err(format!("a statement of another kind: {other:?}")),
    }
    if let Some(proven) = &expected.proven {
        in_log(&statement, subject, proven, expected)?;
    }
    Ok(statement)
}

fn refs(subject: &ResourceDescriptor) -> impl Iterator<Item = &str> {
    let refs = subject.annotations.get("sourceRefs");
    let refs = refs.and_then(Value::as_array).into_iter().flatten();
    refs.filter_map(Value::as_str)
}

fn text<'s>(statement: &'s Statement, pointer: &[&str]) -> Option<&'s str> {
    let (first, rest) = pointer.split_first()?;
    let start = statement.predicate.get(*first)?;
    rest.iter()
        .try_fold(start, |value, name| value.get(*name))?
        .as_str()
}

fn resource(found: Option<&str>, expected: &Expected) -> Result<(), String> {
    match found == Some(expected.resource.as_str()) {
        true => Ok(()),
        false => Err(format!(
            "of {:?}, expected {:?}",
            found.unwrap_or_default(),
            expected.resource
        )),
    }
}

fn review(statement: &Statement, expected: &Expected) -> Result<(), String> {
    resource(text(statement, &["target", "uri"]), expected)?;
    match text(statement, &["reviewCoverage", "result"]) {
        Some("identity" | "replay") => {}
        other => {
            return Err(format!(
                "the review covers {:?}",
                other.unwrap_or("nothing")
            ));
        }
    }
    let approvals = statement.predicate.get("approvals");
    let approvals = approvals.and_then(Value::as_array);
    match approvals.is_some_and(|approvals| !approvals.is_empty()) {
        true => Ok(()),
        false => Err("nobody approved it".to_owned()),
    }
}

fn summary(statement: &Statement, expected: &Expected) -> Result<(), String> {
    resource(text(statement, &["resourceUri"]), expected)?;
    let verifier = text(statement, &["verifier", "id"]).unwrap_or_default();
    let is_wanted = |wanted: &String| wanted == verifier;
    if verifier.is_empty() || !expected.verifier.as_ref().is_none_or(is_wanted) {
        return Err(format!("verified by {verifier:?}"));
    }
    match text(statement, &["verificationResult"]) {
        Some("PASSED") => Ok(()),
        other => Err(format!("the result is {:?}", other.unwrap_or_default())),
    }
}

/// Holds a statement against a proven entry of the log.
fn in_log(
    statement: &Statement,
    subject: &ResourceDescriptor,
    proven: &Proven,
    expected: &Expected,
) -> Result<(), String> {
    let (of, wanted) = (
        proven.of.as_ref().map(RepositoryName::as_str),
        expected.of.as_deref(),
    );
    if of != wanted {
        // Whoever may write a policy may give their repository another's name there.
        return Err(match of {
            Some(of) => format!(
                "entry {} is of {of}, one repository of many in the log: name the one meant with --of",
                proven.index
            ),
            None => format!("entry {} is of a log of one repository", proven.index),
        });
    }
    let Entry::Landed(landed) = &proven.entry else {
        return Err(format!("entry {} is no landing", proven.index));
    };
    let about = landed.new.map(|oid| oid.to_string());
    let name = landed.name.to_string();
    let onto = expected.onto.as_ref().is_none_or(|onto| *onto == name);
    if !is_reviewed(landed) || !onto || !refs(subject).any(|one| one == name) {
        return Err(format!("entry {} does not make it reviewed", proven.index));
    }
    if statement.predicate_type != SOURCE_REVIEW {
        // The statement it rests on names the entry; this one is tied by commit and ref.
        return match about.as_deref() == Some(expected.commit.as_str()) {
            true => Ok(()),
            false => Err(format!("entry {} is about another commit", proven.index)),
        };
    }
    let log = statement.predicate.get("log");
    let index = log.and_then(|log| log.get("index")).and_then(Value::as_u64);
    let bytes = proven.bytes().map_err(|error| error.to_string())?;
    let same = text(statement, &["log", "origin"]) == Some(proven.checkpoint.origin.as_str())
        && index == Some(proven.index)
        && text(statement, &["log", "entry", "digest", "sha256"]) == Some(&super::sha256(&bytes));
    match same {
        true => Ok(()),
        false => Err(format!("not the entry {} of the log", proven.index)),
    }
}
