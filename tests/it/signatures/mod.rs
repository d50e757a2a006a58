//! Every kind of signature that git makes, judged by us and by git itself: `git verify-commit` and
//! `git verify-tag` with ssh-keygen, gpg and gpgsm.
//!
//! Each row of the tables says what both answer. Where one takes what the other refuses, or they
//! name different people, the row names the section of `docs/signatures.md` that says why; a
//! difference without one fails, and so does a section whose difference is gone.

mod certificates;
mod openpgp;
mod shop;
mod ssh;
mod tokens;
mod x509;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use countersign::people::People;
use countersign::people::verify::SignatureFault;
use countersign::wire::commit::Commit;
use countersign::wire::oid::ObjectFormat;
use countersign::wire::tag::Tag;
use jiff::{Timestamp, ToSpan};

use shop::Shop;

/// What one answers: a person, or what is wrong.
type Answer = &'static str;

/// One row of a table.
struct Row {
    /// What is done to the signature.
    what: &'static str,
    /// The kinds of key it is done with.
    keys: &'static [&'static str],
    /// Does it.
    make: fn(&Shop, &str) -> Case,
    /// Our answer: the person, or the finding's code.
    ours: Answer,
    /// git's answer: the person, or `refused`.
    gits: Answer,
    /// The section of the page that says why they differ; empty where they agree.
    why: &'static str,
}

/// A signed object and all that it is judged by.
struct Case {
    kind: &'static str,
    raw: Vec<u8>,
    format: ObjectFormat,
    /// When it was received.
    at: Timestamp,
    /// `people.toml`.
    people: String,
    /// The key files it names.
    files: BTreeMap<String, Vec<u8>>,
    /// Settings of git: where it finds its keys.
    settings: Vec<String>,
}

/// The section most differences are explained in.
const RECEIPT: &str = "Dates of commits and tags";

/// A row whose answers are the same.
const fn same(
    what: &'static str,
    keys: &'static [&'static str],
    make: fn(&Shop, &str) -> Case,
    ours: &'static str,
    gits: &'static str,
) -> Row {
    Row {
        what,
        keys,
        make,
        ours,
        gits,
        why: "",
    }
}

/// A row whose answers differ, and the section that says why.
const fn other(
    what: &'static str,
    keys: &'static [&'static str],
    make: fn(&Shop, &str) -> Case,
    ours: &'static str,
    gits: &'static str,
    why: &'static str,
) -> Row {
    Row {
        what,
        keys,
        make,
        ours,
        gits,
        why,
    }
}

/// So many days from now; objects, keys and receipts are dated relative to one instant.
fn from_now(days: i64) -> Timestamp {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    now.checked_add((days * 24).hours()).unwrap()
}

/// What we say of it.
fn ours(case: &Case) -> String {
    let file = |path: &str| case.files.get(path).cloned();
    let people = match People::parse(case.people.as_bytes(), &file) {
        Ok(people) => people,
        Err(error) => return format!("policy-invalid ({error})"),
    };
    let signed = match case.kind {
        "commit" => Commit::parse(&case.raw, case.format)
            .map(|commit| commit.signed)
            .map_err(|error| error.to_string()),
        _ => Tag::parse(&case.raw, case.format)
            .map(|tag| tag.signed)
            .map_err(|error| error.to_string()),
    };
    let signed = match signed {
        Ok(Some(signed)) => signed,
        Ok(None) => return "unsigned".to_owned(),
        Err(error) => return format!("malformed-object ({error})"),
    };
    match people.verify(&signed, case.at) {
        Ok(signer) => signer.person.to_string(),
        Err(fault) => {
            let code = match &fault {
                SignatureFault::Bad(_) | SignatureFault::Unsupported(_) => "bad-signature",
                SignatureFault::UnknownSigner(_) => "unknown-signer",
                SignatureFault::Expired(_) => "expired-key",
                SignatureFault::Revoked(_) => "revoked-key",
            };
            format!("{code} ({fault})")
        }
    }
}

/// Judges every row with every kind of key it names, and says all that is not as the table has it.
fn hold(shop: &Shop, rows: &[Row]) {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for row in rows {
        for key in row.keys {
            let case = (row.make)(shop, key);
            let (ours, (gits, words)) = (ours(&case), shop.gits(&case));
            judged += 1;
            let code = ours.split(' ').next().unwrap();
            // Both refuse, or both name the same person.
            let person = |answer: &str| {
                (!answer.contains('-') && answer != "refused").then(|| answer.to_owned())
            };
            let agree = person(code) == person(&gits);
            let as_said = code == row.ours && gits == row.gits && agree == row.why.is_empty();
            if !as_said {
                wrong.push(format!(
                    "{} with {key}: we say {ours}, git says {gits}; the table has {}, {}, {:?}\n{words}",
                    row.what, row.ours, row.gits, row.why
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged > 0);
    eprintln!("{} rows, {judged} signatures judged beside git", rows.len());
}

/// Plain ssh keys of every kind are judged as the table says.
#[test]
fn ssh_keys() {
    hold(&Shop::new(), ssh::ROWS);
}

/// Security keys of both kinds are judged as the table says.
#[test]
fn security_keys() {
    hold(&Shop::new(), ssh::TOKEN_ROWS);
}

/// ssh certificates for every kind of key, by every kind of CA, are judged as the table says.
#[test]
fn ssh_certificates() {
    hold(&Shop::new(), certificates::ROWS);
}

/// OpenPGP keys of every kind are judged as the table says.
#[test]
fn openpgp_keys() {
    hold(&Shop::new(), openpgp::ROWS);
}

/// What smimesign, gpgsm and gitsign make is refused, whoever made it.
#[test]
fn x509() {
    for program in ["openssl", "gpgsm"] {
        if !shop::is_installed(program) {
            assert!(
                std::env::var_os("CI").is_none(),
                "{program} must be installed in CI"
            );
            eprintln!("SKIPPED: {program} is not installed");
            return;
        }
    }
    hold(&Shop::new(), x509::ROWS);
}

/// The page has a section for every difference of the tables, and none for one that is gone.
#[test]
fn the_page_explains_every_difference() {
    let tables = [
        ssh::ROWS,
        ssh::TOKEN_ROWS,
        certificates::ROWS,
        openpgp::ROWS,
        x509::ROWS,
    ];
    let rows: Vec<&Row> = tables.into_iter().flatten().collect();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.what).collect();
    assert_eq!(names.len(), rows.len(), "a row has its own name");
    let needed: BTreeSet<&str> = rows
        .iter()
        .map(|row| row.why)
        .filter(|why| !why.is_empty())
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/signatures.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, differences) = page
        .split_once("\n## Where git answers otherwise\n")
        .unwrap();
    let said: Vec<&str> = differences
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(said.iter().copied().collect::<BTreeSet<_>>(), needed);
    assert_eq!(said.len(), needed.len(), "a section stands once");
}
