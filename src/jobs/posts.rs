//! What becomes of posts by itself.

use serde::{Deserialize, Serialize};

use super::{Context, Handler, JobError};
use crate::services::{
    jobs::Job,
    posts::{
        publishing::{self, PublishPost},
        reactions, words,
    },
};

impl Handler for PublishPost {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, .. } = &context;
        Ok(publishing::publish_scheduled(core, origin, self.post_id).await?)
    }
}

/// Adds up what was liked, said and published since the last time, and in how many posts each word is; forgets words that
/// none has any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddCounts {}

impl Job for AddCounts {
    const KIND: &'static str = "post.add_counts";
    const QUEUE: &'static str = "maintenance";

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

impl Handler for AddCounts {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        /// Takes some tens of milliseconds.
        const AT_ONCE: i64 = 5000;
        /// So does this: each has some hundreds of words.
        const POSTS_AT_ONCE: i64 = 100;
        const WORDS_AT_ONCE: i64 = 200;
        let Context { core, origin, .. } = &context;
        while !context.is_cancelled() {
            if reactions::add_counts(core, origin, AT_ONCE).await? == 0 {
                break;
            }
        }
        while !context.is_cancelled() {
            if words::count(core, POSTS_AT_ONCE).await? == 0 {
                break;
            }
        }
        while !context.is_cancelled() {
            if words::forget(core, WORDS_AT_ONCE).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}
