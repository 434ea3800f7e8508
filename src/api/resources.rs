//! What a version of an API consists of: a line for each resource.

/// Makes the parts of the document, `Tag`, and `apis()`, all operations: of each resource its part, what this is, and the
/// types with its operations.
macro_rules! resources {
    ($($tag:ident = $text:tt: $($module:ident::$api:ident),+;)+) => {
        /// The parts of the document.
        #[derive(poem_openapi::Tags)]
        pub enum Tag {
            $(#[doc = $text] $tag,)+
        }

        /// All operations; needs no database.
        pub fn apis() -> impl poem_openapi::OpenApi + 'static {
            $crate::api::resources::resources!(@nested $($(super::$module::$api),+),+)
        }
    };
    // A tuple of all of them would have too many.
    (@nested) => { () };
    (@nested $first:path $(, $rest:path)*) => {
        ($first, $crate::api::resources::resources!(@nested $($rest),*))
    };
}
pub(super) use resources;
