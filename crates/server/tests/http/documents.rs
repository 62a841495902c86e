//! The OpenAPI document says what the server does.

use crate::app::TestApp;
use serde_json::Value;
use std::collections::HashSet;

/// Every call of API.md part 3 that this version serves.
const CALLS: [(&str, &str); 52] = [
    ("post", "/api/auth/register"),
    ("post", "/api/auth/login"),
    ("post", "/api/auth/logout"),
    ("get", "/api/auth/me"),
    ("get", "/api/auth/sessions"),
    ("delete", "/api/auth/sessions/{id}"),
    ("get", "/api/auth/usage"),
    ("get", "/api/auth/usage/{characterId}"),
    ("get", "/api/users/{uid}"),
    ("get", "/api/users/by-username/{username}"),
    ("patch", "/api/users/me"),
    ("delete", "/api/users/me"),
    ("get", "/api/users/me/export"),
    ("get", "/api/users/me/preferences"),
    ("put", "/api/users/me/preferences"),
    ("get", "/api/drafts/{key}"),
    ("put", "/api/drafts/{key}"),
    ("delete", "/api/drafts/{key}"),
    ("post", "/api/auth/password"),
    ("post", "/api/auth/email"),
    ("get", "/api/characters"),
    ("get", "/api/characters/tags"),
    ("get", "/api/search"),
    ("post", "/api/characters"),
    ("get", "/api/characters/{id}"),
    ("patch", "/api/characters/{id}"),
    ("delete", "/api/characters/{id}"),
    ("get", "/api/conversations"),
    ("post", "/api/conversations"),
    ("get", "/api/conversations/{id}"),
    ("patch", "/api/conversations/{id}"),
    ("delete", "/api/conversations/{id}"),
    ("post", "/api/conversations/{id}/members"),
    ("delete", "/api/conversations/{id}/members"),
    ("get", "/api/conversations/{id}/messages"),
    ("post", "/api/conversations/{id}/messages"),
    ("post", "/api/conversations/{id}/messages/{messageId}/retry"),
    ("post", "/api/uploads"),
    ("get", "/api/uploads/{id}"),
    ("delete", "/api/uploads/{id}"),
    ("post", "/api/uploads/tus"),
    ("head", "/api/uploads/tus/{id}"),
    ("patch", "/api/uploads/tus/{id}"),
    ("delete", "/api/uploads/tus/{id}"),
    ("get", "/media/{uploadId}/{variant}"),
    ("post", "/api/conversations/{id}/cancel"),
    ("get", "/api/conversations/{id}/state"),
    ("get", "/api/admin/ai/usage"),
    ("get", "/health"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/metrics"),
];

fn references<'a>(value: &'a Value, found: &mut HashSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.insert(reference);
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_call_is_documented_and_every_reference_resolves() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").send().await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    for (method, path) in CALLS {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
    let mut found = HashSet::new();
    references(&document, &mut found);
    assert!(found.len() > 40);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    app.stop().await;
}

#[tokio::test]
async fn every_operation_says_how_it_is_called_and_fails() {
    let document = aim_server::http::document();
    let mut names = HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name.to_owned()), "{name} twice");
            for part in ["summary", "tags"] {
                assert!(!operation[part].is_null(), "{method} {path} has no {part}");
            }
            let placeholders = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for placeholder in placeholders {
                let told = parameters.iter().any(|one| one["in"] == "path" && one["name"] == placeholder);
                assert!(told, "{method} {path}: {placeholder}");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{method} {path}");
            if path.starts_with("/api/") {
                assert!(responses.contains_key("429"), "{method} {path} can be refused");
                assert_eq!(
                    operation["security"].is_null(),
                    responses.contains_key("401") && name != "login",
                    "{method} {path}"
                );
            }
        }
    }
    for scheme in ["bearer", "cookie"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
    let problem = &document["components"]["schemas"]["Problem"]["properties"];
    for field in ["status", "title", "detail", "code", "requestId", "errors"] {
        assert!(problem[field].is_object(), "{field} in {problem}");
    }
}
