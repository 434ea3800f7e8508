//! Values that are kept for a while and may be gone at any time: in Redis, for all processes; where there
//! is none, in this process.

use std::{sync::Arc, time::Duration};

use fred::{
    interfaces::KeysInterface,
    types::{Expiration, SetOptions},
};

use super::{
    clock::Clock,
    memory::Memory,
    redis::{Kept, RedisError},
};

/// How many bytes are kept in this process.
const ROOM: usize = 16 << 20;

/// The cache. Clones share it.
#[derive(Clone)]
pub struct Cache(Place);

#[derive(Clone)]
enum Place {
    Redis(Kept),
    Process(Arc<Memory<String, Arc<[u8]>>>, Clock),
}

impl Cache {
    /// In Redis.
    #[must_use]
    pub fn in_redis(redis: Kept) -> Self {
        Self(Place::Redis(redis))
    }

    /// In the memory of this process.
    #[must_use]
    pub fn in_process(clock: Clock) -> Self {
        Self(Place::Process(Arc::new(Memory::new(ROOM, clock.clone())), clock))
    }

    /// The value that was set last, if it is still there.
    ///
    /// # Errors
    /// When Redis can't be asked, at once or within 100 ms, as for all of these.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, RedisError> {
        match &self.0 {
            Place::Redis(redis) => {
                let key = redis.server().key(key);
                redis.call(async |client| client.get(key).await).await
            }
            Place::Process(memory, _) => {
                Ok(memory.get(&key.to_owned()).map(|value| value.to_vec()))
            }
        }
    }

    /// Keeps a value for so long, in place of what was there.
    ///
    /// # Errors
    /// When Redis doesn't say that it has it. It may take it later all the same.
    pub async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<(), RedisError> {
        match &self.0 {
            Place::Redis(redis) => {
                let (key, millis) = (redis.server().key(key), life.as_millis());
                let life = Expiration::PX(millis.try_into().unwrap_or(i64::MAX));
                let set = async |client: fred::clients::Client| {
                    client.set(key, value, Some(life), None, false).await
                };
                redis.call(set).await
            }
            Place::Process(memory, clock) => {
                let weight = key.len() + value.len();
                memory.set(key.to_owned(), value.into(), weight, clock.moment() + life);
                Ok(())
            }
        }
    }

    /// Claims something among all processes for so long; whether nobody else has.
    ///
    /// # Errors
    /// When Redis doesn't say so.
    pub async fn claim(&self, key: &str, life: Duration) -> Result<bool, RedisError> {
        match &self.0 {
            Place::Redis(redis) => {
                let (key, millis) = (redis.server().key(key), life.as_millis());
                let life = Expiration::PX(millis.try_into().unwrap_or(i64::MAX));
                let set = async |client: fred::clients::Client| {
                    client
                        .set::<Option<String>, _, _>(
                            key,
                            "",
                            Some(life),
                            Some(SetOptions::NX),
                            false,
                        )
                        .await
                };
                Ok(redis.call(set).await?.is_some())
            }
            // There is no other that would know.
            Place::Process(..) => Ok(true),
        }
    }

    /// Removes a value.
    ///
    /// # Errors
    /// When Redis doesn't say that it has done so.
    pub async fn delete(&self, key: &str) -> Result<(), RedisError> {
        match &self.0 {
            Place::Redis(redis) => {
                let key = redis.server().key(key);
                redis.call(async |client| client.del(key).await).await
            }
            Place::Process(memory, _) => {
                memory.remove(&key.to_owned());
                Ok(())
            }
        }
    }
}
