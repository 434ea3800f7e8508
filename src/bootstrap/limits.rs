//! How often credentials may be tried, and whom proxies speak for.

use std::time::Duration;

use crate::{
    adapters::limiter::Quota,
    api::client_address::{ForwardedBy, Proxies},
    config::{self, ForwardedHeader},
    services::limits::{AllBudgets, Budgets},
};

pub(super) fn budgets(settings: &config::Limits) -> AllBudgets {
    let budgets = |tries: config::Tries| {
        let period = Duration::from_secs(tries.period_seconds.into());
        Budgets {
            client: Quota { tries: tries.per_client, period },
            account: Quota { tries: tries.per_account, period },
        }
    };
    AllBudgets {
        password: budgets(settings.password),
        registration: budgets(settings.registration),
        recovery: budgets(settings.recovery),
        code: budgets(settings.code),
        refresh: budgets(settings.refresh),
    }
}

pub(super) fn proxies(settings: &config::Server) -> Proxies {
    let header = match settings.forwarded_header {
        ForwardedHeader::XForwardedFor => ForwardedBy::XForwardedFor,
        ForwardedHeader::Forwarded => ForwardedBy::Forwarded,
    };
    Proxies::new(settings.trusted_proxies.clone(), header)
}
