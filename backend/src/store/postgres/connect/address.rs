//! What stands in the URL of a PostgreSQL server.
//!
//! Rule 1: whoever asks for encryption gets a server that proved its name, or none. libpq's
//! `require` would take any certificate, and its `verify-full` is the same as `require` here.
//! Rule 2: of several hosts the one that takes changes is meant, unless the URL says otherwise.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::engine::ENGINE;
use crate::store::StoreError;

/// Gives how to connect, and with what encryption.
pub(super) fn parse(url: &str) -> Result<(Config, Option<MakeRustlsConnect>), StoreError> {
    let (url, tls) = Tls::split_off(url);
    // Not the parser's reason: it quotes, and a password that was not escaped is anywhere.
    let mut config: Config = url.parse().map_err(|_| {
        let wanted = "the URL in --store cannot be read: use \
                      postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for an @ in a password";
        StoreError::unavailable(ENGINE, wanted)
    })?;
    let options = url.split_once('?').map_or("", |(_, options)| options);
    if !options.split('&').any(|option| option.starts_with("target_session_attrs=")) {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if tls.mode.is_none() && config.get_hosts().iter().all(is_this_machine) {
        config.ssl_mode(SslMode::Disable);
    }
    if config.get_ssl_mode() == SslMode::Disable {
        return Ok((config, None));
    }
    let client = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions that are on by default")
        .with_root_certificates(roots(tls.root_certificates)?)
        .with_no_client_auth();
    Ok((config, Some(MakeRustlsConnect::new(client))))
}

/// The options of libpq that this client's parser does not know.
#[derive(Debug, PartialEq, Eq)]
struct Tls<'a> {
    mode: Option<&'a str>,
    root_certificates: Option<&'a str>,
}

impl<'a> Tls<'a> {
    fn split_off(url: &'a str) -> (String, Self) {
        let mut tls = Self { mode: None, root_certificates: None };
        let Some((start, options)) = url.split_once('?') else { return (url.to_owned(), tls) };
        let mut known = Vec::new();
        for option in options.split('&') {
            match option.split_once('=') {
                Some(("sslmode", mode)) => {
                    tls.mode = Some(mode);
                    known.push(match mode {
                        "verify-ca" | "verify-full" => "sslmode=require",
                        "allow" => "sslmode=prefer",
                        _ => option,
                    });
                }
                Some(("sslrootcert", "system")) => {}
                Some(("sslrootcert", file)) => tls.root_certificates = Some(file),
                Some(_) | None => known.push(option),
            }
        }
        (format!("{start}?{}", known.join("&")), tls)
    }
}

/// What goes to this machine itself needs no encryption; the certificate that Debian gives a server
/// could not be checked anyway.
fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// Those of a file, as providers with authorities of their own hand them out, or the web's.
fn roots(file: Option<&str>) -> Result<RootCertStore, StoreError> {
    let Some(file) = file else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let invalid = || {
        let file = Path::new(file).display();
        let reason = format_args!("{file} of sslrootcert holds no certificates in PEM");
        StoreError::unavailable(ENGINE, reason)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|_| invalid())? {
        roots.add(certificate.map_err(|_| invalid())?).map_err(|_| invalid())?;
    }
    if roots.is_empty() { Err(invalid()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_elsewhere_is_encrypted_unless_it_is_said_otherwise() {
        for (url, mode) in [
            ("postgres://ada@127.0.0.1/app", SslMode::Disable),
            ("postgres://ada@localhost/app?sslmode=require", SslMode::Require),
            ("postgres://ada@/app?host=/run/postgresql", SslMode::Disable),
            ("postgres://ada@db.example/app", SslMode::Prefer),
            ("postgres://ada@db.example/app?sslmode=disable", SslMode::Disable),
            (
                "postgres://ada@db.example/app?connect_timeout=3&sslmode=verify-full",
                SslMode::Require,
            ),
        ] {
            let (config, tls) = parse(url).expect("it is a URL");
            assert_eq!((config.get_ssl_mode(), tls.is_some()), (mode, mode != SslMode::Disable));
        }
    }

    #[test]
    fn a_server_that_takes_changes_is_meant_unless_it_is_said_otherwise() {
        for (url, wanted) in [
            ("postgres://ada@a,b/app", TargetSessionAttrs::ReadWrite),
            ("postgres://ada@a,b/app?connect_timeout=3", TargetSessionAttrs::ReadWrite),
            ("postgres://ada@a,b/app?target_session_attrs=any", TargetSessionAttrs::Any),
        ] {
            let (config, _) = parse(url).expect("it is a URL");
            assert_eq!(config.get_target_session_attrs(), wanted);
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_quoted() {
        for url in ["postgres://ada:s3cret/app", "postgres://h/app?s3cret=1"] {
            let error = parse(url).err().expect("it is no URL").to_string();
            assert!(!error.contains("s3c"), "{error}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_an_error_that_names_it() {
        let url = "postgres://ada@h/app?sslmode=require&sslrootcert=/dev/null";
        let error = parse(url).err().expect("there is nothing in it").to_string();
        assert!(error.contains("/dev/null"), "{error}");
    }
}
