//! The record on a disk that is out of inodes, or read-only. `full_disk` has the one that is full.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::landing;
use crate::bad_input::Mounted;

fn remount(at: &Path, how: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-o", &format!("remount,{how}")]).arg(at);
    assert!(mount.status().unwrap().success());
}

/// While the record's disk takes nothing, a push is refused in words; once it does again, the same push
/// lands, and nothing is lost.
#[test]
fn a_disk_that_takes_nothing() {
    let scene = landing();
    let record = scene.server.repo().join("countersign");
    let aside = scene.server.folder().join("record-aside");
    fs::rename(&record, &aside).unwrap();
    fs::create_dir(&record).unwrap();
    let Some(_disk) = Mounted::tmpfs(&record, "nr_inodes=200,mode=700") else {
        return;
    };
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(aside.join(".")).arg(&record);
    assert!(copy.status().unwrap().success());
    let crowd = record.join("crowd");
    let fill = || {
        fs::create_dir(&crowd).unwrap();
        let mut names = (0..).map(|number| crowd.join(format!("{number}")));
        while fs::write(names.next().unwrap(), "").is_ok() {}
    };
    type Deed<'a> = &'a dyn Fn();
    let faults: [(&str, Deed<'_>, Deed<'_>); 2] = [
        ("no inodes", &fill, &|| fs::remove_dir_all(&crowd).unwrap()),
        ("read-only", &|| remount(&record, "ro"), &|| {
            remount(&record, "rw");
        }),
    ];
    for (what, spoil, mend) in faults {
        spoil();
        let pushed = scene.push();
        mend();
        assert!(!pushed.ok(), "{what}: {pushed}");
        assert!(pushed.stderr.contains("countersign: "), "{what}: {pushed}");
        assert_eq!(scene.moved(), 0, "{what}: {pushed}");
        scene.check_after(&pushed, what);
    }
    scene.push().accepted();
    scene.server.cli(&["log", "reconcile"]).accepted();
    scene.check_settled("in the end");
}
