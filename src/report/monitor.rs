//! What a monitor saw of a log, in words.

use std::fmt::Write as _;

use crate::record::monitor::Round;

use super::plain::plain;

/// Returns a line for each alarm.
pub fn alarms(log: &str, round: &Round) -> String {
    let mut text = String::new();
    for alarm in &round.alarms {
        let of = alarm.of.as_ref();
        let of = of.map_or_else(String::new, |of| format!(" of {}", of.as_str()));
        let entry = alarm.index.map(|index| format!(" entry {index}{of}:"));
        let entry = entry.unwrap_or_default();
        writeln!(
            text,
            "{log}: [{}]{entry} {}",
            alarm.code,
            plain(&alarm.what)
        )
        .ok();
    }
    text
}

/// Returns what the look came to.
pub fn summary(log: &str, size: u64, round: &Round) -> String {
    let mut text = format!("countersign: {log}: {size} entries, {} new", round.entries);
    match (round.alarms.len(), round.omitted) {
        (0, _) => text.push_str(", nothing to tell"),
        (told, 0) => write!(text, ", {told} to look at").unwrap_or_default(),
        (told, more) => write!(text, ", {told} to look at and {more} more").unwrap_or_default(),
    }
    if round.proof.is_some() {
        text.push_str("; the notes that prove it are beside the state, in .proof");
    }
    text.push('\n');
    text
}
