//! Making a connection to a server: TCP or unix, then TLS where the pool speaks it.
//!
//! Rules kept here:
//! - An error says what failed, as a cause that health understands and words that a person does.
//! - Running out of something of our own says nothing against the server.
//!
//! Not known here: time-outs (the caller bounds the whole), and which server was picked.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use evener_balance::Cause;
use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::target::{Place, Target};
use crate::io::socket::Socket;
use crate::io::stream::{Plain, Tls};
use crate::io::{Poller, Stream};

/// Why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    /// Whose fault that is.
    pub blame: Blame,
    /// For people; at most [`MOST_WORDS`] bytes, since some of them are the server's.
    pub words: String,
}

/// Whose fault it is that there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The server's.
    Server(Cause),
    /// Ours: no descriptor, no memory.
    Ours,
    /// Ours, towards this server: each has a range of local ports of its own, and it is used up.
    Ports,
    /// Nobody's: time for all connections together was over before this one had had its own.
    Time,
}

/// Bytes of an error's words: a certificate can name a thousand hosts it is for.
const MOST_WORDS: usize = 400;

/// Connects, and makes the TLS handshake if there is a configuration for it. `speaks`: bytes for the
/// server are at hand.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(
    poller: &Rc<Poller>,
    target: &Target,
    tls: Option<&Arc<ClientConfig>>,
    speaks: bool,
) -> Result<Stream, ConnectError> {
    #[cfg(any(test, feature = "simulation"))]
    if let Some(connected) = crate::simulation::connect(&target.place).await {
        return connected.map_err(ConnectError::socket);
    }
    let plain = Plain::new(
        socket(poller, &target.place, speaks || tls.is_some())
            .await
            .map_err(ConnectError::socket)?,
    );
    let (Some(config), Some(name)) = (tls, &target.server_name) else {
        return Ok(Stream::Plain(plain));
    };
    let stream = TlsConnector::from(config.clone())
        .connect(name.clone(), plain)
        .await
        .map_err(|why| ConnectError::handshake(&why))?;
    Ok(Stream::ClientTls(Box::new(Tls::new(stream))))
}

async fn socket(poller: &Rc<Poller>, place: &Place, speaks: bool) -> io::Result<Socket> {
    match place {
        Place::Tcp(address) => Socket::connect_tcp(poller, *address, speaks).await,
        Place::Unix(path) => Socket::connect_unix(poller, path),
    }
}

impl ConnectError {
    /// The server's time is over.
    pub fn late() -> ConnectError {
        let words = "no connection in time".to_owned();
        ConnectError { blame: Blame::Server(Cause::ConnectTimeout), words }
    }

    /// Time for all connections together is over.
    pub fn out_of_time() -> ConnectError {
        let words = "no time was left for a connection".to_owned();
        ConnectError { blame: Blame::Time, words }
    }

    /// There is no such server.
    pub fn nowhere() -> ConnectError {
        ConnectError { blame: Blame::Ours, words: "no such server".to_owned() }
    }

    fn socket(why: io::Error) -> ConnectError {
        use io::ErrorKind as Kind;
        let blame = match why.kind() {
            Kind::ConnectionRefused | Kind::NotFound => Blame::Server(Cause::ConnectRefused),
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
                Blame::Server(Cause::ConnectUnreachable)
            }
            Kind::TimedOut => Blame::Server(Cause::ConnectTimeout),
            Kind::AddrNotAvailable => Blame::Ports,
            Kind::OutOfMemory => Blame::Ours,
            _ if is_ours(&why) => Blame::Ours,
            _ => Blame::Server(Cause::ConnectFailed),
        };
        ConnectError { blame, words: bounded(plain(&why)) }
    }

    fn handshake(why: &io::Error) -> ConnectError {
        let cause = match why.kind() {
            io::ErrorKind::TimedOut => Cause::ConnectTimeout,
            _ => Cause::TlsFailed,
        };
        let words = bounded(format!("TLS: {}", plain(why)));
        ConnectError { blame: Blame::Server(cause), words }
    }
}

/// What went wrong, without the number that only programmers read.
fn plain(why: &io::Error) -> String {
    let words = why.to_string();
    words.split(" (os error ").next().unwrap_or(&words).to_owned()
}

fn bounded(mut words: String) -> String {
    if words.len() > MOST_WORDS {
        words.truncate(words.floor_char_boundary(MOST_WORDS - '…'.len_utf8()));
        words.push('…');
    }
    words
}

fn is_ours(why: &io::Error) -> bool {
    use rustix::io::Errno;
    // No descriptor, no memory. The last: a user may have only so many watched (epoll(7),
    // max_user_watches).
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOSPC];
    Errno::from_io_error(why).is_some_and(|code| ours.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_something_of_our_own_says_nothing_against_a_server() {
        use rustix::io::Errno;
        let lacks = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::NOSPC];
        for lack in lacks {
            assert_eq!(ConnectError::socket(lack.into()).blame, Blame::Ours, "{lack}");
        }
        assert_eq!(ConnectError::socket(Errno::ADDRNOTAVAIL.into()).blame, Blame::Ports);
        let theirs = ConnectError::socket(Errno::CONNREFUSED.into()).blame;
        assert_eq!(theirs, Blame::Server(Cause::ConnectRefused));
    }

    #[test]
    fn words_are_cut_between_letters_and_say_so() {
        assert_eq!(bounded("é".repeat(200)), "é".repeat(200));
        let cut = bounded("é".repeat(201));
        assert!(cut.len() <= MOST_WORDS && cut.ends_with("é…"));
    }
}
