//! `countersign generate`: pages that render, completions that shells take, schemas that are true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use countersign::judge::verdict::Code;
use countersign::people::People;
use countersign::policy::Policy;
use serde_json::Value;

use crate::support::outcome::Outcome;
use crate::support::server::scrubbed;
use crate::support::{approved_topic, two_people};

fn generate(args: &[&str]) -> Outcome {
    let home = tempfile::tempdir().unwrap();
    let mut command = scrubbed(env!("CARGO_BIN_EXE_countersign"), home.path());
    command.arg("generate").args(args);
    Outcome::of(&mut command, b"")
}

/// Pages go into a folder that is there, and what is printed are the names of the files.
#[test]
fn man_pages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let names = generate(&["man", path]).exits(0).stdout;
    let written: BTreeSet<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let printed: BTreeSet<String> = names.lines().map(str::to_owned).collect();
    assert_eq!(printed, written);
    assert!(written.contains("git-countersign.1") && written.contains("countersign-init.1"));
    let all: String = written
        .iter()
        .map(|name| fs::read_to_string(folder.path().join(name)).unwrap())
        .collect();
    assert_eq!(generate(&["man"]).exits(0).stdout, all);
    generate(&["man", &format!("{path}/missing")]).exits(2);
    for name in &written {
        let mut command = Command::new("groff");
        command
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(folder.path().join(name));
        let outcome = Outcome::of(&mut command, b"").exits(0);
        assert_eq!(outcome.stderr, "", "{name}");
    }
}

/// Each shell has a script that names the commands.
#[test]
fn completions() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = generate(&["completions", shell]).exits(0).stdout;
        for word in ["enroll", "init", "allowed-signers", "--onto"] {
            let word = match shell {
                "fish" => word.trim_start_matches("--"),
                _ => word,
            };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    generate(&["completions", "cmd"]).exits(2);
}

/// Three shells complete a command by their scripts; PowerShell is in no package there is.
#[test]
fn shells_complete() {
    let folder = tempfile::tempdir().unwrap();
    let run = |shell: &str, program: &[&str], input: &str| {
        let script = generate(&["completions", shell]).exits(0).stdout;
        fs::write(folder.path().join("script"), script).unwrap();
        let mut command = scrubbed(program[0], folder.path());
        command.args(&program[1..]).current_dir(folder.path());
        Outcome::of(&mut command, input.as_bytes()).exits(0)
    };
    let ask = ". ./script\nCOMP_WORDS=(countersign enr) COMP_CWORD=1\n\
               _countersign countersign enr countersign\necho \"${COMPREPLY[@]}\"\n";
    assert_eq!(run("bash", &["bash", "-s"], ask).line(), "enroll");
    let ask = "source ./script; complete -C 'countersign enr'";
    let told = run("fish", &["fish", "--no-config", "-c", ask], "").line();
    assert!(told.starts_with("enroll\t"), "{told}");
    // zsh completes at a terminal alone: what is typed there runs as a function of that name.
    let typed = "autoload -U compinit; compinit -u -D\nsource ./script\n\
                 countersign() { print got:$* }\ncountersign enr\t\nexit\n";
    let terminal = ["script", "-qec", "zsh -f -i", "/dev/null"];
    run("zsh", &terminal, typed).says("got:enroll\r\n");
}

fn schema(of: &str) -> Value {
    generate(&["schema", of]).exits(0).json()
}

/// The keys of a table of a schema.
fn keys(table: &Value) -> BTreeSet<String> {
    assert_eq!(table["additionalProperties"], false, "{table}");
    table["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

/// What the reader says it knows where an unknown key stands.
fn known(message: &str) -> BTreeSet<String> {
    let (_, list) = message
        .split_once("known here: ")
        .unwrap_or_else(|| panic!("{message}"));
    list.split(", ").map(str::to_owned).collect()
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7jRpllicTB7b6Yh1wUDmeEc1Nsb0eHHKljo5Sg3VNG";

/// In every table the schemas name the keys that the readers read, no more and no fewer.
#[test]
fn schemas_have_the_readers_keys() {
    let (policy, people) = (schema("policy"), schema("people"));
    let persons = People::parse(b"[people.alice]\n", &|_| None).unwrap();
    let head = "version = 1\nrepository = \"x\"\n";
    for (text, table) in [
        ("zz = 1\n", &policy),
        ("[[ref]]\nzz = 1\n", &policy["$defs"]["ref"]),
        ("[[rule]]\nzz = 1\n", &policy["$defs"]["rule"]),
        (
            "[hidden_content]\nzz = 1\n",
            &policy["properties"]["hidden_content"],
        ),
    ] {
        let text = format!("{head}{text}");
        let error = Policy::parse(text.as_bytes(), &persons).unwrap_err();
        assert_eq!(keys(table), known(&error.message), "{text}");
    }
    let classes = &policy["properties"]["classes"];
    for class in keys(classes) {
        let text = format!("{head}[classes]\n{class} = [\"a\"]\n");
        Policy::parse(text.as_bytes(), &persons).unwrap();
    }
    let ca = format!("[people.a]\n[[ca]]\nssh = \"{KEY}\"\nprincipals = {{ p = \"a\" }}\n");
    for (text, table) in [
        ("zz = 1\n".to_owned(), &people),
        (
            "[people.a]\nzz = 1\n".to_owned(),
            &people["$defs"]["person"],
        ),
        (
            "[people.a]\naccounts = { zz = 1 }\n".to_owned(),
            &people["$defs"]["person"]["properties"]["accounts"],
        ),
        (
            "[people.a]\nkeys = [{ zz = 1 }]\n".to_owned(),
            &people["$defs"]["key"],
        ),
        (format!("{ca}zz = 1\n"), &people["$defs"]["ca"]),
        (
            format!("{ca}revocations = [{{ zz = 1 }}]\n"),
            &people["$defs"]["revocation"],
        ),
    ] {
        let error = People::parse(text.as_bytes(), &|_| None).unwrap_err();
        assert_eq!(keys(table), known(&error.message), "{text}");
    }
}

/// Where the schemas list words, the readers take each of them and say the same ones of another.
#[test]
fn schemas_have_the_readers_words() {
    let (policy, people) = (schema("policy"), schema("people"));
    let persons = People::parse(b"[people.alice]\n", &|_| None).unwrap();
    let head = "version = 1\nrepository = \"x\"\n";
    let reads = |text: String| Policy::parse(format!("{head}{text}").as_bytes(), &persons).err();
    let rule = "[[rule]]\nname = \"r\"\nrequire = [\"1 of any\"]\n";
    let branch = "[[ref]]\nmatch = [\"refs/heads/x\"]\n";
    let mut checked = 0;
    for (table, start) in [("ref", branch), ("rule", rule)] {
        for (key, value) in policy["$defs"][table]["properties"].as_object().unwrap() {
            let Some(words) = value["enum"].as_array() else {
                continue;
            };
            let error = reads(format!("{start}{key} = \"zz\"\n")).unwrap().message;
            for word in words {
                assert!(
                    reads(format!("{start}{key} = {word}\n")).is_none(),
                    "{key} {word}"
                );
                assert!(error.contains(&word.to_string()), "{error}");
            }
            assert_eq!(error.matches(" or ").count() + 1, words.len(), "{error}");
            checked += 1;
        }
    }
    assert_eq!(checked, 5);
    for word in people["$defs"]["person"]["properties"]["kind"]["enum"]
        .as_array()
        .unwrap()
    {
        let text = format!("[people.a]\nkind = {word}\n[people.b]\n");
        People::parse(text.as_bytes(), &|_| None).unwrap();
    }
}

/// A verdict as it is printed is one by its schema, and everything the schema names is in one.
#[test]
fn verdicts_are_of_their_schema() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, ".github/workflows/ci.yml");
    let schema = schema("verdict");
    let mut seen = BTreeMap::new();
    for (commit, person) in [(head.as_str(), "alice"), (head.as_str(), "mallory")] {
        let verdict = server.check_json(commit, "main", person);
        holds(&schema, &schema, &verdict, &mut seen);
    }
    alice.change("b.txt", "unreviewed\n");
    let verdict = server.check_json(&head_shared(&alice), "main", "alice");
    holds(&schema, &schema, &verdict, &mut seen);
    for table in ["update", "contributor", "approval", "finding"] {
        assert!(seen.contains_key(table), "{table}: {seen:?}");
    }
    // Codes are said to be strings only: each one is a word of the one alphabet.
    assert!(Code::ALL.iter().all(|code| !code.as_str().contains(' ')));
}

fn head_shared(alice: &crate::support::Checkout) -> String {
    let head = alice.head();
    alice.share(&head);
    head
}

/// Asserts that a value is of a schema: the keywords that ours use.
fn holds(root: &Value, schema: &Value, value: &Value, seen: &mut BTreeMap<String, usize>) {
    for (keyword, wanted) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$ref" => {
                let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                *seen.entry(name.to_owned()).or_default() += 1;
                holds(root, &root["$defs"][name], value, seen);
            }
            "const" => assert_eq!(value, wanted),
            "enum" => assert!(
                wanted.as_array().unwrap().contains(value),
                "{value}: {wanted}"
            ),
            "type" => {
                let kinds = match wanted {
                    Value::Array(kinds) => kinds.clone(),
                    one => vec![one.clone()],
                };
                let kind = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "integer",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                assert!(kinds.contains(&kind.into()), "{value}: {wanted}");
            }
            "items" => {
                for item in value.as_array().unwrap() {
                    holds(root, wanted, item, seen);
                }
            }
            "properties" => {
                let found: BTreeSet<&String> = value.as_object().unwrap().keys().collect();
                assert_eq!(found, wanted.as_object().unwrap().keys().collect());
                for (key, schema) in wanted.as_object().unwrap() {
                    holds(root, schema, &value[key], seen);
                }
            }
            "minimum" => assert!(value.as_i64() >= wanted.as_i64()),
            "pattern" => {
                let hex = value.as_str().unwrap();
                assert!(
                    [40, 64].contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit())
                );
            }
            // All that is named is there: see `properties`.
            "required" | "additionalProperties" => {}
            "$schema" | "$defs" | "title" | "description" => {}
            other => panic!("a keyword this does not know: {other}"),
        }
    }
}

/// The templates are the schemas that are printed, and refer to nothing that is not in them.
#[test]
fn schemas_are_whole() {
    for of in ["policy", "people", "verdict"] {
        let path = format!("templates/schema/{of}.json");
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        assert_eq!(generate(&["schema", of]).exits(0).stdout, text);
        let schema = schema(of);
        for part in text.split("\"#/$defs/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schema["$defs"].get(name).is_some(), "{of}: {name}");
        }
    }
}
