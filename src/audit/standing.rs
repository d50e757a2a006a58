//! The record itself: its key, log, index, intents, the room it has, and the clock.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::record::{Record, RecordError};

use super::host::shown;
use super::{Audited, Code, Family, Finding};

/// How long a push may take before its intent is something to look at.
const STALE: SignedDuration = SignedDuration::from_hours(1);
/// Files that must fit where the record is.
const FILES: u64 = 1_000;

/// What is checked.
pub(super) struct Check<'a> {
    pub(super) git_dir: &'a Path,
    pub(super) record: &'a Record,
    pub(super) now: Timestamp,
    pub(super) room: u64,
}

impl Check<'_> {
    /// Looks at the record; the index before any view is taken, which would put it right.
    pub(super) fn run(&self, audited: &mut Audited) {
        let root = self.record.check_root();
        if let Err(error) = &root {
            audited.failed_record(error);
        }
        self.index(root.is_ok(), audited);
        self.key(audited);
        self.intents(audited);
        self.room(audited);
        self.clock(audited);
    }

    fn index(&self, is_whole: bool, audited: &mut Audited) {
        let size = self.record.size();
        match self.record.index_size() {
            Ok(None | Some((_, true))) => {}
            // With tiles that are not of their root, no root can be compared.
            Ok(Some((known, false))) if known <= size && !is_whole => {}
            Ok(Some((known, false))) => {
                let found = match known > size {
                    true => format!("{known} entries"),
                    false => format!("{known} entries of another root"),
                };
                let finding =
                    Finding::new(Code::IndexBeyond, "countersign/index.db".to_owned(), found)
                        .expecting(format!("at most {size} entries, of the log's root"))
                        .of_file(&self.record.dir().join("log/checkpoint"));
                audited.add(finding);
            }
            Err(error) => audited.failed_record(&error),
        }
    }

    fn key(&self, audited: &mut Audited) {
        let path = self.record.dir().join("key");
        let mut expected = "the private half of log/vkey, mode 0600";
        let mut about = shown(self.git_dir, &path);
        let found = match self.record.check_key() {
            Ok(()) => return,
            Err(error @ (RecordError::KeyStore { .. } | RecordError::Neither { .. })) => {
                about = "record.key".to_owned();
                expected = "a signature by log/vkey";
                error.to_string()
            }
            Err(RecordError::KeyExposed(_)) => "others than its owner can read it".to_owned(),
            Err(RecordError::KeyMismatch(_)) => "not the key of log/vkey".to_owned(),
            Err(RecordError::Damaged { why, .. }) => why,
            Err(RecordError::Key { source, .. }) => source.to_string(),
            Err(error) => return audited.unread(Family::Record, error.to_string()),
        };
        let finding = Finding::new(Code::RecordKey, about, found);
        audited.add(finding.expecting(expected).of_file(&path));
    }

    fn intents(&self, audited: &mut Audited) {
        let intents = match self.record.open_intents() {
            Ok(intents) => intents,
            Err(error) => return audited.failed_record(&error),
        };
        for intent in intents {
            if self.now.duration_since(intent.at) < STALE {
                continue;
            }
            let names: Vec<_> = intent
                .landed
                .iter()
                .map(|one| one.name.to_string())
                .collect();
            let found = format!("open since {}: {}", intent.at, names.join(", "));
            let about = format!("countersign/intents/{}.json", intent.id);
            audited.add(Finding::new(Code::OpenIntent, about, found));
        }
    }

    fn room(&self, audited: &mut Audited) {
        let about = shown(self.git_dir, self.record.dir());
        match self.record.room() {
            Ok((bytes, files)) => {
                // A file system that does not count files says that none are free.
                let few = files < FILES && files > 0;
                if bytes < self.room || few {
                    // No number: it would be another finding each time.
                    let found = if few { "few files" } else { "little room" };
                    let want = format!("{} MiB and {FILES} files free", self.room >> 20);
                    let finding = Finding::new(Code::DiskSpace, about, found.to_owned());
                    audited.add(finding.expecting(want));
                }
            }
            Err(error) => audited.unread(Family::Record, error.to_string()),
        }
    }

    fn clock(&self, audited: &mut Audited) {
        // Of a log that cannot be read, that is said already.
        let last = self.record.view().and_then(|view| view.last_time());
        if let Ok(Some(last)) = last
            && self.now.as_second() < last.as_second()
        {
            let finding = Finding::new(
                Code::ClockBehind,
                "clock".to_owned(),
                "before the record's latest entry".to_owned(),
            );
            audited.add(finding.expecting(format!("{last} or later")));
        }
    }
}
