//! Smart HTTP: nginx with passwords, fcgiwrap, `git http-backend`.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{BY_ALICE, last, main_job, open, program};
use crate::support::config::PLAIN_RULE;
use crate::support::server::scrubbed;
use crate::support::{Checkout, Format, Outcome, People, Server, policy};

/// nginx and fcgiwrap until they are dropped.
struct HttpServer {
    children: Vec<Child>,
    port: u16,
}

impl HttpServer {
    fn start(server: &Server) -> Option<Self> {
        let (nginx, fcgiwrap) = (program("nginx", "nginx")?, program("fcgiwrap", "fcgiwrap")?);
        let folder = server.folder().join("http");
        fs::create_dir(&folder).unwrap();
        passwords(&folder, &["alice", "bob", "mallory"]);
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let port = free.unwrap().port();
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(server, &folder, port)).unwrap();
        let socket = folder.join("socket");
        let mut wrap = scrubbed(fcgiwrap.to_str().unwrap(), &folder);
        wrap.arg("-s").arg(format!("unix:{}", socket.display()));
        let mut serve = scrubbed(nginx.to_str().unwrap(), &folder);
        serve.arg("-p").arg(&folder).arg("-c").arg(&config);
        let mut this = Self {
            children: vec![spawn(&mut wrap, &folder), spawn(&mut serve, &folder)],
            port,
        };
        // nginx writes its pid once it listens; that something accepts connections there says less.
        let is_up = || socket.exists() && folder.join("pid").exists();
        for _ in 0..500 {
            if is_up() {
                return Some(this);
            }
            for child in &mut this.children {
                let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
                assert!(child.try_wait().unwrap().is_none(), "{}", log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nginx does not answer");
    }

    /// Has a checkout speak HTTP as its person, with this password.
    fn checkout(&self, server: &Server, person: &'static str, password: &str) -> Checkout {
        let checkout = server.checkout(person);
        let url = format!(
            "http://{person}:{password}@127.0.0.1:{}/payments.git",
            self.port
        );
        checkout.git(&["remote", "set-url", "origin", &url]);
        checkout
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        for child in &mut self.children {
            // nginx takes its workers with it only if it is asked.
            let mut kill = Command::new("kill");
            kill.arg(child.id().to_string()).status().ok();
            child.wait().ok();
        }
    }
}

fn spawn(command: &mut Command, folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Everybody's password is their name and `-secret`.
fn passwords(folder: &Path, people: &[&str]) {
    let mut text = String::new();
    for person in people {
        let mut openssl = scrubbed("openssl", folder);
        openssl.args(["passwd", "-apr1", &format!("{person}-secret")]);
        let hash = Outcome::of(&mut openssl, b"").accepted().line();
        text += &format!("{person}:{hash}\n");
    }
    fs::write(folder.join("passwords"), text).unwrap();
}

fn backend() -> PathBuf {
    let output = Command::new("git").arg("--exec-path").output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    PathBuf::from(path.trim()).join("git-http-backend")
}

/// The server block of `docs/hosts/http.md`, with what a service unit says around it.
fn configuration(server: &Server, folder: &Path, port: u16) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hosts/http.md"))
        .unwrap();
    let (_, block) = page.split_once("```nginx\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let at = folder.display();
    let block = [
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port};")),
        ("/etc/nginx/git.passwords", format!("{at}/passwords")),
        ("unix:/run/fcgiwrap.socket", format!("unix:{at}/socket")),
        (
            "/usr/lib/git-core/git-http-backend",
            backend().display().to_string(),
        ),
        ("/srv/git", server.folder().display().to_string()),
    ]
    .iter()
    .fold(block.to_owned(), |block, (from, to)| {
        assert!(block.contains(from), "{from} is not on the page");
        block.replace(from, to)
    });
    let block: Vec<&str> = block
        .lines()
        .filter(|line| !line.contains("ssl_certificate"))
        .collect();
    let user = if rustix::process::geteuid().is_root() {
        "user root;\n"
    } else {
        ""
    };
    let temporary: Vec<String> = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {at}/{name};"))
        .collect();
    format!(
        "{user}daemon off;\npid {at}/pid;\nerror_log {at}/log;\nevents {{}}\nhttp {{\naccess_log off;\n\
         {}\n{}\n}}\n",
        temporary.join("\n"),
        block.join("\n")
    )
}

/// The main job over HTTP: who pushes is who gave the password, whatever headers say.
#[test]
fn passwords_say_who_pushes() {
    let server = Server::bare(Format::Sha1);
    server.found(&policy(PLAIN_RULE), &People::new());
    server.enroll(&["--pusher", "http"]).accepted();
    assert_eq!(open(&server), Vec::<String>::new());
    let Some(http) = HttpServer::start(&server) else {
        return;
    };
    let alice = http.checkout(&server, "alice", "alice-secret");
    let bob = http.checkout(&server, "bob", "bob-secret");
    main_job(&server, &alice, &bob);

    // Without the password nobody is let in, and whoever is no person of the policy lands nothing.
    let head = alice.change("b.txt", "more\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    let wrong = http.checkout(&server, "alice", "bob-secret");
    let refused = wrong.try_git(&["fetch", "-q", "origin"]);
    assert!(
        refused.stderr.contains("Authentication failed"),
        "{refused}"
    );
    let mallory = http.checkout(&server, "mallory", "mallory-secret");
    mallory.fetch();
    mallory.land(&head).refused(&["unknown-pusher"]);
    for header in [
        "Remote-User: bob",
        "REMOTE_USER: bob",
        "Countersign-Pusher: bob",
    ] {
        alice.git(&["config", "--add", "http.extraHeader", header]);
    }
    alice.land(&head).accepted();
    assert_eq!(last(&server), BY_ALICE);
    drop(http);
}
