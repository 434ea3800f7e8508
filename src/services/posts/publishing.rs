//! When others see a post: its author publishes it, at once or at a time, and takes it back.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    super::{
        Code, Core, Expected, FieldError, Result, ServiceError,
        jobs::{Job, Order},
    },
    change, kept,
};
use crate::db::{
    Origin, Tx,
    posts::{self, Post, PostChanges, PostStage},
};

/// A post at this stage since then, or from then on.
fn at(stage: PostStage, published_at: Option<DateTime<Utc>>) -> PostChanges {
    let (stage, published_at) = (Some(stage), Some(published_at));
    PostChanges { stage, published_at, ..PostChanges::default() }
}

/// Publishes a draft, or what was to be published later.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::PostInOtherState`].
pub async fn publish(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    id: Uuid,
    expected: Expected<Post>,
) -> Result<Post> {
    change(core, origin, author_id, id, expected, |post, now| match post.stage {
        PostStage::Draft | PostStage::Scheduled => Ok(at(PostStage::Published, Some(now))),
        PostStage::Published => Err(Code::PostInOtherState),
    })
    .await
}

/// Has a draft published at a time, or at another one than before.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::PostInOtherState`], or [`Code::ValidationFailed`] for a
/// time that isn't in the future.
pub async fn schedule(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    id: Uuid,
    expected: Expected<Post>,
    time: DateTime<Utc>,
) -> Result<Post> {
    if time <= core.clock.now() {
        let fault = FieldError::new("publish_at", "past", "must be in the future");
        return Err(ServiceError::invalid(vec![fault]));
    }
    change(core, origin, author_id, id, expected, |post, _| match post.stage {
        PostStage::Draft | PostStage::Scheduled => Ok(at(PostStage::Scheduled, Some(time))),
        PostStage::Published => Err(Code::PostInOtherState),
    })
    .await
}

/// Makes a draft again of what is published, or is to be.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::PostInOtherState`].
pub async fn unpublish(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    id: Uuid,
    expected: Expected<Post>,
) -> Result<Post> {
    change(core, origin, author_id, id, expected, |post, _| match post.stage {
        PostStage::Scheduled | PostStage::Published => Ok(at(PostStage::Draft, None)),
        PostStage::Draft => Err(Code::PostInOtherState),
    })
    .await
}

/// Publishes a post when its time has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishPost {
    pub post_id: Uuid,
}

impl Job for PublishPost {
    const KIND: &'static str = "post.publish";
}

/// Orders [`PublishPost`] for a post that is scheduled, or at another time than before.
pub(super) async fn order(core: &Core, tx: &mut Tx, before: &Post, post: &Post) -> Result<()> {
    if let (PostStage::Scheduled, Some(time)) = (post.stage, post.published_at)
        && before.published_at != post.published_at
    {
        let order = Order::of(&PublishPost { post_id: post.id })?.at(time);
        core.jobs.enqueue_all(core, tx, vec![order]).await?;
    }
    Ok(())
}

/// As [`PublishPost`] says; a post of which something else was decided meanwhile stays as it is.
///
/// # Errors
/// When the database fails.
pub async fn publish_scheduled(core: &Core, origin: &Origin, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let is_due = |post: &Post| {
        post.stage == PostStage::Scheduled && post.published_at.is_some_and(|time| time <= now)
    };
    if let Some(post) = posts::lock(&mut tx, id).await?.filter(is_due) {
        let changes = at(PostStage::Published, post.published_at);
        kept::change(core, &mut tx, &post, changes).await?;
    }
    Ok(tx.commit().await?)
}
