//! The extractors that prove who is asking. Holding one is the proof, so it is the first
//! argument of a handler: arguments are evaluated in order.

use std::{marker::PhantomData, ops::Deref, sync::Arc};

use poem::{
    FromRequest, PathPattern, Request, RequestBody, Result,
    http::{Method, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme, auth::Bearer,
    registry::Registry,
};
use uuid::Uuid;

use super::{
    client_address::Proxies,
    document::{Document, STEP_UP},
    error::ApiError,
    middleware::{edge::RequestId, idempotency::Exchange},
    validation,
};
use crate::{
    adapters::limiter::Tally,
    db::{Actor, Origin, UnitOfWork, admins::Admin, users::User},
    services::{
        Code, Core, ServiceError, accounts, impersonation,
        permissions::{Need, OwnAccount, Permission, Permissions},
        sessions::Authenticated,
        staff,
    },
};

/// A signed-in user of the client API, or staff who act as one as far as `A` lets them.
pub struct ClientAuth<A = Reading>(Caller, PhantomData<A>);

/// A signed-in user who has proved lately who it is: see [`RECENT`](crate::services::sessions::RECENT).
pub struct RecentClientAuth(Caller);

/// Anybody: a signed-in user where there is a token, which must be valid then.
pub struct Reader {
    /// Of who is signed in.
    pub account_id: Option<Uuid>,
}

/// A signed-in member of the staff who has the permission `P`; without one, for one's own account.
pub struct StaffAuth<P = OwnAccount>(Caller, PhantomData<P>);

/// The same of one who has proved lately who it is.
pub struct RecentStaffAuth<P = OwnAccount>(Caller, PhantomData<P>);

/// A signed-in member of the staff.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "StaffToken", bearer_format = "JWT")]
struct StaffToken(Bearer);

/// A signed-in user of the client API.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "UserToken", bearer_format = "JWT")]
struct UserToken(Bearer);

/// What of an operation is open to staff who act as a user (security condition 18).
pub trait Acting: Send + Sync + 'static {
    /// Whether they may do it. `may_write`: whether the setting lets them change things.
    fn may(method: &Method, may_write: bool) -> bool;
}

/// It is open where nothing is changed by it, or the setting allows it.
pub struct Reading;

/// It is the user's alone: how they sign in, and whether they stay.
pub struct Never;

/// It is open, whatever it changes: to end the session.
pub struct Always;

impl Acting for Reading {
    fn may(method: &Method, may_write: bool) -> bool {
        may_write || method.is_safe()
    }
}

impl Acting for Never {
    fn may(_: &Method, _: bool) -> bool {
        false
    }
}

impl Acting for Always {
    fn may(_: &Method, _: bool) -> bool {
        true
    }
}

/// Who asks, in which session, and where the request comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    pub account_id: Uuid,
    pub session_id: Uuid,
    /// Of staff.
    pub permissions: Permissions,
    pub origin: Origin,
}

/// Makes a guard: the token's scheme, what else is asked, and the account behind it.
macro_rules! guard {
    ($auth:ident$(<$need:ident: $bound:ident>)?, $token:ident, $needs:expr, $check:expr, $accounts:ident, $account:ident) => {
        impl<'a $(, $need: $bound)?> ApiExtractor<'a> for $auth$(<$need>)? {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                $token::register(registry);
            }

            /// The scheme, and what documents are to say beside it (`document/operations.rs`).
            fn security_schemes() -> Vec<&'static str> {
                let needs: &[Option<&'static str>] = &$needs;
                $token::security_schemes().into_iter().chain(needs.iter().copied().flatten()).collect()
            }

            async fn from_request(
                request: &'a Request,
                body: &mut RequestBody,
                options: ExtractParamOptions<()>,
            ) -> Result<Self> {
                let token = <$token as ApiExtractor>::from_request(request, body, options).await?.0.token;
                let caller = $check(request, &token).await?;
                Ok(guard!(@made $auth$(<$need>)?, caller))
            }
        }

        impl$(<$need: $bound>)? Deref for $auth$(<$need>)? {
            type Target = Caller;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl$(<$need: $bound>)? $auth$(<$need>)? {
            /// Reads the account: one statement.
            ///
            /// # Errors
            /// As its service has it.
            pub async fn account(&self, core: &Core) -> Result<$account, ApiError> {
                Ok($accounts::current(core, self.0.account_id).await?)
            }
        }
    };
    (@made $auth:ident, $caller:ident) => { $auth($caller) };
    (@made $auth:ident<$need:ident>, $caller:ident) => { $auth($caller, PhantomData) };
}
guard!(ClientAuth<A: Acting>, UserToken, [], check_user::<A, false>, accounts, User);
guard!(RecentClientAuth, UserToken, [Some(STEP_UP)], check_user::<Never, true>, accounts, User);
guard!(StaffAuth<P: Need>, StaffToken, [text::<P>()], check_staff::<P, false>, staff, Admin);
guard!(
    RecentStaffAuth<P: Need>,
    StaffToken,
    [text::<P>(), Some(STEP_UP)],
    check_staff::<P, true>,
    staff,
    Admin
);

impl<'a> ApiExtractor<'a> for Reader {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        UserToken::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        UserToken::security_schemes()
    }

    fn has_security_fallback() -> bool {
        true
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        if !request.headers().contains_key(header::AUTHORIZATION) {
            origin(request, Actor::Anonymous)?;
            return Ok(Self { account_id: None });
        }
        let user = <ClientAuth as ApiExtractor>::from_request(request, body, options).await?;
        Ok(Self { account_id: Some(user.account_id) })
    }
}

fn text<P: Need>() -> Option<&'static str> {
    P::PERMISSION.map(Permission::text)
}

async fn check_user<A: Acting, const RECENT: bool>(
    request: &Request,
    token: &str,
) -> Result<Caller, ApiError> {
    let core = core(request)?;
    let who = core.client_sessions.authenticate(core, token).await?;
    if let Some(act) = who.claims.act {
        impersonation::check(core, act).await?;
        if !A::may(request.method(), core.impersonation.may_write) {
            return Err(Code::ImpersonationForbidden.into());
        }
    }
    if RECENT {
        core.client_sessions.require_recent(core, &who).await?;
    }
    caller(request, &who, Actor::User(who.claims.sub))
}

/// Whom the cookie of pages has let in (`pages/staff.rs`); in the data of requests.
#[derive(Clone)]
pub(super) struct Visitor(pub Arc<Authenticated>);

async fn check_staff<P: Need, const RECENT: bool>(
    request: &Request,
    token: &str,
) -> Result<Caller, ApiError> {
    let core = core(request)?;
    let who = match request.data() {
        Some(Visitor(visitor)) => visitor.clone(),
        None => Arc::new(core.staff_sessions.authenticate(core, token).await?),
    };
    if core.staff_factor_required && !who.session.has_second_factor && !P::BEFORE_FACTOR {
        return Err(Code::SecondFactorSetupRequired.into());
    }
    if let Some(permission) = P::PERMISSION {
        who.session.permissions.require(permission)?;
    }
    if RECENT {
        core.staff_sessions.require_recent(core, &who).await?;
    }
    caller(request, &who, Actor::Admin(who.claims.sub))
}

fn caller(request: &Request, who: &Authenticated, actor: Actor) -> Result<Caller, ApiError> {
    let (account_id, session_id) = (who.claims.sub, who.claims.sid);
    let impersonator_id = who.claims.act.map(|act| act.sub);
    let origin =
        Origin { session_id: Some(session_id), impersonator_id, ..origin(request, actor)? };
    Ok(Caller { account_id, session_id, permissions: who.session.permissions, origin })
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
