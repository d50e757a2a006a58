//! The answer to a pushed review: what it did, and what is still missing.

use crate::admit::rehearse::Rehearsal;
use crate::judge::verdict::{Code, Decision, Finding, UpdateVerdict};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

use super::Context;
use super::command::Command;
use super::plain::{COLUMNS, clip, plain, wrap};
use super::terminal::{LINES, join};
use super::words;

/// What a review did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewAct {
    /// It vouches for the head.
    Approves,
    /// It blocks the head.
    Rejects,
    /// It ended an earlier review of the head.
    Withdraws,
    /// Its very bytes were recorded before: nothing changed.
    Known,
}

/// One accepted review, and how the head it is of stands now.
#[derive(Clone, Debug)]
pub struct ReviewOutcome {
    /// Whose key signed it.
    pub person: String,
    /// What it did.
    pub act: ReviewAct,
    /// The reviewed head.
    pub head: Oid,
    /// The ref it is for.
    pub target: RefName,
    /// How the head would come onto the ref now; none where that could not be computed.
    pub how: Option<Rehearsal>,
    /// What that would be answered; none where there is nothing to push.
    pub now: Option<UpdateVerdict>,
}

/// Returns what to print for the reviews of one push, each line ended by a line feed.
pub fn review_reply(outcomes: &[ReviewOutcome], context: &Context) -> String {
    let mut lines = Vec::new();
    for (position, outcome) in outcomes.iter().enumerate() {
        let text = text(outcome, context);
        let left = outcomes.len().saturating_sub(position).saturating_sub(1);
        let reserve = usize::from(left > 0);
        if lines.len() + text.len() + reserve > LINES {
            lines.push(format!("... and {} more reviews", left.saturating_add(1)));
            break;
        }
        lines.extend(text);
    }
    join(lines)
}

fn text(outcome: &ReviewOutcome, context: &Context) -> Vec<String> {
    let did = match outcome.act {
        ReviewAct::Approves => "approves",
        ReviewAct::Rejects => "rejects",
        ReviewAct::Withdraws => "withdraws from",
        ReviewAct::Known => "already said so of",
    };
    let line = format!(
        "countersign: {} {did} {} for {}",
        plain(&outcome.person),
        outcome.head.short(),
        plain(&outcome.target.to_string())
    );
    let mut lines = vec![clip(&line, COLUMNS)];
    lines.extend(standing(
        outcome.how.as_ref(),
        outcome.now.as_ref(),
        &outcome.head,
        &outcome.target,
        context,
    ));
    lines
}

/// Says why there is nothing that could be pushed.
fn no_landing(how: Option<&Rehearsal>) -> Vec<String> {
    let text = match how {
        Some(Rehearsal::Landed) => "it has landed already".to_owned(),
        Some(Rehearsal::Conflict(paths)) => {
            let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            let at = plain(&words::list(&paths));
            format!(
                "landing it now conflicts at {at}; have a commit reviewed that is built on the tip"
            )
        }
        Some(Rehearsal::Unverifiable) => {
            "what landing it gives cannot be told; approve a commit that is built on the tip"
                .to_owned()
        }
        Some(Rehearsal::Itself | Rehearsal::Merge(_)) | None => {
            "what is still missing could not be computed here".to_owned()
        }
    };
    let mut lines = wrap(&format!("  {text}"), "  ");
    lines.truncate(4);
    lines
}

/// Says what landing a head now would be answered.
pub(super) fn standing(
    how: Option<&Rehearsal>,
    now: Option<&UpdateVerdict>,
    head: &Oid,
    target: &RefName,
    context: &Context,
) -> Vec<String> {
    let (Some(how), Some(now)) = (how, now) else {
        return no_landing(how);
    };
    if now.decision == Decision::Accept && matches!(how, Rehearsal::Merge(_)) {
        let line = "  nothing is missing; merged, squashed or rebased onto the tip it can land";
        return vec![line.to_owned()];
    }
    if now.decision == Decision::Accept {
        let refspec = format!("{head}:\n{target}");
        let mut lines = vec!["  nothing is missing; whoever may push can land it:".to_owned()];
        let command = Command::new(&["git", "push", &context.remote, &refspec]);
        lines.extend(command.map_or_else(Vec::new, |command| command.lines()));
        return lines;
    }
    let mut lines = vec!["  still missing before it can land:".to_owned()];
    // One line is kept to say what does not fit.
    let room = LINES.saturating_sub(4);
    let whole = now.findings.iter().flat_map(|finding| {
        let (what, could) = still_missing(now, finding);
        let could = could.map(|line| wrap(&line, "      ")).unwrap_or_default();
        [wrap(&what, "    "), could].concat()
    });
    let whole: Vec<_> = whole.collect();
    if whole.len() <= room {
        lines.extend(whole);
        return lines;
    }
    for finding in now.findings.iter().take(room) {
        let (what, could) = still_missing(now, finding);
        let could = could.filter(|_| now.findings.len() <= room / 2);
        let both = [what].into_iter().chain(could);
        lines.extend(both.map(|line| clip(&line, COLUMNS)));
    }
    let more = now.findings.len().saturating_sub(room);
    if more > 0 {
        lines.push(format!("  ... and {more} more: countersign reviews --json"));
    }
    lines
}

/// Says what a finding wants and, where it is people, who could give it.
fn still_missing(now: &UpdateVerdict, finding: &Finding) -> (String, Option<String>) {
    let is_missing = finding.code == Code::MissingApprovals;
    let detail = match is_missing {
        true => words::missing(finding),
        false => words::detail(now, finding),
    };
    let could = is_missing.then(|| format!("    {}", plain(&words::could(finding))));
    (format!("  [{}] {detail}", finding.code.as_str()), could)
}
