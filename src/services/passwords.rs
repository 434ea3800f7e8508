//! Passwords: the policy, and Argon2id on a bounded pool (ASVS 5.0, 6.2 and 11.4).

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::{Code, FieldError, Result, ServiceError};

/// The shortest password without a second factor, in characters. ASVS 5.0, 6.2.1 asks for 8 at
/// least and recommends 15.
pub const MIN_LENGTH: usize = 12;
/// The longest, in characters; nothing is ever cut off.
pub const MAX_LENGTH: usize = 256;

/// How long a request waits for its turn at the hasher.
const QUEUE_LIMIT: Duration = Duration::from_millis(500);

/// Hashes and checks passwords, at most one per core at a time, so that a flood of sign-ins
/// can't starve other requests.
pub struct Passwords {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    /// For those who have a turn and those who wait for one.
    places: Semaphore,
    /// Checked when there is no account, so that the answer takes the same time.
    dummy: String,
}

impl Passwords {
    /// `memory_kib`, `iterations` and `parallelism` as in RFC 9106. At most
    /// `places` requests are here at a time: of all that the process works on, some must be others.
    ///
    /// # Errors
    /// When Argon2 does not take these parameters.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32, places: usize) -> Result<Self> {
        let params = Params::new(memory_kib, iterations, parallelism, None)
            .map_err(|e| ServiceError::internal(e.to_string()))?;
        let argon2 = Argon2::from(params);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let dummy = hash(&argon2, "a password that nobody has")?;
        let (turns, places) = (Arc::new(Semaphore::new(cores)), Semaphore::new(places));
        Ok(Self { argon2, turns, places, dummy })
    }

    /// A salted hash in PHC format.
    ///
    /// # Errors
    /// [`Code::Busy`] when there is no place, or no turn in time.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        self.run(move || hash(&argon2, password.expose_secret())).await?
    }

    /// Whether the password belongs to the stored hash. `None`, for an account that doesn't
    /// exist, takes as long and is never true.
    ///
    /// # Errors
    /// [`Code::Busy`] when there is no place, or no turn in time.
    pub async fn verify(&self, password: &SecretString, stored: Option<&str>) -> Result<bool> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or(&self.dummy).to_owned();
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let matches = self
            .run(move || {
                let hash = PasswordHash::new(&stored)?;
                Ok(argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok())
            })
            .await?
            .map_err(|e: argon2::password_hash::phc::Error| {
                ServiceError::internal(e.to_string())
            })?;
        Ok(matches && exists)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = self.places.try_acquire().map_err(|_| Code::Busy)?;
        let waiting = self.turns.clone().acquire_owned();
        let turn = tokio::time::timeout(QUEUE_LIMIT, waiting)
            .await
            .map_err(|_| Code::Busy)?
            .map_err(ServiceError::internal)?;
        let work = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the request, which may go away meanwhile.
            let _turn = turn;
            work()
        });
        work.await.map_err(ServiceError::internal)
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String> {
    match argon2.hash_password(password.as_bytes()) {
        Ok(hash) => Ok(hash.to_string()),
        Err(error) => Err(ServiceError::internal(error.to_string())),
    }
}

/// Refuses a password that anyone who knows the account would try first.
///
/// # Errors
/// [`Code::ValidationFailed`] for `field`.
pub fn check_policy(field: &str, password: &SecretString, own: &[&str]) -> Result<()> {
    let text = password.expose_secret();
    let length = text.chars().count();
    if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
        let message = format!("must have {MIN_LENGTH} to {MAX_LENGTH} characters");
        return Err(ServiceError::invalid(vec![FieldError::new(field, "length", message)]));
    }
    if strangeness(text, own) < MIN_LENGTH / 2 {
        let message = "must not be made of your name or address";
        return Err(ServiceError::invalid(vec![FieldError::new(field, "guessable", message)]));
    }
    Ok(())
}

/// How many characters are left without the words of the account's own name and address.
fn strangeness(password: &str, own: &[&str]) -> usize {
    let mut words: Vec<String> = own
        .iter()
        .flat_map(|text| std::iter::once(*text).chain(text.split(['@', '.', ' '])))
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() >= 4)
        .collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = words.iter().fold(password.to_lowercase(), |rest, word| rest.replace(word, ""));
    rest.chars().count()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(8, 1, 1, 2).expect("parameters")
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = cheap();
        let secret = SecretString::from("correct horse battery");
        let hash = passwords.hash(&secret).await.expect("hash");
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(passwords.verify(&secret, Some(&hash)).await.expect("verify"));
        assert!(!passwords.verify(&"wrong".into(), Some(&hash)).await.expect("verify"));
        assert_ne!(hash, passwords.hash(&secret).await.expect("salted"));
    }

    #[tokio::test]
    async fn no_account_is_never_true() {
        let dummy = SecretString::from("a password that nobody has");
        assert!(!cheap().verify(&dummy, None).await.expect("verify"));
    }

    #[tokio::test]
    async fn a_full_queue_answers_busy() {
        let passwords = cheap();
        let all = u32::try_from(passwords.turns.available_permits()).expect("few cores");
        let held = passwords.turns.clone().acquire_many_owned(all).await.expect("open");
        let error = passwords.hash(&"x".into()).await.expect_err("no turn");
        assert_eq!(error.code, Code::Busy);
        assert!(error.retry_after.is_some());
        drop(held);
        passwords.hash(&"x".into()).await.expect("free again");
    }

    #[tokio::test]
    async fn who_finds_no_place_does_not_wait() {
        let passwords = cheap();
        let all = u32::try_from(passwords.turns.available_permits()).expect("few cores");
        let _held = passwords.turns.clone().acquire_many_owned(all).await.expect("open");
        let secret = SecretString::from("x");
        let mut waiting = [(); 2].map(|()| Box::pin(passwords.hash(&secret)));
        assert!(waiting.iter_mut().all(|hash| hash.now_or_never().is_none()));
        let refused = passwords.hash(&secret).now_or_never().expect("at once");
        assert_eq!(refused.expect_err("no place").code, Code::Busy);
    }

    #[test]
    fn the_policy_asks_for_length_and_strangeness() {
        let check = |text: &str| {
            check_policy("password", &text.into(), &["ada.lovelace@example.com", "Ada Lovelace"])
        };
        for bad in [
            "short",
            "ada.lovelace1",
            "lovelace@example",
            "Ada.Lovelace@Example.com",
            "ADA LOVELACE12",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let long = "ü".repeat(MAX_LENGTH);
        for good in ["correct horse battery", "twelve chars", "example of a phrase", &long] {
            assert!(check(good).is_ok(), "{good}");
        }
        assert!(check(&"x".repeat(MAX_LENGTH + 1)).is_err());
    }
}
