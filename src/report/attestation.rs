//! Attestations in words: what was signed, and what of somebody's holds.

use serde_json::{Value, json};

use crate::attest::check::Checked;
use crate::attest::continuity::levels;
use crate::attest::{Attested, SOURCE_REVIEW, SVR, VSA};
use crate::wire::oid::Oid;
use crate::wire::statement::Statement;

use super::log;
use super::plain::plain;

/// Says what was attested, each level with the revision it has held since.
pub fn attested(commit: &Oid, attested: &Attested) -> String {
    let mut text = log::standing(commit, &attested.standing);
    for (level, start) in levels(&attested.held) {
        text += &match start {
            Some(start) => format!(
                "  {level} since {} (entry {}, {})\n",
                start.revision, start.index, start.at
            ),
            None => format!("  {level}\n"),
        };
    }
    text
}

/// Says which statements hold, and why others do not.
pub fn checked(checked: &Checked) -> String {
    let mut text = String::new();
    for statement in &checked.good {
        text += &format!("{}\n", plain(&line(statement)));
    }
    for (number, why) in &checked.passed_over {
        text += &format!("line {number} is no evidence: {}\n", plain(why));
    }
    text
}

fn line(statement: &Statement) -> String {
    let list = |name: &str, of: &dyn Fn(&Value) -> Option<String>| {
        let all = statement.predicate.get(name).and_then(Value::as_array);
        let all: Vec<String> = all.into_iter().flatten().filter_map(of).collect();
        all.join(", ")
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match statement.predicate_type.as_str() {
        SOURCE_REVIEW => {
            let person = |it: &Value| it.get("approver")?.get("name").and_then(text);
            format!("source review: approved by {}", list("approvals", &person))
        }
        VSA => format!("VSA: {}", list("verifiedLevels", &text)),
        SVR => format!("SVR: {}", list("properties", &text)),
        other => other.to_owned(),
    }
}

/// Returns `countersign.verify-attestation/v1`.
pub fn value(checked: &Checked) -> Value {
    let over = checked.passed_over.iter();
    let over = over.map(|(line, why)| json!({"line": line, "why": why}));
    json!({
        "schema": "countersign.verify-attestation/v1",
        "ok": checked.why.is_none(),
        "why": checked.why,
        "statements": checked.good,
        "passed_over": over.collect::<Vec<_>>(),
    })
}
