//! TLS on both sides: rustls with aws-lc-rs, configured from the plan and its secrets.

mod certificates;
pub mod client;
pub mod server;
pub mod tickets;

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;

use evener_plan::TlsVersion;

/// The versions from this one up.
fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] =
        [&rustls::version::TLS13, &rustls::version::TLS12];
    match min {
        TlsVersion::V12 => &BOTH,
        TlsVersion::V13 => &BOTH[..1],
    }
}

/// Whether a certificate chain and its key can be used.
///
/// # Errors
/// A sentence saying why not.
pub fn refuse_key(pem: &str) -> Result<(), String> {
    let key = certificates::certified_key(pem, &provider())?;
    certificates::names(&Arc::new(key)).map(drop)
}

/// Whether authorities can be verified against.
///
/// # Errors
/// A sentence saying why not.
pub fn refuse_authorities(pem: &str) -> Result<(), String> {
    client::roots(pem).map(drop)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
