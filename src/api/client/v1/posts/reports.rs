//! What users hold against posts.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Example};
use uuid::Uuid;

use super::{super::Tag, post::an_id};
use crate::{
    api::{
        auth::ClientAuth, body::Body, envelope::Done, error::ApiError, idempotency::IdempotencyKey,
        same::same,
    },
    db::post_reports::ReportReason,
    services::{Core, reports},
};

/// What somebody can hold against a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum PostReportReason {
    Spam,
    Abuse,
    Illegal,
    Other,
}

/// What is wrong with a post.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ReportPostRequest {
    /// What kind of thing.
    pub reason: PostReportReason,
    /// The same in one's own words.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub comment: Option<String>,
}

same! {
    PostReportReason = ReportReason: Spam, Abuse, Illegal, Other;
}

/// Operations on reports.
pub struct PostReportsApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl PostReportsApi {
    /// Report a post
    ///
    /// To staff, who decide about it; until then not again by the same user.
    #[oai(path = "/:id/report", method = "post", operation_id = "report_post")]
    async fn report(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<ReportPostRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let ReportPostRequest { reason, comment } = body.0;
        let (origin, user, comment) = (&auth.origin, auth.account_id, comment.as_deref());
        reports::create(core.0, origin, user, id.0, reason.into(), comment).await?;
        Ok(Done::with("Thank you. We look at it."))
    }
}

impl Example for ReportPostRequest {
    fn example() -> Self {
        let comment = Some("It was copied from elsewhere.".to_owned());
        Self { reason: PostReportReason::Other, comment }
    }
}
