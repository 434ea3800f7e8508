//! What users write, as staff see it.

mod bulk;
mod comments;
mod managed_post;
mod moderation;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        envelope::{Answer, ApiResponse, Page},
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::{SearchText, TagName},
    },
    db::posts::{PostFilter, PostSort},
    services::{Core, permissions::PostsRead, posts::moderation as service},
};

pub use bulk::PostsBulkApi;
pub use comments::CommentsApi;
use managed_post::{ListedPost, ManagedPost, ManagedPostStatus, an_id};
pub use moderation::ModerationApi;

/// Operations on posts.
pub struct PostsApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl PostsApi {
    /// List posts of all users
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_all_posts")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<PostsRead>,
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
        sort: Query<SortText<PostSort>>,
        /// Words of the title and the text, the last of which may be the beginning of one; or the identifier.
        #[oai(example = "engine")]
        q: Query<Option<SearchText>>,
        /// Only posts with this status.
        #[oai(example = "hidden")]
        status: Query<Option<ManagedPostStatus>>,
        /// Only posts of this user.
        #[oai(example = "some_id")]
        author_id: Query<Option<Uuid>>,
        /// Only posts with this tag.
        #[oai(example = "a_tag")]
        tag: Query<Option<TagName>>,
        /// Only posts of which there are open reports, or none.
        #[oai(example = "yes")]
        is_reported: Query<Option<bool>>,
        /// Only posts made at this time or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only posts made before this time.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
        /// Only posts published at this time or later.
        #[oai(example = "a_time")]
        published_from: Query<Option<DateTime<Utc>>>,
        /// Only posts published before this time.
        #[oai(example = "a_time")]
        published_to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Page<ListedPost>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = PostFilter {
            search: q.0.map(|text| text.0),
            state: status.0.map(Into::into),
            author_id: author_id.0,
            tag: tag.0.map(|tag| tag.0),
            is_reported: is_reported.0,
            created_from: created_from.0,
            created_to: created_to.0,
            published_from: published_from.0,
            published_to: published_to.0,
        };
        let found = service::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a post of any user
    ///
    /// In whatever state it is.
    #[oai(path = "/:id", method = "get", operation_id = "get_any_post")]
    async fn get(
        &self,
        _auth: StaffAuth<PostsRead>,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedPost> {
        Ok(ApiResponse::success(service::get(core.0, id.0).await?.into()))
    }
}

/// Makes what parameters show as examples.
macro_rules! examples {
    ($($name:ident: $type:ty = $value:expr;)+) => {
        $(fn $name() -> Option<$type> {
            Some($value)
        })+
    };
}
examples! {
    engine: SearchText = SearchText("analytical eng".to_owned());
    hidden: ManagedPostStatus = ManagedPostStatus::Hidden;
    some_id: Uuid = an_id();
    a_tag: TagName = TagName("computing".to_owned());
    yes: bool = true;
    a_time: DateTime<Utc> = DateTime::UNIX_EPOCH;
}
