use super::*;
use proptest::prelude::*;
use serde_json::json;

const HEADER: &str =
    r#"{"user_name":"Ann","character_name":"Mara","create_date":"2024-1-5@14h03m22s","chat_metadata":{}}"#;

fn lines(lines: &[Value]) -> String {
    lines.iter().fold(format!("{HEADER}\n"), |text, line| text + &line.to_string() + "\n")
}

fn of(text: &str) -> Result<Chat, UnfitChat> {
    read(&mut text.as_bytes())
}

#[test]
fn a_chat_is_read_line_by_line() {
    let text = lines(&[
        json!({"name": "Mara", "is_user": false, "is_system": false, "send_date": "January 5, 2024 2:03pm", "mes": "Ahoy.", "extra": {}}),
        json!({"name": "Ann", "is_user": true, "send_date": 1_704_463_500_000_i64, "mes": "Where are we?"}),
        json!({"name": "Mara", "is_user": false, "mes": "At sea.", "swipe_id": 1, "swipes": ["Lost.", "At sea.", ""],
            "extra": {"api": "openai", "token_count": 12}}),
    ]);
    // As Windows writes it, with a mark of its encoding and empty lines.
    let text = format!("\u{feff}{}\n\n", text.replace('\n', "\r\n"));
    let chat = of(&text).unwrap();
    assert_eq!(chat.began.map(|at| at.to_string()).as_deref(), Some("2024-01-05T14:03:22.000Z"));
    let at = |text: &str| Timestamp::parse(text);
    assert_eq!(
        chat.said,
        [
            Said { at: at("2024-01-05T14:03:00Z"), text: "Ahoy.".into(), ..Said::default() },
            Said { by_user: true, at: at("2024-01-05T14:05:00Z"), text: "Where are we?".into(), ..Said::default() },
            Said {
                text: "At sea.".into(),
                swipes: vec!["Lost.".into(), "At sea.".into()],
                selected: 1,
                ..Said::default()
            },
        ]
    );
    assert_eq!(chat.left_out, 0);
}

#[test]
fn what_says_nothing_is_left_out_and_what_was_hidden_is_not() {
    let text = lines(&[
        json!({"name": "SillyTavern System", "is_user": false, "is_system": true, "mes": "Welcome", "extra": {"type": "welcome"}}),
        json!({"name": "Note", "is_user": false, "is_system": true, "mes": "Mind the gap", "extra": {"type": "comment"}}),
        json!({"name": "Mara", "is_user": false, "is_system": true, "mes": "Long ago", "extra": {}}),
        json!({"name": "Narrator", "is_user": false, "is_system": false, "mes": "Night falls.", "extra": {"type": "narrator"}}),
        json!({"name": "Ann", "is_user": true, "mes": "  "}),
        // Before `is_user` was written for all.
        json!({"name": "Ann", "mes": "Hello"}),
    ]);
    let chat = of(&text).unwrap();
    let said: Vec<_> = chat.said.iter().map(|said| (said.by_user, said.text.as_str())).collect();
    assert_eq!(said, [(false, "Long ago"), (false, "Night falls."), (true, "Hello")]);
    assert_eq!(chat.left_out, 3);
}

#[test]
fn a_chat_without_a_first_line_of_names_is_a_chat() {
    let chat = of(r#"{"name":"Ann","is_user":true,"mes":"Hello"}"#).unwrap();
    assert_eq!((chat.said.len(), chat.said[0].by_user), (1, true));
}

#[test]
fn of_many_swipes_the_chosen_one_stays() {
    let swipes: Vec<_> = (0..50).map(|n| format!("swipe {n}")).collect();
    for (chosen, selected) in [(3, 3), (19, 19), (44, 19), (50, 19), (9_999, 19)] {
        let said = of(&lines(&[json!({"mes": "shown", "is_user": false, "swipe_id": chosen, "swipes": swipes})]));
        let said = said.unwrap().said.remove(0);
        assert_eq!((said.swipes.len(), said.selected), (MAX_SWIPES, selected), "{chosen}");
        assert_eq!(said.swipes[selected], "shown");
    }
    for swipes in [json!([]), json!(["only"]), json!([1, null, {}]), json!("none")] {
        let said = of(&lines(&[json!({"mes": "shown", "is_user": false, "swipe_id": 0, "swipes": swipes})]));
        assert_eq!(said.unwrap().said.remove(0).swipes, [""; 0], "{swipes}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let deep = format!("{HEADER}\n{{\"mes\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
    let wide = format!("{HEADER}\n{{\"mes\":\"a\",\"x\":[{}0]}}", "0,".repeat(300_000));
    let good = json!({"mes": "a"});
    for (text, expected) in [
        ("".to_owned(), UnfitChat::Empty),
        (HEADER.to_owned(), UnfitChat::Empty),
        ("\n\n".to_owned(), UnfitChat::Empty),
        (r#"{"spec":"chara_card_v2","data":{}}"#.to_owned(), UnfitChat::NotAChat),
        ("[1]".to_owned(), UnfitChat::NotAnObject { line: 1 }),
        ("{\n\"mes\": 1}".to_owned(), UnfitChat::NotJson { line: 1, column: 1 }),
        (lines(std::slice::from_ref(&good)) + "{\"mes\":", UnfitChat::NotJson { line: 3, column: 7 }),
        (lines(&[good.clone(), json!("text")]), UnfitChat::NotAnObject { line: 3 }),
        (lines(&[good.clone(), json!({"name": "Ann"})]), UnfitChat::NoText { line: 3 }),
        (lines(&[json!({"mes": 7})]), UnfitChat::NoText { line: 2 }),
        (lines(&[good.clone(), json!({"mes": "x".repeat(MAX_TEXT + 1)})]), UnfitChat::TextTooLong { line: 3 }),
        (lines(&[json!({"mes": "a", "swipes": ["a", "é".repeat(MAX_TEXT + 1)]})]), UnfitChat::TextTooLong { line: 2 }),
        (lines(&[json!({"mes": "a\0b"})]), UnfitChat::Unstorable { line: 2 }),
        (deep, UnfitChat::TooMuch { line: 2 }),
        (wide, UnfitChat::TooMuch { line: 2 }),
        (lines(&vec![good; MAX_SAID + 1]), UnfitChat::TooLong { line: MAX_SAID + 2 }),
    ] {
        assert_eq!(of(&text), Err(expected.clone()), "{expected}");
    }
    assert_eq!(read(&mut &b"{\"mes\":\"\xff\"}"[..]), Err(UnfitChat::NotUtf8 { line: 1 }));
    assert!(of(&lines(&[json!({"mes": "é".repeat(MAX_TEXT)})])).is_ok());
}

#[test]
fn a_line_and_a_file_are_read_no_further_than_they_may_be_long() {
    /// Never ends.
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            bytes.fill(b' ');
            Ok(bytes.len())
        }
    }
    assert_eq!(read(&mut std::io::BufReader::new(Endless)), Err(UnfitChat::LineTooLarge { line: 1 }));
    let line = json!({"mes": "a", "extra": "x".repeat(1 << 20)});
    let text = lines(&vec![line; 17]);
    assert_eq!(of(&text), Err(UnfitChat::FileTooLarge));
}

#[test]
fn what_is_written_is_read() {
    let at = Timestamp::parse("2024-01-05T14:03:22.500Z").unwrap();
    let line = ChatLine { name: "Mara", by_user: false, at, text: "At \"sea\".\n", swipes: &[], selected: 0 };
    let swiped = ChatLine { swipes: &["Lost.", "At \"sea\".\n"], selected: 1, ..line };
    let user = ChatLine { name: "Ann", by_user: true, text: "Hello", ..line };
    let text = write_header("Ann", "Mara", at) + &write_line(&line) + &write_line(&user) + &write_line(&swiped);
    let chat = of(&text).unwrap();
    let said = Said { by_user: false, at: Some(at), text: line.text.into(), ..Said::default() };
    assert_eq!(chat.began, Some(at));
    assert_eq!(
        chat.said,
        [
            said.clone(),
            Said { by_user: true, text: "Hello".into(), ..said.clone() },
            Said { swipes: vec!["Lost.".into(), line.text.into()], selected: 1, ..said },
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_comes_is_a_chat_within_bounds_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = read(&mut &bytes[..]);
    }

    #[test]
    fn what_looks_like_a_chat_is_within_bounds_or_refused(lines in proptest::collection::vec(anything(), 0..12), header: bool) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let text = if header { format!("{HEADER}\n{text}") } else { text };
        if let Ok(chat) = of(&text) {
            prop_assert!((1..=MAX_SAID).contains(&chat.said.len()));
            for said in chat.said {
                prop_assert!(!said.text.trim().is_empty() && said.text.chars().count() <= MAX_TEXT);
                prop_assert!(said.swipes.is_empty() || (2..=MAX_SWIPES).contains(&said.swipes.len()));
                prop_assert!(said.swipes.is_empty() || said.swipes[said.selected] == said.text);
                prop_assert!(!said.by_user || said.swipes.is_empty());
            }
        }
    }
}

/// A line with the names that are known, and anything under them.
fn anything() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}@[0-9]{1,12}h".prop_map(Value::from),
        proptest::collection::vec(".{0,9}", 0..30).prop_map(Value::from),
        Just(json!({"type": "comment"})),
    ];
    let name = prop_oneof![
        Just("mes"),
        Just("is_user"),
        Just("is_system"),
        Just("send_date"),
        Just("swipes"),
        Just("swipe_id"),
        Just("extra"),
        Just("name"),
        Just("user_name"),
        Just("create_date")
    ];
    let any_line = proptest::collection::btree_map(name, value, 0..8);
    (any_line, ".{0,30}", any::<bool>()).prop_map(|(mut line, text, is_said)| {
        if is_said {
            line.insert("mes", text.into());
        }
        json!(line)
    })
}
