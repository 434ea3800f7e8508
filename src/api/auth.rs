//! The extractors that prove who is asking. Holding one is the proof, so it is the first
//! argument of a handler: arguments are evaluated in order.

use std::{net::IpAddr, ops::Deref, sync::Arc};

use poem::{FromRequest, Request, RequestBody, Result, http::header};
use poem_openapi::{SecurityScheme, auth::Bearer};
use uuid::Uuid;

use super::{
    error::ApiError,
    middleware::{edge::RequestId, idempotency::Exchange},
};
use crate::{
    db::{Actor, Origin, UnitOfWork, admins::Admin, users::User},
    services::{Core, ServiceError, accounts, staff},
};

/// A signed-in user of the client API.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "UserToken", bearer_format = "JWT", checker = "check_user")]
pub struct ClientAuth(Caller<User>);

/// A signed-in member of the staff.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "StaffToken", bearer_format = "JWT", checker = "check_admin")]
pub struct StaffAuth(Caller<Admin>);

/// Who asks, in which session, and where the request comes from.
pub struct Caller<T> {
    pub account: T,
    pub session_id: Uuid,
    pub origin: Origin,
}

macro_rules! gives_its_caller {
    ($auth:ident, $account:ident) => {
        impl Deref for $auth {
            type Target = Caller<$account>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl $auth {
            /// Gives the account away.
            #[must_use]
            pub fn into_account(self) -> $account {
                self.0.account
            }
        }
    };
}
gives_its_caller!(ClientAuth, User);
gives_its_caller!(StaffAuth, Admin);

async fn check_user(request: &Request, bearer: Bearer) -> Result<Caller<User>> {
    let (account, session_id) =
        accounts::authenticate(core(request)?, &bearer.token).await.map_err(ApiError)?;
    let origin = origin(request, Actor::User(account.id));
    Ok(Caller { account, session_id, origin })
}

async fn check_admin(request: &Request, bearer: Bearer) -> Result<Caller<Admin>> {
    let (account, session_id) =
        staff::authenticate(core(request)?, &bearer.token).await.map_err(ApiError)?;
    let origin = origin(request, Actor::Admin(account.id));
    Ok(Caller { account, session_id, origin })
}

pub(super) fn core(request: &Request) -> Result<&Arc<Core>, ApiError> {
    let missing = || ServiceError::internal("the services are not mounted");
    Ok(request.data::<Arc<Core>>().ok_or_else(missing)?)
}

/// Where an anonymous request comes from.
impl<'a> FromRequest<'a> for Origin {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(origin(request, Actor::Anonymous))
    }
}

pub(super) fn origin(request: &Request, actor: Actor) -> Origin {
    let unit = |exchange: &Exchange| exchange.unit_of(actor);
    Origin {
        actor,
        request_id: request.data::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
        ip_address: ip_address(request),
        user_agent: request.header(header::USER_AGENT).map(str::to_owned),
        unit: request.data::<Exchange>().map_or_else(UnitOfWork::default, unit),
    }
}

fn ip_address(request: &Request) -> Option<IpAddr> {
    request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip)
}
