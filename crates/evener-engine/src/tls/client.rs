//! TLS towards servers: verified unless the plan says otherwise, errors that say what failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use evener_plan::PoolTls;

use super::certificates;

/// Id of the secret with the system's authorities: the worker opens no files, the supervisor sends
/// them.
pub const SYSTEM: &str = "system";

/// Id of the secret with the authorities that a pool verifies against.
pub fn authorities(tls: &PoolTls) -> &str {
    tls.ca.as_deref().unwrap_or(SYSTEM)
}

/// Builds the configuration of a pool.
///
/// # Errors
/// A sentence naming what is missing or not usable.
pub fn config(
    tls: &PoolTls,
    secrets: &BTreeMap<String, String>,
) -> Result<Arc<ClientConfig>, String> {
    let provider = super::provider();
    let verifier = verifier(tls, secrets, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(super::versions(tls.min_version))
        .map_err(|why| format!("TLS versions: {why}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(id) => {
            let pem = secret(secrets, id)?;
            let chain = certificates::chain(pem).map_err(|why| format!("{id}: {why}"))?;
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
                .map_err(|why| format!("{id}: no usable private key: {why}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|why| format!("{id}: {why}"))?
        }
    };
    Ok(Arc::new(config))
}

/// The name to verify and to send.
///
/// # Errors
/// A sentence when it is neither a host name nor an address.
pub fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        format!("{name:?} cannot be verified by TLS: neither a host name nor an address")
    })
}

fn secret<'a>(secrets: &'a BTreeMap<String, String>, id: &str) -> Result<&'a str, String> {
    secrets.get(id).map(String::as_str).ok_or_else(|| format!("the certificate {id} was not sent"))
}

fn verifier(
    tls: &PoolTls,
    secrets: &BTreeMap<String, String>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if !tls.verify {
        return Ok(Arc::new(Unverified(provider.clone())));
    }
    let id = authorities(tls);
    let roots = roots(secret(secrets, id)?).map_err(|why| format!("{id}: {why}"))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|why| format!("the authorities to verify against: {why}"))?;
    Ok(verifier)
}

/// The authorities of a PEM text.
///
/// # Errors
/// A sentence when there is none, or one is not readable.
pub(super) fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        // One authority of a bundle that this library cannot read must not cost the others.
        let _ = store.add(certificate.map_err(|why| why.to_string())?);
    }
    if store.is_empty() {
        return Err("no certificate in the file (PEM, -----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(store)
}

/// `verify: off`: any certificate, but a handshake whose signatures hold.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
