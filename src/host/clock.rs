//! The host's clock.

use jiff::Timestamp;

/// Returns the server's time in whole seconds, as the record counts.
///
/// Commands and doors read it here and pass it on; nothing behind them asks again.
#[allow(clippy::disallowed_methods, reason = "here is where time comes in")]
pub fn clock() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
