//! Random damage: nothing panics, and nothing damaged verifies.

use super::*;
use crate::wire::armor::SignatureBlock;

/// xorshift64*: the same damage on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).unwrap() % bound
    }

    fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(2) {
            let place = self.below(bytes.len());
            match self.below(5) {
                0 => bytes[place] ^= 1 << self.below(8),
                1 => bytes[place] = u8::try_from(self.below(256)).unwrap(),
                2 => bytes.insert(place, u8::try_from(self.below(256)).unwrap()),
                3 => drop(bytes.remove(place)),
                _ => bytes.truncate(place.max(1)),
            }
        }
        bytes
    }
}

/// Signatures of all sorts, each with people who know its key.
fn samples() -> (Vec<(People, Signed)>, TempDir, openpgp::Gpg) {
    let home = home();
    let gpg = openpgp::Gpg::new();
    let mut samples = Vec::new();
    for (name, kind) in [("ed", "ed25519"), ("ec", "ecdsa"), ("rsa", "rsa")] {
        let line = super::ssh::keygen(home.path(), name, &["-t", kind]);
        let armor = super::ssh::sign(home.path(), name, "git");
        samples.push((
            alice(listed(parse_ssh(&line).unwrap())),
            signed(PAYLOAD, armor),
        ));
    }
    for kind in ["ed25519", "nistp256", "rsa2048"] {
        let key = gpg.make(kind, kind, &[]);
        samples.push((alice(gpg.listed(&key)), gpg.sign(&["-u", &key])));
    }
    (samples, home, gpg)
}

/// Damaged below the armour, a signature never verifies; damaged in it, only if it still means
/// the same bytes.
#[test]
fn damaged_signatures() {
    let (samples, _home, _gpg) = samples();
    let now = Timestamp::now();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (people, good) in &samples {
        assert!(people.verify(good, now).is_ok());
        let block = armor::parse(&good.armor).unwrap();
        let (label, blank) = match block {
            SignatureBlock::Ssh(_) => ("SSH SIGNATURE", ""),
            _ => ("PGP SIGNATURE", "\n"),
        };
        let bytes = undressed(&good.armor);
        let again = signed(PAYLOAD, security_key::wrapped(label, blank, &bytes));
        assert!(people.verify(&again, now).is_ok(), "undamaged");
        for _ in 0..400 {
            let damaged = random.damaged(&bytes);
            if damaged != bytes {
                let bent = signed(PAYLOAD, security_key::wrapped(label, blank, &damaged));
                assert!(people.verify(&bent, now).is_err(), "{damaged:02x?}");
            }
            let bent = signed(PAYLOAD, random.damaged(&good.armor));
            if people.verify(&bent, now).is_ok() {
                assert_eq!(armor::parse(&bent.armor).as_ref(), Ok(&block));
            }
            let bent = signed(&random.damaged(PAYLOAD), good.armor.clone());
            if bent.payload != PAYLOAD {
                assert!(people.verify(&bent, now).is_err());
            }
        }
    }
}

fn undressed(armor: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let text = std::str::from_utf8(armor).unwrap();
    let data: String = text
        .lines()
        .filter(|line| !line.starts_with("-----") && !line.starts_with('=') && !line.is_empty())
        .collect();
    base64::engine::general_purpose::STANDARD
        .decode(data)
        .unwrap()
}

/// Damaged keys do not panic; a damaged OpenPGP key that is still taken believes nothing more
/// than the whole one did.
#[test]
fn damaged_keys() {
    let home = home();
    let gpg = openpgp::Gpg::new();
    let mut random = Random(0x0123_4567_89ab_cdef);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let line = super::ssh::keygen(home.path(), kind, &["-t", kind]);
        for _ in 0..300 {
            let damaged = random.damaged(line.as_bytes());
            drop(parse_ssh(&String::from_utf8_lossy(&damaged)));
        }
    }
    let fingerprint = gpg.make("alice", "ed25519", &[]);
    let good = gpg.sign(&[]);
    let export = gpg.export(&fingerprint);
    let bytes = undressed(&export);
    let now = Timestamp::now();
    for _ in 0..600 {
        let damaged = random.damaged(&bytes);
        let armor = security_key::wrapped("PGP PUBLIC KEY BLOCK", "\n", &damaged);
        if let Ok(key) = parse_openpgp(&armor) {
            let own = key.0 == fingerprint;
            let believed = alice(listed(key)).verify(&good, now).is_ok();
            assert!(own || !believed, "{damaged:02x?}");
        }
    }
}
