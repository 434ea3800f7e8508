use chrono::TimeDelta;
use ring::hmac;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ACCOUNT: Uuid = Uuid::from_u128(1);
const SESSION: Uuid = Uuid::from_u128(2);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("valid")
}

fn tokens(realm: Realm) -> Tokens {
    hs256::install();
    // The same secret on purpose: the realm alone must make the difference.
    Tokens::new(realm, &SECRET.into())
}

fn sign(realm: Realm, kind: TokenKind) -> String {
    let subject = Subject { account_id: ACCOUNT, session_id: SESSION };
    let end = now() + TimeDelta::minutes(30);
    tokens(realm).sign(kind, subject, Uuid::from_u128(3), now(), end).expect("signed")
}

fn code(kind: TokenKind, token: &str, at: DateTime<Utc>) -> Code {
    tokens(Realm::Client).verify(kind, token, at).expect_err("refused").code
}

#[test]
fn a_genuine_token_says_what_was_signed() {
    let token = sign(Realm::Client, TokenKind::Access);
    let claims = tokens(Realm::Client).verify(TokenKind::Access, &token, now()).expect("valid");
    assert_eq!((claims.sub, claims.sid), (ACCOUNT, SESSION));
    assert_eq!(token, sign(Realm::Client, TokenKind::Access), "signing is deterministic");
}

#[test]
fn c01_realms_and_kinds_never_stand_for_each_other() {
    for realm in [Realm::Client, Realm::Backoffice] {
        for kind in TokenKind::ALL {
            let token = sign(realm, kind);
            for expected_realm in [Realm::Client, Realm::Backoffice] {
                for expected_kind in TokenKind::ALL {
                    let verified = tokens(expected_realm).verify(expected_kind, &token, now());
                    let same = realm == expected_realm && kind == expected_kind;
                    assert_eq!(
                        verified.is_ok(),
                        same,
                        "{realm:?} {kind:?} as {expected_realm:?} {expected_kind:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn c01_times_follow_our_clock() {
    let token = sign(Realm::Client, TokenKind::Access);
    let at = |seconds| now() + TimeDelta::seconds(seconds);
    let verify = |at| tokens(Realm::Client).verify(TokenKind::Access, &token, at);
    assert!(verify(at(30 * 60 - 1)).is_ok());
    assert_eq!(code(TokenKind::Access, &token, at(30 * 60)), Code::TokenExpired);
    assert!(verify(at(-5)).is_ok());
    assert_eq!(code(TokenKind::Access, &token, at(-6)), Code::InvalidToken);
}

/// Signs any header and claims with the real key, so that only the rule under test can refuse.
fn forge(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let key = derive_key(&SECRET.into(), "twofold-client", TokenKind::Access.typ());
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), message.as_bytes());
    format!("{message}.{}", base64url(signature.as_ref()))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

#[test]
fn c01_hostile_tokens_are_all_refused_alike() {
    let header = json!({"typ": "at+jwt", "alg": "HS256"});
    let claims = json!({
        "iss": "twofold-client", "aud": "client-api", "sub": ACCOUNT, "sid": SESSION,
        "jti": Uuid::from_u128(3), "iat": now().timestamp(), "nbf": now().timestamp(),
        "exp": now().timestamp() + 60,
    });
    let genuine = forge(&header, &claims);
    tokens(Realm::Client).verify(TokenKind::Access, &genuine, now()).expect("the base is valid");

    let mut hostile = vec![
        ("empty".to_owned(), String::new()),
        ("dots".to_owned(), "..".to_owned()),
        ("not base64".to_owned(), "a.b.c".to_owned()),
        ("cut signature".to_owned(), genuine[..genuine.len() - 2].to_owned()),
        ("no signature".to_owned(), format!("{}.", genuine.rsplit_once('.').expect("dots").0)),
        ("a fourth part".to_owned(), format!("{genuine}.x")),
        ("a space".to_owned(), format!(" {genuine}")),
    ];
    for name in ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"] {
        let mut without = claims.clone();
        without.as_object_mut().expect("object").remove(name);
        hostile.push((format!("no {name}"), forge(&header, &without)));
        for (what, value) in [("text", json!("x")), ("null", Value::Null), ("array", json!([1]))] {
            let mut wrong = claims.clone();
            wrong[name] = value;
            hostile.push((format!("{name} as {what}"), forge(&header, &wrong)));
        }
    }
    for (name, value) in [("iss", "twofold-backoffice"), ("aud", "backoffice-api")] {
        let mut foreign = claims.clone();
        foreign[name] = value.into();
        hostile.push((format!("foreign {name}"), forge(&header, &foreign)));
    }
    for (what, header) in [
        ("alg none", json!({"typ": "at+jwt", "alg": "none"})),
        ("alg HS512", json!({"typ": "at+jwt", "alg": "HS512"})),
        ("alg RS256", json!({"typ": "at+jwt", "alg": "RS256", "jku": "http://127.0.0.1/"})),
        ("no alg", json!({"typ": "at+jwt"})),
        ("no typ", json!({"alg": "HS256"})),
        ("typ JWT", json!({"typ": "JWT", "alg": "HS256"})),
        ("typ of refresh", json!({"typ": "refresh+jwt", "alg": "HS256"})),
    ] {
        hostile.push((what.to_owned(), forge(&header, &claims)));
    }
    assert!(hostile.len() >= 40, "{}", hostile.len());
    for (what, token) in hostile {
        assert_eq!(code(TokenKind::Access, &token, now()), Code::InvalidToken, "{what}");
    }
}
