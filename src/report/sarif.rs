//! What an audit found as SARIF 2.1.0, for tools that collect findings.
//!
//! Source: OASIS, Static Analysis Results Interchange Format 2.1.0, sections 3.13 to 3.27 and 3.58. Of
//! its optional properties only those are written that say something here.

use std::path::Path;

use faster_hex::hex_string;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::audit::{Audited, Code, Family, Finding, Weight};

use super::audit_words::{means, remedy};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    results: Vec<Reported>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Text,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    partial_fingerprints: Fingerprints,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical>,
    logical_locations: [Logical; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
}

#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "finding/v1")]
    finding: String,
}

/// Returns one SARIF log with one run.
pub fn audit(audited: &Audited, git_dir: &Path) -> String {
    let rules = Code::ALL.iter().map(|code| Rule {
        id: code.as_str(),
        short_description: Text {
            text: means(*code).to_owned(),
        },
        default_configuration: Configuration {
            level: level(*code),
        },
    });
    let notifications = audited.unread.iter().map(|unread| Notification {
        level: "error",
        message: Text {
            text: format!("{} not looked at: {}", unread.family.as_str(), unread.why),
        },
    });
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "countersign",
                    version: env!("CARGO_PKG_VERSION"),
                    rules: rules.collect(),
                },
            },
            invocations: [Invocation {
                execution_successful: audited.unread.is_empty(),
                tool_execution_notifications: notifications.collect(),
            }],
            results: audited
                .findings
                .iter()
                .map(|finding| reported(finding, git_dir))
                .collect(),
        }],
    };
    // Strings and numbers alone: this cannot fail.
    let text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text + "\n"
}

fn reported(finding: &Finding, git_dir: &Path) -> Reported {
    let code = finding.code;
    let mut text = format!(
        "{}: {}; found: {}",
        finding.about,
        means(code),
        finding.found
    );
    if let Some(expected) = &finding.expected {
        text += &format!("; expected: {expected}");
    }
    let remedy = remedy(finding, git_dir);
    for line in remedy.words.iter().chain(&remedy.commands) {
        text += &format!("\n{line}");
    }
    let place = code_place(code);
    let path = match code.family() == Family::Host || code == Code::RecordKey {
        true => Some(git_dir.join(&finding.about).display().to_string()),
        false => finding.changed.as_ref().map(|changed| changed.path.clone()),
    };
    let key = format!("{}\n{}\n{}", code.as_str(), finding.about, finding.found);
    Reported {
        rule_id: code.as_str(),
        rule_index: place,
        level: level(code),
        message: Text { text },
        locations: [Location {
            physical_location: path.map(|path| Physical {
                artifact_location: Artifact { uri: uri(&path) },
            }),
            logical_locations: [Logical {
                fully_qualified_name: finding.about.clone(),
            }],
        }],
        partial_fingerprints: Fingerprints {
            finding: hex_string(&Sha256::digest(key.as_bytes())),
        },
    }
}

fn code_place(code: Code) -> usize {
    let all = Code::ALL.iter();
    all.take_while(|other| **other != code).count()
}

fn level(code: Code) -> &'static str {
    match code.weight() {
        Weight::Incident => "error",
        Weight::Warning => "warning",
        Weight::Note => "note",
    }
}

/// Returns a file as an address (RFC 8089), percent-encoded (RFC 3986 section 2.1).
fn uri(path: &str) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => uri += &format!("%{other:02X}"),
        }
    }
    uri
}
