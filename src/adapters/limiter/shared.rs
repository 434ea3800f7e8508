//! The budgets of all processes, in Redis.

use fred::types::Value;

use super::Charge;
use crate::adapters::{
    random::hex,
    redis::{Kept, RedisError, Script},
};

/// [`super::local::Local::take`] as one step of Redis. Lua's numbers hold these times exactly, but it would write
/// them with 14 digits.
const TAKE: &str = r"
local now = tonumber(ARGV[1])
local spent = {}
for i, key in ipairs(KEYS) do
    local interval, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    local whole_at = tonumber(redis.call('GET', key) or now) or now
    local next = math.min(math.max(whole_at, now), now + window) + interval
    local excess = next - now - window
    if excess > 0 then
        spent[i] = -excess
        break
    end
    redis.call('SET', key, string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
    spent[i] = next - now
end
return spent
";

/// Each key is there as long as its budget isn't whole.
pub(super) struct Shared {
    redis: Kept,
    script: Script,
}

impl Shared {
    pub(super) fn new(redis: Kept) -> Self {
        Self { redis, script: Script::new(TAKE) }
    }

    /// As [`super::local::Local::take`].
    ///
    /// # Errors
    /// When Redis is of no use now.
    pub(super) async fn take(&self, charges: &[Charge], now: i64) -> Result<Vec<i64>, RedisError> {
        let name =
            |charge: &Charge| self.redis.server().key(&format!("limit:{}", hex(&charge.key)));
        let keys = charges.iter().map(name).collect();
        let numbers =
            charges.iter().flat_map(|charge| [charge.quota.interval(), charge.quota.window()]);
        let arguments = std::iter::once(now).chain(numbers).map(Value::from).collect();
        self.redis.run(&self.script, keys, arguments).await
    }
}
