//! What an audit found, for a person: a table, then each finding with what to do; and as JSON.
//!
//! Everything that somebody can choose goes through [`plain`].

use std::path::Path;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::admit::unknown::UnknownStep;
use crate::audit::{Audited, Detail, Finding, Rests, Weight};
use crate::judge::verdict::{Code, Decision, UpdateVerdict};

use super::audit_words::{means, remedy};
use super::plain::{clip, plain, wrap};
use super::words::could;

/// How many paths, steps or landings are named.
const NAMED: usize = 8;
/// The columns of a line.
const COLUMNS: usize = 80;

/// Returns the report for a terminal of 80 columns; `entries` are those that were written.
pub fn text(audited: &Audited, git_dir: &Path, entries: &[u64]) -> String {
    let mut text = format!("{}\n", clip(&plain(&summary(audited, git_dir)), COLUMNS));
    if !audited.findings.is_empty() {
        text.push('\n');
        text += &table(&audited.findings);
    }
    for finding in &audited.findings {
        text.push('\n');
        for line in block(finding, git_dir) {
            text += &format!("{line}\n");
        }
    }
    if audited.omitted > 0 {
        text += &format!("\nand {} more\n", audited.omitted);
    }
    if !audited.unread.is_empty() {
        text += "\nnot looked at, so that nobody can say it is in order:\n";
        for unread in &audited.unread {
            let line = format!("  {}: {}", unread.family.as_str(), unread.why);
            text += &joined(wrap(&plain(&line), "    "));
        }
    }
    if !audited.adopted.is_empty() {
        let names: Vec<_> = audited.adopted.iter().map(ToString::to_string).collect();
        let line = format!("adopted, and so unreviewed: {}", names.join(", "));
        text.push('\n');
        text += &joined(wrap(&plain(&line), "  "));
    }
    if !entries.is_empty() {
        let indices: Vec<_> = entries.iter().map(u64::to_string).collect();
        let line = format!("put on record as entries {}", indices.join(", "));
        text.push('\n');
        text += &joined(wrap(&line, "  "));
    }
    text
}

fn summary(audited: &Audited, git_dir: &Path) -> String {
    let name = git_dir.file_name().unwrap_or(git_dir.as_os_str());
    let count = |weight: Weight, word: &str| {
        let all = audited.findings.iter();
        let count = all
            .filter(|finding| finding.code.weight() == weight)
            .count();
        let s = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {word}{s}"))
    };
    let counts: Vec<_> = [
        count(Weight::Incident, "incident"),
        count(Weight::Warning, "warning"),
        count(Weight::Note, "note"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let found = match (counts.is_empty(), audited.unread.is_empty()) {
        (false, _) => counts.join(", "),
        (true, true) => "nothing found".to_owned(),
        (true, false) => "nothing found as far as could be looked".to_owned(),
    };
    let many = |count: u64, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    };
    let refs = u64::try_from(audited.refs).unwrap_or(u64::MAX);
    format!(
        "{}: {found}; {}, {}",
        name.to_string_lossy(),
        many(refs, "protected ref", "protected refs"),
        many(audited.size, "log entry", "log entries"),
    )
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["finding", "about", "since"]);
    for finding in findings {
        // The end of a path says more than its start.
        let about = plain(&finding.about);
        let about = match about.chars().count() {
            count if count > ABOUT => {
                let tail: String = about
                    .chars()
                    .skip(count.saturating_sub(ABOUT - 3))
                    .collect();
                format!("...{tail}")
            }
            _ => about,
        };
        let since = finding.changed.as_ref().map(|changed| changed.at);
        let since = since.or(finding.recorded.map(|(_, at)| at));
        let since = since.map_or("-".to_owned(), |at| at.to_string());
        table.add_row([finding.code.as_str().to_owned(), about, since]);
    }
    let lines = table.to_string();
    lines
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// The columns of what a finding is about, in the table.
const ABOUT: usize = 34;

fn block(finding: &Finding, git_dir: &Path) -> Vec<String> {
    let mut lines = wrap(
        &plain(&format!("[{}] {}", finding.code.as_str(), finding.about)),
        "  ",
    );
    lines.extend(wrap(&format!("  {}", means(finding.code)), "  "));
    let mut fact = |name: &str, value: &str| {
        lines.extend(wrap(&plain(&format!("  {name}: {value}")), "    "));
    };
    fact("found", &finding.found);
    if let Some(expected) = &finding.expected {
        fact("expected", expected);
    }
    if let Detail::Setting(scope, origin) = &finding.detail {
        fact("where", format!("{scope} {origin}").trim());
    }
    if let Some((index, at)) = &finding.recorded {
        fact("on record", &format!("entry {index}, {at}"));
    }
    if let Some(changed) = &finding.changed {
        let path = Path::new(&changed.path);
        let path = path.strip_prefix(git_dir).unwrap_or(path).display();
        let changed = format!("{} ({path}, owner {})", changed.at, changed.owner);
        fact("changed", &changed);
    }
    match &finding.detail {
        Detail::Tip(_, Some(step)) => lines.extend(step_lines(step)),
        Detail::Rests(rests) => lines.extend(rests_lines(rests)),
        Detail::Tip(_, None) | Detail::None | Detail::Hints(_) | Detail::Setting(..) => {}
    }
    let remedy = remedy(finding, git_dir);
    for words in &remedy.words {
        lines.extend(wrap(&plain(&format!("  {words}")), "  "));
    }
    for command in &remedy.commands {
        lines.extend(broken(&plain(command)));
    }
    lines
}

fn rests_lines(rests: &[Rests]) -> Vec<String> {
    let mut lines = Vec::new();
    for rest in rests.iter().take(NAMED) {
        let commit = rest.commit.map_or("-".to_owned(), |oid| oid.to_string());
        let line = format!("  entry {} on {}: {commit}", rest.index, rest.name);
        lines.extend(wrap(&plain(&line), "    "));
        lines.push(format!(
            "    review {} received {}",
            rest.review, rest.received
        ));
    }
    let more = rests.len().saturating_sub(NAMED);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines
}

/// Says what an unknown step brings, and who would have had to review it.
pub fn step(step: &UnknownStep) -> String {
    let words = |oid: &Option<_>| match oid {
        Some(oid) => format!("{oid}"),
        None => "absent".to_owned(),
    };
    let mut lines = wrap(
        &plain(&format!("{}: {}", step.name, words(&step.from))),
        "  ",
    );
    lines.extend(wrap(&format!("  -> {}", words(&step.to)), "  "));
    lines.extend(step_lines(step));
    joined(lines)
}

fn step_lines(step: &UnknownStep) -> Vec<String> {
    let mut lines = Vec::new();
    let count = |count: Option<usize>| count.map_or("too many".to_owned(), |n| n.to_string());
    lines.push(format!(
        "  commits that no recorded tip reaches: {}; lost: {}",
        count(step.commits),
        count(step.left)
    ));
    for brought in step.steps.iter().take(NAMED) {
        lines.push(format!("    {}", brought.commit));
        if let Some((person, at)) = &brought.by {
            let person = person
                .as_ref()
                .map_or("somebody unknown", |name| name.as_str());
            lines.push(format!("      first pushed by {person} at {at}"));
        }
    }
    let more = step
        .steps
        .len()
        .saturating_sub(NAMED)
        .saturating_add(step.more);
    if more > 0 {
        lines.push(format!("    and {more} more first-parent steps"));
    }
    match &step.paths {
        None => lines.push("  what it changes cannot be told".to_owned()),
        Some(paths) => {
            for (class, paths) in paths {
                let mut named: Vec<_> = paths.iter().take(NAMED).map(ToString::to_string).collect();
                let more = paths.len().saturating_sub(NAMED);
                if more > 0 {
                    named.push(format!("and {more} more"));
                }
                let line = format!("  changes {class}: {}", named.join(", "));
                lines.extend(wrap(&plain(&line), "    "));
            }
        }
    }
    match &step.verdict {
        None => lines.push("  who should have reviewed it cannot be told".to_owned()),
        Some(verdict) => lines.extend(verdict_lines(verdict)),
    }
    lines
}

fn verdict_lines(verdict: &UpdateVerdict) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &verdict.findings {
        if finding.code != Code::MissingApprovals {
            continue;
        }
        let line = format!(
            "  rule {} ({}): {}; {}",
            finding.rule.as_deref().unwrap_or_default(),
            finding.at.as_deref().unwrap_or("built in"),
            finding.want.as_deref().unwrap_or_default(),
            could(finding)
        );
        lines.extend(wrap(&plain(&line), "    "));
    }
    let others = |finding: &&crate::judge::verdict::Finding| {
        finding.code != Code::MissingApprovals
            && finding.severity >= crate::judge::verdict::Severity::Undecided
    };
    let mut codes: Vec<_> = verdict.findings.iter().filter(others).collect();
    codes.dedup_by_key(|finding| finding.code);
    if !codes.is_empty() {
        let codes: Vec<_> = codes
            .iter()
            .map(|finding| format!("[{}]", finding.code.as_str()))
            .collect();
        lines.extend(wrap(
            &format!("  a push of it would be refused for {}", codes.join(" ")),
            "    ",
        ));
    }
    if verdict.decision == Decision::Accept {
        let text = "  every rule is satisfied by reviews on record: it went past the gate, not past \
                    the reviewers";
        lines.extend(wrap(text, "    "));
    }
    lines
}

/// Breaks a command at blanks outside quotes, so that a shell still reads one.
fn broken(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    let mut word = String::new();
    for letter in command.chars() {
        quoted ^= letter == '\'';
        if letter == ' ' && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(letter);
        }
    }
    words.push(word);
    let mut lines = Vec::new();
    let mut line = "    ".to_owned();
    for word in words {
        let is_empty = line.trim().is_empty();
        if !is_empty && line.chars().count() + word.chars().count() + 3 > COLUMNS {
            lines.push(format!("{line} \\"));
            line = "      ".to_owned();
        } else if !is_empty {
            line.push(' ');
        }
        line += &word;
    }
    lines.push(line);
    lines
}

fn joined(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Returns the report for a program: `countersign.audit/v1`.
pub fn value(audited: &Audited, git_dir: &Path, entries: &[u64]) -> Value {
    let unread: Vec<_> = audited
        .unread
        .iter()
        .map(|unread| json!({"family": unread.family.as_str(), "why": unread.why}))
        .collect();
    let findings: Vec<_> = audited
        .findings
        .iter()
        .map(|finding| finding_value(finding, git_dir))
        .collect();
    json!({
        "schema": "countersign.audit/v1",
        "repository": git_dir.display().to_string(),
        "ok": !audited.found() && audited.unread.is_empty(),
        "size": audited.size,
        "refs": audited.refs,
        "pending": audited.pending,
        "adopted": audited.adopted,
        "findings": findings,
        "omitted": audited.omitted,
        "unread": unread,
        "recorded": entries,
    })
}

fn finding_value(finding: &Finding, git_dir: &Path) -> Value {
    let remedy = remedy(finding, git_dir);
    let mut value = json!({
        "code": finding.code.as_str(),
        "family": finding.code.family().as_str(),
        "weight": finding.code.weight().as_str(),
        "about": finding.about,
        "found": finding.found,
        "expected": finding.expected,
        "recorded": finding.recorded.map(|(index, at)| json!({"index": index, "at": at})),
        "changed": finding.changed.as_ref().map(|changed| {
            json!({"path": changed.path, "at": changed.at, "owner": changed.owner})
        }),
        "means": means(finding.code),
        "advice": remedy.words,
        "commands": remedy.commands,
    });
    let Some(object) = value.as_object_mut() else {
        return value;
    };
    match &finding.detail {
        Detail::Tip(_, Some(step)) => {
            object.insert("step".to_owned(), step_value(step));
        }
        Detail::Rests(rests) => {
            let rests: Vec<_> = rests
                .iter()
                .map(|rest| {
                    json!({
                        "index": rest.index,
                        "ref": rest.name,
                        "commit": rest.commit,
                        "review": rest.review,
                        "received": rest.received,
                        "person": rest.person,
                    })
                })
                .collect();
            object.insert("rests".to_owned(), json!(rests));
        }
        Detail::Setting(scope, origin) => {
            object.insert("scope".to_owned(), json!(scope));
            object.insert("origin".to_owned(), json!(origin));
        }
        Detail::Tip(_, None) | Detail::None | Detail::Hints(_) => {}
    }
    value
}

/// Returns an unknown step for a program.
pub fn step_value(step: &UnknownStep) -> Value {
    let steps: Vec<_> = step
        .steps
        .iter()
        .map(|brought| {
            let by = brought.by.as_ref();
            json!({
                "commit": brought.commit,
                "pusher": by.and_then(|(person, _)| person.as_ref()),
                "received": by.map(|(_, at)| at),
            })
        })
        .collect();
    let missing: Vec<_> = step
        .verdict
        .iter()
        .flat_map(|verdict| &verdict.findings)
        .filter(|finding| finding.code == Code::MissingApprovals)
        .map(|finding| {
            json!({
                "rule": finding.rule,
                "at": finding.at,
                "want": finding.want,
                "got": finding.got,
                "could": finding.about,
            })
        })
        .collect();
    let paths = step.paths.as_ref().map(|paths| {
        let classes = paths.iter().map(|(class, paths)| {
            let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            (class.to_string(), json!(paths))
        });
        classes.collect::<serde_json::Map<_, _>>()
    });
    json!({
        "ref": step.name,
        "old": step.from,
        "new": step.to,
        "steps": steps,
        "more_steps": step.more,
        "commits": step.commits,
        "lost": step.left,
        "paths": paths,
        "missing": missing,
        "decision": step.verdict.as_ref().map(|verdict| verdict.decision),
    })
}
