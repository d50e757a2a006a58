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
        Code::UnknownContributor => Some(Severity::Note),
        Code::Unverifiable | Code::Undecidable => Some(Severity::Undecided),
        // Everything else refuses, also what is not known to be seen while gathering.
        _ => Some(Severity::Refuse),
    }
}

/// Content that a reviewer does not see refuses where it decides something.
fn hidden(policy: &Policy, notice: &Notice) -> Severity {
    let deciding = |class: &Class| *class != Class::Code;
    let classes = notice.paths.iter().flat_map(|path| policy.classes(path));
    if classes.into_iter().any(|class| deciding(&class)) {
        Severity::Refuse
    } else {
        Severity::Warn
    }
}
