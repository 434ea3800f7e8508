//! What Redis has and shouldn't, and what is changed behind the program's back.

use futures_util::future::join_all;

use super::*;
use crate::support::{cluster::END_LISTENERS, frozen::Frozen, pg_proxy::PgProxy, rounds};

impl Stage {
    /// What Redis has of a session that both know.
    async fn cached(&self, token: &str) -> String {
        self.assert_open(WHO, token).await;
        let key = self.key(token);
        let get = async || self.redis().ask::<Option<String>>("GET", &[&key]).await;
        wait(get).await
    }

    async fn put_back(&self, token: &str, value: &str) {
        let () = self.redis().ask("SET", &[&self.key(token), value]).await;
    }

    async fn log_out(&self, token: &str) {
        let log_out = self.a.post("/api/v1/auth/logout", json!({})).bearer(token);
        assert_eq!(log_out.send().await.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_what_is_stored_late_revives_nothing() {
    for _ in 0..rounds(3, 20) {
        let stage = Stage::set().await;
        let token = token(&stage.a, &stage.user().await).await;
        let cached = stage.cached(&token).await;
        stage.log_out(&token).await;
        stage.put_back(&token, &cached).await;
        stage.assert_ended(WHO, &token).await;
        // Nothing is left of what they knew themselves, and the bus is well.
        stage.advance(TimeDelta::seconds(1));
        stage.well().await;
        for app in [&stage.a, &stage.b, &stage.another().await] {
            app.get(WHO).bearer(&token).send().await.assert_error(401, "session_ended");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_a_restarted_redis_and_restarted_processes_revive_nothing() {
    let mut stage = Stage::set().await;
    let token = token(&stage.a, &stage.user().await).await;
    stage.cached(&token).await;
    stage.redis.as_mut().expect("there is one").kill();
    stage.log_out(&token).await;
    // It still has what it had.
    stage.redis.as_mut().expect("there is one").start_again().await;
    assert_eq!(stage.redis().ask::<i64>("EXISTS", &[&stage.key(&token)]).await, 1);
    stage.well().await;
    stage.assert_ended(WHO, &token).await;
    for app in [&stage.another().await, &stage.another().await] {
        app.get(WHO).bearer(&token).send().await.assert_error(401, "session_ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_an_end_that_nobody_could_hear_counts() {
    let stage = Stage::set().await;
    let token = token(&stage.a, &stage.user().await).await;
    let cached = stage.cached(&token).await;
    let end = format!("{END_LISTENERS}; UPDATE user_sessions SET revoked_at = now()");
    stage.b.core.bus.pulse().expect("it hears");
    stage.sql(&end).await;
    stage.put_back(&token, &cached).await;
    wait(async || stage.b.core.bus.pulse().is_none().then_some(())).await;
    stage.well().await;
    stage.advance(TimeDelta::seconds(1));
    stage.well().await;
    stage.put_back(&token, &cached).await;
    for app in [&stage.a, &stage.b] {
        app.get(WHO).bearer(&token).send().await.assert_error(401, "session_ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_what_others_put_into_redis_opens_nothing() {
    let stage = Stage::set().await;
    let (ada, eve) = (stage.user().await, stage.user().await);
    let (ada, eve) = (token(&stage.a, &ada).await, token(&stage.a, &eve).await);
    let (of_ada, _) = (stage.cached(&ada).await, stage.cached(&eve).await);
    let who = async |token: &str| {
        stage.advance(TimeDelta::seconds(1));
        stage.well().await;
        let answer = stage.b.get(WHO).bearer(token).send().await;
        text(&answer.data()["id"])
    };
    let id = claims(&stage.a, &eve).sub.to_string();
    for value in [of_ada.as_str(), "", "{}", "\u{0}", "[1]"] {
        stage.put_back(&eve, value).await;
        assert_eq!(who(&eve).await, id, "{value}");
        // It was asked for in the database, and is right again.
        let account = async || {
            let cached = stage.redis().ask::<String>("GET", &[&stage.key(&eve)]).await;
            serde_json::from_str::<Value>(&cached).ok()?["account_id"].as_str().map(str::to_owned)
        };
        wait(async || account().await.filter(|account| *account == id)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_what_comes_from_redis_counts_as_long_as_the_bus_has_heard() {
    let stage = Stage::set().await;
    let token = token(&stage.a, &stage.user().await).await;
    assert_eq!(status(&stage.a, WHO, &token).await, 200);
    let key = stage.key(&token);
    wait(async || (stage.redis().ask::<i64>("EXISTS", &[&key]).await == 1).then_some(())).await;
    hears(&stage.b).await;
    let _deaf = Frozen::listeners(&stage.db.url).await;
    let pulse = stage.b.core.bus.pulse().expect("less than a second ago");
    // At the last moment the other process takes it from Redis.
    let clock = stage.b.clock.clone();
    let until = |age: Duration| {
        let left = (pulse.as_of + age).saturating_duration_since(clock.moment());
        clock.advance(TimeDelta::from_std(left).expect("short"));
    };
    until(Duration::from_millis(900));
    assert_eq!(status(&stage.b, WHO, &token).await, 200);
    stage.log_out(&token).await;
    until(BOUND);
    stage.b.get(WHO).bearer(&token).send().await.assert_error(401, "session_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_what_was_read_before_the_end_and_comes_after_it_is_not_kept() {
    let db = TestDb::create().await;
    let proxy = PgProxy::to(&db.url).await;
    let app = TestApp::builder().setting("TWOFOLD_JOBS__IN_PROCESS", "false");
    let app = process(&db, None, app).database_url(&proxy.url).start().await;
    let token = token(&app, &add_user(&app, &db).await).await;
    proxy.hold_next_row();
    let reading = tokio::spawn(app.get(WHO).bearer(&token).send());
    proxy.held().await;
    // On another connection.
    let log_out = app.post("/api/v1/auth/logout", json!({"scope": "local"})).bearer(&token);
    assert_eq!(log_out.send().await.status, 204);
    proxy.release();
    assert_eq!(reading.await.expect("answered").status, 200, "it was asked before");
    app.get(WHO).bearer(&token).send().await.assert_error(401, "session_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_who_reads_while_a_session_ends_keeps_nothing() {
    let stage = Stage::set().await;
    for _ in 0..rounds(20, 200) {
        let token = token(&stage.a, &stage.user().await).await;
        // Each of them reads, for nobody has read before.
        let reading = join_all((0..20).map(|_| status(&stage.a, WHO, &token)));
        let ((), answers) = tokio::join!(stage.log_out(&token), reading);
        assert!(answers.iter().all(|status| [200, 401].contains(status)), "{answers:?}");
        stage.assert_ended(WHO, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_what_is_changed_by_hand_counts_as_soon() {
    let stage = Stage::set().await;
    stage.a.add_admin().await;
    for sql in [
        "UPDATE user_sessions SET revoked_at = now() WHERE id = '{sid}'",
        "UPDATE user_sessions SET expires_at = now() - interval '1 s' WHERE id = '{sid}'",
        "DELETE FROM user_sessions WHERE id = '{sid}'",
        "UPDATE users SET status = 'suspended' WHERE id = '{sub}'",
        "DELETE FROM users WHERE id = '{sub}'",
    ] {
        let token = token(&stage.a, &stage.user().await).await;
        stage.cached(&token).await;
        let claims = claims(&stage.a, &token);
        let sub = claims.sub.to_string();
        stage.sql(&sql.replace("{sid}", &claims.sid.to_string()).replace("{sub}", &sub)).await;
        assert_soon_refused(&stage, WHO, &token).await;
    }
    for sql in [
        "UPDATE admin_sessions SET revoked_at = now()",
        "UPDATE admin_sessions SET expires_at = now() - interval '1 s'",
        "DELETE FROM admin_sessions",
        "DELETE FROM admins",
    ] {
        let token = text(&stage.a.admin_login().await["access_token"]);
        stage.assert_open(STAFF_WHO, &token).await;
        let stored =
            async || stage.redis().ask::<Vec<String>>("KEYS", &["*backoffice*"]).await.pop();
        wait(stored).await;
        stage.sql(sql).await;
        assert_soon_refused(&stage, STAFF_WHO, &token).await;
        let () = stage.redis().ask("FLUSHALL", &[]).await;
    }
}

/// In all processes, for none of them did it.
async fn assert_soon_refused(stage: &Stage, path: &str, token: &str) {
    let ended = Instant::now();
    for app in [&stage.a, &stage.b] {
        loop {
            let asked = ended.elapsed();
            if status(app, path, token).await != 200 {
                break;
            }
            assert!(asked < BOUND, "open after {asked:?}");
        }
    }
}
