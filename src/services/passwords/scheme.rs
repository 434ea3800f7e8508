//! How a password is hashed: Argon2id (RFC 9106) with the parameters of the settings, and with a pepper
//! where there is one. The stored text (PHC) says how it was made, its pepper by an identifier.

use argon2::{
    Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::SecretString;

use super::super::{Result, ServiceError, tokens::derive_key};

/// The costs of one hash.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// What is hashed with each password, and is not in the database.
struct Pepper {
    id: KeyId,
    key: [u8; 32],
}

impl Pepper {
    /// So that two peppers have the same identifier by chance alone, in bytes.
    const ID_LENGTH: usize = 6;

    fn new(secret: &SecretString) -> Result<Self> {
        let derive = |kind| derive_key(secret, "twofold", kind);
        let id = &derive("the name of a pepper")[..Self::ID_LENGTH];
        Ok(Self { id: KeyId::new(id).map_err(fault)?, key: derive("pepper") })
    }
}

/// How passwords are hashed now, and how they may have been before.
pub struct Scheme {
    params: Params,
    /// Of new hashes.
    pepper: Option<Pepper>,
    /// Of hashes from before it was replaced.
    previous: Option<Pepper>,
}

impl Scheme {
    /// Both peppers are optional; `previous` is for hashes from before the other one was set.
    ///
    /// # Errors
    /// When Argon2 does not take these costs.
    pub fn new(
        costs: Costs,
        pepper: Option<&SecretString>,
        previous: Option<&SecretString>,
    ) -> Result<Self> {
        let pepper = pepper.map(Pepper::new).transpose()?;
        let previous = previous.map(Pepper::new).transpose()?;
        let mut params = ParamsBuilder::new();
        params.m_cost(costs.memory_kib).t_cost(costs.iterations).p_cost(costs.parallelism);
        if let Some(pepper) = &pepper {
            params.keyid(pepper.id);
        }
        Ok(Self { params: params.build().map_err(fault)?, pepper, previous })
    }

    fn argon2<'a>(&self, pepper: Option<&'a Pepper>) -> Result<Argon2<'a>> {
        let (algorithm, version, params) =
            (Algorithm::Argon2id, Version::V0x13, self.params.clone());
        match pepper {
            Some(pepper) => {
                Argon2::new_with_secret(&pepper.key, algorithm, version, params).map_err(fault)
            }
            None => Ok(Argon2::new(algorithm, version, params)),
        }
    }

    /// A salted hash in PHC format.
    pub(super) fn hash(&self, password: &[u8]) -> Result<String> {
        let hash = self.argon2(self.pepper.as_ref())?.hash_password(password).map_err(fault)?;
        Ok(hash.to_string())
    }

    /// Whether the password belongs to the stored hash.
    ///
    /// # Errors
    /// When it is no such hash, or its pepper is not among the settings.
    pub(super) fn verify(&self, password: &[u8], stored: &str) -> Result<bool> {
        let hash = PasswordHash::new(stored).map_err(fault)?;
        let params = Params::try_from(&hash).map_err(fault)?;
        let pepper = match params.keyid() {
            [] => None,
            id => {
                let mut known = self.pepper.iter().chain(&self.previous);
                let missing = "a password was hashed with a pepper that is not in the settings: see \
                               passwords.previous_pepper";
                let found = known.find(|pepper| pepper.id.as_bytes() == id);
                Some(found.ok_or_else(|| ServiceError::internal(missing))?)
            }
        };
        Ok(self.argon2(pepper)?.verify_password(password, &hash).is_ok())
    }

    /// Whether a stored hash is as strong as a new one would be, and with the same pepper.
    pub(super) fn is_current(&self, stored: &str) -> Result<bool> {
        let hash = PasswordHash::new(stored).map_err(fault)?;
        let params = Params::try_from(&hash).map_err(fault)?;
        let of = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        Ok(hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(Version::V0x13.into())
            && of(&params) == of(&self.params)
            && params.keyid() == self.params.keyid())
    }
}

fn fault(error: impl std::fmt::Display) -> ServiceError {
    ServiceError::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs { memory_kib: 8, iterations: 1, parallelism: 1 };

    fn scheme(costs: Costs, pepper: Option<&str>, previous: Option<&str>) -> Scheme {
        let secret = |text: &str| SecretString::from(text.repeat(8));
        let (pepper, previous) = (pepper.map(secret), previous.map(secret));
        Scheme::new(costs, pepper.as_ref(), previous.as_ref()).expect("parameters")
    }

    #[test]
    fn c07_a_hash_says_how_it_was_made() {
        let plain = scheme(COSTS, None, None).hash(b"x").expect("hashed");
        assert!(plain.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{plain}");
        let peppered = scheme(COSTS, Some("one"), None).hash(b"x").expect("hashed");
        assert!(peppered.starts_with("$argon2id$v=19$m=8,t=1,p=1,keyid="), "{peppered}");
    }

    #[test]
    fn c07_a_hash_is_current_only_with_the_same_costs_and_pepper() {
        let present = scheme(COSTS, Some("one"), None);
        let others = [
            scheme(Costs { memory_kib: 16, ..COSTS }, Some("one"), None),
            scheme(Costs { iterations: 2, ..COSTS }, Some("one"), None),
            scheme(Costs { memory_kib: 16, parallelism: 2, ..COSTS }, Some("one"), None),
            scheme(COSTS, Some("two"), None),
            scheme(COSTS, None, None),
        ];
        let hash = present.hash(b"x").expect("hashed");
        assert!(present.is_current(&hash).expect("read"));
        for other in others {
            assert!(!other.is_current(&hash).expect("read"));
            assert!(!present.is_current(&other.hash(b"x").expect("hashed")).expect("read"));
        }
    }

    #[test]
    fn c07_a_pepper_is_needed_and_the_one_before_it_still_counts() {
        let [none, one] = [None, Some("one")].map(|pepper| scheme(COSTS, pepper, None));
        let (bare, old) = (none.hash(b"x").expect("hashed"), one.hash(b"x").expect("hashed"));
        assert!(one.verify(b"x", &bare).expect("from before there was one"));
        none.verify(b"x", &old).expect_err("without its pepper");
        scheme(COSTS, Some("two"), None).verify(b"x", &old).expect_err("another");
        for present in [Some("two"), None] {
            let after = scheme(COSTS, present, Some("one"));
            assert!(after.verify(b"x", &old).expect("the one before"));
            assert!(!after.verify(b"y", &old).expect("the one before"));
            assert!(!after.is_current(&old).expect("read"));
        }
        // An identifier is no pepper: the hash is another one without the key.
        let stolen = old.replace(&old[old.find(",keyid=").expect("named")..], "");
        let rest = old.rsplit_once('$').map(|(front, _)| front.rsplit_once('$').expect("salt").1);
        let bare =
            format!("{stolen}${}${}", rest.expect("salt"), old.rsplit_once('$').expect("hash").1);
        assert!(!one.verify(b"x", &bare).expect("read"));
    }
}
