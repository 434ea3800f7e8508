//! Scripts, styles and pictures of the pages. Each has its hash in its address, so that browsers
//! may keep it for ever, and is in memory once however many pages use it.

use std::sync::LazyLock;

use poem::{Response, Route, endpoint::make_sync, http::header::CACHE_CONTROL};
use poem_openapi::OpenApiService;
use ring::digest;

/// A file that pages load.
struct Asset {
    /// As templates call it.
    name: &'static str,
    /// Such as `/assets/pages.0123456789abcdef.css`.
    path: String,
    content_type: &'static str,
    text: String,
}

/// Modules name those that they import, which stand before them: they get their addresses.
static OURS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let texts = [
        ("icon.svg", include_str!("assets/icon.svg")),
        ("pages.css", include_str!("assets/pages.css")),
        ("docs.css", include_str!("assets/docs.css")),
        ("docs.js", include_str!("assets/docs.js")),
        ("jobs.css", include_str!("assets/jobs.css")),
        ("live.js", include_str!("assets/live.js")),
        ("throughput.js", include_str!("assets/throughput.js")),
        ("jobs.js", include_str!("assets/jobs.js")),
    ];
    texts.into_iter().fold(Vec::new(), |mut assets: Vec<Asset>, (name, text)| {
        let import =
            |text: String, one: &Asset| text.replace(&format!("./{}", one.name), &one.path);
        let text = assets.iter().fold(text.to_owned(), import);
        assets.push(Asset::new(name, &text));
        assets
    })
});

/// Megabytes, made where documentation is shown.
static VIEWERS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    // poem-openapi gives its viewers away as whole pages only.
    let empty = OpenApiService::new((), "", "");
    let (swagger, redoc) = (empty.swagger_ui_html(), empty.redoc_html());
    let (script, style) = ("<script charset=\"UTF-8\">", "<style charset=\"UTF-8\">");
    [
        Asset::new("swagger-ui.js", between(&swagger, script, "</script>")),
        Asset::new("swagger-ui.css", between(&swagger, style, "</style>")),
        Asset::new("redoc.js", between(&redoc, script, "</script>")),
    ]
});

/// Where a page finds an asset; `None` when there is none of this name.
pub(super) fn path(name: &str) -> Option<&'static str> {
    let find = |assets: &'static [Asset]| assets.iter().find(|asset| asset.name == name);
    let found = find(&OURS).or_else(|| find(&*VIEWERS));
    found.map(|asset| asset.path.as_str())
}

/// Serves our own.
pub(super) fn mount(routes: Route) -> Route {
    serve(routes, &OURS)
}

/// Serves those of the viewers of documents.
pub(super) fn mount_viewers(routes: Route) -> Route {
    serve(routes, &*VIEWERS)
}

fn serve(routes: Route, assets: &'static [Asset]) -> Route {
    assets.iter().fold(routes, |routes, asset| {
        routes.at(&asset.path, poem::get(make_sync(|_| asset.response())))
    })
}

impl Asset {
    fn new(name: &'static str, text: &str) -> Self {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let content_type = match extension {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        let path = format!("/assets/{stem}.{}.{extension}", hash(text));
        Self { name, path, content_type, text: text.to_owned() }
    }

    fn response(&'static self) -> Response {
        Response::builder()
            .content_type(self.content_type)
            .header(CACHE_CONTROL, "public, max-age=31536000, immutable")
            .body(self.text.as_str())
    }
}

/// Enough of the SHA-256 to tell two versions of a file apart.
fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

/// What stands between two marks; nothing when one of them is missing.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once(end)).map_or("", |(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewers_are_cut_out_whole() {
        let size = |name: &str| {
            let asset = VIEWERS.iter().find(|asset| asset.name == name).expect("there");
            asset.text.len()
        };
        assert!(size("swagger-ui.js") > 1_000_000, "{}", size("swagger-ui.js"));
        assert!(size("swagger-ui.css") > 100_000, "{}", size("swagger-ui.css"));
        assert!(size("redoc.js") > 800_000, "{}", size("redoc.js"));
    }

    #[test]
    fn every_import_has_the_address_of_a_module() {
        let imports = OURS.iter().flat_map(|asset| asset.text.split(" from \"").skip(1));
        let found: Vec<_> = imports.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        for path in found {
            assert!(OURS.iter().any(|asset| asset.path == path), "{path}");
        }
    }

    #[test]
    fn what_has_no_marks_is_nothing() {
        assert_eq!(between("a<x>b</x>c", "<x>", "</x>"), "b");
        assert_eq!(between("a<x>b", "<x>", "</x>"), "");
        assert_eq!(between("b</x>", "<x>", "</x>"), "");
    }
}
