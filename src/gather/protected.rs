//! An update of a protected ref: the shape of the move, and the steps approvals must cover.

use std::collections::BTreeSet;

use crate::git::changes::{self, Change};
use crate::git::{GitError, RefValue, walk};
use crate::judge::facts::{
    HeadFacts, Notice, PathFacts, ReviewState, StepFacts, UpdateFacts, Verb,
};
use crate::judge::verdict::{Code, Coverage, Role};
use crate::people::ConfigFault;
use crate::policy::{Class, Mode, Protection};
use crate::record::TipKind;
use crate::record::entry::Entry;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

use super::candidates;
use super::commits;
use super::coverage;
use super::described;
use super::hands::{self, Hands};
use super::hidden;
use super::rulebook::RulebookError;
use super::steps;
use super::{Desk, GatherError, Proposed, git_notice, notice};

/// The kind of move, once its shape is found sound.
enum Move {
    /// Nothing needs approval.
    Free,
    /// A creation at a recorded commit: only rules that name the ref have a say.
    AtRecorded(Oid),
    /// A creation inside the policy ref's history, at no recorded commit: every rule has a say.
    Inside(Oid),
    /// From a recorded state to a new tip.
    Step(Oid, Oid),
}

/// Gathers the facts of an update of a protected ref.
pub(crate) fn gather(
    desk: &Desk<'_>,
    proposed: &Proposed,
    protection: &Protection,
    mut facts: UpdateFacts,
) -> Result<UpdateFacts, GatherError> {
    let movement = match unknown_tip(desk, proposed)? {
        Some(unknown) => Err(unknown),
        None => shape(desk, proposed, protection)?,
    };
    let movement = match movement {
        Ok(movement) => movement,
        Err(refused) => {
            facts.notices.push(refused);
            facts.changes_policy = changes_policy(desk, proposed)?;
            return Ok(facts);
        }
    };
    match movement {
        Move::Free => {}
        Move::AtRecorded(commit) => standing(desk, &commit, true, &mut facts)?,
        Move::Inside(commit) => standing(desk, &commit, false, &mut facts)?,
        Move::Step(from, to) => step(desk, protection, &from, &to, &mut facts)?,
    }
    Ok(facts)
}

/// Returns whether a movement of the policy ref, refused for its shape, would change the policy in
/// force all the same: dry run must not let that through.
fn changes_policy(desk: &Desk<'_>, proposed: &Proposed) -> Result<bool, GatherError> {
    if proposed.name != *desk.policy_ref {
        return Ok(false);
    }
    let from = desk.view.tip(&proposed.name)?.and_then(|tip| tip.oid);
    let (Some(from), Some(to)) = (from, proposed.new) else {
        return Ok(true);
    };
    let paths = changed_paths(desk, &from, &to)?;
    Ok(touches_policy(&paths))
}

fn touches_policy(paths: &[PathFacts]) -> bool {
    let mut classes = paths.iter().flat_map(|path| &path.classes);
    classes.any(|class| *class == Class::Policy)
}

/// Compares what the ref is with what the record says it is.
fn unknown_tip(desk: &Desk<'_>, proposed: &Proposed) -> Result<Option<Notice>, GatherError> {
    let Some(current) = &proposed.current else {
        return Ok(None);
    };
    let actual = match current {
        Some(RefValue::Oid(oid)) => Some(*oid),
        _ => None,
    };
    let recorded = desk.view.tip(&proposed.name)?.and_then(|tip| tip.oid);
    let words = |oid: Option<Oid>| oid.map_or_else(|| "absent".to_owned(), |oid| oid.to_string());
    Ok((actual != recorded).then(|| notice(Code::UnknownTip, [words(actual), words(recorded)])))
}

/// Finds whether this kind of move may be made at all.
fn shape(
    desk: &Desk<'_>,
    proposed: &Proposed,
    protection: &Protection,
) -> Result<Result<Move, Notice>, GatherError> {
    let name = &proposed.name;
    let tip = desk.view.tip(name)?;
    let is_tag = name.as_bstr().starts_with(b"refs/tags/");
    let once = protection.create_once || (is_tag && !protection.allow_rewind);
    let Some(to) = proposed.new else {
        let allowed = protection.allow_delete && !protection.create_once;
        return Ok(if allowed && name != desk.policy_ref {
            Ok(Move::Free)
        } else {
            Err(notice(Code::DeletedRef, [name.to_string()]))
        });
    };
    if once && let Some(tip) = &tip {
        let was = tip
            .oid
            .map_or_else(|| "deleted".to_owned(), |oid| oid.to_string());
        return Ok(Err(notice(Code::MovedTag, [name.to_string(), was])));
    }
    let to = match peel(desk, name, &to)? {
        Ok(commit) => commit,
        Err(refused) => return Ok(Err(refused)),
    };
    match tip.and_then(|tip| tip.oid) {
        None => create(desk, name, &to, is_tag),
        Some(_) if is_tag => Ok(recorded_or(desk, name, &to)?
            .ok_or_else(|| notice(Code::UnrecordedTarget, [to.to_string()]))),
        Some(from) => advance(desk, name, protection, &from, &to),
    }
}

/// Follows at most one tag object to a commit; a protected tag's object must say the tag's name.
fn peel(desk: &Desk<'_>, name: &RefName, to: &Oid) -> Result<Result<Oid, Notice>, GatherError> {
    let unrecorded = |why: &str| {
        let about = [to.to_string(), why.to_owned()];
        Ok(Err(notice(Code::UnrecordedTarget, about)))
    };
    let short = name.as_bstr().strip_prefix(b"refs/tags/");
    // Strictly, before anything asks where its parents lead.
    let found = match desk.repo.commit(to) {
        Ok(_) => return Ok(Ok(*to)),
        Err(GitError::WrongKind { found, .. }) => found,
        Err(error) => return Err(error.into()),
    };
    match (found, short) {
        (ObjectKind::Tag, Some(short)) => {
            let tag = desk.repo.tag(to)?;
            if tag.name != short {
                return unrecorded("the tag object carries another name");
            }
            if tag.kind != ObjectKind::Commit {
                return unrecorded("the tag is not of a commit");
            }
            // Its header's word is not enough.
            desk.repo.commit(&tag.target)?;
            Ok(Ok(tag.target))
        }
        _ => unrecorded("not a commit"),
    }
}

fn create(
    desk: &Desk<'_>,
    name: &RefName,
    to: &Oid,
    is_tag: bool,
) -> Result<Result<Move, Notice>, GatherError> {
    if let Some(movement) = recorded_or(desk, name, to)? {
        return Ok(Ok(movement));
    }
    let unrecorded = Err(notice(Code::UnrecordedTarget, [to.to_string()]));
    let policy_tip = desk.view.tip(desk.policy_ref)?.and_then(|tip| tip.oid);
    let Some(policy_tip) = policy_tip.filter(|_| !is_tag) else {
        return Ok(unrecorded);
    };
    let bases = walk::merge_bases(desk.repo, &policy_tip, to, desk.limits.objects())?;
    Ok(match bases.as_slice() {
        [base] if base == to => Ok(Move::Inside(*to)),
        [base] => Ok(Move::Step(*base, *to)),
        _ => unrecorded,
    })
}

/// Returns the move if `to` is a recorded commit for `name` (design §4): the tip of an entry of an
/// enforcing ref to which every rule that applies to `name` applies too.
///
/// A baseline counts as of enrolment alone. One that was taken when the policy began to match a ref
/// is what anybody had pushed there.
fn recorded_or(desk: &Desk<'_>, name: &RefName, to: &Oid) -> Result<Option<Move>, GatherError> {
    let rules = &desk.rules.policy.rules;
    for (other, tip) in desk.view.tips_at(to)? {
        let covers = rules
            .iter()
            // One that names the ref is asked when the ref is made.
            .filter(|rule| rule.matches_ref(name) && !rule.names_ref(name))
            .all(|rule| rule.matches_ref(&other));
        let still = desk
            .rules
            .policy
            .protection(&other, desk.policy_ref)
            .is_some();
        let vouched = match tip.how {
            TipKind::Genesis => of_enrolment(desk, tip.index)?,
            TipKind::Landed | TipKind::Adopted => true,
        };
        if tip.accepted && tip.mode == Mode::Enforce && vouched && covers && still {
            return Ok(Some(Move::AtRecorded(*to)));
        }
    }
    Ok(None)
}

/// Returns whether a baseline is enrolment's, which may have taken several entries.
fn of_enrolment(desk: &Desk<'_>, index: u64) -> Result<bool, GatherError> {
    Ok(match (desk.view.genesis()?, desk.view.entry(index)?) {
        (Some(first), Entry::Genesis(this)) => (first.at, first.policy) == (this.at, this.policy),
        _ => false,
    })
}

fn advance(
    desk: &Desk<'_>,
    name: &RefName,
    protection: &Protection,
    from: &Oid,
    to: &Oid,
) -> Result<Result<Move, Notice>, GatherError> {
    if walk::is_ancestor(desk.repo, from, to, desk.limits.objects())? {
        return Ok(Ok(Move::Step(*from, *to)));
    }
    let about = [from.to_string(), to.to_string()];
    if !protection.allow_rewind || name == desk.policy_ref {
        return Ok(Err(notice(Code::RewoundBranch, about)));
    }
    // Where rewinding is allowed: back to what was recorded, or on from where the two part.
    if let Some(movement) = recorded_or(desk, name, to)? {
        return Ok(Ok(movement));
    }
    let bases = walk::merge_bases(desk.repo, from, to, desk.limits.objects())?;
    Ok(match bases.as_slice() {
        [base] if base != to => Ok(Move::Step(*base, *to)),
        _ => Err(notice(Code::RewoundBranch, about)),
    })
}

/// A ref is made at a commit that is there already: nothing changes, so approvals are of that very
/// commit, and whoever makes the ref cannot be the one who approves it.
fn standing(
    desk: &Desk<'_>,
    commit: &Oid,
    only_naming: bool,
    facts: &mut UpdateFacts,
) -> Result<(), GatherError> {
    let mut people = Hands::default();
    people.pusher(desk, Role::Pusher);
    let whole = HeadFacts {
        head: *commit,
        only_naming,
        paths: Vec::new(),
        contributors: people.contributors(),
        unproven: Vec::new(),
        approvals: Vec::new(),
    };
    let heads = [*commit].into();
    let candidates = candidates::gather(desk, &facts.name, &[], &heads, None)?;
    facts.reviews = candidates
        .all
        .iter()
        .filter(|candidate| candidate.review.head == *commit)
        .map(|candidate| candidate.facts(Coverage::Identity, Vec::new()))
        .collect();
    let approvals: Vec<_> = facts
        .reviews
        .iter()
        .enumerate()
        .filter(|(_, review)| review.verb == Verb::Approve && review.state == ReviewState::Live)
        .map(|(position, _)| (position, Coverage::Identity))
        .collect();
    let sequences = match approvals.is_empty() {
        true => Vec::new(),
        false => vec![vec![HeadFacts {
            approvals,
            ..whole.clone()
        }]],
    };
    facts.steps.push(StepFacts {
        from: None,
        to: *commit,
        whole,
        sequences,
    });
    Ok(())
}

/// P → N: strict objects, the policy it would bring, and the steps to cover.
fn step(
    desk: &Desk<'_>,
    protection: &Protection,
    from: &Oid,
    to: &Oid,
    facts: &mut UpdateFacts,
) -> Result<(), GatherError> {
    let new = walk::new_commits(desk.repo, to, &[*from], desk.limits.objects())?;
    facts.commits = new.len();
    let faults = commits::strict(desk, &new)?;
    if !faults.is_empty() {
        facts.notices.extend(faults);
        return Ok(());
    }
    facts
        .notices
        .extend(hands::inspect(desk, &new, protection.signed_commits)?);
    let changed = raw_changes(desk, from, to)?;
    facts.notices.extend(odd_modes(desk, &changed));
    facts.notices.extend(hidden::look(desk, &changed)?);
    let paths = classed(desk, changed)?;
    let mut new_rules = None;
    if facts.name == *desk.policy_ref {
        facts.changes_policy = touches_policy(&paths);
        match desk.rules.beside(desk.repo, to) {
            Ok(rulebook) => new_rules = Some(rulebook),
            Err(error) => facts.notices.push(rulebook_notice(&error)),
        }
    }
    let trusted = trusted_tips(desk, protection)?;
    let new: BTreeSet<Oid> = new.into_iter().collect();
    let chain = walk::first_parents(desk.repo, to, from, &new)?;
    let asked = steps::on_the_way(desk, protection, chain.as_deref(), paths)?;
    let candidates = candidates::gather(desk, &facts.name, &asked, &new, new_rules.as_ref())?;
    let pieces: Vec<Vec<Oid>> = match &chain {
        Some(chain) if protection.every_commit => chain.windows(2).map(<[Oid]>::to_vec).collect(),
        Some(chain) => vec![chain.clone()],
        None => vec![vec![*from, *to]],
    };
    let name = facts.name.clone();
    let context = coverage::Context {
        name: &name,
        candidates: &candidates,
        trusted: &trusted,
        on_chain: chain.is_some(),
    };
    steps::gather(desk, &context, &pieces, facts)?;
    facts.reviews = described::describe(desk, &context, from, to, &mut facts.steps)?;
    Ok(())
}

/// Compares two commits' trees, both sides of every change, with classes.
pub(super) fn changed_paths(
    desk: &Desk<'_>,
    from: &Oid,
    to: &Oid,
) -> Result<Vec<PathFacts>, GatherError> {
    classed(desk, raw_changes(desk, from, to)?)
}

pub(super) fn raw_changes(
    desk: &Desk<'_>,
    from: &Oid,
    to: &Oid,
) -> Result<Vec<Change>, GatherError> {
    let old = desk.repo.commit(from)?.tree;
    let new = desk.repo.commit(to)?.tree;
    let limit = desk.limits.paths();
    Ok(changes::changes(desk.repo, Some(&old), &new, limit)?)
}

/// Adds to each changed path its classes.
pub(crate) fn classed(
    desk: &Desk<'_>,
    changed: Vec<Change>,
) -> Result<Vec<PathFacts>, GatherError> {
    let mut paths = Vec::with_capacity(changed.len());
    for (count, change) in changed.into_iter().enumerate() {
        if count.is_multiple_of(256) {
            desk.check_time()?;
        }
        desk.weigh(&change.path)?;
        paths.push(PathFacts {
            classes: desk.rules.policy.classes(&change.path),
            path: change.path,
        });
    }
    Ok(paths)
}

/// Notices symlinks where policy or pipeline files stand, and every change of a submodule.
fn odd_modes(desk: &Desk<'_>, changed: &[Change]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for change in changed {
        let is = |side: &Option<(FileMode, Oid)>, mode| side.is_some_and(|(it, _)| it == mode);
        let mut push = |code| {
            notices.push(Notice {
                code,
                about: vec![change.path.to_string()],
                paths: vec![change.path.clone()],
                at: None,
            });
        };
        if is(&change.old, FileMode::Submodule) || is(&change.new, FileMode::Submodule) {
            push(Code::SubmoduleChange);
        }
        if is(&change.new, FileMode::Symlink) {
            let classes = desk.rules.policy.classes(&change.path);
            if classes.contains(&Class::Policy) || classes.contains(&Class::Pipeline) {
                push(Code::UnsafeMode);
            }
        }
    }
    notices
}

/// Returns the tips of `trusts` refs, but for those that were let through or adopted unreviewed.
fn trusted_tips(desk: &Desk<'_>, protection: &Protection) -> Result<Vec<Oid>, GatherError> {
    let mut tips = Vec::new();
    for name in &protection.trusts {
        let tip = desk.view.tip(name)?.filter(|tip| tip.accepted);
        if let Some(oid) = tip.and_then(|tip| tip.oid) {
            tips.extend(desk.repo.commit_of(&oid)?);
        }
    }
    Ok(tips)
}

/// Says as a notice why there is no policy to judge by.
pub(crate) fn rulebook_notice(error: &RulebookError) -> Notice {
    let plain = |code| notice(code, [error.to_string()]);
    match error {
        RulebookError::Missing { file, .. } => Notice {
            paths: vec![RepoPath::from(*file)],
            ..plain(Code::PolicyMissing)
        },
        RulebookError::NotAFile { path, .. } => Notice {
            paths: vec![RepoPath::from(path.as_str())],
            ..plain(Code::UnsafeMode)
        },
        RulebookError::Invalid(config) => Notice {
            code: match config.kind {
                ConfigFault::Invalid => Code::PolicyInvalid,
                ConfigFault::Unsatisfiable => Code::UnsatisfiableRule,
            },
            about: vec![config.rendered.clone()],
            paths: vec![RepoPath::from(config.file.as_str())],
            at: Some(format!("{}:{}", config.file, config.line)),
        },
        RulebookError::TooMany => plain(Code::OverBudget),
        RulebookError::Git(git) => git_notice(git),
    }
}
