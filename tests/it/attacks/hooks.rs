//! What keeps the hook from running, feeds it something else, or comes between its word and the ref.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::not_reviewed;
use crate::push::approved_on_main;
use crate::support::checkout::review_message;
use crate::support::ssh::SshServer;
use crate::support::{Checkout, MAIN, Outcome, Server, approved_topic, two_people};

/// Writes an executable shell script below the repository's hooks.
fn script(server: &Server, name: &str, body: &str) -> PathBuf {
    let path = server.repo().join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Pushes past a hook that git skips, and sees that the record gives the change away and that
/// nothing builds on it once the hook is back.
#[track_caller]
fn detected(server: &Server, alice: &Checkout, back: impl FnOnce()) {
    let good = server.main();
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    let size = server.log_size();
    alice.land(&evil).accepted();
    assert_eq!((server.main(), server.log_size()), (evil.clone(), size));
    not_reviewed(server, &evil);
    server.cli(&["verify", "history"]).exits(1);
    server.cli(&["log", "reconcile"]).exits(1).says(MAIN);
    back();
    alice.fetch();
    let next = alice.change("next.txt", "new\n");
    alice.land(&next).refused(&["unknown-tip"]);
    assert_eq!(server.main(), evil);
    server.git(&["update-ref", MAIN, &good]);
    server.cli(&["log", "reconcile"]).exits(0);
}

/// Pushes past `pre-receive` alone, and sees that the ref gate holds it up.
#[track_caller]
fn held_at_the_ref(server: &Server, alice: &Checkout) {
    let good = server.main();
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    alice.land(&evil).refused(&["missing-approvals"]);
    assert_eq!(server.main(), good);
}

/// HOOK-01: a hook without its executable bit, which git skips.
#[test]
fn hook_01_no_executable_bit() {
    let (server, alice, _) = two_people();
    let hook = server.repo().join("hooks/pre-receive");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
    held_at_the_ref(&server, &alice);
    let second = server.repo().join("hooks/reference-transaction");
    fs::set_permissions(&second, fs::Permissions::from_mode(0o644)).unwrap();
    detected(&server, &alice, || {
        server.enroll(&[]).accepted();
    });
    assert_eq!(
        fs::metadata(hook).unwrap().permissions().mode() & 0o777,
        0o755
    );
}

/// HOOK-02: a hook that is gone, empty, or a link to nowhere.
#[test]
fn hook_02_missing_empty_or_dangling() {
    let (server, alice, _) = two_people();
    let hook = server.repo().join("hooks/pre-receive");
    let break_it: [&dyn Fn(&Path); 3] = [
        &|hook| fs::remove_file(hook).unwrap(),
        &|hook| fs::write(hook, "").unwrap(),
        &|hook| {
            fs::remove_file(hook).unwrap();
            std::os::unix::fs::symlink("/nonexistent", hook).unwrap();
        },
    ];
    let second = server.repo().join("hooks/reference-transaction");
    for broken in break_it {
        let texts = [&hook, &second].map(|hook| (hook, fs::read(hook).unwrap()));
        broken(&hook);
        held_at_the_ref(&server, &alice);
        broken(&second);
        detected(&server, &alice, || {
            for (hook, text) in texts {
                fs::remove_file(hook).ok();
                fs::write(hook, text).unwrap();
                fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
            }
        });
    }
    // A hook whose binary is gone refuses, by git's own doing.
    let text = fs::read_to_string(&hook).unwrap();
    fs::write(&hook, text.replace("/countersign'", "/gone/countersign'")).unwrap();
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    alice.land(&evil).refused(&[]);
    assert_ne!(server.main(), evil);
}

/// HOOK-03: configuration that has git look for its hooks elsewhere, or switches them off.
#[test]
fn hook_03_hooks_path() {
    let (server, alice, _) = two_people();
    server.git(&["config", "core.hooksPath", "/nonexistent"]);
    let refused = server.enroll(&[]).refused(&[]).says("core.hooksPath");
    let command = format!(
        "git config --file {}/config --unset-all core.hooksPath",
        server.repo().canonicalize().unwrap().display()
    );
    assert!(refused.stderr.contains(&command), "{refused}");
    detected(&server, &alice, || {
        server.git(&["config", "--unset", "core.hooksPath"]);
    });
    server.git(&["config", "hook.pre-receive.enabled", "false"]);
    server.enroll(&[]).refused(&[]).says("hook.pre-receive");
}

/// What a pusher may have in their environment, if the host's sshd lets it through.
const THEIRS: [(&str, &str); 12] = [
    ("GIT_CONFIG_COUNT", "3"),
    ("GIT_CONFIG_KEY_0", "extensions.worktreeConfig"),
    ("GIT_CONFIG_VALUE_0", "true"),
    ("GIT_CONFIG_KEY_1", "core.worktree"),
    ("GIT_CONFIG_VALUE_1", "/nonexistent"),
    ("GIT_CONFIG_KEY_2", "gpg.ssh.program"),
    ("GIT_CONFIG_VALUE_2", "/bin/true"),
    ("GIT_REPLACE_REF_BASE", "refs/tags/"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_SHALLOW_FILE", "/dev/null"),
    ("GIT_ATTR_SOURCE", "HEAD"),
    ("GIT_PUSH_CERT_SIGNER", "bob"),
];

/// HOOK-05: variables of git's own from the pusher's side, past the transport.
#[test]
fn hook_05_git_environment() {
    let (server, alice, bob) = two_people();
    let good = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    alice.share(&evil);
    let set: Vec<String> = THEIRS
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let receive = format!("--receive-pack=env {} git-receive-pack", set.join(" "));
    let land = |head: &str| alice.try_git(&["push", &receive, "origin", &format!("{head}:{MAIN}")]);
    // As if `evil` were replaced by the reviewed change.
    server.git(&["tag", &evil, &good]);
    land(&evil).refused(&["missing-approvals"]);
    assert_ne!(server.main(), evil);
    not_reviewed(&server, &evil);
    land(&good).accepted();
    server.cli(&["verify", "commit", &good]).exits(0);
}

/// HOOK-05: over ssh an unchanged sshd lets none of it in, the name of the pusher neither.
#[test]
fn hook_05_git_environment_over_ssh() {
    let (server, alice, bob) = two_people();
    let good = approved_topic(&alice, &bob, "a.txt");
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    alice.share(&evil);
    let Some(sshd) = SshServer::start(&server) else {
        return;
    };
    let send = |who: &'static str| {
        let plain = sshd.checkout(&server, who);
        let ssh = plain.command("sh");
        let ssh = ssh
            .get_envs()
            .find(|(name, _)| *name == "GIT_SSH_COMMAND")
            .and_then(|(_, value)| value)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        plain
            .env(
                "GIT_SSH_COMMAND",
                &format!("{ssh} -o SendEnv=GIT_* -o SendEnv=COUNTERSIGN_PUSHER"),
            )
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "core.hooksPath")
            .env("GIT_CONFIG_VALUE_0", "/nonexistent")
            .env("COUNTERSIGN_PUSHER", "alice")
    };
    let there = send("alice");
    there.fetch();
    there.land(&evil).refused(&["missing-approvals"]);
    let stranger = send("mallory");
    stranger.fetch();
    stranger.land(&good).refused(&["unknown-pusher"]);
    assert_ne!(server.main(), evil);
    there.land(&good).accepted();
}

/// HOOK-07: a forge's web editor or API writes the ref without any hook for pushes.
#[test]
fn hook_07_written_by_an_api() {
    let (server, alice, bob) = two_people();
    let good = server.main();
    let evil = alice.change("evil.txt", "evil\n");
    alice.share(&evil);
    server.git(&["update-ref", MAIN, &evil]);
    not_reviewed(&server, &evil);
    server.cli(&["log", "reconcile"]).exits(1);
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).refused(&["unknown-tip"]);
    server.git(&["update-ref", MAIN, &good]);
}

/// HOOK-08: a program in between that reads the lines meant for the judge, or closes its eyes.
#[test]
fn hook_08_swallowed_input() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    for (name, body) in [
        ("10-greedy", "cat >/dev/null"),
        (
            "20-batch",
            "while read old new ref; do git cat-file --batch-check >/dev/null; done",
        ),
        ("30-deaf", "exec <&-; exit 0"),
    ] {
        script(&server, &format!("pre-receive.d/{name}"), body);
    }
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    // Sorted before main, so that a loop that loses the rest sees only this one.
    let refs = ["refs/heads/aaa", "refs/heads/bbb", MAIN].map(|name| format!("{evil}:{name}"));
    let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
    alice.push(&refs).refused(&["missing-approvals"]);
    assert_eq!(
        (server.main(), server.tip("refs/heads/aaa")),
        (before, None)
    );
    let head = approved_on_main(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
}

/// HOOK-09: with the objects there already under another ref, nothing is new to `--not --all`.
#[test]
fn hook_09_staged_on_another_ref() {
    let (server, alice, _) = two_people();
    let before = server.main();
    alice.change("evil.txt", "evil\n");
    let evil = alice.change("b.txt", "harmless\n");
    for name in ["refs/heads/feature", "refs/tags/x", "refs/pull/7/head"] {
        alice.push(&[&format!("{evil}:{name}")]).accepted();
    }
    let new = server.git(&["rev-list", "--count", &evil, "--not", "--all"]);
    assert_eq!(new, "0");
    alice
        .land(&evil)
        .refused(&["missing-approvals"])
        .says("2 commits");
    assert_eq!(server.main(), before);
    not_reviewed(&server, &evil);
}

/// HOOK-11: what the gate accepted and another hook then refused is on record nowhere.
#[test]
fn hook_11_phantom_record() {
    let (server, alice, bob) = two_people();
    let (before, head) = (server.main(), approved_topic(&alice, &bob, "a.txt"));
    let size = server.log_size();
    let update = script(&server, "update", "exit 1");
    alice.land(&head).refused(&[]);
    assert_eq!((server.main(), server.log_size()), (before, size));
    not_reviewed(&server, &head);
    fs::remove_file(update).unwrap();
    alice.land(&head).accepted();
    server.cli(&["verify", "commit", &head]).exits(0);
    server.cli(&["log", "reconcile"]).exits(0);
}

/// HOOK-12: the approval is withdrawn between the gate's word and the move of the ref.
#[test]
fn hook_12_withdrawn_in_between() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    let tag = bob.tag_review(&head, &review_message("withdraw", MAIN, &[]));
    // Between the two hooks git runs `update` for each ref.
    let body = format!(
        "[ \"$1\" = {MAIN} ] || exit 0\n\
         exec env -i PATH=\"$PATH\" HOME=/nonexistent COUNTERSIGN_PUSHER=bob GIT_CONFIG_NOSYSTEM=1 \
         git -C '{}' push -q origin {tag}:refs/countersign/reviews/{head}/bob-too-late >&2",
        bob.dir().display()
    );
    script(&server, "update", &body);
    let before = server.main();
    // The second gate asks again.
    alice.land(&head).refused(&["missing-approvals"]);
    assert_eq!(server.main(), before);
    let log = server.cli(&["log", "show", "--json"]).stdout;
    assert!(log.contains(&tag), "the withdrawal is on record: {log}");
    not_reviewed(&server, &head);
}

/// HOOK-13: one decision for all refs of a push; what git then leaves out is not on record.
#[test]
fn hook_13_part_of_a_push() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    let head = approved_topic(&alice, &bob, "a.txt");
    let (to_main, to_release) = (
        format!("{head}:{MAIN}"),
        format!("{head}:refs/heads/release/1"),
    );
    // The release is approved by nobody, so main does not move either.
    alice
        .push(&[&to_main, &to_release])
        .refused(&["missing-approvals"]);
    assert_eq!(
        (server.main(), server.tip("refs/heads/release/1")),
        (before.clone(), None)
    );

    let tag = bob.tag_review(
        &head,
        &review_message("approve", "refs/heads/release/1", &[]),
    );
    bob.push_review(&tag, &head, "bob-release").accepted();
    let update = script(&server, "update", &format!("[ \"$1\" != {MAIN} ]"));
    alice.push(&[&to_main, &to_release]).refused(&[]);
    assert_eq!(server.main(), before);
    assert_eq!(server.tip("refs/heads/release/1").as_ref(), Some(&head));
    server
        .cli(&["verify", "commit", &head, "--onto", MAIN])
        .exits(1);
    server
        .cli(&["verify", "commit", &head, "--onto", "refs/heads/release/1"])
        .exits(0);
    fs::remove_file(update).unwrap();
    server.cli(&["log", "reconcile"]).exits(0);
    alice.push(&[&to_main]).accepted();
    server.cli(&["verify", "history"]).exits(0);
}

/// HOOK-14: too big, too long, or dead in the middle is never a yes.
#[test]
fn hook_14_limits_and_deaths_refuse() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    alice.write(&[("b.txt", Some("b\n")), ("c.txt", Some("c\n"))]);
    let head = approved_topic(&alice, &bob, "a.txt");
    let settings = server.record("server.toml");
    let good = fs::read_to_string(&settings).unwrap();
    for limit in [
        "paths = 2",
        "seconds = 0",
        "objects = 1",
        "bytes = 1",
        "refs = 0",
    ] {
        fs::write(&settings, format!("{good}\n[limits]\n{limit}\n")).unwrap();
        alice.land(&head).refused(&[]);
        assert_eq!(server.main(), before, "{limit}");
    }
    fs::write(&settings, format!("{good}\n[limits]\npaths = 2\n")).unwrap();
    alice.land(&head).refused(&["over-budget"]);
    fs::write(&settings, good).unwrap();

    let dies = script(&server, "pre-receive.d/10-dies", "kill -9 $PPID");
    alice.land(&head).refused(&[]);
    assert_eq!(server.main(), before);
    not_reviewed(&server, &head);
    fs::remove_file(dies).unwrap();
    alice.land(&head).accepted();
}

/// HOOK-15: push options ask for a way round, spell other options, or come without end.
#[test]
fn hook_15_push_options() {
    let (server, alice, bob) = two_people();
    let before = server.main();
    server.git(&["config", "receive.advertisePushOptions", "true"]);
    let evil = alice.change("evil.txt", "evil\n");
    let land = format!("{evil}:{MAIN}");
    for option in [
        "breakglass=yes",
        "x;countersign.skip=true",
        "COUNTERSIGN_PUSHER=bob",
        "ci.skip",
        "--mode=dry-run",
    ] {
        alice
            .try_git(&["push", "-o", option, "origin", &land])
            .refused(&["missing-approvals"]);
    }
    // What git's own client would not send.
    let line = format!("{before} {evil} {MAIN}\n");
    alice.share(&evil);
    for (count, value) in [
        ("1", "a\nb=c"),
        ("99999999999999999999", "x"),
        ("-1", "x"),
        ("x", ""),
    ] {
        let mut command = server.countersign(&["hook", "pre-receive"]);
        command
            .current_dir(server.repo())
            .env("GIT_DIR", ".")
            .env("COUNTERSIGN_PUSHER", "alice")
            .env("GIT_PUSH_OPTION_COUNT", count)
            .env("GIT_PUSH_OPTION_0", value);
        Outcome::of(&mut command, line.as_bytes()).refused(&["missing-approvals"]);
    }
    assert_eq!(server.main(), before);
    not_reviewed(&server, &evil);
    let head = approved_on_main(&alice, &bob, "a.txt");
    alice
        .try_git(&[
            "push",
            "-o",
            "reject=me",
            "origin",
            &format!("{head}:{MAIN}"),
        ])
        .accepted();
}

/// HOOK-18: a repository nobody enrolled judges nothing, and no record speaks for it.
#[test]
fn hook_18_not_enrolled() {
    use crate::support::Format;
    let (enrolled, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    let other = Server::bare(Format::Sha1);
    alice
        .try_git(&["push", &other.url(), &format!("{head}:{MAIN}")])
        .accepted();
    other.cli(&["verify", "commit", &head]).refused(&[]);
    other.cli(&["verify", "history"]).refused(&[]);
    enrolled.cli(&["verify", "commit", &head]).exits(0);
}

/// HOOK-20: an old value of zeros, or any other, does not make main a new ref: the record's counts.
#[test]
fn hook_20_old_value_is_not_believed() {
    let (server, alice, bob) = two_people();
    let head = approved_topic(&alice, &bob, "a.txt");
    alice.land(&head).accepted();
    alice.onto("origin/main");
    let evil = alice.change("evil.txt", "evil\n");
    alice.share(&evil);
    let zero = "0".repeat(40);
    for old in [&zero, &evil, &"1".repeat(40)] {
        let line = format!("{old} {evil} {MAIN}\n");
        server.hook("pre-receive", line.as_bytes()).refused(&[]);
    }
    // Back to the start it is a rewind, whatever the line calls it.
    let genesis = server.git(&["rev-parse", &format!("{head}~1")]);
    let line = format!("{zero} {genesis} {MAIN}\n");
    server
        .hook("pre-receive", line.as_bytes())
        .refused(&["rewound-branch"]);
    server.cli(&["log", "reconcile"]).exits(0);
    not_reviewed(&server, &evil);
}

/// HOOK-21: programs, configuration and a home of the pusher's own, all of which say yes.
#[test]
fn hook_21_ambient_programs_and_configuration() {
    let (server, alice, bob) = two_people();
    let mallory = server.checkout("mallory");
    let head = alice.change("evil.txt", "evil\n");
    alice.share(&head);
    let forged = mallory.tag_review(&head, &review_message("approve", MAIN, &[]));
    let text = crate::support::objects::raw(&mallory, &forged);
    crate::support::objects::write(&alice, "tag", text.as_bytes());

    let folder = server.folder().join("evil-bin");
    fs::create_dir_all(&folder).unwrap();
    let asked = folder.join("asked");
    for name in ["ssh-keygen", "gpg", "gpgsm", "countersign", "yes-man"] {
        let path = folder.join(name);
        let body = format!(
            "#!/bin/sh\necho \"$0\" >>'{}'\necho 'Good \"git\" signature for bob'\n\
             echo '[GNUPG:] GOODSIG 1 bob'\nexit 0\n",
            asked.display()
        );
        fs::write(&path, body).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = folder.join(".gitconfig");
    let program = folder.join("yes-man");
    fs::write(
        &config,
        format!(
            "[core]\n\tfsmonitor = {0}\n[gpg \"ssh\"]\n\tprogram = {0}\n[gpg]\n\tprogram = {0}\n\
             [diff]\n\texternal = {0}\n[safe]\n\tdirectory = *\n[credential]\n\thelper = {0}\n",
            program.display()
        ),
    )
    .unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let evil = format!(
        "--receive-pack=env HOME={} XDG_CONFIG_HOME={0} GIT_CONFIG_GLOBAL={} PATH={path} git-receive-pack",
        folder.display(),
        config.display()
    );
    let push = |refspec: &str| alice.try_git(&["push", &evil, "origin", refspec]);
    push(&format!("{forged}:refs/countersign/reviews/{head}/bob")).refused(&["unknown-signer"]);
    push(&format!("{head}:{MAIN}")).refused(&["missing-approvals"]);
    assert_ne!(server.main(), head);
    not_reviewed(&server, &head);
    bob.approve(&head).accepted();
    push(&format!("{head}:{MAIN}")).accepted();
    assert!(!asked.exists(), "asked: {:?}", fs::read_to_string(asked));
}
