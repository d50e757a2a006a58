//! The grammar of `record.key` and `record.next`: where the log's key is kept.

use std::path::PathBuf;

use crate::people::ConfigError;
use crate::people::document::{Field, Table};
use crate::record::key::{AgentKey, CommandKey, KeyStore, TokenKey};

/// The most words of a command.
const MAX_WORDS: usize = 32;
/// The most bytes of a value: the record of a host carries it.
const MAX_VALUE: usize = 2048;

/// Reads where a key is kept.
pub(super) fn store(field: &Field<'_>) -> Result<KeyStore, ConfigError> {
    if let Some(text) = field.as_str() {
        return match text {
            "file" => Ok(KeyStore::File),
            _ => Err(field.invalid(EXPECTED)),
        };
    }
    let table = field.table().map_err(|_| field.invalid(EXPECTED))?;
    let store = if let Some(socket) = table.get("agent") {
        agent(&table, &socket)?
    } else if let Some(module) = table.get("pkcs11") {
        token(&table, &module)?
    } else if let Some(words) = table.get("command") {
        table.only(&["command"], &[])?;
        command(&words)?
    } else {
        return Err(field.invalid(EXPECTED));
    };
    match store.to_string().len() > MAX_VALUE {
        true => Err(field.invalid(format!("longer than {MAX_VALUE} bytes"))),
        false => Ok(store),
    }
}

const EXPECTED: &str = "expected \"file\" or a table with `agent`, `pkcs11` or `command`";

fn agent(table: &Table<'_>, socket: &Field<'_>) -> Result<KeyStore, ConfigError> {
    table.only(&["agent", "fingerprint"], &[])?;
    let fingerprint = table.get("fingerprint").map(|field| {
        let text = field.text()?.text;
        match text.starts_with("SHA256:") {
            true => Ok(text.to_owned()),
            false => Err(field.invalid("a fingerprint reads `SHA256:…`, as ssh-add -l shows it")),
        }
    });
    Ok(KeyStore::Agent(AgentKey {
        socket: path(socket)?,
        fingerprint: fingerprint.transpose()?,
    }))
}

fn token(table: &Table<'_>, module: &Field<'_>) -> Result<KeyStore, ConfigError> {
    table.only(&["pkcs11", "token", "label", "pin_file"], &[])?;
    let label = |name| {
        let field = table.need(name)?;
        let text = field.text()?.text;
        match text.is_empty() {
            true => Err(field.invalid("is empty")),
            false => Ok(text.to_owned()),
        }
    };
    Ok(KeyStore::Token(TokenKey {
        module: path(module)?,
        token: label("token")?,
        label: label("label")?,
        pin_file: path(&table.need("pin_file")?)?,
    }))
}

fn command(field: &Field<'_>) -> Result<KeyStore, ConfigError> {
    let items = field.items()?;
    let Some(program) = items.first() else {
        return Err(field.invalid("`command` is an empty list"));
    };
    path(program)?;
    if items.len() > MAX_WORDS {
        return Err(field.invalid(format!("more than {MAX_WORDS} words")));
    }
    let words = items.iter().map(|item| Ok(item.text()?.text.to_owned()));
    Ok(KeyStore::Command(CommandKey(
        words.collect::<Result<_, _>>()?,
    )))
}

fn path(field: &Field<'_>) -> Result<PathBuf, ConfigError> {
    let path = PathBuf::from(field.text()?.text);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(field.invalid("a path must be absolute")),
    }
}
