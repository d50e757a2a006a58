//! `index.db`: what the log says, by what is asked of it. SQLite.
//!
//! It carries size and root of the checkpoint it was built from and is believed only where both
//! are the log's. Behind, it is brought up; ahead, of another root, of another version or
//! unreadable, it is built again. Every entry that goes in is checked against its leaf hash, and
//! all of them together against the checkpoint's root. Answers are rows of positions: entries
//! themselves are always read from the log.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use faster_hex::hex_string;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Params, TransactionBehavior, params,
};

use super::entry::{Entry, Landed, Review};
use super::ingest::{Ingest, Sink, check};
use super::proof::{Frontier, Hash, leaf_hash};
use super::rows::Rows;
use super::shared::RepositoryName;
use super::tables::Tables;
use super::tiles::TILE_WIDTH;
use super::view::{Tip, TipKind};
use super::{Checkpoint, Record, RecordError, disk, log};
use crate::policy::Mode;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

/// The file of an index of one's own.
const PASSING: &str = "index.db";

/// The most bytes of a WAL that whoever opens the index leaves as it is: every process reads all of it.
const WAL_LIMIT: u64 = 256 << 10;

/// Changes whenever the tables, or what is put in them, do.
const VERSION: i64 = 2;

/// What stands in the tables is asked for by the views of [`scope`].
const SCHEMA: &str = "
CREATE TABLE main.meta (size INTEGER NOT NULL, root TEXT NOT NULL);
CREATE TABLE main.notes (repo TEXT PRIMARY KEY, received INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE main.entry (idx INTEGER PRIMARY KEY, repo TEXT NOT NULL, kind TEXT NOT NULL,
    latest TEXT NOT NULL, start INTEGER NOT NULL, len INTEGER NOT NULL);
CREATE INDEX main.entry_kind ON entry (repo, kind, idx);
CREATE INDEX main.entry_repo ON entry (repo, idx);
CREATE TABLE main.tip (repo TEXT NOT NULL, ref TEXT NOT NULL, idx INTEGER NOT NULL, oid TEXT,
    how TEXT NOT NULL, mode TEXT NOT NULL, accepted INTEGER NOT NULL,
    PRIMARY KEY (repo, ref, idx)) WITHOUT ROWID;
CREATE INDEX main.tip_oid ON tip (repo, oid, ref, idx);
CREATE TABLE main.review (idx INTEGER PRIMARY KEY, repo TEXT NOT NULL, target TEXT NOT NULL,
    person TEXT NOT NULL, head TEXT NOT NULL, tag TEXT NOT NULL, verb TEXT NOT NULL);
CREATE INDEX main.review_person ON review (repo, target, person, idx);
CREATE INDEX main.review_head ON review (repo, target, head, idx);
CREATE INDEX main.review_verb ON review (repo, target, verb, idx);
CREATE INDEX main.review_tag ON review (repo, tag, idx);
CREATE TABLE main.landed (idx INTEGER PRIMARY KEY, repo TEXT NOT NULL, ref TEXT NOT NULL, new TEXT,
    intent TEXT NOT NULL);
CREATE INDEX main.landed_new ON landed (repo, new, idx);
CREATE INDEX main.landed_intent ON landed (repo, intent, ref, idx);
CREATE TABLE main.counted (repo TEXT NOT NULL, ref TEXT NOT NULL, idx INTEGER NOT NULL,
    place INTEGER NOT NULL, head TEXT NOT NULL, PRIMARY KEY (repo, ref, idx, place)) WITHOUT ROWID;
CREATE TABLE main.spent (repo TEXT NOT NULL, ref TEXT NOT NULL, oid TEXT NOT NULL,
    idx INTEGER NOT NULL, PRIMARY KEY (repo, ref, oid, idx)) WITHOUT ROWID;
CREATE TABLE main.received (repo TEXT NOT NULL, oid TEXT NOT NULL, pusher TEXT, at TEXT NOT NULL,
    PRIMARY KEY (repo, oid)) WITHOUT ROWID;
";

const TABLES: [&str; 9] = [
    "meta", "notes", "entry", "tip", "review", "landed", "counted", "spent", "received",
];

/// The tables that are asked, and what of them.
const VIEWS: [(&str, &str); 7] = [
    ("entry", "idx, kind, latest, start, len"),
    ("tip", "ref, idx, oid, how, mode, accepted"),
    ("review", "idx, target, person, head, tag, verb"),
    ("landed", "idx, ref, new, intent"),
    ("counted", "ref, idx, place, head"),
    ("spent", "ref, oid, idx"),
    ("received", "oid, pusher, at"),
];

impl Record {
    /// Returns the index, brought up to at least this record's checkpoint.
    pub(crate) fn index(&self) -> Result<Rc<Connection>, RecordError> {
        let db = match self.index.get() {
            Some(db) => Rc::clone(db),
            None => {
                let db = connect(&self.dir)?;
                scope(&db, self.repo())?;
                let db = Rc::new(db);
                self.index.get_or_init(|| db).clone()
            }
        };
        let wanted = self.checkpoint();
        let is_current = state(&db)
            .is_ok_and(|state| state.is_some_and(|(size, root)| (size, root) == at(&wanted)));
        if !is_current {
            self.bring_up(&db)?;
        }
        Ok(db)
    }

    /// Returns what the index calls this repository.
    pub(super) fn repo(&self) -> &str {
        self.of.as_ref().map_or("", RepositoryName::as_str)
    }

    /// Returns how many entries `index.db` was built from, as it is; nothing where it is not there or
    /// is none of ours.
    ///
    /// Ask before the first view, which puts the index right: one that knows more than the log, or
    /// another root of as many entries, was built from a log that is not there any more.
    pub fn index_size(&self) -> Result<Option<(u64, bool)>, RecordError> {
        let path = self.dir.join("index.db");
        if !path.exists() {
            return Ok(None);
        }
        let known = try_connect(&path).and_then(|db| state(&db));
        let (size, root) = match known {
            Ok(Some(known)) => known,
            Ok(None) => return Ok(None),
            Err(RecordError::Index(error)) if is_garbage(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if size > self.size() {
            return Ok(Some((size, false)));
        }
        let log = self.log_dir();
        let tiles = self.tiles(&log, self.size());
        let is_of_log = Frontier::at(&tiles, size)?.root_hex() == root;
        Ok(Some((size, is_of_log)))
    }

    /// Puts an index of one's own, built from the log, in the place of `index.db`.
    ///
    /// For verifiers: whoever could write to the record could have written that file too. Call it
    /// before the first view is taken. It stands in a temporary folder while the record is open.
    pub fn distrust_index(&self) -> Result<(), RecordError> {
        let temporary = std::env::temp_dir();
        let folder =
            tempfile::tempdir_in(&temporary).map_err(|error| disk::at(&temporary, error))?;
        let db = passing(&folder.path().join(PASSING))?;
        reset(&db)?;
        scope(&db, self.repo())?;
        let fresh = Rc::new(db);
        let used = Rc::clone(self.index.get_or_init(|| Rc::clone(&fresh)));
        match Rc::ptr_eq(&used, &fresh) && self.passing.set(folder).is_ok() {
            true => Ok(()),
            false => Err(RecordError::damaged("index.db", "in use already")),
        }
    }

    /// Returns what answers questions about the entries below the checkpoint.
    pub(super) fn rows(&self) -> Result<Rows, RecordError> {
        let own = self.recent.borrow().own.clone();
        match own.filter(|own| own.size >= self.size()) {
            Some(own) => Ok(Rows::Memory(own.tables)),
            None => Ok(Rows::File(self.index()?)),
        }
    }

    /// Returns what another thread opens this record by.
    pub fn door(&self) -> Door {
        Door {
            dir: self.dir.clone(),
            of: self.of.clone(),
            checkpoint: self.checkpoint(),
            index: self.passing.get().map(|folder| folder.path().join(PASSING)),
            own: self.recent.borrow().own.clone(),
        }
    }

    /// Brings the index to the checkpoint on disk, from what it has if that is a prefix of it.
    fn bring_up(&self, db: &Connection) -> Result<(), RecordError> {
        let tx = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        // Read under the transaction: nobody else's index is newer than it.
        let target = self.disk_checkpoint()?;
        if target.size < self.size() {
            return Err(RecordError::Moved {
                expected: self.size(),
                found: target.size,
            });
        }
        let known = state(&tx);
        if matches!(&known, Ok(Some((size, root))) if (*size, root) == (target.size, &hex_string(&target.root)))
        {
            return Ok(());
        }
        let log = self.log_dir();
        let tiles = self.tiles(&log, target.size);
        let mut edge = match known {
            Ok(Some((size, root))) if size <= target.size => {
                Some(Frontier::at(&tiles, size)?).filter(|edge| edge.root_hex() == root)
            }
            _ => None,
        };
        if edge.is_none() {
            reset(&tx)?;
        }
        let mut edge = edge.take().unwrap_or_default();
        let mut latest = latest(&tx, edge.size())?;
        for number in edge.size() / TILE_WIDTH..target.size.div_ceil(TILE_WIDTH) {
            for stored in tiles.bundle(number)? {
                if stored.index < edge.size() {
                    continue;
                }
                edge.push(leaf_hash(&stored.bytes));
                let (of, entry) = log::decode(self.of.as_ref(), stored.index, &stored.bytes)?;
                let repo = of.as_ref().map_or("", RepositoryName::as_str);
                let decided = match &entry {
                    Entry::Landed(landed) => Some(self.decided(landed)?),
                    Entry::Genesis(_)
                    | Entry::Review(_)
                    | Entry::Adopted(_)
                    | Entry::Incident(_)
                    | Entry::Admin(_) => None,
                };
                let so_far = latest.map_or(entry.at(), |latest| latest.max(entry.at()));
                latest = Some(so_far);
                let ingest = Ingest {
                    index: stored.index,
                    entry: &entry,
                    decided: decided.as_ref(),
                    verb: check(stored.index, &entry)?,
                    latest: so_far,
                    place: (stored.offset, stored.bytes.len()),
                };
                ingest.put(&mut Inserts { db: &tx, repo })?;
            }
        }
        if edge.root() != target.root {
            return Err(RecordError::damaged(
                "log",
                "its entries are not of its root",
            ));
        }
        set_state(&tx, &target)?;
        tx.commit()?;
        Ok(())
    }
}

/// A record for another thread, with the same index; must not outlive it.
#[derive(Clone, Debug)]
pub struct Door {
    dir: PathBuf,
    of: Option<RepositoryName>,
    checkpoint: Checkpoint,
    index: Option<PathBuf>,
    own: Option<Own>,
}

/// What a verifier read of the whole log, and checked. Nobody writes to it: it stays so.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) size: u64,
    pub(super) leaves: Arc<Vec<Hash>>,
    pub(super) tables: Arc<Tables>,
}

impl Own {
    /// Returns the hash under the root of an entry.
    pub(super) fn leaf(&self, index: u64) -> Option<Hash> {
        self.leaves.get(usize::try_from(index).ok()?).copied()
    }
}

impl Door {
    /// Opens it, at the same checkpoint.
    pub fn open(&self) -> Result<Record, RecordError> {
        let record = Record::open_as(&self.dir, self.of.as_ref())?;
        if record.size() < self.checkpoint.size {
            return Err(RecordError::Moved {
                expected: self.checkpoint.size,
                found: record.size(),
            });
        }
        record.checkpoint.replace(self.checkpoint.clone());
        if let Some(path) = &self.index {
            let db = passing(path)?;
            scope(&db, record.repo())?;
            if state(&db)? == Some(at(&self.checkpoint)) {
                // Nobody writes to it any more: one lock for all that is asked.
                db.execute_batch("BEGIN")?;
                state(&db)?;
            }
            record.index.get_or_init(|| Rc::new(db));
            record.recent.borrow_mut().own.clone_from(&self.own);
        }
        Ok(record)
    }
}

/// Opens an index that nobody needs after a crash.
fn passing(path: &Path) -> Result<Connection, RecordError> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(20))?;
    db.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -8192")?;
    keep_plans(&db)?;
    Ok(db)
}

impl Frontier {
    fn root_hex(&self) -> String {
        hex_string(&self.root())
    }
}

fn at(checkpoint: &Checkpoint) -> (u64, String) {
    let root: &Hash = &checkpoint.root;
    (checkpoint.size, hex_string(root))
}

/// Opens `index.db`; one that is no database is removed first.
fn connect(dir: &Path) -> Result<Connection, RecordError> {
    let path = dir.join("index.db");
    match try_connect(&path) {
        Err(RecordError::Index(error)) if is_garbage(&error) => {
            for end in ["index.db", "index.db-wal", "index.db-shm"] {
                std::fs::remove_file(dir.join(end)).ok();
            }
            try_connect(&path)
        }
        other => other,
    }
}

fn try_connect(path: &Path) -> Result<Connection, RecordError> {
    // Made by us, so that it and what SQLite puts beside it are for the owner alone.
    drop(disk::open_own(path)?);
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(20))?;
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // Without an fsync for each transaction: a power cut may take the last ones back, never half
    // of one, and whoever opens the index next finds it behind and brings it up.
    db.execute_batch("PRAGMA synchronous = NORMAL")?;
    // Every hook is the last to close it; folding the WAL in is left to some later one.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    fold(&db, path)?;
    db.busy_timeout(Duration::from_secs(20))?;
    keep_plans(&db)?;
    match state(&db) {
        Err(RecordError::Index(error)) if is_garbage(&error) => Err(error.into()),
        _ => Ok(db),
    }
}

/// Folds a long WAL into the database and empties it.
///
/// SQLite would begin it anew by itself, but not across processes: the first to open it does not know
/// how much of it was folded in, and appends.
fn fold(db: &Connection, path: &Path) -> Result<(), RecordError> {
    let wal = std::fs::metadata(path.with_extension("db-wal"));
    if wal.is_ok_and(|wal| wal.len() > WAL_LIMIT) {
        // Somebody who reads it at the moment is not waited for: the next one tries again.
        db.busy_timeout(Duration::ZERO)?;
        drop(db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    }
    Ok(())
}

fn is_garbage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Returns size and root the index was built from; nothing where it is of another version.
fn state(db: &Connection) -> Result<Option<(u64, String)>, RecordError> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != VERSION {
        return Ok(None);
    }
    let state = db
        .prepare_cached("SELECT size, root FROM main.meta")?
        .query_row([], |row| Ok((unsigned(row.get(0)?), row.get(1)?)))
        .optional()?;
    Ok(state)
}

fn set_state(db: &Connection, checkpoint: &Checkpoint) -> Result<(), RecordError> {
    let (size, root) = at(checkpoint);
    db.execute(
        "UPDATE main.meta SET size = ?1, root = ?2",
        params![int(size), root],
    )?;
    Ok(())
}

/// Has whatever is asked of the tables be asked of one repository's rows alone.
///
/// Views of this connection stand in front of the tables and have their names.
fn scope(db: &Connection, repo: &str) -> Result<(), RecordError> {
    db.execute_batch("PRAGMA temp_store = MEMORY")?;
    for (table, columns) in VIEWS {
        // A name has no quotation marks.
        db.execute_batch(&format!(
            "CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table} WHERE repo = '{repo}'"
        ))?;
    }
    Ok(())
}

/// How many statements stay planned: more than there are.
const STATEMENTS: usize = 64;

/// Has SQLite plan each statement once. With its statistics compiled in, it would do so again
/// whenever another value is bound.
fn keep_plans(db: &Connection) -> Result<(), RecordError> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Makes the tables anew, empty.
pub(crate) fn reset(db: &Connection) -> Result<(), RecordError> {
    for table in TABLES {
        db.execute_batch(&format!("DROP TABLE IF EXISTS main.{table}"))?;
    }
    db.execute_batch(SCHEMA)?;
    let root = hex_string(&super::proof::empty_root());
    db.execute("INSERT INTO main.meta VALUES (0, ?1)", [root])?;
    db.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

/// Returns the latest time among the first `size` entries.
pub(crate) fn latest(db: &Connection, size: u64) -> Result<Option<Timestamp>, RecordError> {
    let text: Option<String> = db
        .prepare_cached("SELECT latest FROM main.entry WHERE idx < ?1 ORDER BY idx DESC LIMIT 1")?
        .query_row([int(size)], |row| row.get(0))
        .optional()?;
    text.map(|text| parse(&text)).transpose()
}

/// The tables of one repository's entries in SQLite.
struct Inserts<'a> {
    db: &'a Connection,
    repo: &'a str,
}

impl Inserts<'_> {
    fn insert(&self, sql: &str, row: impl Params) -> Result<(), RecordError> {
        self.db.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }
}

impl Sink for Inserts<'_> {
    fn entry(
        &mut self,
        index: u64,
        kind: &'static str,
        latest: Timestamp,
        (start, len): (u64, usize),
    ) -> Result<(), RecordError> {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        let (index, start, len) = (int(index), int(start), int(len));
        self.insert(
            "INSERT INTO main.entry VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![index, self.repo, kind, latest.to_string(), start, len],
        )
    }

    fn tip(&mut self, name: &str, tip: Tip) -> Result<(), RecordError> {
        let how = match tip.how {
            TipKind::Genesis => "genesis",
            TipKind::Landed => "landed",
            TipKind::Adopted => "adopted",
        };
        let mode = match tip.mode {
            Mode::Enforce => "enforce",
            Mode::DryRun => "dry-run",
        };
        let oid = tip.oid.as_ref().map(Oid::to_string);
        let index = int(tip.index);
        self.insert(
            "INSERT INTO main.tip VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![self.repo, name, index, oid, how, mode, tip.accepted],
        )
    }

    fn review(&mut self, index: u64, review: &Review, verb: ReviewVerb) -> Result<(), RecordError> {
        self.insert(
            "INSERT INTO main.review VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                int(index),
                self.repo,
                review.target.to_string(),
                review.person.as_str(),
                review.head.to_string(),
                review.tag.to_string(),
                verb.as_str()
            ],
        )
    }

    fn landed(&mut self, index: u64, name: &str, landed: &Landed) -> Result<(), RecordError> {
        let new = landed.new.as_ref().map(Oid::to_string);
        self.insert(
            "INSERT INTO main.landed VALUES (?1, ?2, ?3, ?4, ?5)",
            params![int(index), self.repo, name, new, landed.intent],
        )
    }

    fn counted(
        &mut self,
        index: u64,
        name: &str,
        place: i64,
        head: &Oid,
    ) -> Result<(), RecordError> {
        self.insert(
            "INSERT INTO main.counted VALUES (?1, ?2, ?3, ?4, ?5)",
            params![self.repo, name, int(index), place, head.to_string()],
        )
    }

    fn spent(&mut self, index: u64, name: &str, oid: &Oid) -> Result<(), RecordError> {
        self.insert(
            "INSERT OR IGNORE INTO main.spent VALUES (?1, ?2, ?3, ?4)",
            params![self.repo, name, oid.to_string(), int(index)],
        )
    }
}

/// SQLite's integers are signed; no log has 2^63 entries.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, RecordError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| RecordError::damaged("index.db", error))
}
