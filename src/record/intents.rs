//! Intents: accepted, durable, not in the log yet.

use std::path::PathBuf;

use faster_hex::hex_string;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::Landed;
use super::{Process, Record, RecordError};
use crate::wire::name::RefName;

/// A push of many refs to a large history is far below this.
const MAX_INTENT: u64 = 1 << 30;

/// How the file beside an intent ends that lists which of its refs git was let move.
const SPENT: &str = "spent";

/// What one accepted push will do; closed ref by ref once git has moved them, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// 32 hexadecimal digits, random.
    pub id: String,
    /// Server time at which it was judged.
    pub at: Timestamp,
    /// The record's size it was judged by.
    pub size: u64,
    /// git's receive-pack: while it runs, the refs may still move.
    pub process: Process,
    /// The entries to be written for those refs that move.
    pub landed: Vec<Landed>,
}

impl Intent {
    /// Returns an id nobody has.
    pub fn new_id() -> Result<String, RecordError> {
        let mut raw = [0; 16];
        getrandom::fill(&mut raw).map_err(RecordError::Random)?;
        Ok(hex_string(&raw))
    }
}

impl Record {
    /// Writes an intent durably: once this returns, the push may be accepted.
    pub fn write_intent(&self, intent: &Intent) -> Result<(), RecordError> {
        let path = self.intent_path(&intent.id)?;
        self.storage.replace(&path, &serde_jcs::to_vec(intent)?)
    }

    /// Returns whether there are intents that were not removed, whatever they say.
    pub fn has_intents(&self) -> Result<bool, RecordError> {
        let names = self.storage.list(&self.own_dir().join("intents"))?;
        Ok(names.iter().any(|name| name.ends_with(".json")))
    }

    /// Returns the intents that were not removed, oldest first.
    ///
    /// One that cannot be read is an error: what it accepted would be forgotten.
    pub fn open_intents(&self) -> Result<Vec<Intent>, RecordError> {
        let dir = self.own_dir().join("intents");
        let mut intents = Vec::new();
        for name in self.storage.list(&dir)? {
            // Temporary files of a crash are no intents: nobody accepted on them.
            let Some(id) = name.strip_suffix(".json") else {
                continue;
            };
            let path = self.intent_path(id)?;
            // Closed by another process while we look.
            let Some(bytes) = self.storage.read(&path, MAX_INTENT)? else {
                continue;
            };
            let intent: Intent = serde_json::from_slice(&bytes)
                .map_err(|error| RecordError::damaged(path.display(), error))?;
            if intent.id != id {
                return Err(RecordError::damaged(path.display(), "of another id"));
            }
            intents.push(intent);
        }
        intents.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(intents)
    }

    /// Notes that git was let move one ref of an intent; returns whether that was still free to do.
    ///
    /// Only the intent's own process asks, one question after the other, and the note is of no use
    /// once that process is gone: it is not synced.
    pub fn spend(&self, intent: &Intent, name: &RefName, most: usize) -> Result<bool, RecordError> {
        let path = self.intent_path(&intent.id)?.with_extension(SPENT);
        let line = name.to_string();
        let noted = self.storage.read(&path, MAX_INTENT)?.unwrap_or_default();
        let spent = noted
            .split(|byte| *byte == b'\n')
            .filter(|one| *one == line.as_bytes())
            .count();
        if spent >= most {
            return Ok(false);
        }
        self.storage.append_plain(&path, line.as_bytes())?;
        Ok(true)
    }

    /// Removes a closed intent; one that is gone already is fine.
    ///
    /// Not durably: one that comes back after a power cut is closed again, as landed by the entry
    /// that carries its id, else by where the ref is.
    pub fn remove_intent(&self, id: &str) -> Result<(), RecordError> {
        let path = self.intent_path(id)?;
        self.storage.discard(&path.with_extension(SPENT));
        self.storage.remove(&path)
    }

    fn intent_path(&self, id: &str) -> Result<PathBuf, RecordError> {
        let is_id = id.len() == 32
            && id
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_id {
            return Err(RecordError::IntentId(id.to_owned()));
        }
        Ok(self.own_dir().join("intents").join(format!("{id}.json")))
    }
}
