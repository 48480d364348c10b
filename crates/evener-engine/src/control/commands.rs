//! Commands and answers as JSON.
//!
//! Rules kept here: unknown and missing fields are errors with the parser's words, which name the
//! field and the place.
//!
//! Not known here: what a command does.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{Deserialize, DeserializeOwned, IgnoredAny};
use serde::{Deserialize as FromJson, Serialize};

use super::hello::Hello;

/// The first frame of a connection.
#[derive(FromJson, Serialize)]
pub struct Greeting {
    /// Who speaks.
    pub hello: Hello,
}

/// What all commands have in common.
#[derive(FromJson)]
pub struct Envelope<'a> {
    /// The answer repeats it.
    pub id: u64,
    /// Which command it is.
    #[serde(rename = "do", borrow)]
    pub verb: Cow<'a, str>,
}

impl<'a> Envelope<'a> {
    /// Reads what all commands have, and passes over the rest.
    ///
    /// # Errors
    /// In words.
    pub fn read(text: &'a [u8]) -> Result<Envelope<'a>, String> {
        let mut parser = serde_json::Deserializer::from_slice(text);
        let envelope = Envelope::deserialize(&mut parser);
        envelope.map_err(|why| format!("a frame that is no command: {why}"))
    }
}

/// Declares commands: their own fields beside those of the envelope.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(FromJson)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                #[serde(rename = "id")]
                _id: IgnoredAny,
                #[serde(rename = "do")]
                _verb: IgnoredAny,
                $($(#[$field_doc])* pub $field: $type,)*
            }
        )*
    };
}

commands! {
    /// A command without fields.
    Bare {}
    /// Start the threads.
    Shards {
        /// How many shards; one descriptor more comes with it.
        count: usize,
    }
    /// PEM texts.
    Secrets {
        /// By id.
        secrets: BTreeMap<String, String>,
    }
    /// TLS ticket keys.
    Tickets {
        /// As hex, the newest first.
        keys: Vec<String>,
    }
    /// Listening sockets.
    Sockets {
        /// One for each descriptor.
        sockets: Vec<Socket>,
    }
    /// What is known of servers.
    Health {
        /// Each.
        servers: Vec<super::facts::Seen>,
    }
    /// A plan.
    Plan {
        /// The plan.
        plan: evener_plan::Plan,
    }
    /// People's word.
    Admin {
        /// Whose.
        pool: String,
        /// Which.
        server: String,
        /// The word.
        admin: evener_plan::Admin,
    }
    /// The end, in order.
    Drain {
        /// For requests in hand.
        requests_ms: u64,
        /// For upgraded connections and TCP sessions.
        tunnels_ms: u64,
    }
}

/// A listening socket.
#[derive(FromJson)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// As in the plan's `bind`.
    pub address: String,
    /// Whose it is; all shards' if none is named.
    #[serde(deserialize_with = "required")]
    pub shard: Option<usize>,
}

/// A field that may be null but not missing.
fn required<'de, D, T>(parser: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(parser)
}

/// Reads a command's fields.
///
/// # Errors
/// In words.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|why| why.to_string())
}

/// The text of an answer, or of an event.
pub fn text(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("messages have only string keys")
}

/// The answer to a command that was obeyed.
#[derive(Serialize)]
pub struct Ok<T> {
    /// Which.
    pub re: u64,
    /// What came of it.
    pub ok: T,
}

/// The answer to a command that was not.
#[derive(Serialize)]
pub struct Refused {
    /// Which.
    pub re: u64,
    /// Why, each in words.
    pub errors: Vec<String>,
}

/// The answer of a plan that serves. Servers are counted.
#[derive(Serialize)]
pub struct Served {
    /// Its number.
    pub generation: u64,
    /// Milliseconds from the command to the swap.
    pub build_ms: f64,
    /// Milliseconds that a shard did nothing else meanwhile; of all shards the longest.
    pub pause_ms: f64,
    /// Servers of both plans.
    pub kept: usize,
    /// Servers of this plan only.
    pub added: usize,
    /// Servers of the plan before only.
    pub removed: usize,
}

/// The answer of `facts`.
#[derive(Serialize)]
pub struct AllFacts {
    /// All servers.
    pub servers: Vec<super::facts::Form>,
}

/// The answer of `status`.
#[derive(Serialize)]
pub struct Status {
    /// Number of the plan that serves; 0 is none.
    pub generation: u64,
    /// Since the process began.
    pub uptime_ms: u64,
    /// All servers.
    pub servers: Vec<super::facts::Form>,
    /// Client connections, parked ones included.
    pub connections: u64,
    /// Requests and sessions at servers.
    pub in_flight: u64,
    /// Idle client connections that are no tasks, as of the last second.
    pub parked: u64,
    /// Whether the end has begun.
    pub draining: bool,
    /// Policies of the user's, of each pool that has one.
    pub policies: Vec<crate::policies::Condition>,
}

/// An empty answer.
#[derive(Serialize)]
pub struct Nothing {}

/// The bytes of a text of hex digits.
///
/// # Errors
/// A sentence that does not repeat the text, which may be a key.
pub fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| "not hex digits in pairs".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_a_missing_and_a_misshapen_field_are_named() {
        let bad = |text: &str| read::<Shards>(text.as_bytes()).err().unwrap();
        assert!(bad(r#"{"id":1,"do":"shards","count":1,"more":2}"#).contains("more"));
        assert!(bad(r#"{"id":1,"do":"shards"}"#).contains("count"));
        assert!(bad(r#"{"id":1,"do":"shards","count":-1}"#).contains("-1"));
        assert!(read::<Bare>(br#"{"id":1,"do":"stop"}"#).is_ok());
    }

    #[test]
    fn a_socket_of_all_shards_says_so() {
        let read = |text: &str| serde_json::from_str::<Socket>(text);
        assert_eq!(read(r#"{"address":"a","shard":null}"#).unwrap().shard, None);
        assert_eq!(read(r#"{"address":"a","shard":1}"#).unwrap().shard, Some(1));
        assert!(read(r#"{"address":"a"}"#).is_err());
    }

    #[test]
    fn hex_is_read_in_either_case_and_nothing_else_is() {
        assert_eq!(from_hex("00fFa1").unwrap(), [0, 255, 161]);
        for bad in ["0", "0g", "é0"] {
            assert!(from_hex(bad).is_err(), "{bad}");
        }
    }
}
