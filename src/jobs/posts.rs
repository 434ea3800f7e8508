//! What becomes of posts by itself.

use super::{Context, Handler, JobError};
use crate::services::posts::publishing::{self, PublishPost};

impl Handler for PublishPost {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, .. } = &context;
        Ok(publishing::publish_scheduled(core, origin, self.post_id).await?)
    }
}
