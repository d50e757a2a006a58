//! What is signed about a commit: a table for people, JSON for programs.

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::admit::rehearse::{Rehearsal, Rehearsed, Signed};
use crate::judge::facts::ReviewState;
use crate::judge::verdict::{ApprovalVerdict, Coverage, Finding, UpdateVerdict};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

use super::plain::plain;
use super::{Context, json, reply, words};

/// What there is to tell.
pub struct About<'a> {
    /// The ref the reviews are for.
    pub target: &'a RefName,
    /// The commit they are of.
    pub head: &'a Oid,
    /// The reviews.
    pub signed: &'a [Signed],
    /// What landing the commit now would be answered.
    pub rehearsed: &'a Rehearsed,
    /// Whether it is known when the reviews were received.
    pub dated: bool,
}

/// One review with what it is worth now.
struct Row<'a> {
    signed: &'a Signed,
    coverage: Option<Coverage>,
    counted: bool,
    residual: &'a [RepoPath],
    why: Option<String>,
}

/// Returns the table, and below it what is still missing; each line ended by a line feed.
pub fn text(about: &About<'_>, context: &Context) -> String {
    let (head, target) = (about.head, plain(&about.target.to_string()));
    let mut out = format!("{head} for {target}\n");
    if about.signed.is_empty() {
        out.push_str("  nobody has signed anything about it\n");
    } else {
        out.push_str(&table(about));
    }
    let now = about.verdict();
    for line in reply::standing(Some(&about.rehearsed.how), now, head, about.target, context) {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn table(about: &About<'_>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut header = vec![
        "person", "says", "received", "state", "covers", "counts", "why not",
    ];
    if !about.dated {
        header.remove(2);
    }
    table.set_header(header);
    for row in about.rows() {
        let review = &row.signed.review;
        let mut cells = vec![
            plain(review.person.as_str()),
            row.signed.message.verb.to_string(),
            review.at.to_string(),
            state(row.signed.state).to_owned(),
            row.coverage.map_or("-", covers).to_owned(),
            match (row.signed.message.verb, row.counted) {
                (ReviewVerb::Approve, true) => "yes",
                (ReviewVerb::Approve, false) => "no",
                (ReviewVerb::Reject | ReviewVerb::Withdraw, _) => "-",
            }
            .to_owned(),
            row.why.unwrap_or_default(),
        ];
        if !about.dated {
            cells.remove(2);
        }
        table.add_row(cells);
    }
    table
        .lines()
        .map(|line| format!(" {}\n", line.trim_end()))
        .collect()
}

/// Returns `countersign.reviews/v1`.
pub fn value(about: &About<'_>, context: &Context) -> Value {
    let (how, conflicts): (_, &[RepoPath]) = match &about.rehearsed.how {
        Rehearsal::Itself => ("itself", &[]),
        Rehearsal::Merge(_) => ("merge", &[]),
        Rehearsal::Conflict(paths) => ("conflict", paths),
        Rehearsal::Landed => ("landed", &[]),
        Rehearsal::Unverifiable => ("unverifiable", &[]),
    };
    let admission = about.rehearsed.admission.as_ref();
    json!({
        "schema": "countersign.reviews/v1",
        "ref": about.target,
        "commit": about.head,
        "landing": how,
        "conflicts": conflicts,
        "reviews": about.rows().map(|row| row.value(about.dated)).collect::<Vec<_>>(),
        "verdict": admission.map(|it| json::verdict_in(&it.verdict, context)),
    })
}

impl Row<'_> {
    fn value(&self, dated: bool) -> Value {
        let review = &self.signed.review;
        json!({
            "person": review.person,
            "verb": self.signed.message.verb.as_str(),
            "tag": review.tag,
            "key": review.key,
            "base": self.signed.message.base,
            "received": dated.then(|| review.at.to_string()),
            "state": state(self.signed.state),
            "coverage": self.coverage,
            "counted": self.counted,
            "residual": self.residual,
            "why": self.why,
        })
    }
}

impl<'a> About<'a> {
    fn verdict(&self) -> Option<&'a UpdateVerdict> {
        let admission = self.rehearsed.admission.as_ref()?;
        admission.verdict.updates.first()
    }

    fn rows(&self) -> impl Iterator<Item = Row<'a>> + '_ {
        self.signed.iter().map(|signed| self.row(signed))
    }

    /// Joins a review with what the verdict says of it.
    fn row(&self, signed: &'a Signed) -> Row<'a> {
        let approval = self.approval(signed);
        let finding = self.finding(signed);
        Row {
            signed,
            coverage: approval.map(|approval| approval.coverage),
            counted: approval.is_some_and(|approval| approval.counted),
            residual: finding.map_or(&[], |finding| &finding.paths),
            why: match (self.verdict(), finding) {
                (Some(update), Some(finding)) => Some(words::detail(update, finding)),
                _ => ended(signed),
            },
        }
    }

    /// Of one person and head at most one approval is live: that is the one the verdict names.
    fn approval(&self, signed: &Signed) -> Option<&'a ApprovalVerdict> {
        let live = signed.state == ReviewState::Live;
        let approves = signed.message.verb == ReviewVerb::Approve;
        self.verdict()?.approvals.iter().find(|approval| {
            live && approves
                && approval.person == signed.review.person
                && approval.commit == signed.review.head
        })
    }

    /// Finds what was found about this very tag.
    fn finding(&self, signed: &Signed) -> Option<&'a Finding> {
        let tag = signed.review.tag.to_string();
        let mut findings = self.verdict()?.findings.iter();
        findings.find(|finding| finding.about.get(2) == Some(&tag))
    }
}

/// Says what ended a review that no finding is about.
fn ended(signed: &Signed) -> Option<String> {
    let why = match (signed.message.verb, signed.state) {
        (ReviewVerb::Withdraw, _) | (_, ReviewState::Live) => return None,
        (_, ReviewState::Expired) => "older than the policy lets approvals be",
        (_, ReviewState::Replaced) => "a later review of theirs took its place",
        (_, ReviewState::Withdrawn) => "they withdrew it",
        (_, ReviewState::Spent) => "what it vouches for landed already",
        (_, ReviewState::KeyRevoked) => "its key is revoked",
        (_, ReviewState::Unknown) => "people.toml has this person or key no more",
    };
    Some(why.to_owned())
}

fn state(state: ReviewState) -> &'static str {
    match state {
        ReviewState::Live => "live",
        ReviewState::Expired => "expired",
        ReviewState::Replaced => "replaced",
        ReviewState::Withdrawn => "withdrawn",
        ReviewState::Spent => "spent",
        ReviewState::KeyRevoked => "revoked",
        ReviewState::Unknown => "unknown",
    }
}

fn covers(coverage: Coverage) -> &'static str {
    match coverage {
        Coverage::Identity => "identity",
        Coverage::Replay => "replay",
        Coverage::Residual => "residual",
        Coverage::Unverifiable => "unverifiable",
    }
}
