//! The Socket.IO protocol, revision 5, over Engine.IO messages: text packets of the namespace `/`.
//!
//! Packets are written once, however many sockets get them.

use engineioxide::Str;
use serde::Serialize;
use serde_json::value::RawValue;

/// What a client sends.
#[derive(Debug, PartialEq)]
pub enum Packet<'a> {
    /// `0`, with the handshake's `auth` where there is one.
    Connect { auth: Option<&'a str> },
    /// `0/other,`: another namespace, which there is none of.
    ConnectElsewhere { namespace: &'a str },
    /// `1`
    Disconnect,
    /// `2ID["name",payload]`
    Event { ack: Option<u64>, args: &'a str },
}

/// None for what is no packet, and for what we never ask of a client: acknowledgements and binary packets.
pub fn decode(text: &str) -> Option<Packet<'_>> {
    let (kind, rest) = (text.as_bytes().first()?, text.get(1..)?);
    if let (b'0', Some(namespace)) =
        (kind, rest.strip_prefix('/').filter(|rest| !rest.is_empty() && !rest.starts_with(',')))
    {
        let end = namespace.find(',').unwrap_or(namespace.len());
        return Some(Packet::ConnectElsewhere { namespace: &rest[..=end] });
    }
    let rest = rest.strip_prefix("/,").unwrap_or(rest);
    match kind {
        b'0' => Some(Packet::Connect { auth: Some(rest).filter(|rest| !rest.is_empty()) }),
        b'1' => Some(Packet::Disconnect),
        b'2' => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (id, args) = rest.split_at(digits);
            let ack = if id.is_empty() { None } else { Some(id.parse().ok()?) };
            Some(Packet::Event { ack, args })
        }
        _ => None,
    }
}

/// The name and the payload of an event's `["name",payload]`; a payload that is left out is null.
pub fn event(args: &str) -> Option<(String, &RawValue)> {
    let args: Vec<&RawValue> = serde_json::from_str(args).ok()?;
    let name = serde_json::from_str(args.first()?.get()).ok()?;
    Some((name, args.get(1).copied().unwrap_or(RawValue::NULL)))
}

/// An event whose payload is JSON already.
pub fn encode_event(name: &str, payload: &str) -> Str {
    format!("2[\"{name}\",{payload}]").into()
}

pub fn encode_ack(id: u64, payload: &impl Serialize) -> Str {
    let payload = serde_json::to_string(payload).unwrap_or_else(|_| "null".into());
    format!("3{id}[{payload}]").into()
}

pub fn encode_connected(sid: &str) -> Str {
    format!("0{{\"sid\":\"{sid}\"}}").into()
}

/// A refused handshake: `message` for a person, `data` for a program.
pub fn encode_refused(namespace: &str, message: &str, data: &impl Serialize) -> Str {
    let parting = if namespace.is_empty() { "" } else { "," };
    let error = serde_json::json!({ "message": message, "data": data });
    format!("4{namespace}{parting}{error}").into()
}

pub const DISCONNECT: &str = "1";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packets_of_the_default_namespace_are_read_in_both_spellings() {
        assert_eq!(decode("0"), Some(Packet::Connect { auth: None }));
        assert_eq!(decode("0{\"token\":\"t\"}"), Some(Packet::Connect { auth: Some("{\"token\":\"t\"}") }));
        assert_eq!(decode("0/,{}"), Some(Packet::Connect { auth: Some("{}") }));
        assert_eq!(decode("1"), Some(Packet::Disconnect));
        assert_eq!(decode("217[\"typing\",{}]"), Some(Packet::Event { ack: Some(17), args: "[\"typing\",{}]" }));
        assert_eq!(decode("2[\"typing\"]"), Some(Packet::Event { ack: None, args: "[\"typing\"]" }));
    }

    #[test]
    fn other_namespaces_are_told_apart() {
        assert_eq!(decode("0/admin,{}"), Some(Packet::ConnectElsewhere { namespace: "/admin" }));
        assert_eq!(decode("0/admin"), Some(Packet::ConnectElsewhere { namespace: "/admin" }));
    }

    #[test]
    fn what_is_no_packet_of_ours_is_refused() {
        for text in ["", "3[]", "51-[\"x\"]", "9", "é", "299999999999999999999999[]"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert!(event("[1]").is_none());
        assert!(event("{").is_none());
        let (name, payload) = event("[\"a\\\"b\",{\"x\":1}]").unwrap();
        assert_eq!((name.as_str(), payload.get()), ("a\"b", "{\"x\":1}"));
    }
}
