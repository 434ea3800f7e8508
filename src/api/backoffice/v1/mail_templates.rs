//! What mails look like, shown with samples.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Example,
};

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        envelope::{Answer, ApiResponse},
    },
    services::{
        Core,
        mails::{DEFAULT_LOCALE, Rendered, Template, managed},
        permissions::MailsRead,
    },
};

/// What stands in for one value of a template.
#[derive(Debug, Object)]
#[oai(example)]
pub struct MailSampleValue {
    /// The value's name in the template.
    pub name: String,
    /// What is shown.
    pub value: String,
}

/// A mail that the product writes.
#[derive(Debug, Object)]
#[oai(example)]
pub struct MailTemplate {
    /// What it is called.
    pub name: String,
    /// The languages that it is written in.
    pub locales: Vec<String>,
    /// Whether it holds a code or token; such a mail is not kept and can't be sent once more.
    pub holds_secret: bool,
    /// The values that it is previewed with.
    pub sample: Vec<MailSampleValue>,
}

/// All mails that the product writes.
#[derive(Debug, Object)]
#[oai(example)]
pub struct MailTemplates {
    /// In no order that matters.
    pub items: Vec<MailTemplate>,
}

/// A mail with sample values.
#[derive(Debug, Object)]
#[oai(example)]
pub struct MailPreview {
    /// The language that was found.
    pub locale: String,
    /// The subject.
    pub subject: String,
    /// The part for programs that show text.
    pub text: String,
    /// The part for programs that show HTML.
    pub html: String,
}

impl From<Rendered> for MailPreview {
    fn from(rendered: Rendered) -> Self {
        let Rendered { locale, subject, text, html } = rendered;
        Self { locale, subject, text, html }
    }
}

/// Operations on templates.
pub struct MailTemplatesApi;

#[OpenApi(prefix_path = "/mail-templates", tag = "Tag::Mails")]
impl MailTemplatesApi {
    /// List templates
    ///
    /// All of them, with their languages and samples.
    #[oai(path = "/", method = "get", operation_id = "list_mail_templates")]
    async fn list(
        &self,
        _auth: StaffAuth<MailsRead>,
        core: Data<&Arc<Core>>,
    ) -> Answer<MailTemplates> {
        let item = |template: Template| MailTemplate {
            name: template.name().to_owned(),
            locales: core.mails.templates.locales(template).map(str::to_owned).collect(),
            holds_secret: template.holds_secret(),
            sample: template.sample().iter().map(MailSampleValue::from).collect(),
        };
        let items = Template::ALL.into_iter().map(item).collect();
        Ok(ApiResponse::success(MailTemplates { items }))
    }

    /// Preview a template
    ///
    /// The mail as it looks with its sample.
    #[oai(path = "/:name", method = "get", operation_id = "preview_mail_template")]
    async fn preview(
        &self,
        _auth: StaffAuth<MailsRead>,
        core: Data<&Arc<Core>>,
        /// What the template is called.
        #[oai(example = "a_name")]
        name: Path<String>,
        /// The language; without it, or where it lacks, one that is near or English.
        #[oai(example = "a_locale", validator(max_length = 35, pattern = "^[A-Za-z0-9-]+$"))]
        locale: Query<Option<String>>,
    ) -> Answer<MailPreview> {
        let locale = locale.0.as_deref().unwrap_or(DEFAULT_LOCALE);
        Ok(ApiResponse::success(managed::preview(core.0, &name.0, locale)?.into()))
    }
}

fn a_name() -> String {
    "welcome".to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_locale() -> Option<String> {
    Some("en".to_owned())
}

impl From<&(&str, &str)> for MailSampleValue {
    fn from((name, value): &(&str, &str)) -> Self {
        Self { name: (*name).to_owned(), value: (*value).to_owned() }
    }
}

impl Example for MailSampleValue {
    fn example() -> Self {
        Self::from(&("name", "Ada"))
    }
}

impl Example for MailTemplate {
    fn example() -> Self {
        Self {
            name: a_name(),
            locales: vec!["en".to_owned()],
            holds_secret: false,
            sample: vec![MailSampleValue::example()],
        }
    }
}

impl Example for MailTemplates {
    fn example() -> Self {
        Self { items: vec![MailTemplate::example()] }
    }
}

impl Example for MailPreview {
    fn example() -> Self {
        Self {
            locale: "en".to_owned(),
            subject: "Welcome to Twofold".to_owned(),
            text: "Hello Ada,\n\nyour address is confirmed.\n".to_owned(),
            html: "<!doctype html><html lang=\"en\">…</html>".to_owned(),
        }
    }
}
