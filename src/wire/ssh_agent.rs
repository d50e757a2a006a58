//! Two questions to an ssh-agent, and its answers.
//!
//! ```text
//! uint32  length of what follows
//! byte    11: which keys?      12: these: uint32 count, for each string key, string comment
//!         13: sign, string     14: string signature
//!         key, string data,     5: failure
//!         uint32 flags
//! ```
//!
//! Source: draft-miller-ssh-agent, <https://datatracker.ietf.org/doc/draft-miller-ssh-agent/>.
//! With an `ssh-ed25519` key the agent signs the data as they are: what comes back is an Ed25519
//! signature over them and nothing else.

use super::sshsig::{SshReader, SshSigError, put_string};

/// The most bytes of an answer; OpenSSH's agent sends no more either.
pub const MAX_ANSWER: usize = 256 * 1024;
/// The most keys that an agent may hold.
const MAX_KEYS: usize = 1024;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGNATURE: u8 = 14;
const ED25519: &[u8] = b"ssh-ed25519";

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// Longer than [`MAX_ANSWER`].
    #[error("an answer of {0} bytes, at most {MAX_ANSWER} are read")]
    TooLarge(u32),
    /// It does not do what it was asked.
    #[error("it says no")]
    Failure,
    /// Another answer than to the question.
    #[error("an answer of type {found}, expected {expected}")]
    Kind {
        /// The type that answers the question.
        expected: u8,
        /// The type that came.
        found: u8,
    },
    /// More than [`MAX_KEYS`] keys.
    #[error("{0} keys, at most {MAX_KEYS} are read")]
    TooMany(u32),
    /// Not an Ed25519 signature.
    #[error("the signature is not of 64 bytes and type ssh-ed25519")]
    Signature,
    /// ssh wire format.
    #[error(transparent)]
    Format(#[from] SshSigError),
}

/// Returns the question which keys it holds.
pub fn which_keys() -> Vec<u8> {
    framed(&[REQUEST_IDENTITIES])
}

/// Returns the question for a signature over `data` by an Ed25519 key.
pub fn sign(key: &[u8; 32], data: &[u8]) -> Vec<u8> {
    let mut body = vec![SIGN_REQUEST];
    put_string(&mut body, &blob(key));
    put_string(&mut body, data);
    body.extend_from_slice(&0u32.to_be_bytes());
    framed(&body)
}

/// Returns an Ed25519 public key in ssh wire format.
pub fn blob(key: &[u8; 32]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, ED25519);
    put_string(&mut blob, key);
    blob
}

/// Returns how many bytes follow the first four of an answer.
pub fn length(prefix: [u8; 4]) -> Result<usize, AgentError> {
    let length = u32::from_be_bytes(prefix);
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_ANSWER)
        .ok_or(AgentError::TooLarge(length))
}

/// Reads which Ed25519 keys the agent holds; those of other types, and certificates, are left out.
pub fn keys(answer: &[u8]) -> Result<Vec<[u8; 32]>, AgentError> {
    let mut reader = body(answer, IDENTITIES)?;
    let count = reader.u32()?;
    if usize::try_from(count).map_or(true, |count| count > MAX_KEYS) {
        return Err(AgentError::TooMany(count));
    }
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.extend(ed25519(reader.string()?));
        reader.string()?;
    }
    reader.finish()?;
    Ok(keys)
}

/// Reads a signature.
pub fn signature(answer: &[u8]) -> Result<[u8; 64], AgentError> {
    let mut reader = body(answer, SIGNATURE)?;
    let inner = reader.string()?;
    reader.finish()?;
    let mut reader = SshReader::new(inner);
    let kind = reader.string()?;
    let signature = reader.string()?;
    reader.finish()?;
    match signature.try_into() {
        Ok(signature) if kind == ED25519 => Ok(signature),
        _ => Err(AgentError::Signature),
    }
}

fn body(answer: &[u8], expected: u8) -> Result<SshReader<'_>, AgentError> {
    let mut reader = SshReader::new(answer);
    match reader.byte()? {
        found if found == expected => Ok(reader),
        FAILURE => Err(AgentError::Failure),
        found => Err(AgentError::Kind { expected, found }),
    }
}

fn ed25519(blob: &[u8]) -> Option<[u8; 32]> {
    let mut reader = SshReader::new(blob);
    let kind = reader.string().ok()?;
    let key = reader.string().ok()?;
    reader.finish().ok()?;
    (kind == ED25519).then(|| key.try_into().ok()).flatten()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut question = Vec::new();
    put_string(&mut question, body);
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
        let mut answer = vec![kind];
        fields
            .iter()
            .for_each(|field| put_string(&mut answer, field));
        answer
    }

    fn signature_of(kind: &[u8], bytes: &[u8]) -> Vec<u8> {
        let inner = strings(0, &[kind, bytes]);
        strings(SIGNATURE, &[&inner[1..]])
    }

    fn identities(count: u32, fields: &[&[u8]]) -> Vec<u8> {
        let mut answer = vec![IDENTITIES];
        answer.extend(count.to_be_bytes());
        answer.extend(&strings(0, fields)[1..]);
        answer
    }

    /// The questions are byte for byte those of the specification.
    #[test]
    fn asks_as_specified() {
        assert_eq!(which_keys(), [0, 0, 0, 1, 11]);
        let question = sign(&[7; 32], b"ab");
        let expected = [
            &[0, 0, 0, 66, 13, 0, 0, 0, 51, 0, 0, 0, 11][..],
            b"ssh-ed25519",
            &[0, 0, 0, 32],
            &[7; 32],
            &[0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0],
        ];
        assert_eq!(question, expected.concat());
    }

    /// Keys of other types are passed over; a signature has its type and 64 bytes.
    #[test]
    fn reads_answers() {
        let (one, rsa) = (blob(&[1; 32]), strings(0, &[b"ssh-rsa", b"e", b"n"]));
        let answer = identities(2, &[&rsa[1..], b"rsa", &one, b"me"]);
        assert_eq!(keys(&answer), Ok(vec![[1; 32]]));
        assert_eq!(keys(&identities(0, &[])), Ok(vec![]));
        assert_eq!(signature(&signature_of(ED25519, &[3; 64])), Ok([3; 64]));
    }

    /// Everything else has its error.
    #[test]
    fn refuses_garbage() {
        let cut = Err(AgentError::Format(SshSigError::Truncated));
        assert_eq!(length([0, 4, 0, 0]), Ok(MAX_ANSWER));
        assert_eq!(length([0, 4, 0, 1]), Err(AgentError::TooLarge(262_145)));
        assert_eq!(keys(&[]), cut);
        assert_eq!(keys(&[5]), Err(AgentError::Failure));
        let (expected, found) = (IDENTITIES, SIGNATURE);
        assert_eq!(keys(&[14]), Err(AgentError::Kind { expected, found }));
        assert_eq!(keys(&identities(1, &[])), cut);
        assert_eq!(keys(&identities(1025, &[])), Err(AgentError::TooMany(1025)));
        let trailing = Err(AgentError::Format(SshSigError::Trailing(4)));
        assert_eq!(keys(&identities(0, &[b""])), trailing);
        assert_eq!(signature(&[5]), Err(AgentError::Failure));
        for (kind, length) in [
            (&b"ssh-ed25519"[..], 63),
            (b"ssh-ed25519", 65),
            (b"sk-ssh-ed25519@openssh.com", 64),
        ] {
            let answer = signature_of(kind, &vec![1; length]);
            assert_eq!(signature(&answer), Err(AgentError::Signature));
        }
    }
}
