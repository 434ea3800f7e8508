//! How often credentials may be tried: by client and by account, whether or not there is one.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::api::{self, middleware::rate_limits::COUNTED};

use crate::support::{
    TestApp,
    app::{ADMIN, Builder, PASSWORD},
    http::{Answer, Request},
};

const ADA: &str = "ada@example.com";
const NOBODY: &str = "nobody@example.com";
const LOGIN: &str = "/api/v1/auth/login";
const STAFF_LOGIN: &str = "/api/v1/backoffice/auth/login";

/// The same few tries for everybody.
fn few(per_client: u32, per_account: u32) -> Builder {
    let mut builder = TestApp::builder().real_limits();
    for action in ["PASSWORD", "REGISTRATION", "RECOVERY", "CODE", "REFRESH"] {
        for (name, tries) in [("CLIENT", per_client), ("ACCOUNT", per_account)] {
            let variable = format!("TWOFOLD_LIMITS__{action}__PER_{name}");
            builder = builder.setting(&variable, &tries.to_string());
        }
    }
    builder
}

/// One of any number of clients.
fn client(number: usize) -> String {
    format!("198.51.{}.{}", number / 256, number % 256)
}

async fn from(client: &str, request: Request) -> Answer {
    request.header("x-forwarded-for", client).send().await
}

async fn wrong_login(app: &TestApp, client: &str, email: &str) -> Answer {
    let body = json!({"email": email, "password": "not the password"});
    from(client, app.post(LOGIN, body)).await
}

/// Seconds until the next try.
#[track_caller]
fn assert_refused(answer: &Answer) -> i64 {
    assert_eq!(answer.assert_error(429, "too_many_requests")["code"], 429);
    let wait = answer.header("retry-after").parse().expect("seconds");
    assert!(wait > 0);
    wait
}

/// An answer without what differs from one to the next.
fn of(answer: &Answer) -> (u16, Value, String, String) {
    let mut body = answer.json();
    body.as_object_mut().expect("an object").remove("request_id");
    let header = |name| answer.header(name).to_owned();
    (answer.status, body, header("ratelimit"), header("ratelimit-policy"))
}

#[tokio::test]
async fn c10_each_client_has_so_many_tries_of_each_counted_operation() {
    let mut app = few(3, 1000).start().await;
    let (admin, user) = (app.admin_token().await, app.user_token(ADA).await);
    let v1 = |path: &str| format!("/api/v1/{path}");
    let token = "4f1c";
    let unverified = |n: usize| format!("someone{n}@example.com");
    let request = |operation: &str, n: usize| -> Request {
        let post = |path: &str, body: Value| app.post(&v1(path), body);
        let email = unverified(n);
        match operation {
            "register_user" => post("auth/register", json!({"email": ADA, "password": PASSWORD})),
            "verify_email" => {
                let body = json!({"email": email, "password": PASSWORD, "code": "000000"});
                post("auth/verify-email", body)
            }
            "resend_code" => post("auth/resend-code", json!({"email": email})),
            "login_user" => post("auth/login", json!({"email": email, "password": "x"})),
            "step_up_user" => post("auth/step-up", json!({"password": "x"})).bearer(&user),
            "confirm_totp" => {
                post("auth/mfa/totp/confirm", json!({"code": "000000"})).bearer(&user)
            }
            "refresh_user_session" => post("auth/refresh", json!({"refresh_token": token})),
            "forgot_password" => post("auth/forgot-password", json!({"email": email})),
            "reset_password" => {
                let body = json!({"token": token, "new_password": "a brand new password"});
                post("auth/reset-password", body)
            }
            "change_password" => {
                let body = json!({"current_password": "x", "new_password": "a brand new password"});
                post("users/me/change-password", body).bearer(&user)
            }
            "change_email" => post("users/me/change-email", json!({"email": email})).bearer(&user),
            "confirm_email" => {
                post("users/me/change-email/confirm", json!({"code": "000000"})).bearer(&user)
            }
            "accept_invitation" => {
                let body = json!({"token": token, "password": "a brand new password"});
                post("backoffice/invitations/accept", body)
            }
            "login_admin" => {
                post("backoffice/auth/login", json!({"email": email, "password": "x"}))
            }
            "forgot_admin_password" => {
                post("backoffice/auth/forgot-password", json!({"email": email}))
            }
            "reset_admin_password" => {
                let body = json!({"token": token, "new_password": "a brand new password"});
                post("backoffice/auth/reset-password", body)
            }
            "step_up_admin" => {
                post("backoffice/auth/step-up", json!({"password": "x"})).bearer(&admin)
            }
            "confirm_admin_totp" => {
                let body = json!({"code": "000000"});
                post("backoffice/auth/mfa/totp/confirm", body).bearer(&admin)
            }
            "refresh_admin_session" => {
                post("backoffice/auth/refresh", json!({"refresh_token": token}))
            }
            "change_admin_password" => {
                let body = json!({"current_password": "x", "new_password": "a brand new password"});
                post("backoffice/auth/change-password", body).bearer(&admin)
            }
            other => panic!("{other} has no row"),
        }
    };
    for (index, operation) in COUNTED.iter().enumerate() {
        if operation.ends_with("_with_second_factor") {
            // It takes a challenge to be counted: see `second_factor.rs`.
            continue;
        }
        let (here, there) = (client(2 * index), client(2 * index + 1));
        for left in [2, 1, 0] {
            let answer = from(&here, request(operation, left)).await;
            assert_ne!(answer.status, 429, "{operation}: {}", answer.text);
            let limit = answer.header("ratelimit");
            assert!(limit.starts_with(&format!("\"client\";r={left};t=")), "{operation}: {limit}");
            assert!(answer.header("ratelimit-policy").starts_with("\"client\";q=3;w="));
        }
        assert_refused(&from(&here, request(operation, 3)).await);
        let answer = from(&there, request(operation, 4)).await;
        assert_ne!(answer.status, 429, "{operation}: another client");
    }
    for _ in 0..4 {
        app.mail_to(ADA).await;
    }
    for n in [0, 1, 2, 4] {
        app.mail_to(&unverified(n)).await;
    }
}

#[test]
fn c10_the_documents_name_each_counted_operation_and_no_other() {
    let mut counted = BTreeSet::new();
    for document in api::documents(None) {
        let json: Value = serde_json::from_str(&document.text).expect("JSON");
        for (_, item) in json["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("a path").values() {
                let refusal = &operation["responses"]["429"];
                if refusal.is_object() {
                    let headers = refusal["headers"].as_object().expect("headers");
                    for name in ["Retry-After", "RateLimit", "RateLimit-Policy"] {
                        assert!(
                            headers.contains_key(name),
                            "{name} of {}",
                            operation["operationId"]
                        );
                    }
                    counted.insert(operation["operationId"].as_str().expect("an id").to_owned());
                }
            }
        }
    }
    assert_eq!(counted, COUNTED.map(str::to_owned).into());
}

#[tokio::test]
async fn c09_c10_an_account_has_so_many_tries_whether_or_not_there_is_one() {
    let mut app = TestApp::builder().real_limits().start().await;
    app.verified_user(ADA).await;
    app.add_admin().await;
    // The owner's own code was a try as well.
    app.clock.advance(TimeDelta::hours(1));
    let row = |path: &'static str, tries: usize, body: fn(&str) -> Value| (path, tries, body);
    for (number, (path, tries, body)) in [
        row(LOGIN, 10, |email| json!({"email": email, "password": "x"})),
        row(STAFF_LOGIN, 10, |email| json!({"email": email, "password": "x"})),
        row("/api/v1/auth/forgot-password", 5, |email| json!({"email": email})),
        row(
            "/api/v1/auth/verify-email",
            10,
            |email| json!({"email": email, "password": PASSWORD, "code": "000000"}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let known = if path == STAFF_LOGIN { ADMIN } else { ADA };
        for attempt in 0..tries + 2 {
            let client = client(1000 * (number + 1) + attempt);
            let [known, unknown] = [
                from(&client, app.post(path, body(known))).await,
                from(&client, app.post(path, body(NOBODY))).await,
            ];
            assert_eq!(known.status == 429, attempt >= tries, "{path} {attempt}");
            let ((status, body, ..), (other_status, other_body, ..)) = (of(&known), of(&unknown));
            assert_eq!((status, body), (other_status, other_body), "{path} {attempt}");
            if attempt >= tries {
                assert!(known.header("ratelimit").contains("\"account\";r=0;t="));
                let waits = [assert_refused(&known), assert_refused(&unknown)];
                assert!((waits[0] - waits[1]).abs() <= 1, "{waits:?}");
            } else {
                // It would tell whether the account is in use.
                assert!(!known.header("ratelimit").contains("account"), "{path}");
            }
        }
    }
    for _ in 0..5 {
        app.reset_token_for(ADA).await;
    }
}

#[tokio::test]
async fn c09_c10_a_registration_is_refused_alike_and_sends_no_more_mails() {
    let mut app = TestApp::builder().real_limits().start().await;
    app.verified_user(ADA).await;
    app.clock.advance(TimeDelta::hours(1));
    for attempt in 0..7 {
        let register = async |email: &str| {
            let body = json!({"email": email, "password": PASSWORD});
            from(&client(attempt), app.post("/api/v1/auth/register", body)).await
        };
        let (known, unknown) = (register(ADA).await, register(NOBODY).await);
        let ((status, body, ..), (other_status, other_body, ..)) = (of(&known), of(&unknown));
        assert_eq!((status, body), (other_status, other_body));
        assert_eq!(status == 429, attempt >= 5, "{attempt}");
    }
    for _ in 0..5 {
        app.mail_to(ADA).await;
        app.mail_to(NOBODY).await;
    }
}

#[tokio::test]
async fn c10_tries_come_back_one_by_one_and_nobody_waits_longer_for_trying() {
    let app = TestApp::builder().real_limits().start().await;
    for attempt in 0..10 {
        let answer = wrong_login(&app, &client(attempt), ADA).await;
        answer.assert_error(401, "invalid_credentials");
    }
    for attempt in 0..50 {
        let wait = assert_refused(&wrong_login(&app, &client(attempt), ADA).await);
        assert!((85..=90).contains(&wait), "{wait}");
    }
    for _ in 0..3 {
        app.clock.advance(TimeDelta::seconds(90));
        assert_eq!(wrong_login(&app, &client(100), ADA).await.status, 401);
        assert_refused(&wrong_login(&app, &client(100), ADA).await);
    }
    app.clock.advance(TimeDelta::seconds(900));
    for attempt in 0..10 {
        assert_eq!(wrong_login(&app, &client(attempt), ADA).await.status, 401);
    }
    assert_refused(&wrong_login(&app, &client(10), ADA).await);
}

#[tokio::test]
async fn c10_of_50_parallel_tries_each_counts() {
    let app = TestApp::builder().real_limits().start().await;
    let all = join_all((0..50).map(|n| {
        let app = &app;
        async move { wrong_login(app, &client(n), ADA).await }
    }));
    let all = all.await;
    assert_eq!(all.iter().filter(|answer| answer.status == 401).count(), 10);
    assert_eq!(all.iter().filter(|answer| answer.status == 429).count(), 40);

    let here = client(1000);
    let all = join_all((0..50).map(|n| {
        let (app, here) = (&app, &here);
        async move { wrong_login(app, here, &format!("someone{n}@example.com")).await }
    }));
    // Those for whom the hasher had no turn in time have tried as well.
    assert!(all.await.iter().all(|answer| [401, 503].contains(&answer.status)));
    let next = wrong_login(&app, &here, NOBODY).await;
    assert!(next.header("ratelimit").starts_with("\"client\";r=49;"), "{:?}", next.headers);
}

#[tokio::test]
async fn c10_an_attacker_keeps_no_known_device_out() {
    let mut app = TestApp::builder().real_limits().start().await;
    for email in [ADA, "eve@example.com"] {
        app.verified_user(email).await;
    }
    app.add_admin().await;
    let device_of = |answer: Value| answer["device_token"].as_str().expect("a token").to_owned();
    let eves = device_of(app.login("eve@example.com").await);
    for (path, email, device) in [
        (LOGIN, ADA, device_of(app.login(ADA).await)),
        (STAFF_LOGIN, ADMIN, device_of(app.admin_login().await)),
    ] {
        let login = async |attempt: usize, password: &str, token: Option<&str>| {
            let mut body = json!({"email": email, "password": password});
            if let Some(token) = token {
                body["device_token"] = token.into();
            }
            from(&client(attempt), app.post(path, body)).await
        };
        let mut forged = device.clone();
        forged.replace_range(device.len() - 4.., "AAAA");
        for attempt in 0..40 {
            let token = [None, Some(forged.as_str()), Some(&eves)][attempt % 3];
            let answer = login(attempt, "not the password", token).await;
            assert!([401, 429].contains(&answer.status), "{}", answer.text);
        }
        for token in [None, Some(forged.as_str()), Some(&eves)] {
            assert_refused(&login(100, PASSWORD, token).await);
        }
        login(101, PASSWORD, Some(&device)).await.data();
        // A stolen token has no more tries than anybody.
        for attempt in 0..9 {
            assert_eq!(login(attempt, "not the password", Some(&device)).await.status, 401);
        }
        assert_refused(&login(100, PASSWORD, Some(&device)).await);
    }
}

#[tokio::test]
async fn c10_a_browser_in_which_staff_has_signed_in_is_not_kept_out() {
    let app = TestApp::builder().real_limits().start().await;
    app.add_admin().await;
    let sign_in = async |attempt: usize, password: &str, cookie: &str| {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", ADMIN), ("password", password)])
            .finish();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let url = format!("{}/backoffice/sign-in", app.base);
        let request = Request::new(&client.expect("a client"), Method::POST, url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &app.base)
            .header("cookie", cookie)
            .body(body);
        from(&crate::limits::client(attempt), request).await
    };
    let first = sign_in(0, PASSWORD, "").await;
    assert_eq!(first.status, 303);
    let cookies = first.headers.get_all("set-cookie").iter();
    let cookies = cookies.filter_map(|cookie| cookie.to_str().ok());
    let device = cookies.map(|cookie| cookie.split_once(';').expect("attributes"));
    let (device, attributes) =
        device.into_iter().find(|(value, _)| value.contains("-device=")).expect("a cookie");
    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/", "Max-Age=31536000"] {
        assert!(attributes.contains(attribute), "{attributes}");
    }
    for attempt in 0..9 {
        assert_eq!(sign_in(attempt, "not the password", "").await.status, 401);
    }
    let refused = sign_in(10, PASSWORD, "").await;
    assert_eq!(refused.status, 429);
    assert!(refused.text.contains("Too many tries") && refused.text.contains(ADMIN));
    assert!((1..=90).contains(&refused.header("retry-after").parse().expect("seconds")));
    assert_eq!(sign_in(11, PASSWORD, device).await.status, 303);
}

#[tokio::test]
async fn c10_what_a_client_may_choose_gives_it_no_more_tries() {
    let app = few(3, 1000).start().await;
    let addresses = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::7", "[2001:db8:1:2::9]:4711"];
    for (attempt, address) in addresses.into_iter().enumerate() {
        let email = format!("someone{attempt}@example.com");
        assert_eq!(wrong_login(&app, address, &email).await.status, 401);
    }
    assert_refused(&wrong_login(&app, "2001:db8:1:2:3::", NOBODY).await);
    assert_eq!(wrong_login(&app, "2001:db8:1:3::1", NOBODY).await.status, 401);
    // What it says of itself stands before what the proxy says of it.
    for attempt in 0..4 {
        let chain = format!("203.0.113.{attempt}, 192.0.2.7");
        let email = format!("someone{attempt}@example.com");
        let answer = wrong_login(&app, &chain, &email).await;
        assert_eq!(answer.status == 429, attempt == 3, "{}", answer.text);
    }
    // The same account, however it is written.
    let app = few(1000, 3).start().await;
    for (attempt, email) in [ADA, "ADA@example.com", "Ada@Example.COM", ADA].into_iter().enumerate()
    {
        let answer = wrong_login(&app, &client(attempt), email).await;
        assert_eq!(answer.status == 429, attempt == 3, "{}", answer.text);
    }
}

#[tokio::test]
async fn c10_who_is_no_proxy_of_ours_speaks_for_nobody() {
    let app = few(3, 1000).setting("TWOFOLD_SERVER__TRUSTED_PROXIES", "192.0.2.1").start().await;
    for attempt in 0..4 {
        let body = json!({"email": format!("someone{attempt}@example.com"), "password": "x"});
        let spoofed = client(attempt);
        let request = app.post(LOGIN, body).header("x-forwarded-for", &spoofed);
        let request = request.header("forwarded", &format!("for={spoofed}"));
        let answer = request.header("x-real-ip", &spoofed).send().await;
        assert_eq!(answer.status == 429, attempt == 3, "{}", answer.text);
    }
}

#[tokio::test]
async fn c10_a_session_shows_the_address_that_the_proxy_names() {
    let mut app = TestApp::builder().real_limits().start().await;
    app.verified_user(ADA).await;
    let body = json!({"email": ADA, "password": PASSWORD});
    let pair = from("203.0.113.9", app.post(LOGIN, body)).await.data();
    let token = pair["access_token"].as_str().expect("a token");
    let list = app.get("/api/v1/auth/sessions").bearer(token).send().await.data();
    assert_eq!(list["items"][0]["ip_address"], "203.0.113.9", "{list}");
}

#[tokio::test]
async fn c10_a_refused_request_gives_its_idempotency_key_back() {
    let app = few(1, 1000).start().await;
    let forgot = async |key: &str| {
        let request = app.post("/api/v1/auth/forgot-password", json!({"email": NOBODY}));
        from("192.0.2.7", request.header("idempotency-key", key)).await
    };
    forgot("one").await.assert_done();
    assert_refused(&forgot("two").await);
    // What was answered is answered again, and is no try.
    forgot("one").await.assert_done();
    app.clock.advance(TimeDelta::hours(1));
    forgot("two").await.assert_done();
}

#[tokio::test]
async fn c10_a_session_is_refreshed_only_so_often_and_keeps_no_other_from_it() {
    let mut app = TestApp::builder().real_limits().start().await;
    app.verified_user(ADA).await;
    let token_of = |pair: Value| pair["refresh_token"].as_str().expect("a token").to_owned();
    let refresh = async |attempt: usize, token: &str| {
        let body = json!({"refresh_token": token});
        from(&client(attempt), app.post("/api/v1/auth/refresh", body)).await
    };
    let (mut token, other) = (token_of(app.login(ADA).await), token_of(app.login(ADA).await));
    for attempt in 0..30 {
        token = token_of(refresh(attempt, &token).await.data());
    }
    assert_refused(&refresh(30, &token).await);
    refresh(30, &other).await.data();
    app.clock.advance(TimeDelta::seconds(2));
    refresh(31, &token).await.data();
}
