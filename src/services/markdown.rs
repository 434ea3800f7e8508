//! What people write, as Markdown, made into HTML that is harmless wherever it is shown.
//!
//! Two layers, each of which would do: HTML in the text is shown as the text that it is, and what comes out is
//! parsed as browsers do it, and written anew from what is named here.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use ammonia::UrlRelative;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

use super::{FieldError, Result, ServiceError};

/// The deepest that lists and quotes may be in each other.
const MAX_DEPTH: usize = 32;
/// More than a long text has; less than what a short one can be made to grow to.
const MAX_EVENTS: usize = 50_000;
/// How much of a text its beginning is, in characters.
const EXCERPT: usize = 200;

static SANITIZER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut builder = ammonia::Builder::empty();
    builder
        .tags(HashSet::from([
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "img",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
        ]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("code", HashSet::from(["class"])),
            ("img", HashSet::from(["src", "alt", "title"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            ("code", "class") => is_language(value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        })
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        // Apps have no address that it could be relative to.
        .url_relative(UrlRelative::Deny)
        // Who reads is told neither to the owner of a link nor to that of an image, and links gain no rank.
        .link_rel(Some("nofollow ugc noopener noreferrer"))
        .set_tag_attribute_value("img", "referrerpolicy", "no-referrer");
    builder
});

/// Of a block of code, for who colours it; no other class, for pages have theirs.
fn is_language(class: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-#_.".contains(c);
    class.strip_prefix("language-").is_some_and(|name| name.chars().all(is_part))
}

/// What is made of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub html: String,
    /// The beginning, as plain text.
    pub excerpt: String,
}

/// Renders the text of `field`, beside the requests: of the longest one it takes some tens of milliseconds.
///
/// # Errors
/// [`Code::ValidationFailed`](super::Code::ValidationFailed) for one that is no text but a trap for who renders it.
pub async fn render(field: &'static str, markdown: &str) -> Result<Rendered> {
    let markdown = markdown.to_owned();
    let rendered = tokio::task::spawn_blocking(move || render_now(field, &markdown)).await;
    rendered.map_err(ServiceError::internal)?
}

fn render_now(field: &str, markdown: &str) -> Result<Rendered> {
    let mut events = Vec::new();
    let mut depth = 0_usize;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
        if depth > MAX_DEPTH || events.len() == MAX_EVENTS {
            let fault = FieldError::new(field, "too_complex", "is formatted in too many ways");
            return Err(ServiceError::invalid(vec![fault]));
        }
        events.push(match event {
            Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
            Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            event => event,
        });
    }
    let excerpt = excerpt(&events);
    let mut written = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut written, events.into_iter());
    Ok(Rendered { html: SANITIZER.clean(&written).to_string(), excerpt })
}

/// The words at the beginning.
fn excerpt(events: &[Event<'_>]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Event::Text(part) | Event::Code(part) => text.push_str(part),
            Event::End(
                TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Link
                | TagEnd::Image,
            ) => {}
            Event::SoftBreak | Event::HardBreak | Event::End(_) => text.push(' '),
            _ => {}
        }
        if text.len() > EXCERPT * 8 {
            break;
        }
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str) -> String {
        render_now("body", markdown).expect("rendered").html
    }

    #[test]
    fn what_markdown_says_is_there() {
        let table = html("| a | b |\n|---|--:|\n| 1 | ~~2~~ |");
        assert!(table.contains("<td>1</td>") && table.contains("<del>2</del>"), "{table}");
        assert_eq!(html("# Hi *you*"), "<h1>Hi <em>you</em></h1>\n");
        let code = html("```rust\nfn f<T>() {}\n```");
        assert_eq!(code, "<pre><code class=\"language-rust\">fn f&lt;T&gt;() {}\n</code></pre>\n");
        let link = html("[a](https://example.com \"b\") ![c](https://example.com/c.png)");
        assert_eq!(
            link,
            "<p><a href=\"https://example.com\" title=\"b\" rel=\"nofollow ugc noopener noreferrer\">a</a> \
             <img src=\"https://example.com/c.png\" alt=\"c\" referrerpolicy=\"no-referrer\"></p>\n"
        );
        assert_eq!(html("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n", "HTML is shown as text");
        assert_eq!(html("[a](/b) [c](//d)"), html("[a]() [c]()"), "relative to what?");
    }

    #[test]
    fn an_excerpt_is_the_beginning_without_its_form() {
        let excerpt = |text: &str| render_now("body", text).expect("rendered").excerpt;
        assert_eq!(
            excerpt("# Hi\n\n*one*  two\n`three` [four](https://example.com)"),
            "Hi one two three four"
        );
        assert_eq!(
            excerpt("äö ".repeat(300).as_str()),
            format!("{}…", "äö ".repeat(67).trim_end().to_owned())
        );
        assert_eq!(excerpt("---"), "");
    }

    #[test]
    fn traps_for_who_renders_are_refused() {
        let table =
            format!("{}|\n{}|\n{}", "|a".repeat(5000), "|-".repeat(5000), "a\n".repeat(10_000));
        for trap in [
            ">".repeat(1000),
            "- ".repeat(1000) + "a",
            "*a ".repeat(20_000) + &"a* ".repeat(20_000),
            table,
        ] {
            let error = render_now("body", &trap).expect_err("refused");
            assert_eq!(
                (error.fields[0].field.as_str(), error.fields[0].rule),
                ("body", "too_complex")
            );
        }
    }
}
