//! How far the record is final, in words, and what witnesses answered.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::admit::sealed::Sealed;
use crate::record::AskError;
use crate::wire::cosignature::CosignerKey;
use crate::wire::log_policy::Cosigned;

use super::log::{blank, lines};
use super::plain::{plain, wrap};

/// What one witness said when it was asked.
#[derive(Debug)]
pub struct Asked {
    /// Its key.
    pub key: CosignerKey,
    /// Where it is, by the host's settings.
    pub url: Option<String>,
    /// When it cosigned, or why it did not; nothing where there is no address.
    pub answer: Option<Result<Timestamp, AskError>>,
}

impl Asked {
    fn problem(&self) -> Option<String> {
        match &self.answer {
            None => Some("server.toml has no address of it".to_owned()),
            Some(Err(error)) => Some(error.to_string()),
            Some(Ok(_)) => None,
        }
    }

    fn cosigned(&self) -> Option<String> {
        let answer = self.answer.as_ref();
        answer.and_then(|answer| answer.as_ref().ok().map(Timestamp::to_string))
    }
}

/// Says how far the record is final, in a line or two.
pub fn text(sealed: &Sealed) -> String {
    let lines = wrap(&said(sealed), "  ");
    lines.into_iter().map(|line| line + "\n").collect()
}

fn said(sealed: &Sealed) -> String {
    let (finality, witnesses) = match sealed {
        Sealed::Unasked => {
            return "final: nothing, since the policy names no witnesses: the record proves nothing \
                    against its own operator"
                .to_owned();
        }
        Sealed::Unknown(why) => {
            return format!(
                "final: cannot be said, the policy is unreadable: {}",
                plain(why)
            );
        }
        Sealed::Known {
            finality,
            witnesses,
        } => (finality, witnesses),
    };
    let (count, all) = (witnesses.quorum, witnesses.keys.len());
    match &finality.last {
        None => format!(
            "final: none of {} entries, {count} of {all} witnesses are wanted: run countersign log \
             witness",
            finality.size
        ),
        Some((last, cosigned)) => format!(
            "final: {} of {} entries, {}",
            last.size,
            finality.size,
            by(cosigned)
        ),
    }
}

/// Says who cosigned, and when.
pub fn by(cosigned: &Cosigned) -> String {
    let one = |(name, at): (&String, &u64)| format!("{} ({})", plain(name), time(*at));
    let all: Vec<String> = cosigned.by.iter().map(one).collect();
    match all.is_empty() {
        true => "cosigned by nobody".to_owned(),
        false => format!("cosigned by {}", all.join(", ")),
    }
}

/// Returns the same for a program: null where no witnesses are asked for.
pub fn value(sealed: &Sealed) -> Value {
    match sealed {
        Sealed::Unasked => Value::Null,
        Sealed::Unknown(why) => json!({"size": null, "problem": why}),
        Sealed::Known {
            finality,
            witnesses,
        } => {
            let last = finality.last.as_ref();
            json!({
                "size": finality.sealed(),
                "of": finality.size,
                "quorum": witnesses.quorum,
                "witnesses": witnesses.keys.iter().map(CosignerKey::name).collect::<Vec<_>>(),
                "cosigned": last.map(|(_, cosigned)| by_value(cosigned)),
            })
        }
    }
}

/// Returns who cosigned, and when, for a program.
pub fn by_value(cosigned: &Cosigned) -> Value {
    let times = cosigned.by.iter();
    times.map(|(name, at)| (name.clone(), time(*at))).collect()
}

/// Says what each witness answered.
pub fn asked(all: &[Asked]) -> String {
    let mut table = blank(&["witness", "answer"]);
    for one in all {
        let answer = match (one.cosigned(), one.problem()) {
            (Some(time), _) => format!("cosigned at {time}"),
            (None, problem) => problem.unwrap_or_default(),
        };
        table.add_row([plain(one.key.name()), plain(&answer)]);
    }
    lines(&table)
}

/// Returns the same for a program.
pub fn asked_value(all: &[Asked]) -> Value {
    let split = |one: &Asked| matches!(&one.answer, Some(Err(error)) if error.is_split());
    all.iter()
        .map(|one| {
            json!({
                "witness": one.key.name(),
                "url": one.url,
                "cosigned": one.cosigned(),
                "problem": one.problem(),
                "split": split(one),
            })
        })
        .collect()
}

/// Returns a cosignature's time.
fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds);
    time.map_or_else(
        |_| "a time beyond year 9999".to_owned(),
        |time| time.to_string(),
    )
}
