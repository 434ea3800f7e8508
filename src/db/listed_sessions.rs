//! Lists of the sessions that are open. What is done with sessions is in `sessions.rs`.

/// Declares what a list of a realm's sessions needs: its row, sort and filter, and the statements.
macro_rules! listed_sessions {
    ($table:ident, $session:ident, $sort:ident, $filter:ident $(, $(#[doc = $doc:literal])* $extra:ident: $type:ty)*) => {
        use chrono::{DateTime, Utc};
        use diesel::{pg::Pg, prelude::*};
        use diesel_async::RunQueryDsl;
        use serde::Serialize;
        use uuid::Uuid;

        use crate::db::{
            Conn,
            keyset::{Window, sortable},
            schema::$table,
        };

        /// A session as its owner sees it.
        #[derive(Debug, Clone, Queryable, Selectable)]
        #[diesel(table_name = $table, check_for_backend(Pg))]
        pub struct $session {
            pub id: Uuid,
            /// What the app calls the device.
            pub device_name: Option<String>,
            /// As of the last sign-in or refresh, like the address.
            pub user_agent: Option<String>,
            pub ip_address: Option<String>,
            pub created_at: DateTime<Utc>,
            /// When it was last refreshed.
            pub refresh_issued_at: DateTime<Utc>,
            /// When it ends unless it is refreshed.
            pub refresh_expires_at: DateTime<Utc>,
            /// When it ends in any case.
            pub expires_at: DateTime<Utc>,
            $($(#[doc = $doc])* pub $extra: $type,)*
        }

        sortable! {
            /// What a list of sessions can be sorted by.
            $sort: $session, $table, "-created_at", [created_at]
        }

        /// Whose sessions to list.
        #[derive(Debug, Clone, Copy, Serialize)]
        pub struct $filter {
            pub account_id: Uuid,
        }

        /// The query of [`list`].
        pub fn listed(
            filter: $filter,
            now: DateTime<Utc>,
            window: &Window<$sort>,
        ) -> $table::BoxedQuery<'_, Pg> {
            open(now)
                .filter($table::account_id.eq(filter.account_id))
                .filter(window.condition())
                .order_by(window.order())
                .limit(window.limit)
                .offset(window.offset)
        }

        fn open<'a>(now: DateTime<Utc>) -> $table::BoxedQuery<'a, Pg> {
            $table::table
                .filter(
                    $table::revoked_at
                        .is_null()
                        .and($table::expires_at.gt(now))
                        .and($table::refresh_expires_at.gt(now)),
                )
                .into_boxed()
        }

        /// The open sessions of an account in a window of the sorted list.
        ///
        /// # Errors
        /// When the statement fails.
        pub async fn list(
            conn: &mut Conn,
            filter: $filter,
            now: DateTime<Utc>,
            window: &Window<$sort>,
        ) -> QueryResult<Vec<$session>> {
            listed(filter, now, window).select($session::as_select()).load(conn).await
        }

        /// A session of the account, whether or not it has ended.
        ///
        /// # Errors
        /// When the statement fails.
        pub async fn find(
            conn: &mut Conn,
            account_id: Uuid,
            id: Uuid,
        ) -> QueryResult<Option<$session>> {
            $table::table
                .find(id)
                .filter($table::account_id.eq(account_id))
                .select($session::as_select())
                .first(conn)
                .await
                .optional()
        }

        /// Whether this is an open session of the account.
        ///
        /// # Errors
        /// When the statement fails.
        pub async fn is_open(
            conn: &mut Conn,
            account_id: Uuid,
            id: Uuid,
            now: DateTime<Utc>,
        ) -> QueryResult<bool> {
            let found = open(now)
                .filter($table::id.eq(id).and($table::account_id.eq(account_id)))
                .select($table::id)
                .first::<Uuid>(conn)
                .await
                .optional()?;
            Ok(found.is_some())
        }
    };
}
pub(super) use listed_sessions;
