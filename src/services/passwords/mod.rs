//! Passwords: which may be set ([`policy`]), how they are hashed ([`scheme`]), and a bounded pool that
//! does it (ASVS 5.0, 6.2 and 11.4).

mod common;
pub mod policy;
pub mod scheme;

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::{Code, Kind, Result, ServiceError};
pub use policy::{MAX_LENGTH, MIN_LENGTH, Policy};
pub use scheme::{Costs, Scheme};

/// How long a request waits for its turn at the hasher.
const QUEUE_LIMIT: Duration = Duration::from_millis(500);

/// Hashes and checks passwords, at most one per core at a time, so that a flood of sign-ins
/// can't starve other requests.
pub struct Passwords {
    pub policy: Policy,
    scheme: Arc<Scheme>,
    turns: Arc<Semaphore>,
    /// For those who have a turn and those who wait for one.
    places: Semaphore,
    /// Checked when there is no account, so that the answer takes the same time.
    dummy: String,
}

impl Passwords {
    /// At most `places` requests are here at a time: of all that the process works on, some must be others.
    ///
    /// # Errors
    /// When Argon2 does not take the scheme's parameters.
    pub fn new(policy: Policy, scheme: Scheme, places: usize) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let dummy = scheme.hash(b"a password that nobody has")?;
        let (turns, places) = (Arc::new(Semaphore::new(cores)), Semaphore::new(places));
        Ok(Self { policy, scheme: Arc::new(scheme), turns, places, dummy })
    }

    /// A salted hash in PHC format.
    ///
    /// # Errors
    /// [`Code::Busy`] when there is no place, or no turn in time.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        let (scheme, password) = (self.scheme.clone(), password.clone());
        self.run(move || scheme.hash(password.expose_secret().as_bytes())).await
    }

    /// Whether the password belongs to the stored hash. `None`, for an account that doesn't
    /// exist, takes as long and is never true.
    ///
    /// # Errors
    /// [`Code::Busy`] when there is no place, or no turn in time.
    pub async fn verify(&self, password: &SecretString, stored: Option<&str>) -> Result<bool> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or(&self.dummy).to_owned();
        let (scheme, password) = (self.scheme.clone(), password.clone());
        let matches =
            self.run(move || scheme.verify(password.expose_secret().as_bytes(), &stored)).await?;
        Ok(matches && exists)
    }

    /// A new hash in place of one of other costs or with another pepper, once its password is known to be
    /// right; `None` where the stored one will do, or too much waits for hashing: the next sign-in does it.
    ///
    /// # Errors
    /// When it is no such hash.
    pub async fn renewed(&self, password: &SecretString, stored: &str) -> Result<Option<String>> {
        if self.scheme.is_current(stored)? {
            return Ok(None);
        }
        match self.hash(password).await {
            Err(error) if error.code.kind() == Kind::Unavailable => Ok(None),
            hash => hash.map(Some),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
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
        work.await.map_err(ServiceError::internal)?
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn with(iterations: u32) -> Passwords {
        let policy = Policy { min_length: 12, min_length_with_factor: 8 };
        let costs = Costs { memory_kib: 8, iterations, parallelism: 1 };
        let scheme = Scheme::new(costs, None, None).expect("parameters");
        Passwords::new(policy, scheme, 2).expect("parameters")
    }

    fn cheap() -> Passwords {
        with(1)
    }

    #[tokio::test]
    async fn c07_a_password_matches_its_own_hash_only() {
        let passwords = cheap();
        let secret = SecretString::from("correct horse battery");
        let hash = passwords.hash(&secret).await.expect("hash");
        assert!(passwords.verify(&secret, Some(&hash)).await.expect("verify"));
        assert!(!passwords.verify(&"wrong".into(), Some(&hash)).await.expect("verify"));
        assert_ne!(hash, passwords.hash(&secret).await.expect("salted"));
    }

    #[tokio::test]
    async fn c08_nothing_is_cut_off() {
        let passwords = cheap();
        let long = "ü".repeat(MAX_LENGTH);
        let hash = passwords.hash(&long.as_str().into()).await.expect("hash");
        assert!(passwords.verify(&long.as_str().into(), Some(&hash)).await.expect("verify"));
        let shorter = "ü".repeat(MAX_LENGTH - 1);
        assert!(!passwords.verify(&shorter.into(), Some(&hash)).await.expect("verify"));
    }

    #[tokio::test]
    async fn c07_a_hash_is_renewed_only_where_it_is_not_as_new_ones_are() {
        let (old, new, secret) = (with(1), with(2), SecretString::from("x"));
        let stored = old.hash(&secret).await.expect("hash");
        assert_eq!(old.renewed(&secret, &stored).await.expect("read"), None);
        let renewed = new.renewed(&secret, &stored).await.expect("read").expect("a new one");
        assert!(new.verify(&secret, Some(&renewed)).await.expect("verify"));
        let all = u32::try_from(new.turns.available_permits()).expect("few cores");
        let _held = new.turns.clone().acquire_many_owned(all).await.expect("open");
        assert_eq!(new.renewed(&secret, &stored).await.expect("later"), None);
    }

    #[tokio::test]
    async fn c09_no_account_is_never_true() {
        let dummy = SecretString::from("a password that nobody has");
        assert!(!cheap().verify(&dummy, None).await.expect("verify"));
    }

    #[tokio::test]
    async fn c07_a_full_queue_answers_busy() {
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
    async fn c07_who_finds_no_place_does_not_wait() {
        let passwords = cheap();
        let all = u32::try_from(passwords.turns.available_permits()).expect("few cores");
        let _held = passwords.turns.clone().acquire_many_owned(all).await.expect("open");
        let secret = SecretString::from("x");
        let mut waiting = [(); 2].map(|()| Box::pin(passwords.hash(&secret)));
        assert!(waiting.iter_mut().all(|hash| hash.now_or_never().is_none()));
        let refused = passwords.hash(&secret).now_or_never().expect("at once");
        assert_eq!(refused.expect_err("no place").code, Code::Busy);
    }
}
