//! in-toto Statements: what is claimed, and of what.
//!
//! Source: in-toto attestation framework, `spec/v1/statement.md` and `resource_descriptor.md` of
//! <https://github.com/in-toto/attestation>. Members that are not known are ignored, as it demands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json;

/// The type of a statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The most subjects of one that is read.
pub const MAX_SUBJECTS: usize = 64;

/// A statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Always [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about; each has a digest.
    pub subject: Vec<ResourceDescriptor>,
    /// What kind of claim.
    pub predicate_type: String,
    /// The claim.
    pub predicate: Map<String, Value>,
}

/// A thing that can be told by its digest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceDescriptor {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Algorithm → digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Value>,
}

/// Why bytes are no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// No JSON of a statement.
    #[error("not an in-toto statement: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another version.
    #[error("`_type` is {STATEMENT}, found {0:?}")]
    Kind(String),
    /// None, or more than [`MAX_SUBJECTS`].
    #[error("a statement has 1 to {MAX_SUBJECTS} subjects, not {0}")]
    Subjects(usize),
    /// A subject that is told by nothing.
    #[error("a subject without a digest")]
    NoDigest,
}

impl Statement {
    /// Parses what an envelope carries.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_value(json::parse(bytes)?)?;
        if statement.kind != STATEMENT {
            return Err(StatementError::Kind(statement.kind));
        }
        let count = statement.subject.len();
        if count == 0 || count > MAX_SUBJECTS {
            return Err(StatementError::Subjects(count));
        }
        match statement.subject.iter().all(|it| !it.digest.is_empty()) {
            true => Ok(statement),
            false => Err(StatementError::NoDigest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"gitCommit":"ab"},"mediaType":"x"}],"predicateType":"t","predicate":{"a":1}}"#;

    /// A statement is read, what is unknown in it ignored; whatever is none has its error.
    #[test]
    fn reads_strictly() {
        let read = Statement::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(read.subject[0].digest["gitCommit"], "ab");
        let again = serde_json::to_vec(&read).unwrap();
        assert_eq!(Statement::parse(&again).unwrap(), read);
        let subject = r#"{"digest":{"gitCommit":"ab"},"mediaType":"x"}"#;
        for (text, error) in [
            (GOOD.replace("/v1", "/v0.1"), "`_type` is"),
            (GOOD.replace(subject, ""), "not 0"),
            (GOOD.replace(subject, &[subject; 65].join(",")), "not 65"),
            (
                GOOD.replace(r#"{"gitCommit":"ab"}"#, "{}"),
                "without a digest",
            ),
            (
                GOOD.replace(r#""ab""#, r#""ab","gitCommit":"cd""#),
                "stands twice",
            ),
            (
                GOOD.replace(r#"{"a":1}"#, r#"{"a":1,"a":2}"#),
                "stands twice",
            ),
            (GOOD.replace(r#"{"a":1}"#, "[]"), "not an in-toto statement"),
            (String::new(), "not an in-toto statement"),
        ] {
            let found = Statement::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(found.contains(error), "{found}: {error}");
        }
    }
}
