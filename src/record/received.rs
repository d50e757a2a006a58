//! Who first brought which commits to this server.
//!
//! `received` is append-only, one JSON line a push. A line that a crash tore off has no line
//! feed: it is ignored, and cut off before the next is written. Whoever brought a commit first
//! keeps it.

use std::io::{BufRead as _, BufReader};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::entry::Received;
use super::index::{int, parse, unsigned};
use super::storage::Rest;
use super::{Lock, Record, RecordError, disk};
use crate::people::PersonName;
use crate::wire::oid::Oid;

impl Record {
    /// Adds a note durably.
    pub fn note_received(&self, _lock: &Lock, note: &Received) -> Result<(), RecordError> {
        if note.commits.is_empty() {
            return Ok(());
        }
        let path = self.own_dir().join("received");
        self.storage.append_line(&path, &serde_jcs::to_vec(note)?)
    }

    /// Returns who first brought the commit, and when; nothing where nobody noted it.
    pub fn bringer(
        &self,
        commit: &Oid,
    ) -> Result<Option<(Option<PersonName>, Timestamp)>, RecordError> {
        let db = self.index()?;
        self.read_notes(&db)?;
        let row: Option<(Option<String>, String)> = db
            .prepare_cached("SELECT pusher, at FROM received WHERE oid = ?1")?
            .query_row([commit.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((pusher, at)) = row else {
            return Ok(None);
        };
        let name = |name: String| {
            PersonName::new(&name).ok_or_else(|| RecordError::damaged("index.db", "no person"))
        };
        Ok(Some((pusher.map(name).transpose()?, parse(&at)?)))
    }

    /// Returns those of the commits that nobody noted yet.
    pub fn unnoted(&self, commits: Vec<Oid>) -> Result<Vec<Oid>, RecordError> {
        if commits.is_empty() {
            return Ok(commits);
        }
        let db = self.index()?;
        self.read_notes(&db)?;
        let mut noted = db.prepare_cached("SELECT 1 FROM received WHERE oid = ?1")?;
        let mut unnoted = Vec::with_capacity(commits.len());
        for commit in commits {
            if !noted.exists([commit.to_string()])? {
                unnoted.push(commit);
            }
        }
        Ok(unnoted)
    }

    /// Puts lines into the index that were added since it last looked.
    fn read_notes(&self, db: &Connection) -> Result<(), RecordError> {
        let path = self.own_dir().join("received");
        let repo = self.repo();
        let known = offset(db, repo)?;
        let Some(Rest { len, .. }) = self.storage.read_from(&path, known)? else {
            return forget(db, repo);
        };
        if known == len {
            return Ok(());
        }
        let tx = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        // Shorter than what was read: an older copy was put back.
        if offset(&tx, repo)? > len {
            forget(&tx, repo)?;
        }
        let mut at = offset(&tx, repo)?;
        let Some(Rest { bytes, .. }) = self.storage.read_from(&path, at)? else {
            return Ok(());
        };
        let mut lines = BufReader::new(bytes);
        loop {
            let mut line = Vec::new();
            let read = lines.read_until(b'\n', &mut line);
            let read = read.map_err(|error| disk::at(&path, error))?;
            if line.pop() != Some(b'\n') {
                break;
            }
            insert(&tx, repo, at, &line)?;
            at = at.saturating_add(u64::try_from(read).unwrap_or(0));
        }
        tx.execute(
            "INSERT OR REPLACE INTO main.notes VALUES (?1, ?2)",
            params![repo, int(at)],
        )?;
        tx.commit()?;
        Ok(())
    }
}

fn offset(db: &Connection, repo: &str) -> Result<u64, RecordError> {
    let offset = db
        .prepare_cached("SELECT received FROM main.notes WHERE repo = ?1")?
        .query_row([repo], |row| row.get(0))
        .optional()?;
    Ok(offset.map_or(0, unsigned))
}

fn forget(db: &Connection, repo: &str) -> Result<(), RecordError> {
    if offset(db, repo)? > 0 {
        db.execute("DELETE FROM main.received WHERE repo = ?1", [repo])?;
        db.execute("DELETE FROM main.notes WHERE repo = ?1", [repo])?;
    }
    Ok(())
}

fn insert(db: &Connection, repo: &str, offset: u64, line: &[u8]) -> Result<(), RecordError> {
    let note: Received = serde_json::from_slice(line)
        .map_err(|error| RecordError::damaged(format_args!("received, byte {offset}"), error))?;
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO main.received VALUES (?1, ?2, ?3, ?4)")?;
    for commit in &note.commits {
        insert.execute(params![
            repo,
            commit.to_string(),
            note.pusher.as_ref().map(PersonName::as_str),
            note.at.to_string()
        ])?;
    }
    Ok(())
}
