//! Two processes on one database and one Redis: what they know of each other's sessions.

mod ends;
mod load;
mod stale;
mod trips;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use poem::web::Data;
use poem_openapi::{Object, OpenApi, OpenApiService, types::Example};
use serde_json::{Value, json};
use twofold::{
    adapters::redis::Kept,
    api::{
        ApiVersion, Surface,
        auth::{ClientAuth, RecentClientAuth, StaffAuth},
        envelope::{Answer, ApiResponse},
    },
    services::{
        Core,
        permissions::UsersRead,
        tokens::{Claims, TokenKind},
    },
};
use uuid::Uuid;

use crate::support::{
    TestApp, TestDb,
    app::{Builder, PASSWORD},
    cluster::connect,
    redis::Redis,
    wait,
};

/// How soon what happens in one process counts in all others (security condition 4).
const BOUND: Duration = Duration::from_secs(1);

/// What an operation answers that needs to know nothing but who asks.
#[derive(Object)]
#[oai(example)]
struct Who {
    /// The account.
    id: Uuid,
}

impl Example for Who {
    fn example() -> Self {
        Self { id: Uuid::nil() }
    }
}

struct UsersWho;

#[OpenApi]
impl UsersWho {
    /// Tell who asks
    #[oai(path = "/who", method = "get", operation_id = "who")]
    async fn who(&self, auth: ClientAuth, _core: Data<&Arc<Core>>) -> Answer<Who> {
        Ok(ApiResponse::success(Who { id: auth.account_id }))
    }

    /// Tell who asks and has proved it lately
    #[oai(path = "/who/recent", method = "get", operation_id = "who_recent")]
    async fn recent(&self, auth: RecentClientAuth, _core: Data<&Arc<Core>>) -> Answer<Who> {
        Ok(ApiResponse::success(Who { id: auth.account_id }))
    }
}

struct StaffWho;

#[OpenApi]
impl StaffWho {
    /// Tell who asks
    #[oai(path = "/who", method = "get", operation_id = "who")]
    async fn who(&self, auth: StaffAuth<UsersRead>, _core: Data<&Arc<Core>>) -> Answer<Who> {
        Ok(ApiResponse::success(Who { id: auth.account_id }))
    }
}

const WHO: &str = "/api/v2/who";
const WHO_RECENT: &str = "/api/v2/who/recent";
const STAFF_WHO: &str = "/api/v2/backoffice/who";

/// Processes share secrets, database and Redis.
fn process(db: &TestDb, redis: Option<&Redis>, builder: Builder) -> Builder {
    let users = OpenApiService::new(UsersWho, "Who", "2.0");
    let staff = OpenApiService::new(StaffWho, "Who", "2.0");
    let builder = builder
        .database_url(&db.url)
        .version(ApiVersion::new(Surface::Client, "v2", users))
        .version(ApiVersion::new(Surface::Backoffice, "v2", staff))
        .setting("TWOFOLD_AUTH__CLIENT__SECRET", "a secret of all processes, for users")
        .setting("TWOFOLD_AUTH__BACKOFFICE__SECRET", "a secret of all processes, for staff");
    match redis {
        Some(redis) => builder.setting("REDIS_URL", &redis.url()),
        None => builder,
    }
}

/// Waits until what is in the cache counts in a process.
pub async fn hears(app: &TestApp) {
    wait(async || app.core.bus.pulse()).await;
}

fn claims(app: &TestApp, token: &str) -> Claims {
    let tokens = &app.core.client_sessions.tokens;
    tokens.verify(TokenKind::Access, token, app.clock.now()).expect("a user's token")
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// A user who can sign in, and gets no mail for it.
async fn add_user(app: &TestApp, db: &TestDb) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let email = format!("user{}@example.com", NEXT.fetch_add(1, Relaxed));
    let hash = app.core.passwords.hash(&PASSWORD.into()).await.expect("hashed");
    let id = app.core.random.id(app.clock.now()).to_string();
    let sql = "INSERT INTO users (id, email, password_hash, email_verified_at, status, created_at, updated_at)
               VALUES ($1::text::uuid, $2, $3, now(), 'active', now(), now())";
    connect(&db.url).await.execute(sql, &[&id, &email, &hash]).await.expect("inserted");
    email
}

/// The process `a` does what is done, `b` hears of it.
struct Stage {
    a: TestApp,
    b: TestApp,
    redis: Option<Redis>,
    db: TestDb,
}

impl Stage {
    async fn set() -> Self {
        Self::with(Some(Redis::start().await)).await
    }

    async fn with(redis: Option<Redis>) -> Self {
        let db = TestDb::create().await;
        let a = process(&db, redis.as_ref(), TestApp::builder()).start().await;
        let stage = Self { b: Self::other(&db, redis.as_ref()).await, a, redis, db };
        stage.well().await;
        stage
    }

    async fn other(db: &TestDb, redis: Option<&Redis>) -> TestApp {
        let builder = TestApp::builder().setting("TWOFOLD_JOBS__IN_PROCESS", "false");
        process(db, redis, builder).start().await
    }

    /// One that has just been started.
    async fn another(&self) -> TestApp {
        let app = Self::other(&self.db, self.redis.as_ref()).await;
        is_well(&app).await;
        app
    }

    /// Waits until both hear, and have Redis.
    async fn well(&self) {
        is_well(&self.a).await;
        is_well(&self.b).await;
    }

    fn redis(&self) -> &Redis {
        self.redis.as_ref().expect("there is one")
    }

    /// As time passes for both.
    fn advance(&self, by: TimeDelta) {
        self.a.clock.advance(by);
        self.b.clock.advance(by);
    }

    async fn user(&self) -> String {
        add_user(&self.a, &self.db).await
    }

    async fn sql(&self, sql: &str) {
        connect(&self.db.url).await.batch_execute(sql).await.expect("done");
    }

    /// How the cache has a session.
    fn key(&self, token: &str) -> String {
        format!("twofold:test:session:client:{}", claims(&self.a, token).sid)
    }

    /// Both know of the session, by themselves and from Redis.
    async fn assert_open(&self, path: &str, token: &str) {
        assert_eq!(status(&self.a, path, token).await, 200);
        assert_eq!(status(&self.b, path, token).await, 200);
    }

    /// That it has ended counts at once where it was ended, and in the other process at any request that begins
    /// a second later.
    async fn assert_ended(&self, path: &str, token: &str) {
        let ended = Instant::now();
        assert_refused(status(&self.a, path, token).await);
        loop {
            let asked = ended.elapsed();
            let status = status(&self.b, path, token).await;
            if status != 200 {
                assert_refused(status);
                break;
            }
            assert!(asked < BOUND, "open after {asked:?}");
        }
    }

    /// What was changed elsewhere counts in both at any request that begins a second later.
    async fn assert_soon(&self, path: &str, token: &str, expected: u16) {
        let changed = Instant::now();
        for app in [&self.a, &self.b] {
            loop {
                let asked = changed.elapsed();
                let status = status(app, path, token).await;
                if status == expected {
                    break;
                }
                assert!(asked < BOUND, "{status} after {asked:?}");
            }
        }
    }
}

async fn is_well(app: &TestApp) {
    hears(app).await;
    let redis = &app.core.redis;
    wait(async || redis.as_ref().is_none_or(Kept::is_connected).then_some(())).await;
}

#[track_caller]
fn assert_refused(status: u16) {
    assert!(status == 401 || status == 403, "{status}");
}

async fn status(app: &TestApp, path: &str, token: &str) -> u16 {
    app.get(path).bearer(token).send().await.status
}

async fn sign_in(app: &TestApp, email: &str) -> Value {
    let body = json!({"email": email, "password": PASSWORD});
    app.post("/api/v1/auth/login", body).send().await.data()
}

/// The access token of a new session.
async fn token(app: &TestApp, email: &str) -> String {
    text(&sign_in(app, email).await["access_token"])
}
