//! What hostile texts become: HTML in which nothing runs, loads or covers anything. A tokenizer for HTML judges it.

use std::cell::RefCell;

use html5ever::{
    buffer_queue::BufferQueue,
    tendril::StrTendril,
    tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::posts::{Stage, text};

/// Cheat sheets of OWASP and PortSwigger, and advisories of sanitizers and of readers of Markdown; one for each line.
const PAYLOADS: &str = include_str!("../xss/payloads.txt");

/// Of an element in which a parser reads other things than tags there is none here, nor of SVG or MathML: so the
/// tokens are what a browser sees.
const TAGS: &[&str] = &[
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
];

/// Collects what is wrong, and counts tags.
#[derive(Default)]
struct Judge {
    faults: RefCell<Vec<String>>,
    tags: RefCell<usize>,
}

impl Judge {
    fn tag(&self, tag: &Tag) {
        *self.tags.borrow_mut() += 1;
        let name = &*tag.name;
        let mut faults = self.faults.borrow_mut();
        if !TAGS.contains(&name) {
            faults.push(format!("<{name}>"));
        }
        let value = |wanted: &str| {
            let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == wanted);
            found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
        };
        for attribute in &tag.attrs {
            let value = &*attribute.value;
            let is_good = match (name, &*attribute.name.local) {
                ("a", "href") => {
                    ["https://", "http://", "mailto:"].iter().any(|it| value.starts_with(it))
                }
                ("img", "src") => ["https://", "http://"].iter().any(|it| value.starts_with(it)),
                ("a" | "img", "title") | ("img", "alt") => true,
                ("a", "rel") => value == "nofollow ugc noopener noreferrer",
                ("img", "referrerpolicy") => value == "no-referrer",
                ("ol", "start") => value.bytes().all(|b| b.is_ascii_digit()),
                ("code", "class") => {
                    value.starts_with("language-")
                        && !value.contains(|c: char| c.is_ascii_whitespace())
                }
                _ => false,
            };
            if !is_good {
                faults.push(format!("{name}.{}={value}", &*attribute.name.local));
            }
        }
        if tag.kind == TagKind::StartTag && name == "a" && value("rel").is_empty() {
            faults.push("a link without rel".to_owned());
        }
    }
}

impl TokenSink for &Judge {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => self.tag(&tag),
            Token::CommentToken(text) => self.faults.borrow_mut().push(format!("<!--{text}-->")),
            Token::DoctypeToken(_) => self.faults.borrow_mut().push("<!DOCTYPE>".to_owned()),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// What is wrong with it, and how many tags it has.
pub fn judge(html: &str) -> (Vec<String>, usize) {
    let judge = Judge::default();
    let tokenizer = Tokenizer::new(&judge, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    (judge.faults.take(), judge.tags.take())
}

fn payloads() -> impl Iterator<Item = &'static str> {
    PAYLOADS.lines().filter(|line| !line.is_empty())
}

#[test]
fn the_judge_sees_what_it_is_to_see() {
    assert!(payloads().count() >= 100);
    let harmless = payloads().filter(|payload| judge(payload).0.is_empty());
    // Of those that are Markdown, or meant for an attribute or a template.
    assert!(harmless.count() < payloads().count() / 4);
    let link =
        "<p><a href=\"https://example.com\" rel=\"nofollow ugc noopener noreferrer\">x</a></p>";
    assert_eq!(judge(link), (vec![], 4));
    for bad in [
        "<a href=\"https://example.com\">x</a>",
        "<a href=\"javascript:x\" rel=\"nofollow ugc noopener noreferrer\">x</a>",
        "<p style=\"x\">",
        "<p id=x>",
        "<code class=\"modal\">",
        "<svg>",
        "<!--x-->",
        "<img src=x>",
    ] {
        assert_eq!(judge(bad).0.len(), 1, "{bad}");
    }
}

#[tokio::test]
async fn no_payload_is_more_than_text() {
    let stage = Stage::set().await;
    let post = async |title: &str, body: &str| -> Value {
        let body = json!({"title": title, "body": body});
        stage.send(&stage.ada, Method::POST, "/api/v1/posts", body).await.data()
    };
    for payload in payloads() {
        let title: String = payload.chars().take(200).collect();
        let wrapped = format!(
            "[a]({payload})\n\n[a](<{payload}>)\n\n![a]({payload})\n\n![{payload}](https://example.com)\n\n<{payload}>\n\n\
             - {payload}\n  > {payload}\n\n[b]: {payload}\n\n[a][b]\n\n```{payload}\n{payload}\n```\n\n\
             | a |\n|---|\n| {payload} |\n\n    {payload}"
        );
        for body in [payload, &wrapped] {
            let post = post(&title, body).await;
            let html = text(&post["html"]);
            let (faults, tags) = judge(&html);
            assert!(faults.is_empty(), "{payload}\n{html}\n{faults:?}");
            assert!(tags > 0 || payload.starts_with("[x]:"), "{payload}: {html}");
            // Plain text is what it was, and nothing that a browser takes for a page.
            assert_eq!(post["title"], title);
            let path = format!("/api/v1/posts/{}/comments", text(&post["id"]));
            let comment = stage.send(&stage.ada, Method::POST, &path, json!({"body": body}));
            let html = text(&comment.await.data()["html"]);
            assert_eq!(
                judge(&html).0,
                Vec::<String>::new(),
                "{payload}
{html}"
            );
        }
        let body = json!({"title": "x", "body": "x", "tags": [payload]});
        let tagged = stage.send(&stage.ada, Method::POST, "/api/v1/posts", body).await;
        tagged.assert_error(422, "validation_failed");
        assert!(tagged.header("content-type").starts_with("application/json"));
        assert_eq!(tagged.header("x-content-type-options"), "nosniff");
    }
}
