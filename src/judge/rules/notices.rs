//! What a notice weighs: the one table of severities.

use crate::judge::facts::{Notice, Scope, UpdateFacts};
use crate::judge::verdict::{Code, Finding, Severity};
use crate::policy::{Class, Policy};

/// Turns what gathering saw into findings.
pub(crate) fn findings(policy: &Policy, update: &UpdateFacts) -> Vec<Finding> {
    let notices = update.notices.iter();
    let weighed = notices.filter_map(|notice| {
        let severity = severity(policy, &update.scope, notice)?;
        Some(Finding {
            at: notice.at.clone(),
            paths: notice.paths.clone(),
            about: notice.about.clone(),
            ..super::bare(notice.code, severity)
        })
    });
    weighed.collect()
}

/// Returns the weight of a notice; none where it means nothing here.
fn severity(policy: &Policy, scope: &Scope, notice: &Notice) -> Option<Severity> {
    let signed = match scope {
        Scope::Protected(protection) => protection.signed_commits,
        Scope::Review => true,
        Scope::Free | Scope::Proposal | Scope::Refused => false,
    };
    match notice.code {
        Code::UnsignedCommit => signed.then_some(Severity::Refuse),
        Code::UnknownSigner | Code::ExpiredKey if !signed => Some(Severity::Warn),
        Code::HiddenContent => Some(hidden(policy, notice)),
        Code::SubmoduleChange => Some(Severity::Warn),
        Code::UnknownContributor if names_another(notice) => Some(Severity::Warn),
        Code::UnknownContributor => Some(Severity::Note),
        Code::Unverifiable | Code::Undecidable => Some(Severity::Undecided),
        // Everything else refuses, also what is not known to be seen while gathering.
        _ => Some(Severity::Refuse),
    }
}

/// Returns whether a commit names a known person as its committer whom its signature does not: it
/// is about the signer, the e-mail, and whose that is.
fn names_another(notice: &Notice) -> bool {
    notice.about.get(2).is_some_and(|owner| !owner.is_empty())
}

/// Content that a reviewer does not see refuses where it decides something: by the policy's choice
/// of classes, `pipeline`, `policy` and `config` if it makes none.
fn hidden(policy: &Policy, notice: &Notice) -> Severity {
    let deciding = |class: &Class| policy.hidden_content.refuse.contains(class);
    let classes = notice.paths.iter().flat_map(|path| policy.classes(path));
    if classes.into_iter().any(|class| deciding(&class)) {
        Severity::Refuse
    } else {
        Severity::Warn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{Push, protection};
    use crate::policy::Protection;

    /// A finding says where, which paths and what it is about, as the notice does.
    #[test]
    fn tells_what_the_notice_tells() {
        let mut push = Push::new("").noticed(Code::UnsafePath, &["a", "b"]);
        push.update.notices[0].at = Some("policy.toml:3".to_owned());
        let found = push.found(Code::UnsafePath);
        let notice = &push.update.notices[0];
        assert_eq!((&found[0].at, &found[0].paths), (&notice.at, &notice.paths));
        assert_eq!(found[0].about, notice.about);
        assert_eq!(found[0].about, ["seen"]);
    }

    fn weight(scope: Scope, code: Code, paths: &[&str]) -> Option<Severity> {
        weight_under("", scope, code, paths)
    }

    fn weight_under(policy: &str, scope: Scope, code: Code, paths: &[&str]) -> Option<Severity> {
        let push = Push::new(policy).approved(&["bob"]).scoped(scope);
        let codes = push.noticed(code, paths).codes();
        let mine = codes.iter().find(|(found, _)| *found == code);
        mine.map(|(_, severity)| *severity)
    }

    /// Each notice weighs what the design says, wherever it is seen.
    #[test]
    fn weighs() {
        use Severity::{Note, Refuse, Undecided, Warn};
        let main = || Scope::Protected(protection());
        for (code, severity) in [
            (Code::MalformedObject, Refuse),
            (Code::UnsafePath, Refuse),
            (Code::PathCollision, Refuse),
            (Code::UnsafeMode, Refuse),
            (Code::RewoundBranch, Refuse),
            (Code::DeletedRef, Refuse),
            (Code::MovedTag, Refuse),
            (Code::UnrecordedTarget, Refuse),
            (Code::ForbiddenRef, Refuse),
            (Code::ShadowingRef, Refuse),
            (Code::SymrefAlias, Refuse),
            (Code::UnknownTip, Refuse),
            (Code::BadSignature, Refuse),
            (Code::RevokedKey, Refuse),
            (Code::UnknownPusher, Refuse),
            (Code::MalformedReview, Refuse),
            (Code::ReplayedReview, Refuse),
            (Code::WrongTarget, Refuse),
            (Code::WrongRepository, Refuse),
            (Code::PolicyMissing, Refuse),
            (Code::PolicyInvalid, Refuse),
            (Code::UnsatisfiableRule, Refuse),
            (Code::UnreviewedResidual, Refuse),
            (Code::OverBudget, Refuse),
            (Code::SubmoduleChange, Warn),
            (Code::HiddenContent, Warn),
            (Code::UnknownSigner, Warn),
            (Code::ExpiredKey, Warn),
            (Code::UnknownContributor, Note),
            (Code::Unverifiable, Undecided),
            (Code::Undecidable, Undecided),
        ] {
            assert_eq!(weight(main(), code, &[]), Some(severity), "{code:?}");
        }
    }

    /// A committer who did not sign is worth a look where that is somebody known; no commit is
    /// refused for it, since rebasing another's work does it.
    #[test]
    fn committers_who_did_not_sign() {
        use Severity::{Note, Warn};
        for (about, severity) in [
            (&["x@example.com"][..], Note),
            (&["alice", "x@example.com", "", "id"], Note),
            (&["alice", "bob@example.com", "bob", "id", "id"], Warn),
        ] {
            let push = Push::new("").approved(&["bob"]);
            let mut push = push.noticed(Code::UnknownContributor, &[]);
            push.update.notices[0].about = about.iter().map(|&text| text.to_owned()).collect();
            let found = push.found(Code::UnknownContributor);
            assert_eq!(found[0].severity, severity, "{about:?}");
            assert_eq!(push.decision(), crate::judge::verdict::Decision::Accept);
        }
    }

    /// What gathering is not known to see refuses rather than passes.
    #[test]
    fn refuses_what_it_does_not_expect() {
        for code in [
            Code::PolicyWeakened,
            Code::FloatingReference,
            Code::Rejected,
        ] {
            assert_eq!(weight(Scope::Free, code, &[]), Some(Severity::Refuse));
        }
    }

    /// Signatures matter where every commit must be signed, and on reviews always.
    #[test]
    fn signatures_depend_on_the_scope() {
        let signed = Scope::Protected(Protection {
            signed_commits: true,
            ..protection()
        });
        let unsigned = Scope::Protected(protection());
        for (scope, missing, unknown) in [
            (signed, Some(Severity::Refuse), Severity::Refuse),
            (Scope::Review, Some(Severity::Refuse), Severity::Refuse),
            (unsigned, None, Severity::Warn),
            (Scope::Proposal, None, Severity::Warn),
            (Scope::Free, None, Severity::Warn),
        ] {
            let weigh = |code| weight(scope.clone(), code, &[]);
            assert_eq!(weigh(Code::UnsignedCommit), missing, "{scope:?}");
            assert_eq!(weigh(Code::UnknownSigner), Some(unknown), "{scope:?}");
            assert_eq!(weigh(Code::ExpiredKey), Some(unknown), "{scope:?}");
            assert_eq!(weigh(Code::BadSignature), Some(Severity::Refuse));
        }
    }

    /// Hidden content in a file that decides something refuses, also among others.
    #[test]
    fn hidden_content_depends_on_the_class() {
        let main = || Scope::Protected(protection());
        for (paths, severity) in [
            (&["src/lib.rs"][..], Severity::Warn),
            (
                &["src/lib.rs", ".github/workflows/ci.yml"],
                Severity::Refuse,
            ),
            (&[".countersign/policy.toml"], Severity::Refuse),
        ] {
            let weight = weight(main(), Code::HiddenContent, paths);
            assert_eq!(weight, Some(severity), "{paths:?}");
        }
    }

    /// The policy chooses the classes in which hidden content refuses.
    #[test]
    fn hidden_content_by_the_policy() {
        use Severity::{Refuse, Warn};
        let paths = ["src/lib.rs", ".github/workflows/ci.yml", "deploy/a.tf"];
        for (refuse, severities) in [
            (r#"["pipeline"]"#, [Warn, Refuse, Warn]),
            ("[]", [Warn, Warn, Warn]),
            (r#"["code", "config"]"#, [Refuse, Warn, Refuse]),
        ] {
            let policy =
                format!("[hidden_content]\nrefuse = {refuse}\n[classes]\nconfig = [\"deploy/\"]\n");
            for (path, severity) in paths.iter().zip(severities) {
                let scope = Scope::Protected(protection());
                let weight = weight_under(&policy, scope, Code::HiddenContent, &[path]);
                assert_eq!(weight, Some(severity), "{refuse} {path}");
            }
        }
    }
}
