//! An HTTP server with bounds: the one place with an async runtime.
//!
//! One thread answers everything, one request after the other; what it does in between is wait for
//! bytes. TLS is the business of what stands before it.

pub mod witness;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;

/// How long a request's head, and then its body, may take to come in.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection is kept for further requests.
const LIFE: Duration = Duration::from_secs(60);
/// The most bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// The most connections at once; more are closed unanswered.
const MAX_CONNECTIONS: usize = 128;

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// What answers: method, path and body, which is whole and within the bound.
pub type Door = dyn Fn(&Method, &str, &[u8]) -> Reply + Send + Sync;

impl Reply {
    /// Returns a line of words.
    pub fn words(status: u16, words: impl std::fmt::Display) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{words}\n").into_bytes(),
        }
    }
}

/// Serves for ever; bodies have at most `limit` bytes.
pub fn serve(listener: TcpListener, limit: usize, door: Arc<Door>) -> io::Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    listener.set_nonblocking(true)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let open = Arc::new(AtomicUsize::new(0));
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file descriptors, or a connection that died: others may do better.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let place = Place::take(&open);
            let door = Arc::clone(&door);
            if let Some(place) = place {
                tokio::spawn(async move {
                    connection(stream, limit, door).await;
                    drop(place);
                });
            }
        }
    })
}

/// One of the places for connections, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(open));
        let taken = open.fetch_add(1, Ordering::SeqCst);
        (taken < MAX_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(stream: tokio::net::TcpStream, limit: usize, door: Arc<Door>) {
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(response(answer(request, limit, &*door).await)) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEAD);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // What goes wrong on a connection is the client's to notice.
    if timeout(LIFE, serving.as_mut()).await.is_err() {
        serving.as_mut().graceful_shutdown();
        timeout(PATIENCE, serving).await.ok();
    }
}

async fn answer(request: Request<Incoming>, limit: usize, door: &Door) -> Reply {
    let (head, body) = request.into_parts();
    let body = timeout(PATIENCE, Limited::new(body, limit).collect()).await;
    match body {
        Ok(Ok(body)) => door(&head.method, head.uri.path(), &body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Reply::words(413, format_args!("at most {limit} bytes"))
        }
        Ok(Err(_)) => Reply::words(400, "the request breaks off"),
        Err(_) => Reply::words(408, "the request takes too long"),
    }
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    response
}
