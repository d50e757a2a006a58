//! The machine Countersign stands on: `server.toml`, hooks on disk, who the pusher is.
//!
//! What is here belongs to the host's admin, never to a pusher: nothing in a pushed object can
//! change it.

pub mod certificate;
mod clock;
pub mod config;
pub mod enroll;
pub mod founding;
pub mod hooks;
pub mod login;
pub mod ownership;
pub mod place;
pub mod previous;
pub mod pusher;
pub mod repositories;
pub mod server;
mod settings;
pub mod state;
mod stores;
pub mod user;

pub use clock::clock;
pub use pusher::{PusherSource, pusher};
pub use server::Server;
