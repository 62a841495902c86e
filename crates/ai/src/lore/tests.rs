//! When an entry is told, and what is left out.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::macros::tests::macros;
use aim_domain::SeededRandom;

const WIDE: TokenBudget = TokenBudget { window: 8_192, reply: 512 };

fn said(texts: &[&str]) -> Vec<HistoryTurn> {
    let author = |n| if n % 2 == 0 { Author::User } else { Author::Character };
    let turns = texts.iter().enumerate();
    turns.map(|(n, text)| HistoryTurn { author: author(n), text: (*text).into(), speaker: None }).collect()
}

fn entry(keys: &[&str], content: &str) -> LoreEntry {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    LoreEntry { keys, content: content.into(), ..LoreEntry::default() }
}

fn book(entries: Vec<LoreEntry>) -> Lorebook {
    Lorebook { entries, ..Lorebook::default() }
}

fn told(book: &Lorebook, texts: &[&str]) -> String {
    look_up(book, &said(texts), &macros(&*SeededRandom::new(1), "c1"), &WIDE).before_character
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
    assert_eq!(look_up(&shallow, &said(&["Hello"]), &captain, &WIDE).before_character, "told");
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
    assert_eq!(unusable_keys(&book(vec![with(r"reef(?=s)"), with("("), with("fine")])), 2);
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
fn order_says_where_an_entry_stands_and_position_on_which_side() {
    let at = |order, content: &str| LoreEntry { constant: true, insertion_order: order, ..entry(&[], content) };
    let after = LoreEntry { position: LorePosition::AfterChar, ..at(0, "after") };
    let book = book(vec![at(5, "third"), at(-1, "first"), after, at(2, "second")]);
    let lore = look_up(&book, &said(&["x"]), &macros(&*SeededRandom::new(1), "c1"), &WIDE);
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
    let deep = Lorebook { recursive_scanning: true, ..book(chain) };
    assert_eq!(told(&deep, &["the reef"]), "Here the Gull sank.\nHer captain was Ines.\nIt rings at night.");
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
    ] {
        assert_eq!(told(&book(vec![entry(&["reef"], content)]), &texts), if found { "told" } else { "" }, "{content}");
    }
}
