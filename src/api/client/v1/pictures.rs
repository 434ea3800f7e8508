//! Pictures for everybody.

use std::sync::Arc;

use poem::{Body, http::header, web::Data};
use poem_openapi::{
    ApiResponse as OpenApiResponse, OpenApi,
    param::Path,
    payload::{Binary, Response},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{error::ApiError, etag::EntityTag},
    db::Origin,
    services::{
        Core,
        files::pictures::{self, Shown},
    },
};

/// Where a picture is.
pub fn url(id: Uuid) -> String {
    format!("/api/v1/pictures/{id}")
}

/// The answer of an operation that shows a picture.
#[derive(OpenApiResponse)]
pub enum PictureAnswer {
    /// The picture.
    #[oai(status = 200, content_type = "image/jpeg")]
    Picture(
        Binary<Body>,
        /// For how long it need not be asked for again. It never changes, but it may be deleted.
        #[oai(header = "Cache-Control")]
        String,
        /// Always `cross-origin`: pages of other origins may show it.
        #[oai(header = "Cross-Origin-Resource-Policy")]
        String,
    ),
}

/// Operations on pictures.
pub struct PicturesApi;

#[OpenApi(prefix_path = "/pictures", tag = "Tag::Files")]
impl PicturesApi {
    /// Show a picture
    ///
    /// Of a user, or of a post: what was made of a file of theirs, by the identifier of that file.
    #[oai(path = "/:id", method = "get", operation_id = "get_picture")]
    async fn get(
        &self,
        _origin: Origin,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<Response<PictureAnswer>, ApiError> {
        let Shown { size, sha256, bytes } = pictures::show(core.0, id.0).await?;
        let body = Binary(Body::from_bytes_stream(bytes));
        let (kept, shown) = ("public, max-age=86400", "cross-origin");
        let answer = PictureAnswer::Picture(body, kept.to_owned(), shown.to_owned());
        let answer = Response::new(answer).header(header::CONTENT_LENGTH, size);
        Ok(answer.header(header::ETAG, EntityTag::of_sha256(&sha256).to_string()))
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}
