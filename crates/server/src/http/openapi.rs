//! The OpenAPI document. Handlers describe what is their own; what holds for many of them (errors, rate-limit headers,
//! ways to sign in) is added here, so that it is written once and is never forgotten.

use http::Method;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "aim",
        description = "Messaging between people and characters.\n\nSign in with `POST /api/auth/login` and send its token as \
            `Authorization: Bearer TOKEN`, or use the cookie that it sets. Errors are `application/problem+json` with a \
            `code`. Ids are strings, times RFC 3339 in UTC. Replies arrive over Socket.IO at `/socket.io`.",
    ),
    tags(
        (name = "auth", description = "Accounts, sessions, and what is left of the day's allowance"),
        (name = "users", description = "Profiles"),
        (name = "characters", description = "Those one talks with"),
        (name = "conversations", description = "Between one or more people and one character"),
        (name = "messages", description = "Reading and sending"),
        (name = "search", description = "Finding characters, and what was said"),
        (name = "uploads", description = "Pictures and voice messages"),
        (name = "mail", description = "What one is told by mail"),
        (name = "admin", description = "For operators"),
        (name = "server", description = "The server itself"),
    ),
    components(schemas(super::problem::ProblemBody)),
    security(("bearer" = []), ("cookie" = [])),
)]
struct Frame;

pub(super) fn frame() -> utoipa::openapi::OpenApi {
    Frame::openapi()
}

/// The whole document, as `/api/openapi.json` answers it.
pub fn document() -> Value {
    complete(super::documented().into_openapi())
}

/// Every method and path that the document describes.
pub(super) fn routes(document: &Value) -> impl Iterator<Item = (Method, &str)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS
            .into_iter()
            .filter(|method| item.get(method.as_str().to_ascii_lowercase()).is_some())
            .map(|method| (method, path.as_str()))
    })
}

/// The problems that components name, by status.
const PROBLEMS: [(&str, &str, &str); 9] = [
    ("401", "Unauthenticated", "Not signed in, or the session is over"),
    ("403", "Forbidden", "Not allowed"),
    ("404", "NotFound", "There is no such thing, or it is not yours"),
    ("413", "PayloadTooLarge", "The body is too large"),
    ("415", "UnsupportedMediaType", "The body is of a type that is not taken"),
    ("422", "Invalid", "The request is not valid; `errors` names the fields"),
    ("429", "RateLimited", "Too many requests; `Retry-After` says how many seconds to wait"),
    ("500", "Internal", "Something went wrong on the server"),
    ("503", "Unavailable", "Unavailable for now; trying later may help"),
];

/// Adds what holds for many operations.
pub(super) fn complete(document: utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "The token of a session" },
        "cookie": {
            "type": "apiKey", "in": "cookie", "name": super::identity::SESSION_COOKIE,
            "description": "Set by signing in. A call that changes something must come from this server's pages, or from a listed origin.",
        },
    });
    components["headers"] = json!({
        "RateLimit": {
            "description": "What is left of the rule with the least left: `\"api\";r=99;t=900`, t in seconds",
            "schema": { "type": "string" },
        },
        "RateLimitPolicy": {
            "description": "That rule's limit and window in seconds: `\"api\";q=100;w=900`",
            "schema": { "type": "string" },
        },
        "RetryAfter": { "description": "Seconds to wait", "schema": { "type": "integer" } },
        "RequestId": { "description": "The request's id: the caller's own, or a new one", "schema": { "type": "string" } },
    });
    let responses = PROBLEMS.map(|(status, name, description)| {
        let mut response = json!({
            "description": description,
            "headers": { "X-Request-Id": { "$ref": "#/components/headers/RequestId" } },
            "content": problem_content(),
        });
        if matches!(status, "429" | "503") {
            response["headers"]["Retry-After"] = json!({ "$ref": "#/components/headers/RetryAfter" });
        }
        (name.to_owned(), response)
    });
    components["responses"] = Value::Object(responses.into_iter().collect());

    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            complete_operation(path, operation);
        }
    }
    document
}

fn problem_content() -> Value {
    json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
}

fn complete_operation(path: &str, operation: &mut Value) {
    let is_api = path.starts_with("/api/");
    let signed_in = operation.get("security").is_none();
    let has_body = operation.get("requestBody").is_some();
    let has_input = has_body || operation.get("parameters").is_some();
    let can_fail_by = |status: &str| match status {
        "401" => signed_in,
        "403" => signed_in && (has_body || path.starts_with("/api/admin/")),
        "404" => path.contains('{'),
        "413" | "415" => has_body,
        "422" => has_input,
        "429" => is_api,
        "503" => is_api || path == "/health/ready",
        _ => true,
    };
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        if status.starts_with(['4', '5']) && response.get("content").is_none() {
            response["content"] = problem_content();
        }
        if is_api {
            response["headers"] = rate_headers();
        }
    }
    for (status, name, _) in PROBLEMS.into_iter().filter(|(status, ..)| can_fail_by(status)) {
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        responses.entry(status).or_insert(reference);
    }
}

fn rate_headers() -> Value {
    let names = [("RateLimit", "RateLimit"), ("RateLimit-Policy", "RateLimitPolicy"), ("X-Request-Id", "RequestId")];
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    Value::Object(names.into_iter().map(|(header, name)| (header.to_owned(), reference(name))).collect::<Map<_, _>>())
}
