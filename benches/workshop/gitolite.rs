//! gitolite in a home of its own, with a VREF that has git verify what is pushed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Workshop;
use crate::support::Outcome;
use crate::support::server::scrubbed;
use crate::world;

/// Where Debian has what sshd would run.
const SHELL: &str = "/usr/share/gitolite3/gitolite-shell";

/// The VREF: git verifies every commit of a push.
const VREF: &str = r#"#!/bin/sh
case $2 in *[!0]*) set -- "$2..$3" "$7" ;; *) set -- "$3 --not --all" "$7" ;; esac
git rev-list $1 | while read -r commit; do git verify-commit "$commit" || exit 1; done || echo "$2 unsigned"
"#;

/// What stands where ssh would: the far end, on this machine.
pub(crate) struct Gitolite {
    home: PathBuf,
}

impl Gitolite {
    /// Sets it up with a copy of a bare repository, if it is installed.
    pub(crate) fn new(workshop: &Workshop, repository: &Path) -> Option<Self> {
        if !Path::new(SHELL).exists() {
            return None;
        }
        let this = Self {
            home: workshop.server.folder().join("gitolite"),
        };
        let key = STANDARD.encode(world::blob("alice"));
        this.write("alice.pub", &format!("ssh-ed25519 {key} alice\n"), 0o644);
        this.setup(&["-pk", "alice.pub"]);
        let conf = "repo payments\n    RW+ = @all\n    - VREF/VERIFY = @all\n";
        this.write(".gitolite/conf/gitolite.conf", conf, 0o644);
        let rc = fs::read_to_string(this.home.join(".gitolite.rc")).unwrap();
        let rc = rc.replacen(
            "%RC = (",
            "%RC = (\n    LOCAL_CODE => \"$ENV{HOME}/local\",",
            1,
        );
        this.write(".gitolite.rc", &rc, 0o600);
        this.write("local/VREF/VERIFY", VREF, 0o755);
        this.setup(&[]);
        // All but the hooks, which are gitolite's.
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(repository.join("."));
        copy.arg(this.home.join("repositories/payments.git"));
        assert!(copy.status().unwrap().success());
        let ssh = format!(
            "#!/bin/sh\nexport HOME='{}' SSH_CONNECTION='127.0.0.1 1 127.0.0.1 22' SSH_ORIGINAL_COMMAND=\"$2\"\n\
             exec {SHELL} alice\n",
            this.home.display()
        );
        this.write("ssh", &ssh, 0o755);
        Some(this)
    }

    /// Has git reach it without a network between.
    pub(crate) fn reach(&self, command: &mut Command) {
        command.env("GIT_SSH", self.home.join("ssh"));
        command.env("GIT_SSH_VARIANT", "simple");
    }

    fn setup(&self, args: &[&str]) {
        let mut command = scrubbed("gitolite", &self.home);
        command.env("USER", "git").arg("setup").args(args);
        Outcome::of(&mut command, b"").accepted();
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}
