//! A long list of faulty settings, and what is said about each.

use super::{super::*, Place, production, start};

/// What is said of one fault: the key, the end of the source's name, and parts of the text.
struct Expected(&'static str, &'static str, &'static str);

#[expect(clippy::too_many_lines, reason = "a table")]
fn faulty_examples() -> Vec<(Place, Expected)> {
    let file = |text: &str| start().file("config/local.toml", text);
    let line = |line: usize| match line {
        1 => "config/local.toml, line 1",
        2 => "config/local.toml, line 2",
        _ => "config/local.toml, line 3",
    };
    let set = |name: &'static str, value: &str| start().variable(name, value);
    vec![
        // Wrong kinds, in files.
        (file("[server]\nlisten = 8001"), Expected("server.listen", line(2), "an IP address")),
        (file("[server]\nlisten = \"8001\""), Expected("server.listen", line(2), "127.0.0.1:8001")),
        (
            file("server.max_body_bytes = 0"),
            Expected("server.max_body_bytes", line(1), "from 1 to"),
        ),
        (file("server.max_body_bytes = -1"), Expected("server.max_body_bytes", line(1), "bytes")),
        (
            file("server.max_body_bytes = 99999999999999999999"),
            Expected("server.max_body_bytes", line(1), "from 1 to"),
        ),
        (
            file("[server]\nrequest_timeout_ms = \"10\""),
            Expected("server.request_timeout_ms", line(2), "milliseconds"),
        ),
        (
            file("[server]\nrequest_timeout_ms = 1.5"),
            Expected("server.request_timeout_ms", line(2), "a whole number"),
        ),
        (file("[docs]\nenabled = \"yes\""), Expected("docs.enabled", line(2), "true or false")),
        (file("[log]\nformat = \"xml\""), Expected("log.format", line(2), "text, json")),
        (file("[log]\nfilter = \"twofold=loud\""), Expected("log.filter", line(2), "levels")),
        (file("[log]\nfilter = \"inof\""), Expected("log.filter", line(2), "levels")),
        (file("[log]\nsql = true"), Expected("log.sql", line(2), "off, slow, all")),
        (file("data_dir = \"\""), Expected("data_dir", line(1), "path")),
        (file("data_dir = [\"a\"]"), Expected("data_dir", line(1), "path")),
        (file("[mail]\nfrom = \"nobody\""), Expected("mail.from", line(2), "a mail address")),
        (
            file("[release.web]\nminimum_version = \"1\""),
            Expected("release.web.minimum_version", line(2), "three numbers"),
        ),
        (
            file("[server]\npublic_url = \"shop.test\""),
            Expected("server.public_url", line(2), "https://"),
        ),
        // Unknown names.
        (
            file("[server]\nlisten_ = \"x\""),
            Expected("server.listen_", line(2), "did you mean server.listen?"),
        ),
        (
            file("[sever]\nlisten = \"x\""),
            Expected("sever.listen", line(2), "did you mean server.listen?"),
        ),
        (file("[docs]\ncolour = 1"), Expected("docs.colour", line(2), "known here: enabled")),
        (file("nothing = 1"), Expected("nothing", line(1), "docs/settings.md")),
        (file("server = 1"), Expected("server", line(1), "is a section")),
        (
            file("[server.listen]\nport = 1"),
            Expected("server.listen.port", line(2), "there is no such setting"),
        ),
        // Not TOML.
        (file("[server\nlisten = \"x\""), Expected("(file)", line(1), "is not valid TOML")),
        (
            file("[log]\nsql = \"off\"\nsql = \"all\""),
            Expected("(file)", line(3), "is not valid TOML"),
        ),
        // Variables.
        (
            set("TWOFOLD_SERVER__LISTEN", "here"),
            Expected("server.listen", "variable TWOFOLD_SERVER__LISTEN", "127.0.0.1:8001"),
        ),
        (
            set("TWOFOLD_SERVER_LISTEN", "127.0.0.1:1"),
            Expected(
                "server_listen",
                "TWOFOLD_SERVER_LISTEN",
                "did you mean TWOFOLD_SERVER__LISTEN?",
            ),
        ),
        (
            set("TWOFOLD_ENVIRONMENT", "test"),
            Expected("environment", "TWOFOLD_ENVIRONMENT", "no such"),
        ),
        (
            set("TWOFOLD_ENV", "staging"),
            Expected("TWOFOLD_ENV", "variable TWOFOLD_ENV", "preview or production"),
        ),
        (
            set("TWOFOLD_DATABASE__POOL_MAX_SIZE", "0"),
            Expected("database.pool_max_size", "SIZE", "from 1"),
        ),
        (
            set("DATABASE_URL", "mysql://hidden@db/x"),
            Expected("database.url", "DATABASE_URL", "postgresql://"),
        ),
        (set("REDIS_URL", "hidden:6379"), Expected("redis.url", "variable REDIS_URL", "rediss://")),
        (file("[log]\nsinks = []"), Expected("log.sinks", line(2), "stdout, file, redis")),
        (
            file("[log]\nsinks = \"file\""),
            Expected("log.sinks", line(2), "a list of one or several"),
        ),
        (set("SMTP_URL", "hidden"), Expected("mail.smtp_url", "variable SMTP_URL", "smtps://")),
        (
            set("TWOFOLD_AUTH__CLIENT__SECRET", "hidden"),
            Expected("auth.client.secret", "SECRET", "at least 32 bytes"),
        ),
        (
            set("TWOFOLD_AUTH__CLIENT__SECRET_FILE", "HERE/none"),
            Expected("auth.client.secret", "SECRET_FILE", "can't be read"),
        ),
        (
            set("DATABASE_URL_FILE", "HERE/x").variable("DATABASE_URL", "postgresql://u@hidden/d"),
            Expected("database.url", "DATABASE_URL_FILE", "is given by DATABASE_URL as well"),
        ),
        (
            set("TWOFOLD_SERVER__LISTEN_FILE", "x"),
            Expected("server.listen_file", "_FILE", "no such"),
        ),
        (
            set("TWOFOLD_CONFIG_DIR", "HERE/none"),
            Expected("TWOFOLD_CONFIG_DIR", "variable", "is no folder"),
        ),
        // `.env`.
        (
            start().file(".env", "TWOFOLD_LOG__SQL=hidden\n"),
            Expected("log.sql", "TWOFOLD_LOG__SQL in .env", "off, slow, all"),
        ),
        (start().file(".env", "this is hidden\n"), Expected("(file)", "in .env", "can't be read")),
        // Rules between settings.
        (
            set("TWOFOLD_SERVER__REQUEST_TIMEOUT_MS", "4000"),
            Expected("server.request_timeout_ms", "MS", "statement_timeout_ms"),
        ),
        (
            set("TWOFOLD_DATABASE__STATEMENT_TIMEOUT_MS", "500"),
            Expected("database.statement_timeout_ms", "MS", "pool_wait_ms"),
        ),
        (
            set("TWOFOLD_SERVER__QUEUE_WAIT_MS", "1000"),
            Expected("server.queue_wait_ms", "MS", "pool_wait_ms"),
        ),
        (
            set("TWOFOLD_DATABASE__POOL_MIN_IDLE", "31"),
            Expected("database.pool_min_idle", "IDLE", "pool_max_size"),
        ),
        (
            set("DATABASE_DIRECT_URL", "postgresql://u@hidden/d"),
            Expected("database.direct_url", "DIRECT_URL", "without database.url"),
        ),
        (
            set("TWOFOLD_SERVER__TLS_KEY_FILE", "/hidden.pem"),
            Expected("server.tls_key_file", "KEY_FILE", "without server.tls_certificate_file"),
        ),
        (
            set("TWOFOLD_AUTH__CLIENT__ACCESS_SECONDS", "80000")
                .variable("TWOFOLD_AUTH__CLIENT__IDLE_SECONDS", "70000"),
            Expected("auth.client.access_seconds", "ACCESS_SECONDS", "idle_seconds"),
        ),
        (
            set("TWOFOLD_AUTH__BACKOFFICE__IDLE_SECONDS", "86401"),
            Expected("auth.backoffice.idle_seconds", "IDLE_SECONDS", "absolute_seconds"),
        ),
        (
            set("TWOFOLD_PASSWORDS__PARALLELISM", "8")
                .variable("TWOFOLD_PASSWORDS__MEMORY_KIB", "63"),
            Expected("passwords.memory_kib", "MEMORY_KIB", "8 KiB for each lane"),
        ),
        (
            set("TWOFOLD_SERVER__TRUSTED_PROXIES", "10.0.0.1,proxy.hidden"),
            Expected("server.trusted_proxies", "PROXIES", "IP addresses and networks"),
        ),
        (
            production().variable("TWOFOLD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,::/0"),
            Expected("server.trusted_proxies", "PROXIES", "trusts everybody"),
        ),
        (
            set("TWOFOLD_LIMITS__CODE__PER_ACCOUNT", "0"),
            Expected("limits.code.per_account", "PER_ACCOUNT", "tries from 1 to 1000000"),
        ),
        (
            set("TWOFOLD_PASSWORDS__MIN_LENGTH", "7"),
            Expected("passwords.min_length", "MIN_LENGTH", "characters from 8 to 64"),
        ),
        (
            set("TWOFOLD_PASSWORDS__MIN_LENGTH_WITH_SECOND_FACTOR", "13"),
            Expected("passwords.min_length_with_second_factor", "FACTOR", "passwords.min_length"),
        ),
        (
            set("TWOFOLD_PASSWORDS__PEPPER", "hidden-hidden-hidden-hidden-hidden").variable(
                "TWOFOLD_PASSWORDS__PREVIOUS_PEPPER",
                "hidden-hidden-hidden-hidden-hidden",
            ),
            Expected("passwords.previous_pepper", "PEPPER", "is the same as passwords.pepper"),
        ),
        (
            production().variable("TWOFOLD_PASSWORDS__PEPPER", "d2f4a6b8c0e1f3a5b7c9d1e3f5a7b9c1"),
            Expected("passwords.pepper", "PEPPER", "is the same as auth.client.secret"),
        ),
        (
            production().variable("TWOFOLD_PASSWORDS__PEPPER", "change-me-change-me-change-me-now"),
            Expected("passwords.pepper", "PEPPER", "can be guessed"),
        ),
        (
            set("TWOFOLD_AUTH__CLIENT__SECRET", "hidden-hidden-hidden-hidden-hidden")
                .variable("TWOFOLD_AUTH__BACKOFFICE__SECRET", "hidden-hidden-hidden-hidden-hidden"),
            Expected("auth.backoffice.secret", "SECRET", "is the same as auth.client.secret"),
        ),
        (
            set("TWOFOLD_STORAGE__BUCKET", "files").variable("TWOFOLD_STORAGE__ACCESS_KEY_ID", "x"),
            Expected("storage.secret_access_key", "", "set TWOFOLD_STORAGE__SECRET_ACCESS_KEY"),
        ),
        (
            set("TWOFOLD_STORAGE__SECRET_ACCESS_KEY", "hidden"),
            Expected("storage.secret_access_key", "ACCESS_KEY", "without storage.bucket"),
        ),
        (
            file("[release.web]\nforce_upgrade = true\nminimum_version = \"1.0.0\""),
            Expected("release.web.latest_version", "", "is missing"),
        ),
        (
            file("[cors]\nclient_origins = \"*\""),
            Expected("cors.client_origins", line(2), "a list of web addresses"),
        ),
        (
            file("[cors]\nclient_origins = [[\"https://app.shop.test\"]]"),
            Expected("cors.client_origins", line(2), "a list of web addresses"),
        ),
        (
            file("[cors]\nbackoffice_origins = [\"https://*.shop.test\"]"),
            Expected("cors.backoffice_origins", line(2), "a list of web addresses"),
        ),
        (
            set("TWOFOLD_CORS__CLIENT_ORIGINS", "https://app.shop.test,"),
            Expected("cors.client_origins", "ORIGINS", "such as https://app.example.com"),
        ),
        (
            set("TWOFOLD_LOG__SINKS", "stdout,redis"),
            Expected("log.sinks", "SINKS", "without redis.url"),
        ),
        // Preview and production.
        (
            production().variable("TWOFOLD_CORS__CLIENT_ORIGINS", "*"),
            Expected("cors.client_origins", "ORIGINS", "every origin; production must not"),
        ),
        (
            production()
                .variable("TWOFOLD_ENV", "preview")
                .variable("TWOFOLD_CORS__BACKOFFICE_ORIGINS", "https://staff.shop.test, *"),
            Expected("cors.backoffice_origins", "ORIGINS", "every origin; preview must not"),
        ),
        (
            production().variable("TWOFOLD_CORS__CLIENT_ORIGINS", "http://app.shop.test"),
            Expected("cors.client_origins", "ORIGINS", "not encrypted"),
        ),
        (
            production().variable("DATABASE_URL", "").variable("TWOFOLD_ENV", "preview"),
            Expected("database.url", "", "preview has no embedded database"),
        ),
        (
            production().variable("SMTP_URL", ""),
            Expected("mail.smtp_url", "", "production has no outbox"),
        ),
        (
            production().variable("TWOFOLD_AUTH__CLIENT__SECRET", ""),
            Expected("auth.client.secret", "", "set TWOFOLD_AUTH__CLIENT__SECRET"),
        ),
        (
            production()
                .variable("TWOFOLD_AUTH__CLIENT__SECRET", "change-me-hidden-change-me-hidden"),
            Expected("auth.client.secret", "SECRET", "can be guessed"),
        ),
        (
            production()
                .variable("TWOFOLD_AUTH__BACKOFFICE__SECRET", "ababababababababababababababababab"),
            Expected("auth.backoffice.secret", "SECRET", "can be guessed"),
        ),
        (
            production().variable("TWOFOLD_SERVER__PUBLIC_URL", ""),
            Expected("server.public_url", "", "is missing"),
        ),
        (
            production().variable("TWOFOLD_SERVER__PUBLIC_URL", "http://api.shop.test"),
            Expected("server.public_url", "PUBLIC_URL", "is not encrypted"),
        ),
        (
            production()
                .variable("TWOFOLD_DOCS__ENABLED", "true")
                .variable("TWOFOLD_DOCS__STAFF_SIGN_IN", "false"),
            Expected("docs.staff_sign_in", "SIGN_IN", "set it to true, or docs.enabled to false"),
        ),
        (
            production().variable("TWOFOLD_MAIL__FROM", ""),
            Expected("mail.from", "line", "is the placeholder"),
        ),
        (
            production().variable("SMTP_URL", "smtp://app:hidden@mail.shop.test"),
            Expected("mail.smtp_url", "SMTP_URL", "unencrypted"),
        ),
        (
            production().variable("TWOFOLD_PASSWORDS__ITERATIONS", "1"),
            Expected("passwords.memory_kib", "line", "is too weak"),
        ),
        (
            production()
                .variable("TWOFOLD_STORAGE__ENDPOINT", "http://s3.shop.test")
                .variable("TWOFOLD_STORAGE__BUCKET", "b")
                .variable("TWOFOLD_STORAGE__ACCESS_KEY_ID", "a")
                .variable("TWOFOLD_STORAGE__SECRET_ACCESS_KEY", "hidden"),
            Expected("storage.endpoint", "ENDPOINT", "is not encrypted"),
        ),
        (
            production()
                .variable("TWOFOLD_MAIL__BREVO_API_KEY", "hidden")
                .variable("TWOFOLD_MAIL__BREVO_URL", "http://api.brevo.com"),
            Expected("mail.brevo_url", "BREVO_URL", "is not encrypted"),
        ),
        (
            production().variable("SMTP_URL", "smtp://m.shop.test?tls=opportunistic&tls=required"),
            Expected("mail.smtp_url", "SMTP_URL", "unencrypted"),
        ),
        (
            production().variable("TWOFOLD_SERVER__PUBLIC_URL", "https://api.Example.com"),
            Expected("server.public_url", "PUBLIC_URL", "is a placeholder"),
        ),
        (
            production().variable("TWOFOLD_SERVER__PUBLIC_URL", "https://u:hidden@api.shop.test"),
            Expected("server.public_url", "PUBLIC_URL", "without a path"),
        ),
        (
            production().variable("TWOFOLD_MAIL__FROM", "a@sub.EXAMPLE.com"),
            Expected("mail.from", "FROM", "is the placeholder"),
        ),
        (
            production()
                .variable("TWOFOLD_AUTH__CLIENT__SECRET", "qwertzuiopaqwertzuiopaqwertzuiopa"),
            Expected("auth.client.secret", "SECRET", "can be guessed"),
        ),
        (
            production()
                .variable("TWOFOLD_AUTH__BACKOFFICE__SECRET", "d2f4a6b8c0e1f3a5b7c9d1e3f5a7b9c12"),
            Expected("auth.backoffice.secret", "SECRET", "is the same as"),
        ),
        (
            set("TWOFOLD_STORAGE__ACCESS_KEY_ID", "hidden\n"),
            Expected("storage.access_key_id", "KEY_ID", "letters, digits"),
        ),
        (
            set("TWOFOLD_SERVER__LISTEN", "unix:socket")
                .variable("TWOFOLD_SERVER__TLS_CERTIFICATE_FILE", "c")
                .variable("TWOFOLD_SERVER__TLS_KEY_FILE", "k"),
            Expected("server.tls_certificate_file", "FILE", "Unix socket"),
        ),
        // What stands where a key should may be a secret.
        (
            file("[database]\npostgresql://app:hidden@db/shop\n"),
            Expected("(file)", line(2), "is not valid TOML"),
        ),
        (
            file("[database]\n\"hidden=hidden\" = 1\n"),
            Expected("(a key)", line(2), "there is no such setting"),
        ),
        (set("TWOFOLD_ENV", ""), Expected("TWOFOLD_ENV", "variable", "preview or production")),
        // What looks like Kubernetes' own variables but isn't.
        (set("TWOFOLD_PORT", "9000"), Expected("port", "TWOFOLD_PORT", "there is no such setting")),
        (
            set("TWOFOLD_DATABASE_URL", "postgresql://u@hidden/d"),
            Expected("database_url", "TWOFOLD_DATABASE_URL", "did you mean TWOFOLD_DATABASE__URL?"),
        ),
        (
            set("TWOFOLD_MAIL__FROM", "hidden \u{fffd}"),
            Expected("mail.from", "FROM", "is not valid UTF-8"),
        ),
        (
            start().file(".env", "TWOFOLD_ENV=staging\n"),
            Expected("TWOFOLD_ENV", "TWOFOLD_ENV in .env", "preview or production"),
        ),
    ]
}

#[test]
fn c26_every_fault_is_reported_with_key_source_and_remedy() {
    let examples = faulty_examples();
    assert!(examples.len() >= 30);
    for (place, Expected(key, source, text)) in examples {
        let shown = format!("{:?} {:?}", place.files, place.variables);
        let faults = place.faults();
        assert_eq!(faults.len(), 1, "{shown}: {faults:?}");
        let fault = &faults[0];
        assert_eq!(fault.key, key, "{shown}: {fault:?}");
        let found = fault.source.clone().unwrap_or_default();
        match source {
            "line" => assert!(found.contains("line "), "{shown}: {fault:?}"),
            "" => assert_eq!(found, "", "{shown}"),
            _ => assert!(found.contains(source), "{shown}: {fault:?}"),
        }
        let said = format!("{}; {}", fault.problem, fault.remedy);
        assert!(said.contains(text), "{shown}: {said}");
        assert!(!fault.remedy.is_empty());
        let all = ConfigError { faults }.to_string();
        assert!(!all.contains("hidden"), "a value is shown: {all}");
    }
}

#[test]
fn c26_all_faults_are_told_at_once() {
    let place = start()
        .file("config/local.toml", "[server]\nlisten = 1\nunknown = 2\n[log]\nformat = 3\n")
        .file(".env", "TWOFOLD_NOTHING=1\n")
        .variable("TWOFOLD_ENV", "production")
        .variable("TWOFOLD_MAIL__FROM", "nobody");
    let faults = place.faults();
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "server.listen",
        "server.unknown",
        "log.format",
        "nothing",
        "mail.from",
        "database.url",
        "mail.smtp_url",
        "auth.client.secret",
        "auth.backoffice.secret",
        "server.public_url",
    ] {
        assert_eq!(keys.iter().filter(|one| **one == key).count(), 1, "{key}: {keys:?}");
    }
    assert_eq!(keys.len(), 10, "{keys:?}");
}
