//! How often credentials may be tried, by client and by account (ASVS 5.0, 6.3.1 and 6.1.1).
//!
//! Whoever checks a credential, or sends mail for anybody who asks, calls [`Limits::check`] first: right and wrong
//! tries count alike, before it is known which they are. An account's budget is that of an address, whether or not
//! there is an account. A device that has signed in before has one of its own, so nobody can use up somebody
//! else's; nor does anything lock: tries come back one by one.

use std::{net::IpAddr, time::Duration};

use ring::hmac;
use secrecy::SecretString;
use uuid::Uuid;

use super::{Result, ServiceError, email_address::EmailAddress, tokens::derive_key};
use crate::{
    adapters::{
        clock::Clock,
        limiter::{Charge, Key, Limiter, Quota, Standing, Told, whole_seconds},
    },
    db::{Origin, sessions::Realm},
};

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A password, wherever it is asked for.
    Password,
    /// An address is registered.
    Registration,
    /// A mail is asked for, or its token is tried.
    Recovery,
    /// A code of a mail or of a second factor.
    Code,
    /// A refresh token.
    Refresh,
}

/// Whose budget a try is at the cost of, besides the client's.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// Nobody's: what was sent belongs to no account.
    Nobody,
    /// That of a mail address, in lower case.
    Address(Realm, &'a str),
    Account(Uuid),
    /// Of one that has signed in to this account before.
    Device {
        account_id: Uuid,
        device_id: Uuid,
    },
    Session(Uuid),
}

impl<'a> Who<'a> {
    /// The device that is known to the account, or else the address, whether or not it has one.
    #[must_use]
    pub fn on_device(realm: Realm, email: &'a EmailAddress, known: Option<(Uuid, Uuid)>) -> Self {
        match known {
            Some((account_id, device_id)) => Self::Device { account_id, device_id },
            None => Self::Address(realm, email.as_str()),
        }
    }
}

/// The budgets of one kind of try.
#[derive(Debug, Clone, Copy)]
pub struct Budgets {
    pub client: Quota,
    pub account: Quota,
}

/// The budgets of all kinds.
#[derive(Debug, Clone, Copy)]
pub struct AllBudgets {
    pub password: Budgets,
    pub registration: Budgets,
    pub recovery: Budgets,
    pub code: Budgets,
    pub refresh: Budgets,
}

/// What callers are told the budgets are called.
const CLIENT: &str = "client";
const ACCOUNT: &str = "account";

/// Counts tries.
pub struct Limits {
    budgets: AllBudgets,
    limiter: Limiter,
    clock: Clock,
    /// Addresses are not to be read from what is kept.
    key: hmac::Key,
}

impl Limits {
    /// Derives the key for the names of budgets from a secret that all replicas have.
    #[must_use]
    pub fn new(budgets: AllBudgets, limiter: Limiter, clock: Clock, secret: &SecretString) -> Self {
        let key = derive_key(secret, "twofold-client", "names of budgets");
        Self { budgets, limiter, clock, key: hmac::Key::new(hmac::HMAC_SHA256, &key) }
    }

    /// Counts a try, unless nothing is left of the client's budget, or of that of `who`.
    ///
    /// The caller is told how the client's stands. Of the other only that it is used up: it would tell
    /// whether somebody has used the account lately, and so whether there is one.
    ///
    /// # Errors
    /// [`Code::TooManyRequests`](super::Code::TooManyRequests)
    pub async fn check(&self, origin: &Origin, action: Action, who: Who<'_>) -> Result<()> {
        let budgets = self.budgets(action);
        let name = |text: String| self.name(&format!("{action:?} {text}"));
        let client = Charge { key: name(client(origin.ip_address)), quota: budgets.client };
        let account = account(who).map(|text| Charge { key: name(text), quota: budgets.account });
        let charges: Vec<Charge> = std::iter::once(client).chain(account).collect();
        let standings = self.limiter.take(&charges, self.clock.now()).await;
        let mut refused = None;
        for ((name, charge), standing) in [CLIENT, ACCOUNT].into_iter().zip(charges).zip(standings)
        {
            if let Standing::Refused { wait } = standing {
                refused = Some(wait);
            }
            if name == CLIENT || refused.is_some() {
                origin.tally.note(Told { name, quota: charge.quota, standing });
            }
        }
        match refused {
            None => Ok(()),
            Some(wait) => {
                tracing::debug!(?action, "too many tries");
                Err(ServiceError::too_many(Duration::from_secs(whole_seconds(wait))))
            }
        }
    }

    fn budgets(&self, action: Action) -> Budgets {
        match action {
            Action::Password => self.budgets.password,
            Action::Registration => self.budgets.registration,
            Action::Recovery => self.budgets.recovery,
            Action::Code => self.budgets.code,
            Action::Refresh => self.budgets.refresh,
        }
    }

    fn name(&self, text: &str) -> Key {
        let hash = hmac::sign(&self.key, text.as_bytes());
        let mut key = Key::default();
        let length = key.len();
        key.copy_from_slice(&hash.as_ref()[..length]);
        key
    }
}

/// Of IPv6 the network: a host has as many addresses in it as it likes. All who have no address, as on a Unix
/// socket without a proxy that names its clients, are one.
fn client(ip: Option<IpAddr>) -> String {
    match ip.map(|ip| ip.to_canonical()) {
        None => "client".to_owned(),
        Some(IpAddr::V4(ip)) => format!("client {ip}"),
        Some(IpAddr::V6(ip)) => format!("client {:x}", ip.to_bits() >> 64),
    }
}

fn account(who: Who<'_>) -> Option<String> {
    Some(match who {
        Who::Nobody => return None,
        Who::Address(realm, email) => format!("address {realm:?} {email}"),
        Who::Account(id) => format!("account {id}"),
        Who::Device { account_id, device_id } => format!("device {account_id} {device_id}"),
        Who::Session(id) => format!("session {id}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c10_a_client_is_an_address_and_of_ipv6_a_network() {
        let of = |ip: &str| client(Some(ip.parse().expect("an address")));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("::1"), of("0.0.0.1"));
    }
}
