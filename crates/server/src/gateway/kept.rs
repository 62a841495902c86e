//! What a socket keeps of the request that opened it: for as long as it is open, so nothing more than is needed, and on its own.
//! As they come, names, values and the URI are slices of what the connection was read into, eight kilobytes.

use axum::extract::{ConnectInfo, Request};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use hyper::upgrade::OnUpgrade;
use std::net::SocketAddr;

/// The same request, with nothing that keeps the connection's buffer, and no extension but the way to upgrade it and where
/// it comes from, which signing in by cookie asks for.
pub fn on_its_own(request: Request) -> Request {
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let peer = parts.extensions.remove::<ConnectInfo<SocketAddr>>();
    parts.extensions.clear();
    upgrade.map(|upgrade| parts.extensions.insert(upgrade));
    peer.map(|peer| parts.extensions.insert(peer));
    if let Ok(uri) = Uri::try_from(parts.uri.to_string()) {
        parts.uri = uri;
    }
    let mut headers = HeaderMap::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        let copies = (HeaderName::from_bytes(name.as_str().as_bytes()), HeaderValue::from_bytes(value.as_bytes()));
        if let (Ok(name), Ok(mut copy)) = copies {
            copy.set_sensitive(value.is_sensitive());
            headers.append(name, copy);
        }
    }
    parts.headers = headers;
    Request::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body::Body;
    use bytes::Bytes;

    #[test]
    fn a_kept_request_says_the_same_and_lets_the_connection_s_buffer_go() {
        let buffer = Bytes::from(b"/socket.io/?EIO=4 aim_session=x".to_vec());
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_maybe_shared(buffer.slice(..17)).unwrap();
        let mut cookie = HeaderValue::from_maybe_shared(buffer.slice(18..)).unwrap();
        cookie.set_sensitive(true);
        request.headers_mut().append("cookie", cookie);
        request.headers_mut().append("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        request.headers_mut().append("x-forwarded-for", HeaderValue::from_static("192.0.2.2"));
        request.extensions_mut().insert(buffer.clone());
        let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4_000)));
        request.extensions_mut().insert(peer);
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let kept = on_its_own(request);
        assert_eq!((kept.uri(), kept.headers()), (&uri, &headers));
        assert!(kept.headers()["cookie"].is_sensitive());
        assert_eq!(kept.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0), Some(peer.0));
        drop((uri, headers));
        assert!(buffer.is_unique(), "something of it is kept");
    }
}
