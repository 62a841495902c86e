//! `/api/conversations/{id}/members` and `…/invites`, and `/api/invites/{token}`: the people of a conversation.

use super::Site;
use super::conversations::{ConversationAnswer, answer};
use super::extract::{Caller, Json, Named};
use super::problem::Result;
use aim_domain::{ConversationId, Invite, InviteId, Participant, UserId};
use aim_platform::{InviteForm, InvitePreview};
use axum::extract::State;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list_members, add_member, remove_member))
        .routes(routes!(list_invites, create_invite))
        .routes(routes!(revoke_invite))
        .routes(routes!(read_invite, accept_invite))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberForm {
    user_id: UserId,
}

#[derive(Serialize, ToSchema)]
struct MemberList {
    items: Vec<Participant>,
}

#[derive(Serialize, ToSchema)]
struct InviteList {
    items: Vec<Invite>,
}

#[derive(Serialize, ToSchema)]
struct NewInvite {
    #[serde(flatten)]
    invite: Invite,
    /// Where the link leads.
    url: String,
    /// Shown this once.
    token: String,
}

#[derive(Serialize, ToSchema)]
struct NewInviteAnswer {
    invite: NewInvite,
}

#[derive(Serialize, ToSchema)]
struct InviteAnswer {
    invite: InvitePreview,
}

/// Who is in a conversation
///
/// The owner first, then the guests as they came.
#[utoipa::path(
    get, path = "/api/conversations/{id}/members", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "The people", body = MemberList)),
)]
async fn list_members(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<axum::Json<MemberList>> {
    Ok(axum::Json(MemberList { items: site.platform.members(&caller, &id).await? }))
}

/// Brings somebody in; the owner may
///
/// A conversation has 50 people at the most.
#[utoipa::path(
    post, path = "/api/conversations/{id}/members", tag = "conversations", params(("id" = ConversationId, Path)), request_body = MemberForm,
    responses((status = 200, description = "The conversation as it is now", body = ConversationAnswer), (status = 409, description = "As many people are in as may be")),
)]
async fn add_member(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    Json(form): Json<MemberForm>,
) -> Result<axum::Json<ConversationAnswer>> {
    Ok(answer(site.platform.add_member(&caller, &id, &form.user_id).await?))
}

/// Takes somebody out; the owner may, and each guest himself
///
/// They hear nothing more of it, and their sockets are told `conversation:removed`. What they said stays; what of it waits
/// is still answered. Links from before do not let in again whom the owner took out.
#[utoipa::path(
    delete, path = "/api/conversations/{id}/members", tag = "conversations", params(("id" = ConversationId, Path)), request_body = MemberForm,
    responses((status = 204, description = "No longer a member"), (status = 409, description = "The owner cannot leave")),
)]
async fn remove_member(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    Json(form): Json<MemberForm>,
) -> Result<StatusCode> {
    site.platform.remove_member(&caller, &id, &form.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a link that lets people in; the owner may
///
/// Its token is shown this once. A conversation has 20 such links at the most that are open.
#[utoipa::path(
    post, path = "/api/conversations/{id}/invites", tag = "conversations", params(("id" = ConversationId, Path)), request_body = InviteForm,
    responses((status = 201, description = "The link", body = NewInviteAnswer), (status = 409, description = "As many links are open as may be")),
)]
async fn create_invite(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    headers: HeaderMap,
    Json(form): Json<InviteForm>,
) -> Result<(StatusCode, axum::Json<NewInviteAnswer>)> {
    let made = site.platform.create_invite(&caller, &id, form).await?;
    let url = format!("{}/invite/{}", address(&site, &headers), made.token);
    let invite = NewInvite { invite: made.invite, url, token: made.token };
    Ok((StatusCode::CREATED, axum::Json(NewInviteAnswer { invite })))
}

/// What people reach this server by: as configured, else as whoever asks reached it.
fn address(site: &Site, headers: &HeaderMap) -> String {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST);
    let page = header(ORIGIN).filter(|origin| site.origins.may_act(origin, host));
    match (site.config.mail.public_url.is_empty(), page, host) {
        (true, Some(page), _) => page.trim_end_matches('/').to_owned(),
        (true, None, Some(host)) => format!("http://{host}"),
        _ => site.config.public_url(),
    }
}

/// The links that let somebody in still, without their tokens; the owner may
#[utoipa::path(
    get, path = "/api/conversations/{id}/invites", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "The newest first", body = InviteList)),
)]
async fn list_invites(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<axum::Json<InviteList>> {
    Ok(axum::Json(InviteList { items: site.platform.invites(&caller, &id).await? }))
}

/// Withdraws a link; the owner may
#[utoipa::path(
    delete, path = "/api/conversations/{id}/invites/{inviteId}", tag = "conversations",
    params(("id" = ConversationId, Path), ("inviteId" = InviteId, Path)),
    responses((status = 204, description = "It lets nobody in any more")),
)]
async fn revoke_invite(
    State(site): State<Site>,
    caller: Caller,
    Named((id, invite)): Named<(ConversationId, InviteId)>,
) -> Result<StatusCode> {
    site.platform.revoke_invite(&caller, &id, &invite).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a link leads to
#[utoipa::path(
    get, path = "/api/invites/{token}", tag = "conversations", params(("token" = String, Path)),
    responses((status = 200, description = "The conversation, and who invites", body = InviteAnswer)),
)]
async fn read_invite(
    State(site): State<Site>,
    caller: Caller,
    Named(token): Named<String>,
) -> Result<axum::Json<InviteAnswer>> {
    Ok(axum::Json(InviteAnswer { invite: site.platform.preview_invite(&caller, &token).await? }))
}

/// Comes in by a link
///
/// Who is in already stays so, and is not counted again.
#[utoipa::path(
    post, path = "/api/invites/{token}", tag = "conversations", params(("token" = String, Path)),
    responses((status = 200, description = "The conversation", body = ConversationAnswer), (status = 409, description = "As many people are in as may be")),
)]
async fn accept_invite(
    State(site): State<Site>,
    caller: Caller,
    Named(token): Named<String>,
) -> Result<axum::Json<ConversationAnswer>> {
    Ok(answer(site.platform.accept_invite(&caller, &token).await?))
}
