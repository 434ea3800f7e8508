//! Settings in, a ready application out: the one place where everything is put together.

mod background;
pub mod data_dir;
mod database;
mod error;
mod files;
mod limits;
mod storage;
mod telemetry;

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::TimeDelta;
use poem::{Endpoint, Response};
use secrecy::{ExposeSecret, SecretString};

pub use background::Background;
pub use database::Database;
pub use error::StartError;
pub use storage::storage;
pub use telemetry::{collector, log_dirs, logging, observe};

use crate::{
    adapters::{
        cache::Cache,
        clock::Clock,
        limiter::Limiter,
        mailer::{BrevoOptions, Mailer, Transport},
        random::Random,
        redis::{Kept, Redis},
        storage::Storage,
    },
    api::{
        self, Additions,
        middleware::{
            cors::{CorsOptions, Origins},
            limits::Limits as RequestLimits,
            overload::Capacity,
        },
    },
    config::{self, RealmAuth, Settings},
    db::{Bus, Db, Logged, PoolSettings, SqlLog, sessions::Realm},
    jobs::{self, Registry, Worker},
    server::{self, Listener, TlsFiles},
    services::{
        self, Core,
        audit::{Audit, ChainKeys},
        cursors::CursorKey,
        health::Health,
        idempotency::Idempotency,
        impersonation::Impersonation,
        invitations::Invitations,
        limits::Limits,
        live_settings::{LiveSettings, PlatformRelease, Releases},
        mails::Mails,
        one_time_codes::CodeKey,
        passwords::{Costs, Passwords, Policy, Scheme},
        second_factor::SecondFactors,
        session_check::SessionCheck,
        sessions::Sessions,
        tokens::{Tokens, hs256},
    },
    telemetry::metrics::Metrics,
};

/// The Redis of the settings, if there is one. Nothing is connected to yet.
///
/// # Errors
/// When the certificates of this machine can't be read, and TLS is wanted.
pub fn redis(settings: &Settings) -> Result<Option<Redis>, StartError> {
    let Some(url) = &settings.redis.url else { return Ok(None) };
    Ok(Some(Redis::new(url.expose_secret(), &settings.redis.key_prefix)?))
}

/// How often the files of the TLS certificate are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_mins(1);

/// Listens where the settings say.
///
/// # Errors
/// When the address is taken, or the TLS certificate is of no use.
pub async fn listener(settings: &Settings) -> Result<Listener, StartError> {
    let server = &settings.server;
    let files = server.tls_certificate_file.clone().zip(server.tls_key_file.clone());
    let tls = files.map(|(certificate, key)| TlsFiles {
        certificate,
        key,
        check_every: CERTIFICATE_CHECK,
    });
    Ok(Listener::bind(&server.listen, tls).await?)
}

/// What clients may take.
#[must_use]
pub fn limits(settings: &Settings) -> server::Limits {
    let server = &settings.server;
    server::Limits {
        connections: server::affordable_connections(server.max_connections),
        read: Duration::from_millis(server.read_timeout_ms),
        write: Duration::from_millis(server.write_timeout_ms),
        idle: Duration::from_millis(server.idle_timeout_ms),
        drain: Duration::from_millis(server.drain_timeout_ms),
    }
}

/// How many connections the pool may have. Where the database shares our cores, more statements at a
/// time end no sooner, and keep those cores from answering.
fn pool_size(settings: &config::Database, database: &Database) -> u32 {
    /// With so many, twice as many as cores are busy while others wait for the disk.
    const FOR_EACH_CORE: usize = 4;
    if !database.is_embedded() {
        return settings.pool_max_size;
    }
    let enough = u32::try_from(cores() * FOR_EACH_CORE).unwrap_or(u32::MAX);
    let size = settings.pool_max_size.min(enough.max(settings.pool_min_idle));
    if size < settings.pool_max_size {
        tracing::debug!(size, "fewer connections than the settings allow: they share our cores");
    }
    size
}

/// How many requests are worked on at a time. More of them would keep each other waiting.
fn max_in_flight(settings: &Settings) -> usize {
    const FOR_EACH_CORE: usize = 16;
    settings.server.max_in_flight.unwrap_or_else(|| cores() * FOR_EACH_CORE)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where links in mails lead, without a slash at the end. Production doesn't start without a `public_url`.
fn public_url(settings: &Settings) -> String {
    let configured = settings.server.public_url.as_deref().map(|url| url.trim_end_matches('/'));
    configured.map_or_else(|| format!("http://{}", settings.server.listen), str::to_owned)
}

/// Makes the services. Nothing is connected to yet.
///
/// # Errors
/// When a secret or the outbox can't be written, or a setting is of no use.
pub fn core(
    settings: &Settings,
    database: &Database,
    storage: Option<Storage>,
    registry: &Registry,
    clock: Clock,
) -> Result<Core, StartError> {
    hs256::install();
    let pool = pool(settings, pool_size(&settings.database, database));
    let auth = &settings.auth;
    let client_secret = secret(settings, "client", &auth.client)?;
    let staff_secret = secret(settings, "backoffice", &auth.backoffice)?;
    let request_limit = Duration::from_millis(settings.server.request_timeout_ms);
    let (of_database, of_storage) = (database.is_embedded(), settings.storage.bucket.is_none());
    let db = Db::new(database.url.clone(), pool, clock.clone());
    let metrics = Metrics::new(clock.now());
    let mails = Mails::new(mailer(settings, &clock)?, settings.mail.rate_per_second);
    let data_secret = auth.data_secret.as_ref().unwrap_or(&client_secret);
    let factors = |realm| SecondFactors::new(realm, data_secret, mails.mailer.product());
    let pool = db.clone();
    metrics.watch_connections(move || pool.connections());
    let redis = redis(settings)?.map(Kept::new);
    if let Some(redis) = redis.clone() {
        metrics.watch_redis(move || (redis.is_connected(), redis.failures()));
    }
    let cache = redis.clone().map_or_else(|| Cache::in_process(clock.clone()), Cache::in_redis);
    let bus = Bus::new(clock.clone(), Random);
    let sessions = |realm, secret: &SecretString, auth: &RealmAuth| Sessions {
        realm,
        tokens: Tokens::new(realm, secret),
        check: SessionCheck::new(realm, clock.clone(), cache.clone(), bus.clone()),
        access: TimeDelta::seconds(auth.access_seconds.into()),
        idle: TimeDelta::seconds(auth.idle_seconds.into()),
        absolute: TimeDelta::seconds(auth.absolute_seconds.into()),
    };
    let read_cache = services::cache::Cache::new(
        settings.cache.enabled.then(|| cache.clone()),
        Duration::from_secs(settings.cache.seconds.into()),
        clock.clone(),
        Random,
        bus.clone(),
        &metrics,
    );
    Ok(Core {
        db,
        metrics,
        random: Random,
        // A flood of sign-ins leaves half of what is worked on to other requests.
        deletion_grace: TimeDelta::days(settings.accounts.deletion_grace_days.into()),
        passwords: Arc::new(passwords(&settings.passwords, max_in_flight(settings).div_ceil(2))?),
        impersonation: Impersonation {
            life: TimeDelta::seconds(settings.staff.impersonation_seconds.into()),
            may_write: settings.staff.impersonation_may_write,
        },
        invitations: Invitations {
            life: TimeDelta::hours(settings.staff.invitation_hours.into()),
            public_url: public_url(settings),
        },
        limits: Arc::new(Limits::new(
            limits::budgets(&settings.limits),
            Limiter::new(redis.clone()),
            clock.clone(),
            &client_secret,
        )),
        code_key: Arc::new(CodeKey::new(&client_secret)),
        cursors: Arc::new(CursorKey::new(&client_secret)),
        cache: Arc::new(read_cache),
        client_sessions: Arc::new(sessions(Realm::Client, &client_secret, &auth.client)),
        staff_sessions: Arc::new(sessions(Realm::Backoffice, &staff_secret, &auth.backoffice)),
        jobs: Arc::new(registry.jobs(
            TimeDelta::days(settings.jobs.history_days.into()),
            Duration::from_millis(settings.jobs.heartbeat_ms),
            bus.clone(),
        )),
        audit: Arc::new(Audit {
            keys: ChainKeys::new(data_secret),
            months_kept: settings.audit.retention_months,
        }),
        live_settings: Arc::new(LiveSettings::new(releases(settings), &bus)),
        second_factors: Arc::new(factors(Realm::Client)),
        staff_second_factors: Arc::new(factors(Realm::Backoffice)),
        staff_factor_required: settings.staff.require_second_factor,
        mails: Arc::new(mails),
        idempotency: Arc::new(Idempotency::new(&client_secret, &staff_secret, request_limit)),
        storage,
        files: Arc::new(files::rules(&settings.files)),
        redis,
        bus,
        tallies: Arc::default(),
        health: Arc::new(Health::new(of_database, of_storage)),
        clock,
    })
}

/// The releases of the apps where staff have set none.
fn releases(settings: &Settings) -> Releases {
    let platforms = settings.release.iter().map(|(platform, release)| PlatformRelease {
        platform: platform.clone(),
        minimum_version: release.minimum_version.clone(),
        latest_version: release.latest_version.clone(),
        force_upgrade: release.force_upgrade,
    });
    Releases { platforms: platforms.collect() }
}

/// What passwords may be and how they are hashed, for so many requests at a time.
fn passwords(settings: &config::Passwords, places: usize) -> services::Result<Passwords> {
    let policy = Policy {
        min_length: settings.min_length,
        min_length_with_factor: settings.min_length_with_second_factor,
    };
    let costs = Costs {
        memory_kib: settings.memory_kib,
        iterations: settings.iterations,
        parallelism: settings.parallelism,
    };
    let (pepper, previous) = (settings.pepper.as_ref(), settings.previous_pepper.as_ref());
    Passwords::new(policy, Scheme::new(costs, pepper, previous)?, places)
}

/// A pool of so many connections.
fn pool(settings: &Settings, max_size: u32) -> PoolSettings {
    let pool = &settings.database;
    // Behind a pooler sessions are shared: there the time-outs belong on the role.
    let statement_timeout =
        pool.direct_url.is_none().then(|| Duration::from_millis(pool.statement_timeout_ms));
    PoolSettings {
        max_size,
        min_idle: pool.pool_min_idle.min(max_size),
        max_lifetime: Duration::from_secs(pool.pool_max_lifetime_seconds),
        wait: Duration::from_millis(pool.pool_wait_ms),
        statement_timeout,
        sql_log: SqlLog {
            logged: match settings.log.sql {
                config::SqlLog::Off => Logged::None,
                config::SqlLog::Slow => Logged::SlowAndFailed,
                config::SqlLog::All => Logged::All,
            },
            slow: Duration::from_millis(settings.log.slow_statement_ms),
        },
    }
}

/// What works on jobs, with connections of its own, and what it does.
#[must_use]
pub fn worker(
    settings: &Settings,
    database: &Database,
    core: &Core,
    registry: Arc<Registry>,
) -> Worker {
    let jobs = &settings.jobs;
    let options = jobs::Options {
        slots: jobs.slots,
        heartbeat: Duration::from_millis(jobs.heartbeat_ms),
        grace: Duration::from_millis(settings.server.drain_timeout_ms),
    };
    let db = |connections| {
        Db::new(database.url.clone(), pool(settings, connections), core.clock.clone())
    };
    let core = Core { db: db(jobs.pool_max_size), ..core.clone() };
    Worker::new(Arc::new(core), db(1), registry, options)
}

/// The HTTP side, with what stands beside ours.
pub fn application(
    settings: &Settings,
    core: Arc<Core>,
    additions: Additions,
) -> impl Endpoint<Output = Response> + 'static {
    let capacity = Capacity {
        max_in_flight: max_in_flight(settings),
        wait: Duration::from_millis(settings.server.queue_wait_ms),
    };
    let limits = RequestLimits {
        timeout: Duration::from_millis(settings.server.request_timeout_ms),
        max_body_bytes: settings.server.max_body_bytes,
        upload_timeout: Duration::from_secs(settings.files.direct_seconds.into()),
        max_upload_bytes: settings.files.direct_max_bytes,
    };
    let public_url = settings.server.public_url.as_ref();
    let cors = CorsOptions {
        client: Origins::new(&settings.cors.client_origins),
        backoffice: Origins::new(&settings.cors.backoffice_origins),
    };
    let options = api::Options {
        proxies: limits::proxies(&settings.server),
        capacity,
        limits,
        cors,
        public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        docs: settings.docs.enabled,
        staff_only_docs: settings.docs.staff_sign_in,
    };
    api::application(core, options, additions)
}

/// The configured ways to send mail: where there are two, the second is for when the first takes none.
///
/// # Errors
/// When the outbox can't be made, or an address is of no use.
pub fn mailer(settings: &Settings, clock: &Clock) -> Result<Mailer, StartError> {
    let mail = &settings.mail;
    let mut transports = Vec::new();
    if let Some(url) = &mail.smtp_url {
        transports.push(Transport::smtp(url.expose_secret())?);
    }
    if let Some(api_key) = &mail.brevo_api_key {
        let options = BrevoOptions { url: mail.brevo_url.clone(), api_key: api_key.clone() };
        transports.push(Transport::brevo(&options)?);
        if mail.first == config::MailTransport::Brevo {
            transports.rotate_right(1);
        }
    }
    if transports.is_empty() {
        let folder = data_dir(settings)?.join("outbox");
        data_dir::make_private_dir(&folder)?;
        transports.push(Transport::outbox(folder));
    }
    Ok(Mailer::new(&mail.from, transports, clock.clone())?)
}

fn secret(settings: &Settings, realm: &str, auth: &RealmAuth) -> Result<SecretString, StartError> {
    match &auth.secret {
        Some(secret) => Ok(secret.clone()),
        None => data_dir::secret(&data_dir(settings)?, realm),
    }
}

/// The data directory, made if it isn't there.
///
/// # Errors
/// When it can't be written.
pub fn data_dir(settings: &Settings) -> Result<PathBuf, StartError> {
    data_dir::prepare(&settings.data_dir, settings.has_own_data_dir)
}

/// Where the data directory may be, the preferred place first; makes nothing.
pub fn data_dirs(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    data_dir::candidates(&settings.data_dir, settings.has_own_data_dir)
}
