//! What the links in mails lead to: `/api/auth/password/*`, `/api/auth/email/*` and `/api/mail/*`.

use super::Site;
use super::auth::{device, reported};
use super::extract::{Asked, Caller, Json, Visit};
use super::problem::Result;
use aim_domain::{Notice, Refusal};
use aim_platform::{AttemptReport, NoticeChoices};
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(forgot))
        .routes(routes!(reset))
        .routes(routes!(confirm))
        .routes(routes!(resend))
        .routes(routes!(show_unsubscribe, unsubscribe))
        .routes(routes!(notices, choose_notices))
}

#[derive(Deserialize, ToSchema)]
struct ForgotForm {
    /// The email or the username.
    login: String,
}

#[derive(Deserialize, ToSchema)]
struct ResetForm {
    /// From the mail; works once, within an hour.
    token: String,
    #[schema(min_length = 8, max_length = 256, format = "password")]
    password: String,
}

/// A token from a mail.
#[derive(Deserialize, ToSchema)]
struct TokenForm {
    token: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TokenQuery {
    /// From the mail.
    token: String,
}

#[derive(Serialize, ToSchema)]
struct UnsubscribedAnswer {
    /// Of what there is no more.
    notice: Notice,
}

fn done(report: AttemptReport<()>) -> Response {
    reported(report, |()| StatusCode::NO_CONTENT.into_response())
}

/// Sends a link for a new password
///
/// The answer is the same, and comes as soon, whether or not there is such an account. Five attempts in 15 minutes by address.
#[utoipa::path(
    post, path = "/api/auth/password/forgot", tag = "auth", security(()), request_body = ForgotForm,
    responses((status = 204, description = "If there is such an account, a mail is on its way")),
)]
async fn forgot(State(site): State<Site>, visit: Visit, headers: HeaderMap, Json(form): Json<ForgotForm>) -> Response {
    done(site.platform.forgot_password(&form.login, &device(&headers, &visit)).await)
}

/// Sets a new password
///
/// By the token of a mail, which works once. Signs out every device.
#[utoipa::path(
    post, path = "/api/auth/password/reset", tag = "auth", security(()), request_body = ResetForm,
    responses((status = 204, description = "Set")),
)]
async fn reset(State(site): State<Site>, visit: Visit, headers: HeaderMap, Json(form): Json<ResetForm>) -> Response {
    done(site.platform.set_password(&form.token, form.password, &device(&headers, &visit)).await)
}

/// Confirms an address
#[utoipa::path(
    post, path = "/api/auth/email/confirm", tag = "auth", security(()), request_body = TokenForm,
    responses((status = 204, description = "Confirmed")),
)]
async fn confirm(State(site): State<Site>, Json(form): Json<TokenForm>) -> Result<StatusCode> {
    site.platform.confirm_email(&form.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends another link that confirms one's address
///
/// Three in an hour.
#[utoipa::path(
    post, path = "/api/auth/email/resend", tag = "auth",
    responses((status = 204, description = "A mail is on its way"), (status = 409, description = "It is confirmed already")),
)]
async fn resend(State(site): State<Site>, caller: Caller) -> Result<StatusCode> {
    site.platform.resend_confirmation(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leads to the page that ends a notice
///
/// Changes nothing by itself: programs that look through mails follow links.
#[utoipa::path(
    get, path = "/api/mail/unsubscribe", tag = "mail", security(()), params(TokenQuery),
    responses((status = 303, description = "To the page")),
)]
async fn show_unsubscribe(Asked(query): Asked<TokenQuery>) -> Result<Redirect> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if query.token.len() > 256 || !query.token.bytes().all(is_token) {
        return Err(Refusal::invalid("token", "is none").into());
    }
    Ok(Redirect::to(&format!("/unsubscribe?token={}", query.token)))
}

/// Ends a notice in one click
///
/// What mail programs call (RFC 8058), without any sign-in. The body is not read. As often as one likes.
#[utoipa::path(
    post, path = "/api/mail/unsubscribe", tag = "mail", security(()), params(TokenQuery),
    responses((status = 200, description = "There are no more of these", body = UnsubscribedAnswer)),
)]
async fn unsubscribe(
    State(site): State<Site>,
    Asked(query): Asked<TokenQuery>,
) -> Result<axum::Json<UnsubscribedAnswer>> {
    Ok(axum::Json(UnsubscribedAnswer { notice: site.platform.unsubscribe(&query.token).await? }))
}

/// Which notices one gets by mail
#[utoipa::path(
    get, path = "/api/mail/notices", tag = "mail",
    responses((status = 200, description = "One's own choices", body = NoticeChoices)),
)]
async fn notices(State(site): State<Site>, caller: Caller) -> Result<axum::Json<NoticeChoices>> {
    Ok(axum::Json(site.platform.notice_choices(&caller).await?))
}

/// Chooses which notices one gets by mail
#[utoipa::path(
    put, path = "/api/mail/notices", tag = "mail", request_body = NoticeChoices,
    responses((status = 200, description = "As chosen", body = NoticeChoices)),
)]
async fn choose_notices(
    State(site): State<Site>,
    caller: Caller,
    Json(choices): Json<NoticeChoices>,
) -> Result<axum::Json<NoticeChoices>> {
    site.platform.choose_notices(&caller, choices).await?;
    Ok(axum::Json(choices))
}
