//! The budgets that this process has seen.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{Charge, Key};

/// How many budgets are kept that are not whole; about 10 MB.
const MOST: usize = 200_000;

/// By name, when it will be whole again, in microseconds since 1970. One that isn't here is whole.
#[derive(Default)]
pub(super) struct Local(Mutex<HashMap<Key, i64>>);

impl Local {
    /// As [`super::Limiter::take`]; the numbers are those of [`super::Standing::of`].
    pub(super) fn take(&self, charges: &[Charge], now: i64) -> Vec<i64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spent = Vec::with_capacity(charges.len());
        for charge in charges {
            let (interval, window) = (charge.quota.interval(), charge.quota.window());
            let whole_at = all.get(&charge.key).copied().unwrap_or(now);
            // Further ahead than the window it was put by another setting.
            let next = whole_at.clamp(now, now.saturating_add(window)).saturating_add(interval);
            let excess = next - now - window;
            if excess > 0 {
                spent.push(-excess);
                break;
            }
            if all.len() >= MOST && !all.contains_key(&charge.key) {
                make_room(&mut all, now);
            }
            all.insert(charge.key, next);
            spent.push(next - now);
        }
        spent
    }
}

/// Forgets budgets that are whole, and if those are few also the eighth that would be whole first: a flood of
/// budgets must neither fill the memory nor open any that is used up.
fn make_room(all: &mut HashMap<Key, i64>, now: i64) {
    all.retain(|_, whole_at| *whole_at > now);
    if all.len() <= MOST - MOST / 8 {
        return;
    }
    let mut times: Vec<i64> = all.values().copied().collect();
    let (_, last, _) = times.select_nth_unstable(MOST / 8);
    let last = *last;
    all.retain(|_, whole_at| *whole_at > last);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::Quota, *};

    fn charge(name: u32, tries: u32) -> Charge {
        let mut key = Key::default();
        key[..4].copy_from_slice(&name.to_le_bytes());
        Charge { key, quota: Quota { tries, period: Duration::from_mins(1) } }
    }

    #[test]
    fn c10_the_memory_is_bounded_and_what_is_used_up_stays_so() {
        let local = Local::default();
        let victim = charge(0, 10);
        for _ in 0..10 {
            assert!(local.take(&[victim], 0)[0] > 0);
        }
        for name in 1..=u32::try_from(MOST * 2).expect("few") {
            assert!(local.take(&[charge(name, 10)], 0)[0] > 0);
        }
        assert!(local.0.lock().expect("sound").len() <= MOST);
        assert!(local.take(&[victim], 0)[0] < 0);
        // Those that are whole go first.
        local.take(&[victim], 120_000_000);
        for name in 1..=u32::try_from(MOST).expect("few") {
            local.take(&[charge(name, 10)], 120_000_000);
        }
        assert!(local.0.lock().expect("sound").len() <= MOST);
    }

    #[test]
    fn c10_a_budget_of_another_setting_keeps_nobody_out_for_longer() {
        let local = Local::default();
        let mut slow = charge(0, 1);
        slow.quota.period = Duration::from_hours(24);
        assert!(local.take(&[slow], 0)[0] > 0);
        assert_eq!(local.take(&[charge(0, 1)], 0), [-60_000_000]);
        assert!(local.take(&[charge(0, 1)], 60_000_001)[0] < 0, "the stored time still counts");
    }
}
