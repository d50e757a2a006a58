//! What kind of ref is written, and whether a push may write such a ref at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::git::RefValue;
use crate::judge::facts::{Notice, Scope};
use crate::judge::verdict::Code;
use crate::policy::{Pattern, Policy};
use crate::wire::name::RefName;
use crate::wire::refname;

use super::{Desk, GatherError, Proposed, notice};

/// Finds the scope of a ref, with notices for what is wrong with its name or nature.
///
/// A name outside the grammar is refused before anything else looks at it. Removing a free ref is
/// never refused for its name: that is how an imitation made earlier is got rid of.
pub(crate) fn of(
    desk: &Desk<'_>,
    proposed: &Proposed,
) -> Result<(Scope, Vec<Notice>), GatherError> {
    let name = &proposed.name;
    let refused = |code, why: String| Ok((Scope::Refused, vec![notice(code, [why])]));
    if let Err(error) = refname::check(name) {
        return refused(Code::ForbiddenRef, error.to_string());
    }
    if let Some(Some(RefValue::Symbolic(target))) = &proposed.current {
        return refused(Code::SymrefAlias, target.to_string());
    }
    let bytes: &[u8] = name.as_bstr();
    if bytes.starts_with(b"refs/replace/") {
        return refused(
            Code::ForbiddenRef,
            "refs/replace/ changes what git shows for an object".to_owned(),
        );
    }
    if bytes.starts_with(b"refs/countersign/") {
        return Ok(countersign(name));
    }
    let plain = refname::plain(name);
    if let Some(own) = own_folder(&plain) {
        // `refs/countersign` itself, which would keep all below it from being made, and
        // `refs/Countersign/keep`, which is the same file where case does not count.
        return refused(Code::ForbiddenRef, format!("it stands for {own}"));
    }
    if proposed.new.is_some() && nested(bytes) {
        let why = "a ref name inside another".to_owned();
        return refused(Code::ShadowingRef, why);
    }
    let protection = desk.rules.policy.protection(name, desk.policy_ref);
    // `Release/2` where `release/**` is protected.
    let twin = desk.rules.policy.protection(&plain, desk.policy_ref);
    if protection.is_none() && twin.is_some() && proposed.new.is_some() {
        return refused(Code::ShadowingRef, plain.to_string());
    }
    let creates = proposed.new.is_some() && desk.view.tip(name)?.is_none();
    if creates && let Some(real) = imitated(desk, name)? {
        return refused(Code::ShadowingRef, real.to_string());
    }
    Ok(match protection {
        Some(protection) => (Scope::Protected(protection), Vec::new()),
        None => (Scope::Free, Vec::new()),
    })
}

/// Returns what a ref that is there already, and that nothing protects, could be taken for: a name
/// inside another, one that is protected where case does not count, or an imitation of one of `real`.
pub(crate) fn stands_for(
    policy: &Policy,
    policy_ref: &RefName,
    real: &Real,
    name: &RefName,
) -> Option<RefName> {
    let plain = refname::plain(name);
    if nested(name.as_bstr()) || policy.protection(&plain, policy_ref).is_some() {
        return Some(plain);
    }
    real.imitated_by(name).cloned()
}

/// Folders of refs that are not the policy's to give.
const OWN: [&str; 2] = ["refs/countersign", "refs/replace"];

/// Returns which of these folders a name, in its plain form, is or lies in.
pub(crate) fn own_folder(plain: &RefName) -> Option<&'static str> {
    OWN.into_iter().find(|own| below(plain, own))
}

fn below(name: &RefName, folder: &str) -> bool {
    let rest = name.as_bstr().strip_prefix(folder.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Returns whether `refs/` stands again below `refs/<kind>/`, as in `refs/heads/refs/heads/main` or
/// in `refs/namespaces/n/refs/heads/main`, which gitnamespaces(7) shows as `refs/heads/main`.
fn nested(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'/').skip(2).peekable();
    while let Some(part) = parts.next() {
        if part.eq_ignore_ascii_case(b"refs") && parts.peek().is_some() {
            return true;
        }
    }
    false
}

fn countersign(name: &RefName) -> (Scope, Vec<Notice>) {
    if refname::review_ref(name).is_some() {
        return (Scope::Review, Vec::new());
    }
    if refname::proposal_ref(name).is_some() {
        return (Scope::Proposal, Vec::new());
    }
    let why = "refs/countersign/ takes reviews/<commit>/<name> and proposals/<person>/<name> only";
    (
        Scope::Refused,
        vec![notice(Code::ForbiddenRef, [why.to_owned()])],
    )
}

/// Finds the protected ref that `name` imitates.
fn imitated(desk: &Desk<'_>, name: &RefName) -> Result<Option<RefName>, GatherError> {
    let real = match desk.real.get() {
        Some(real) => real,
        None => {
            let recorded = desk.view.names(usize::MAX)?;
            let found = Real::of(recorded, Some(&desk.rules.policy), desk.policy_ref);
            desk.real.get_or_init(|| found)
        }
    };
    Ok(real.imitated_by(name).cloned())
}

/// The names that others must not be taken for: those on record, the policy ref, and those that the
/// policy has in full.
#[derive(Debug, Default)]
pub(crate) struct Real {
    names: BTreeSet<RefName>,
    /// By every form in which one is written.
    forms: BTreeMap<String, Vec<RefName>>,
}

impl Real {
    /// Adds to the names on record those that the policy has; without one, the policy ref alone.
    pub(crate) fn of(
        recorded: BTreeSet<RefName>,
        policy: Option<&Policy>,
        policy_ref: &RefName,
    ) -> Self {
        let mut names = recorded;
        names.insert(policy_ref.clone());
        let patterns = policy.into_iter().flat_map(Policy::protected_patterns);
        names.extend(patterns.filter_map(Pattern::literal).map(RefName::new));
        let mut forms: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for name in &names {
            for form in refname::forms(name) {
                forms.entry(form).or_default().push(name.clone());
            }
        }
        Self { names, forms }
    }

    /// Returns whether it is one of them.
    pub(crate) fn contains(&self, name: &RefName) -> bool {
        self.names.contains(name)
    }

    /// Returns one of them that this name could be taken for ([`refname::imitates`]).
    pub(crate) fn imitated_by(&self, name: &RefName) -> Option<&RefName> {
        let readings = refname::readings(name);
        let imitated = readings
            .iter()
            .filter_map(|reading| self.forms.get(reading));
        imitated.flatten().filter(|real| *real != name).min()
    }

    /// Returns every form in which one of them is written, in order.
    pub(crate) fn forms(&self) -> impl Iterator<Item = &str> {
        self.forms.keys().map(String::as_str)
    }
}

/// Returns whether there is nothing to be said of a name, whatever is done to it, by the patterns that
/// protect refs and the forms in which [`Real`] names are written: [`of`] then finds [`Scope::Free`]
/// and no notice.
pub(crate) fn is_free(
    patterns: &[Pattern],
    is_form: &dyn Fn(&str) -> bool,
    name: &RefName,
) -> bool {
    let plain = refname::plain(name);
    let guarded = |name: &RefName| patterns.iter().any(|it| it.is_match(name.as_bstr()));
    refname::check(name).is_ok()
        && own_folder(&plain).is_none()
        && !nested(name.as_bstr())
        && !guarded(name)
        && !guarded(&plain)
        && !refname::readings(name)
            .iter()
            .any(|reading| is_form(reading))
}
