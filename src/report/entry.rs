//! One finding, told at length or in a line.

use crate::judge::verdict::{Code, Finding, Severity, UpdateVerdict, Verdict};

use super::Context;
use super::plain::{COLUMNS, clip, plain, wrap};
use super::words::{self, Remedy};

/// In how many lengths a finding can be told.
pub(super) const LENGTHS: usize = 4;

/// Lines of a rendered error that are shown.
const RENDERED: usize = 8;

/// One finding in several lengths, the richest first; without text where it cannot be shown.
pub(super) struct Entry {
    pub(super) code: Code,
    /// Whether it says how to see what was not reviewed; one at most.
    pub(super) shows: bool,
    pub(super) texts: [Vec<String>; LENGTHS],
}

/// Returns all findings of all updates, strongest first; among equals missing approvals come first,
/// or last where something else must be `mend_first`.
///
/// Only the first `shown` have text.
pub(super) fn entries(
    verdict: &Verdict,
    focus: &UpdateVerdict,
    context: &Context,
    shown: usize,
    mend_first: bool,
) -> Vec<Entry> {
    let others = verdict
        .updates
        .iter()
        .filter(|update| !std::ptr::eq(*update, focus));
    let mut all: Vec<_> = std::iter::once(focus)
        .chain(others)
        .flat_map(|update| update.findings.iter().map(move |finding| (update, finding)))
        .collect();
    // Stable: the focus comes first among what weighs the same.
    all.sort_by_key(|(_, finding)| {
        let missing = finding.code == Code::MissingApprovals;
        (std::cmp::Reverse(finding.severity), missing == mend_first)
    });
    let seen = show_first(&mut all);
    all.into_iter()
        .enumerate()
        .map(|(position, (update, finding))| {
            let at = if std::ptr::eq(update, focus) {
                String::new()
            } else {
                format!("{}: ", plain(&update.name.to_string()))
            };
            let texts = if position >= shown {
                Default::default()
            } else if finding.code == Code::MissingApprovals {
                rule_texts(&at, finding)
            } else {
                let remedies = match (finding.severity, seen == Some(position)) {
                    (Severity::Note, true) => {
                        let command = words::residual(update, finding);
                        command.into_iter().map(Remedy::Run).collect()
                    }
                    (Severity::Note, false) => Vec::new(),
                    (Severity::Refuse | Severity::Undecided | Severity::Warn, _) => {
                        words::remedy(&verdict.repository, update, finding, context)
                    }
                };
                other_texts(&at, update, finding, &remedies)
            };
            Entry {
                code: finding.code,
                shows: seen == Some(position),
                texts,
            }
        })
        .collect()
}

/// Moves the note whose approval is nearest to what is pushed before all other notes, and returns
/// its place: with it comes how to see what was not reviewed, for which there is room once.
fn show_first(all: &mut Vec<(&UpdateVerdict, &Finding)>) -> Option<usize> {
    let note = |finding: &Finding| finding.severity == Severity::Note;
    let shows = |(_, (update, finding)): &(usize, &(&UpdateVerdict, &Finding))| {
        note(finding) && words::residual(update, finding).is_some()
    };
    // Among equals the one that came last.
    let came = |update: &UpdateVerdict, finding: &Finding| {
        let [person, head, ..] = finding.about.as_slice() else {
            return None;
        };
        update.approvals.iter().rposition(|approval| {
            approval.person.as_str() == person && approval.commit.to_string() == *head
        })
    };
    let candidates = all.iter().enumerate().filter(shows);
    let (nearest, _) = candidates.min_by_key(|(_, (update, finding))| {
        let came = std::cmp::Reverse(came(update, finding));
        (finding.paths.len(), came)
    })?;
    let first = all.iter().position(|(_, finding)| note(finding))?;
    let nearest = all.remove(nearest);
    all.insert(first, nearest);
    Some(first)
}

fn rule_texts(at: &str, finding: &Finding) -> [Vec<String>; LENGTHS] {
    let code = bracketed(finding.code);
    let rule = plain(finding.rule.as_deref().unwrap_or("a rule"));
    let want = plain(finding.want.as_deref().unwrap_or_default());
    let place = finding.at.as_deref().unwrap_or("built in");
    let got = match finding.got.as_slice() {
        [] => "nobody".to_owned(),
        names => names.join(", "),
    };
    let first = format!("{code} {at}{rule}: {want}");
    let second = format!("  {place}; has {got}; {}", words::could(finding));
    let second = plain(&second);
    let mut full = wrap(&first, "  ");
    full.extend(wrap(&second, "  "));
    let paths: Vec<_> = finding.paths.iter().map(ToString::to_string).collect();
    let mut richest = full.clone();
    if let Some(path) = paths.first() {
        let more = match paths.len() {
            1 => String::new(),
            n => format!(" and {} more", n.saturating_sub(1)),
        };
        let room = COLUMNS.saturating_sub(more.len());
        let path = clip(&format!("  for {}", plain(path)), room);
        richest.push(format!("{path}{more}"));
    }
    let short = vec![clip(&first, COLUMNS), clip(&second, COLUMNS)];
    let line = format!("{code} {at}{rule}: {want}; has {got}");
    [richest, full, short, vec![clip(&plain(&line), COLUMNS)]]
}

fn other_texts(
    at: &str,
    update: &UpdateVerdict,
    finding: &Finding,
    remedies: &[Remedy],
) -> [Vec<String>; LENGTHS] {
    let weight = match finding.severity {
        Severity::Refuse | Severity::Undecided => "",
        Severity::Warn => "warning ",
        Severity::Note => "note ",
    };
    let detail = words::detail(update, finding);
    let line = format!("{weight}{} {at}{detail}", bracketed(finding.code));
    let mut short = clip(&line, COLUMNS);
    if short != line {
        // Rather a whole commit in short than the beginning of one.
        short = clip(&words::shortened(&line), COLUMNS);
    }
    let short = vec![short];
    let rendered = finding.about.iter().filter(|text| text.contains('\n'));
    let rendered = rendered.flat_map(|text| text.lines()).take(RENDERED);
    let rendered: Vec<_> = rendered.map(|text| clip(&plain(text), COLUMNS)).collect();
    let remedies: Vec<_> = remedies.iter().flat_map(Remedy::lines).collect();
    let mut richest = wrap(&line, "  ");
    richest.extend(rendered.clone());
    richest.extend(remedies.clone());
    let mut full = short.clone();
    full.extend(rendered);
    full.extend(remedies.clone());
    let mut middle = short.clone();
    middle.extend(remedies);
    let least = match finding.severity {
        // What the reviewers see is worth more than other notes.
        Severity::Note => middle.clone(),
        Severity::Refuse | Severity::Undecided | Severity::Warn => short,
    };
    [richest, full, middle, least]
}

/// Returns a code as texts show it.
pub(super) fn bracketed(code: Code) -> String {
    format!("[{}]", code.as_str())
}
