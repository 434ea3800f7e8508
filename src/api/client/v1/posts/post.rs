//! A post, as the client API shows it.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use uuid::Uuid;

use super::{super::pictures, attachments::PostAttachment};
use crate::{
    api::{same::same, types::TagName},
    db::posts::{self as rows, PostState},
};

/// What a post is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum PostStatus {
    Draft,
    /// It is published at its `published_at`.
    Scheduled,
    Published,
    /// By staff, for a reason.
    Hidden,
    Deleted,
}

/// Who wrote a post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PostAuthor {
    /// The user's identifier.
    pub id: Uuid,
    /// The person's name; absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
}

/// A post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Post {
    /// The post's identifier.
    pub id: Uuid,
    /// Its name in addresses, which stays the same.
    pub slug: String,
    /// Who wrote it.
    pub author: PostAuthor,
    /// One line of plain text.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The body as HTML without anything that could do harm.
    pub html: String,
    /// The words that it is found by.
    pub tags: Vec<String>,
    /// Where the picture is that is shown with it: a path of this server; absent without one.
    #[oai(skip_serializing_if_is_none)]
    pub cover_url: Option<String>,
    /// The files that come with it.
    pub attachments: Vec<PostAttachment>,
    /// What it is.
    pub status: PostStatus,
    /// When it was published, or is to be; absent of drafts.
    #[oai(skip_serializing_if_is_none)]
    pub published_at: Option<DateTime<Utc>>,
    /// Why staff hide it; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub hidden_reason: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A published post in a list.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PostSummary {
    /// The post's identifier.
    pub id: Uuid,
    /// Its name in addresses.
    pub slug: String,
    /// Who wrote it.
    pub author: PostAuthor,
    /// One line of plain text.
    pub title: String,
    /// How it begins, in plain text.
    pub excerpt: String,
    /// The words that it is found by.
    pub tags: Vec<String>,
    /// Where the picture is that is shown with it: a path of this server; absent without one.
    #[oai(skip_serializing_if_is_none)]
    pub cover_url: Option<String>,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// How many users like it, at most a minute ago.
    pub likes: i64,
    /// How many comments there are, at most a minute ago.
    pub comments: i64,
}

same! {
    PostStatus = PostState: Draft, Scheduled, Published, Hidden, Deleted;
}

impl From<rows::Post> for Post {
    fn from(post: rows::Post) -> Self {
        Self {
            id: post.id,
            slug: post.slug,
            author: PostAuthor { id: post.author_id, name: post.author_name },
            title: post.title,
            body: post.body,
            html: post.html,
            tags: post.tags,
            cover_url: post.cover_id.map(pictures::url),
            attachments: post.attachments.into_iter().map(Into::into).collect(),
            status: post.state.into(),
            published_at: post.published_at,
            hidden_reason: post.hidden_reason,
            created_at: post.created_at,
            updated_at: post.updated_at,
        }
    }
}

impl From<rows::FeedPost> for PostSummary {
    fn from(post: rows::FeedPost) -> Self {
        Self {
            id: post.id,
            slug: post.slug,
            author: PostAuthor { id: post.author_id, name: post.author_name },
            title: post.title,
            excerpt: post.excerpt,
            tags: post.tags,
            cover_url: post.cover_id.map(pictures::url),
            published_at: post.published_at,
            likes: post.like_count,
            comments: post.comment_count,
        }
    }
}

pub(super) fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

pub(super) fn a_slug() -> String {
    "on-the-analytical-engine-0000000001".to_owned()
}

pub(super) fn a_title() -> String {
    "On the Analytical Engine".to_owned()
}

pub(super) fn a_body() -> String {
    "It weaves *algebraical patterns*.".to_owned()
}

pub(super) fn an_excerpt() -> String {
    "It weaves algebraical patterns.".to_owned()
}

pub(super) fn a_cover() -> String {
    pictures::url(PostAttachment::example().id)
}

pub(super) fn a_tag() -> TagName {
    TagName("computing".to_owned())
}

impl Example for PostAuthor {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0002),
            name: Some("Ada".to_owned()),
        }
    }
}

impl Example for Post {
    fn example() -> Self {
        Self {
            id: an_id(),
            slug: a_slug(),
            author: PostAuthor::example(),
            title: a_title(),
            body: a_body(),
            html: "<p>It weaves <em>algebraical patterns</em>.</p>\n".to_owned(),
            tags: vec![a_tag().0],
            cover_url: Some(a_cover()),
            attachments: vec![PostAttachment::example()],
            status: PostStatus::Hidden,
            published_at: Some(DateTime::UNIX_EPOCH),
            hidden_reason: Some("It names people who have not agreed.".to_owned()),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for PostSummary {
    fn example() -> Self {
        Self {
            id: an_id(),
            slug: a_slug(),
            author: PostAuthor::example(),
            title: a_title(),
            excerpt: an_excerpt(),
            tags: vec![a_tag().0],
            cover_url: Some(a_cover()),
            published_at: DateTime::UNIX_EPOCH,
            likes: 12,
            comments: 3,
        }
    }
}
