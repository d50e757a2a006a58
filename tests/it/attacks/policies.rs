//! The rules themselves as what is attacked: changed in passing, read elsewhere, broken, rolled back.

use super::{approved_and_refused, not_reviewed, without_fsck};
use crate::push::approved_on_main;
use crate::support::config::{PLAIN_RULE, policy_text};
use crate::support::{
    Checkout, MAIN, NewCommit, People, Server, approved_topic, policy, rule, two_people,
    two_people_under,
};

const POLICY: &str = ".countersign/policy.toml";
const PEOPLE: &str = ".countersign/people.toml";

fn two_of_them() -> String {
    rule("two", "require = [\"2 of @maintainers\"]")
}

fn one_of_them() -> String {
    rule("two", "require = [\"1 of any\"]")
}

/// Sees a text of one of the two files refused with one of `codes`, approvals and all.
#[track_caller]
fn file_refused(at: &(Server, Checkout, Checkout), file: &str, text: &str, codes: &[&str]) {
    let (server, alice, bob) = at;
    alice.onto("origin/main");
    let head = alice.change(file, text);
    approved_and_refused(server, alice, bob, &head, codes);
    not_reviewed(server, &head);
}

/// POL-01: rules that come with the change they are to let through.
#[test]
fn pol_01_policy_in_the_same_push() {
    let (server, alice, bob) = two_people_under(&two_of_them());
    let before = server.main();
    alice.change(POLICY, &policy(&one_of_them()));
    let payload = alice.change("payload.txt", "evil\n");
    alice.share(&payload);
    bob.approve(&payload).accepted();
    alice.land(&payload).refused(&["missing-approvals"]);
    // Nor one commit, nor the policy first and the rest to another branch in one push.
    let tip = server.main();
    alice.git(&["reset", "-q", "--soft", &tip]);
    let at_once = alice.commit(NewCommit::default());
    alice.land(&at_once).refused(&["missing-approvals"]);
    let policy_only = format!("{payload}~1:{MAIN}");
    alice
        .push(&[&policy_only, &format!("{payload}:refs/heads/release/1")])
        .refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &payload);
    server.checkout("carol").approve(&payload).accepted();
    alice.land(&payload).accepted();
}

/// POL-02: a weaker policy at HEAD, in a tag, on another branch, in the pushed commit.
#[test]
fn pol_02_policy_of_another_revision() {
    let (server, alice, bob) = two_people_under(&two_of_them());
    let before = server.main();
    let weak = alice.change(POLICY, &policy(&one_of_them()));
    alice
        .push(&[
            &format!("{weak}:refs/heads/weak"),
            &format!("{weak}:refs/tags/weak"),
        ])
        .accepted();
    server.git(&["symbolic-ref", "HEAD", "refs/heads/weak"]);
    alice.onto("origin/main");
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).refused(&["missing-approvals"]);
    // A release branch that brings a policy of its own is judged by main's.
    let release = "refs/heads/release/1";
    let line = crate::support::checkout::review_message("approve", release, &[]);
    let tag = bob.tag_review(&weak, &line);
    bob.push_review(&tag, &weak, "bob").accepted();
    alice
        .push(&[&format!("{weak}:{release}")])
        .refused(&["missing-approvals"]);
    assert_eq!((server.main(), server.tip(release)), (before, None));
    not_reviewed(&server, &head);
}

/// POL-03: one wrong letter in a line must not be one rule less.
#[test]
fn pol_03_invalid_line() {
    let at = without_fsck();
    let good = policy(PLAIN_RULE);
    for (from, to) in [
        ("@maintainers", "@maintainer"),
        ("@maintainers", "@@maintainers"),
        ("require =", "requires ="),
        ("[[rule]]", "[[rules]]"),
        ("[[rule]]", "[rule]"),
        ("1 of @maintainers", "1 @maintainers"),
        ("refs/heads/release/**", "release/**"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        file_refused(&at, POLICY, &text, &["policy-invalid"]);
    }
}

/// POL-04: a file so large that a reader would leave it out.
#[test]
fn pol_04_padded_policy() {
    let at = without_fsck();
    let padding = "# nothing to see here\n".repeat(3_400_000 / 22);
    let codes = ["policy-invalid", "over-budget"];
    file_refused(&at, POLICY, &(policy(PLAIN_RULE) + &padding), &codes);
    file_refused(&at, PEOPLE, &(People::new().text() + &padding), &codes);
}

/// POL-05: a rule whose owners are nobody, nobody who may approve, or too few.
#[test]
fn pol_05_owners_who_cannot_approve() {
    let at = without_fsck();
    for place in [
        "1 of @ghosts",
        "1 of zed",
        "1 of @nobody",
        "2 of @security",
        "1 of release-bot|zed",
    ] {
        let text = policy(&rule("owned", &format!("require = [\"{place}\"]")));
        file_refused(
            &at,
            POLICY,
            &text,
            &["policy-invalid", "unsatisfiable-rule"],
        );
    }
    let emptied = People::new().teams("maintainers = []\nsecurity = [\"dana\"]\n");
    let codes = ["policy-invalid", "unsatisfiable-rule"];
    file_refused(&at, PEOPLE, &emptied.text(), &codes);
    let only_bots = People::new().teams("maintainers = [\"release-bot\"]\nsecurity = [\"dana\"]\n");
    file_refused(&at, PEOPLE, &only_bots.text(), &codes);
}

/// POL-08: there is no way to write a rule that asks and does not insist.
#[test]
fn pol_08_optional_rules() {
    let at = without_fsck();
    for lines in [
        "optional = true\nrequire = [\"1 of @maintainers\"]",
        "enforced = false\nrequire = [\"1 of @maintainers\"]",
        "require = [\"0 of @maintainers\"]",
        "require = []",
        "owners = { file = \"CODEOWNERS\", dialect = \"gitlab\" }",
    ] {
        let text = policy(&rule("maybe", lines));
        file_refused(
            &at,
            POLICY,
            &text,
            &["policy-invalid", "unsatisfiable-rule"],
        );
    }
}

/// POL-09: pipelines that run on any branch, where the policy says so, are reviewed on any branch.
#[test]
fn pol_09_every_branch() {
    let rules = format!(
        "{PLAIN_RULE}{}",
        rule(
            "pipelines",
            "class = [\"pipeline\"]\nrequire = [\"1 of dana\"]"
        )
    );
    let text = policy(&rules).replace("refs/heads/release/**", "refs/heads/**");
    let server = Server::with(&text, &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    let evil = alice.change(".github/workflows/ci.yml", "on: push\n");
    for name in ["refs/heads/x", "refs/heads/a/b/c"] {
        alice
            .push(&[&format!("{evil}:{name}")])
            .refused(&["missing-approvals"])
            .says("pipelines");
        assert_eq!(server.tip(name), None);
    }
    // It is parked for review where no pipeline runs.
    let parked = "refs/countersign/proposals/alice/ci";
    alice.push(&[&format!("{evil}:{parked}")]).accepted();
    bob.approve_fetched(&server, parked).accepted();
    alice.land(&evil).refused(&["missing-approvals"]);
    not_reviewed(&server, &evil);
}

/// POL-10: an approval from the time of other rules is weighed by the rules in force.
#[test]
fn pol_10_no_state_but_the_policy() {
    let (server, alice, bob) = two_people();
    let carol = server.checkout("carol");
    let head = approved_topic(&alice, &bob, "a.txt");
    carol.onto("origin/main");
    let stricter = carol.change(POLICY, &policy(&two_of_them()));
    carol.share(&stricter);
    bob.review("approve", &stricter, &[&format!("Keeps: {head}")])
        .accepted();
    carol.land(&stricter).accepted();
    alice.onto("origin/main");
    alice.git(&["merge", "-q", "--no-ff", "-m", "land", &head]);
    let merged = alice.head();
    alice.land(&merged).refused(&["missing-approvals"]);
    assert_eq!(server.main(), stricter);
    not_reviewed(&server, &merged);
    carol.approve(&head).accepted();
    alice.land(&merged).accepted();
}

/// POL-13: texts that two parsers read differently.
#[test]
fn pol_13_parser_differentials() {
    let at = without_fsck();
    let good = policy(PLAIN_RULE);
    let require = "require = [\"1 of @maintainers\"]\n";
    for text in [
        good.replace(require, &format!("{require}require = [\"1 of any\"]\n")),
        good.replace(require, &format!("{require}\"require\" = [\"1 of any\"]\n")),
        good.replace("version = 1\n", "version = 1\nversion = 1\n"),
        format!("\u{feff}{good}"),
        format!("{good}\0"),
        good.replace('\n', "\r"),
        format!("{good}\n[rule]\nname = \"x\"\n"),
        format!("{good}\nrule.x = 1\n"),
        good.replace("version = 1", "version = 1.0"),
        good.replace("version = 1", "version: 1"),
    ] {
        file_refused(&at, POLICY, &text, &["policy-invalid"]);
    }
    let people = People::new().text();
    for text in [
        format!("{people}maintainers = [\"bob\"]\n"),
        format!("{people}\n[people.bob]\nemails = []\n"),
        format!("\u{feff}{people}"),
    ] {
        file_refused(&at, PEOPLE, &text, &["policy-invalid"]);
    }
}

/// POL-14: the older policy again: as the ref's old value, or as a change of its own.
#[test]
fn pol_14_policy_rollback() {
    let (server, alice, bob) = two_people();
    let (carol, old) = (server.checkout("carol"), server.main());
    let stricter = alice.change(POLICY, &policy(&two_of_them()));
    alice.share(&stricter);
    bob.approve(&stricter).accepted();
    alice.land(&stricter).accepted();

    alice
        .push(&[&format!("+{old}:{MAIN}")])
        .refused(&["rewound-branch"]);
    alice.onto("origin/main");
    alice.git(&["revert", "--no-edit", "HEAD"]);
    let back = alice.head();
    alice.share(&back);
    bob.approve(&back).accepted();
    // The stricter one is in force until it is gone.
    alice.land(&back).refused(&["missing-approvals"]);
    assert_eq!(server.main(), stricter);
    not_reviewed(&server, &back);
    carol.approve(&back).accepted();
    alice.land(&back).accepted();
}

/// POL-15: a threshold lowered, a rule dropped or a ref left out, in passing.
#[test]
fn pol_15_quiet_weakening() {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of @maintainers\"]"),
        rule(
            "policy",
            "class = [\"policy\"]\nrequire = [\"1 of dana\", \"2 of @maintainers\"]"
        )
    );
    let (server, alice, bob) = two_people_under(&rules);
    let before = server.main();
    let whole = policy(&rules);
    let without_rule = policy(&rule("all", "require = [\"1 of @maintainers\"]"));
    for weaker in [
        whole.replace("2 of @maintainers", "1 of @maintainers"),
        without_rule,
        whole.replace("\"refs/heads/main\", ", ""),
        policy_text("", "mode = \"dry-run\"", &rules),
        policy_text("", "rewind = \"allow\"", &rules),
    ] {
        alice.onto("origin/main");
        alice.write(&[("b.txt", Some("a change\n"))]);
        let head = alice.change(POLICY, &weaker);
        alice.share(&head);
        bob.approve(&head).accepted();
        alice
            .land(&head)
            .refused(&["missing-approvals"])
            .says("policy");
        not_reviewed(&server, &head);
    }
    assert_eq!(server.main(), before);
    let harmless = approved_on_main(&alice, &bob, "a.txt");
    alice.land(&harmless).accepted();
}
