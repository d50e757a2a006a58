//! A key in an ssh-agent.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{PATIENCE, StoreError, quoted, within};
use crate::people::ssh::fingerprint;
use crate::wire::note::NoteKey;
use crate::wire::ssh_agent;

/// Which agent, and which of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// Its socket. Not `SSH_AUTH_SOCK`: with a forwarded agent that is the pusher's.
    pub socket: PathBuf,
    /// `SHA256:…`; needed where it holds several Ed25519 keys and the log has none yet.
    pub fingerprint: Option<String>,
}

impl AgentKey {
    pub(super) fn public(&self) -> Result<[u8; 32], StoreError> {
        let mut keys = ssh_agent::keys(&ask(&self.socket, ssh_agent::which_keys(), PATIENCE)?)?;
        let mut named = String::new();
        if let Some(wanted) = &self.fingerprint {
            keys.retain(|key| fingerprint(&ssh_agent::blob(key)) == *wanted);
            named = format!(" {wanted}");
        }
        match keys.as_slice() {
            [key] => Ok(*key),
            [] => Err(StoreError::NoKey(named)),
            several => Err(StoreError::Several(several.len())),
        }
    }

    pub(super) fn sign(&self, public: &NoteKey, text: &str) -> Result<Vec<u8>, StoreError> {
        let question = ssh_agent::sign(public.as_bytes(), text.as_bytes());
        let answer = ask(&self.socket, question, PATIENCE)?;
        match ssh_agent::signature(&answer) {
            Ok(signature) => Ok(signature.to_vec()),
            // It says no more than that; what it holds tells why.
            Err(ssh_agent::AgentError::Failure) => {
                let print = fingerprint(&ssh_agent::blob(public.as_bytes()));
                Err(
                    match ssh_agent::keys(&ask(&self.socket, ssh_agent::which_keys(), PATIENCE)?)? {
                        keys if keys.contains(public.as_bytes()) => {
                            ssh_agent::AgentError::Failure.into()
                        }
                        _ => StoreError::NoKey(format!(" {print}, which is the log's")),
                    },
                )
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Display for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ agent = {}", quoted(self.socket.display()))?;
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, ", fingerprint = {}", quoted(fingerprint))?;
        }
        write!(f, " }}")
    }
}

fn ask(socket: &Path, question: Vec<u8>, patience: Duration) -> Result<Vec<u8>, StoreError> {
    let socket = socket.to_owned();
    within(patience, move || {
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(&question)?;
        let mut prefix = [0; 4];
        stream.read_exact(&mut prefix)?;
        let mut answer = vec![0; ssh_agent::length(prefix)?];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::super::KeyStore;
    use super::*;
    use crate::record::RecordError;
    use crate::wire::note::NoteSigner;

    /// Somebody who sits at the socket, takes one question and answers it like this.
    fn impostor(
        answer: impl FnOnce(&mut UnixStream) + Send + 'static,
    ) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut prefix = [0; 4];
            stream.read_exact(&mut prefix).unwrap();
            let mut question = vec![0; ssh_agent::length(prefix).unwrap()];
            stream.read_exact(&mut question).unwrap();
            answer(&mut stream);
        });
        (folder, socket)
    }

    fn forever(stream: &mut UnixStream, bytes: &[u8]) {
        // Until whoever asks has gone.
        while stream.write_all(bytes).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// One that says nothing, never comes to an end, breaks off or announces too much gives no answer.
    #[test]
    fn waits_for_nobody() {
        let ask = |socket: &Path, patience| {
            ask(
                socket,
                ssh_agent::which_keys(),
                Duration::from_millis(patience),
            )
            .unwrap_err()
        };
        let (_folder, socket) = impostor(|stream| forever(stream, b""));
        assert!(matches!(ask(&socket, 200), StoreError::Timeout(_)));
        let (_folder, socket) = impostor(|stream| {
            stream.write_all(&[0, 1, 0, 0]).unwrap();
            forever(stream, b"x");
        });
        assert!(matches!(ask(&socket, 200), StoreError::Timeout(_)));
        let (_folder, socket) = impostor(|stream| stream.write_all(&[0, 0, 0, 9, 14]).unwrap());
        assert!(matches!(ask(&socket, 5_000), StoreError::Io(_)));
        let (_folder, socket) = impostor(|stream| stream.write_all(&[255; 4]).unwrap());
        let too_large = ask(&socket, 5_000);
        let expected = ssh_agent::AgentError::TooLarge(u32::MAX);
        assert!(matches!(too_large, StoreError::Agent(error) if error == expected));
    }

    /// A signature over the text by another key, or by the log's over another text, is not used.
    #[test]
    fn believes_no_other_signature() {
        let signer = |seed| NoteSigner::from_seed("a.log", &[seed; 32]).unwrap();
        for (seed, text, is_good) in [
            (1, "text\n", true),
            (2, "text\n", false),
            (1, "other\n", false),
        ] {
            let signature = signer(seed).sign(text).signatures.remove(0).signature;
            let (_folder, socket) = impostor(move |stream| {
                let prefix = [0, 0, 0, 88, 14, 0, 0, 0, 83, 0, 0, 0, 11];
                let parts = [&prefix[..], b"ssh-ed25519", &[0, 0, 0, 64], &signature];
                stream.write_all(&parts.concat()).unwrap();
            });
            let store = KeyStore::Agent(AgentKey {
                socket,
                fingerprint: None,
            });
            let answer = store.sign(Path::new("/"), signer(1).public(), "text\n");
            match answer {
                Ok(line) => assert!(is_good && line.signature.len() == 64),
                Err(RecordError::KeyStore { source, .. }) => {
                    assert!(!is_good && matches!(source, StoreError::OtherSignature { .. }));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
