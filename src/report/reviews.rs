//! What is signed about a commit: a table for people, JSON for programs.

use serde_json::{Value, json};

use crate::admit::rehearse::{Rehearsal, Rehearsed, Signed};
use crate::judge::facts::ReviewState;
use crate::judge::verdict::{ApprovalVerdict, Code, Coverage, Decision, Finding, UpdateVerdict};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

use super::command::Command;
use super::plain::{COLUMNS, clip, plain, width, wrap};
use super::{Context, diff, json, reply, words};

/// Paths of one review that are shown, a line each.
const PATHS: usize = 5;
/// The columns of a name in the table; a longer one is cut there, and said whole below.
const NAME: usize = 16;

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
    /// Whether landing the commit conflicts, whoever reviewed it.
    conflicts: bool,
    /// What shows what its person did not see.
    diff: Option<Command>,
}

/// Returns the table, and below it what is still missing; each line ended by a line feed.
pub fn text(about: &About<'_>, context: &Context) -> String {
    let (head, target) = (about.head, plain(&about.target.to_string()));
    let mut lines = vec![clip(
        &format!("{head} for {target}"),
        head.to_string().len() + 40,
    )];
    if about.signed.is_empty() {
        lines.push("  nobody has signed anything about it".to_owned());
    } else {
        lines.extend(table(about));
    }
    let now = about.verdict();
    let how = Some(&about.rehearsed.how);
    lines.extend(reply::standing(how, now, head, about.target, context));
    if matches!(how, Some(Rehearsal::Conflict(_))) && !about.signed.is_empty() {
        let say = "  once it is merged, as MERGE, what that adds to what was reviewed:";
        lines.push(say.to_owned());
        let (head, target) = (head.to_string(), about.target.to_string());
        let command = Command::new(&["countersign", "diff", &head, "MERGE", "--onto", &target]);
        lines.extend(command.iter().flat_map(Command::lines));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Lays the reviews out, 80 columns at most, and below each why it does not count.
fn table(about: &About<'_>) -> Vec<String> {
    let rows: Vec<_> = about.rows().collect();
    let names = rows.iter().map(|row| width(row.name()));
    let name = names.max().unwrap_or(0).clamp("person".len(), NAME);
    let line = |cells: [&str; 6]| {
        let [person, says, received, state, covers, counts] = cells;
        let received = match about.dated {
            true => format!("{received:<17}  "),
            false => String::new(),
        };
        format!("  {person:<name$}  {says:<8}  {received}{state:<9}  {covers:<12}  {counts}")
    };
    let header = ["person", "says", "received", "state", "covers", "counts"];
    let mut lines = vec![line(header)];
    for row in &rows {
        let signed = row.signed;
        let received = signed.review.at.strftime("%Y-%m-%d %H:%MZ").to_string();
        let counts = match (signed.message.verb, row.counted) {
            (ReviewVerb::Approve, true) => "yes",
            (ReviewVerb::Approve, false) => "no",
            (ReviewVerb::Reject | ReviewVerb::Withdraw, _) => "-",
        };
        lines.push(line([
            &clip(row.name(), name),
            signed.message.verb.as_str(),
            &received,
            state(signed.state),
            row.coverage.map_or("-", covers),
            counts,
        ]));
        lines.extend(row.details(name));
    }
    lines
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
    fn name(&self) -> &str {
        self.signed.review.person.as_str()
    }

    /// Says below the table's line what does not fit into it.
    fn details(&self, room: usize) -> Vec<String> {
        let mut lines = Vec::new();
        if width(self.name()) > room {
            lines.push(format!("    signed by {}", self.name()));
        }
        if let Some(why) = &self.why {
            let listed = self.listed();
            let why = match listed.is_empty() {
                true => why.as_str(),
                false => "what would land is something else than it is of, at",
            };
            lines.extend(wrap(&format!("    {why}"), "    "));
            let paths = listed.iter().take(PATHS).map(ToString::to_string);
            lines.extend(paths.map(|path| clip(&format!("      {}", plain(&path)), COLUMNS)));
            let more = listed.len().saturating_sub(PATHS);
            if more > 0 {
                lines.push(format!("      and {more} more"));
            }
        }
        lines.extend(self.diff.iter().flat_map(Command::lines));
        lines
    }

    /// The paths that are shown line by line, in place of those in the sentence.
    fn listed(&self) -> &[RepoPath] {
        match self.coverage {
            // What conflicts stands below the table, once for all.
            Some(Coverage::Residual) if !self.conflicts => self.residual,
            _ => &[],
        }
    }

    fn value(&self, dated: bool) -> Value {
        let (signed, review) = (self.signed, &self.signed.review);
        let successor = signed.successor.as_ref();
        let spent = signed.spent.as_ref();
        json!({
            "person": review.person,
            "verb": signed.message.verb.as_str(),
            "tag": review.tag,
            "key": review.key,
            "base": signed.message.base,
            "received": dated.then(|| review.at.to_string()),
            "ends": signed.ends.filter(|_| dated).map(|ends| ends.to_string()),
            "state": state(signed.state),
            "successor": successor.map(|later| {
                json!({"verb": later.verb.as_str(), "head": later.head, "tag": later.tag})
            }),
            "landed": spent.map(|spent| {
                let counted = spent.weighed.map(|(_, counted)| counted);
                json!({"index": spent.index, "commit": spent.commit, "counted": counted})
            }),
            "coverage": self.coverage,
            "counted": self.counted,
            "residual": self.residual,
            "why": self.why,
            "diff": self.diff.as_ref().map(Command::one_line),
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
        let told = approval.map(|approval| approval.coverage);
        let alone = signed.alone.as_ref();
        let weighed = signed.spent.as_ref().and_then(|spent| spent.weighed);
        let coverage = told
            .or_else(|| alone.map(|alone| alone.coverage))
            .or_else(|| weighed.map(|(coverage, _)| coverage));
        let residual = match (finding, alone) {
            (Some(finding), _) if !finding.paths.is_empty() => finding.paths.as_slice(),
            (_, Some(alone)) => &alone.paths,
            (Some(finding), None) => &finding.paths,
            (None, None) => &[],
        };
        let itself = self.rehearsed.how == Rehearsal::Itself;
        let shown = itself && coverage == Some(Coverage::Residual);
        Row {
            signed,
            coverage,
            counted: approval.is_some_and(|approval| approval.counted),
            residual,
            why: self.why(signed, finding, approval.is_some()),
            conflicts: matches!(self.rehearsed.how, Rehearsal::Conflict(_)),
            diff: words::diff(&signed.review.tag.to_string(), self.head).filter(|_| shown),
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

    /// Says why a review does nothing, or what it does where that is not plain.
    fn why(&self, signed: &Signed, finding: Option<&Finding>, weighed: bool) -> Option<String> {
        if let Some(why) = ended(signed) {
            return Some(plain(&why));
        }
        let unable = signed.alone.as_ref().and_then(|alone| alone.why.as_ref());
        if let Some(why) = unable {
            let why = diff::why(why);
            return Some(format!("what it covers cannot be told: {why}"));
        }
        if let (Some(update), Some(finding)) = (self.verdict(), finding) {
            return Some(match base(signed, update, finding) {
                Some(why) => plain(&why),
                None => words::detail(update, finding),
            });
        }
        let why = match (signed.message.verb, self.verdict(), &self.rehearsed.how) {
            (ReviewVerb::Withdraw, ..) | (_, _, Rehearsal::Landed) => return None,
            (ReviewVerb::Approve, Some(_), _) if weighed => return None,
            (ReviewVerb::Approve, Some(update), _) if judged(update) => {
                "no rule asks them about this change"
            }
            (ReviewVerb::Approve, Some(_), _) => "not weighed: something else comes first",
            (ReviewVerb::Approve, None, Rehearsal::Conflict(_)) => {
                "landing it now conflicts, as said below"
            }
            (ReviewVerb::Approve, None, _) => "what landing it gives cannot be told",
            (ReviewVerb::Reject, Some(update), _) if judged(update) => {
                "it blocks nothing: no rule asks them about this change, or it is overridden"
            }
            (ReviewVerb::Reject, ..) => {
                "it blocks the commit if a rule asks them, until their next review of it"
            }
        };
        Some(why.to_owned())
    }
}

/// Returns whether rules were asked, so that an approval not named fills no place.
fn judged(update: &UpdateVerdict) -> bool {
    let mut findings = update.findings.iter();
    update.decision == Decision::Accept
        || findings.any(|finding| matches!(finding.code, Code::MissingApprovals | Code::Rejected))
}

/// Says which base is not the one that a rule wants.
fn base(signed: &Signed, update: &UpdateVerdict, finding: &Finding) -> Option<String> {
    let of_base = finding.code == Code::StaleApproval
        && finding.about.get(3).is_some_and(|reason| reason == "base");
    let tip = update.old.short();
    of_base.then(|| match signed.message.base {
        None => format!("a rule wants base = \"exact\", and it names no Base; the tip is {tip}"),
        Some(base) => format!(
            "a rule wants base = \"exact\": it is of base {}, and the tip has moved to {tip}",
            base.short()
        ),
    })
}

/// Says what ended a review.
fn ended(signed: &Signed) -> Option<String> {
    let later = signed.successor.as_ref();
    let why = match (signed.message.verb, signed.state) {
        (_, ReviewState::Live) => return None,
        (_, ReviewState::Expired) => {
            let since = signed.ends.map_or_else(String::new, |ends| {
                format!(": it ran out at {}", ends.strftime("%Y-%m-%d %H:%MZ"))
            });
            format!("older than the policy lets approvals be{since}")
        }
        (_, ReviewState::Replaced) => match later {
            Some(later) if later.head == signed.review.head => format!(
                "their later {} of this commit took its place, tag {}",
                noun(later.verb),
                later.tag
            ),
            Some(later) => format!(
                "their later {} of {} took its place, tag {}",
                noun(later.verb),
                later.head,
                later.tag
            ),
            None => "a later review of theirs took its place".to_owned(),
        },
        (_, ReviewState::Withdrawn) => match later {
            Some(later) => format!("they withdrew it, tag {}", later.tag),
            None => "they withdrew it".to_owned(),
        },
        (_, ReviewState::Spent) => match &signed.spent {
            Some(spent) => format!(
                "what it vouches for landed already{} (log entry {}){}",
                spent
                    .commit
                    .map_or_else(String::new, |oid| format!(", with {}", oid.short())),
                spent.index,
                match spent.weighed {
                    Some((_, true)) => ", and there it counted",
                    Some((_, false)) => ", and there it did not count",
                    None => "",
                }
            ),
            None => "what it vouches for landed already".to_owned(),
        },
        (_, ReviewState::KeyRevoked) => format!("its key is revoked: {}", signed.review.key),
        (_, ReviewState::Unknown) => {
            format!(
                "people.toml has this person or key no more: {}",
                signed.review.key
            )
        }
    };
    Some(why)
}

const fn noun(verb: ReviewVerb) -> &'static str {
    match verb {
        ReviewVerb::Approve => "approval",
        ReviewVerb::Reject => "rejection",
        ReviewVerb::Withdraw => "withdrawal",
    }
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

#[cfg(test)]
mod tests;
