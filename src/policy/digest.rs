//! Which policy decided: one hash over its files.
//!
//! SHA-256 over `<mode> <sha256> <path>\n`, sorted by bytes, of `.countersign/**` and the owners
//! files. A tree that passed the strict reader has no line feed in a path, so the text reads
//! only one way.

use faster_hex::hex_string;
use sha2::{Digest, Sha256};

use super::classes::OWNERS_FILES;

/// Returns the digest, hexadecimal, over octal mode, path and SHA-256 of content of each file.
pub fn digest<M, P, H>(files: &[(M, P, H)]) -> String
where
    M: AsRef<str>,
    P: AsRef<[u8]>,
    H: AsRef<str>,
{
    let mut lines: Vec<Vec<u8>> = files
        .iter()
        .map(|(mode, path, hash)| {
            let mut line = format!("{} {} ", mode.as_ref(), hash.as_ref()).into_bytes();
            line.extend_from_slice(path.as_ref());
            line.push(b'\n');
            line
        })
        .collect();
    lines.sort();
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line);
    }
    hex_string(&hash.finalize())
}

/// Returns whether a file of the policy ref's tree belongs to the digest.
pub fn covers(path: &[u8]) -> bool {
    path.starts_with(b".countersign/") || OWNERS_FILES.iter().any(|file| file.as_bytes() == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of the files does not matter; mode, content and path each do.
    #[test]
    fn depends_on_files_alone() {
        let a = ("100644", ".countersign/a", "aa");
        let b = ("100644", ".countersign/b", "bb");
        // printf '100644 aa .countersign/a\n100644 bb .countersign/b\n' | sha256sum
        let expected = "4a2c8ad9850f0fee344eecb13a996d9408f27d3f06181c00c5c695c5aa0bb478";
        assert_eq!(digest(&[a, b]), expected);
        assert_eq!(digest(&[b, a]), expected);
        for other in [
            ("100755", ".countersign/a", "aa"),
            ("100644", ".countersign/c", "aa"),
            ("100644", ".countersign/a", "ab"),
        ] {
            assert_ne!(digest(&[other, b]), expected);
        }
    }

    /// Only policy files and owners files are covered.
    #[test]
    fn covers_policy_files() {
        for (path, covered) in [
            (".countersign/keys/alice.asc", true),
            (".github/CODEOWNERS", true),
            ("src/CODEOWNERS", false),
            (".countersignx", false),
        ] {
            assert_eq!(covers(path.as_bytes()), covered, "{path}");
        }
    }
}
