//! `unproven-commit`: says that every rule wanted one approval more.

use std::collections::BTreeSet;

use crate::judge::verdict::{Code, Finding, Severity};

use super::landing::Landing;

/// Names the unproven commits; a note where the approvals more are there.
pub(crate) fn finding(landings: &[Landing<'_>]) -> Option<Finding> {
    let heads = landings.iter().flat_map(|landing| &landing.heads);
    let commits: BTreeSet<_> = heads.flat_map(|hearing| &hearing.head.unproven).collect();
    let severity = if landings.iter().all(|landing| landing.holds) {
        Severity::Note
    } else {
        Severity::Warn
    };
    (!commits.is_empty()).then(|| Finding {
        about: commits.iter().map(ToString::to_string).collect(),
        ..super::bare(Code::UnprovenCommit, severity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{Push, oid, rule};

    fn unproven(approvals: &[&str]) -> Push {
        let push = Push::new(&rule("one", r#"["1 of @maintainers"]"#, ""));
        let push = push.each_head(|head| head.unproven = vec![oid(7)]);
        push.approved(approvals)
    }

    /// An unproven commit wants one approval more, from somebody who could fill a place.
    #[test]
    fn wants_one_more() {
        use crate::judge::verdict::Decision::{Accept, Refuse};
        for (approvals, decision, severity) in [
            (&["bob"][..], Refuse, Severity::Warn),
            (&["bob", "dana"], Refuse, Severity::Warn),
            (&["bob", "carol"], Accept, Severity::Note),
        ] {
            let push = unproven(approvals);
            assert_eq!(push.decision(), decision, "{approvals:?}");
            let found = push.found(Code::UnprovenCommit);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].severity, severity);
            assert_eq!(found[0].about, [oid(7).to_string()]);
        }
    }

    /// What is wanted says so.
    #[test]
    fn says_what_is_wanted() {
        let missing = unproven(&["bob"]).found(Code::MissingApprovals);
        let want = missing[0].want.as_deref();
        assert_eq!(want, Some("1 of @maintainers + 1 more (unproven commit)"));
        assert_eq!(missing[0].about, ["carol"]);
    }
}
