//! Forgejo and Gitea, by the layout that their sources write: a script for each hook runs every file of
//! `<hook>.d/`, the forge's own among them.
//!
//! The forge itself is not run here: its hook is one that insists on the forge's environment.

use std::fs;
use std::path::Path;

use super::{BY_ALICE, last, main_job, open};
use crate::audit::chmod;
use crate::support::config::PLAIN_RULE;
use crate::support::{Checkout, Format, MAIN, People, Server, policy};

/// Runs every hook of the folder to its end, then refuses if one did.
const DELEGATE: &str = "#!/usr/bin/env bash
data=$(cat)
failed=0
for hook in \"FOLDER/$(basename \"$0\").d\"/*; do
  [ -x \"$hook\" ] && [ -f \"$hook\" ] || continue
  printf '%s\\n' \"$data\" | \"$hook\" || failed=1
done
exit $failed
";

/// What the forge's own hook asks for: that the push came through the forge.
const OWN: &str = "#!/usr/bin/env bash
[ -n \"$GITEA_REPO_ID\" ] && [ -n \"$SSH_ORIGINAL_COMMAND\" ]
";

/// Writes the hooks as the forge does when a repository is made, and whenever it renews them.
fn write_hooks(repo: &Path, folder: &str) {
    for name in ["pre-receive", "update", "post-receive", "proc-receive"] {
        let hook = repo.join("hooks").join(name);
        let own = repo.join(format!("hooks/{name}.d/gitea"));
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        // Its update hook is given arguments, and has nothing to say here.
        let text = match name {
            "update" => "#!/usr/bin/env bash\nexit 0\n".to_owned(),
            "proc-receive" => OWN.to_owned(),
            _ => DELEGATE.replace("FOLDER", folder),
        };
        fs::write(&hook, text).unwrap();
        fs::write(&own, OWN).unwrap();
        for path in [hook, own] {
            chmod(&path, 0o755);
        }
    }
}

/// The environment that the forge's ssh command gives to git.
fn of_forge(checkout: Checkout, id: &str) -> Checkout {
    checkout
        .env(
            "SSH_ORIGINAL_COMMAND",
            "git-receive-pack 'team/payments.git'",
        )
        .env("GITEA_REPO_ID", "3")
        .env("GITEA_REPO_NAME", "payments")
        .env("GITEA_REPO_USER_NAME", "team")
        .env("GITEA_PUSHER_NAME", "whatever")
        .env("GITEA_PUSHER_ID", id)
        .env("GITEA_KEY_ID", "12")
        .env("GITEA_DEPLOY_KEY_ID", "0")
}

fn people() -> People {
    People::new()
        .lines("alice", "accounts = { forgejo = 7 }\n")
        .lines("bob", "accounts = { forgejo = 8 }\n")
}

/// The main job with hooks of both ages: the forge's number says who pushes, a deploy key nobody.
#[test]
fn numbers_say_who_pushes() {
    for folder in [
        "$(dirname \"$0\")",
        "${GIT_DIR:-$(dirname \"$0\")/..}/hooks",
    ] {
        let server = Server::bare(Format::Sha1);
        server.found(&policy(PLAIN_RULE), &people());
        write_hooks(server.repo(), folder);
        server.enroll(&[]).accepted();
        let settings = fs::read_to_string(server.record("server.toml")).unwrap();
        assert!(settings.contains("pusher     = \"forgejo\""), "{settings}");
        assert!(
            server
                .repo()
                .join("hooks/pre-receive.d/countersign")
                .exists()
        );
        assert_eq!(open(&server), Vec::<String>::new());

        let alice = of_forge(server.checkout("alice"), "7");
        let bob = of_forge(server.checkout("bob"), "8");
        main_job(&server, &alice, &bob);

        // The forge renews its hooks with every version, and ours stays.
        write_hooks(server.repo(), folder);
        assert_eq!(open(&server), Vec::<String>::new());
        let head = alice.change("b.txt", "more\n");
        alice.share(&head);
        bob.approve(&head).accepted();
        let deploy = of_forge(server.checkout("carol"), "7").env("GITEA_DEPLOY_KEY_ID", "5");
        deploy.fetch();
        deploy.land(&head).refused(&["unknown-pusher"]);
        let stranger = of_forge(server.checkout("carol"), "9");
        stranger.fetch();
        stranger.land(&head).refused(&["unknown-pusher"]);
        alice.land(&head).accepted();
        assert_eq!(last(&server), BY_ALICE);

        // What the forge writes by itself, without a push, meets the ref hook.
        let stray = alice.change("c.txt", "stray\n");
        alice.share(&stray);
        let written = server.admin("git", &["update-ref", MAIN, &stray]);
        written.refused(&["missing-approvals"]);
    }
}

/// Forgejo's later layout, one folder of hooks for all repositories, is refused by name: git would run
/// none of the repository's own.
#[test]
fn one_folder_for_all() {
    let server = Server::bare(Format::Sha1);
    server.found(&policy(PLAIN_RULE), &people());
    let hooks = server.folder().join("home/hooks");
    fs::create_dir_all(&hooks).unwrap();
    server.git(&["config", "core.hooksPath", hooks.to_str().unwrap()]);
    server
        .enroll(&[])
        .exits(2)
        .says("core.hooksPath")
        .says(hooks.to_str().unwrap());
    assert!(!server.repo().join("hooks/pre-receive.d").exists());
}
