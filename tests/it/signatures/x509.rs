//! X.509: S/MIME and Sigstore.

use super::shop::{Shop, commit_with};
use super::{Case, Row, from_now, other, same};

/// Returns the files of an X.509 key and its self-signed certificate, which gpgsm trusts or not.
fn x509_key(shop: &Shop, trusted: bool) -> [String; 2] {
    let name = if trusted { "trusted" } else { "unknown" };
    let files = ["key", "crt"].map(|end| shop.path(&format!("{name}.{end}")));
    let [key, certificate] = files.map(|file| file.display().to_string());
    if shop.path(&format!("{name}.key")).exists() {
        return [key, certificate];
    }
    let make = "req -x509 -newkey rsa:2048 -nodes -subj /CN=alice -days 30";
    let mut args: Vec<&str> = make.split(' ').collect();
    args.extend(["-keyout", &key, "-out", &certificate]);
    shop.run("openssl", &args, b"");
    if trusted {
        let print = [
            "x509",
            "-in",
            &certificate,
            "-noout",
            "-fingerprint",
            "-sha1",
        ];
        let printed = shop.run("openssl", &print, b"");
        let (_, fingerprint) = printed.trim().split_once('=').unwrap();
        shop.write("trustlist.txt", format!("{fingerprint} S relax\n"));
        shop.write("gpgsm.conf", "disable-crl-checks\n");
        shop.run("gpgsm", &["-q", "--batch", "--import", &certificate], b"");
    }
    [key, certificate]
}

/// Signs as smimesign, gpgsm and gitsign do: CMS under another label.
fn cms(shop: &Shop, [key, certificate]: &[String; 2], payload: &[u8]) -> Vec<u8> {
    let args = [
        "cms",
        "-sign",
        "-binary",
        "-outform",
        "PEM",
        "-md",
        "sha256",
        "-signer",
        certificate,
        "-inkey",
        key,
    ];
    let text = shop.run("openssl", &args, payload);
    text.replace(" CMS-----", " SIGNED MESSAGE-----")
        .into_bytes()
}

fn x509_commit(shop: &Shop, trusted: bool) -> Case {
    let key = x509_key(shop, trusted);
    let payload = shop.payload(from_now(0));
    let raw = commit_with(&payload, &[&cms(shop, &key, &payload)]);
    Case {
        people: "[people.alice]\n".to_owned(),
        ..shop.commit(raw)
    }
}

fn x509_tag(shop: &Shop, _: &str) -> Case {
    let key = x509_key(shop, true);
    let payload = b"object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype tree\ntag v1\n\
                    tagger alice <alice@example.com> 1700000000 +0000\n\na tag\n";
    let raw = [&payload[..], &cms(shop, &key, payload)].concat();
    Case {
        kind: "tag",
        people: "[people.alice]\n".to_owned(),
        ..shop.commit(raw)
    }
}

const X509: &[&str] = &["x509"];

pub(super) const ROWS: &[Row] = &[
    other(
        "an X.509 commit",
        X509,
        |shop, _| x509_commit(shop, true),
        "bad-signature",
        "alice",
        "X.509",
    ),
    other(
        "an X.509 tag",
        X509,
        x509_tag,
        "bad-signature",
        "alice",
        "X.509",
    ),
    same(
        "an X.509 commit that chains to nothing known, as gitsign's do",
        X509,
        |shop, _| x509_commit(shop, false),
        "bad-signature",
        "refused",
    ),
];
