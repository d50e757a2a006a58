//! `attest` and `verify attestation`, and in-toto's own packages on what comes out.

mod levels;
mod tampering;
mod ways;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use countersign::wire::dsse::Envelope;

use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::landing::{lands, merge, squash};
use crate::support::python::packages;
use crate::support::server::scrubbed;
use crate::support::{
    Checkout, Format, MAIN, Outcome, People, REPOSITORY, Server, approved_topic, policy, two_people,
};

/// The address of the repository in every statement here.
const RESOURCE: &str = "git+https://git.example.com/payments";
const VERIFIER: &str = "https://countersign.dev/verifier/git.example.com/payments";

/// A folder that is no repository, with envelopes and the key.
struct Elsewhere {
    folder: tempfile::TempDir,
    file: PathBuf,
    key: PathBuf,
    commit: String,
}

impl Elsewhere {
    /// Attests a commit on the server and takes what comes out away.
    fn with(server: &Server, commit: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = (
            folder.path().join("a.intoto.jsonl"),
            folder.path().join("a.pem"),
        );
        let output = ["attest", commit, "-o", file.to_str().unwrap()];
        server.cli(&[&output[..], more].concat()).accepted();
        let pem = server.cli(&["attest", "--public-key"]).accepted();
        fs::write(&key, pem.stdout).unwrap();
        Self {
            folder,
            file,
            key,
            commit: commit.to_owned(),
        }
    }

    /// Ours.
    #[must_use]
    fn verify(&self, more: &[&str]) -> Outcome {
        let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), self.folder.path());
        command.args(["verify", "attestation"]).arg(&self.file);
        command.arg("--key").arg(&self.key);
        if !more.contains(&"--commit") {
            command.args(["--commit", &self.commit]);
        }
        if !more.contains(&"--repository") {
            command.args(["--repository", REPOSITORY]);
        }
        Outcome::of(command.args(more), b"")
    }

    /// What others are told to expect.
    fn expected(&self, levels: &[&str]) -> Value {
        json!({
            "keys": [self.key], "threshold": 1, "commit": self.commit, "resource": RESOURCE,
            "ref": MAIN, "verifier": VERIFIER, "levels": levels,
        })
    }

    /// in-toto's.
    #[must_use]
    fn in_toto(&self, expected: &Value) -> Outcome {
        self.in_toto_of(expected, std::slice::from_ref(&self.file))
    }

    /// in-toto's, on several files.
    #[must_use]
    fn in_toto_of(&self, expected: &Value, files: &[PathBuf]) -> Outcome {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify_attestation.py");
        let mut command = scrubbed("python3", self.folder.path());
        command
            .env("PYTHONPATH", packages("tests/data/in-toto.txt"))
            .arg("-B")
            .arg(script);
        command.arg(expected.to_string()).args(files);
        Outcome::of(&mut command, b"")
    }

    /// Asserts that both verifiers give this answer.
    #[track_caller]
    fn both(&self, good: bool, what: &str) {
        let expected = self.expected(&["SLSA_SOURCE_LEVEL_1"]);
        let wanted = [
            "--onto",
            "main",
            "--verifier-id",
            VERIFIER,
            "--level",
            "SLSA_SOURCE_LEVEL_1",
        ];
        for outcome in [self.verify(&wanted), self.in_toto(&expected)] {
            assert_eq!(outcome.status, Some(i32::from(!good)), "{what}: {outcome}");
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// The statements, in order, without looking at signatures.
    fn statements(&self) -> Vec<Value> {
        let text = self.text();
        let envelopes = text
            .lines()
            .map(|line| Envelope::parse(line.as_bytes()).unwrap());
        envelopes
            .map(|envelope| serde_json::from_slice(&envelope.payload).unwrap())
            .collect()
    }
}

/// A policy under which no tag is ever moved: the second level of SLSA's source track wants that.
fn strict_policy(branches: &str, rules: &str) -> String {
    let tags = "[[ref]]\nmatch = [\"refs/tags/**\"]\ncreate_once = true\n\n";
    policy_text(
        "approvals_expire = \"30d\"\n",
        branches,
        &format!("{tags}{rules}"),
    )
}

/// A server with that policy, and alice's and bob's checkouts.
fn strict() -> (Server, Checkout, Checkout) {
    let server = Server::with(&strict_policy("", PLAIN_RULE), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    (server, alice, bob)
}

fn landed() -> (Server, Checkout, Checkout, String) {
    let (server, alice, bob) = strict();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    (server, alice, bob, head)
}

/// The levels of the VSA of a commit.
#[track_caller]
fn levels_of(server: &Server, commit: &str, more: &[&str]) -> Vec<String> {
    let args = ["attest", commit, "--json"];
    let told = server.cli(&[&args[..], more].concat()).accepted().json();
    let vsa = &told["attestations"][1]["statement"];
    assert_eq!(vsa["predicate"]["verificationResult"], "PASSED");
    let levels = vsa["predicate"]["verifiedLevels"].as_array().unwrap();
    levels
        .iter()
        .map(|level| level.as_str().unwrap().to_owned())
        .collect()
}

/// A statement with what differs from run to run replaced.
fn shape(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap();
    let mut shape = String::new();
    let mut run = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_digit() || ('a'..='f').contains(&letter) {
            run.push(letter);
            continue;
        }
        match run.len() {
            40 => shape += "<id>",
            64 => shape += "<sha256>",
            _ => shape += &run,
        }
        run.clear();
        shape.push(letter);
    }
    let lines = shape.lines().map(|line| match line.split_once(": \"") {
        Some((name, value)) if value.starts_with("20") && value.contains("Z\"") => {
            format!(
                "{name}: \"<time>\"{}",
                if line.ends_with(',') { "," } else { "" }
            )
        }
        Some((name, value)) if value.starts_with("SHA256:") => format!("{name}: \"<key>\""),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What is attested of a landing holds for in-toto's packages, and for ours, away from the server.
#[test]
fn attest_a_landing() {
    let (server, .., head) = landed();
    let there = Elsewhere::with(&server, &head, &["--onto", "main"]);
    there.both(true, "as written");
    let all = ["SLSA_SOURCE_LEVEL_4", "SLSA_SOURCE_TWO_PARTY_REVIEWED"];
    there.in_toto(&there.expected(&all)).accepted().either();
    for level in all {
        there
            .verify(&["--level", level])
            .accepted()
            .says("bob")
            .either();
    }
    // What was not verified is not given.
    let none = there.expected(&["ORG_SOURCE_CI_DEFS_REVIEWED"]);
    there.in_toto(&none).exits(1);
    there
        .verify(&["--level", "ORG_SOURCE_CI_DEFS_REVIEWED"])
        .exits(1);
    let told = there.verify(&["--json"]).accepted().json();
    assert_eq!((&told["ok"], &told["why"]), (&true.into(), &Value::Null));
    assert_eq!(told["statements"].as_array().unwrap().len(), 2);
}

/// The statements have the shape that `docs/attestations.md` shows.
#[test]
fn shapes() {
    let (server, .., head) = landed();
    let statements = Elsewhere::with(&server, &head, &["--svr"]).statements();
    let [review, vsa, svr] = statements.as_slice() else {
        panic!("{statements:?}");
    };
    insta::assert_snapshot!(shape(review), @r#"
    {
      "_type": "https://in-toto.io/Statement/v1",
      "predicate": {
        "admission": {
          "judge": "0.1.0",
          "judgedAt": "<time>",
          "landedAt": "<time>",
          "mode": "enforce",
          "path": "gate",
          "policy": {
            "digest": {
              "sha256": "<sha256>"
            },
            "uri": "git+https://git.example.com/payments@<id>#.countersign"
          },
          "pusher": "alice"
        },
        "approvals": [
          {
            "approver": {
              "annotations": {
                "key": "<key>"
              },
              "name": "bob",
              "uri": "git+https://git.example.com/payments#people/bob"
            },
            "coverage": "identity",
            "evidence": {
              "digest": {
                "gitTag": "<id>",
                "sha256": "<sha256>"
              },
              "name": "signed"
            },
            "log": {
              "index": 1
            },
            "overCommit": {
              "digest": {
                "gitCommit": "<id>"
              }
            },
            "overTree": {
              "digest": {
                "gitTree": "<id>"
              }
            },
            "reviewedAt": "<time>"
          }
        ],
        "contributors": [
          {
            "email": null,
            "name": "alice",
            "roles": [
              "author",
              "committer",
              "signer"
            ]
          }
        ],
        "log": {
          "entry": {
            "digest": {
              "sha256": "<sha256>"
            }
          },
          "index": 2,
          "origin": "git.example.com/payments"
        },
        "mergeTransform": {
          "baseAtMerge": {
            "digest": {
              "gitCommit": "<id>"
            }
          },
          "expectedTree": {
            "digest": {
              "gitTree": "<id>"
            }
          },
          "kind": "identity",
          "parents": [
            {
              "digest": {
                "gitCommit": "<id>"
              }
            }
          ],
          "rawSha256": "<sha256>",
          "replayClean": true,
          "reviewedHead": {
            "annotations": {
              "rawSha256": "<sha256>",
              "reviewedBase": "<id>"
            },
            "digest": {
              "gitCommit": "<id>",
              "gitTree": "<id>"
            }
          },
          "reviewedHeads": [
            {
              "annotations": {
                "rawSha256": "<sha256>",
                "reviewedBase": "<id>"
              },
              "digest": {
                "gitCommit": "<id>",
                "gitTree": "<id>"
              }
            }
          ],
          "strategy": "https://countersign.dev/merge/v1"
        },
        "requirements": [
          {
            "at": ".countersign/policy.toml:16",
            "pathCount": 1,
            "paths": [
              "a.txt"
            ],
            "quorum": [
              "1 of @maintainers"
            ],
            "rule": "two people see every change",
            "satisfiedBy": [
              "bob"
            ]
          }
        ],
        "reviewCoverage": {
          "result": "identity"
        },
        "target": {
          "digest": {
            "gitCommit": "<id>"
          },
          "name": "refs/heads/main",
          "uri": "git+https://git.example.com/payments"
        }
      },
      "predicateType": "https://countersign.dev/source-review/v0.1",
      "subject": [
        {
          "annotations": {
            "sourceRefs": [
              "refs/heads/main"
            ],
            "source_refs": [
              "refs/heads/main"
            ]
          },
          "digest": {
            "gitCommit": "<id>",
            "gitTree": "<id>"
          },
          "name": "refs/heads/main",
          "uri": "git+https://git.example.com/payments@<id>"
        }
      ]
    }
    "#);
    insta::assert_snapshot!(shape(vsa), @r#"
    {
      "_type": "https://in-toto.io/Statement/v1",
      "predicate": {
        "inputAttestations": [
          {
            "digest": {
              "sha256": "<sha256>"
            },
            "uri": "git+https://git.example.com/payments@<id>#source-review"
          },
          {
            "digest": {
              "sha256": "<sha256>"
            },
            "uri": "https://git.example.com/payments/checkpoint"
          }
        ],
        "policy": {
          "digest": {
            "sha256": "<sha256>"
          },
          "uri": "git+https://git.example.com/payments@<id>#.countersign"
        },
        "resourceUri": "git+https://git.example.com/payments",
        "slsaVersion": "1.2",
        "timeVerified": "<time>",
        "verificationResult": "PASSED",
        "verifiedLevels": [
          "SLSA_SOURCE_LEVEL_4",
          "SLSA_SOURCE_TWO_PARTY_REVIEWED"
        ],
        "verifier": {
          "id": "https://countersign.dev/verifier/git.example.com/payments",
          "version": {
            "countersign": "0.1.0"
          }
        }
      },
      "predicateType": "https://slsa.dev/verification_summary/v1",
      "subject": [
        {
          "annotations": {
            "continuity": [
              {
                "level": "SLSA_SOURCE_LEVEL_4",
                "since": "<time>",
                "startIndex": 0,
                "startRevision": "<id>"
              },
              {
                "level": "SLSA_SOURCE_TWO_PARTY_REVIEWED",
                "since": "<time>",
                "startIndex": 0,
                "startRevision": "<id>"
              }
            ],
            "sourceRefs": [
              "refs/heads/main"
            ],
            "source_refs": [
              "refs/heads/main"
            ]
          },
          "digest": {
            "gitCommit": "<id>",
            "gitTree": "<id>"
          },
          "name": "refs/heads/main",
          "uri": "git+https://git.example.com/payments@<id>"
        }
      ]
    }
    "#);
    insta::assert_snapshot!(shape(svr), @r#"
    {
      "_type": "https://in-toto.io/Statement/v1",
      "predicate": {
        "properties": [
          "SLSA_SOURCE_LEVEL_4",
          "SLSA_SOURCE_TWO_PARTY_REVIEWED"
        ],
        "timeCreated": "<time>",
        "verifier": {
          "id": "https://countersign.dev/verifier/git.example.com/payments",
          "policies": [
            {
              "digest": {
                "sha256": "<sha256>"
              },
              "uri": "git+https://git.example.com/payments@<id>#.countersign"
            }
          ]
        }
      },
      "predicateType": "https://in-toto.io/attestation/svr/v0.2",
      "subject": [
        {
          "annotations": {
            "sourceRefs": [
              "refs/heads/main"
            ],
            "source_refs": [
              "refs/heads/main"
            ]
          },
          "digest": {
            "gitCommit": "<id>",
            "gitTree": "<id>"
          },
          "name": "refs/heads/main",
          "uri": "git+https://git.example.com/payments@<id>"
        }
      ]
    }
    "#);
}

/// Each way to land a change is told as what it is, of both object formats.
#[test]
fn ways_to_land() {
    for format in [Format::Sha1, Format::Sha256] {
        let server = Server::of(format, &strict_policy("", PLAIN_RULE), &People::new());
        let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
        let mut start = None;
        for kind in ["identity", "mergeCommit", "squash", "sequence"] {
            alice.onto("origin/main");
            start.get_or_insert_with(|| alice.head());
            let head = approved_topic(&alice, &bob, &format!("{kind}.txt"));
            alice.onto("origin/main");
            let landing = match kind {
                "identity" => head.clone(),
                "mergeCommit" => merge(&alice, &head),
                "squash" => squash(&alice, &head),
                _ => {
                    let other = approved_topic(&alice, &bob, "other.txt");
                    alice.onto("origin/main");
                    merge(&alice, &head);
                    merge(&alice, &other)
                }
            };
            lands(&server, &alice, &landing);
            let there = Elsewhere::with(&server, &landing, &[]);
            there.both(true, kind);
            let statements = there.statements();
            let transform = &statements[0]["predicate"]["mergeTransform"];
            assert_eq!(transform["kind"], kind);
            let only = transform["reviewedHead"]["digest"]["gitCommit"].as_str();
            assert_eq!(only, (kind != "sequence").then_some(head.as_str()));
            let base = transform["baseAtMerge"]["digest"]["gitCommit"]
                .as_str()
                .unwrap();
            let first = alice.git(&["rev-parse", &format!("{landing}^1")]);
            assert!(base == first || kind == "sequence");
            let since = &statements[1]["subject"][0]["annotations"]["continuity"][0];
            assert_eq!(since["startRevision"].as_str(), start.as_deref(), "{kind}");
        }
    }
}

/// Under `every_commit` each step of a push is attested for itself.
#[test]
fn steps_of_a_push() {
    let text = strict_policy("every_commit = true\n", PLAIN_RULE);
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let heads = ["one", "two"].map(|topic| {
        alice.onto("origin/main");
        approved_topic(&alice, &bob, &format!("{topic}.txt"))
    });
    alice.onto("origin/main");
    let base = alice.head();
    let first = merge(&alice, &heads[0]);
    let second = merge(&alice, &heads[1]);
    alice.land(&second).accepted();
    for (landing, head, base) in [(&first, &heads[0], &base), (&second, &heads[1], &first)] {
        let there = Elsewhere::with(&server, landing, &[]);
        there.both(true, "a step");
        let review = &there.statements()[0]["predicate"];
        let transform = &review["mergeTransform"];
        assert_eq!(transform["kind"], "mergeCommit");
        assert_eq!(
            transform["reviewedHead"]["digest"]["gitCommit"],
            head.as_str()
        );
        assert_eq!(review["target"]["digest"]["gitCommit"], base.as_str());
        let level = "ORG_SOURCE_EVERY_COMMIT_REVIEWED";
        there.verify(&["--level", level]).exits(0);
    }
}

/// Nothing is attested of what is not reviewed but that it failed; nobody takes that for a proof.
#[test]
fn what_is_not_reviewed() {
    let (server, alice, bob, head) = landed();
    let base = server.git(&["rev-parse", &format!("{head}^")]);
    let topic = alice.change("c.txt", "three\n");
    alice.share(&topic);
    alice.onto("origin/main");
    alice.change("below.txt", "1\n");
    let below = alice.head();
    let tip = approved_topic(&alice, &bob, "tip.txt");
    alice.land(&tip).accepted();
    let here = Elsewhere::with(&server, &head, &[]);
    for (commit, state) in [
        (&base, "baseline"),
        (&topic, "unknown"),
        (&below, "reachable"),
    ] {
        let outcome = server.cli(&["attest", commit]).exits(1).says(state);
        assert_eq!(outcome.stdout.lines().count(), 1, "{outcome}");
        fs::write(&here.file, &outcome.stdout).unwrap();
        let vsa = &here.statements()[0];
        assert_eq!(vsa["predicate"]["verificationResult"], "FAILED");
        assert_eq!(vsa["predicate"]["verifiedLevels"], json!(["FAILED"]));
        assert_eq!(vsa["subject"][0]["annotations"]["state"], state);
        here.verify(&["--commit", commit])
            .exits(1)
            .says("FAILED")
            .either();
        let mut expected = here.expected(&["SLSA_SOURCE_LEVEL_1"]);
        expected["commit"] = commit.as_str().into();
        // What was never on a ref names none.
        let why = if state == "unknown" {
            "on []"
        } else {
            "FAILED"
        };
        here.in_toto(&expected).exits(1).says(why).either();
        // Where proofs are looked for none is left.
        server.cli(&["attest", commit, "--notes"]).exits(1);
        assert_eq!(server.tip("refs/notes/commits"), None);
    }
    server.cli(&["attest", &"1".repeat(40)]).exits(2);
    server
        .cli(&["attest", &head, "--onto", "release/1"])
        .exits(1);
}

/// Trailers name those whose approvals let it land, and only where it would.
#[test]
fn trailers_name_who_counts() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let head = alice.commit(crate::support::NewCommit {
        files: &[("a.txt", Some("1\n"))],
        message: "a change\n\nReviewed-by: carol <carol@example.com>\n",
        ..crate::support::NewCommit::default()
    });
    alice.share(&head);
    let ask = ["reviews", &head, "--onto", "main", "--trailers"];
    server.cli(&ask).exits(1);
    carol.review("reject", &head, &[]).accepted();
    bob.approve(&head).accepted();
    server.cli(&ask).exits(1);
    carol.review("withdraw", &head, &[]).accepted();
    let told = server.cli(&ask).accepted();
    let by = "Reviewed-by: bob <bob@example.com>\n";
    assert_eq!(told.stdout, format!("{by}Reviewed-on: {REPOSITORY}#2\n"));
    // A clone does not know the log.
    alice.fetch();
    let clone = alice.countersign(&ask).accepted();
    assert_eq!(clone.stdout, by);
    // git takes them for trailers.
    let message = format!("merge\n\n{}", told.stdout);
    let parsed = alice.git_with(&["interpret-trailers", "--parse"], message.as_bytes());
    assert_eq!(parsed, told.stdout.trim());
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", &message, &head]);
    lands(&server, &alice, &alice.head());
    server.cli(&ask).exits(1);
}
