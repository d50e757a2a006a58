//! The functions of `tests/fuzz/targets` under libFuzzer: one binary, which one it runs is said by
//! `COUNTERSIGN_FUZZ_TARGET`. `run.sh` builds and runs it.

#![no_main]

#[path = "../../tests/fuzz/targets/mod.rs"]
mod targets;

use std::sync::OnceLock;

use targets::{TARGETS, Target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What is refused teaches as well: libFuzzer keeps it for the way it took.
    CHOSEN.get_or_init(chosen)(data);
});

fn chosen() -> Target {
    let name = std::env::var("COUNTERSIGN_FUZZ_TARGET").unwrap_or_default();
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => *target,
        None => {
            let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            eprintln!("COUNTERSIGN_FUZZ_TARGET is one of {}", names.join(" "));
            std::process::exit(2);
        }
    }
}
