//! The record in words: entries, what was checked, what was closed, what does not fit.
//!
//! Everything a pusher or an admin can choose goes through [`plain`].

use comfy_table::{Table, presets};
use serde_json::json;

use crate::admit::RefState;
use crate::admit::adopt::Taken;
use crate::admit::history::{Drift, History};
use crate::admit::replay::{is_reviewed, passed};
use crate::admit::settle::{Outcome, Settled};
use crate::admit::standing::{Standing, State};
use crate::policy::Mode;
use crate::record::entry::{AdminAct, Entry, IncidentState, Landed, PusherId, Review};
use crate::record::key::KeyStores;
use crate::record::{Intent, Report, Rotation};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewMessage;
use crate::wire::tag::Tag;

use super::command::Command;
use super::plain::{counted, plain};

/// One entry to show.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its place in the log.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
    /// Whose reviews counted, or whose review it is; none where that cannot be read.
    pub reviewers: Option<Vec<String>>,
}

/// Returns one JSON object a line: the entry as recorded, its index, state and reviewers.
pub fn json_lines(shown: &[Shown]) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for one in shown {
        let line = json!({
            "schema": "countersign.entry/v1",
            "index": one.index,
            "state": state(&one.entry),
            "reviewers": one.reviewers,
            "entry": serde_json::to_value(&one.entry)?,
        });
        text += &format!("{line}\n");
    }
    Ok(text)
}

/// Returns a table; ids are cut to 12 digits unless `full`, of a baseline only `name` is shown where
/// given.
pub fn table(shown: &[Shown], name: Option<&RefName>, full: bool) -> String {
    let mut rows = Vec::new();
    for one in shown {
        let wanted = |row: &Row| name.is_none_or(|name| row.name == name.to_string());
        rows.extend(rows_of(one, full).into_iter().filter(wanted));
    }
    let mut table = blank(&[
        "entry",
        "time",
        "kind",
        "ref",
        "commit",
        "by",
        "reviewed by",
        "state",
    ]);
    for row in rows {
        let cells = [
            row.index,
            row.at,
            row.kind,
            row.name,
            row.commit,
            row.by,
            row.reviewers,
            row.state,
        ];
        table.add_row(cells.map(|cell| plain(&cell)));
    }
    lines(&table)
}

/// A row of the table.
struct Row {
    index: String,
    at: String,
    kind: String,
    name: String,
    commit: String,
    by: String,
    reviewers: String,
    state: String,
}

fn rows_of(one: &Shown, full: bool) -> Vec<Row> {
    let entry = &one.entry;
    let row = |name: &RefName, commit: Option<Oid>, by: String| Row {
        index: one.index.to_string(),
        at: entry.at().to_string(),
        kind: entry.kind().to_owned(),
        name: name.to_string(),
        commit: match commit {
            Some(oid) if full => oid.to_string(),
            Some(oid) => oid.short(),
            None => "deleted".to_owned(),
        },
        by,
        reviewers: match &one.reviewers {
            Some(people) if people.is_empty() => "-".to_owned(),
            Some(people) => people.join(", "),
            None => "(evidence missing)".to_owned(),
        },
        state: state(entry).to_owned(),
    };
    match entry {
        Entry::Genesis(genesis) => genesis
            .tips
            .iter()
            .map(|(name, oid)| row(name, Some(*oid), "-".to_owned()))
            .collect(),
        Entry::Review(review) => {
            let by = review.pusher.as_ref().map(ToString::to_string);
            let by = by.unwrap_or_else(|| "(unknown)".to_owned());
            vec![row(&review.target, Some(review.head), by)]
        }
        Entry::Landed(landed) => {
            let by = match &landed.pusher {
                PusherId::Person(person) => person.to_string(),
                PusherId::Unknown(name) => format!("({name})"),
            };
            vec![row(&landed.name, landed.new, by)]
        }
        Entry::Adopted(adopted) => vec![row(&adopted.name, adopted.new, adopted.by.clone())],
        // What it is about stands where refs do, what it is where commits do.
        Entry::Incident(incident) => vec![Row {
            name: incident.about.clone(),
            commit: incident.finding.clone(),
            ..row(&RefName::from(""), None, incident.by.clone())
        }],
        Entry::Admin(admin) => match &admin.act {
            AdminAct::Enrolled(host) => vec![Row {
                name: "-".to_owned(),
                commit: "-".to_owned(),
                ..row(&RefName::from(""), None, host.by.clone())
            }],
            // The id of the new key.
            AdminAct::Rotated(rotated) => vec![Row {
                name: "-".to_owned(),
                commit: key_id(&rotated.new).to_owned(),
                ..row(&RefName::from(""), None, rotated.by.clone())
            }],
        },
    }
}

/// Returns the word for an entry.
pub fn state(entry: &Entry) -> &'static str {
    match entry {
        Entry::Genesis(_) => "baseline",
        Entry::Review(review) => verb(review),
        Entry::Landed(landed) => landing(landed),
        Entry::Adopted(_) => "adopted",
        Entry::Incident(incident) => match incident.state {
            IncidentState::Found => "found",
            IncidentState::Over => "over",
        },
        Entry::Admin(admin) => match admin.act {
            AdminAct::Enrolled(_) => "enrolled",
            AdminAct::Rotated(_) => "rotated",
        },
    }
}

/// Returns the id of a verifier line `<name>+<id>+<key>`.
fn key_id(line: &str) -> &str {
    line.split('+').nth(1).unwrap_or(line)
}

fn landing(landed: &Landed) -> &'static str {
    match (is_reviewed(landed), landed.mode) {
        (true, _) => "reviewed",
        (false, _) if passed(landed) => "no approval asked",
        (false, Mode::DryRun) => "dry run",
        (false, Mode::Enforce) => "not reviewed",
    }
}

fn verb(review: &Review) -> &'static str {
    use base64::Engine as _;
    let raw = base64::engine::general_purpose::STANDARD
        .decode(&review.raw)
        .unwrap_or_default();
    let format = review.tag.format();
    let message = Tag::parse(&raw, format)
        .ok()
        .and_then(|tag| ReviewMessage::parse(&tag.message, format).ok());
    message.map_or("unreadable", |message| message.verb.as_str())
}

/// Says what checking the log found.
pub fn verified(report: &Report, open: &[Intent]) -> String {
    let mut text = format!("the log has {} entries", report.checkpoint.size);
    if report.from > 0 {
        text += &format!(", the first {} trusted", report.from);
    }
    for (kind, count) in &report.kinds {
        text += &format!(", {count} {kind}");
    }
    text += &format!("; {} with evidence beside it\n", report.evidence);
    for problem in &report.problems {
        text += &problem_line(problem.index, &problem.what);
    }
    if report.omitted > 0 {
        text += &format!("and {} more problems\n", report.omitted);
    }
    for intent in open {
        let names: Vec<_> = intent
            .landed
            .iter()
            .map(|landed| landed.name.to_string())
            .collect();
        text += &plain(&format!(
            "open: a push of {} at {} is accepted, not recorded; countersign log reconcile",
            names.join(", "),
            intent.at
        ));
        text.push('\n');
    }
    if report.ok() {
        text += "all in order\n";
    }
    text
}

fn problem_line(index: Option<u64>, what: &str) -> String {
    let at = index.map_or_else(String::new, |index| format!("entry {index}: "));
    format!("{}\n", plain(&format!("{at}{what}")))
}

/// Says what was closed, and what is not where the record has it, with the ways out.
pub fn reconciled(settled: &Settled, unknown: &[Drift]) -> String {
    let mut text = closed(settled);
    if settled.open > 0 {
        text += &format!("{} accepted pushes are still under way\n", settled.open);
    }
    for drift in unknown {
        text += &format!("{}\n", plain(&drift.to_string()));
        if drift.lost {
            text +=
                "  the record is ahead: fetch that commit from a clone or a backup first; it is\n";
            text += "  reviewed or not as it was, whoever has it (docs/operations.md)\n";
        }
        text += "  set it back, or take it as it is, never reviewed:\n";
        for command in ways_out(drift) {
            text += &format!("  {command}\n");
        }
    }
    if settled.open == 0 && unknown.is_empty() {
        text += "every protected ref is where the record has it\n";
    }
    text
}

fn closed(settled: &Settled) -> String {
    let mut text = String::new();
    for (name, outcome) in &settled.closed {
        let outcome = match outcome {
            Outcome::Landed(index) => format!("landed, recorded as entry {index}"),
            Outcome::Lost => "moved otherwise than was accepted: not recorded".to_owned(),
            Outcome::Lapsed => "was accepted and never moved: lapsed".to_owned(),
        };
        text += &format!("{}\n", plain(&format!("{name} {outcome}")));
    }
    text
}

/// Returns the commands that set a ref back, or take it as it is; fewer where its name is no word
/// for a shell.
pub fn ways_out(drift: &Drift) -> Vec<String> {
    let commands = ways_out_commands(drift);
    commands.iter().map(Command::one_line).collect()
}

/// The same as commands.
pub(super) fn ways_out_commands(drift: &Drift) -> Vec<Command> {
    let name = drift.name.to_string();
    let mut commands = Vec::new();
    let is_symbolic = matches!(drift.actual, RefState::Symbolic(_));
    if is_symbolic {
        commands.push(Command::new(&["git", "symbolic-ref", "--delete", &name]));
    }
    match &drift.recorded {
        Some(oid) => {
            let oid = oid.to_string();
            commands.push(Command::new(&["git", "update-ref", &name, &oid]));
        }
        None if is_symbolic => {}
        None => commands.push(Command::new(&["git", "update-ref", "-d", &name])),
    }
    // What is only another name has no tip that could be taken.
    if !is_symbolic {
        commands.push(Command::new(&["countersign", "log", "adopt", &name]));
    }
    commands.into_iter().flatten().collect()
}

/// Says what was adopted.
pub fn adopted(name: &RefName, taken: &Taken) -> String {
    let words = |oid: Option<Oid>| oid.map_or_else(|| "absent".to_owned(), |oid| oid.to_string());
    let mut text = closed(&taken.settled);
    text += &plain(&format!(
        "adopted {name} as entry {}: {} -> {}",
        taken.index,
        words(taken.old),
        words(taken.new)
    ));
    text += "\nit is never reviewed, and stays visible as adopted\n";
    for (name, oid) in &taken.begun {
        text += &format!("{}\n", plain(&format!("baseline: {name} {oid}")));
    }
    text
}

/// Says that the log went over to another key, and what is to be done now.
pub fn rotated(rotation: Option<&Rotation>, vkey: &str, stores: &KeyStores) -> String {
    let mut text = match rotation {
        Some(rotation) => format!(
            "the log goes over to another key with entry {}\n  from {}\n  to   {}\nboth have signed \
             that: log/rotations/{} is for those who know the old one\ntell whoever verifies: log/vkey \
             is another now\n",
            rotation.size.saturating_sub(1),
            rotation.old,
            rotation.new,
            rotation.size
        ),
        None => format!("the key that record.next names is the log's already: {vkey}\n"),
    };
    if let Some(next) = &stores.next {
        text += &plain(&format!(
            "in server.toml: let `key` be {next}, and take `next` out"
        ));
        text.push('\n');
    }
    text
}

/// Says what a commit is; its state is the first word.
pub fn standing(oid: &Oid, found: &Standing) -> String {
    let mut text = format!("{} {oid}", found.state.as_str());
    if let (Some(index), Some(name)) = (found.index, &found.name) {
        let below = match found.state {
            State::Reachable => "below ",
            _ => "",
        };
        text += &format!(": {below}entry {index} on {name}");
    }
    if !found.reviewers.is_empty() {
        let people: Vec<_> = found.reviewers.iter().map(ToString::to_string).collect();
        text += &format!(", reviewed by {}", people.join(", "));
    }
    if let Some(why) = &found.why {
        text += &format!(": {why}");
    }
    format!("{}\n", plain(&text))
}

/// Says what replaying the log found.
pub fn history(found: &History) -> String {
    let mut table = blank(&["", "count"]);
    for (what, count) in [
        ("entries", found.entries),
        ("reviews, signatures verified again", found.reviews),
        ("landings that are reviewed", found.reviewed),
        ("landings in dry run", found.dry_run),
        ("landings that asked nobody", found.unasked),
        ("landings refused too late", found.late),
        ("landings not recorded yet", found.pending),
        ("tips adopted, unreviewed", found.adopted),
        ("incidents that audits found", found.incidents),
    ] {
        if count > 0 || what == "entries" {
            table.add_row([what.to_owned(), count.to_string()]);
        }
    }
    let mut text = lines(&table);
    for (index, what) in &found.problems {
        text += &problem_line(*index, what);
    }
    text += &match found.problems.len() {
        0 => "everything comes out as recorded\n".to_owned(),
        count => counted(count, "problem") + "\n",
    };
    text
}

pub(super) fn blank(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

/// Returns the table without blanks at line ends.
pub(super) fn lines(table: &Table) -> String {
    table
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(digit: &str) -> Oid {
        digit.repeat(40).parse().unwrap()
    }

    fn drift(name: &str, recorded: Option<Oid>, actual: RefState) -> Drift {
        Drift {
            name: RefName::from(name),
            recorded,
            actual,
            lost: false,
        }
    }

    /// Both ways out are commands to copy; a name that a shell would read as more has none.
    #[test]
    fn gives_ways_out() {
        let (a, b) = (oid("a"), oid("b"));
        let main = "refs/heads/main";
        let adopt = format!("countersign log adopt {main}");
        let back = format!("git update-ref {main} {a}");
        let to = RefState::Symbolic(RefName::from("refs/heads/x"));
        for (recorded, actual, expected) in [
            (Some(a), RefState::At(b), vec![back.clone(), adopt.clone()]),
            (Some(a), RefState::Absent, vec![back.clone(), adopt.clone()]),
            (
                None,
                RefState::At(b),
                vec![format!("git update-ref -d {main}"), adopt],
            ),
            (
                Some(a),
                to.clone(),
                vec![format!("git symbolic-ref --delete {main}"), back],
            ),
            (None, to, vec![format!("git symbolic-ref --delete {main}")]),
        ] {
            assert_eq!(ways_out(&drift(main, recorded, actual)), expected);
        }
        let evil = drift("refs/heads/$(id)", Some(a), RefState::At(b));
        assert!(ways_out(&evil).is_empty());
    }

    /// What somebody chose reaches the terminal as plain text, on a line of its own.
    #[test]
    fn is_plain() {
        let found = History {
            problems: vec![(Some(7), "by \u{1b}[2J\nroot".to_owned())],
            ..History::default()
        };
        let text = history(&found);
        assert!(
            text.contains("\nentry 7: by \\u{1b}[2J\\u{a}root\n"),
            "{text}"
        );
        let adopted = Entry::Adopted(crate::record::entry::Adopted {
            at: "2026-01-02T00:00:00Z".parse().unwrap(),
            repository: String::new(),
            name: RefName::from("refs/heads/main"),
            old: None,
            new: Some(oid("c")),
            by: "ro\u{202e}ot\n".to_owned(),
            reason: String::new(),
            policy: false,
        });
        let shown = [Shown {
            index: 3,
            entry: adopted,
            reviewers: Some(Vec::new()),
        }];
        let text = table(&shown, None, false);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("ro\\u{202e}ot\\u{a}"), "{text}");
        assert!(text.contains(&"c".repeat(12)) && !text.contains(&"c".repeat(13)));
        assert!(table(&shown, None, true).contains(&"c".repeat(40)));
        let other = RefName::from("refs/heads/other");
        assert_eq!(table(&shown, Some(&other), false).lines().count(), 1);
    }

    /// The state is the first word, whatever else is known.
    #[test]
    fn says_the_state_first() {
        let name = Some(RefName::from("refs/heads/main"));
        let mut found = Standing {
            state: State::Reviewed,
            index: Some(4),
            name,
            reviewers: ["bob", "carol"]
                .iter()
                .filter_map(|name| crate::people::PersonName::new(name))
                .collect(),
            why: None,
        };
        let id = oid("d");
        assert_eq!(
            standing(&id, &found),
            format!("reviewed {id}: entry 4 on refs/heads/main, reviewed by bob, carol\n")
        );
        found.state = State::Reachable;
        found.reviewers.clear();
        assert_eq!(
            standing(&id, &found),
            format!("reachable {id}: below entry 4 on refs/heads/main\n")
        );
    }
}
