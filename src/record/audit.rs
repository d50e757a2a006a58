//! The audit trail: what was refused. It proves nothing and may lose its end in a crash.

use super::{Record, RecordError};

impl Record {
    /// Adds a line to `audit.jsonl`.
    pub fn audit(&self, event: &serde_json::Value) -> Result<(), RecordError> {
        let line = serde_jcs::to_vec(event)?;
        self.storage
            .append_plain(&self.own_dir().join("audit.jsonl"), &line)
    }
}
