//! What a letter says, as text and as HTML, and the message made of it.
//!
//! The HTML is one narrow column that follows the reader's light or dark; it loads nothing, so that opening a letter
//! tells nobody. Whatever was typed by people is escaped here and nowhere else.

use crate::Fault;
use aim_domain::Timestamp;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, address::Envelope};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// Who letters are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// `aim <hello@chat.example.org>`, or the address alone.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("{text:?} is no sender; write it as \"aim <hello@chat.example.org>\"");
        text.trim().parse().map(Self).map_err(wrong)
    }

    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// How a reader wants no more of a kind, in one click.
#[derive(Clone, Debug)]
pub struct Unsubscribe {
    /// Takes a POST without any sign-in (RFC 8058).
    pub one_click: String,
    /// The page that does the same.
    pub page: String,
}

/// What a letter says; plain text throughout.
#[derive(Clone, Debug)]
pub struct Letter {
    pub to: String,
    pub subject: String,
    pub heading: String,
    pub paragraphs: Vec<String>,
    /// What the button says, and where it leads.
    pub button: Option<(String, String)>,
    /// Small print.
    pub closing: Vec<String>,
    pub unsubscribe: Option<Unsubscribe>,
}

/// A letter as it goes out.
#[derive(Clone, Debug)]
pub struct Mail {
    pub(crate) id: String,
    pub(crate) envelope: Envelope,
    pub(crate) bytes: Vec<u8>,
    parts: Parts,
}

/// The same in parts, for whoever makes a message of his own of them.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `aim <hello@chat.example.org>`
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// All others that the message has: `Message-ID`, `Date`, how to want no more of it.
    pub headers: Vec<(String, String)>,
}

impl Mail {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The message as it is handed over.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn parts(&self) -> &Parts {
        &self.parts
    }
}

impl Letter {
    /// The message. Its `Message-ID` is made of `id` and so the same whenever the same letter goes out.
    pub fn mail(&self, id: &str, from: &Sender, now: Timestamp) -> Result<Mail, Fault> {
        let wrong = |what: &str| Fault::Never(format!("the letter cannot be made: {what}"));
        let to: Address = self.to.parse().map_err(|_| wrong("the address is none"))?;
        let Sender(from) = from;
        let message_id = format!("<{id}@{}>", from.email.domain());
        let subject = self.subject.replace(['\r', '\n'], " ");
        let mut others =
            vec![("Auto-Submitted", "auto-generated".to_owned()), ("X-Auto-Response-Suppress", "All".to_owned())];
        if let Some(Unsubscribe { one_click, .. }) = &self.unsubscribe {
            others.push(("List-Unsubscribe", format!("<{one_click}>")));
            others.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        let mut message = Message::builder()
            .message_id(Some(message_id.clone()))
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or(0)))
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject.as_str());
        for (name, value) in &others {
            message = message.raw_header(header(name, value));
        }
        let part = |kind: ContentType, body: String| {
            SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(body)
        };
        let (text, html) = (self.text(), self.html());
        let body = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, text.clone()))
            .singlepart(part(ContentType::TEXT_HTML, html.clone()));
        let message = message.multipart(body).map_err(|error| wrong(&error.to_string()))?;
        let date = message.headers().get_raw("Date").unwrap_or_default().to_owned();
        let named = [("Message-ID", message_id), ("Date", date)];
        let headers = named.into_iter().chain(others).map(|(name, value)| (name.to_owned(), value)).collect();
        let (from, to) = (from.to_string(), self.to.clone());
        let parts = Parts { from, to, subject, text, html, headers };
        Ok(Mail { id: id.to_owned(), envelope: message.envelope().clone(), bytes: message.formatted(), parts })
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.heading);
        for paragraph in &self.paragraphs {
            let _ = write!(text, "{paragraph}\n\n");
        }
        if let Some((label, url)) = &self.button {
            let _ = write!(text, "{label}:\n{url}\n\n");
        }
        let _ = writeln!(text, "--");
        for line in &self.closing {
            let _ = writeln!(text, "{line}");
        }
        if let Some(Unsubscribe { page, .. }) = &self.unsubscribe {
            let _ = writeln!(text, "No more letters of this kind: {page}");
        }
        text
    }

    fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
             <meta name=\"supported-color-schemes\" content=\"light dark\"><title>{}</title><style>{STYLE}</style></head>\
             <body class=\"page\"><div class=\"letter\"><p class=\"brand\">aim</p><h1>{}</h1>",
            escape(&self.subject),
            escape(&self.heading)
        );
        for paragraph in &self.paragraphs {
            let _ = write!(html, "<p>{}</p>", escape(paragraph));
        }
        if let Some((label, url)) = &self.button {
            let (label, url) = (escape(label), escape(url));
            let _ = write!(
                html,
                "<p class=\"act\"><a class=\"button\" href=\"{url}\">{label}</a></p>\
                 <p class=\"small\">If the button does nothing, open this address: <a href=\"{url}\">{url}</a></p>"
            );
        }
        html.push_str("<hr>");
        for line in &self.closing {
            let _ = write!(html, "<p class=\"small\">{}</p>", escape(line));
        }
        if let Some(Unsubscribe { page, .. }) = &self.unsubscribe {
            let _ =
                write!(html, "<p class=\"small\"><a href=\"{}\">No more letters of this kind</a></p>", escape(page));
        }
        html.push_str("</div></body></html>");
        html
    }
}

const STYLE: &str = "body{margin:0;padding:24px;background:#f4f2ef;color:#1f1d1a;\
    font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
    .letter{max-width:520px;margin:0 auto;padding:28px;background:#ffffff;border-radius:14px}\
    .brand{margin:0;font-weight:700;letter-spacing:.02em;color:#7a4b2a}h1{font-size:22px;line-height:1.3;margin:12px 0 16px}\
    .act{margin:24px 0}.button{display:inline-block;padding:12px 20px;border-radius:10px;background:#7a4b2a;color:#ffffff;\
    text-decoration:none;font-weight:600}.small{font-size:13px;color:#6b655d;overflow-wrap:anywhere}a{color:#7a4b2a}\
    a.button{color:#ffffff}hr{border:0;border-top:1px solid #e4dfd8;margin:24px 0 12px}\
    @media (prefers-color-scheme:dark){body{background:#161412;color:#ece7e1}.letter{background:#211e1b}.brand,a{color:#e0ad84}\
    .button{background:#e0ad84}a.button{color:#211e1b}.small{color:#a79f95}hr{border-top-color:#3a3531}}";

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Text as HTML shows it, in elements and in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
