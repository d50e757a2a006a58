//! The questions that are asked of a run of entries, to `index.db` or to tables in memory.
//!
//! Each answer is about the entries below `end`, and the same from both.

use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::{ToSql, Type};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::RecordError;
use super::index::{self, int, parse, unsigned};
use super::tables::Tables;
use super::view::{Tip, TipKind};
use crate::people::PersonName;
use crate::policy::Mode;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewVerb;

/// What answers.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    File(Rc<Connection>),
    Memory(Arc<Tables>),
}

/// A review, without its entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reviewed {
    pub(super) index: u64,
    pub(super) head: Oid,
    /// Whether it is an approval.
    pub(super) approves: bool,
    /// Whether a landing on its target has spent its head.
    pub(super) spent: bool,
}

impl Rows {
    /// Returns where an entry stands in its bundle, and how long it is.
    pub(super) fn place(&self, index: u64) -> Result<Option<(u64, u64)>, RecordError> {
        let db = match self {
            Self::Memory(tables) => return Ok(tables.place(index)),
            Self::File(db) => db,
        };
        let place = db
            .prepare_cached("SELECT start, len FROM entry WHERE idx = ?1")?
            .query_row([int(index)], |row| {
                Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
            })
            .optional()?;
        Ok(place)
    }

    /// Returns the latest time of all entries, whoever's.
    pub(super) fn latest(&self, end: u64) -> Result<Option<Timestamp>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.latest(end)),
            Self::File(db) => index::latest(db, end),
        }
    }

    pub(super) fn indices(&self, range: Range<u64>) -> Result<Vec<u64>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.indices(range)),
            Self::File(db) => ask(
                db,
                "SELECT idx FROM entry WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
                &[&int(range.start), &int(range.end)],
                read_index,
            ),
        }
    }

    pub(super) fn of_kind(&self, kind: &str, end: u64) -> Result<Vec<u64>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.of_kind(kind, end)),
            Self::File(db) => ask(
                db,
                "SELECT idx FROM entry WHERE kind = ?1 AND idx < ?2 ORDER BY idx",
                &[&kind, &int(end)],
                read_index,
            ),
        }
    }

    /// Returns the refs that have a tip, in order; at most `limit`.
    pub(super) fn names(&self, end: u64, limit: usize) -> Result<Vec<RefName>, RecordError> {
        let db = match self {
            Self::Memory(tables) => {
                let names = tables
                    .names()
                    .filter(|name| tables.tip(name, end).is_some());
                return Ok(names.take(limit).collect());
            }
            Self::File(db) => db,
        };
        let mut names = Vec::new();
        // One look for each name: the table has a row for every landing.
        let mut after = String::new();
        let mut next = db.prepare_cached(
            "SELECT ref FROM tip WHERE ref > ?1 AND idx < ?2 ORDER BY ref LIMIT 1",
        )?;
        while names.len() < limit {
            let mut rows = next.query((&after, int(end)))?;
            let Some(row) = rows.next()? else { break };
            after = row.get(0)?;
            names.push(RefName::from(after.as_str()));
        }
        Ok(names)
    }

    pub(super) fn tip(&self, name: &RefName, end: u64) -> Result<Option<Tip>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.tip(name, end)),
            Self::File(db) => one(
                db,
                "SELECT idx, oid, how, mode, accepted FROM tip WHERE ref = ?1 AND idx < ?2
                 ORDER BY idx DESC LIMIT 1",
                &[&name.to_string(), &int(end)],
                read_tip,
            ),
        }
    }

    pub(super) fn was_tip(&self, name: &RefName, oid: &Oid, end: u64) -> Result<bool, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.was_tip(name, oid, end)),
            Self::File(db) => is_there(
                db,
                "SELECT idx FROM tip WHERE oid = ?1 AND ref = ?2 AND idx < ?3 LIMIT 1",
                &[&oid.to_string(), &name.to_string(), &int(end)],
            ),
        }
    }

    pub(super) fn tips_at(&self, oid: &Oid, end: u64) -> Result<Vec<(RefName, Tip)>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.tips_at(oid, end)),
            Self::File(db) => ask(
                db,
                "SELECT idx, oid, how, mode, accepted, ref FROM tip WHERE oid = ?1 AND idx < ?2
                 ORDER BY idx, ref",
                &[&oid.to_string(), &int(end)],
                |row| {
                    let name: String = row.get(5)?;
                    Ok((RefName::from(name.as_str()), read_tip(row)?))
                },
            ),
        }
    }

    pub(super) fn landed_at(&self, new: &Oid, end: u64) -> Result<Vec<u64>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.landed_at(new, end)),
            Self::File(db) => ask(
                db,
                "SELECT idx FROM landed WHERE new = ?1 AND idx < ?2 ORDER BY idx",
                &[&new.to_string(), &int(end)],
                read_index,
            ),
        }
    }

    pub(super) fn has_intent(
        &self,
        id: &str,
        name: &RefName,
        end: u64,
    ) -> Result<bool, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.has_intent(id, name, end)),
            Self::File(db) => is_there(
                db,
                "SELECT idx FROM landed WHERE intent = ?1 AND ref = ?2 AND idx < ?3 LIMIT 1",
                &[&id, &name.to_string(), &int(end)],
            ),
        }
    }

    pub(super) fn has_tag(&self, tag: &Oid, end: u64) -> Result<Option<u64>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.has_tag(tag, end)),
            Self::File(db) => one(
                db,
                "SELECT idx FROM review WHERE tag = ?1 AND idx < ?2 ORDER BY idx LIMIT 1",
                &[&tag.to_string(), &int(end)],
                read_index,
            ),
        }
    }

    /// Returns the first reviews of a head.
    pub(super) fn of_head(
        &self,
        target: &RefName,
        head: &Oid,
        end: u64,
        limit: usize,
    ) -> Result<Vec<u64>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.of_head(target, head, end, limit)),
            Self::File(db) => ask(
                db,
                "SELECT idx FROM review WHERE target = ?1 AND head = ?2 AND idx < ?3 ORDER BY idx
                 LIMIT ?4",
                &[
                    &target.to_string(),
                    &head.to_string(),
                    &int(end),
                    &signed(limit),
                ],
                read_index,
            ),
        }
    }

    pub(super) fn rejected(
        &self,
        target: &RefName,
        end: u64,
    ) -> Result<BTreeSet<Oid>, RecordError> {
        let db = match self {
            Self::Memory(tables) => return Ok(tables.rejected(target, end)),
            Self::File(db) => db,
        };
        let heads = ask(
            db,
            "SELECT DISTINCT head FROM review WHERE target = ?1 AND verb = 'reject' AND idx < ?2",
            &[&target.to_string(), &int(end)],
            |row| row.get::<_, String>(0),
        )?;
        heads.iter().map(|head| parse(head)).collect()
    }

    /// Returns a person's newest reviews in a range, newest first.
    pub(super) fn newest(
        &self,
        target: &RefName,
        person: &PersonName,
        range: Range<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.newest(target, person, range, limit)),
            Self::File(db) => ask(
                db,
                "SELECT idx FROM review WHERE target = ?1 AND person = ?2 AND idx >= ?3 AND idx < ?4
                 ORDER BY idx DESC LIMIT ?5",
                &[
                    &target.to_string(),
                    &person.as_str(),
                    &int(range.start),
                    &int(range.end),
                    &signed(limit),
                ],
                read_index,
            ),
        }
    }

    /// Returns a person's newest reviews as the index has them; nothing where all are in memory.
    pub(super) fn reviewed(
        &self,
        target: &RefName,
        person: &PersonName,
        end: u64,
        limit: usize,
    ) -> Result<Option<Vec<Reviewed>>, RecordError> {
        let Self::File(db) = self else {
            return Ok(None);
        };
        let read = |row: &Row<'_>| {
            let head: String = row.get(1)?;
            Ok((
                read_index(row)?,
                head,
                row.get::<_, String>(2)?,
                row.get(3)?,
            ))
        };
        let found = ask(
            db,
            "SELECT idx, head, verb, EXISTS (SELECT 1 FROM spent
                 WHERE spent.ref = ?1 AND spent.oid = review.head AND spent.idx < ?3)
             FROM review WHERE target = ?1 AND person = ?2 AND idx < ?3
             ORDER BY idx DESC LIMIT ?4",
            &[
                &target.to_string(),
                &person.as_str(),
                &int(end),
                &signed(limit),
            ],
            read,
        )?;
        let reviewed = |(index, head, verb, spent): (u64, String, String, bool)| {
            Ok(Reviewed {
                index,
                head: parse(&head)?,
                approves: verb == ReviewVerb::Approve.as_str(),
                spent,
            })
        };
        found
            .into_iter()
            .map(reviewed)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Returns the counted heads of landings on a ref in a range, in sequence.
    pub(super) fn counted(
        &self,
        name: &RefName,
        range: Range<u64>,
    ) -> Result<Vec<(u64, Oid)>, RecordError> {
        let db = match self {
            Self::Memory(tables) => return Ok(tables.counted(name, range)),
            Self::File(db) => db,
        };
        let rows = ask(
            db,
            "SELECT idx, head FROM counted WHERE ref = ?1 AND idx >= ?2 AND idx < ?3
             ORDER BY idx, place",
            &[&name.to_string(), &int(range.start), &int(range.end)],
            |row| Ok((read_index(row)?, row.get::<_, String>(1)?)),
        )?;
        rows.into_iter()
            .map(|(index, head)| Ok((index, parse(&head)?)))
            .collect()
    }

    /// Returns the first entry that spent a commit.
    pub(super) fn spent(
        &self,
        name: &RefName,
        oid: &Oid,
        end: u64,
    ) -> Result<Option<u64>, RecordError> {
        match self {
            Self::Memory(tables) => Ok(tables.spent(name, oid, end)),
            Self::File(db) => one(
                db,
                "SELECT idx FROM spent WHERE ref = ?1 AND oid = ?2 AND idx < ?3
                 ORDER BY idx LIMIT 1",
                &[&name.to_string(), &oid.to_string(), &int(end)],
                read_index,
            ),
        }
    }
}

fn ask<T>(
    db: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, RecordError> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| read(row))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn one<T>(
    db: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, RecordError> {
    Ok(ask(db, sql, params, read)?.pop())
}

fn is_there(db: &Connection, sql: &str, params: &[&dyn ToSql]) -> Result<bool, RecordError> {
    Ok(one(db, sql, params, read_index)?.is_some())
}

fn signed(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn read_index(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(unsigned(row.get(0)?))
}

fn read_tip(row: &Row<'_>) -> rusqlite::Result<Tip> {
    let bad = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    };
    let oid: Option<String> = row.get(1)?;
    let oid = oid
        .map(|hex| hex.parse())
        .transpose()
        .map_err(|error: crate::wire::oid::OidError| bad(1, error.into()))?;
    let how = match row.get_ref(2)?.as_str()? {
        "genesis" => TipKind::Genesis,
        "landed" => TipKind::Landed,
        "adopted" => TipKind::Adopted,
        other => return Err(bad(2, format!("no kind of tip: {other}").into())),
    };
    let mode = match row.get_ref(3)?.as_str()? {
        "enforce" => Mode::Enforce,
        "dry-run" => Mode::DryRun,
        other => return Err(bad(3, format!("no mode: {other}").into())),
    };
    Ok(Tip {
        oid,
        index: read_index(row)?,
        how,
        accepted: row.get(4)?,
        mode,
    })
}
