//! The way to other machines: requests that are bounded in size and time.
//!
//! For witnesses, which cosign checkpoints, and monitors, which read a log from afar. What comes back
//! is untrusted: it is believed for the signatures it carries, never for the connection it came over.
//! So plain `http` is allowed, as between machines of one network. Certificates of `https` are
//! checked against the system's store. A proxy that the environment names is used, as curl does.

#![allow(
    clippy::disallowed_types,
    reason = "here is where requests leave the machine"
)]

use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a request may take, from the first byte out to the last one in.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of an answer's head.
const MAX_HEAD: usize = 16 * 1024;

/// A client; cheap to clone, and its clones share connections.
#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
}

/// What a server answered, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status; redirects (3xx) are answers like any other and are not followed.
    pub status: u16,
    /// `Content-Type`, where it is there and is text.
    pub content_type: Option<String>,
    /// Within the limit that was given.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not an address to ask.
    #[error("{0}: not an address of http:// or https:// with a host")]
    Address(String),
    /// The answer is larger than was allowed.
    #[error("{url}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// Who answered.
        url: String,
        /// How much was allowed.
        limit: u64,
    },
    /// It took too long.
    #[error("{0}: no answer within {seconds} s", seconds = PATIENCE.as_secs())]
    Timeout(String),
    /// No connection, no TLS, no HTTP.
    #[error("{url}: {why}")]
    Failed {
        /// Who was asked.
        url: String,
        /// What happened.
        why: String,
    },
}

impl Default for Http {
    fn default() -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEAD)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(PATIENCE))
            // A server may close what is idle at any time, and the next request would fail.
            .max_idle_connections(0)
            .tls_config(tls)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.new_agent(),
        }
    }
}

impl Http {
    /// Fetches, at most `limit` bytes.
    pub fn get(&self, url: &str, limit: u64) -> Result<Answer, HttpError> {
        check(url)?;
        answer(url, self.agent.get(url).call(), limit)
    }

    /// Sends a body and returns the answer to it, of at most `limit` bytes.
    pub fn post(&self, url: &str, body: &[u8], limit: u64) -> Result<Answer, HttpError> {
        check(url)?;
        let request = self
            .agent
            .post(url)
            .content_type("application/octet-stream");
        answer(url, request.send(body), limit)
    }
}

/// Returns whether this may be asked: `http` or `https`, and a host.
pub fn is_address(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let graphic = url.bytes().all(|byte| byte.is_ascii_graphic());
    graphic && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']))
}

fn check(url: &str) -> Result<(), HttpError> {
    match is_address(url) {
        true => Ok(()),
        false => Err(HttpError::Address(url.to_owned())),
    }
}

fn answer(
    url: &str,
    sent: Result<ureq::http::Response<Body>, Error>,
    limit: u64,
) -> Result<Answer, HttpError> {
    let (head, body) = sent
        .map_err(|error| failed(url, error, limit))?
        .into_parts();
    // One byte more than is allowed tells a body that is too large from one that just fits.
    let body = body
        .into_with_config()
        .limit(limit.saturating_add(1))
        .read_to_vec()
        .map_err(|error| failed(url, error, limit))?;
    if u64::try_from(body.len()).unwrap_or(u64::MAX) > limit {
        let url = url.to_owned();
        return Err(HttpError::TooLarge { url, limit });
    }
    let content_type = head.headers.get("content-type");
    Ok(Answer {
        status: head.status.as_u16(),
        content_type: content_type.and_then(|value| value.to_str().ok().map(str::to_owned)),
        body,
    })
}

fn failed(url: &str, error: Error, limit: u64) -> HttpError {
    let url = url.to_owned();
    match error {
        Error::BodyExceedsLimit(_) => HttpError::TooLarge { url, limit },
        Error::Timeout(_) => HttpError::Timeout(url),
        Error::BadUri(_) | Error::Http(_) => HttpError::Address(url),
        other => HttpError::Failed {
            url,
            why: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    /// A server that answers every connection with these bytes and closes it; its address.
    fn server(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = answer.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &answer));
            }
        });
        address
    }

    fn serve(mut stream: TcpStream, answer: &[u8]) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        // Whoever has read enough hangs up. What was not read here would take the answer back.
        stream.write_all(answer).ok();
        stream.shutdown(Shutdown::Write).ok();
        stream.read_to_end(&mut Vec::new()).ok();
    }

    /// Status, type and body come back whatever the status; the body as far as it is allowed.
    #[test]
    fn answers() {
        let url = server(
            b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 3\r\n\r\n42\n"
                .to_vec(),
        );
        let expected = Answer {
            status: 409,
            content_type: Some("text/x.tlog.size".to_owned()),
            body: b"42\n".to_vec(),
        };
        let http = Http::default();
        assert_eq!(http.get(&url, 3).unwrap(), expected);
        assert_eq!(http.post(&url, b"body", 100).unwrap(), expected);
        assert!(matches!(
            http.get(&url, 2),
            Err(HttpError::TooLarge { limit: 2, .. })
        ));
    }

    /// A body without an end is cut off, a head without one as well, and what is no HTTP is an error.
    #[test]
    fn bounds() {
        let http = Http::default();
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 1 << 20]].concat();
        assert!(matches!(
            http.get(&server(endless), 1000),
            Err(HttpError::TooLarge { .. })
        ));
        let head = [
            b"HTTP/1.1 200 OK\r\nX: ".to_vec(),
            vec![b'a'; 1 << 20],
            b"\r\n\r\n".to_vec(),
        ]
        .concat();
        for answer in [head, b"no HTTP\r\n\r\n".to_vec(), Vec::new()] {
            let found = http.get(&server(answer), 1000);
            assert!(matches!(found, Err(HttpError::Failed { .. })), "{found:?}");
        }
    }

    /// A redirect is not followed, neither elsewhere nor on the same host.
    #[test]
    fn follows_nothing() {
        let there = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
        let here = server(
            format!("HTTP/1.1 302 Found\r\nLocation: {there}/\r\nContent-Length: 0\r\n\r\n")
                .into_bytes(),
        );
        let http = Http::default();
        assert_eq!(http.get(&here, 10).unwrap().status, 302);
        assert_eq!(http.post(&here, b"", 10).unwrap().status, 302);
    }

    /// Files, other schemes and addresses without a host are not asked.
    #[test]
    fn refuses_addresses() {
        for url in [
            "",
            "file:///etc/passwd",
            "ftp://a/",
            "http://",
            "http:///x",
            "https://:80/",
            "http://a b/",
            "http://a/\r\nX: y",
            "http://[::1",
        ] {
            let found = Http::default().get(url, 10);
            assert!(
                matches!(found, Err(HttpError::Address(_))),
                "{url}: {found:?}"
            );
        }
    }

    /// Nobody there is an error that says who was asked.
    #[test]
    fn nobody_there() {
        let url = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        let error = Http::default().get(&url, 10).unwrap_err();
        assert!(error.to_string().starts_with(&url), "{error}");
    }
}
