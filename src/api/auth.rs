//! The extractors that prove who is asking. Holding one is the proof, so it is the first
//! argument of a handler: arguments are evaluated in order.

use std::{ops::Deref, sync::Arc};

use poem::{FromRequest, PathPattern, Request, RequestBody, Result, http::header};
use poem_openapi::{SecurityScheme, auth::Bearer};
use uuid::Uuid;

use super::{
    client_address::Proxies,
    document::Document,
    error::ApiError,
    middleware::{edge::RequestId, idempotency::Exchange},
    validation,
};
use crate::{
    adapters::limiter::Tally,
    db::{Actor, Origin, UnitOfWork, admins::Admin, users::User},
    services::{Core, ServiceError, accounts, staff, tokens::Claims},
};

/// A signed-in user of the client API.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "UserToken", bearer_format = "JWT", checker = "check_user")]
pub struct ClientAuth(Caller);

/// A signed-in user who has proved lately who it is: see [`RECENT`](crate::services::sessions::RECENT).
/// Documents say so by `x-step-up` (`document/operations.rs`).
#[derive(SecurityScheme)]
#[oai(
    ty = "bearer",
    rename = "RecentUserToken",
    bearer_format = "JWT",
    checker = "check_recent_user"
)]
pub struct RecentClientAuth(Caller);

/// A signed-in member of the staff.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "StaffToken", bearer_format = "JWT", checker = "check_admin")]
pub struct StaffAuth(Caller);

/// Who asks, in which session, and where the request comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    pub account_id: Uuid,
    pub session_id: Uuid,
    pub origin: Origin,
}

macro_rules! gives_its_caller {
    ($auth:ident, $accounts:ident, $account:ident) => {
        impl Deref for $auth {
            type Target = Caller;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl $auth {
            /// Reads the account: one statement.
            ///
            /// # Errors
            /// As its service has it.
            pub async fn account(&self, core: &Core) -> Result<$account, ApiError> {
                Ok($accounts::current(core, self.0.account_id).await?)
            }
        }
    };
}
gives_its_caller!(ClientAuth, accounts, User);
gives_its_caller!(RecentClientAuth, accounts, User);
gives_its_caller!(StaffAuth, staff, Admin);

async fn check_user(request: &Request, bearer: Bearer) -> Result<Caller> {
    let core = core(request)?;
    let claims = core.client_sessions.authenticate(core, &bearer.token).await.map_err(ApiError)?;
    Ok(caller(request, &claims, Actor::User(claims.sub))?)
}

async fn check_recent_user(request: &Request, bearer: Bearer) -> Result<Caller> {
    let core = core(request)?;
    let claims = core.client_sessions.authenticate_recent(core, &bearer.token).await;
    let claims = claims.map_err(ApiError)?;
    Ok(caller(request, &claims, Actor::User(claims.sub))?)
}

fn caller(request: &Request, claims: &Claims, actor: Actor) -> Result<Caller, ApiError> {
    let origin = Origin { session_id: Some(claims.sid), ..origin(request, actor)? };
    Ok(Caller { account_id: claims.sub, session_id: claims.sid, origin })
}

/// Whom the cookie of pages has let in (`pages/staff.rs`); in the data of requests.
#[derive(Clone)]
pub(super) struct Visitor(pub Arc<Caller>);

async fn check_admin(request: &Request, bearer: Bearer) -> Result<Caller> {
    if let Some(Visitor(visitor)) = request.data() {
        let origin = origin(request, visitor.origin.actor)?;
        let origin = Origin { session_id: Some(visitor.session_id), ..origin };
        return Ok(Caller { origin, ..*visitor.clone() });
    }
    let core = core(request)?;
    let claims = core.staff_sessions.authenticate(core, &bearer.token).await.map_err(ApiError)?;
    Ok(caller(request, &claims, Actor::Admin(claims.sub))?)
}

pub(super) fn core(request: &Request) -> Result<&Arc<Core>, ApiError> {
    let missing = || ServiceError::internal("the services are not mounted");
    Ok(request.data::<Arc<Core>>().ok_or_else(missing)?)
}

/// Where an anonymous request comes from. Operations without a guard take it as their first
/// argument, because it checks the query.
impl<'a> FromRequest<'a> for Origin {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(origin(request, Actor::Anonymous)?)
    }
}

/// Where a request of a known caller comes from. Its query is checked here, where it is known who
/// asks and before anything else is done.
pub(super) fn origin(request: &Request, actor: Actor) -> Result<Origin, ApiError> {
    check_query(request)?;
    let unit = |exchange: &Exchange| exchange.unit_of(actor);
    Ok(Origin {
        actor,
        session_id: None,
        impersonator_id: None,
        request_id: request.data::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
        ip_address: request.data::<Proxies>().and_then(|proxies| proxies.client(request)),
        user_agent: request.header(header::USER_AGENT).map(str::to_owned),
        unit: request.data::<Exchange>().map_or_else(UnitOfWork::default, unit),
        tally: request.data::<Tally>().cloned().unwrap_or_default(),
    })
}

/// Refuses what the document doesn't know in a query.
fn check_query(request: &Request) -> Result<(), ApiError> {
    let (Some(document), Some(pattern)) =
        (request.data::<Arc<Document>>(), request.data::<PathPattern>())
    else {
        return Ok(());
    };
    let Some(operation) = document.operation(request.method(), &pattern.0) else { return Ok(()) };
    let query = request.uri().query().unwrap_or_default();
    let faults = validation::check_query(document, operation, query);
    if faults.is_empty() { Ok(()) } else { Err(ApiError(ServiceError::invalid(faults))) }
}
