//! Each way to end a session, while Redis and the bus are well or not: who had it open knows within a second,
//! and who ended it at once.

use reqwest::Method;
use rustix::process::Signal;
use tokio::task::JoinHandle;
use twofold::{
    db::Origin,
    services::{deletion, staff},
};

use super::*;
use crate::support::{app::ADMIN, cluster::END_LISTENERS, frozen::Frozen};

/// What ends a user's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    LogOut,
    LogOutOthers,
    LogOutEverywhere,
    EndOne,
    ReuseRefreshToken,
    ChangePassword,
    ResetPassword,
    Suspend,
    WantDeletion,
    Erase,
}

const WAYS: [Way; 10] = [
    Way::LogOut,
    Way::LogOutOthers,
    Way::LogOutEverywhere,
    Way::EndOne,
    Way::ReuseRefreshToken,
    Way::ChangePassword,
    Way::ResetPassword,
    Way::Suspend,
    Way::WantDeletion,
    Way::Erase,
];

impl Way {
    /// Makes a session that both know, and what will end it.
    async fn open(self, stage: &mut Stage) -> Opened {
        let email = stage.user().await;
        let tokens = sign_in(&stage.a, &email).await;
        let (token, old) = (text(&tokens["access_token"]), text(&tokens["refresh_token"]));
        let other = super::token(&stage.a, &email).await;
        if self == Self::ReuseRefreshToken {
            let body = json!({"refresh_token": old});
            stage.a.post("/api/v1/auth/refresh", body).send().await.data();
            stage.advance(TimeDelta::seconds(11));
        }
        let reset = if self == Self::ResetPassword {
            let forgot = stage.a.post("/api/v1/auth/forgot-password", json!({"email": email}));
            forgot.send().await.assert_done();
            stage.a.reset_token_for(&email).await
        } else {
            String::new()
        };
        Opened { way: self, token, other, old, reset }
    }
}

struct Opened {
    way: Way,
    token: String,
    other: String,
    /// A refresh token that was used.
    old: String,
    reset: String,
}

impl Opened {
    async fn end(&self, stage: &Stage, admin: &str) {
        let Self { token, other, old, reset, .. } = self;
        let log_out = async |token: &str, body: Value| {
            let log_out = stage.a.post("/api/v1/auth/logout", body).bearer(token);
            assert_eq!(log_out.send().await.status, 204);
        };
        match self.way {
            Way::LogOut => log_out(token, json!({})).await,
            Way::LogOutOthers => log_out(other, json!({"scope": "others"})).await,
            Way::LogOutEverywhere => log_out(other, json!({"scope": "global"})).await,
            Way::EndOne => {
                let path = format!("/api/v1/auth/sessions/{}", claims(&stage.a, token).sid);
                let end = stage.a.request(Method::DELETE, &path).bearer(other);
                assert_eq!(end.send().await.status, 204);
            }
            Way::ReuseRefreshToken => {
                let body = json!({"refresh_token": old});
                let reuse = stage.a.post("/api/v1/auth/refresh", body).send().await;
                reuse.assert_error(401, "refresh_token_reused");
            }
            Way::ChangePassword => {
                let body =
                    json!({"current_password": PASSWORD, "new_password": "staple battery horse"});
                let change = stage.a.post("/api/v1/users/me/change-password", body).bearer(other);
                change.send().await.assert_done();
            }
            Way::ResetPassword => {
                let body = json!({"token": reset, "new_password": "staple battery horse"});
                stage.a.post("/api/v1/auth/reset-password", body).send().await.assert_done();
            }
            Way::Suspend => {
                let id = claims(&stage.a, token).sub;
                let path = format!("/api/v1/backoffice/users/{id}/suspend");
                let suspend = stage.a.post(&path, json!({"reason": "A test."})).bearer(admin);
                suspend.send().await.data();
            }
            Way::WantDeletion => {
                let delete = stage.a.request(Method::DELETE, "/api/v1/users/me").bearer(other);
                assert_eq!(delete.send().await.status, 204);
            }
            Way::Erase => {
                let id = claims(&stage.a, token).sub;
                let due = "UPDATE users SET deletion_due_at = created_at WHERE id =";
                stage.sql(&format!("{due} '{id}'")).await;
                let origin = Origin::system("test");
                assert_eq!(deletion::erase_due(&stage.a.core, &origin, 10).await.expect("done"), 1);
            }
        }
    }
}

/// What is wrong when a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Flushed,
    Killed,
    Stopped,
    /// Nobody hears, for as long as this lasts, and everybody knows that.
    Deaf,
    /// From now on nobody hears, and nobody knows that yet.
    Hung,
}

/// Ends all connections that listen, and those that take their place.
fn deafen(stage: &Stage) -> JoinHandle<()> {
    let url = stage.db.url.clone();
    tokio::spawn(async move {
        let client = connect(&url).await;
        loop {
            client.query(END_LISTENERS, &[]).await.expect("asked");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// Goes through all ways. Nothing revives what has ended, not even a restart.
async fn each_way_counts(mut stage: Stage, fault: Fault) {
    let bystander = token(&stage.a, &stage.user().await).await;
    stage.a.add_admin().await;
    let mut ended = Vec::new();
    for way in WAYS {
        let opened = way.open(&mut stage).await;
        let admin = text(&stage.a.admin_login().await["access_token"]);
        stage.well().await;
        stage.assert_open(WHO, &bystander).await;
        stage.assert_open(WHO, &opened.token).await;
        let (mut deafening, mut hanging) = (None, None);
        match fault {
            Fault::None => {}
            Fault::Flushed => {
                let () = stage.redis().ask("FLUSHALL", &[]).await;
            }
            Fault::Killed => stage.redis.as_mut().expect("there is one").kill(),
            Fault::Stopped => stage.redis().signal(Signal::STOP),
            Fault::Deaf => {
                deafening = Some(deafen(&stage));
                wait(async || stage.b.core.bus.pulse().is_none().then_some(())).await;
            }
            Fault::Hung => hanging = Some(Frozen::listeners(&stage.db.url).await),
        }
        opened.end(&stage, &admin).await;
        stage.assert_ended(WHO, &opened.token).await;
        stage.assert_open(WHO, &bystander).await;
        match fault {
            Fault::None | Fault::Deaf | Fault::Hung => {}
            Fault::Flushed => {
                let () = stage.redis().ask("FLUSHALL", &[]).await;
            }
            Fault::Killed => stage.redis.as_mut().expect("there is one").start_again().await,
            Fault::Stopped => stage.redis().signal(Signal::CONT),
        }
        drop(hanging);
        if let Some(deafening) = deafening {
            deafening.abort();
        }
        stage.well().await;
        ended.push(opened.token);
    }
    let restarted = stage.another().await;
    restarted.clock.advance(stage.a.clock.now() - restarted.clock.now());
    is_well(&restarted).await;
    for token in ended {
        for app in [&stage.a, &stage.b, &restarted] {
            assert_refused(status(app, WHO, &token).await);
        }
    }
    assert_eq!(status(&restarted, WHO, &bystander).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_each_end_counts_at_once_here_and_soon_everywhere() {
    each_way_counts(Stage::set().await, Fault::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_so_it_does_without_redis() {
    each_way_counts(Stage::with(None).await, Fault::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_so_it_does_while_nobody_hears() {
    each_way_counts(Stage::set().await, Fault::Deaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_so_it_does_when_all_stop_hearing_without_a_word() {
    each_way_counts(Stage::set().await, Fault::Hung).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c28_so_it_does_while_redis_is_flushed() {
    each_way_counts(Stage::set().await, Fault::Flushed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c28_so_it_does_while_redis_is_dead() {
    each_way_counts(Stage::set().await, Fault::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c28_so_it_does_while_redis_is_stopped() {
    each_way_counts(Stage::set().await, Fault::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_sessions_of_staff_end_the_same_way() {
    let stage = Stage::set().await;
    stage.a.add_admin().await;
    let sign_in = async || text(&stage.a.admin_login().await["access_token"]);
    let (first, second) = (sign_in().await, sign_in().await);
    stage.assert_open(STAFF_WHO, &first).await;
    let log_out = stage.a.post("/api/v1/backoffice/auth/logout", json!({})).bearer(&first);
    assert_eq!(log_out.send().await.status, 204);
    stage.assert_ended(STAFF_WHO, &first).await;
    stage.assert_open(STAFF_WHO, &second).await;

    let third = sign_in().await;
    let body = json!({"current_password": PASSWORD, "new_password": "staple battery horse"});
    let change = stage.a.post("/api/v1/backoffice/auth/change-password", body).bearer(&third);
    change.send().await.assert_done();
    stage.assert_ended(STAFF_WHO, &second).await;
    stage.assert_open(STAFF_WHO, &third).await;

    // As an operator does it at the command line, which is another process for both.
    let (email, origin) = (ADMIN.parse().expect("an address"), Origin::system("test"));
    let other = stage.another().await;
    staff::reset_password(&other.core, &origin, &email, None).await.expect("reset");
    let ended = Instant::now();
    for app in [&stage.a, &stage.b] {
        while status(app, STAFF_WHO, &third).await == 200 {
            assert!(ended.elapsed() < BOUND);
        }
    }
}

/// What staff may do rides with their session: a change of it is no end, but counts as soon as one.
#[tokio::test(flavor = "multi_thread")]
async fn c04_a_change_of_roles_counts_at_once_here_and_soon_everywhere() {
    for redis in [Some(Redis::start().await), None] {
        let stage = Stage::with(redis).await;
        let admin = stage.a.admin_token().await;
        let call = async |method: Method, path: &str, body: Value| {
            let path = format!("/api/v1/backoffice{path}");
            stage.a.request(method, &path).bearer(&admin).json(body).send().await.data()
        };
        let readers = |permissions: &[&str]| json!({"name": "readers", "description": "", "permissions": permissions});
        let role = call(Method::POST, "/roles", readers(&["users:read"])).await;
        let path = format!("/roles/{}", text(&role["id"]));
        let token = stage.a.staff_token("ada@example.com", &["readers"]).await;
        stage.assert_open(STAFF_WHO, &token).await;
        stage.assert_open(STAFF_WHO, &admin).await;

        call(Method::PUT, &path, readers(&["users:suspend"])).await;
        stage.assert_ended(STAFF_WHO, &token).await;
        call(Method::PUT, &path, readers(&["users:read"])).await;
        assert_eq!(status(&stage.a, STAFF_WHO, &token).await, 200);
        stage.assert_soon(STAFF_WHO, &token, 200).await;
        // Whoever does it, and in whatever way.
        stage.a.set_roles("ada@example.com", &[]).await;
        stage.assert_soon(STAFF_WHO, &token, 403).await;
        stage.a.set_roles("ada@example.com", &["moderator"]).await;
        stage.assert_soon(STAFF_WHO, &token, 200).await;
    }
}
