//! The real application in this process, on a port and a database of its own.

use std::{collections::BTreeSet, path::Path, sync::Arc, thread, time::Duration};

use poem::Route;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};
use twofold::{
    adapters::{
        clock::Clock,
        mailer::{OutboxMail, read_outbox},
    },
    api::{Additions, ApiVersion},
    bootstrap::{self, Background, Database},
    config::Settings,
    db::Origin,
    jobs::{self, Registry},
    server::{self, Listen, Listener},
    services::{Core, staff},
};

use super::{TestDb, cluster::connect, contract, http::Request};

pub const PASSWORD: &str = "correct horse battery";
pub const ADMIN: &str = "grace@example.com";

pub struct TestApp {
    pub settings: Settings,
    pub base: String,
    pub clock: Clock,
    pub core: Arc<Core>,
    client: reqwest::Client,
    read: BTreeSet<uuid::Uuid>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    background: Option<Background>,
    data_dir: tempfile::TempDir,
    /// Unless the test brought its own.
    db: Option<TestDb>,
}

/// What a test may choose.
#[derive(Default)]
pub struct Builder {
    variables: Vec<(String, String)>,
    additions: Additions,
    database_url: Option<String>,
    listener: Option<Listener>,
    jobs: Option<Registry>,
}

impl Builder {
    /// A setting, by the name of its environment variable.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long a request may take, in milliseconds; what happens within it takes less.
    pub fn request_timeout(self, limit: u32) -> Self {
        self.setting("TWOFOLD_SERVER__REQUEST_TIMEOUT_MS", &limit.to_string())
            .setting("TWOFOLD_DATABASE__STATEMENT_TIMEOUT_MS", &(limit / 3 * 2).to_string())
            .setting("TWOFOLD_DATABASE__POOL_WAIT_MS", &(limit / 3).to_string())
    }

    /// The limits on tries that production has, instead of some that no test reaches. Clients are who
    /// `X-Forwarded-For` says.
    pub fn real_limits(self) -> Self {
        let defaults: toml::Table =
            include_str!("../../../config/default.toml").parse().expect("TOML");
        let table = |value: &toml::Value| value.as_table().expect("a table").clone();
        let mut builder = self.setting("TWOFOLD_SERVER__TRUSTED_PROXIES", "127.0.0.1");
        for (action, tries) in table(&defaults["limits"]) {
            for (name, value) in table(&tries) {
                let variable = format!("TWOFOLD_LIMITS__{action}__{name}").to_uppercase();
                builder =
                    builder.setting(&variable, &value.as_integer().expect("a number").to_string());
            }
        }
        builder
    }

    /// A product's own routes.
    pub fn routes(mut self, routes: Route) -> Self {
        self.additions.routes = routes;
        self
    }

    /// Another version of an API.
    pub fn version(mut self, version: ApiVersion) -> Self {
        self.additions.versions.push(version);
        self
    }

    /// What can be done in the background, instead of what comes with the product.
    pub fn jobs(self, registry: Registry) -> Self {
        Self { jobs: Some(registry), ..self }
    }

    /// A database that isn't this test's.
    pub fn database_url(self, url: &str) -> Self {
        Self { database_url: Some(url.to_owned()), ..self }
    }

    /// Something else than a free port without TLS.
    pub fn listener(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    pub async fn start(self) -> TestApp {
        contract::prepare();
        let data_dir = tempfile::tempdir().expect("temporary directory");
        let db = match self.database_url {
            Some(_) => None,
            None => Some(TestDb::create().await),
        };
        let url = self.database_url.or(db.as_ref().map(|db| db.url.clone())).expect("one of them");
        let mut variables: Vec<(String, String)> = [
            // However many cores run the test: some send 50 requests at once.
            ("TWOFOLD_SERVER__MAX_IN_FLIGHT", "64"),
            ("TWOFOLD_ENV", "test"),
            ("DATABASE_URL", &url),
            ("TWOFOLD_DATA_DIR", data_dir.path().to_str().expect("UTF-8")),
            ("TWOFOLD_DATABASE__POOL_MIN_IDLE", "1"),
            ("TWOFOLD_PASSWORDS__MEMORY_KIB", "8"),
            ("TWOFOLD_SERVER__DRAIN_TIMEOUT_MS", "0"),
            ("TWOFOLD_PASSWORDS__ITERATIONS", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        variables.extend(self.variables);
        let settings = Settings::from_variables(variables).expect("settings");

        let clock = Clock::default();
        let database = Database::open(&settings).await.expect("database");
        let storage = bootstrap::storage(&settings).await.expect("storage");
        let registry = self.jobs.unwrap_or_else(jobs::registry);
        let core = bootstrap::core(&settings, &database, storage, &registry, clock.clone());
        let core = Arc::new(core.expect("core"));
        let (stop, stopped) = watch::channel(false);
        let mut background = Background::start(&database, &core);
        if settings.jobs.in_process {
            background.work(&settings, &database, &core, registry);
        }
        let listener = match self.listener {
            Some(listener) => listener,
            None => Listener::bind(&free_port(), None).await.expect("bound"),
        };
        let base = listener.base_url().unwrap_or_default();
        let application = bootstrap::application(&settings, core.clone(), self.additions);
        let mut until = stopped;
        let stopping = async move {
            let _ = until.changed().await;
        };
        let limits = bootstrap::limits(&settings);
        let server = tokio::spawn(server::serve(listener, application, limits, stopping));
        let client = reqwest::Client::new();
        let read = BTreeSet::new();
        let background = Some(background);
        TestApp {
            settings,
            base,
            clock,
            core,
            client,
            read,
            stop,
            server,
            background,
            data_dir,
            db,
        }
    }
}

/// Any port that nobody uses.
pub fn free_port() -> Listen {
    "127.0.0.1:0".parse().expect("an address")
}

impl TestApp {
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// On a database with what statements make, one after the other, before anybody else sees it: what is visible to all is
    /// read from indexes alone, after a VACUUM.
    pub async fn with_rows(statements: &[&str]) -> (Self, TestDb) {
        let db = TestDb::create().await;
        let sql = connect(&db.url).await;
        for statement in statements {
            sql.batch_execute(statement).await.expect("done");
        }
        (Self::builder().database_url(&db.url).start().await, db)
    }

    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(&self.client, method, format!("{}{path}", self.base))
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: Value) -> Request {
        self.request(Method::POST, path).json(body)
    }

    /// Where it listens, as a client of its own needs it.
    pub fn address(&self) -> &str {
        self.base.split_once("://").expect("an address").1
    }

    /// Tells the server to stop.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Waits until the server has stopped.
    pub async fn stopped(&mut self) {
        let stopped = tokio::time::timeout(Duration::from_secs(30), &mut self.server).await;
        stopped.expect("it stops").expect("without a panic");
    }

    /// The address of its database.
    pub fn database_url(&self) -> &str {
        self.settings.database.url.as_ref().expect("set").expose_secret()
    }

    /// Stops what works on jobs, as at the end of the process.
    pub async fn stop_background(&mut self) {
        let background = self.background.take().expect("it runs");
        background.stop(&self.settings).await;
    }

    /// The mails in the outbox, newest first.
    pub fn outbox(&self) -> Vec<OutboxMail> {
        read_outbox(&self.outbox_folder()).expect("outbox")
    }

    fn outbox_folder(&self) -> std::path::PathBuf {
        Path::new(self.data_dir.path()).join("outbox")
    }

    /// Waits for the next mail to this address that has not been read, and isn't a notice.
    #[track_caller]
    pub fn mail_to(&mut self, address: &str) -> impl Future<Output = OutboxMail> {
        self.next_mail(address, false)
    }

    /// Waits for the next notice to this address that has not been read.
    #[track_caller]
    pub fn notice_to(&mut self, address: &str) -> impl Future<Output = OutboxMail> {
        self.next_mail(address, true)
    }

    #[track_caller]
    fn next_mail(&mut self, address: &str, is_notice: bool) -> impl Future<Output = OutboxMail> {
        let caller = std::panic::Location::caller();
        async move {
            for _ in 0..500 {
                let mut mails = self.outbox();
                mails.reverse();
                let unread = |mail: &OutboxMail| {
                    mail.recipient == address
                        && !self.read.contains(&mail.id)
                        && NOTICES.contains(&mail.subject.as_str()) == is_notice
                };
                if let Some(mail) = mails.into_iter().find(unread) {
                    self.read.insert(mail.id);
                    return mail;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("no mail to {address}, awaited at {caller}");
        }
    }

    /// The six digits of the next mail to this address.
    pub async fn code_for(&mut self, address: &str) -> String {
        let mail = self.mail_to(address).await;
        assert_eq!(mail.subject, "Your verification code");
        six_digits(&mail)
    }

    /// The six digits of the next mail to this address, by which it is to become an account's.
    pub async fn new_address_code_for(&mut self, address: &str) -> String {
        let mail = self.mail_to(address).await;
        assert_eq!(mail.subject, "Confirm your new address");
        six_digits(&mail)
    }

    /// The reset token of the next mail to this address.
    pub async fn reset_token_for(&mut self, address: &str) -> String {
        let mail = self.mail_to(address).await;
        assert_eq!(mail.subject, "Choose a new password");
        find(&mail.text, |word| word.len() == 64)
    }

    /// A user with a verified address.
    pub async fn verified_user(&mut self, email: &str) {
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        self.post("/api/v1/auth/register", body).send().await.assert_done();
        let code = self.code_for(email).await;
        let body = json!({"email": email, "password": PASSWORD, "code": code});
        self.post("/api/v1/auth/verify-email", body).send().await.assert_done();
        self.welcomed(email).await;
    }

    /// Reads the mail by which a new user is welcomed.
    pub async fn welcomed(&mut self, email: &str) {
        let mail = self.mail_to(email).await;
        assert!(mail.subject.starts_with("Welcome"), "{}", mail.subject);
    }

    /// The tokens of a fresh sign-in.
    pub async fn login(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD});
        self.post("/api/v1/auth/login", body).send().await.data()
    }

    /// A verified user who is signed in: the access token.
    pub async fn user_token(&mut self, email: &str) -> String {
        self.verified_user(email).await;
        self.login(email).await["access_token"].as_str().expect("a token").to_owned()
    }

    /// Adds [`ADMIN`] with [`PASSWORD`].
    pub async fn add_admin(&self) {
        let (email, origin) = (ADMIN.parse().expect("an address"), Origin::system("test"));
        let password = Some(PASSWORD.into());
        staff::create(&self.core, &origin, &email, "Grace", password).await.expect("created");
    }

    /// Adds a member of the staff with these roles, and [`PASSWORD`].
    pub async fn add_staff(&self, email: &str, roles: &[&str]) {
        let (address, origin) = (email.parse().expect("an address"), Origin::system("test"));
        let password = Some(PASSWORD.into());
        staff::create(&self.core, &origin, &address, "Grace", password).await.expect("created");
        self.set_roles(email, roles).await;
    }

    /// Gives a member of the staff these roles instead of those that they have, as one might by hand.
    pub async fn set_roles(&self, email: &str, roles: &[&str]) {
        let client = connect(self.database_url()).await;
        let sql = "WITH taken AS (DELETE FROM admin_roles USING admins
                                  WHERE admin_id = admins.id AND email = $1 AND role_id NOT IN
                                      (SELECT id FROM roles WHERE name = ANY($2)))
                   INSERT INTO admin_roles
                   SELECT admins.id, roles.id, now(), now() FROM admins, roles
                   WHERE email = $1 AND roles.name = ANY($2) ON CONFLICT DO NOTHING";
        client.execute(sql, &[&email, &roles]).await.expect("given");
    }

    /// The tokens of a fresh sign-in of [`ADMIN`].
    pub async fn admin_login(&self) -> Value {
        self.staff_login(ADMIN).await
    }

    /// The tokens of a fresh sign-in of a member of the staff.
    pub async fn staff_login(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD});
        self.post("/api/v1/backoffice/auth/login", body).send().await.data()
    }

    /// Adds a member of the staff with these roles, who is signed in: the access token.
    pub async fn staff_token(&self, email: &str, roles: &[&str]) -> String {
        self.add_staff(email, roles).await;
        self.staff_login(email).await["access_token"].as_str().expect("a token").to_owned()
    }

    /// Adds an admin who is signed in: the access token.
    pub async fn admin_token(&self) -> String {
        self.add_admin().await;
        self.admin_login().await["access_token"].as_str().expect("a token").to_owned()
    }
}

impl super::http::Answer {
    /// A success without data.
    #[track_caller]
    pub fn assert_done(&self) {
        let json = self.json();
        assert_eq!((self.status, &json["code"]), (200, &json!(200)), "{json}");
        assert!(json.get("data").is_none() && json.get("error").is_none(), "{json}");
    }
}

#[track_caller]
fn six_digits(mail: &OutboxMail) -> String {
    find(&mail.text, |word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()))
}

#[track_caller]
fn find(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    text.split_whitespace().find(|word| wanted(word)).unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// The subjects of notices, which tell of what a test has done anyway: most have no reason to read them.
const NOTICES: [&str; 12] = [
    "New sign-in to your account",
    "Your password was changed",
    "Your account has another address",
    "Your second factor was set up",
    "Your second factor was removed",
    "Your recovery codes were renewed",
    "A session of your account was ended",
    "Your account is going to be deleted",
    "Your account stays",
    "Your post was hidden",
    "Your post is shown again",
    "Your post was deleted",
];

/// A mail that nobody expected is a fault, like an answer that nobody expected.
impl Drop for TestApp {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        drop(self.background.take());
        let Some(db) = self.db.take().filter(|_| !thread::panicking()) else { return };
        // Of a test's runtime nothing more can be awaited.
        let written = thread::spawn(move || {
            let runtime = Runtime::new().expect("runtime");
            runtime.block_on(async {
                let sql = "SELECT id::text FROM mails WHERE subject <> ALL($1)";
                let rows = connect(&db.url).await.query(sql, &[&NOTICES.as_slice()]).await;
                rows.expect("asked").iter().map(|row| row.get(0)).collect::<Vec<String>>()
            })
        });
        for id in written.join().expect("asked") {
            let was_read = self.read.iter().any(|read| read.to_string() == id);
            assert!(was_read, "nobody has read the mail {id}: {:?}", self.outbox());
        }
    }
}
