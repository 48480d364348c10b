//! TLS towards clients: which certificate, which versions, which tickets.
//!
//! Rules kept here:
//! - By server name: exact, then a wildcard of one label, then the first certificate.
//! - One ticket per full handshake, stateless (see `tickets`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use evener_plan::ListenerTls;

use super::certificates;
use super::tickets::{TicketKeys, Ticketer};

/// Builds the configuration of a listener.
///
/// # Errors
/// A sentence naming the secret that is missing or not usable.
pub fn config(
    tls: &ListenerTls,
    secrets: &BTreeMap<String, String>,
    tickets: &Arc<TicketKeys>,
) -> Result<Arc<ServerConfig>, String> {
    let provider = super::provider();
    let mut chosen = Certificates::default();
    for id in &tls.certificates {
        let pem = secrets.get(id).ok_or_else(|| format!("the certificate {id} was not sent"))?;
        let key =
            certificates::certified_key(pem, &provider).map_err(|why| format!("{id}: {why}"))?;
        chosen.add(Arc::new(key)).map_err(|why| format!("{id}: {why}"))?;
    }
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(super::versions(tls.min_version))
        .map_err(|why| format!("TLS versions: {why}"))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(chosen));
    config.alpn_protocols = tls.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    config.send_tls13_tickets = 1;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(Ticketer(tickets.clone()));
    Ok(Arc::new(config))
}

/// Certificates by server name.
#[derive(Debug, Default)]
struct Certificates {
    first: Option<Arc<CertifiedKey>>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    fn add(&mut self, key: Arc<CertifiedKey>) -> Result<(), String> {
        for name in certificates::names(&key)? {
            self.by_name.entry(name).or_insert_with(|| key.clone());
        }
        self.first.get_or_insert(key);
        Ok(())
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let by_name = name.and_then(|name| {
            // A dot at the end says nothing, as for routes.
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let wildcard = || format!("*.{}", name.split_once('.').map_or("", |(_, rest)| rest));
            self.by_name.get(&name).or_else(|| self.by_name.get(&wildcard()))
        });
        by_name.or(self.first.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use rustls::sign::{Signer, SigningKey};
    use rustls::{SignatureAlgorithm, SignatureScheme};

    use super::*;

    #[derive(Debug)]
    struct Unsigned;

    impl SigningKey for Unsigned {
        fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            None
        }

        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ED25519
        }
    }

    #[test]
    fn a_name_has_its_certificate_however_it_is_spelt() {
        let key = || Arc::new(CertifiedKey::new(Vec::new(), Arc::new(Unsigned)));
        let [first, exact, wildcard] = [key(), key(), key()];
        let by_name = [("a.example", &exact), ("*.b.example", &wildcard)];
        let by_name = by_name.map(|(name, key)| (name.to_owned(), key.clone()));
        let all = Certificates { first: Some(first.clone()), by_name: HashMap::from(by_name) };
        let cases = [
            (Some("a.example"), &exact),
            (Some("A.Example"), &exact),
            (Some("a.example."), &exact),
            (Some("x.b.example"), &wildcard),
            (Some("x.B.example."), &wildcard),
            (Some("b.example"), &first),
            (Some("y.x.b.example"), &first),
            (Some("example"), &first),
            (None, &first),
        ];
        for (name, expected) in cases {
            assert!(Arc::ptr_eq(&all.choose(name).unwrap(), expected), "{name:?}");
        }
    }
}
