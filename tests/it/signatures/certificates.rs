//! ssh certificates: how each is made. What is said of them stands in `rows`.

mod rows;

use ed25519_dalek::SigningKey;

use super::shop::{Shop, commit_with};
use super::ssh::day;
use super::tokens::to_be_signed;
use super::tokens::{Forgery, Token, blob, ed25519_blob, ed25519_sign, line, sshsig, strings};
use super::{Case, from_now};

pub(super) use rows::ROWS;

const SOFT: &[&str] = &["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"];
const TOKENS: &[&str] = &["sk-ed25519", "sk-ecdsa"];
const ALL: &[&str] = &[
    "ed25519",
    "ecdsa-256",
    "ecdsa-384",
    "ecdsa-521",
    "rsa-2048",
    "sk-ed25519",
    "sk-ecdsa",
];
const ED: &[&str] = &["ed25519"];
/// Kinds of keys that a CA may have.
const CAS: &[&str] = &[
    "ed25519",
    "ecdsa-256",
    "ecdsa-384",
    "ecdsa-521",
    "rsa-2048",
    "rsa-3072",
];

/// The kind of the CA's key where nothing else is said.
const CA: &str = "ed25519";

/// Has the CA certify alice's key of a kind, and returns the name of the certificate's file
/// without its ending.
fn certify(shop: &Shop, kind: &str, authority: &str, options: &[&str]) -> String {
    let line = shop.public("alice", kind);
    shop.public("ca", authority);
    let name = shop.fresh("certified");
    shop.write(&format!("{name}.pub"), line + "\n");
    let authority = format!("ca.{authority}");
    let public = format!("{name}.pub");
    let args = [
        &["-q", "-s", &authority, "-I", "alice's laptop"][..],
        options,
        &[&public],
    ]
    .concat();
    shop.run("ssh-keygen", &args, b"");
    if Token::new("alice", kind).is_none() {
        // ssh-keygen looks for the private key beside the certificate.
        let private = shop.path(&format!("alice.{kind}"));
        std::fs::copy(private, shop.path(&name)).unwrap();
    }
    format!("{name}-cert")
}

fn certificate(shop: &Shop, name: &str) -> Vec<u8> {
    blob(&std::fs::read_to_string(shop.path(&format!("{name}.pub"))).unwrap())
}

/// Signs with a certificate, a token with these flags.
fn sign(
    shop: &Shop,
    kind: &str,
    name: &str,
    namespace: &str,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    match Token::new("alice", kind) {
        Some(token) => {
            let signature = token.sign(&to_be_signed(namespace, payload), flags);
            sshsig(&certificate(shop, name), namespace, &signature)
        }
        None => {
            let public = format!("{name}.pub");
            let args = ["-q", "-Y", "sign", "-n", namespace, "-f", &public];
            shop.run("ssh-keygen", &args, payload).into_bytes()
        }
    }
}

/// A commit of a day by a certificate with these options, received on another.
fn made(shop: &Shop, kind: &str, options: &[&str], days: i64, received: i64) -> Case {
    let name = certify(shop, kind, CA, options);
    let payload = shop.payload(from_now(days));
    let armor = sign(shop, kind, &name, "git", 1, &payload);
    Case {
        at: from_now(received),
        ..shop.commit(commit_with(&payload, &[&armor]))
    }
}

/// The CA is known to both sides, with these terms: it certifies alice and bob.
fn known(shop: &Shop, case: Case, terms: &str, options: &str) -> Case {
    by(shop, case, CA, terms, options)
}

fn by(shop: &Shop, case: Case, authority: &str, terms: &str, options: &str) -> Case {
    let authority = shop.public("ca", authority);
    trusting(shop, case, &authority, terms, options)
}

fn trusting(shop: &Shop, case: Case, authority: &str, terms: &str, options: &str) -> Case {
    let people = format!(
        "[people.alice]\n[people.bob]\n[[ca]]\nssh = \"{authority}\"\n\
         principals = {{ alice = \"alice\", bob = \"bob\" }}\n{terms}\n"
    );
    let allowed = shop.allow(&format!(
        "alice cert-authority,namespaces=\"git\"{options} {authority}\n\
         bob cert-authority,namespaces=\"git\"{options} {authority}\n"
    ));
    let mut case = Case { people, ..case };
    case.settings.push(allowed);
    case
}

const ALICE: &[&str] = &["-n", "alice"];

fn plain(shop: &Shop, kind: &str, options: &[&str], days: i64, received: i64) -> Case {
    known(shop, made(shop, kind, options, days, received), "", "")
}

fn by_git(shop: &Shop, kind: &str, object: &'static str) -> Case {
    let name = certify(shop, kind, CA, ALICE);
    let key = shop.path(&format!("{name}.pub"));
    let settings = [
        "gpg.format=ssh".to_owned(),
        format!("user.signingkey={}", key.display()),
    ];
    known(shop, shop.by_git(object, &settings), "", "")
}

fn tampered(shop: &Shop, kind: &str) -> Case {
    let mut case = plain(shop, kind, ALICE, 0, 0);
    let last = case.raw.len() - 2;
    case.raw[last] ^= 1;
    case
}

fn namespace(shop: &Shop, kind: &str) -> Case {
    let name = certify(shop, kind, CA, ALICE);
    let payload = shop.payload(from_now(0));
    let armor = sign(shop, kind, &name, "file", 1, &payload);
    known(shop, shop.commit(commit_with(&payload, &[&armor])), "", "")
}

/// As `-V` has it.
fn validity(from: i64, to: i64) -> String {
    format!("{}:{}", day(from), day(to))
}

fn between(shop: &Shop, kind: &str, (from, to): (i64, i64), days: i64, received: i64) -> Case {
    let validity = validity(from, to);
    plain(
        shop,
        kind,
        &["-n", "alice", "-V", &validity],
        days,
        received,
    )
}

fn option(shop: &Shop, kind: &str, option: &str, flags: u8) -> Case {
    let name = certify(shop, kind, CA, &["-n", "alice", "-O", option]);
    let payload = shop.payload(from_now(0));
    let armor = sign(shop, kind, &name, "git", flags, &payload);
    known(shop, shop.commit(commit_with(&payload, &[&armor])), "", "")
}

fn ca_ended(shop: &Shop, case: Case) -> Case {
    let terms = format!("until = {}", from_now(-10));
    known(
        shop,
        case,
        &terms,
        &format!(",valid-before=\"{}\"", day(-10)),
    )
}

fn ca_revoked(shop: &Shop, case: Case) -> Case {
    let terms = format!("revoked = {}", from_now(-10));
    let mut case = known(shop, case, &terms, "");
    let list = shop.write(&shop.fresh("revoked"), shop.public("ca", CA) + "\n");
    case.settings.push(shop.revoke(list.as_ref()));
    case
}

/// Takes certificates back on both sides: `terms` is what people.toml has, `krl` what a revocation
/// list is made of.
fn taken_back(shop: &Shop, case: Case, terms: &str, krl: &str) -> Case {
    let since = from_now(-10);
    let terms = format!("revocations = [{{ {terms}, revoked = {since} }}]");
    let mut case = known(shop, case, &terms, "");
    let (list, text) = (shop.fresh("krl"), shop.fresh("krl-text"));
    shop.write(&text, krl);
    let authority = format!("ca.{CA}.pub");
    shop.run(
        "ssh-keygen",
        &["-q", "-k", "-f", &list, "-s", &authority, &text],
        b"",
    );
    case.settings.push(shop.revoke(&shop.path(&list)));
    case
}

fn serial(shop: &Shop, kind: &str, days: i64) -> Case {
    let case = made(shop, kind, &["-n", "alice", "-z", "77"], days, days);
    taken_back(shop, case, "serial = 77", "serial: 77\n")
}

fn key_id(shop: &Shop, kind: &str) -> Case {
    let case = made(shop, kind, ALICE, 0, 0);
    taken_back(
        shop,
        case,
        "key_id = \"alice's laptop\"",
        "id: alice's laptop\n",
    )
}

fn certified_key(shop: &Shop, kind: &str) -> Case {
    let case = made(shop, kind, ALICE, 0, 0);
    let key = shop.public("alice", kind);
    let terms = format!("ssh = \"{key}\"");
    taken_back(shop, case, &terms, &format!("key: {key}\n"))
}

/// The key stands in people.toml besides, under that person and with those terms.
fn listed_too(shop: &Shop, kind: &str, who: &str, terms: &str) -> Case {
    let case = plain(shop, kind, ALICE, 0, 0);
    let key = shop.public("alice", kind);
    let keys = format!("[people.{who}]\nkeys = [{{ ssh = \"{key}\"{terms} }}]\n");
    Case {
        people: case.people.replace(&format!("[people.{who}]\n"), &keys),
        ..case
    }
}

fn listed_revoked(shop: &Shop, kind: &str) -> Case {
    let terms = format!(", revoked = {}", from_now(-10));
    let mut case = listed_too(shop, kind, "alice", &terms);
    let list = shop.write(&shop.fresh("revoked"), shop.public("alice", kind) + "\n");
    case.settings.push(shop.revoke(list.as_ref()));
    case
}

fn without_certificate(shop: &Shop, kind: &str) -> Case {
    let payload = shop.payload(from_now(0));
    let armor = shop.sign("alice", kind, &payload);
    known(shop, shop.commit(commit_with(&payload, &[&armor])), "", "")
}

/// A certificate where only the plain key is known.
fn plain_key_known(shop: &Shop, kind: &str) -> Case {
    let key = shop.public("alice", kind);
    let case = made(shop, kind, ALICE, 0, 0);
    let mut case = Case {
        people: format!("[people.alice]\nkeys = [{{ ssh = \"{key}\" }}]\n"),
        ..case
    };
    case.settings.push(shop.allow(&format!("alice {key}\n")));
    case
}

fn unknown_ca(shop: &Shop, kind: &str) -> Case {
    let case = made(shop, kind, ALICE, 0, 0);
    let other = shop.public("other-ca", CA);
    trusting(shop, case, &other, "", "")
}

/// A CA of a kind certifies an Ed25519 key.
fn authority(shop: &Shop, kind: &str, options: &[&str]) -> Case {
    let name = certify(shop, "ed25519", kind, &[ALICE, options].concat());
    let payload = shop.payload(from_now(0));
    let armor = sign(shop, "ed25519", &name, "git", 1, &payload);
    by(
        shop,
        shop.commit(commit_with(&payload, &[&armor])),
        kind,
        "",
        "",
    )
}

/// A CA whose key is a security key, touched or not when it certified.
fn token_authority(shop: &Shop, kind: &str, flags: u8) -> Case {
    let token = Token::new("ca", kind).unwrap();
    let forgery = Forgery {
        principals: vec![b"alice"],
        critical: vec![],
        authority: blob(&token.line()),
    };
    let sign = |signed: &[u8]| token.sign(signed, flags);
    forged(shop, &forgery, &sign, &token.line())
}

/// A commit by the key of a certificate that was made by hand.
fn forged(
    shop: &Shop,
    forgery: &Forgery,
    sign: &dyn Fn(&[u8]) -> Vec<u8>,
    authority: &str,
) -> Case {
    let key = SigningKey::from_bytes(&[5; 32]);
    let certificate = forgery.write(&ed25519_blob(&key), sign);
    let payload = shop.payload(from_now(0));
    let signature = ed25519_sign(&key, &to_be_signed("git", &payload));
    let armor = sshsig(&certificate, "git", &signature);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    trusting(shop, case, authority, "", "")
}

/// A CA whose secret is known.
fn hand() -> (SigningKey, Vec<u8>, String) {
    let key = SigningKey::from_bytes(&[6; 32]);
    let blob = ed25519_blob(&key);
    let line = line("ssh-ed25519", &blob);
    (key, blob, line)
}

/// By hand what ssh-keygen would do: the way the rows below are made is not at fault.
fn by_hand(shop: &Shop, _: &str) -> Case {
    let (key, authority, line) = hand();
    let forgery = Forgery {
        principals: vec![b"alice"],
        critical: vec![],
        authority,
    };
    forged(shop, &forgery, &|signed| ed25519_sign(&key, signed), &line)
}

/// Somebody else's signature under the CA's name.
fn not_by_the_ca(shop: &Shop, _: &str) -> Case {
    let (_, authority, line) = hand();
    let forgery = Forgery {
        principals: vec![b"alice"],
        critical: vec![],
        authority,
    };
    let mallory = SigningKey::from_bytes(&[8; 32]);
    forged(
        shop,
        &forgery,
        &|signed| ed25519_sign(&mallory, signed),
        &line,
    )
}

/// A certificate signed by a key that is itself only certified.
fn nested(shop: &Shop, _: &str) -> Case {
    let (key, authority, line) = hand();
    let middle = SigningKey::from_bytes(&[9; 32]);
    let first = Forgery {
        principals: vec![b"alice"],
        critical: vec![],
        authority,
    };
    let first = first.write(&ed25519_blob(&middle), &|signed| ed25519_sign(&key, signed));
    let forgery = Forgery {
        principals: vec![b"alice"],
        critical: vec![],
        authority: first,
    };
    forged(
        shop,
        &forgery,
        &|signed| ed25519_sign(&middle, signed),
        &line,
    )
}

fn options_twice(shop: &Shop, _: &str) -> Case {
    let (key, authority, line) = hand();
    let address = strings(&[b"10.0.0.0/8"]);
    let forgery = Forgery {
        principals: vec![b"alice"],
        critical: strings(&[b"source-address", &address, b"source-address", &address]),
        authority,
    };
    forged(shop, &forgery, &|signed| ed25519_sign(&key, signed), &line)
}

/// The CA certifies the key that it signs certificates with.
fn own_key(shop: &Shop, _: &str) -> Case {
    let (key, authority, line) = hand();
    let forgery = Forgery {
        principals: vec![b"alice"],
        critical: vec![],
        authority: authority.clone(),
    };
    let certificate = forgery.write(&authority, &|signed| ed25519_sign(&key, signed));
    let payload = shop.payload(from_now(0));
    let signature = ed25519_sign(&key, &to_be_signed("git", &payload));
    let armor = sshsig(&certificate, "git", &signature);
    let case = shop.commit(commit_with(&payload, &[&armor]));
    trusting(shop, case, &line, "", "")
}

/// The CA's key is alice's own as well.
fn both(shop: &Shop, _: &str) -> Case {
    let case = plain(shop, "ed25519", ALICE, 0, 0);
    let key = shop.public("ca", CA);
    let keys = format!("[people.alice]\nkeys = [{{ ssh = \"{key}\" }}]\n");
    Case {
        people: case.people.replace("[people.alice]\n", &keys),
        ..case
    }
}
