//! Rules between settings, and what production refuses (OWASP ASVS 13.4; `docs/settings.md`).

use secrecy::ExposeSecret;

use super::{Environment, LogSink, Settings, fault::Fault, layers::Layers};

/// Checks the rules between settings; the kind of each value has been checked before.
pub(super) fn check(settings: &Settings, layers: &Layers) -> Vec<Fault> {
    let mut rules = Rules { layers, faults: Vec::new() };
    let always = [tls, limits, sessions, hashing, secrets, storage, cors, logs];
    for rule in always {
        rule(settings, &mut rules);
    }
    match settings.environment {
        Environment::Production => {
            real_services(settings, &mut rules);
            production(settings, &mut rules);
        }
        Environment::Preview => real_services(settings, &mut rules),
        Environment::Development | Environment::Test => {}
    }
    rules.faults
}

struct Rules<'a> {
    layers: &'a Layers,
    faults: Vec<Fault>,
}

impl Rules<'_> {
    /// Notes a broken rule of these settings, the first of which is to be changed. One whose
    /// value won't do anyway has its fault already.
    fn broken(&mut self, keys: &[&str], problem: &str, remedy: &str) {
        let is_faulty = |key: &&str| self.layers.faults.iter().any(|fault| fault.key == **key);
        if keys.iter().any(is_faulty) {
            return;
        }
        let source = self.layers.entries.get(keys[0]).map(|entry| entry.source.clone());
        self.faults.push(Fault::new(keys[0], source, problem, remedy));
    }
}

fn tls(settings: &Settings, rules: &mut Rules<'_>) {
    if settings.server.tls_certificate_file.is_some()
        && matches!(settings.server.listen, crate::server::Listen::Unix(_))
    {
        let keys = ["server.tls_certificate_file", "server.listen"];
        rules.broken(&keys, "is of no use on a Unix socket", "remove it, or listen on a port");
    }
    let (certificate, key) = ("server.tls_certificate_file", "server.tls_key_file");
    let server = &settings.server;
    let (set, missing) = match (&server.tls_certificate_file, &server.tls_key_file) {
        (Some(_), None) => (certificate, key),
        (None, Some(_)) => (key, certificate),
        _ => return,
    };
    rules.broken(&[set, missing], &format!("is set without {missing}"), "set both or none");
}

fn limits(settings: &Settings, rules: &mut Rules<'_>) {
    let (server, database) = (&settings.server, &settings.database);
    let order = "keep server.request_timeout_ms > database.statement_timeout_ms > database.pool_wait_ms \
                 > server.queue_wait_ms, or a request ends before its cause is known";
    if server.request_timeout_ms <= database.statement_timeout_ms {
        let keys = ["server.request_timeout_ms", "database.statement_timeout_ms"];
        rules.broken(&keys, "is not larger than database.statement_timeout_ms", order);
    }
    if database.statement_timeout_ms <= database.pool_wait_ms {
        let keys = ["database.statement_timeout_ms", "database.pool_wait_ms"];
        rules.broken(&keys, "is not larger than database.pool_wait_ms", order);
    }
    if database.pool_wait_ms <= server.queue_wait_ms {
        let keys = ["server.queue_wait_ms", "database.pool_wait_ms"];
        rules.broken(&keys, "is not smaller than database.pool_wait_ms", order);
    }
    if database.pool_min_idle > database.pool_max_size {
        let keys = ["database.pool_min_idle", "database.pool_max_size"];
        rules.broken(&keys, "is larger than database.pool_max_size", "make it smaller");
    }
    if database.direct_url.is_some() && database.url.is_none() {
        let keys = ["database.direct_url", "database.url"];
        rules.broken(&keys, "is set without database.url", "set DATABASE_URL as well");
    }
}

fn sessions(settings: &Settings, rules: &mut Rules<'_>) {
    let realms = [("client", &settings.auth.client), ("backoffice", &settings.auth.backoffice)];
    for (realm, auth) in realms {
        let [access, idle, absolute] = ["access_seconds", "idle_seconds", "absolute_seconds"]
            .map(|name| format!("auth.{realm}.{name}"));
        if auth.access_seconds > auth.idle_seconds {
            let problem = format!("is larger than {idle}");
            rules.broken(&[&access, &idle], &problem, "a token must not outlive its session");
        }
        if auth.idle_seconds > auth.absolute_seconds {
            let problem = format!("is larger than {absolute}");
            rules.broken(&[&idle, &absolute], &problem, "make it smaller");
        }
    }
}

fn hashing(settings: &Settings, rules: &mut Rules<'_>) {
    let passwords = &settings.passwords;
    if passwords.min_length_with_second_factor > passwords.min_length {
        let keys = ["passwords.min_length_with_second_factor", "passwords.min_length"];
        let remedy = "a second factor makes up for a shorter password, not for a longer one";
        rules.broken(&keys, "is larger than passwords.min_length", remedy);
    }
    if passwords.memory_kib < 8 * passwords.parallelism {
        let keys = ["passwords.memory_kib", "passwords.parallelism"];
        let remedy = "give at least 8 KiB for each lane (RFC 9106, 3.1)";
        rules.broken(&keys, "is too small for passwords.parallelism", remedy);
    }
}

fn secrets(settings: &Settings, rules: &mut Rules<'_>) {
    let (auth, passwords) = (&settings.auth, &settings.passwords);
    let all = [
        ("auth.client.secret", &auth.client.secret),
        ("auth.backoffice.secret", &auth.backoffice.secret),
        ("passwords.pepper", &passwords.pepper),
        ("passwords.previous_pepper", &passwords.previous_pepper),
    ];
    let set: Vec<(&str, &str)> = all
        .iter()
        .filter_map(|(key, secret)| Some((*key, secret.as_ref()?.expose_secret())))
        .collect();
    for (index, (key, secret)) in set.iter().enumerate() {
        for (other, others) in &set[..index] {
            if secret.starts_with(others) || others.starts_with(secret) {
                let problem = format!("is the same as {other}");
                rules.broken(&[key, other], &problem, "give each use a secret of its own");
            }
        }
    }
}

fn storage(settings: &Settings, rules: &mut Rules<'_>) {
    let storage = &settings.storage;
    let keys = [
        ("storage.access_key_id", storage.access_key_id.is_some()),
        ("storage.secret_access_key", storage.secret_access_key.is_some()),
    ];
    for (key, is_set) in keys {
        match (storage.bucket.is_some(), is_set) {
            (true, false) => {
                let remedy = format!("set {}", super::layers::variable_of(key));
                rules.broken(&[key, "storage.bucket"], "is missing beside storage.bucket", &remedy);
            }
            (false, true) => {
                let remedy = "set storage.bucket as well";
                rules.broken(&[key, "storage.bucket"], "is set without storage.bucket", remedy);
            }
            _ => {}
        }
    }
}

fn logs(settings: &Settings, rules: &mut Rules<'_>) {
    if settings.log.sinks.contains(&LogSink::Redis) && settings.redis.url.is_none() {
        let keys = ["log.sinks", "redis.url"];
        rules.broken(&keys, "has redis without redis.url", "set REDIS_URL as well");
    }
}

/// Each list of origins, with its key.
fn origins(settings: &Settings) -> [(&'static str, &[String]); 2] {
    let cors = &settings.cors;
    [
        ("cors.client_origins", &cors.client_origins),
        ("cors.backoffice_origins", &cors.backoffice_origins),
    ]
}

fn cors(settings: &Settings, rules: &mut Rules<'_>) {
    let place = settings.environment;
    let is_own = matches!(place, Environment::Development | Environment::Test);
    for (key, origins) in origins(settings) {
        if !is_own && origins.iter().any(|origin| origin == "*") {
            let problem = format!("lets in pages of every origin; {place} must not");
            rules.broken(&[key], &problem, "list the origins of your own web apps");
        }
    }
}

/// What runs for others has no stand-ins.
fn real_services(settings: &Settings, rules: &mut Rules<'_>) {
    let place = settings.environment;
    if settings.database.url.is_none() {
        let problem = format!("is missing; {place} has no embedded database");
        rules.broken(&["database.url"], &problem, "set DATABASE_URL");
    }
    if settings.mail.smtp_url.is_none() && settings.mail.brevo_api_key.is_none() {
        let problem = format!("is missing; {place} has no outbox");
        let keys = ["mail.smtp_url", "mail.brevo_api_key"];
        rules.broken(&keys, &problem, "set SMTP_URL, or the key of Brevo");
    }
}

fn production(settings: &Settings, rules: &mut Rules<'_>) {
    let realms = [("client", &settings.auth.client), ("backoffice", &settings.auth.backoffice)];
    for (realm, auth) in realms {
        let key = format!("auth.{realm}.secret");
        let variable = super::layers::variable_of(&key);
        let remedy = format!("set {variable} to what `openssl rand -hex 32` prints");
        match &auth.secret {
            None => rules.broken(&[&key], "is missing; production generates none", &remedy),
            Some(secret) if is_guessable(secret.expose_secret()) => {
                rules.broken(&[&key], "is a placeholder or can be guessed", &remedy);
            }
            Some(_) => {}
        }
    }
    if settings.server.trusted_proxies.iter().any(|network| network.is_everything()) {
        let remedy = "list the addresses of your own proxies: others make up what they like";
        rules.broken(&["server.trusted_proxies"], "trusts everybody", remedy);
    }
    let pepper = settings.passwords.pepper.as_ref();
    if pepper.is_some_and(|pepper| is_guessable(pepper.expose_secret())) {
        let remedy = "set TWOFOLD_PASSWORDS__PEPPER to what `openssl rand -hex 32` prints";
        rules.broken(&["passwords.pepper"], "is a placeholder or can be guessed", remedy);
    }
    match &settings.server.public_url {
        None => {
            let remedy = "set TWOFOLD_SERVER__PUBLIC_URL to where your users reach it";
            rules.broken(&["server.public_url"], "is missing", remedy);
        }
        Some(url) if !has_scheme(url, "https") => {
            let remedy = "give an https:// address";
            rules.broken(&["server.public_url"], "is not encrypted", remedy);
        }
        Some(url) if is_placeholder_host(host_of(url).as_deref().unwrap_or_default()) => {
            let remedy = "set TWOFOLD_SERVER__PUBLIC_URL to where your users reach it";
            rules.broken(&["server.public_url"], "is a placeholder", remedy);
        }
        Some(_) => {}
    }
    let endpoint = settings.storage.endpoint.as_ref();
    for (key, url) in [
        ("storage.endpoint", endpoint),
        ("storage.public_endpoint", settings.storage.public_endpoint.as_ref()),
        ("storage.sts_endpoint", settings.storage.sts_endpoint.as_ref()),
        ("mail.brevo_url", Some(&settings.mail.brevo_url)),
    ] {
        if url.is_some_and(|url| !has_scheme(url, "https")) {
            rules.broken(&[key], "is not encrypted", "give an https:// address");
        }
    }
    for (key, origins) in origins(settings) {
        if origins.iter().any(|origin| has_scheme(origin, "http")) {
            // Whoever is on the network can change such a page.
            rules.broken(&[key], "has an origin that is not encrypted", "list https:// only");
        }
    }
    if settings.docs.enabled && !settings.docs.staff_sign_in {
        let keys = ["docs.staff_sign_in", "docs.enabled"];
        let problem = "is off beside docs.enabled; the backoffice's documents are for staff";
        rules.broken(&keys, problem, "set it to true, or docs.enabled to false");
    }
    let from = settings.mail.from.trim_end_matches('>');
    if is_placeholder_host(from.rsplit('@').next().unwrap_or_default()) {
        let remedy = "set TWOFOLD_MAIL__FROM to an address of yours";
        rules.broken(&["mail.from"], "is the placeholder", remedy);
    }
    if let Some(url) = &settings.mail.smtp_url
        && sends_in_the_clear(url.expose_secret())
    {
        let remedy = "use smtps://, or add ?tls=required for STARTTLS";
        rules.broken(&["mail.smtp_url"], "sends mail unencrypted", remedy);
    }
    // The weakest parameters that OWASP's Password Storage Cheat Sheet still names: each of its
    // lines takes at least this much memory times passes, and this much memory.
    let passwords = &settings.passwords;
    let work = u64::from(passwords.memory_kib) * u64::from(passwords.iterations);
    if passwords.memory_kib < 7168 || work < 5 * 7168 {
        let remedy = "give at least 7168 KiB with 5 passes, or 19456 KiB with 2";
        rules.broken(&["passwords.memory_kib", "passwords.iterations"], "is too weak", remedy);
    }
}

/// Placeholders of examples, texts of too few different characters, and repeated ones.
fn is_guessable(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let different: std::collections::BTreeSet<char> = lower.chars().collect();
    let placeholders = [
        "change",
        "secret",
        "password",
        "example",
        "default",
        "your-",
        "replace",
        "insert",
        "sample",
        "dummy",
        "random",
        "0123456789",
        "abcdefgh",
    ];
    // A text that stands in its own double, its ends aside, is made of equal parts.
    let double = format!("{lower}{lower}");
    let is_repeated = double.get(1..double.len() - 1).is_some_and(|inner| inner.contains(&lower));
    different.len() < 8 || is_repeated || placeholders.iter().any(|word| lower.contains(word))
}

fn has_scheme(url: &str, scheme: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.scheme() == scheme)
}

fn host_of(url: &str) -> Option<String> {
    url::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// Names for examples (RFC 2606) and for this machine.
fn is_placeholder_host(host: &str) -> bool {
    let host = host.to_lowercase();
    let examples =
        ["example.com", "example.org", "example.net", "example", "localhost", "127.0.0.1", "[::1]"];
    examples.iter().any(|example| {
        host.strip_suffix(example).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Codes and tokens are in mails: only on this machine may they go without TLS.
fn sends_in_the_clear(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return true };
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    // lettre goes by the first one.
    let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value);
    url.scheme() == "smtp" && !is_local && tls.as_deref() != Some("required")
}
