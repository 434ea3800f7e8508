//! The users of the client API, as staff see them.

mod bulk;
mod export;
mod impersonation;
mod managed_user;
mod notes;
mod security;
mod status;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::{Example, MaybeUndefined},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, Page},
        etag::IfMatch,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::{Email, SearchText, nullable},
    },
    db::users::{ProfileChanges, UserFilter, UserSort},
    services::{
        Core, accounts,
        permissions::{UsersCreate, UsersRead, UsersUpdate},
        users,
    },
};

pub use bulk::UsersBulkApi;
pub use export::UsersExportApi;
pub use impersonation::ImpersonationApi;
use managed_user::{ManagedUser, ManagedUserStatus, a_time, active, ada, an_id, yes};
pub use notes::UserNotesApi;
pub use security::UserSecurityApi;
pub use status::UserStatusApi;

/// A new user, who chooses a password by mail.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateUserRequest {
    /// The address.
    pub email: Email,
    /// The person's name.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00]*$"))]
    pub name: Option<String>,
    /// The language to write to the person in (BCP 47).
    #[oai(validator(pattern = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"))]
    pub locale: Option<String>,
}

/// What to change: an absent field is left alone, `null` clears it.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateUserRequest {
    /// The person's name.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00]*$"))]
    pub name: MaybeUndefined<String>,
    /// The language to write to the person in (BCP 47).
    #[oai(validator(pattern = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"))]
    pub locale: MaybeUndefined<String>,
    /// By whose clock the person lives: a name of the IANA's list.
    #[oai(validator(max_length = 50, pattern = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"))]
    pub time_zone: MaybeUndefined<String>,
}

/// Operations on users.
pub struct UsersApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UsersApi {
    /// List users
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_users")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<UsersRead>,
        core: Data<&Arc<Core>>,
        /// Which page, from 1; not with a cursor.
        page: Query<Option<PageNumber>>,
        /// How many a page holds.
        #[oai(default)]
        per_page: Query<PageSize>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<UserSort>>,
        /// Part of the address and the name, in any case, or the identifier.
        #[oai(example = "ada")]
        q: Query<Option<SearchText>>,
        /// Only users with this status.
        #[oai(example = "active")]
        status: Query<Option<ManagedUserStatus>>,
        /// Only users whose address is verified, or is not.
        #[oai(example = "yes")]
        verified: Query<Option<bool>>,
        /// Only users with a second factor, or without.
        #[oai(example = "yes")]
        has_second_factor: Query<Option<bool>>,
        /// Only users made at this time or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only users made before this time.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
        /// Only users who last signed in at this time or later.
        #[oai(example = "a_time")]
        last_login_from: Query<Option<DateTime<Utc>>>,
        /// Only users who last signed in before this time.
        #[oai(example = "a_time")]
        last_login_to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Page<ManagedUser>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = UserFilter {
            search: q.0.map(|text| text.0),
            status: status.0.map(Into::into),
            verified: verified.0,
            has_second_factor: has_second_factor.0,
            created_from: created_from.0,
            created_to: created_to.0,
            last_login_from: last_login_from.0,
            last_login_to: last_login_to.0,
        };
        let found = users::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Create a user
    ///
    /// Mails a token to choose a password with, by which the address is verified.
    #[oai(path = "/", method = "post", operation_id = "create_user")]
    async fn create(
        &self,
        auth: StaffAuth<UsersCreate>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<CreateUserRequest>,
    ) -> Answer<ManagedUser> {
        let CreateUserRequest { email, name, locale } = body.0;
        let (name, locale) = (name.as_deref(), locale.as_deref());
        let user = users::create(core.0, &auth.origin, &email.0, name, locale).await?;
        Ok(ApiResponse::success(user.into()))
    }

    /// Read a user
    ///
    /// The account as it is now.
    #[oai(path = "/:id", method = "get", operation_id = "get_user")]
    async fn get(
        &self,
        _auth: StaffAuth<UsersRead>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedUser> {
        Ok(ApiResponse::success(users::get(core.0, id.0).await?.into()))
    }

    /// Change a user
    ///
    /// What the person could change as well.
    #[oai(path = "/:id", method = "patch", operation_id = "update_user")]
    async fn update(
        &self,
        auth: StaffAuth<UsersUpdate>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<UpdateUserRequest>,
    ) -> Answer<ManagedUser> {
        let UpdateUserRequest { name, locale, time_zone } = body.0;
        let changes = ProfileChanges {
            name: nullable(name),
            locale: nullable(locale),
            time_zone: nullable(time_zone),
        };
        let expected = if_match.expected::<ManagedUser, _>();
        let user = accounts::update_profile(core.0, &auth.origin, id.0, expected, changes).await?;
        Ok(ApiResponse::success(user.into()))
    }
}

impl Example for CreateUserRequest {
    fn example() -> Self {
        let (name, locale) = (Some("Ada".to_owned()), Some("en-GB".to_owned()));
        Self { email: Email::example(), name, locale }
    }
}

impl Example for UpdateUserRequest {
    fn example() -> Self {
        let text = |text: &str| MaybeUndefined::Value(text.to_owned());
        Self { name: text("Ada"), locale: text("en-GB"), time_zone: text("Europe/London") }
    }
}
