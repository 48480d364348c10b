//! Certificate chains and keys out of PEM text.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A chain and its key from one PEM text.
///
/// # Errors
/// A sentence: no certificate, no key, or a key that does not belong to the certificate.
pub fn certified_key(pem: &str, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = chain(pem)?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|why| format!("no usable private key: {why}"))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|why| match why {
        rustls::Error::InconsistentKeys(_) => "the key belongs to another certificate".to_owned(),
        rustls::Error::InvalidCertificate(why) => {
            format!("the certificate is not readable: {why}")
        }
        why => format!(
            "the private key cannot be used; RSA of 2048 to 8192 bits, ECDSA (P-256, P-384, P-521) \
             and Ed25519 can: {why}"
        ),
    })
}

/// The certificates of a PEM text, in order.
///
/// # Errors
/// A sentence when there is none, or one is not readable.
pub fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|why| format!("a certificate is not readable: {why}"))?;
    if chain.is_empty() {
        return Err("no certificate in the file (PEM, -----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(chain)
}

/// Names that a certificate is valid for, in lower case; `*.a.example` as it stands.
///
/// # Errors
/// A sentence when the certificate is not readable.
pub fn names(key: &Arc<CertifiedKey>) -> Result<Vec<String>, String> {
    let first = key.end_entity_cert().map_err(|why| why.to_string())?;
    let parsed = webpki::EndEntityCert::try_from(first)
        .map_err(|why| format!("the certificate is not readable: {why}"))?;
    Ok(parsed.valid_dns_names().map(str::to_ascii_lowercase).collect())
}
