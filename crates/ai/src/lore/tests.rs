//! When an entry is told, and what is left out.

#![allow(clippy::unwrap_used)]

mod sillytavern;

use super::*;
use crate::macros::tests::macros;
use aim_domain::{LoreEntry, LorePosition, SeededRandom};
use serde_json::{Value, json};

const WIDE: TokenBudget = TokenBudget { window: 8_192, reply: 512 };

fn said(texts: &[&str]) -> Vec<HistoryTurn> {
    let author = |n| if n % 2 == 0 { Author::User } else { Author::Character };
    let turns = texts.iter().enumerate();
    turns.map(|(n, text)| HistoryTurn { author: author(n), text: (*text).into(), speaker: None }).collect()
}

fn talk(history: &[HistoryTurn]) -> Talk<'_> {
    Talk { history, messages: history.len() as u64 }
}

fn entry(keys: &[&str], content: &str) -> LoreEntry {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    LoreEntry { keys, content: content.into(), ..LoreEntry::default() }
}

fn book(entries: Vec<LoreEntry>) -> Lorebook {
    Lorebook { entries, ..Lorebook::default() }
}

fn told(book: &Lorebook, texts: &[&str]) -> String {
    looked_up(book, texts).before_character
}

fn looked_up(book: &Lorebook, texts: &[&str]) -> Lore {
    Book::of(book).look_up(talk(&said(texts)), &macros(&*SeededRandom::new(1), "c1"), &WIDE)
}

/// An entry with these `extensions`.
fn with(extensions: Value, entry: LoreEntry) -> LoreEntry {
    let mut entry = entry;
    entry.extra.insert("extensions".into(), extensions);
    entry
}

/// As SillyTavern writes one: all of its keys are said to be regular expressions.
fn of_sillytavern(extensions: Value, entry: LoreEntry) -> LoreEntry {
    let mut all = json!({ "position": 0, "display_index": 0, "exclude_recursion": false, "selectiveLogic": 0,
        "probability": 100, "useProbability": true, "case_sensitive": null, "match_whole_words": null, "scan_depth": null,
        "group": "", "group_weight": 100, "delay_until_recursion": false, "delay": null });
    for (name, value) in extensions.as_object().unwrap() {
        all[name] = value.clone();
    }
    with(all, LoreEntry { use_regex: true, ..entry })
}

#[test]
fn an_entry_is_told_when_one_of_its_keys_is_said() {
    let book = book(vec![entry(&["reef", "Rock"], "The reef took {{user}}'s ship.")]);
    assert_eq!(told(&book, &["Mind the REEF!"]), "The reef took Tom's ship.");
    assert_eq!(told(&book, &["A rock?"]), "The reef took Tom's ship.");
    assert_eq!(told(&book, &["The sea is calm."]), "");
}

#[test]
fn case_counts_where_it_is_asked_for() {
    let careful = LoreEntry { case_sensitive: true, ..entry(&["Reef"], "told") };
    assert_eq!(told(&book(vec![careful.clone()]), &["the reef"]), "");
    assert_eq!(told(&book(vec![careful]), &["the Reef"]), "told");
}

#[test]
fn only_the_last_messages_are_looked_through() {
    let shallow = |depth| Lorebook { scan_depth: Some(depth), ..book(vec![entry(&["reef"], "told")]) };
    let texts = ["the reef", "yes", "and so on"];
    assert_eq!((told(&shallow(2), &texts), told(&shallow(3), &texts)), (String::new(), "told".into()));
    assert_eq!(told(&shallow(0), &["reef"]), "");
    assert_eq!(told(&book(vec![entry(&["reef"], "told")]), &["reef", "a", "b", "c"]), "told", "four unless it is said");
    assert_eq!(told(&book(vec![entry(&["reef"], "told")]), &["reef", "a", "b", "c", "d"]), "");
}

#[test]
fn who_the_user_is_is_looked_through_however_deep_the_book_looks() {
    let random = SeededRandom::new(1);
    let captain = Macros { persona: "A captain who lost a ship at the Reef.", ..macros(&*random, "c1") };
    let shallow = Lorebook { scan_depth: Some(0), ..book(vec![entry(&["reef"], "told")]) };
    let lore = Book::of(&shallow).look_up(talk(&said(&["Hello"])), &captain, &WIDE);
    assert_eq!(lore.before_character, "told");
    assert_eq!(told(&shallow, &["Hello"]), "");
}

#[test]
fn constants_are_told_always_and_the_disabled_never() {
    let constant = LoreEntry { constant: true, ..entry(&[], "always") };
    let off = LoreEntry { enabled: false, constant: true, ..entry(&["sea"], "off") };
    assert_eq!(told(&book(vec![constant, off]), &["sea"]), "always");
}

#[test]
fn a_selective_entry_needs_a_secondary_key_as_well() {
    let selective = LoreEntry { selective: true, secondary_keys: vec!["ship".into()], ..entry(&["reef"], "told") };
    let either = LoreEntry { selective: false, ..selective.clone() };
    assert_eq!(told(&book(vec![selective.clone()]), &["the reef"]), "");
    assert_eq!(told(&book(vec![selective]), &["a ship", "the reef"]), "told");
    assert_eq!(told(&book(vec![either]), &["the reef"]), "told");
}

#[test]
fn regular_expressions_have_their_flags_and_those_that_look_around_are_counted() {
    let with = |key: &str| LoreEntry { use_regex: true, ..entry(&[key], "told") };
    for (key, text, found) in [
        (r"re+f\b", "the REEEF", true),
        (r"/re+f\b/", "the REEEF", false),
        (r"/re+f\b/i", "the REEEF", true),
        (r"/a.b/s", "a\nb", true),
        (r"reef(?=s)", "reefs", false),
        ("(", "(", false),
    ] {
        assert_eq!(told(&book(vec![with(key)]), &[text]), if found { "told" } else { "" }, "{key}");
    }
    let unusable = |keys: &[&str]| Book::of(&book(keys.iter().map(|key| with(key)).collect())).unusable_keys();
    assert_eq!(unusable(&[r"reef(?=s)", "(", "fine"]), 2);
    assert_eq!(unusable(&["fine"; 310]), 10, "there are so many of them at the most");
}

#[test]
fn hostile_regular_expressions_end_in_time() {
    let hard = ["(a*)*$", "(a|aa)+$", "(.*.*.*.*)x", "(?:a?){500}a{500}", r"(\w+\s?)+!", r"(?:\pL{1,200}){1,200}"];
    let entries = hard.iter().cycle().take(300).map(|key| LoreEntry { use_regex: true, ..entry(&[key], "told") });
    let book = book(entries.collect());
    let text = "a".repeat(8_000);
    let began = Instant::now();
    told(&book, &[&text, &text, &text, &text]);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_great_book_is_looked_through_in_time() {
    let entries = (0..2_000).map(|n| entry(&[&format!("key {n}"), &format!("other {n}"), "third", "fourth"], "told"));
    let book = book(entries.collect());
    let text = "the sea is wide and deep ".repeat(300);
    let began = Instant::now();
    assert_eq!(told(&book, &[&text, &text, &text, &text]), "");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn hostile_words_end_in_time() {
    // Each is everywhere, and nowhere a word.
    let keys = vec!["a".to_owned(); 50];
    let one = with(json!({ "match_whole_words": true }), LoreEntry { keys, ..entry(&[], "told") });
    let book = book(vec![one; 2_000]);
    let text = "a".repeat(16_000);
    let began = Instant::now();
    assert_eq!(told(&book, &[&text, &text, &text, &text]), "");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn compiling_has_a_time_of_its_own() {
    let random = SeededRandom::new(1);
    let macros = macros(&*random, "c1");
    let made = Book::of(&book(vec![entry(&["/re+f/"], "told")]));
    let long = Duration::from_mins(1);
    let found_in = |looking, compiling| {
        let mut look = Looked::new(Said::of(&said(&["the reef"]), 4), &macros, Bounds { looking, compiling });
        (made.entries[0].is_found(4, &mut look, &mut Keys::default()), look.passed_over)
    };
    assert_eq!(found_in(long, Duration::ZERO), (false, true), "not yet compiled");
    assert_eq!(found_in(long, long), (true, false));
    assert_eq!(found_in(long, Duration::ZERO), (true, false), "that was done before");
    assert_eq!(found_in(Duration::ZERO, long), (false, true));
    let made = Book::of(&book(vec![entry(&["reef"], "@@exclude_keys /ro+ck/\ntold")]));
    let bounds = Bounds { looking: long, compiling: Duration::ZERO };
    let mut look = Looked::new(Said::of(&said(&["the reef"]), 4), &macros, bounds);
    let is_found = made.entries[0].is_found(4, &mut look, &mut Keys::default());
    assert!(!is_found, "what could not be looked for may be there");
}

#[test]
fn the_heaviest_book_leaves_room_for_others() {
    let keys = || vec!["a".to_owned(); 200];
    let words = LoreEntry { keys: keys(), selective: true, secondary_keys: keys(), ..entry(&[], "told") };
    let regexes = LoreEntry { keys: vec!["/a/".to_owned(); 200], ..entry(&[], "told") };
    let mut entries = vec![words; 1_998];
    entries.extend([regexes.clone(), regexes]);
    let weight = Book::of(&book(entries)).weight();
    assert!(u64::from(weight) + (2 << 20) < BOOKS * 2 / 3, "{weight}, and two megabytes of text");
}

#[test]
fn order_says_where_an_entry_stands_and_position_on_which_side() {
    let at = |order, content: &str| LoreEntry { constant: true, insertion_order: order, ..entry(&[], content) };
    let after = LoreEntry { position: LorePosition::AfterChar, ..at(0, "after") };
    let book = book(vec![at(5, "third"), at(-1, "first"), after, at(2, "second")]);
    let lore = looked_up(&book, &["x"]);
    assert_eq!((lore.before_character.as_str(), lore.after_character.as_str()), ("first\nsecond\nthird", "after"));
}

#[test]
fn lower_priority_is_left_out_first_and_the_budget_holds() {
    let with = |priority, content: &str| LoreEntry { constant: true, priority, ..entry(&[], content) };
    let long = "x".repeat(40);
    let entries =
        vec![with(None, &format!("none {long}")), with(Some(9), &format!("high {long}")), with(Some(-1), "low")];
    let small = |budget| Lorebook { token_budget: Some(budget), ..book(entries.clone()) };
    assert_eq!(told(&small(13), &["x"]), format!("high {long}"));
    assert_eq!(told(&small(15), &["x"]), format!("high {long}\nlow"), "what is small may fit still");
    let great = book(vec![with(None, &"word ".repeat(4_000)), with(None, "small")]);
    assert_eq!(told(&great, &["x"]), "small", "a quarter of the prompt is the most");
}

#[test]
fn a_recursive_book_looks_through_what_was_found() {
    let chain = vec![
        entry(&["reef"], "Here the Gull sank."),
        entry(&["gull"], "Her captain was Ines.{{hidden_key:brass bell}}"),
        entry(&["brass bell"], "It rings at night."),
    ];
    let flat = book(chain.clone());
    assert_eq!(told(&flat, &["the reef"]), "Here the Gull sank.");
    let deep = Lorebook { recursive_scanning: true, ..book(chain.clone()) };
    assert_eq!(told(&deep, &["the reef"]), "Here the Gull sank.\nHer captain was Ines.\nIt rings at night.");
    // One of its keys was said, and the other is found later; the other way round; and in the round before.
    for (first, second) in [("sea", "gull"), ("gull", "sea"), ("gull", "ines"), ("ines", "gull")] {
        let both = LoreEntry { selective: true, secondary_keys: vec![second.into()], ..entry(&[first], "both") };
        let book = Lorebook { entries: [&chain[..2], &[both]].concat(), ..Lorebook::default() };
        let deep = Lorebook { recursive_scanning: true, ..book };
        assert!(told(&deep, &["the reef in the sea"]).ends_with("\nboth"), "{first}, {second}");
    }
    let circle = vec![entry(&["a"], "b"), entry(&["b"], "a")];
    assert_eq!(told(&Lorebook { recursive_scanning: true, ..book(circle) }, &["a"]), "b\na");
}

#[test]
fn decorators_are_obeyed_and_never_told() {
    let texts = ["reef", "yes", "reef"];
    for (content, found) in [
        ("@@activate\ntold", true),
        ("@@dont_activate\ntold", false),
        ("@@activate_only_after 2\ntold", false),
        ("@@activate_only_after 1\ntold", true),
        ("@@additional_keys yes, no\n@@@unknown 1\ntold", true),
        ("@@exclude_keys yes\ntold", false),
        ("@@depth 4", false),
        ("\n  @@Activate\n@@what is this\ntold", true),
        ("@@unknown\n@@@dont_activate\ntold", false),
        ("@@activate\n@@@dont_activate\ntold", true),
    ] {
        assert_eq!(told(&book(vec![entry(&["reef"], content)]), &texts), if found { "told" } else { "" }, "{content}");
    }
}

#[test]
fn entries_stand_among_the_messages_where_they_say_so() {
    let at = |position: Value, depth: Value, content: &str| {
        let extensions = json!({ "position": position, "depth": depth });
        with(extensions, LoreEntry { constant: true, position: LorePosition::AfterChar, ..entry(&[], content) })
    };
    let entries = vec![
        at(json!(4), json!(0), "last"),
        at(json!(4), json!(2), "two b"),
        LoreEntry { insertion_order: -1, ..at(json!(4), json!(2), "two a") },
        at(json!(2), json!(7), "note"),
        at(json!(7), json!(null), "outlet"),
        at(json!(1), json!(0), "after"),
        LoreEntry { constant: true, ..entry(&[], "@@depth 3\n@@role user\nthree") },
        LoreEntry { constant: true, ..entry(&[], "@@position before_desc\nbefore") },
    ];
    let lore = looked_up(&book(entries), &["x"]);
    let among = |depth, text: &str| Among { depth, role: Role::System, text: text.to_owned() };
    let three = Among { role: Role::User, ..among(3, "three") };
    assert_eq!(lore.among_messages, [among(0, "last"), among(2, "two a\ntwo b"), three, among(4, "note")]);
    assert_eq!((lore.before_character.as_str(), lore.after_character.as_str()), ("before", "after"));
}

#[test]
fn a_book_is_made_ready_once_for_each_revision() {
    let books = Books::default();
    let draft = aim_domain::CharacterDraft {
        name: "Mara".into(),
        lorebook: Some(book(vec![entry(&["/re+f/"], "told")])),
        ..Default::default()
    };
    let made = draft.into_character(CharacterId::trusted("mara"), None, aim_domain::Timestamp(0));
    let first = books.of(&made).unwrap();
    assert!(Arc::ptr_eq(&first, &books.of(&made).unwrap()));
    let changed = Character { revision: 2, ..made.clone() };
    assert!(!Arc::ptr_eq(&first, &books.of(&changed).unwrap()));
    let mut without = made;
    without.details.lorebook = None;
    assert!(books.of(&without).is_none());
}
