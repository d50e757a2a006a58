//! `countersign witness`: cosigns checkpoints of other machines' logs.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, Kind, Session, site};
use crate::host::clock;
use crate::record::{RecordError, Witness};
use crate::server;
use crate::wire::note::is_key_name;

/// Serve as a witness: cosign checkpoints of the logs it is told of, as long as each continues the last
///
/// Run it on another machine than the logs, under another admin. It listens without TLS: put a reverse
/// proxy before it, or keep it in a network of your own.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Its folder: `key` and `vkey` are made there, `logs` holds the logs' verifier lines
    #[arg(value_name = "folder")]
    folder: PathBuf,
    /// Its name, by custom host and path, as in `witness.example.com/w1`; given the first time
    #[arg(long, value_name = "name")]
    name: Option<String>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "address", default_value = "127.0.0.1:7380")]
    listen: SocketAddr,
}

impl Serve {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let folder = session.dir().join(&self.folder);
        let name = self.name.as_deref();
        match name {
            None if !Witness::exists(&folder) => {
                let message = format!("{}: no witness here yet", folder.display());
                let hint = "give it a name: --name witness.example.com/w1".to_owned();
                return Err(CliError::words(Kind::Usage, message).hint([hint]));
            }
            Some(name) if !is_key_name(name) => {
                let message = format!("--name: {name:?} has a space or `+`, or is empty");
                return Err(CliError::words(Kind::Usage, message));
            }
            _ => {}
        }
        site::mine(&folder, "witness")?;
        let witness = Witness::open(&folder, name).map_err(unusable)?;
        if name.is_some_and(|name| name != witness.key().name()) {
            let message = format!(
                "this witness is {}; a name is for ever",
                witness.key().name()
            );
            return Err(CliError::words(Kind::Usage, message));
        }
        let logs = witness.logs().map_err(unusable)?;
        if logs.is_empty() {
            session.say(&format!(
                "countersign: no logs yet: add their verifier lines to {}; no restart is needed",
                folder.join("logs").display()
            ));
        }
        let listener = listen(self.listen)?;
        let address = listener.local_addr()?;
        let text = match session.json() {
            true => {
                let told = json!({
                    "schema": "countersign.witness/v1",
                    "listen": address.to_string(),
                    "key": witness.key().to_string(),
                    "logs": logs.iter().map(ToString::to_string).collect::<Vec<_>>(),
                });
                format!("{told}\n")
            }
            false => format!(
                "witness   {}\nlistening http://{address}\nlogs      {}\n",
                witness.key(),
                logs.len()
            ),
        };
        session.print(&text)?;
        match server::witness::run(listener, witness, clock, journal)? {}
    }
}

#[allow(clippy::disallowed_methods, reason = "a witness listens")]
fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).map_err(|error| {
        let context = format!("cannot listen on {address}");
        CliError::new(Kind::Usage, anyhow::Error::from(error).context(context))
    })
}

/// A line of the journal, which may be gone without keeping anybody from being served.
fn journal(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "{line}").ok();
}

fn unusable(error: RecordError) -> CliError {
    let kind = match &error {
        RecordError::Io { .. } | RecordError::Random(_) => Kind::Undecided,
        _ => Kind::Usage,
    };
    CliError::new(kind, error)
}
