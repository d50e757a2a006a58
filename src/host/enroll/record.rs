//! The record of a repository that is enrolled: found or made, claimed, begun.

use super::{Done, EnrollError, Enrolment, private_folder};
use crate::admit::baseline::baseline;
use crate::gather::Rulebook;
use crate::git::{RefValue, Repo};
use crate::host::server::{Server, SharedLog};
use crate::host::state::state;
use crate::host::user::user;
use crate::record::entry::{Admin, AdminAct, Entry, Genesis, HostState};
use crate::record::{Lock, Record, RecordError};

impl Enrolment<'_> {
    /// Finds or makes the record, and has it begin with the protected refs as they are.
    pub(super) fn record(
        &self,
        repo: &Repo,
        server: &Server,
        rulebook: &Rulebook,
        done: &mut Vec<Done>,
    ) -> Result<(), EnrollError> {
        let git_dir = repo.git_dir();
        if self.dry_run {
            let genesis = self.genesis(repo, server, rulebook)?;
            done.extend(match Record::exists(&server.record) {
                true => {
                    let record = open(server)?;
                    record.is_claimed(git_dir)?;
                    vec![Done::RecordFound(record.size())]
                }
                false => vec![
                    Done::RecordMade(server.record.clone(), None),
                    Done::Genesis(genesis.tips),
                ],
            });
            return Ok(());
        }
        let record = made_or_found(server, rulebook, done)?;
        let lock = record.lock()?;
        if !record.is_claimed(git_dir)? {
            is_its_record(repo, &record)?;
            record.claim(&lock, git_dir)?;
        }
        let host = state(git_dir, self.binary, &user(), server)?;
        let is_known = match server.shared {
            None => record.size() > 0,
            Some(_) => record.view()?.genesis()?.is_some(),
        };
        if is_known {
            done.push(Done::RecordFound(record.size()));
            return self.renew(&record, &lock, rulebook, host, done);
        }
        let mut genesis = self.genesis(repo, server, rulebook)?;
        genesis.host = Some(host);
        let tips = genesis.tips.clone();
        record.append(&lock, &[Entry::Genesis(genesis)])?;
        done.push(Done::Genesis(tips));
        Ok(())
    }

    /// Puts on record how the host is now, if that is otherwise than the record has it.
    fn renew(
        &self,
        record: &Record,
        lock: &Lock,
        rulebook: &Rulebook,
        host: HostState,
        done: &mut Vec<Done>,
    ) -> Result<(), EnrollError> {
        let known = record.view()?.host()?.map(|known| known.what);
        // Whoever runs it again changes nothing by that.
        let is_same = known.is_some_and(|known| {
            let by = host.by.clone();
            host == HostState { by, ..known }
        });
        if !is_same {
            let admin = Admin {
                at: self.now,
                repository: rulebook.policy.repository.clone(),
                act: AdminAct::Enrolled(host),
            };
            let indices = record.append(lock, &[Entry::Admin(admin)])?;
            done.push(Done::HostRecorded(indices.start));
        }
        Ok(())
    }

    /// Returns the baseline; every protected ref must have a tip of its own.
    fn genesis(
        &self,
        repo: &Repo,
        server: &Server,
        rulebook: &Rulebook,
    ) -> Result<Genesis, EnrollError> {
        let policy_ref = &server.policy_ref;
        for (name, value) in repo.references()? {
            let is_protected = rulebook.policy.protection(&name, policy_ref).is_some();
            if let (true, RefValue::Symbolic(target)) = (is_protected, value) {
                return Err(EnrollError::Symbolic { name, target });
            }
        }
        Ok(baseline(repo, rulebook, policy_ref, server.mode, self.now)?)
    }
}

/// Opens the record, which is made where there is none.
fn made_or_found(
    server: &Server,
    rulebook: &Rulebook,
    done: &mut Vec<Done>,
) -> Result<Record, EnrollError> {
    let dir = &server.record;
    private_folder(dir)?;
    if !Record::exists(dir) {
        let log = server.shared.as_ref().map(|shared| &shared.log);
        let origin = log.unwrap_or(&rulebook.policy.repository);
        match Record::create_with(dir, origin, server.keys.clone()) {
            Ok(record) => done.push(Done::RecordMade(dir.clone(), Some(record.vkey()))),
            // Another repository of a shared log made it meanwhile.
            Err(RecordError::Exists(_)) if server.shared.is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    open(server)
}

/// Opens the record; a shared log must have the name that the settings give it.
pub(super) fn open(server: &Server) -> Result<Record, EnrollError> {
    let record = Record::open_as(&server.record, server.shared_name())?;
    let found = record.checkpoint().origin;
    match &server.shared {
        Some(SharedLog { log, .. }) if *log != found => Err(EnrollError::OtherLog {
            dir: server.record.clone(),
            found,
            wanted: log.clone(),
        }),
        _ => Ok(record.signed_by(server.keys.clone())),
    }
}

/// Fails where a record that nobody claims any more does not begin with commits of this repository:
/// it was not moved here.
fn is_its_record(repo: &Repo, record: &Record) -> Result<(), EnrollError> {
    let genesis = record.view()?.genesis()?;
    let mut tips = genesis.iter().flat_map(|genesis| genesis.tips.values());
    match tips.all(|tip| repo.exists_outside_quarantine(tip)) {
        true => Ok(()),
        false => Err(RecordError::Foreign {
            dir: record.dir().to_owned(),
            owner: "a repository with other commits".to_owned(),
        }
        .into()),
    }
}
