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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{N, P, Push, oid, rule};
    use crate::judge::verdict::Code;

    fn keys(value: &Value) -> Vec<String> {
        let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    /// The format is the documented one: these keys and no others.
    #[test]
    fn schema() {
        let push = Push::new(&rule("pipelines", r#"["2 of @maintainers"]"#, ""));
        let value = verdict(&push.approved(&["bob"]).judge().verdict);
        let update = &value["updates"][0];
        let finding = &update["findings"][0];
        for (value, expected) in [
            (&value, "decision mode repository schema updates"),
            (
                update,
                "approvals classes commits contributors decision findings new old ref",
            ),
            (
                finding,
                "at code detail got paths remedy rule severity want",
            ),
        ] {
            assert_eq!(keys(value).join(" "), expected);
        }
        let hand = json!([{"person": "alice", "email": null, "roles": ["author"]}]);
        assert_eq!(update["contributors"], hand);
        let approval = json!([{"person": "bob", "commit": oid(N), "evidence": "signed",
            "coverage": "identity", "counted": true}]);
        assert_eq!(update["approvals"], approval);
        assert_eq!(value["schema"], "countersign.verdict/v1");
        assert_eq!(value["mode"], "enforce");
        assert_eq!(update["old"], json!(oid(P)));
        assert_eq!(update["decision"], "refuse");
        assert_eq!(finding["code"], "missing-approvals");
        assert_eq!(finding["severity"], "refuse");
        assert_eq!(finding["at"], ".countersign/policy.toml:3");
        assert_eq!(finding["want"], "2 of @maintainers");
        assert_eq!(finding["got"], json!(["bob"]));
        assert_eq!(finding["paths"], json!(["src/lib.rs"]));
        let remedy = finding["remedy"].as_array().unwrap();
        assert_eq!(remedy.len(), 5);
        let tag = format!(
            "git tag -s countersign/ok {} -m \"countersign: approve refs/heads/main of \
             git.example.com/payments\"",
            oid(N)
        );
        assert_eq!(remedy[2], tag);
    }

    /// Every code has a sentence of its own, on one line.
    #[test]
    fn every_code_has_words() {
        let update = Push::new("").verdict();
        let mut said = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let mut finding = update.findings[0].clone();
            finding.code = *code;
            finding.about.clear();
            finding.paths.clear();
            let detail = words::detail(&update, &finding);
            assert!(!detail.contains('\n'), "{code:?}");
            assert!(
                said.insert(detail.clone()),
                "{code:?} has no words of its own: {detail}"
            );
        }
    }
}
