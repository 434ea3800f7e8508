//! The signed-in user's own account.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    payload::Json,
    types::{Email as EmailText, Example, MaybeUndefined},
};
use uuid::Uuid;

use super::{Tag, pictures};
use crate::{
    api::{
        auth::{ClientAuth, Never, RecentClientAuth},
        body::Body,
        envelope::{Answer, ApiResponse, Done, NoContent},
        error::ApiError,
        etag::IfMatch,
        idempotency::IdempotencyKey,
        types::{Email, NewPassword, SecretText, nullable},
    },
    db::users::{ProfileChanges, User},
    services::{Core, accounts, change_email, deletion},
};

/// The signed-in user.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CurrentUser {
    /// The account's identifier.
    pub id: Uuid,
    /// The address, which is also the name to sign in with.
    pub email: EmailText,
    /// How to address the person; absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// The language to write to the person in (BCP 47); absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub locale: Option<String>,
    /// By whose clock the person lives (IANA); absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub time_zone: Option<String>,
    /// The person's picture: a path of this server; absent where there is none.
    #[oai(skip_serializing_if_is_none)]
    pub avatar_url: Option<String>,
    /// Whether the address has been verified.
    pub email_verified: bool,
    /// When the account is erased, because the person wants it; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub deletion_due_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<User> for CurrentUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: EmailText(user.email),
            name: user.name,
            locale: user.locale,
            time_zone: user.time_zone,
            avatar_url: user.avatar_id.map(pictures::url),
            deletion_due_at: user.deletion_due_at,
            email_verified: user.email_verified_at.is_some(),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// What to change: an absent field is left alone, `null` clears it.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateCurrentUserRequest {
    /// How to address the person.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: MaybeUndefined<String>,
    /// The language to write to the person in (BCP 47).
    #[oai(validator(pattern = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"))]
    pub locale: MaybeUndefined<String>,
    /// By whose clock the person lives: a name of the IANA's list.
    #[oai(validator(max_length = 50, pattern = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"))]
    pub time_zone: MaybeUndefined<String>,
}

/// The password, and another one.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangePasswordRequest {
    /// The password as it is.
    pub current_password: SecretText,
    /// The password as it shall be.
    pub new_password: NewPassword,
}

/// Another address.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangeEmailRequest {
    /// The address as it shall be.
    pub email: Email,
}

/// The code from the mail.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ConfirmEmailRequest {
    /// Six digits.
    #[oai(validator(pattern = "^[0-9]{6}$"))]
    pub code: String,
}

/// Operations on one's own account.
pub struct UsersApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UsersApi {
    /// Read one's own account
    ///
    /// The account of the token.
    #[oai(path = "/me", method = "get", operation_id = "get_current_user")]
    async fn me(&self, auth: ClientAuth, core: Data<&Arc<Core>>) -> Answer<CurrentUser> {
        Ok(ApiResponse::success(auth.account(core.0).await?.into()))
    }

    /// Change one's own account
    ///
    /// Changes what the body names and answers the whole account.
    #[oai(path = "/me", method = "patch", operation_id = "update_current_user")]
    async fn update_me(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        if_match: IfMatch,
        body: Body<UpdateCurrentUserRequest>,
    ) -> Answer<CurrentUser> {
        let UpdateCurrentUserRequest { name, locale, time_zone } = body.0;
        let (name, locale) = (nullable(name), nullable(locale));
        let changes = ProfileChanges { name, locale, time_zone: nullable(time_zone) };
        let (id, expected) = (auth.account_id, if_match.expected::<CurrentUser, _>());
        let user = accounts::update_profile(core.0, &auth.origin, id, expected, changes).await?;
        Ok(ApiResponse::success(user.into()))
    }

    /// Change one's own password
    ///
    /// Ends one's other sessions.
    #[oai(path = "/me/change-password", method = "post", operation_id = "change_password")]
    async fn change_password(
        &self,
        auth: ClientAuth<Never>,
        core: Data<&Arc<Core>>,
        body: Body<ChangePasswordRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let ChangePasswordRequest { current_password, new_password } = body.0;
        let (current, new) = (&current_password.0, &new_password.0);
        let (user, session_id) = (auth.account(core.0).await?, auth.session_id);
        accounts::change_password(core.0, &auth.origin, &user, session_id, current, new).await?;
        Ok(Done::with("The password is changed."))
    }

    /// Change one's own address
    ///
    /// Mails a six-digit code to the new address, for `confirm_email`. The answer is the same for one
    /// that has an account, whose owner gets a mail that says so.
    #[oai(path = "/me/change-email", method = "post", operation_id = "change_email")]
    async fn change_email(
        &self,
        auth: RecentClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<ChangeEmailRequest>,
    ) -> Result<Json<Done>, ApiError> {
        change_email::begin(core.0, &auth.origin, auth.account_id, &body.0.email.0).await?;
        Ok(Done::with("We have sent a code to this address."))
    }

    /// Confirm the new address
    ///
    /// With the code from the mail, which works once and for a short time. The old address is told.
    #[oai(path = "/me/change-email/confirm", method = "post", operation_id = "confirm_email")]
    async fn confirm_email(
        &self,
        auth: ClientAuth<Never>,
        core: Data<&Arc<Core>>,
        body: Body<ConfirmEmailRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let (id, session_id, code) = (auth.account_id, auth.session_id, &body.0.code);
        change_email::complete(core.0, &auth.origin, id, session_id, code).await?;
        Ok(Done::with("The address is changed."))
    }

    /// Delete one's own account
    ///
    /// Ends all sessions. For a time of grace, of which a mail tells, signing in is possible, to cancel it
    /// by `cancel_deletion`; then everything is erased.
    #[oai(path = "/me", method = "delete", operation_id = "delete_current_user")]
    async fn delete_me(
        &self,
        auth: RecentClientAuth,
        core: Data<&Arc<Core>>,
    ) -> Result<NoContent, ApiError> {
        deletion::request(core.0, &auth.origin, auth.account_id).await?;
        Ok(NoContent::Done)
    }

    /// Keep one's own account
    ///
    /// Cancels its deletion.
    #[oai(path = "/me/cancel-deletion", method = "post", operation_id = "cancel_deletion")]
    async fn cancel_deletion(
        &self,
        auth: ClientAuth<Never>,
        core: Data<&Arc<Core>>,
    ) -> Answer<CurrentUser> {
        let user = deletion::cancel(core.0, &auth.origin, auth.account_id).await?;
        Ok(ApiResponse::success(user.into()))
    }
}

impl Example for CurrentUser {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001),
            email: EmailText("ada@example.com".to_owned()),
            name: Some("Ada".to_owned()),
            locale: Some("en-GB".to_owned()),
            time_zone: Some("Europe/London".to_owned()),
            avatar_url: Some(pictures::url(Uuid::nil())),
            deletion_due_at: Some(DateTime::UNIX_EPOCH),
            email_verified: true,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for UpdateCurrentUserRequest {
    fn example() -> Self {
        let text = |text: &str| MaybeUndefined::Value(text.to_owned());
        Self { name: text("Ada"), locale: text("en-GB"), time_zone: text("Europe/London") }
    }
}

impl Example for ChangePasswordRequest {
    fn example() -> Self {
        Self {
            current_password: SecretText("correct horse battery".into()),
            new_password: NewPassword("staple battery horse".into()),
        }
    }
}

impl Example for ChangeEmailRequest {
    fn example() -> Self {
        Self { email: Email::example() }
    }
}

impl Example for ConfirmEmailRequest {
    fn example() -> Self {
        Self { code: "123456".to_owned() }
    }
}
