//! The signed-in user's own account.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    types::{Email as EmailText, Example, MaybeUndefined},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::ClientAuth,
        body::Body,
        envelope::{Answer, ApiResponse},
        etag::IfMatch,
    },
    db::users::{ProfileChanges, User},
    services::{Core, accounts},
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
    /// Whether the address has been verified.
    pub email_verified: bool,
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
        let changes = ProfileChanges { name: nullable(body.0.name) };
        let (id, expected) = (auth.account_id, if_match.expected::<CurrentUser, _>());
        let user = accounts::update_profile(core.0, &auth.origin, id, expected, changes).await?;
        Ok(ApiResponse::success(user.into()))
    }
}

/// `None`: leave alone; `Some(None)`: clear.
fn nullable<T>(field: MaybeUndefined<T>) -> Option<Option<T>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

impl Example for CurrentUser {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001),
            email: EmailText("ada@example.com".to_owned()),
            name: Some("Ada".to_owned()),
            email_verified: true,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for UpdateCurrentUserRequest {
    fn example() -> Self {
        Self { name: MaybeUndefined::Value("Ada".to_owned()) }
    }
}
