//! A record that is kept in no file: what the storage trait promises is enough.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::record::disk::Disk;
use crate::record::storage::{Lock, Rest, Storage};
use crate::record::{Intent, Process, RecordError};

/// Objects by name.
#[derive(Debug, Default)]
struct Memory {
    objects: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    locked: Arc<Mutex<bool>>,
}

/// The one lock of a memory.
#[derive(Debug)]
struct Held(Arc<Mutex<bool>>);

impl Lock for Held {
    fn check(&self) -> Result<(), RecordError> {
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = false;
    }
}

impl Memory {
    fn get(&self, path: &Path) -> Option<Vec<u8>> {
        self.objects.lock().unwrap().get(path).cloned()
    }

    fn add(&self, path: &Path, line: &[u8]) {
        let mut objects = self.objects.lock().unwrap();
        let lines = objects.entry(path.to_owned()).or_default();
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
}

impl Storage for Memory {
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, RecordError> {
        let found = self.get(path);
        assert!(found.iter().all(|bytes| bytes.len() as u64 <= limit));
        Ok(found)
    }

    fn read_at(
        &self,
        path: &Path,
        offset: u64,
        len: usize,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let start = usize::try_from(offset).unwrap();
        Ok(self
            .get(path)
            .map(|bytes| bytes[start..start + len].to_vec()))
    }

    fn read_from(&self, path: &Path, offset: u64) -> Result<Option<Rest>, RecordError> {
        let start = usize::try_from(offset).unwrap();
        Ok(self.get(path).map(|bytes| Rest {
            len: bytes.len() as u64,
            bytes: Box::new(Cursor::new(bytes.get(start..).unwrap_or_default().to_vec())),
        }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, RecordError> {
        let objects = self.objects.lock().unwrap();
        let inside = objects.keys().filter(|path| path.parent() == Some(dir));
        let names = inside.filter_map(|path| path.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn create_dir(&self, _: &Path) -> Result<(), RecordError> {
        Ok(())
    }

    fn replace_all(&self, objects: &[(PathBuf, &[u8])]) -> Result<(), RecordError> {
        let new = objects
            .iter()
            .map(|(path, bytes)| (path.clone(), bytes.to_vec()));
        self.objects.lock().unwrap().extend(new);
        Ok(())
    }

    fn swap(
        &self,
        lock: &dyn Lock,
        path: &Path,
        before: &[u8],
        after: &[u8],
    ) -> Result<bool, RecordError> {
        lock.check()?;
        let same = self.get(path).as_deref() == Some(before);
        if same {
            self.replace(path, after)?;
        }
        Ok(same)
    }

    fn remove(&self, path: &Path) -> Result<(), RecordError> {
        self.discard(path);
        Ok(())
    }

    fn discard(&self, path: &Path) {
        self.objects.lock().unwrap().remove(path);
    }

    fn discard_dir(&self, _: &Path) {}

    fn append_line(&self, path: &Path, line: &[u8]) -> Result<(), RecordError> {
        self.add(path, line);
        Ok(())
    }

    fn append_plain(&self, path: &Path, line: &[u8]) -> Result<(), RecordError> {
        self.add(path, line);
        Ok(())
    }

    fn lock(&self, path: &Path, _: Duration) -> Result<Box<dyn Lock>, RecordError> {
        let mut locked = self.locked.lock().unwrap();
        if std::mem::replace(&mut *locked, true) {
            let (path, seconds) = (path.to_owned(), 0);
            return Err(RecordError::Busy { path, seconds });
        }
        Ok(Box::new(Held(Arc::clone(&self.locked))))
    }
}

/// Of a record in memory nothing is on the host but its key and what can be built again; it is
/// opened again, found sound, answers, and lets one writer in.
#[test]
fn a_record_without_files() {
    let folder = scratch();
    let dir = folder.path();
    let memory: Arc<dyn Storage> = Arc::new(Memory::default());
    let open = || Record::open_in(Arc::clone(&memory), Disk::default(), dir).unwrap();
    let create = || {
        let memory = Arc::clone(&memory);
        Record::create_in(memory, Disk::default(), dir, ORIGIN, Default::default())
    };
    let record = create().unwrap();
    assert!(matches!(create(), Err(RecordError::Exists(_))));
    append(&record, &[Entry::Genesis(genesis(1, &[(MAIN, 1)]))]);
    for number in 2..302 {
        append(
            &open(),
            &[Entry::Review(review(2, "approve", "bob", number))],
        );
    }
    let record = open();
    assert_eq!(record.size(), 301);
    let report = record.verify().unwrap();
    assert!(report.ok(), "{:?}", report.problems);
    let tip = record.view().unwrap().tip(&RefName::from(MAIN)).unwrap();
    assert_eq!(tip.unwrap().index, 0);
    let intent = Intent {
        id: Intent::new_id().unwrap(),
        at: time(1),
        size: 301,
        process: Process::parent().unwrap(),
        landed: Vec::new(),
    };
    record.write_intent(&intent).unwrap();
    assert_eq!(open().open_intents().unwrap(), [intent]);
    let lock = record.lock().unwrap();
    assert!(matches!(open().lock(), Err(RecordError::Busy { .. })));
    drop(lock);
    let mut there: Vec<String> = Disk::default().list(dir).unwrap();
    there.retain(|name| !name.starts_with("index.db"));
    assert_eq!(there, ["key"]);
}
