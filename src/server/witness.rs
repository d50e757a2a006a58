//! The witness behind HTTP.
//!
//! ```text
//! POST /add-checkpoint           cosigns, or says why not
//! GET  /<sha256 of origin>/checkpoint   what was cosigned last
//! ```
//!
//! Source: C2SP tlog-witness v1.0.0, <https://c2sp.org/tlog-witness>: statuses and types to the letter.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::Method;
use jiff::Timestamp;

use super::{Reply, serve};
use crate::record::{Answer, RecordError, Refusal, Witness};
use crate::wire::witness::MAX_REQUEST;

/// What is worth a line of the host's journal: each cosignature, refusal and failure.
pub type Journal = fn(&str);

/// Serves for ever. `now` is asked once a request.
pub fn run(
    listener: TcpListener,
    witness: Witness,
    now: fn() -> Timestamp,
    journal: Journal,
) -> io::Result<Infallible> {
    // Looking at what was cosigned last, and replacing it, must be one step: requests queue here.
    let witness = Mutex::new(witness);
    let door = move |method: &Method, path: &str, body: &[u8]| {
        // What is on disk is whole whatever happened to the request before.
        let witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
        route(&witness, method, path, body, now, journal)
    };
    serve(listener, MAX_REQUEST, Arc::new(door))
}

fn route(
    witness: &Witness,
    method: &Method,
    path: &str,
    body: &[u8],
    now: fn() -> Timestamp,
    journal: Journal,
) -> Reply {
    let hash = path
        .strip_prefix('/')
        .and_then(|path| path.strip_suffix("/checkpoint"));
    match (path, hash) {
        ("/add-checkpoint", _) if method == Method::POST => {
            add(witness.add_checkpoint(body, now()), journal)
        }
        (_, Some(hash)) if method == Method::GET || method == Method::HEAD => {
            read(witness.checkpoint(hash), journal)
        }
        ("/add-checkpoint", _) | (_, Some(_)) => Reply::words(405, "not by this method"),
        _ => Reply::words(404, "nothing here"),
    }
}

fn add(answer: Result<Answer, RecordError>, journal: Journal) -> Reply {
    let (reply, line) = match answer {
        Ok(Answer::Cosigned { checkpoint, line }) => {
            let reply = Reply {
                status: 200,
                content_type: "text/plain; charset=utf-8",
                body: format!("{line}\n").into_bytes(),
            };
            let (origin, size) = (checkpoint.origin, checkpoint.size);
            (reply, format!("cosigned {origin:?} at {size} entries"))
        }
        Ok(Answer::Conflict(size)) => {
            let reply = Reply {
                status: 409,
                content_type: "text/x.tlog.size",
                body: format!("{size}\n").into_bytes(),
            };
            (reply, format!("refused: {size} entries were cosigned last"))
        }
        Ok(Answer::Refused(refusal)) => {
            let status = match refusal {
                Refusal::Form(_) | Refusal::Checkpoint(_) | Refusal::Backwards { .. } => 400,
                Refusal::Untrusted(_) => 403,
                Refusal::Unknown(_) => 404,
                Refusal::Inconsistent { .. } => 422,
            };
            let line = format!("refused: {:?}", refusal.to_string());
            (Reply::words(status, refusal), line)
        }
        Err(error) => failed(&error),
    };
    journal(&line);
    reply
}

fn read(found: Result<Option<Vec<u8>>, RecordError>, journal: Journal) -> Reply {
    match found {
        Ok(Some(body)) => Reply {
            status: 200,
            content_type: "text/plain; charset=utf-8",
            body,
        },
        Ok(None) => Reply::words(404, "nothing cosigned"),
        Err(error) => {
            let (reply, line) = failed(&error);
            journal(&line);
            reply
        }
    }
}

/// What is wrong on this machine is for its journal alone.
fn failed(error: &RecordError) -> (Reply, String) {
    let reply = Reply::words(500, "this witness cannot cosign now; its journal says why");
    (reply, format!("failed: {error}"))
}
