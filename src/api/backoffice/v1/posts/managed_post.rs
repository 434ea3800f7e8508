//! A post as staff see it.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use uuid::Uuid;

use crate::{
    api::same::same,
    db::{
        post_attachments::Attachment,
        posts::{self as rows, PostState},
    },
};

/// What a post is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedPostStatus {
    Draft,
    /// It is published at its `published_at`.
    Scheduled,
    /// The only ones that everybody sees.
    Published,
    /// By staff.
    Hidden,
    /// By the author, who can restore it for 30 days.
    Deleted,
}

/// A file that comes with a post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedAttachment {
    /// The file's identifier.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// In bytes.
    pub size: i64,
}

/// A post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedPost {
    /// The post's identifier.
    pub id: Uuid,
    /// Its name in addresses.
    pub slug: String,
    /// The user who wrote it.
    pub author_id: Uuid,
    /// The user's name; absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub author_name: Option<String>,
    /// One line of plain text.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The body as HTML without anything that could do harm.
    pub html: String,
    /// The words that it is found by.
    pub tags: Vec<String>,
    /// The file of the picture that is shown with it; absent without one.
    #[oai(skip_serializing_if_is_none)]
    pub cover_id: Option<Uuid>,
    /// The files that come with it.
    pub attachments: Vec<ManagedAttachment>,
    /// What it is.
    pub status: ManagedPostStatus,
    /// When it was published, or is to be; absent of drafts.
    #[oai(skip_serializing_if_is_none)]
    pub published_at: Option<DateTime<Utc>>,
    /// Since when staff hide it; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub hidden_at: Option<DateTime<Utc>>,
    /// Why staff hide it, as the author was told; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub hidden_reason: Option<String>,
    /// When the author deleted it; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A post in a list.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ListedPost {
    /// The post's identifier.
    pub id: Uuid,
    /// Its name in addresses.
    pub slug: String,
    /// The user who wrote it.
    pub author_id: Uuid,
    /// The user's name; absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub author_name: Option<String>,
    /// One line of plain text.
    pub title: String,
    /// How it begins, in plain text.
    pub excerpt: String,
    /// The words that it is found by.
    pub tags: Vec<String>,
    /// What it is.
    pub status: ManagedPostStatus,
    /// How many users have reported it, and wait for what staff decide.
    pub open_reports: i64,
    /// When it was published, or is to be; absent of drafts.
    #[oai(skip_serializing_if_is_none)]
    pub published_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

same! {
    ManagedPostStatus = PostState: Draft, Scheduled, Published, Hidden, Deleted;
}

impl From<Attachment> for ManagedAttachment {
    fn from(file: Attachment) -> Self {
        let Attachment { id, name, content_type, size } = file;
        Self { id, name, content_type, size }
    }
}

impl From<rows::Post> for ManagedPost {
    fn from(post: rows::Post) -> Self {
        Self {
            id: post.id,
            slug: post.slug,
            author_id: post.author_id,
            author_name: post.author_name,
            title: post.title,
            body: post.body,
            html: post.html,
            tags: post.tags,
            cover_id: post.cover_id,
            attachments: post.attachments.into_iter().map(Into::into).collect(),
            status: post.state.into(),
            published_at: post.published_at,
            hidden_at: post.hidden_at,
            hidden_reason: post.hidden_reason,
            deleted_at: post.deleted_at,
            created_at: post.created_at,
            updated_at: post.updated_at,
        }
    }
}

impl From<rows::ListedPost> for ListedPost {
    fn from(post: rows::ListedPost) -> Self {
        Self {
            id: post.id,
            slug: post.slug,
            author_id: post.author_id,
            author_name: post.author_name,
            title: post.title,
            excerpt: post.excerpt,
            tags: post.tags,
            status: post.state.into(),
            open_reports: post.open_reports,
            published_at: post.published_at,
            created_at: post.created_at,
            updated_at: post.updated_at,
        }
    }
}

pub(super) fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

impl Example for ManagedAttachment {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0003),
            name: "notes.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size: 20_480,
        }
    }
}

impl Example for ManagedPost {
    fn example() -> Self {
        Self {
            id: an_id(),
            slug: "on-the-analytical-engine-0000000001".to_owned(),
            author_id: an_id(),
            author_name: Some("Ada".to_owned()),
            title: "On the Analytical Engine".to_owned(),
            body: "It weaves *algebraical patterns*.".to_owned(),
            html: "<p>It weaves <em>algebraical patterns</em>.</p>\n".to_owned(),
            tags: vec!["computing".to_owned()],
            cover_id: Some(an_id()),
            attachments: vec![ManagedAttachment::example()],
            status: ManagedPostStatus::Hidden,
            published_at: Some(DateTime::UNIX_EPOCH),
            hidden_at: Some(DateTime::UNIX_EPOCH),
            hidden_reason: Some("It names people who have not agreed.".to_owned()),
            deleted_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for ListedPost {
    fn example() -> Self {
        Self {
            id: an_id(),
            slug: "on-the-analytical-engine-0000000001".to_owned(),
            author_id: an_id(),
            author_name: Some("Ada".to_owned()),
            title: "On the Analytical Engine".to_owned(),
            excerpt: "It weaves algebraical patterns.".to_owned(),
            tags: vec!["computing".to_owned()],
            status: ManagedPostStatus::Published,
            open_reports: 2,
            published_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}
