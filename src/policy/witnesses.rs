//! `[witnesses]`: whose cosignatures make a checkpoint of the record final.

use crate::people::document::Field;
use crate::people::error::{ConfigError, quote};
use crate::wire::cosignature::CosignerKey;
use crate::wire::log_policy::LogPolicy;
use crate::wire::note::NoteKey;

/// The most witnesses: each is asked, and each adds a line to the checkpoint.
pub const MAX_WITNESSES: usize = 32;

/// `[witnesses]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnesses {
    /// Different keys under different names, at least one.
    pub keys: Vec<CosignerKey>,
    /// How many of them, at least 1.
    pub quorum: usize,
}

impl Witnesses {
    /// Returns the same as anybody can check it who has a checkpoint of this log.
    pub fn trust(&self, log: Option<NoteKey>) -> LogPolicy {
        LogPolicy::of(log, &self.keys, self.quorum)
    }
}

/// Reads the table.
pub(super) fn witnesses(field: &Field<'_>) -> Result<Witnesses, ConfigError> {
    let table = field.table()?;
    table.only(&["keys", "quorum"], &[])?;
    let mut keys: Vec<CosignerKey> = Vec::new();
    let listed = table.need("keys")?;
    for (text, item) in listed.some_texts()?.iter().zip(listed.items()?) {
        let key = CosignerKey::parse(text.text).map_err(|error| {
            let form = "the line that `countersign witness` prints, `<name>+<id>+<base64>`";
            item.invalid(format!("{error}; a witness's key is {form}"))
        })?;
        if let Some(known) = keys.iter().find(|known| known.is_same(&key)) {
            let message = format!("the key of {} a second time", quote(known.name()));
            return Err(item.invalid(message));
        }
        if keys.iter().any(|known| known.name() == key.name()) {
            let message = format!("a second witness called {}", quote(key.name()));
            return Err(item.invalid(message));
        }
        if keys.len() >= MAX_WITNESSES {
            return Err(item.invalid(format!("more than {MAX_WITNESSES} witnesses")));
        }
        keys.push(key);
    }
    let field = table.need("quorum")?;
    let quorum = usize::try_from(field.integer()?).unwrap_or(usize::MAX);
    if !(1..=keys.len()).contains(&quorum) {
        let count = keys.len();
        return Err(field.invalid(format!(
            "a quorum is from 1 to {count}, as many as there are"
        )));
    }
    Ok(Witnesses { keys, quorum })
}

#[cfg(test)]
mod tests {
    use crate::people::People;
    use crate::policy::Policy;
    use crate::wire::cosignature::Cosigner;

    /// Witnesses are different keys under different names, and the quorum is among them.
    #[test]
    fn reads_the_table() {
        let key = |name: &str, seed: u8| {
            let cosigner = Cosigner::from_seed(name, &[seed; 32]).unwrap();
            cosigner.public().to_string()
        };
        let people = People::parse(
            b"[people.alice]\nkeys = [{ ssh = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Yh1wUDmeEc1Nsb0eHHKljo5Sg3VNG\" }]\n",
            &|_| None,
        )
        .unwrap();
        let parse = |table: &str| {
            let text = format!("version = 1\nrepository = \"r\"\n[witnesses]\n{table}\n");
            Policy::parse(text.as_bytes(), &people)
        };
        let (one, two) = (key("w/1", 1), key("w/2", 2));
        let good = parse(&format!("keys = [\"{one}\", \"{two}\"]\nquorum = 2")).unwrap();
        let witnesses = good.witnesses.unwrap();
        assert_eq!(witnesses.quorum, 2);
        assert_eq!(witnesses.keys[1].to_string(), two);
        let twins = format!("keys = [\"{one}\", \"{}\"]\nquorum = 1", key("w/2", 1));
        let namesakes = format!("keys = [\"{one}\", \"{}\"]\nquorum = 1", key("w/1", 2));
        let many: Vec<String> = (1..=33)
            .map(|n| format!("\"{}\"", key(&format!("w/{n}"), n)))
            .collect();
        let many = format!("keys = [{}]\nquorum = 1", many.join(", "));
        let log = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        for (table, line, words) in [
            (format!("keys = [\"{one}\"]\nquorum = 2"), 5, "from 1 to 1"),
            (format!("keys = [\"{one}\"]\nquorum = 0"), 5, "from 1 to 1"),
            (format!("keys = [\"{one}\"]\nquorum = -1"), 5, "integer"),
            (format!("keys = [\"{one}\"]"), 3, "`quorum` is missing"),
            ("quorum = 1".to_owned(), 3, "`keys` is missing"),
            ("keys = []\nquorum = 0".to_owned(), 4, "empty"),
            (
                format!("keys = [\"{one}\", \"{one}\"]\nquorum = 1"),
                4,
                "second time",
            ),
            (twins, 4, "the key of"),
            (namesakes, 4, "a second witness"),
            (many, 4, "more than 32"),
            (
                format!("keys = [\"{log}\"]\nquorum = 1"),
                4,
                "cosignature key",
            ),
            ("keys = [\"w\"]\nquorum = 1".to_owned(), 4, "<name>+<id>"),
            (
                format!("keys = [\"{one}\"]\nquorum = 1\nurl = \"x\""),
                6,
                "unknown key",
            ),
        ] {
            let error = parse(&table).unwrap_err();
            assert_eq!(error.line, line, "{table}: {error}");
            assert!(error.message.contains(words), "{table}: {error}");
        }
    }
}
