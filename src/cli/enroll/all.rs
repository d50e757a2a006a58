//! `countersign enroll --all`: every bare repository below a directory.

use std::path::Path;

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{CliError, Done, Enroll, Exit, Kind, Session, changed, words};
use crate::host::repositories::below;
use crate::report::plain::plain;

impl Enroll {
    /// Enrols every bare repository below `dir`, each as it would be by itself.
    ///
    /// What cannot be enrolled holds up no other. Exit 1 where there is such a one.
    pub(super) fn every(
        &self,
        dir: &Path,
        home: Option<&Path>,
        session: &mut Session<'_>,
    ) -> Result<Exit, CliError> {
        let found = below(dir).map_err(|error| CliError::new(Kind::Undecided, error))?;
        if found.is_empty() {
            let message = format!("{}: no bare repository below it", dir.display());
            return Err(CliError::words(Kind::Usage, message));
        }
        let bar = ProgressBar::new(u64::try_from(found.len()).unwrap_or(u64::MAX));
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        let base = session.dir().to_owned();
        let mut ended = Vec::new();
        for path in &found {
            let inside = path.strip_prefix(dir).ok();
            let inside = inside.filter(|inside| !inside.as_os_str().is_empty());
            let name = inside.unwrap_or(path).to_string_lossy();
            bar.set_message(plain(&name));
            // Two repositories of one name are told apart by where they lie.
            let called = name.strip_suffix(".git").unwrap_or(&name).to_owned();
            ended.push((name.into_owned(), self.one(path, called, &base, home)));
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.tell_all(&ended, dir, session)?;
        Ok(match ended.iter().any(|(_, done)| done.is_err()) {
            true => Exit::Refused,
            false => Exit::Fine,
        })
    }

    fn tell_all(
        &self,
        ended: &[(String, Result<Vec<Done>, CliError>)],
        dir: &Path,
        session: &mut Session<'_>,
    ) -> Result<(), CliError> {
        if session.json() {
            let all = ended.iter().map(|(name, done)| match done {
                Ok(done) => {
                    let steps: Vec<_> = done.iter().map(words).collect();
                    json!({"repository": dir.join(name), "ok": true, "steps": steps})
                }
                Err(error) => json!({
                    "repository": dir.join(name),
                    "ok": false,
                    "error": format!("{:#}", error.source),
                    "hints": error.hints,
                }),
            });
            let told = json!({
                "schema": "countersign.enroll-all/v1",
                "directory": dir,
                "dry_run": self.dry_run,
                "repositories": all.collect::<Vec<_>>(),
            });
            return Ok(session.print(&format!("{told}\n"))?);
        }
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(["repository", "outcome"]);
        for (name, done) in ended {
            table.add_row([plain(name), self.outcome(done).to_owned()]);
        }
        for line in table.to_string().lines() {
            session.print(&format!("{}\n", line.trim_end()))?;
        }
        let failed = ended.iter().filter(|(_, done)| done.is_err()).count();
        session.print(&format!("{} repositories, {failed} failed\n", ended.len()))?;
        for (name, done) in ended {
            if let Err(error) = done {
                session.say("");
                session.say(&plain(&format!("{name}: {:#}", error.source)));
                for hint in &error.hints {
                    session.say(&plain(&format!("hint: {hint}")));
                }
            }
        }
        let done = ended.iter().flat_map(|(_, done)| done).flatten();
        self.warn(done, session);
        Ok(())
    }

    fn outcome(&self, done: &Result<Vec<Done>, CliError>) -> &'static str {
        let Ok(done) = done else {
            return "failed";
        };
        let is_new = done
            .iter()
            .any(|step| matches!(step, Done::Genesis(_) | Done::RecordMade(..)));
        match (changed(done), self.dry_run, self.remove, is_new) {
            (false, ..) => "nothing to do",
            (true, true, ..) => "would change",
            (true, false, true, _) => "hooks removed",
            (true, false, false, true) => "enrolled",
            (true, false, false, false) => "renewed",
        }
    }
}
