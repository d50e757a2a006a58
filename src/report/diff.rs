//! What a reviewer did not see of a landing: words about it, the JSON, and the words for why it
//! cannot be told.

use serde_json::{Value, json};

use crate::admit::residual::{Compared, Start, Why};
use crate::git::changes::Change;
use crate::judge::verdict::Coverage;
use crate::record::entry::Review;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

use super::plain::{plain, wrap};
use super::words;

/// Commits that are named one by one.
const COMMITS: usize = 20;

/// What is told of.
pub struct About<'a> {
    /// The ref.
    pub target: &'a RefName,
    /// The review.
    pub review: &'a Review,
    /// The landed commit, or the one that would land.
    pub landed: &'a Oid,
    /// What was found.
    pub compared: &'a Compared,
    /// Heads that the entry of the landing counted, if there is one.
    pub counted: &'a [Oid],
    /// Paths whose contents are not in the patch because they are too large.
    pub unread: Vec<String>,
}

/// Returns the schema's name and everything it has.
pub fn value(about: &About<'_>) -> Value {
    let (compared, review) = (about.compared, about.review);
    let expected = compared.expected.as_ref();
    let clean = expected.filter(|landing| landing.conflicts.is_empty());
    let side = |side: Option<(FileMode, Oid)>| {
        side.map(|(mode, oid)| json!({"mode": mode.octal(), "oid": oid}))
    };
    let change = |change: &Change| json!({"path": change.path, "old": side(change.old), "new": side(change.new)});
    json!({
        "schema": "countersign.diff/v1",
        "ref": about.target,
        "review": {"tag": review.tag, "person": review.person, "head": review.head},
        "landed": about.landed,
        "counted": about.counted,
        "coverage": compared.coverage,
        "base": expected.map(|landing| landing.base),
        "base_assumed": compared.assumed,
        "onto": compared.start.as_ref().map(Start::commit),
        "expected_tree": clean.map(|landing| landing.tree),
        "landed_tree": compared.landed,
        "conflicts": expected.map_or(&[][..], |landing| &landing.conflicts),
        "residual": compared.changes.iter().map(change).collect::<Vec<_>>(),
        "unreviewed_commits": compared.commits,
        "why": compared.why.as_ref().map(why),
    })
}

/// Returns the lines that say what the patch is, each safe for a terminal.
pub fn lines(about: &About<'_>) -> Vec<String> {
    let (compared, review) = (about.compared, about.review);
    let person = review.person.as_str();
    let mut said = vec![format!(
        "{person}'s review of {} for {}, tag {}",
        review.head.short(),
        about.target,
        review.tag
    )];
    if let Some(start) = &compared.start {
        said.push(started(start, about.landed));
    }
    if let (true, Some(start)) = (compared.assumed, &compared.start) {
        said.push(format!(
            "the review names no Base, and when it came is not known here: taken to be of {}",
            start.commit().short()
        ));
    }
    if let Some(landing) = &compared.expected {
        said.push(format!(
            "landing {} there is computed from base {}",
            review.head.short(),
            landing.base.short()
        ));
        if !landing.conflicts.is_empty() {
            said.push(format!(
                "it conflicts at {}; there the patch shows what {} has otherwise than {}",
                paths(&landing.conflicts),
                about.landed.short(),
                compared
                    .start
                    .as_ref()
                    .map_or_else(String::new, |start| start.commit().short()),
            ));
        }
    }
    let others = about.counted.iter().filter(|oid| **oid != review.head);
    let others: Vec<_> = others.map(Oid::to_string).collect();
    if !others.is_empty() {
        said.push(format!(
            "the entry counted other reviewed commits too, and what they bring is shown here: {}",
            words::list(&others)
        ));
    }
    let commits = compared.commits.iter().take(COMMITS);
    said.extend(commits.map(|oid| format!("the reviewed commit does not reach {oid}")));
    let more = compared.commits.len().saturating_sub(COMMITS);
    if more > 0 {
        said.push(format!("nor {more} more commits"));
    }
    said.extend(
        about
            .unread
            .iter()
            .map(|path| format!("too large to show: {path}")),
    );
    said.push(conclusion(about));
    let wrapped = said.iter().flat_map(|line| wrap(&plain(line), "  "));
    wrapped.collect()
}

fn conclusion(about: &About<'_>) -> String {
    let (compared, person) = (about.compared, about.review.person.as_str());
    let landed = about.landed.short();
    match (&compared.why, compared.coverage) {
        (Some(because), _) => format!("what the review covers cannot be told: {}", why(because)),
        (None, Coverage::Unverifiable) => "what the review covers cannot be told".to_owned(),
        (None, Coverage::Identity) => {
            format!("covered (identity): {landed} is what {person} saw, and nothing else")
        }
        (None, Coverage::Replay) => {
            format!("covered (replay): {landed} is that landing, and nothing else")
        }
        (None, Coverage::Residual) => {
            let count = |paths: usize, one: &str, more: &str| match paths {
                0 => format!("no path {one}"),
                1 => format!("1 path {one}"),
                n => format!("{n} paths {more}"),
            };
            let landing = compared.expected.as_ref();
            let conflicts = landing.map_or(0, |landing| landing.conflicts.len());
            let conflicts = match conflicts {
                0 => String::new(),
                n => count(n, "conflicts, ", "conflict, "),
            };
            let differs = count(compared.changes.len(), "differs", "differ");
            format!("not covered (residual): {conflicts}{differs} from what {person} approved")
        }
    }
}

fn started(start: &Start, landed: &Oid) -> String {
    let (landed, from) = (landed.short(), start.commit().short());
    match start {
        Start::Tip(_) => format!("{landed} would land on the ref's tip {from}"),
        Start::Entry(index, _) => format!("{landed} landed on {from} (log entry {index})"),
        Start::FirstParent(_) => format!(
            "{landed} is part of the ref and no entry here tells how it landed: compared from its \
             first parent {from}; name another with <old>..<landed>"
        ),
        Start::Parting { tip, .. } => format!(
            "{landed} is not built on the ref's tip {}: compared from where they part, {from}",
            tip.short()
        ),
        Start::Policy(_) => format!("the ref is not there: compared from {from} of the policy ref"),
        Start::Given(_) => format!("compared from {from}, as asked for"),
    }
}

/// Says why what a review covers cannot be told; safe for a terminal.
pub(super) fn why(why: &Why) -> String {
    let text = match why {
        Why::NoBase { seen } => format!(
            "the reviewed commit and the tip its reviewer saw, {}, have no ancestor in common",
            seen.short()
        ),
        Why::SeveralBases(bases) => {
            let bases: Vec<_> = bases.iter().map(Oid::short).collect();
            format!(
                "it could be landed from several bases: {}",
                words::list(&bases)
            )
        }
        Why::NoStart => "there is no one commit that this lands on".to_owned(),
        Why::Unreadable(text) => text.clone(),
    };
    plain(&text)
}

fn paths(paths: &[crate::wire::name::RepoPath]) -> String {
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    words::list(&paths)
}
