//! A key that a command of the admin's signs with.
//!
//! ```text
//! <command…> public <log>     writes base64 of the 32 bytes of the public key
//! <command…> sign <log>       reads the text, writes base64 of the 64 bytes of its signature
//! ```

use std::fmt;
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::{Pid, Signal};

use super::{PATIENCE, StoreError, quoted, within};

/// The most bytes that are read of what it writes.
const MAX_OUTPUT: u64 = 1024;
/// How many characters of its complaint are shown.
const MAX_SAID: usize = 200;
/// How long its complaint is waited for once it has ended.
const MOMENT: Duration = Duration::from_millis(200);

/// The words of the command; the first is an absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandKey(pub Vec<String>);

impl CommandKey {
    pub(super) fn public(&self, log: &str) -> Result<[u8; 32], StoreError> {
        self.ask(&["public", log], "", PATIENCE)
    }

    pub(super) fn sign(&self, log: &str, text: &str) -> Result<Vec<u8>, StoreError> {
        let signature: [u8; 64] = self.ask(&["sign", log], text, PATIENCE)?;
        Ok(signature.to_vec())
    }

    fn ask<const N: usize>(
        &self,
        more: &[&str],
        input: &str,
        patience: Duration,
    ) -> Result<[u8; N], StoreError> {
        let output = self.run(more, input, patience)?;
        let line = output.strip_suffix(b"\n").unwrap_or(&output);
        let raw = BASE64.decode(line).ok();
        raw.and_then(|raw| raw.try_into().ok())
            .ok_or_else(|| StoreError::Command(format!("did not write base64 of {N} bytes")))
    }

    /// Runs it with an environment of its own, for so long and no longer.
    #[allow(
        clippy::disallowed_methods,
        reason = "the admin's own command, by absolute path and without anybody's environment"
    )]
    fn run(&self, more: &[&str], input: &str, patience: Duration) -> Result<Vec<u8>, StoreError> {
        let end = Instant::now().checked_add(patience);
        let mut words = self.0.iter();
        let mut child = Command::new(words.next().map_or("", String::as_str))
            .args(words)
            .args(more)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, complaint) = mpsc::sync_channel(1);
        thread::Builder::new().spawn(move || drop(sender.send(bounded(stderr))))?;
        let input = input.to_owned();
        let output = within(patience, move || {
            if let Some(mut stdin) = stdin {
                // One that does not read it has its reasons, and says so by what it writes.
                stdin.write_all(input.as_bytes()).ok();
            }
            Ok(bounded(stdout)?)
        });
        if output.is_err() {
            kill(&child);
        }
        let status = ended(&mut child, end, patience);
        let (output, status) = (output?, status?);
        if !status.success() {
            let said = complaint.recv_timeout(MOMENT).ok().and_then(Result::ok);
            let said = said.as_deref().map(first_line).unwrap_or_default();
            return Err(StoreError::Command(format!("ended with {status}{said}")));
        }
        Ok(output)
    }
}

impl fmt::Display for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(quoted).collect();
        write!(f, "{{ command = [{}] }}", words.join(", "))
    }
}

/// Kills it with whatever it has started in its group; it has not been waited for yet.
fn kill(child: &Child) {
    let group = Pid::from_child(child);
    rustix::process::kill_process_group(group, Signal::KILL).ok();
}

/// Waits until it ends; one that does not is killed.
fn ended(
    child: &mut Child,
    end: Option<Instant>,
    patience: Duration,
) -> Result<ExitStatus, StoreError> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if end.is_none_or(|end| Instant::now() >= end) {
            kill(child);
            child.wait()?;
            return Err(StoreError::Timeout(patience));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reads to the end, and keeps the beginning.
fn bounded(from: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut from) = from {
        from.by_ref().take(MAX_OUTPUT).read_to_end(&mut kept)?;
        io::copy(&mut from, &mut io::sink())?;
    }
    Ok(kept)
}

fn first_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    match said.lines().next() {
        None | Some("") => String::new(),
        Some(line) => format!(": {}", line.chars().take(MAX_SAID).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> CommandKey {
        let words = ["/bin/sh", "-c", script, "sign"];
        CommandKey(words.map(str::to_owned).to_vec())
    }

    fn ask(script: &str) -> Result<[u8; 3], String> {
        let answer = shell(script).ask(&["sign", "a.log"], "text\n", PATIENCE);
        answer.map_err(|error| error.to_string())
    }

    /// It gets its words, the text and an environment without anything of the pusher's.
    #[test]
    fn is_asked_as_documented() {
        for script in [
            "printf AQID",
            "echo AQID",
            "[ \"$1 $2 $(cat)\" = 'sign a.log text' ] && echo AQID",
            "[ -n \"$PATH\" ] && [ -z \"${HOME-}${CARGO_MANIFEST_DIR-}\" ] && echo AQID",
            "yes | head -c 1000000 >&2; echo AQID",
        ] {
            assert_eq!(ask(script), Ok([1, 2, 3]), "{script}");
        }
    }

    /// Anything but one line of base64 of the right length is no answer, nor is one that failed.
    #[test]
    fn refuses_other_answers() {
        let other = "did not write base64 of 3 bytes";
        for (script, why) in [
            ("echo AQIDBA==", other),
            ("echo AQI", other),
            ("echo; echo AQID", other),
            ("echo ' AQID'", other),
            ("echo AQID; echo AQID", other),
            ("printf '\\001\\002\\003'", other),
            ("yes", "no answer within"),
            ("true", other),
            ("echo AQID; exit 3", "ended with exit status: 3"),
            ("echo AQID; kill -9 $$", "ended with signal: 9"),
            (
                "echo no card >&2; echo more >&2; exit 1",
                "exit status: 1: no card",
            ),
        ] {
            let error = shell(script)
                .ask::<3>(&["sign", "a.log"], "text\n", Duration::from_secs(1))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(why) && !error.contains("more"),
                "{script}: {error}"
            );
        }
        let nothing = CommandKey(vec!["/nonexistent/sign".to_owned()]);
        let error = nothing.ask::<3>(&[], "", PATIENCE).unwrap_err();
        assert!(matches!(error, StoreError::Io(_)), "{error}");
    }

    /// One that hangs is killed, with what it has started; one that leaves a child behind with its
    /// output open has not answered either.
    #[test]
    fn does_not_wait_for_ever() {
        let moment = Duration::from_millis(300);
        for script in [
            "sleep 1000",
            "echo AQID; sleep 1000",
            "sleep 1000 & echo AQID",
        ] {
            let error = shell(script).ask::<3>(&[], "", moment).unwrap_err();
            assert!(matches!(error, StoreError::Timeout(_)), "{script}: {error}");
        }
    }
}
