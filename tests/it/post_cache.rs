//! Posts by way of the cache: what a change costs, and that no process answers with what was.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use twofold::{
    db::Origin,
    services::{
        deletion,
        posts::{publishing, reactions},
    },
};

use crate::{
    posts::{Stage, text},
    read_cache::is_well,
    session_check::hears,
    support::{
        TestApp, TestDb, app::ADMIN, cluster::connect, redis::Redis, statements::Statements, wait,
    },
};

const POSTS: &str = "/api/v1/posts";
const STAFF: &str = "/api/v1/backoffice/posts";
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// Makes the users of a database, and its staff.
async fn people(db: &TestDb) {
    let mut app = TestApp::builder().database_url(&db.url).start().await;
    for email in [ADA, BOB] {
        app.verified_user(email).await;
    }
    app.add_admin().await;
    app.stop_background().await;
}

async fn token(app: &TestApp, email: &str) -> String {
    text(&app.login(email).await["access_token"])
}

/// One process, and who is signed in.
struct Process {
    stage: Stage,
    admin: String,
}

impl Process {
    async fn of(app: TestApp) -> Self {
        let (ada, bob) = (token(&app, ADA).await, token(&app, BOB).await);
        let admin = text(&app.staff_login(ADMIN).await["access_token"]);
        Self { stage: Stage { app, ada, bob }, admin }
    }

    /// Does something as somebody, which has to work.
    async fn act(&self, who: &str, (method, path, body): (Method, &str, Value)) -> Value {
        let token = match who {
            ADA => &self.stage.ada,
            BOB => &self.stage.bob,
            _ => &self.admin,
        };
        let answer = self.stage.send(token, method, path, body).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.text);
        if answer.text.is_empty() { Value::Null } else { answer.json()["data"].clone() }
    }

    async fn post(&self, who: &str, path: &str, body: Value) -> Value {
        self.act(who, (Method::POST, path, body)).await
    }

    /// A published post with a tag: its identifier and its slug.
    async fn published(&self, who: &str, title: &str, tag: &str) -> (String, String) {
        let body = json!({"title": title, "body": title, "tags": [tag]});
        let id = text(&self.post(who, POSTS, body).await["id"]);
        let post = self.post(who, &format!("{POSTS}/{id}/publish"), Value::Null).await;
        (id, text(&post["slug"]))
    }

    /// What anybody reads there.
    async fn read(&self, path: &str) -> Value {
        let answer = self.stage.send("", Method::GET, path, Value::Null).await;
        let mut data = if answer.status == 404 { Value::Null } else { answer.data() };
        // Each process of a test has secrets of its own.
        data.as_object_mut().and_then(|page| page.shift_remove("next_cursor"));
        data
    }

    async fn add_counts(&self) {
        let core = &self.stage.app.core;
        while reactions::add_counts(core, &Origin::system("test"), 100).await.expect("added") > 0 {}
    }
}

/// Something to do, by whom, and what has to be read anew after it.
type Act<'a> = (&'a str, (Method, String, Value), &'a [&'a str]);

/// What is read, by name.
struct Reads<'a> {
    process: &'a Process,
    statements: &'a Statements,
    paths: Vec<(&'static str, String)>,
}

impl Reads<'_> {
    /// What takes statements, and how many.
    async fn cold(&self) -> BTreeMap<&'static str, usize> {
        let mut cold = BTreeMap::new();
        for (name, path) in &self.paths {
            hears(&self.process.stage.app).await;
            let (count, _) = self.statements.of(self.process.read(path)).await;
            if count > 0 {
                cold.insert(*name, count);
            }
        }
        cold
    }

    /// Does these, one after the other. A process that hasn't heard anything for a while reads anew what it needn't, and does
    /// what it does from time to time, so there are some tries; but not to read what has changed is never right.
    async fn cost(&self, acts: &[Act<'_>]) {
        let mut missing: BTreeSet<usize> = (0..acts.len()).collect();
        for _ in 0..5 {
            for (index, (who, what, expected)) in acts.iter().enumerate() {
                wait(async || self.cold().await.is_empty().then_some(())).await;
                let (method, path, body) = what;
                self.process.act(who, (method.clone(), path, body.clone())).await;
                if path.ends_with("/like") {
                    self.process.add_counts().await;
                }
                let cold = self.cold().await;
                let has = expected.iter().all(|name| cold.contains_key(name));
                assert!(has, "{path} {body}: {cold:?} {expected:?}");
                if cold == expected.iter().map(|name| (*name, 1)).collect() {
                    missing.remove(&index);
                }
            }
            if missing.is_empty() {
                return;
            }
        }
        panic!("these cost more than they must: {missing:?} of {acts:?}");
    }
}

#[tokio::test]
async fn a_warm_read_takes_no_statement_and_the_first_after_a_change_one() {
    let db = TestDb::create().await;
    people(&db).await;
    let statements = Statements::watch();
    let process = Process::of(Statements::app().database_url(&db.url).start().await).await;
    let (one, slug) = process.published(ADA, "One", "a").await;
    let (two, _) = process.published(BOB, "Two", "b").await;
    let draft = json!({"title": "Draft", "body": "Draft", "tags": ["a", "b"]});
    let draft = text(&process.post(ADA, POSTS, draft).await["id"]);
    let author = async |id: &str| {
        let post = process.read(&format!("{POSTS}/{id}")).await;
        format!("{POSTS}?author_id={}", text(&post["author"]["id"]))
    };
    let paths = vec![
        ("one", format!("{POSTS}/{one}")),
        ("one by slug", format!("{POSTS}/{slug}")),
        ("two", format!("{POSTS}/{two}")),
        ("none", format!("{POSTS}/there-is-none")),
        ("all", POSTS.to_owned()),
        ("a", format!("{POSTS}?tag=a")),
        ("b", format!("{POSTS}?tag=b")),
        ("by ada", author(&one).await),
        ("by bob", author(&two).await),
    ];
    let reads = Reads { process: &process, statements: &statements, paths };
    let patch = |path: String, body: Value| (Method::PATCH, path, body);
    let post = |path: String| (Method::POST, path, Value::Null);
    let reasoned = |path: String| (Method::POST, path, json!({"reason": "Why not?"}));
    let of_one = |what: &str| format!("{POSTS}/{one}{what}");
    let name = |name: &str| patch("/api/v1/users/me".to_owned(), json!({"name": name}));
    let like = |method: Method| (method, of_one("/like"), Value::Null);
    let tags = |tags: &[&str]| patch(of_one(""), json!({"tags": tags}));

    let own = &["one", "one by slug", "all", "a", "by ada"][..];
    let with_b = &["one", "one by slug", "all", "a", "b", "by ada"][..];
    reads
        .cost(&[
            (ADA, patch(of_one(""), json!({"title": "1", "body": "1"})), own),
            (ADA, patch(format!("{POSTS}/{draft}"), json!({"title": "Another"})), &[]),
            (ADA, tags(&["a", "b"]), with_b),
            (ADA, tags(&["a"]), with_b),
            (ADA, post(of_one("/unpublish")), own),
            (ADA, post(of_one("/publish")), own),
        ])
        .await;
    reads
        .cost(&[
            (ADMIN, reasoned(format!("{STAFF}/{two}/hide")), &["two", "all", "b", "by bob"]),
            (ADMIN, reasoned(format!("{STAFF}/{two}/restore")), &["two", "all", "b", "by bob"]),
            (BOB, name("Robert"), &["two", "all", "b", "by bob"]),
            (BOB, name("Bob"), &["two", "all", "b", "by bob"]),
            (BOB, patch("/api/v1/users/me".to_owned(), json!({"locale": "de"})), &[]),
            (BOB, like(Method::PUT), &["all", "a", "by ada"]),
            (BOB, like(Method::DELETE), &["all", "a", "by ada"]),
        ])
        .await;
}

/// Two processes that share Redis, and one that asks the database each time, and so says what is right.
struct Processes {
    two: [Process; 2],
    right: Process,
    paths: Vec<String>,
    /// Which one acts next.
    turn: usize,
}

impl Processes {
    async fn start(db: &TestDb, redis: &Redis) -> Self {
        people(db).await;
        let start = async |name, value: &str| {
            let app = TestApp::builder().database_url(&db.url).setting(name, value);
            Process::of(app.setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await).await
        };
        let (url, paths) = (redis.url(), Vec::new());
        let two = [start("REDIS_URL", &url).await, start("REDIS_URL", &url).await];
        Self { two, right: start("TWOFOLD_CACHE__ENABLED", "false").await, paths, turn: 0 }
    }

    /// The one whose turn it is.
    fn next(&mut self) -> &Process {
        self.turn = 1 - self.turn;
        &self.two[self.turn]
    }

    async fn read_by(&self, process: &Process) -> Vec<Value> {
        let mut read = Vec::new();
        for path in &self.paths {
            read.push(process.read(path).await);
        }
        read
    }

    /// Who has changed something answers with it at once, the other one soon.
    async fn agree(&self, what: &str) {
        let right = self.read_by(&self.right).await;
        let (here, there) = (&self.two[self.turn], &self.two[1 - self.turn]);
        assert_eq!(self.read_by(here).await, right, "{what}");
        wait(async || (self.read_by(there).await == right).then_some(())).await;
        for process in [here, there] {
            assert_eq!(self.read_by(process).await, right, "{what}, from the cache");
        }
    }

    async fn act(&mut self, who: &str, method: Method, path: &str, body: Value) {
        let what = format!("{method} {path} {body}");
        self.next().act(who, (method, path, body)).await;
        self.agree(&what).await;
    }
}

#[tokio::test]
async fn c28_whatever_is_done_to_posts_all_processes_answer_right() {
    let (db, mut redis) = (TestDb::create().await, Redis::start().await);
    let mut all = Processes::start(&db, &redis).await;
    let (one, slug) = all.two[0].published(ADA, "One", "a").await;
    let (two, _) = all.two[1].published(BOB, "Two", "b").await;
    let author = text(&all.right.read(&format!("{POSTS}/{one}")).await["author"]["id"]);
    all.paths = ["", "?limit=1", "?tag=a", "?tag=b", "?tag=a&limit=1"]
        .iter()
        .map(|query| format!("{POSTS}{query}"))
        .chain([&one, &slug, &two].map(|name| format!("{POSTS}/{name}")))
        .chain([
            format!("{POSTS}?author_id={author}"),
            format!("{POSTS}?author_id={author}&tag=b"),
            format!("{POSTS}/{one}/reactions"),
        ])
        .collect();
    all.agree("as it began").await;

    let path = |what: &str| format!("{POSTS}/{one}{what}");
    let (post, patch, reason) = (Method::POST, Method::PATCH, json!({"reason": "Why not?"}));
    all.act(ADA, patch.clone(), &path(""), json!({"title": "Uno", "body": "*Uno*"})).await;
    all.act(ADA, patch.clone(), &path(""), json!({"tags": ["a", "b"]})).await;
    all.act(ADA, patch.clone(), &path(""), json!({"tags": ["b"]})).await;
    let revisions = path("/revisions");
    let found = all.right.act(ADA, (Method::GET, &revisions, Value::Null)).await;
    let revision = text(&found["items"][0]["id"]);
    all.act(ADA, post.clone(), &format!("{revisions}/{revision}/restore"), Value::Null).await;
    all.act(ADA, post.clone(), &path("/unpublish"), Value::Null).await;
    all.act(ADA, post.clone(), &path("/publish"), Value::Null).await;
    all.act(ADA, Method::DELETE, &path(""), Value::Null).await;
    all.act(ADA, post.clone(), &path("/restore"), Value::Null).await;
    let staff = |what: &str| format!("{STAFF}/{one}{what}");
    all.act(ADMIN, post.clone(), &staff("/hide"), reason.clone()).await;
    all.act(ADMIN, post.clone(), &staff("/restore"), reason.clone()).await;
    let name = json!({"name": "Countess"});
    all.act(ADA, patch.clone(), "/api/v1/users/me", name).await;
    all.act(
        ADMIN,
        patch.clone(),
        &format!("/api/v1/backoffice/users/{author}"),
        json!({"name": "A"}),
    )
    .await;
    all.act(BOB, post.clone(), &path("/comments"), json!({"body": "Fine."})).await;
    all.act(BOB, Method::PUT, &path("/like"), Value::Null).await;
    all.next().add_counts().await;
    all.agree("what was counted").await;

    // What was known not to be there comes, and what is due.
    all.act(ADA, post.clone(), &path("/unpublish"), Value::Null).await;
    let at = all.two[0].stage.app.clock.now() + TimeDelta::seconds(1);
    all.act(ADA, post.clone(), &path("/schedule"), json!({"publish_at": at})).await;
    let process = all.next();
    process.stage.app.clock.advance(TimeDelta::seconds(2));
    let (id, origin) = (one.parse().expect("an identifier"), Origin::system("test"));
    publishing::publish_scheduled(&process.stage.app.core, &origin, id).await.expect("published");
    assert_eq!(all.right.read(&path("")).await["status"], "published");
    all.agree("what was due").await;

    all.act(ADMIN, post.clone(), &format!("{STAFF}/{two}/delete"), reason.clone()).await;
    assert_eq!(all.right.read(&format!("{POSTS}/{two}")).await, Value::Null);

    // Redis hangs, forgets and dies.
    redis.signal(Signal::STOP);
    for title in ["Deux", "Zwei"] {
        all.act(ADA, patch.clone(), &path(""), json!({"title": title})).await;
    }
    redis.signal(Signal::CONT);
    all.agree("what it had before").await;
    redis.ask::<()>("FLUSHALL", &[]).await;
    all.act(ADMIN, post.clone(), &staff("/hide"), reason.clone()).await;
    redis.kill();
    all.act(ADMIN, post.clone(), &staff("/restore"), reason).await;
    redis.start_again().await;
    for process in &all.two {
        is_well(&process.stage.app).await;
    }
    all.agree("what it has again").await;

    // An account goes with all that it wrote.
    let process = all.next();
    process.act(ADA, (Method::DELETE, "/api/v1/users/me", Value::Null)).await;
    process.stage.app.clock.advance(TimeDelta::days(365));
    let gone = deletion::erase_due(&process.stage.app.core, &origin, 10).await.expect("erased");
    assert_eq!(gone, 1);
    assert_eq!(all.right.read(POSTS).await["items"], json!([]));
    all.agree("what was erased").await;
}

#[tokio::test]
async fn c16_what_is_kept_is_shown_to_who_may_see_it_only() {
    let db = TestDb::create().await;
    people(&db).await;
    let Process { stage, admin } =
        Process::of(TestApp::builder().database_url(&db.url).start().await).await;
    let id = stage.published("Shown", &[]).await;
    for token in ["", &stage.bob, &stage.ada] {
        assert_eq!(stage.read(token, &id).await.status, 200);
    }
    let path = format!("{STAFF}/{id}/hide");
    stage.send(&admin, Method::POST, &path, json!({"reason": "Rude."})).await.data();
    // Its author's read keeps it.
    for (token, status) in
        [(&stage.ada, 200), (&stage.bob, 404), (&String::new(), 404), (&stage.ada, 200)]
    {
        assert_eq!(stage.read(token, &id).await.status, status);
    }
    stage.send(&stage.ada, Method::DELETE, &format!("{POSTS}/{id}"), Value::Null).await;
    for token in ["", &stage.bob, &stage.ada] {
        assert_eq!(stage.read(token, &id).await.status, 404);
    }
}

#[tokio::test]
async fn what_was_known_not_to_be_there_comes() {
    const NAMES: [&str; 2] = ["01975b2e-7c40-7000-8000-000000000001", "foretold"];
    // Else nobody knows the names of a post before there is one.
    const FORETOLD: &str = "
        CREATE FUNCTION foretell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.id := '01975b2e-7c40-7000-8000-000000000001';
            NEW.slug := 'foretold';
            RETURN NEW;
        END $$;
        CREATE TRIGGER foretell BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION foretell()";
    let db = TestDb::create().await;
    people(&db).await;
    connect(&db.url).await.batch_execute(FORETOLD).await.expect("done");
    let Process { stage, .. } =
        Process::of(TestApp::builder().database_url(&db.url).start().await).await;
    hears(&stage.app).await;
    for name in NAMES {
        stage.read(&stage.ada, name).await.assert_error(404, "not_found");
    }
    let body = json!({"title": "Foretold", "body": "It comes."});
    stage.send(&stage.ada, Method::POST, POSTS, body).await.data();
    for name in NAMES {
        assert_eq!(stage.read(&stage.ada, name).await.data()["title"], "Foretold", "{name}");
    }
}
