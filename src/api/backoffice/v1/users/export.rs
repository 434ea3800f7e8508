//! Users as a file.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{OpenApi, param::Query};

use super::{
    super::Tag,
    managed_user::{ManagedUser, ManagedUserStatus, a_time, active, ada, yes},
};
use crate::{
    api::{
        auth::RecentStaffAuth,
        csv::{self, CsvFile, CsvRow},
        error::ApiError,
        types::SearchText,
    },
    db::users::{UserFilter, UserStatus},
    services::{Core, permissions::UsersExport, users},
};

/// Operations on users as files.
pub struct UsersExportApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UsersExportApi {
    /// Export users
    ///
    /// All that fit the filters, newest first, as comma-separated values. A text that spreadsheets could take for a
    /// formula is led by an apostrophe.
    #[oai(path = "/export", method = "get", operation_id = "export_users")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn export(
        &self,
        auth: RecentStaffAuth<UsersExport>,
        core: Data<&Arc<Core>>,
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
    ) -> Result<CsvFile, ApiError> {
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
        let pages = users::export(core.0, &auth.origin, filter).await?;
        csv::file::<_, ManagedUser>("users.csv", pages).await
    }
}

impl CsvRow for ManagedUser {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "email",
        "name",
        "locale",
        "time_zone",
        "status",
        "status_reason",
        "email_verified_at",
        "has_second_factor",
        "last_login_at",
        "created_at",
        "updated_at",
    ];

    fn cells(self) -> Vec<String> {
        let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339());
        let status = match UserStatus::from(self.status) {
            UserStatus::Active => "active",
            UserStatus::Suspended => "suspended",
            UserStatus::Deleted => "deleted",
        };
        let cells = [
            Some(self.id.to_string()),
            Some(self.email.0),
            self.name,
            self.locale,
            self.time_zone,
            Some(status.to_owned()),
            self.status_reason,
            time(self.email_verified_at),
            Some(self.has_second_factor.to_string()),
            time(self.last_login_at),
            time(Some(self.created_at)),
            time(Some(self.updated_at)),
        ];
        cells.into_iter().map(Option::unwrap_or_default).collect()
    }
}
