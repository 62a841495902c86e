//! A whole server on a free port, and a client that says what it expects.

use aim_domain::{Ambient, Role};
use aim_server::app::{self, Running};
use aim_server::config::Config;
use aim_testkit::model_stub::ModelStub;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

pub struct TestApp {
    pub running: Running,
    pub data: TempDir,
    pub model: ModelStub,
    client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{} {:?}", self.text, self.headers);
        self
    }

    /// Checks that it is a problem with this status and code, in the whole form of the contract.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let body = answer.json();
        assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)), "{body}");
        assert_eq!(body["requestId"], answer.header("x-request-id"));
        for text in ["title", "detail"] {
            assert!(body[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {body}");
        }
        body
    }

    /// `r` of the `RateLimit` header, if it tells of this rule.
    #[track_caller]
    pub fn remaining(&self, rule: &str) -> u64 {
        let text = self.header("ratelimit");
        let rest = text.strip_prefix(&format!("\"{rule}\";r=")).unwrap_or_else(|| panic!("{rule} in {text:?}"));
        rest.split(';').next().unwrap().parse().unwrap()
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub token: String,
}

pub const PASSWORD: &str = "correct horse";

impl TestApp {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With rates and usage lifted.
    pub async fn lifted() -> Self {
        Self::with(&[("AIM_LIMITS__MULTIPLIER", "100000"), ("AIM_USAGE__MULTIPLIER", "100000")]).await
    }

    /// On a clock that the test moves.
    pub async fn at(clock: std::sync::Arc<aim_domain::ManualClock>) -> Self {
        Self::on(Ambient { clock, ..Ambient::system() }, &[("AIM_LIMITS__MULTIPLIER", "1000")]).await
    }

    pub async fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(Ambient::system(), variables).await
    }

    async fn on(ambient: Ambient, variables: &[(&str, &str)]) -> Self {
        let model = ModelStub::start().await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let (base_url, dir) = (model.base_url(), data.path().to_str().unwrap().to_owned());
        let own = [
            ("AIM_HTTP__PORT", "0"),
            ("AIM_DATA__DIR", dir.as_str()),
            ("AIM_AI__PROVIDER", "openai"),
            ("AIM_AI__BASE_URL", base_url.as_str()),
            ("AIM_AI__MODEL", "stub"),
        ];
        let config = Config::with(own.into_iter().chain(variables.iter().copied())).unwrap();
        let running = app::start(config, ambient).await.unwrap();
        // What is compressed is to be seen as it is sent.
        let client = reqwest::Client::builder().no_proxy().no_gzip().redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        Self { running, data, model, client }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        Call { request: self.client.request(method, self.url(path)) }
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    pub async fn person(&self, username: &str) -> Person {
        let form = json!({ "email": format!("{username}@example.test"), "username": username, "password": PASSWORD });
        let body = self.post("/api/auth/register").body(form).send().await.expect(201).json();
        person(&body)
    }

    /// Somebody with the role `admin`, once this server knows of it.
    pub async fn admin(&self, username: &str) -> Person {
        let person = self.person(username).await;
        self.running.platform.set_user(username, None, Some(Role::Admin)).await.unwrap();
        let let_in = async {
            while self.get("/admin/queues/api/queues").by(&person).send().await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), let_in).await.unwrap();
        person
    }

    pub async fn login(&self, login: &str, password: &str) -> Answer {
        self.post("/api/auth/login").body(json!({ "login": login, "password": password })).send().await
    }

    /// The id of a new public character of this person.
    pub async fn character(&self, owner: &Person, name: &str) -> String {
        let draft = json!({ "name": name, "visibility": "public", "greeting": "Ahoy, {{user}}." });
        let body = self.post("/api/characters").by(owner).body(draft).send().await.expect(201).json();
        body["character"]["id"].as_str().unwrap().to_owned()
    }

    /// The id of a conversation of this person with this character.
    pub async fn conversation(&self, who: &Person, character: &str) -> String {
        let body = json!({ "characterId": character });
        let body = self.post("/api/conversations").by(who).body(body).send().await.json();
        body["conversation"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn stop(self) {
        self.running.shutdown().await;
    }
}

pub fn person(signed_in: &Value) -> Person {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let user = &signed_in["user"];
    Person { id: text(&user["id"]), token: text(&signed_in["token"]) }
}

/// One call as it is put together.
pub struct Call {
    request: reqwest::RequestBuilder,
}

impl Call {
    pub fn by(self, who: &Person) -> Self {
        Self { request: self.request.bearer_auth(&who.token) }
    }

    /// With the cookie, as a browser sends it.
    pub fn cookie(self, who: &Person) -> Self {
        self.header("cookie", &format!("theme=dark; aim_session={}", who.token))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        let (name, value) = (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        Self { request: self.request.header(name, value) }
    }

    pub fn body(self, json: Value) -> Self {
        Self { request: self.request.json(&json) }
    }

    pub fn raw(self, content_type: &str, text: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.header("content-type", content_type).body(text) }
    }

    /// A file in the field `file` of a form.
    pub fn file(self, bytes: impl Into<Vec<u8>>) -> Self {
        let part = reqwest::multipart::Part::bytes(bytes.into()).file_name("any.exe").mime_str("text/html").unwrap();
        Self { request: self.request.multipart(reqwest::multipart::Form::new().part("file", part)) }
    }

    pub async fn send(self) -> Answer {
        let response = self.request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned(), bytes: bytes.into() }
    }
}
