//! Sign-in of the staff, and one's own account.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    ApiResponse as OpenApiResponse, Object, OpenApi,
    payload::Json,
    types::{Email as EmailText, Example},
};
use uuid::Uuid;

use super::{Tag, roles::RoleName};
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, Done, NoContent},
        error::ApiError,
        types::{Email, NewPassword, PermissionName, SecretText},
    },
    db::{Origin, admins::Member},
    services::{
        Core,
        permissions::{Permission, Permissions, SecondFactorSetup},
        sessions,
        sign_in::{Challenge, Outcome, SignedIn},
        staff, staff_sign_in,
    },
};

/// Address and password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct StaffLoginRequest {
    /// The address of the account.
    pub email: Email,
    /// The password.
    pub password: SecretText,
    /// As the last sign-in from this device gave it.
    pub device_token: Option<SecretText>,
}

/// A refresh token.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct StaffRefreshRequest {
    /// As the last sign-in or refresh gave it.
    pub refresh_token: SecretText,
}

/// The old and the new password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangeStaffPasswordRequest {
    /// The password in use.
    pub current_password: SecretText,
    /// The new password: at least 12 characters of any kind, unless the settings say otherwise; none that many
    /// others have, and not made of the name or the address.
    pub new_password: NewPassword,
}

/// The tokens of a session.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffTokenPair {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// Exchange it for new tokens at `/auth/refresh`; each works once.
    pub refresh_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// The life of the access token in seconds.
    pub expires_in: i64,
    /// The life of the refresh token in seconds.
    pub refresh_expires_in: i64,
    /// Of a sign-in: keep it on this device, and send it with the next one.
    #[oai(skip_serializing_if_is_none)]
    pub device_token: Option<String>,
}

/// How far a right password leads.
#[derive(OpenApiResponse)]
pub enum StaffLoginResponse {
    /// Signed in.
    #[oai(status = 200)]
    SignedIn(Json<ApiResponse<StaffTokenPair>>),
    /// The second factor comes next: send a code of it, with the challenge, to `/auth/login/mfa`.
    #[oai(status = 202)]
    Challenged(Json<StaffChallengedResponse>),
}

/// The password is right, and the account has a second factor.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffChallengedResponse {
    /// 202: accepted, and not yet signed in.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
    /// What to go on with.
    pub data: StaffLoginChallenge,
}

/// A sign-in that waits for the second factor.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffLoginChallenge {
    /// Opens `/auth/login/mfa` and nothing else.
    pub challenge_token: String,
    /// Its life in seconds.
    pub expires_in: i64,
}

impl StaffChallengedResponse {
    fn of(data: StaffLoginChallenge) -> Self {
        Self { code: 202, message: "Enter a code of your second factor.".to_owned(), data }
    }
}

impl From<Outcome> for StaffLoginResponse {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::SignedIn(signed_in) => Self::SignedIn(ApiResponse::success(signed_in.into())),
            Outcome::Challenged(Challenge { token, expires_in }) => {
                let data = StaffLoginChallenge { challenge_token: token, expires_in };
                Self::Challenged(Json(StaffChallengedResponse::of(data)))
            }
        }
    }
}

impl From<SignedIn> for StaffTokenPair {
    fn from(signed_in: SignedIn) -> Self {
        Self { device_token: Some(signed_in.device_token), ..signed_in.tokens.into() }
    }
}

impl From<sessions::TokenPair> for StaffTokenPair {
    fn from(pair: sessions::TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            token_type: "Bearer".to_owned(),
            expires_in: pair.expires_in,
            refresh_expires_in: pair.refresh_expires_in,
            device_token: None,
        }
    }
}

/// The signed-in member of the staff.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CurrentAdmin {
    /// The account's identifier.
    pub id: Uuid,
    /// The address, which is also the name to sign in with.
    pub email: EmailText,
    /// The person's name.
    pub name: String,
    /// Whether everything is allowed.
    pub is_super_admin: bool,
    /// The person's roles.
    pub roles: Vec<RoleName>,
    /// What the person may do: show this and nothing else.
    pub permissions: Vec<PermissionName>,
    /// When the person last signed in.
    #[oai(skip_serializing_if_is_none)]
    pub last_login_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

impl CurrentAdmin {
    fn new(Member { admin, roles }: Member, permissions: Permissions) -> Self {
        Self {
            id: admin.id,
            email: EmailText(admin.email),
            name: admin.name,
            is_super_admin: permissions == Permissions::EVERYTHING,
            roles: roles.0.into_iter().map(Into::into).collect(),
            permissions: permissions.list().into_iter().map(PermissionName).collect(),
            last_login_at: admin.last_login_at,
            created_at: admin.created_at,
        }
    }
}

/// Operations that make a member of the staff known.
pub struct AuthApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Sign in
    ///
    /// Starts a session, or answers 202 where there is a second factor. A wrong password and an unknown address answer
    /// the same. Where a second factor is a must and there is none yet, the session opens nothing but its setting up.
    #[oai(path = "/login", method = "post", operation_id = "login_admin")]
    async fn login(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<StaffLoginRequest>,
    ) -> Result<StaffLoginResponse, ApiError> {
        let StaffLoginRequest { email, password, device_token } = body.0;
        let device_token = device_token.map(|token| token.0);
        let (email, password) = (&email.0, &password.0);
        let outcome =
            staff_sign_in::login(core.0, &origin, email, password, device_token.as_ref()).await?;
        Ok(outcome.into())
    }

    /// Exchange a refresh token
    ///
    /// Gives new tokens; the old refresh token is used up. Using it again later ends the session.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh_admin_session")]
    async fn refresh(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<StaffRefreshRequest>,
    ) -> Answer<StaffTokenPair> {
        let token = body.0.refresh_token;
        let pair = core.staff_sessions.refresh(core.0, &origin, token.expose()).await?;
        Ok(ApiResponse::success(pair.into()))
    }

    /// Sign out
    ///
    /// Ends the session of the token.
    #[oai(path = "/logout", method = "post", operation_id = "logout_admin")]
    async fn logout(
        &self,
        auth: StaffAuth<SecondFactorSetup>,
        core: Data<&Arc<Core>>,
    ) -> Result<NoContent, ApiError> {
        core.staff_sessions.end(core.0, &auth.origin, auth.session_id).await?;
        Ok(NoContent::Done)
    }

    /// Read one's own account
    ///
    /// The account of the token.
    #[oai(path = "/me", method = "get", operation_id = "get_current_admin")]
    async fn me(&self, auth: StaffAuth, core: Data<&Arc<Core>>) -> Answer<CurrentAdmin> {
        let member = staff::current_member(core.0, auth.account_id).await?;
        Ok(ApiResponse::success(CurrentAdmin::new(member, auth.permissions)))
    }

    /// Change one's own password
    ///
    /// Ends one's other sessions.
    #[oai(path = "/change-password", method = "post", operation_id = "change_admin_password")]
    async fn change_password(
        &self,
        auth: StaffAuth,
        core: Data<&Arc<Core>>,
        body: Body<ChangeStaffPasswordRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let ChangeStaffPasswordRequest { current_password, new_password } = body.0;
        let (current, new) = (&current_password.0, &new_password.0);
        let (admin, session_id) = (auth.account(core.0).await?, auth.session_id);
        staff::change_password(core.0, &auth.origin, &admin, session_id, current, new).await?;
        Ok(Done::with("The password is changed."))
    }
}

impl Example for StaffLoginRequest {
    fn example() -> Self {
        Self {
            email: Email::example(),
            password: SecretText("correct horse battery".into()),
            device_token: Some(SecretText("eyJ0eXAiOiJkZXZpY2Urand0In0.e30.c2ln".into())),
        }
    }
}

impl Example for StaffRefreshRequest {
    fn example() -> Self {
        Self { refresh_token: SecretText("eyJ0eXAiOiJyZWZyZXNoK2p3dCJ9.e30.c2ln".into()) }
    }
}

impl Example for ChangeStaffPasswordRequest {
    fn example() -> Self {
        Self {
            current_password: SecretText("correct horse battery".into()),
            new_password: NewPassword("staple battery horse".into()),
        }
    }
}

impl Example for StaffTokenPair {
    fn example() -> Self {
        Self {
            access_token: "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln".to_owned(),
            refresh_token: "eyJ0eXAiOiJyZWZyZXNoK2p3dCJ9.e30.c2ln".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 1800,
            refresh_expires_in: 3600,
            device_token: Some("eyJ0eXAiOiJkZXZpY2Urand0In0.e30.c2ln".to_owned()),
        }
    }
}

impl Example for CurrentAdmin {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001),
            email: EmailText("admin@example.com".to_owned()),
            name: "Grace".to_owned(),
            is_super_admin: false,
            roles: vec![RoleName::example()],
            permissions: vec![PermissionName(Permission::UsersRead)],
            last_login_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for StaffLoginChallenge {
    fn example() -> Self {
        Self {
            challenge_token: "eyJ0eXAiOiJjaGFsbGVuZ2Urand0In0.e30.c2ln".to_owned(),
            expires_in: 300,
        }
    }
}

impl Example for StaffChallengedResponse {
    fn example() -> Self {
        Self::of(StaffLoginChallenge::example())
    }
}
