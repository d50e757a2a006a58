//! gitolite3 as Debian packages it, reached through a real sshd.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{BY_ALICE, doctor, last, main_job, open, open_in, program};
use crate::audit::chmod;
use crate::support::config::PLAIN_RULE;
use crate::support::server::scrubbed;
use crate::support::ssh::SshServer;
use crate::support::{Format, Outcome, People, Server, keys, policy};

/// A gitolite of its own home.
struct Gitolite {
    home: PathBuf,
    program: PathBuf,
}

impl Gitolite {
    /// Sets it up with everybody's key and one repository.
    fn new(server: &Server) -> Option<Self> {
        let program = program("gitolite", "gitolite3")?;
        let home = server.folder().join("gitolite");
        fs::create_dir(&home).unwrap();
        let this = Self { home, program };
        let key = this.home.join("admin.pub");
        fs::write(&key, keys::public("dana") + "\n").unwrap();
        this.run(&["setup", "-pk", "admin.pub"]);
        for person in ["alice", "bob", "mallory"] {
            let path = this.home.join(format!(".gitolite/keydir/{person}.pub"));
            fs::write(path, keys::public(person) + "\n").unwrap();
        }
        let conf = "repo gitolite-admin\n    RW+ = admin\nrepo payments\n    RW+ = @all\n";
        fs::write(this.home.join(".gitolite/conf/gitolite.conf"), conf).unwrap();
        this.run(&["setup"]);
        Some(this)
    }

    fn run(&self, args: &[&str]) {
        let mut command: Command = scrubbed(self.program.to_str().unwrap(), &self.home);
        command.env("USER", "git").args(args);
        Outcome::of(&mut command, b"").accepted();
    }

    fn repo(&self) -> PathBuf {
        self.home.join("repositories/payments.git")
    }

    /// What gitolite wrote for sshd, where its home is that of the account.
    fn authorized_keys(&self) -> String {
        let text = fs::read_to_string(self.home.join(".ssh/authorized_keys")).unwrap();
        let home = format!("command=\"HOME={} ", self.home.display());
        text.replace("command=\"", &home)
    }
}

/// The main job over gitolite: the name of the key's file is the login, and setting it up again keeps us.
#[test]
fn keys_say_who_pushes() {
    let server = Server::bare(Format::Sha1);
    let Some(gitolite) = Gitolite::new(&server) else {
        return;
    };
    let server = server.at(gitolite.repo());
    // gitolite makes repositories as git does, whatever its first branch is called.
    server.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    server.found(&policy(PLAIN_RULE), &People::new());
    server.enroll(&[]).accepted();
    let settings = fs::read_to_string(server.record("server.toml")).unwrap();
    assert!(settings.contains("pusher     = \"gitolite\""), "{settings}");
    assert_eq!(open(&server), Vec::<String>::new());

    let Some(ssh) = SshServer::start_with(&server, &gitolite.authorized_keys()) else {
        return;
    };
    let checkout = |person| ssh.checkout_of(&server, person, "/payments");
    let (alice, bob) = (checkout("alice"), checkout("bob"));
    main_job(&server, &alice, &bob);
    let mallory = checkout("mallory");
    mallory.fetch();
    let head = alice.change("b.txt", "more\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    mallory.fetch();
    mallory.land(&head).refused(&["unknown-pusher"]);

    // gitolite's own hook still decides who may write at all, and ours stays.
    gitolite.run(&["setup"]);
    assert_eq!(open(&server), Vec::<String>::new());
    assert!(server.repo().join("hooks/update").is_symlink());
    alice.land(&head).accepted();
    assert_eq!(last(&server), BY_ALICE);
    // Every key of gitolite's is held to its command; one that is not is found.
    let file = gitolite.home.join(".ssh/authorized_keys");
    let mut args = doctor(&server);
    args.pop();
    args.push(file.to_str().unwrap());
    assert_eq!(open_in(server.countersign(&args)), Vec::<String>::new());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{}\n", keys::public("mallory"))).unwrap();
    let found = open_in(server.countersign(&args));
    assert!(
        found.len() == 1 && found[0].starts_with("login"),
        "{found:?}"
    );
}

/// A hook that gitolite links into every repository takes our place when it is set up again: that is
/// found, and the proof shows that the other hook still holds pushes up.
#[test]
fn a_common_hook_takes_our_place() {
    let server = Server::bare(Format::Sha1);
    let Some(gitolite) = Gitolite::new(&server) else {
        return;
    };
    let server = server.at(gitolite.repo());
    server.found(&policy(PLAIN_RULE), &People::new());
    server.enroll(&[]).accepted();
    let common = gitolite.home.join(".gitolite/hooks/common/pre-receive");
    fs::write(&common, "#!/bin/sh\nexit 0\n").unwrap();
    chmod(&common, 0o755);
    gitolite.run(&["setup"]);
    let found = open(&server);
    assert!(
        found.len() == 1 && found[0].starts_with("hooks"),
        "{found:?}"
    );
    // Without it in the common folder, enrolling puts ours back, and there it stays.
    fs::remove_file(&common).unwrap();
    server.enroll(&[]).accepted();
    gitolite.run(&["setup"]);
    assert_eq!(open(&server), Vec::<String>::new());
}
