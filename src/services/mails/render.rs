//! Templates and values in, subject and texts out.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::Template;
use crate::services::{Result, ServiceError};

/// The locale that every template has.
pub const DEFAULT_LOCALE: &str = "en";

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The locale that was found.
    pub locale: String,
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Every template in every locale, compiled in.
pub struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// `product` is what mails call the product.
    ///
    /// # Panics
    /// When a template can't be read, which a test would have shown.
    #[must_use]
    #[expect(clippy::expect_used, reason = "in what minijinja-embed has made of the files")]
    pub fn new(product: &str) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_global("product", product);
        minijinja_embed::load_templates!(&mut environment);
        Self { environment }
    }

    /// Renders a mail in this locale, such as `de-AT`, or in one that is near enough: `de`, and then
    /// [`DEFAULT_LOCALE`]. In the HTML part values are escaped; the subject is one line whatever they hold.
    ///
    /// # Errors
    /// When a value is missing.
    pub fn render(&self, template: Template, locale: &str, values: &Value) -> Result<Rendered> {
        let locale = self.nearest(template, locale);
        let part = |extension, values: Value| {
            self.environment
                .get_template(&file(template, locale, extension))
                .and_then(|part| part.render_captured(values))
                .map_err(ServiceError::internal)
        };
        let text = part("txt", values.clone())?;
        let subject = text.state().lookup("subject").map(|subject| subject.to_string());
        let subject = one_line(&subject.ok_or_else(|| ServiceError::internal("no subject"))?);
        let more = context! { subject => &subject, locale };
        let html = part("html", context! { ..more, ..values.clone() })?;
        let (text, html) = (text.into_output(), html.into_output());
        Ok(Rendered { locale: locale.to_owned(), subject, text, html })
    }

    /// The same with the template's own sample.
    ///
    /// # Errors
    /// When the sample lacks a value, which a test would have shown.
    pub fn render_sample(&self, template: Template, locale: &str) -> Result<Rendered> {
        let values: BTreeMap<_, _> = template.sample().iter().copied().collect();
        self.render(template, locale, &Value::from(values))
    }

    /// The locales that have both parts of a template.
    pub fn locales(&self, template: Template) -> impl Iterator<Item = &str> {
        self.environment.templates().filter_map(move |(file_name, _)| {
            let (locale, _) = file_name.split_once('/')?;
            let is_text = file_name == file(template, locale, "txt");
            (is_text && self.has(template, locale)).then_some(locale)
        })
    }

    fn has(&self, template: Template, locale: &str) -> bool {
        let has =
            |extension| self.environment.get_template(&file(template, locale, extension)).is_ok();
        has("txt") && has("html")
    }

    fn nearest<'a>(&self, template: Template, wanted: &'a str) -> &'a str {
        let language = wanted.split('-').next().unwrap_or_default();
        let found = [wanted, language].into_iter().find(|locale| self.has(template, locale));
        found.unwrap_or(DEFAULT_LOCALE)
    }
}

fn file(template: Template, locale: &str, extension: &str) -> String {
    format!("{locale}/{}.{extension}", template.name())
}

/// Nothing that a value brings along begins another line, which would be another header, or an encoded word
/// (RFC 2047, 2), which programs that read mail would decode into one.
fn one_line(text: &str) -> String {
    let spaced = text.replace(char::is_control, " ").replace("=?", "= ?");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(more: &[(&'static str, &'static str)]) -> Templates {
        let mut templates = Templates::new("Shop");
        for (name, text) in more {
            templates.environment.add_template(name, text).expect("a template");
        }
        templates
    }

    #[test]
    fn every_template_of_every_locale_renders_with_its_sample() {
        let templates = templates(&[]);
        for template in Template::ALL {
            assert!(templates.locales(template).any(|locale| locale == DEFAULT_LOCALE));
            for locale in templates.locales(template) {
                let mail = templates.render_sample(template, locale).expect("renders");
                assert_eq!(mail.locale, locale);
                assert!(!mail.subject.is_empty() && !mail.text.trim().is_empty(), "{template:?}");
                assert!(mail.html.contains(&format!("<title>{}</title>", mail.subject)));
                for (name, value) in template.sample() {
                    let at = format!("{locale}/{template:?}: {name}");
                    let escaped =
                        value.replace('&', "&amp;").replace('<', "&lt;").replace('/', "&#x2f;");
                    assert!(mail.text.contains(value), "{at}");
                    assert!(mail.html.contains(&escaped.replace('>', "&gt;")), "{at}");
                    // It is shown to staff, and stays.
                    assert!(!template.holds_secret() || !mail.subject.contains(value), "{at}");
                }
            }
        }
    }

    #[test]
    fn every_file_belongs_to_a_template_in_two_parts() {
        let templates = templates(&[]);
        for (name, _) in templates.environment.templates() {
            let Some((locale, file)) = name.split_once('/') else { continue };
            let template = file.split_once('.').and_then(|(name, _)| Template::find(name));
            let template = template.unwrap_or_else(|| panic!("{name} is of no use"));
            assert!(templates.has(template, locale), "{name} lacks its other part");
        }
    }

    #[test]
    fn a_locale_falls_back_to_its_language_and_to_english() {
        let templates = templates(&[
            ("de/welcome.txt", "{% set subject %}Willkommen{% endset %}Hallo {{ name }}"),
            (
                "de/welcome.html",
                "{% extends 'layout.html' %}{% block body %}{{ name }}{% endblock %}",
            ),
            ("fr/welcome.txt", "{% set subject %}Bienvenue{% endset %}"),
        ]);
        for (wanted, found) in [
            ("de", "de"),
            ("de-AT", "de"),
            ("en-GB", "en"),
            ("fr", "en"),
            ("pt", "en"),
            ("", "en"),
            ("../de", "en"),
        ] {
            let mail = templates.render_sample(Template::Welcome, wanted).expect("renders");
            assert_eq!(mail.locale, found, "{wanted}");
        }
        let mail = templates.render_sample(Template::Welcome, "de").expect("renders");
        assert!(mail.html.contains(r#"<html lang="de">"#) && mail.subject == "Willkommen");
        assert_eq!(templates.locales(Template::Welcome).collect::<Vec<_>>(), ["de", "en"]);
        assert_eq!(templates.locales(Template::Test).collect::<Vec<_>>(), ["en"]);
    }

    #[test]
    fn a_missing_value_is_a_fault() {
        let render = |values| templates(&[]).render(Template::VerifyEmail, "en", &values);
        assert!(render(context! { minutes => 10 }).is_err());
        assert!(render(context! { code => "1", minutes => 10 }).is_ok());
    }

    #[test]
    fn values_are_escaped_where_they_must_be() {
        let name = "<script>alert(1)</script>\r\nBcc: eve@example.com\r\n\r\n{{ 7 * 7 }}";
        let mail = templates(&[("xx/welcome.txt", "{% set subject %}Hi {{ name }}{% endset %}-")]);
        let part = "{% extends 'layout.html' %}{% block body %}{{ name }}{% endblock %}";
        let mut mail = mail;
        mail.environment.add_template("xx/welcome.html", part).expect("a template");
        let mail = mail.render(Template::Welcome, "xx", &context! { name }).expect("renders");
        assert!(!mail.html.contains("<script") && !mail.html.contains("49"), "{}", mail.html);
        let subject = "Hi <script>alert(1)</script> Bcc: eve@example.com {{ 7 * 7 }}";
        assert_eq!(mail.subject, subject);
    }
}
