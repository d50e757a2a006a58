//! Processes, told apart for ever by id and start time.
//!
//! Source: proc_pid_stat(5), field 22.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::RecordError;

/// One process of this host: ids are used again, the pair with the start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The id.
    pub pid: u32,
    /// When it started, in clock ticks since the host did.
    pub start: u64,
}

impl Process {
    /// Returns the parent of this process: for a hook, git's receive-pack.
    pub fn parent() -> Result<Self, RecordError> {
        let pid = rustix::process::getppid()
            .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
            .ok_or_else(|| RecordError::Process("this process has no parent".to_owned()))?;
        Self::of(pid)
    }

    /// Returns git's receive-pack: the nearest ancestor of that name, else the parent.
    ///
    /// Some hosts start hooks through scripts of their own, whose shells end before git does.
    pub fn receive_pack() -> Result<Self, RecordError> {
        let parent = Self::parent()?;
        let mut at = parent.pid;
        for _ in 0..8 {
            let Ok(stat) = fs::read(format!("/proc/{at}/stat")) else {
                break;
            };
            if command(at).is_some_and(|words| is_receive_pack(&words)) {
                return Self::of(at);
            }
            match parse_parent(&stat) {
                Some(next) if next > 1 => at = next,
                _ => break,
            }
        }
        Ok(parent)
    }

    /// Returns the git that runs this hook, and whether it is receive-pack.
    ///
    /// The nearest ancestor of that name, else the parent: a `git update-ref` that a hook of a push
    /// starts is itself, not the push.
    pub fn git() -> Result<(Self, bool), RecordError> {
        let parent = Self::parent()?;
        let mut at = parent.pid;
        for _ in 0..8 {
            if let Some(words) = command(at)
                && (is_git(&words) || is_receive_pack(&words))
            {
                return Ok((Self::of(at)?, is_receive_pack(&words)));
            }
            let stat = fs::read(format!("/proc/{at}/stat")).unwrap_or_default();
            match parse_parent(&stat) {
                Some(next) if next > 1 => at = next,
                _ => break,
            }
        }
        Ok((parent, false))
    }

    fn of(pid: u32) -> Result<Self, RecordError> {
        let stat = fs::read(format!("/proc/{pid}/stat"))
            .map_err(|error| RecordError::Process(format!("process {pid}: {error}")))?;
        let (_, start) = parse_stat(&stat).ok_or_else(|| {
            RecordError::Process(format!("process {pid}: its stat is unreadable"))
        })?;
        Ok(Self { pid, start })
    }

    /// Returns whether that very process still runs.
    ///
    /// A zombie does not. Where it cannot be told, it does: an intent that is kept too long
    /// costs less than one that is dropped while its push goes on.
    pub fn alive(&self) -> bool {
        match fs::read(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => parse_stat(&stat)
                .is_none_or(|(state, start)| start == self.start && !b"ZXx".contains(&state)),
            // ESRCH: it ended between open and read.
            Err(error) => {
                error.kind() != io::ErrorKind::NotFound
                    && error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error())
            }
        }
    }
}

/// Returns the name of a process's program and its first argument.
fn command(pid: u32) -> Option<[Vec<u8>; 2]> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0);
    let program = words.next()?.rsplit(|byte| *byte == b'/').next()?;
    Some([
        program.to_owned(),
        words.next().unwrap_or_default().to_owned(),
    ])
}

/// Returns whether a process was started as `git-receive-pack` or `git receive-pack`.
fn is_receive_pack([program, first]: &[Vec<u8>; 2]) -> bool {
    program == b"git-receive-pack" || (program == b"git" && first == b"receive-pack")
}

fn is_git([program, _]: &[Vec<u8>; 2]) -> bool {
    program == b"git" || program.starts_with(b"git-")
}

/// Returns the parent's id, field 4.
fn parse_parent(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end.checked_add(1)?..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Returns state and start time. The name in field 2 may hold anything, also `)`.
fn parse_stat(stat: &[u8]) -> Option<(u8, u64)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end.checked_add(1)?..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    // The state is field 3, so 18 lie between it and field 22.
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start time is found behind a hostile process name.
    #[test]
    fn reads_stat() {
        let tail = (4..22).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        for name in ["git", "a) R 1 2", "(("] {
            let stat = format!("12 ({name}) S {tail} 98765 23 24\n");
            assert_eq!(parse_stat(stat.as_bytes()), Some((b'S', 98765)), "{name}");
        }
        for stat in ["", "12 (git) S 4 5", "12 git S"] {
            assert_eq!(parse_stat(stat.as_bytes()), None, "{stat}");
        }
    }

    /// The parent runs; the same id with another start time is another process.
    #[test]
    fn tells_processes_apart() {
        let parent = Process::parent().unwrap();
        assert!(parent.alive());
        let earlier = Process {
            start: parent.start + 1,
            ..parent
        };
        assert!(!earlier.alive());
        let never = Process {
            pid: u32::MAX,
            start: 0,
        };
        assert!(!never.alive());
    }

    /// A process that ended but was not waited for is gone.
    #[test]
    fn a_zombie_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::of(child.id());
        // It may have ended before it was looked at; then its stat still gives the start time.
        let process = process.unwrap();
        for _ in 0..500 {
            if !process.alive() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!process.alive());
        child.wait().unwrap();
    }
}
