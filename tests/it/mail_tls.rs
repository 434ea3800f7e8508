//! Mail over TLS, by the command that sends one: the server's certificate must be good.

use std::{path::Path, process::Output, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;

use crate::support::{
    connection::Certificate,
    program::{dir, run, stderr, stdout},
    smtp::{SmtpServer, Tls},
};

fn config(certificate: &Certificate, folder: &Path) -> Arc<ServerConfig> {
    let files = certificate.write(folder);
    let key = PrivateKeyDer::from_pem_file(files.key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    Arc::new(config.expect("a configuration"))
}

/// Sends a test mail, trusting the certificate in this folder.
fn send(folder: &Path, url: &str) -> Output {
    let trusted = folder.join("certificate.pem");
    let variables = [("SMTP_URL", url), ("SSL_CERT_FILE", trusted.to_str().expect("UTF-8"))];
    run(folder, &["mail", "test", "--to", "ada@example.com", "--json"], &variables)
}

#[test]
fn a_server_is_trusted_by_its_certificate_only() {
    let (good, other, certificate) = (dir(), dir(), Certificate::make());
    let config = config(&certificate, good.path());
    Certificate::make().write(other.path());
    for (tls, scheme, query) in [
        (Tls::FromTheStart(config.clone()), "smtps", ""),
        (Tls::AfterStartTls(config.clone()), "smtp", "?tls=required"),
    ] {
        let server = SmtpServer::start_encrypted(tls);
        let url = |host: &str| format!("{scheme}://{host}:{}{query}", server.address.port());
        let sent = send(good.path(), &url("localhost"));
        assert!(sent.status.success(), "{scheme}: {}", stderr(&sent));
        let told: Value = serde_json::from_str(&stdout(&sent)).expect("JSON");
        assert_eq!((&told["transport"], server.received().len()), (&"smtp".into(), 1));
        let mail = server.received().remove(0);
        assert_eq!(mail.parsed().subject(), Some("Test mail from Twofold"));
        let id = told["id"].as_str().expect("an id");
        assert_eq!(mail.parsed().message_id(), Some(format!("{id}@example.com").as_str()));

        // Another authority, and another name than the certificate's.
        for (folder, host) in [(other.path(), "localhost"), (good.path(), "127.0.0.1")] {
            let refused = send(folder, &url(host));
            assert_eq!(refused.status.code(), Some(69), "{scheme}: {}", stdout(&refused));
            assert!(stderr(&refused).contains("certificate"), "{}", stderr(&refused));
        }
        assert_eq!(server.received().len(), 1);
    }
}

#[test]
fn a_server_without_starttls_gets_nothing_where_it_is_required() {
    let (folder, server) = (dir(), SmtpServer::start(&[]));
    let url = format!("smtp://localhost:{}?tls=required", server.address.port());
    let refused = send(folder.path(), &url);
    assert_eq!(refused.status.code(), Some(69), "{}", stdout(&refused));
    assert!(server.received().is_empty());
}

#[test]
fn the_command_says_what_became_of_it() {
    let (folder, server) = (dir(), SmtpServer::start(&["bad@example.com"]));
    let url = server.url();
    let test = |to: &str| run(folder.path(), &["mail", "test", "--to", to], &[("SMTP_URL", &url)]);
    let sent = test("ada@example.com");
    assert_eq!(stdout(&sent), "smtp has taken the mail to ada@example.com\n", "{}", stderr(&sent));
    let refused = test("bad@example.com");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("the mail was refused: the server answered 550 5.1.1"));
    assert_eq!(test("no address").status.code(), Some(2));
    let outbox = run(folder.path(), &["mail", "test", "--to", "ada@example.com"], &[]);
    assert_eq!(stdout(&outbox), "outbox has taken the mail to ada@example.com\n");
}
