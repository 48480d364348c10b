//! Values with words in braces: `https://{host}{uri}`.
//!
//! Rules kept here:
//! - Parsed once, with the plan; an unknown word is an error that names it.
//! - `{{` is a brace; a `}` that ends no word is itself.
//! - What a word expands to is the caller's to judge: bytes that cannot stand where the value goes
//!   are refused there.
//!
//! Not known here: where the words' values come from.

/// A word that a value may contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Address of the client, after trusted proxies.
    ClientIp,
    /// Port of the client; empty when a proxy named the client.
    ClientPort,
    /// Address of the socket's other end.
    PeerIp,
    /// Host of the request, without port.
    Host,
    /// Canonical path.
    Path,
    /// Target of the request as sent, with its query.
    Uri,
    /// An argument of the query; without a name the whole query.
    Query(String),
    /// A field of the request, by its name in lower case.
    Header(String),
    /// A cookie of the request.
    Cookie(String),
    /// Method of the request.
    Method,
    /// `http` or `https`.
    Scheme,
    /// Server name of the TLS handshake.
    TlsSni,
    /// Id of the request.
    RequestId,
    /// Id of the server picked.
    Server,
    /// Name of the pool.
    Pool,
    /// Name of the route.
    Route,
    /// Seconds since 1970.
    Now,
}

/// A value with words, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Word(Word),
}

/// Gives the words' values.
pub trait Words {
    /// Appends the value of a word; nothing where there is none.
    fn append(&self, word: &Word, out: &mut Vec<u8>);
}

impl Template {
    /// Parses a value.
    ///
    /// # Errors
    /// A sentence naming the unknown word or the brace that is not closed.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            plain.extend_from_slice(before.as_bytes());
            if let Some(behind) = from.strip_prefix('{') {
                plain.push(b'{');
                rest = behind;
                continue;
            }
            let Some((word, behind)) = from.split_once('}') else {
                return Err(format!(
                    "{text:?} has a brace without its other half; {{{{ is a brace"
                ));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Word(Word::parse(word)?));
            rest = behind;
        }
        plain.extend_from_slice(rest.as_bytes());
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template { parts })
    }

    /// Appends the expanded value.
    pub fn expand(&self, words: &dyn Words, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Word(word) => words.append(word, out),
            }
        }
    }
}

impl Word {
    fn parse(text: &str) -> Result<Word, String> {
        Ok(match text {
            "client.ip" => Word::ClientIp,
            "client.port" => Word::ClientPort,
            "peer.ip" => Word::PeerIp,
            "host" => Word::Host,
            "path" => Word::Path,
            "uri" => Word::Uri,
            "method" => Word::Method,
            "scheme" => Word::Scheme,
            "tls.sni" => Word::TlsSni,
            "request.id" => Word::RequestId,
            "server" => Word::Server,
            "pool" => Word::Pool,
            "route" => Word::Route,
            "now" => Word::Now,
            _ => return Word::named(text).ok_or(format!("{{{text}}} is not a word values know")),
        })
    }

    fn named(text: &str) -> Option<Word> {
        let (family, name) = text.split_once('.')?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        match family {
            "query" => Some(Word::Query(name.to_owned())),
            "header" => Some(Word::Header(name.to_ascii_lowercase())),
            "cookie" => Some(Word::Cookie(name.to_owned())),
            _ => None,
        }
    }
}

/// The bytes of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Words for Fixed {
        fn append(&self, word: &Word, out: &mut Vec<u8>) {
            out.extend_from_slice(match word {
                Word::Host => b"a.example",
                Word::Uri => b"/x?y",
                Word::Header(name) if name == "x-user" => b"ada",
                _ => b"",
            });
        }
    }

    fn expand(text: &str) -> String {
        let mut out = Vec::new();
        Template::parse(text).unwrap().expand(&Fixed, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn words_expand_and_doubled_braces_are_braces() {
        assert_eq!(expand("https://{host}{uri}"), "https://a.example/x?y");
        assert_eq!(expand("{{{header.X-User}}"), "{ada}");
        assert_eq!(expand("{{\"a\":{{}}"), "{\"a\":{}}");
        assert_eq!(expand("plain"), "plain");
    }

    #[test]
    fn texts_are_read_as_the_configuration_reads_them() {
        let texts = include_str!("../../../../tests/golden/templates.txt");
        for line in texts.lines().filter(|line| !line.starts_with('#')) {
            let (verdict, text) = line.split_once(' ').unwrap();
            assert_eq!(Template::parse(text).is_ok(), verdict == "ok", "{text}");
        }
    }

    #[test]
    fn unknown_words_and_open_braces_are_named() {
        assert!(Template::parse("{hots}").unwrap_err().contains("{hots}"));
        assert!(Template::parse("a{host").unwrap_err().contains("brace"));
        assert!(Template::parse("{header.}").is_err());
    }
}
