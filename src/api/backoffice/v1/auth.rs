//! Sign-in of the staff, and one's own account.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
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
        permissions::{Permission, Permissions},
        sessions, staff,
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

impl From<staff::SignedIn> for StaffTokenPair {
    fn from(signed_in: staff::SignedIn) -> Self {
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
    /// Starts a session. A wrong password and an unknown address answer the same.
    #[oai(path = "/login", method = "post", operation_id = "login_admin")]
    async fn login(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<StaffLoginRequest>,
    ) -> Answer<StaffTokenPair> {
        let StaffLoginRequest { email, password, device_token } = body.0;
        let device_token = device_token.map(|token| token.0);
        let signed_in =
            staff::login(core.0, &origin, &email.0, &password.0, device_token.as_ref()).await?;
        Ok(ApiResponse::success(signed_in.into()))
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
    async fn logout(&self, auth: StaffAuth, core: Data<&Arc<Core>>) -> Result<NoContent, ApiError> {
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
