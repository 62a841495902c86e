//! `/dev/mails`, in development alone: the mails that would have been sent, from the folder where they lie. For this
//! machine, or for an administrator: they hold links that sign in.

use super::Site;
use super::identity::{Credential, peer};
use super::problem::{Problem, Result};
use crate::pages;
use aim_domain::{MailId, Refusal};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, header};
use mail_parser::{Message, MessageParser};
use std::fmt::Write;
use std::net::IpAddr;

/// Mails on the page, the newest.
const SHOWN: usize = 200;
/// A larger file is none of ours.
const LARGEST: u64 = 1024 * 1024;

pub(super) fn routes(site: &Site) -> Router<Site> {
    Router::new()
        .route("/dev/mails", get(list))
        .route("/dev/mails/{name}", get(show))
        .route("/dev/mails/{name}/html", get(html))
        .route("/dev/mails/{name}/raw", get(raw))
        .route_layer(from_fn_with_state(site.clone(), guard))
}

/// Lets in who sits at this machine, and administrators.
async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if is_here(headers, peer(request.extensions())) {
        return next.run(request).await;
    }
    let asked = async {
        let Some(credential) = Credential::of(headers) else {
            return Err(Refusal::unauthenticated("Sign in first."));
        };
        let member = site.platform.authenticate(credential.token()).await?;
        if member.is_admin() { Ok(()) } else { Err(Refusal::forbidden("This is for administrators.")) }
    };
    match asked.await {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem(refusal).into_response(),
    }
}

/// From this machine, not through a proxy, and by a name of this machine: a page elsewhere whose name points here does not
/// count.
fn is_here(headers: &HeaderMap, peer: IpAddr) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let local = name == "localhost"
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    peer.to_canonical().is_loopback() && local && !headers.contains_key("x-forwarded-for")
}

async fn read(site: &Site, name: &str) -> Result<Vec<u8>> {
    let missing = || Problem(Refusal::not_found("mail"));
    let id = MailId::parse(name).map_err(|_| missing())?;
    let path = site.config.mail_folder().join(format!("{id}.eml"));
    match tokio::fs::metadata(&path).await {
        Ok(found) if found.is_file() && found.len() <= LARGEST => {}
        _ => return Err(missing()),
    }
    tokio::fs::read(&path).await.map_err(|_| missing())
}

async fn list(State(site): State<Site>) -> Result<Response> {
    let mut names = Vec::new();
    // Without a folder there were no mails yet.
    if let Ok(mut folder) = tokio::fs::read_dir(site.config.mail_folder()).await {
        while let Ok(Some(file)) = folder.next_entry().await {
            if let Some(name) = file.file_name().to_str().and_then(|name| name.strip_suffix(".eml")) {
                names.push(name.to_owned());
            }
        }
    }
    // The ids begin with the time.
    names.sort_unstable_by(|one, other| other.cmp(one));
    names.truncate(SHOWN);
    let mut rows = String::new();
    for name in &names {
        let Ok(bytes) = read(&site, name).await else { continue };
        let Some(message) = MessageParser::default().parse(&bytes) else { continue };
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td><a href=\"/dev/mails/{name}\">{}</a></td></tr>",
            escape(&message.date().map(ToString::to_string).unwrap_or_default()),
            escape(&receiver(&message)),
            escape(message.subject().unwrap_or_default())
        );
    }
    let rest = if rows.is_empty() {
        "<p>No mail was sent yet. Register an account, and its welcome shows here.</p>".to_owned()
    } else {
        format!("<table><thead><tr><th>When</th><th>To</th><th>Subject</th></tr></thead><tbody>{rows}</tbody></table>")
    };
    Ok(page("Mails", &rest))
}

fn receiver(message: &Message) -> String {
    message.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default().to_owned()
}

async fn show(State(site): State<Site>, Path(name): Path<String>) -> Result<Response> {
    let bytes = read(&site, &name).await?;
    let message = parsed(&bytes)?;
    let mut headers = String::new();
    for (name, value) in message.headers_raw() {
        let _ = write!(headers, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value.trim()));
    }
    let text = linked(&escape(&message.body_text(0).unwrap_or_default()));
    let body = format!(
        "<p><a href=\"/dev/mails\">All mails</a> · <a href=\"/dev/mails/{name}/html\">As HTML</a> · \
         <a href=\"/dev/mails/{name}/raw\">As it is sent</a></p><table>{headers}</table><pre>{text}</pre>"
    );
    Ok(page(message.subject().unwrap_or("A mail"), &body))
}

fn parsed(bytes: &[u8]) -> Result<Message<'_>> {
    MessageParser::default().parse(bytes).ok_or_else(|| Problem(Refusal::not_found("mail")))
}

/// Addresses in escaped text as links.
fn linked(escaped: &str) -> String {
    let link = |line: &str| match line.find("http") {
        Some(at) if line[at..].starts_with("http://") || line[at..].starts_with("https://") => {
            let (before, url) = line.split_at(at);
            let end = url.find(char::is_whitespace).unwrap_or(url.len());
            let (url, after) = url.split_at(end);
            format!("{before}<a href=\"{url}\">{url}</a>{after}")
        }
        _ => line.to_owned(),
    };
    escaped.lines().map(link).collect::<Vec<_>>().join("\n")
}

async fn html(State(site): State<Site>, Path(name): Path<String>) -> Result<Response> {
    let bytes = read(&site, &name).await?;
    let body = parsed(&bytes)?.body_html(0).map(std::borrow::Cow::into_owned).unwrap_or_default();
    let mut response = Html(body).into_response();
    // A mail brings its own style, and nothing else.
    const POLICY: &str =
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(private(response))
}

async fn raw(State(site): State<Site>, Path(name): Path<String>) -> Result<Response> {
    let bytes = read(&site, &name).await?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    Ok(private((kind, bytes).into_response()))
}

fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>"
    );
    let mut response = Html(html).into_response();
    pages::guard(response.headers_mut());
    private(response)
}

fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_this_machine_from_this_machine_is_here() {
        for (host, peer, forwarded, here) in [
            ("127.0.0.1:8080", "127.0.0.1", None, true),
            ("localhost:8080", "::1", None, true),
            ("[::1]:8080", "::ffff:127.0.0.1", None, true),
            ("aim.example.test", "127.0.0.1", None, false),
            ("localhost.example.test", "127.0.0.1", None, false),
            ("127.0.0.1:8080", "192.0.2.7", None, false),
            ("localhost", "127.0.0.1", Some("192.0.2.7"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(forwarded) = forwarded {
                headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
            }
            assert_eq!(is_here(&headers, peer.parse().unwrap()), here, "{host} from {peer}");
        }
    }
}
