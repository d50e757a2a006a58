//! `countersign.verdict/v1`, for programs.

use serde_json::{Value, json};

use crate::judge::verdict::{Finding, SCHEMA, UpdateVerdict, Verdict};

use super::{Context, words};

/// Returns the verdict in the documented format, with the remedies of [`Context::default`].
pub fn verdict(verdict: &Verdict) -> Value {
    verdict_in(verdict, &Context::default())
}

/// Returns the verdict in the documented format; `context` only words the remedies.
pub fn verdict_in(verdict: &Verdict, context: &Context) -> Value {
    let updates = verdict.updates.iter();
    let updates: Vec<_> = updates
        .map(|update| update_value(&verdict.repository, update, context))
        .collect();
    json!({
        "schema": SCHEMA,
        "decision": verdict.decision,
        "mode": verdict.mode,
        "repository": verdict.repository,
        "updates": updates,
    })
}

fn update_value(repository: &str, update: &UpdateVerdict, context: &Context) -> Value {
    let findings = update.findings.iter();
    let findings: Vec<_> = findings
        .map(|finding| finding_value(repository, update, finding, context))
        .collect();
    json!({
        "ref": update.name,
        "old": update.old,
        "new": update.new,
        "decision": update.decision,
        "commits": update.commits,
        "classes": update.classes,
        "contributors": update.contributors,
        "approvals": update.approvals,
        "findings": findings,
    })
}

fn finding_value(
    repository: &str,
    update: &UpdateVerdict,
    finding: &Finding,
    context: &Context,
) -> Value {
    let remedy = words::remedy(repository, update, finding, context);
    let remedy: Vec<_> = remedy.iter().map(words::Remedy::one_line).collect();
    json!({
        "code": finding.code,
        "severity": finding.severity,
        "rule": finding.rule,
        "at": finding.at,
        "paths": finding.paths,
        "want": finding.want,
        "got": finding.got,
        "detail": words::detail(update, finding),
        "remedy": remedy,
    })
}
