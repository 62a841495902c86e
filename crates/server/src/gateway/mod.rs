//! Real time: Socket.IO over Engine.IO (`engineioxide`), rooms in order, sockets that close with their session.
//!
//! The Socket.IO layer is our own: a refused handshake carries `data.code`, an event is encoded once for a whole room, and
//! a client that cannot keep up is known by name and told to join again. It decides nothing about conversations.

mod client;
mod events;
mod kept;
mod looks;
mod lost;
mod packet;
mod room;
mod rooms;
mod told;
mod users;

use aim_backbone::bus::{RoomNote, Sink, UserNote};
use aim_backbone::link::one_budget;
use aim_domain::event::EventError;
use aim_domain::{Code, ConversationId, Member, Refusal, TokenHash, UserEvent, UserId};
use aim_platform::Platform;
use aim_store::Change;
use bytes::Bytes;
use client::{Arrival, Client, Identity, Socket};
use engineioxide::config::EngineIoConfig;
use engineioxide::handler::EngineIoHandler;
use engineioxide::service::EngineIoService;
use engineioxide::socket::Sid;
use engineioxide::{DisconnectReason, Str};
use futures::FutureExt;
use parking_lot::Mutex;
use rooms::Rooms;
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use users::Users;

const PATH: &str = "/socket.io";
/// A socket that does not ask to connect within this time is closed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Events that may wait for a client to read them; more, and it is told to join again.
const BUFFER: usize = 1_024;
/// The largest packet of a client, in bytes: 8,000 characters of a message in JSON escapes fit.
const MAX_PACKET: usize = 128 * 1024;
/// What each socket keeps to read into, in bytes, for as long as it is open: most packets of a client fit, and longer ones are
/// read in pieces.
const READ_BUFFER: usize = 1_024;
/// A client that cannot keep up for this long is let go.
const MAX_LAG: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_secs(1);

/// Signs a handshake in by its cookie; the `http` room knows how.
pub type CookieSignIn = Arc<
    dyn Fn(Arc<http::request::Parts>) -> futures::future::BoxFuture<'static, Result<Arc<Member>, Refusal>>
        + Send
        + Sync,
>;

pub struct Gateway {
    platform: Platform,
    cookie: CookieSignIn,
    rooms: Arc<Rooms>,
    users: Users,
    lagging: Arc<Lagging>,
    told: told::Told,
    lost: lost::Lost,
    looks: Arc<looks::Looks>,
    /// How often members of some conversation may have changed.
    member_changes: AtomicU64,
}

/// Sockets whose buffer was full, with the rooms that they have to join again.
#[derive(Default)]
struct Lagging(Mutex<Vec<Lag>>);

struct Lag {
    socket: Socket,
    rooms: HashSet<ConversationId>,
    since: Instant,
}

impl Lagging {
    fn note(&self, socket: Socket, room: &ConversationId) {
        metrics::counter!("aim_socket_overflows_total").increment(1);
        let mut lagging = self.0.lock();
        match lagging.iter_mut().find(|lag| lag.socket.id == socket.id) {
            Some(lag) => {
                lag.rooms.insert(room.clone());
            }
            None => lagging.push(Lag { socket, rooms: HashSet::from([room.clone()]), since: Instant::now() }),
        }
    }
}

#[derive(Deserialize)]
struct HandshakeAuth {
    token: Option<String>,
}

impl Gateway {
    /// Begins to listen on the bus.
    pub fn new(platform: Platform, cookie: CookieSignIn) -> Arc<Self> {
        let lagging = Arc::new(Lagging::default());
        let noted = lagging.clone();
        let note = Box::new(move |socket: Socket, room: &ConversationId| noted.note(socket, room));
        let looks = Arc::new(looks::Looks::default());
        let hinted = looks.clone();
        let rooms = Rooms::new(platform.clone(), note, Box::new(move |room| hinted.room(room)));
        let rooms = Arc::new(rooms);
        let gateway = Arc::new(Self {
            users: Users::new(platform.clone()),
            platform,
            cookie,
            rooms,
            lagging,
            told: told::Told::default(),
            lost: lost::Lost::default(),
            looks,
            member_changes: AtomicU64::new(0),
        });
        gateway.platform.backbone.bus.listen(gateway.clone());
        gateway
    }

    /// Serves `/socket.io/`.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        let config = EngineIoConfig::builder()
            .req_path(PATH)
            .max_buffer_size(BUFFER)
            .max_payload(MAX_PACKET as u64)
            .ws_read_buffer_size(READ_BUFFER)
            .ws_max_message_size(MAX_PACKET)
            .ws_max_frame_size(MAX_PACKET)
            .build();
        let service = EngineIoService::with_config(Arc::new(Handler(self.clone())), config);
        let router = axum::Router::new().route_service(PATH, service.clone()).route_service("/socket.io/", service);
        router.layer(axum::middleware::map_request(async |request| kept::on_its_own(request)))
    }

    /// Follows changed sessions and members, helps sockets that lag, and compares rooms that wait, and those that missed
    /// something, with the store, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // Side by side: a store that is slow to compare rooms must not hold up a revocation.
        let work = async {
            tokio::join!(
                self.follow_changes(),
                self.keep_pace(),
                self.told.keep_telling(),
                self.make_good(),
                self.look()
            )
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = work => {}
        }
    }

    async fn follow_changes(self: &Arc<Self>) {
        let mut changes = self.platform.changes();
        loop {
            match changes.recv().await {
                Ok(Change::Session { id, user, .. }) => {
                    self.users.of_session(&user, &id).iter().for_each(|one| self.close(one))
                }
                Ok(Change::Conversation { id }) => {
                    self.member_changes.fetch_add(1, Ordering::SeqCst);
                    self.looks.room(&id);
                    self.rooms.compare_soon(&id);
                }
                Ok(Change::Withdrawn { conversation }) => self.rooms.look_anew(&conversation),
                Ok(Change::Gallery { id }) => self.looks.gallery(&id),
                Ok(Change::Member { conversation, user }) => self.looks.person(&user, &conversation),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    self.member_changes.fetch_add(1, Ordering::SeqCst);
                    self.look_at_all().await;
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn keep_pace(self: &Arc<Self>) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.relieve();
            let (wait, at_rest): (Vec<_>, Vec<_>) =
                self.rooms.all().into_iter().partition(|room| room.awaits_reply() || room.has_gap());
            for room in wait {
                self.rooms.catch_up(&room).await;
                self.rooms.check_turn(&room).await;
            }
            // Nobody tells of what is said on other servers.
            if self.platform.backbone.is_cut_off() {
                self.rooms.look_for_news(&at_rest).await;
            }
        }
    }

    /// Tells sockets that have room again to join anew, and closes those that never have.
    fn relieve(&self) {
        let lagging = std::mem::take(&mut *self.lagging.0.lock());
        for mut lag in lagging {
            lag.rooms.retain(|id| {
                let event = aim_domain::RoomEvent::Resync { conversation_id: id.clone() };
                room::encode(&event).is_some_and(|packet| lag.socket.emit(packet).is_err())
            });
            if lag.rooms.is_empty() || lag.socket.is_closed() {
                continue;
            }
            if lag.since.elapsed() > MAX_LAG {
                lag.socket.close(DisconnectReason::TransportError);
            } else {
                self.lagging.0.lock().push(lag);
            }
        }
    }

    async fn let_go(&self, socket: &Socket, id: &ConversationId) {
        self.end_typing(socket, id).await;
        socket.data.leave(id);
        self.rooms.leave(id, socket.id).await;
    }

    async fn look_at_all(self: &Arc<Self>) {
        self.looks.forget();
        for socket in self.users.all() {
            self.check_session(&socket).await;
        }
        for room in self.rooms.all() {
            self.looks.room(&room.id);
            self.rooms.compare(&room).await;
        }
    }

    /// Closes a socket whose session is over.
    async fn check_session(&self, socket: &Socket) {
        let Some(identity) = socket.data.identity() else { return };
        let known = self.platform.authenticate_hash(&identity.token).await;
        if known.is_err_and(|refusal| refusal.code == Code::Unauthenticated) {
            self.close(socket);
        }
    }

    /// Ends a socket from our side; its client does not come back by itself.
    fn close(&self, socket: &Socket) {
        let _ = socket.emit(packet::DISCONNECT);
        let socket = socket.clone();
        // The packet needs a moment to leave before the connection does.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            socket.close(DisconnectReason::ClosingServer);
        });
    }

    /// Closes every socket: its client connects again, to another server or to this one when it is back.
    pub fn close_all(&self) {
        for socket in self.users.all() {
            socket.close(DisconnectReason::ClosingServer);
        }
    }

    async fn handle(self: &Arc<Self>, socket: &Socket, text: &str) {
        match (packet::decode(text), socket.data.identity()) {
            (Some(packet::Packet::Event { ack, args }), Some(identity)) => {
                self.on_event(socket, &identity, ack, args).await
            }
            (Some(packet::Packet::Connect { auth }), None) => self.connect(socket, auth).await,
            (Some(packet::Packet::ConnectElsewhere { namespace }), _) => {
                let error = EventError::from(&Refusal::not_found("namespace"));
                let _ = socket.emit(packet::encode_refused(namespace, "Invalid namespace", &error));
            }
            (Some(packet::Packet::Disconnect), _) => socket.close(DisconnectReason::TransportClose),
            _ => socket.close(DisconnectReason::PacketParsingError),
        }
    }

    async fn connect(self: &Arc<Self>, socket: &Socket, auth: Option<&str>) {
        match self.sign_in(socket, auth).await {
            Ok(who) => {
                let identity = Identity {
                    token: who.session.token_hash.clone(),
                    session: who.session.id.clone(),
                    user: who.user_id().clone(),
                };
                if socket.data.sign_in(identity) {
                    let _ = socket.emit(packet::encode_connected(&socket.id.to_string()));
                    self.users.enter(who.user_id(), socket).await;
                    // Revoked between the look at the session and here, nobody would have found this socket to close.
                    self.check_session(socket).await;
                }
            }
            Err(refusal) => {
                let refused = packet::encode_refused("", &refusal.detail, &EventError::from(&refusal));
                let _ = socket.emit(refused);
            }
        }
    }

    async fn sign_in(&self, socket: &Socket, auth: Option<&str>) -> Result<Arc<Member>, Refusal> {
        let token = auth.and_then(|auth| serde_json::from_str::<HandshakeAuth>(auth).ok()).and_then(|auth| auth.token);
        match token {
            Some(token) => self.platform.authenticate_hash(&TokenHash::of(&token)).await,
            None => (self.cookie)(Arc::new(socket.req_parts.clone())).await,
        }
    }
}

impl Sink for Gateway {
    fn room(&self, conversation: &ConversationId, note: Arc<RoomNote>) {
        self.rooms.deliver(conversation, note);
    }

    fn user(&self, user: &UserId, note: Arc<UserNote>) {
        let Some(packet) = room::encode(&note.event) else { return };
        let origin = note.origin.as_ref().and_then(|origin| origin.socket.parse::<Sid>().ok());
        for socket in self.users.of(user) {
            match &note.event {
                UserEvent::Usage { character_id, .. } if origin == Some(socket.id) => {
                    self.told.note(socket, character_id.clone(), packet.clone());
                }
                // Its room tells it, as long as there is one.
                UserEvent::Activity { conversation_id, last_message: Some(_), .. }
                    if socket.data.is_in(conversation_id) => {}
                UserEvent::Read { .. } if origin == Some(socket.id) => {}
                _ => {
                    let _ = socket.emit(packet.clone());
                }
            }
        }
    }

    fn lost(&self, conversation: &ConversationId) {
        self.lost.room(conversation);
    }

    fn lost_user(&self, user: &UserId) {
        self.lost.user(user);
    }
}

/// What `engineioxide` calls.
pub struct Handler(Arc<Gateway>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl EngineIoHandler for Handler {
    type Data = Client;

    fn on_connect(self: Arc<Self>, socket: Socket) {
        metrics::gauge!("aim_sockets").increment(1.0);
        let socket = Arc::downgrade(&socket);
        tokio::spawn(async move {
            tokio::time::sleep(CONNECT_TIMEOUT).await;
            if let Some(socket) = socket.upgrade().filter(|socket| socket.data.identity().is_none()) {
                socket.close(DisconnectReason::TransportError);
            }
        });
    }

    fn on_disconnect(&self, socket: Socket, _: DisconnectReason) {
        metrics::gauge!("aim_sockets").decrement(1.0);
        let (identity, rooms) = socket.data.close();
        let gateway = self.0.clone();
        tokio::spawn(async move {
            for room in rooms {
                gateway.end_typing(&socket, &room).await;
                gateway.rooms.leave(&room, socket.id).await;
            }
            if let Some(identity) = identity {
                gateway.users.leave(&identity.user, &socket).await;
            }
        });
    }

    fn on_message(self: &Arc<Self>, message: Str, socket: Socket) {
        match socket.data.arrive(message) {
            Arrival::Handle(first) => {
                let gateway = self.0.clone();
                tokio::spawn(async move {
                    let mut next = Some(first);
                    while let Some(packet) = next {
                        if AssertUnwindSafe(one_budget(gateway.handle(&socket, &packet))).catch_unwind().await.is_err()
                        {
                            // Nobody would handle what it sends from here on.
                            socket.close(DisconnectReason::TransportError);
                            return;
                        }
                        next = socket.data.next();
                    }
                });
            }
            Arrival::Waits => {}
            Arrival::Full => {
                tracing::warn!(sid = %socket.id, "a client sends faster than it can be served: its socket is closed");
                socket.close(DisconnectReason::PacketParsingError);
            }
        }
    }

    fn on_binary(self: &Arc<Self>, _: Bytes, socket: Socket) {
        socket.close(DisconnectReason::PacketParsingError);
    }
}

#[cfg(test)]
mod tests;
