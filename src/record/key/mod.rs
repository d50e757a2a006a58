//! Where the key that signs checkpoints is kept, and what it signs.
//!
//! Its public half is `log/vkey`. Whatever a store outside the record answers is nothing but a claim:
//! a signature is verified under that key before it is used.

mod agent;
mod command;
pub(crate) mod file;
mod token;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::RecordError;
use super::disk::Disk;
use super::storage::Storage;
use crate::wire::note::{NoteError, NoteKey, NoteSignature};
use crate::wire::ssh_agent::AgentError;

pub use agent::AgentKey;
pub use command::CommandKey;
pub use token::TokenKey;

/// The most bytes of a key file.
pub(crate) const MAX_KEY: u64 = 4096;
/// How long a store outside the record may take: much less than others wait for the lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the private key is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyStore {
    /// In the record, as the file `key`.
    #[default]
    File,
    /// In an ssh-agent.
    Agent(AgentKey),
    /// Behind a PKCS#11 module.
    Token(TokenKey),
    /// Wherever a command of the admin's finds it.
    Command(CommandKey),
}

/// The store in use, and the one whose key the log goes over to.
///
/// Which of the two signs is said by `log/vkey` alone, so that a log whose rotation was cut off
/// goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyStores {
    /// `record.key`.
    pub key: KeyStore,
    /// `record.next`.
    pub next: Option<KeyStore>,
}

/// Why a store outside the record did not sign.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there, or broke off.
    #[error("cannot be asked: {0}")]
    Io(#[from] io::Error),
    /// It takes too long.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The agent's answer.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The agent has another key, or none.
    #[error("holds no Ed25519 key{0}")]
    NoKey(String),
    /// The agent has several.
    #[error("holds {0} Ed25519 keys: name one by its `fingerprint`")]
    Several(usize),
    /// The module, its token or an object there.
    #[error("{0}")]
    Token(String),
    /// The command.
    #[error("{0}")]
    Command(String),
    /// A file that must be the owner's alone.
    #[error("{}: others than its owner can read it", .0.display())]
    Exposed(PathBuf),
    /// What came back is not a signature by the log's key.
    #[error("its signature is not by the log's key {expected}")]
    OtherSignature {
        /// The verifier line.
        expected: String,
    },
    /// What it gives as its public half is none.
    #[error("its public key: {0}")]
    Public(#[from] NoteError),
}

impl KeyStores {
    /// Returns the signature line of the log's key under a text.
    pub(crate) fn sign(
        &self,
        dir: &Path,
        public: &NoteKey,
        text: &str,
    ) -> Result<NoteSignature, RecordError> {
        let first = match self.key.sign(dir, public, text) {
            Ok(line) => return Ok(line),
            Err(error) => error,
        };
        let Some(next) = &self.next else {
            return Err(first);
        };
        next.sign(dir, public, text)
            .map_err(|next| RecordError::Neither {
                key: Box::new(first),
                next: Box::new(next),
            })
    }
}

impl KeyStore {
    /// Returns the public half of the key a new log is to have.
    pub(crate) fn enrol(
        &self,
        disk: &Disk,
        dir: &Path,
        origin: &str,
    ) -> Result<NoteKey, RecordError> {
        match self {
            Self::File => file::load_or_create(disk, dir, file::KEY, origin),
            _ => self.public(origin),
        }
    }

    /// Returns the public half of the key a log is to go over to.
    pub(crate) fn succeed(
        &self,
        disk: &Disk,
        dir: &Path,
        origin: &str,
    ) -> Result<NoteKey, RecordError> {
        match self {
            Self::File => file::load_or_create(disk, dir, file::NEXT, origin),
            _ => self.public(origin),
        }
    }

    /// Asks a store outside the record for the public half.
    fn public(&self, origin: &str) -> Result<NoteKey, RecordError> {
        let raw = match self {
            Self::File => Err(StoreError::NoKey(String::new())),
            Self::Agent(agent) => agent.public(),
            Self::Token(token) => token.public(),
            Self::Command(command) => command.public(origin),
        };
        raw.and_then(|raw| Ok(NoteKey::from_bytes(origin, &raw)?))
            .map_err(|source| self.failed(source))
    }

    /// Returns the signature line of this key under a text.
    pub(crate) fn sign(
        &self,
        dir: &Path,
        public: &NoteKey,
        text: &str,
    ) -> Result<NoteSignature, RecordError> {
        let signature = match self {
            Self::File => {
                let signed = file::private(dir, public)?.sign(text);
                let mut lines = signed.signatures.into_iter();
                return lines
                    .next()
                    .ok_or_else(|| RecordError::KeyMismatch(dir.join(file::KEY)));
            }
            Self::Agent(agent) => agent.sign(public, text),
            Self::Token(token) => token.sign(text),
            Self::Command(command) => command.sign(public.name(), text),
        };
        signature
            .and_then(|signature| {
                let expected = public.to_string();
                let line = public.signature(text, &signature);
                line.map_err(|_| StoreError::OtherSignature { expected })
            })
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: StoreError) -> RecordError {
        RecordError::KeyStore {
            store: self.to_string(),
            source,
        }
    }
}

impl fmt::Display for KeyStore {
    /// Writes the value as it stands in `server.toml`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => write!(f, "\"file\""),
            Self::Agent(agent) => write!(f, "{agent}"),
            Self::Token(token) => write!(f, "{token}"),
            Self::Command(command) => write!(f, "{command}"),
        }
    }
}

/// Reads `log/vkey`.
pub(crate) fn public(storage: &dyn Storage, dir: &Path) -> Result<NoteKey, RecordError> {
    let path = dir.join("log/vkey");
    let bytes = storage
        .read(&path, MAX_KEY)?
        .ok_or_else(|| RecordError::Missing(dir.to_owned()))?;
    parse(&path, &bytes, NoteKey::parse)
}

/// Writes `log/vkey`.
pub(crate) fn publish(
    storage: &dyn Storage,
    dir: &Path,
    public: &NoteKey,
) -> Result<(), RecordError> {
    storage.replace(&dir.join("log/vkey"), format!("{public}\n").as_bytes())
}

fn parse<T>(
    path: &Path,
    bytes: &[u8],
    parse: impl Fn(&str) -> Result<T, NoteError>,
) -> Result<T, RecordError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
        .ok_or(NoteError::Key("not one line"))
        .and_then(parse)
        .map_err(|source| RecordError::Key {
            path: path.to_owned(),
            source,
        })
}

/// A TOML string.
fn quoted(text: impl fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// Waits so long for an answer and no longer; what works on it then goes on by itself.
///
/// Neither connecting to a socket nor a call into a module can be given a time.
fn within<T: Send + 'static>(
    patience: Duration,
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // Nobody listens any more after a time-out.
    thread::Builder::new().spawn(move || drop(sender.send(ask())))?;
    receiver
        .recv_timeout(patience)
        .map_err(|error| match error {
            RecvTimeoutError::Timeout => StoreError::Timeout(patience),
            RecvTimeoutError::Disconnected => io::Error::other("it broke off").into(),
        })?
}
