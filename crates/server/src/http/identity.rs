//! Who calls: the session token in the `Authorization` header or the cookie, and the check of `Origin` that the cookie
//! needs, since a browser sends it for any site.

use super::address::{asked_host, came_over_tls};
use super::origin::Origins;
use crate::config::Config;
use aim_domain::{Member, Refusal};
use aim_platform::Platform;
use axum::extract::ConnectInfo;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub const SESSION_COOKIE: &str = "aim_session";

/// How a token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    Bearer(&'a str),
    Cookie(&'a str),
}

impl<'a> Credential<'a> {
    /// A bearer token wins over the cookie: whoever sends it chose to. Another scheme is none of ours: a proxy in front
    /// may have asked for it.
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| Self::Bearer(token.trim()))
        });
        bearer.or_else(|| session_cookie(headers).map(Self::Cookie))
    }

    pub fn token(self) -> &'a str {
        match self {
            Self::Bearer(token) | Self::Cookie(token) => token,
        }
    }
}

/// The session's token in the cookies, if it is there.
fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == SESSION_COOKIE && !value.is_empty()).then_some(value)
    })
}

/// The cookie that signs a browser in, for `age`; without a token the one that signs it out.
pub fn cookie_header(token: Option<&str>, age: Duration, secure: bool) -> HeaderValue {
    let (value, age) = token.map_or(("", 0), |token| (token, age.as_secs()));
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Where the connection comes from.
pub fn peer(extensions: &http::Extensions) -> IpAddr {
    // Without a socket there is nobody but this process.
    extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip())
}

/// Whether `method` can change anything.
pub(super) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses a cookie that another site's page makes the browser send.
pub(super) fn check_origin(
    headers: &HeaderMap,
    peer: IpAddr,
    config: &Config,
    origins: &Origins,
) -> Result<(), Refusal> {
    let trusted = &config.http.trusted_proxies;
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let tls = came_over_tls(headers, peer, trusted);
    match origin {
        Some(origin) if tls && origin.starts_with("http://") && !origins.is_listed(origin) => {}
        Some(origin) if origins.may_act(origin, asked_host(headers, peer, trusted)) => return Ok(()),
        _ => {}
    }
    Err(Refusal::forbidden(
        "With the session cookie a change must come from this server's own pages or a listed origin. Other clients send the \
         token in the Authorization header.",
    ))
}

/// Who opens a socket with these request parts: by bearer token, or by the cookie if the `Origin` is ours or listed.
/// `unauthenticated` where there is neither.
pub async fn authenticate_parts(parts: &Parts, platform: &Platform, config: &Config) -> Result<Arc<Member>, Refusal> {
    let Some(credential) = Credential::of(&parts.headers) else {
        return Err(Refusal::unauthenticated("Sign in first: send a token, or the session cookie."));
    };
    if let Credential::Cookie(_) = credential {
        let origins = Origins::new(&config.http.allowed_origins);
        check_origin(&parts.headers, peer(&parts.extensions), config, &origins)?;
    }
    platform.authenticate(credential.token()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_found_in_the_header_or_the_cookie() {
        let cookie = headers(&[("cookie", "theme=dark; aim_session=abc; x=y")]);
        assert_eq!(Credential::of(&cookie), Some(Credential::Cookie("abc")));
        let both = headers(&[("authorization", "bearer t0ken"), ("cookie", "aim_session=abc")]);
        assert_eq!(Credential::of(&both), Some(Credential::Bearer("t0ken")));
        let behind_a_proxy = headers(&[("authorization", "Basic eDp5"), ("cookie", "aim_session=abc")]);
        assert_eq!(Credential::of(&behind_a_proxy), Some(Credential::Cookie("abc")));
        for none in [headers(&[("cookie", "aim_sessions=abc")]), headers(&[("authorization", "Basic eDp5")])] {
            assert_eq!(Credential::of(&none), None);
        }
    }

    #[test]
    fn the_cookie_is_for_servers_alone() {
        let cookie = cookie_header(Some("abc"), Duration::from_secs(60), true);
        assert_eq!(cookie, "aim_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        assert_eq!(
            cookie_header(None, Duration::from_secs(60), false),
            "aim_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
