//! `/api/auth/*`: registering, signing in and out, devices, and what is left of the day's allowance.

use super::Site;
use super::extract::{Caller, Json, Named, Visit};
use super::identity::{Credential, cookie_header};
use super::problem::{Problem, Result};
use super::rates::Counted;
use aim_domain::{CharacterId, Session, SessionId, Timestamp, Undelivered, Usage, User};
use aim_platform::{AttemptReport, Device, Registration, SignInReport, SignedIn, UsageReport};
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(change_password))
        .routes(routes!(change_email))
        .routes(routes!(me))
        .routes(routes!(sessions))
        .routes(routes!(revoke_session))
        .routes(routes!(usage))
        .routes(routes!(usage_of))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RegisterForm {
    #[schema(format = "email", max_length = 254)]
    email: String,
    /// Compared without case.
    #[schema(pattern = "^[A-Za-z0-9_]{3,30}$")]
    username: String,
    #[schema(min_length = 8, max_length = 256, format = "password")]
    password: String,
    /// The username unless it is given.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 60)]
    display_name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
struct LoginForm {
    /// The email or the username.
    login: String,
    #[schema(format = "password")]
    password: String,
    /// To have an account back that was deleted and is not erased yet.
    #[serde(default)]
    restore: bool,
}

#[derive(Deserialize, ToSchema)]
struct PasswordForm {
    #[schema(format = "password")]
    current: String,
    #[schema(min_length = 8, max_length = 256, format = "password")]
    new: String,
}

#[derive(Deserialize, ToSchema)]
struct EmailForm {
    #[schema(format = "email", max_length = 254)]
    email: String,
    /// The account's.
    #[schema(format = "password")]
    password: String,
}

/// A session that has begun. The same token is set as the cookie `aim_session`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignedInAnswer {
    user: User,
    /// For `Authorization: Bearer`; it is told once and stored nowhere.
    token: String,
    /// Moves on with every use.
    expires_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub(super) struct UserAnswer {
    pub user: User,
}

/// One's own account.
#[derive(Serialize, ToSchema)]
struct MeAnswer {
    user: Me,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Me {
    #[serde(flatten)]
    user: User,
    /// Whether a link that was sent to `email` was followed.
    email_confirmed: bool,
    /// Why the last of these links could not be delivered; null when it was, or is on its way
    #[schema(inline)]
    email_failure: Option<EmailFailure>,
}

#[derive(Serialize, ToSchema)]
struct EmailFailure {
    /// When that was known.
    at: Timestamp,
    /// The other mail server refused it, it was tried too often, or it may have arrived
    #[schema(inline)]
    reason: Undelivered,
}

/// One session of one's own.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceItem {
    id: SessionId,
    /// As its `User-Agent` says.
    device: String,
    created_at: Timestamp,
    /// To the hour.
    last_used_at: Timestamp,
    expires_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

#[derive(Serialize, ToSchema)]
struct DeviceList {
    /// The newest first.
    items: Vec<DeviceItem>,
}

pub(super) fn device(headers: &HeaderMap, visit: &Visit) -> Device {
    let name = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Device { name: name.to_owned(), address: visit.address.to_string() }
}

fn signed_in(site: &Site, visit: &Visit, status: StatusCode, report: SignInReport) -> Response {
    reported(report, |signed_in| {
        let cookie = cookie_header(Some(&signed_in.token), site.config.auth.session, visit.secure);
        let SignedIn { user, token, expires_at, .. } = signed_in;
        let answer = SignedInAnswer { user, token, expires_at };
        (status, AppendHeaders([(header::SET_COOKIE, cookie)]), axum::Json(answer)).into_response()
    })
}

/// What came of an attempt, with where it stands with `auth`.
pub(super) fn reported<T>(report: AttemptReport<T>, answer: impl FnOnce(T) -> Response) -> Response {
    let mut response = match report.outcome {
        Ok(done) => answer(done),
        Err(refusal) => Problem(refusal).into_response(),
    };
    if let Some(standing) = report.standing {
        response.extensions_mut().insert(Counted(standing));
    }
    response
}

/// Makes an account and signs in
#[utoipa::path(
    post, path = "/api/auth/register", tag = "auth", security(()), request_body = RegisterForm,
    responses((status = 201, description = "The account, signed in", body = SignedInAnswer), (status = 409, description = "Email or username is taken")),
)]
async fn register(
    State(site): State<Site>,
    visit: Visit,
    headers: HeaderMap,
    Json(form): Json<RegisterForm>,
) -> Response {
    let RegisterForm { email, username, password, display_name } = form;
    let registration = Registration { email, username, password, display_name };
    let report = site.platform.register(registration, &device(&headers, &visit)).await;
    signed_in(&site, &visit, StatusCode::CREATED, report)
}

/// Signs in
///
/// Five attempts in 15 minutes, by address and by login name, then it is blocked for 15 minutes.
#[utoipa::path(
    post, path = "/api/auth/login", tag = "auth", security(()), request_body = LoginForm,
    responses((status = 200, description = "Signed in", body = SignedInAnswer), (status = 401, description = "Login and password do not fit together"),
        (status = 403, description = "The account is suspended; `detail` says until when, and why"),
        (status = 409, description = "The account was deleted: `restore` has it back")),
)]
async fn login(State(site): State<Site>, visit: Visit, headers: HeaderMap, Json(form): Json<LoginForm>) -> Response {
    let report = site.platform.login(&form.login, &form.password, form.restore, &device(&headers, &visit)).await;
    signed_in(&site, &visit, StatusCode::OK, report)
}

pub(super) type WithCookie = (StatusCode, AppendHeaders<[(HeaderName, HeaderValue); 1]>);

/// 204, and no cookie from here on.
pub(super) fn signed_out(site: &Site, visit: &Visit) -> WithCookie {
    let cookie = cookie_header(None, site.config.auth.session, visit.secure);
    (StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)]))
}

/// Ends the session
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", responses((status = 204, description = "Signed out")))]
async fn logout(State(site): State<Site>, visit: Visit, caller: Caller) -> Result<WithCookie> {
    site.platform.logout(&caller).await?;
    Ok(signed_out(&site, &visit))
}

/// Changes one's password
///
/// All other devices are signed out. Counts as an attempt to sign in.
#[utoipa::path(
    post, path = "/api/auth/password", tag = "auth", request_body = PasswordForm,
    responses((status = 204, description = "Changed")),
)]
async fn change_password(
    State(site): State<Site>,
    visit: Visit,
    caller: Caller,
    headers: HeaderMap,
    Json(form): Json<PasswordForm>,
) -> Response {
    let report = site.platform.change_password(&caller, form.current, form.new, &device(&headers, &visit)).await;
    reported(report, |()| StatusCode::NO_CONTENT.into_response())
}

/// Changes one's address
///
/// It counts as not confirmed until the link in the mail that is sent there was followed. Counts as an attempt to sign in.
#[utoipa::path(
    post, path = "/api/auth/email", tag = "auth", request_body = EmailForm,
    responses((status = 200, description = "The account as it is now", body = UserAnswer), (status = 409, description = "The address is taken")),
)]
async fn change_email(
    State(site): State<Site>,
    visit: Visit,
    caller: Caller,
    headers: HeaderMap,
    Json(form): Json<EmailForm>,
) -> Response {
    let report = site.platform.change_email(&caller, &form.email, form.password, &device(&headers, &visit)).await;
    reported(report, |user| axum::Json(UserAnswer { user }).into_response())
}

/// Who is signed in
#[utoipa::path(get, path = "/api/auth/me", tag = "auth", responses((status = 200, description = "The account", body = MeAnswer)))]
async fn me(State(site): State<Site>, visit: Visit, caller: Caller, headers: HeaderMap) -> Result<Response> {
    let user = site.platform.me(&caller).await?;
    let address = site.platform.address_standing(&user.id).await?;
    let email_failure = address.failure.map(|(at, reason)| EmailFailure { at, reason });
    let answer = axum::Json(MeAnswer { user: Me { user, email_confirmed: address.confirmed, email_failure } });
    // The session lives on with every use; so does the browser's cookie, which pages ask for here.
    match Credential::of(&headers) {
        Some(Credential::Cookie(token)) => {
            let cookie = cookie_header(Some(token), site.config.auth.session, visit.secure);
            Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), answer).into_response())
        }
        _ => Ok(answer.into_response()),
    }
}

/// Devices that are signed in
#[utoipa::path(get, path = "/api/auth/sessions", tag = "auth", responses((status = 200, description = "One's own sessions", body = DeviceList)))]
async fn sessions(State(site): State<Site>, caller: Caller) -> Result<axum::Json<DeviceList>> {
    let item = |session: Session| DeviceItem {
        current: session.id == caller.session.id,
        id: session.id,
        device: session.device,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    };
    let items = site.platform.sessions(&caller).await?.into_iter().map(item).collect();
    Ok(axum::Json(DeviceList { items }))
}

/// Signs a device out
///
/// Its open sockets are closed within a second.
#[utoipa::path(
    delete, path = "/api/auth/sessions/{id}", tag = "auth", params(("id" = SessionId, Path)),
    responses((status = 204, description = "Signed out")),
)]
async fn revoke_session(State(site): State<Site>, caller: Caller, Named(id): Named<SessionId>) -> Result<StatusCode> {
    site.platform.revoke_session(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is used and left, by character
#[utoipa::path(get, path = "/api/auth/usage", tag = "auth", responses((status = 200, description = "The last 24 hours", body = UsageReport)))]
async fn usage(State(site): State<Site>, caller: Caller) -> Result<axum::Json<UsageReport>> {
    Ok(axum::Json(site.platform.usage(&caller).await?))
}

/// What is used and left with one character
#[utoipa::path(
    get, path = "/api/auth/usage/{characterId}", tag = "auth", params(("characterId" = CharacterId, Path)),
    responses((status = 200, description = "One character's entry", body = Usage)),
)]
async fn usage_of(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<CharacterId>,
) -> Result<axum::Json<Usage>> {
    Ok(axum::Json(site.platform.usage_of(&caller, &id).await?))
}
