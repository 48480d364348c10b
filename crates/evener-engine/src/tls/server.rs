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
            let name = name.to_ascii_lowercase();
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
