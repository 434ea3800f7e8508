//! The name of the route that a request matched, as metrics have it.

use std::{collections::HashMap, sync::Arc};

use poem::{PathPattern, Response};

use crate::api::document::shape;

/// The paths of the documents by their shapes.
pub struct Routes {
    paths: HashMap<String, Arc<str>>,
    other: Arc<str>,
}

impl Routes {
    /// Those of the documents.
    pub fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let paths = paths.map(|path| (shape(path), path.into()));
        Self { paths: paths.collect(), other: "other".into() }
    }

    /// The path as its document has it; of a page the pattern of its route; `other` for what matched
    /// nothing. So there are no more names than routes.
    pub fn matched_by(&self, response: &Response) -> Arc<str> {
        let Some(PathPattern(pattern)) = response.data::<PathPattern>() else {
            return self.other.clone();
        };
        if !pattern.contains("/:") {
            return pattern.clone();
        }
        self.paths.get(&shape(pattern)).unwrap_or(pattern).clone()
    }
}
