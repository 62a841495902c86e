//! When an entry is told, and what is left out.

#![allow(clippy::unwrap_used)]

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
fn keys_are_read_as_their_program_reads_them() {
    let plain = |key: &str| entry(&[key], "told");
    let theirs = |key: &str| of_sillytavern(json!({}), entry(&[key], "told"));
    let v3 = |key: &str| LoreEntry { use_regex: true, ..entry(&[key], "told") };
    for (entry, text, found) in [
        // Plain words with signs of regular expressions in them.
        (theirs("C++"), "I write C++ now", true),
        (theirs("C++"), "I write CCC now", false),
        (theirs("what?"), "wha", false),
        (theirs("(reef"), "the (reef)", true),
        (theirs("a.c"), "abc", false),
        (v3("a.c"), "abc", true),
        // Between slashes it is one, whoever wrote it.
        (theirs(r"/re{2,}f\b/i"), "the REEEF", true),
        (theirs(r"/re{2,}f\b/"), "the REEEF", false),
        (plain("/reef|rock/i"), "a Rock", true),
        (plain(" /reef|rock/i\n"), "a Rock", true),
        (plain(" reef "), "reefs", true),
        (plain("/(one), (two)/"), "one, two", true),
        // And these are none.
        (plain("/home/user"), "in /home/user it is", true),
        (plain("/a/b/i"), "see /A/b/I", true),
        (plain("//"), "https://", true),
        (theirs(r"/a\/b/i"), "A/B", true),
        // Names are put in, and stand for themselves in a regular expression.
        (plain("{{user}} is here"), "tom is here", true),
        (theirs("/^{{char}}:/m"), "Mara: hm", true),
        (plain("{{char}}"), "Marta", false),
        (plain("<USER>"), "Tom", true),
    ] {
        let key = entry.keys[0].clone();
        assert_eq!(told(&book(vec![entry]), &[text]), if found { "told" } else { "" }, "{key} in {text}");
    }
    let random = SeededRandom::new(1);
    let dotted = Macros { character: "M.ra (x", ..macros(&*random, "c1") };
    let book = Book::of(&book(vec![plain("/{{char}}\\)/")]));
    assert_eq!(book.look_up(talk(&said(&["Mara (x)"])), &dotted, &WIDE).before_character, "");
    assert_eq!(book.look_up(talk(&said(&["M.ra (x)"])), &dotted, &WIDE).before_character, "told");
}

#[test]
fn whole_words_and_case_are_as_the_entry_says() {
    let whole = json!({ "match_whole_words": true });
    let careful = json!({ "case_sensitive": true });
    for (extensions, key, text, found) in [
        (&whole, "king", "long live the King!", true),
        (&whole, "king", "not to my liking", false),
        (&whole, "king", "liking, king", true),
        (&whole, "é", "café é", true),
        (&whole, "caf", "café", false),
        (&whole, "king is", "the liking isn't", true),
        (&whole, "王", "国王来了", true),
        (&json!({}), "king", "not to my liking", true),
        (&careful, "Rose", "a rose", false),
        (&careful, "Rose", "a Rose", true),
        (&json!({ "case_sensitive": null }), "Rose", "a rose", true),
    ] {
        let one = of_sillytavern(extensions.clone(), entry(&[key], "told"));
        assert_eq!(told(&book(vec![one]), &[text]), if found { "told" } else { "" }, "{key} in {text}: {extensions}");
    }
}

#[test]
fn secondary_keys_are_joined_by_the_logic_of_the_entry() {
    let texts = ["reef", "reef ship", "reef ship storm", "ship storm"];
    for (logic, found) in [
        (json!(0), [false, true, true, false]),
        (json!(1), [true, true, false, false]),
        (json!(2), [true, false, false, false]),
        (json!(3), [false, false, true, false]),
        (json!("x"), [false, true, true, false]),
    ] {
        let secondary_keys = vec!["ship".into(), "storm".into()];
        let entry = LoreEntry { selective: true, secondary_keys, ..entry(&["reef"], "told") };
        let book = book(vec![with(json!({ "selectiveLogic": logic }), entry)]);
        for (text, found) in texts.into_iter().zip(found) {
            assert_eq!(told(&book, &[text]) == "told", found, "{logic}: {text}");
        }
    }
}

#[test]
fn an_entry_may_look_further_back_than_its_book_and_wait_for_messages() {
    let texts = ["reef", "a", "b", "c", "d", "e"];
    for (extensions, found) in [
        (json!({ "scan_depth": 6 }), true),
        (json!({ "scan_depth": 5 }), false),
        (json!({ "scan_depth": null }), false),
        (json!({ "scan_depth": 6, "delay": 6 }), true),
        (json!({ "scan_depth": 6.0, "delay": 7 }), false),
        (json!({ "scan_depth": 1e30 }), true),
    ] {
        let book = book(vec![with(extensions.clone(), entry(&["reef"], "told"))]);
        assert_eq!(told(&book, &texts) == "told", found, "{extensions}");
    }
}

#[test]
fn chance_decides_in_each_reply_anew() {
    let constant = |extensions: Value| with(extensions, LoreEntry { constant: true, ..entry(&[], "told") });
    let often = |extensions: Value| {
        let (book, random) = (Book::of(&book(vec![constant(extensions)])), SeededRandom::new(3));
        let told =
            |_: &i32| !book.look_up(talk(&said(&["x"])), &macros(&*random, "c1"), &WIDE).before_character.is_empty();
        (0..400).filter(told).count()
    };
    assert_eq!(often(json!({ "probability": 0, "useProbability": true })), 0);
    assert_eq!(often(json!({ "probability": 0, "useProbability": false })), 400);
    assert_eq!(often(json!({ "probability": 100 })), 400);
    let third = often(json!({ "probability": 30, "useProbability": true }));
    assert!((80..160).contains(&third), "{third}");
}

#[test]
fn recursion_ends_and_waits_where_an_entry_says_so() {
    let chain = |first: Value, second: Value, third: Value| {
        let entries = vec![
            with(first, entry(&["reef"], "the Gull")),
            with(second, entry(&["gull"], "her bell")),
            with(third, entry(&["bell", "reef"], "at night")),
        ];
        told(&Lorebook { recursive_scanning: true, ..book(entries) }, &["the reef"])
    };
    let none = || json!({});
    assert_eq!(chain(none(), none(), none()), "the Gull\nher bell\nat night");
    assert_eq!(chain(json!({ "prevent_recursion": true }), none(), none()), "the Gull\nat night");
    assert_eq!(chain(none(), json!({ "exclude_recursion": true }), none()), "the Gull\nat night");
    let late = |level: Value| json!({ "delay_until_recursion": level });
    assert_eq!(chain(none(), late(json!(true)), late(json!(2))), "the Gull\nher bell\nat night");
    let waits = with(late(json!(true)), entry(&["reef"], "later"));
    assert_eq!(told(&book(vec![waits.clone()]), &["reef"]), "", "where nothing recurs it waits for ever");
    assert_eq!(told(&Lorebook { recursive_scanning: true, ..book(vec![waits]) }, &["reef"]), "later");
    // Those of a higher level are told only after the others: by then the others' words are known.
    let not_any = |level: u32, secondary: &str, content: &str| {
        let secondary_keys = vec![secondary.into()];
        let of = LoreEntry { selective: true, secondary_keys, ..entry(&["reef"], content) };
        with(json!({ "delay_until_recursion": level, "selectiveLogic": 2 }), of)
    };
    let entries = vec![not_any(2, "calm", "storm"), not_any(1, "storm", "calm")];
    assert_eq!(told(&Lorebook { recursive_scanning: true, ..book(entries) }, &["reef"]), "calm");
}

#[test]
fn of_a_group_one_is_told() {
    let member = |content: &str, more: Value| {
        let mut extensions = json!({ "group": "weather, sky" });
        more.as_object().unwrap().iter().for_each(|(name, value)| extensions[name] = value.clone());
        with(extensions, LoreEntry { constant: true, ..entry(&[], content) })
    };
    let random = SeededRandom::new(5);
    let times = |entries: Vec<LoreEntry>, text: &str| {
        let book = Book::of(&book(entries));
        let told = |_: &i32| book.look_up(talk(&said(&["x"])), &macros(&*random, "c1"), &WIDE).before_character == text;
        (0..300).filter(told).count()
    };
    let two = |weight: u32| vec![member("rain", json!({ "group_weight": weight })), member("sun", json!({}))];
    let rain = times(two(100), "rain");
    assert!((100..200).contains(&rain), "{rain}");
    let rain = times(two(300), "rain");
    assert!((190..260).contains(&rain), "{rain}");
    assert_eq!(times(two(0), "sun"), 300);
    let first = |order| LoreEntry { insertion_order: order, ..member("fog", json!({ "group_override": true })) };
    assert_eq!(times([two(100), vec![first(1)]].concat(), "fog"), 300);
    let never = member("fog", json!({ "group_override": true, "probability": 0 }));
    assert_eq!(times(vec![never, member("sun", json!({}))], ""), 300, "chance decides of the one that was chosen");
    let other = with(json!({ "group": "sky" }), LoreEntry { constant: true, ..entry(&[], "sky") });
    assert_eq!(times(vec![first(1), other], "fog\nsky"), 0, "whoever is in one of the groups counts");
}

#[test]
fn the_budget_is_spent_in_the_order_of_the_program_that_wrote_the_book() {
    let text = |name: &str| format!("{name} {}", "x".repeat(40));
    let at = |order, constant, name: &str| LoreEntry { insertion_order: order, constant, ..entry(&["x"], &text(name)) };
    let theirs = |entry| of_sillytavern(json!({}), entry);
    let small = |entries| Lorebook { token_budget: Some(15), ..book(entries) };
    let (low, high) = (at(1, false, "low"), at(9, false, "high"));
    assert_eq!(told(&small(vec![low.clone(), high.clone()]), &["x"]), text("low"));
    assert_eq!(told(&small(vec![theirs(low.clone()), theirs(high.clone())]), &["x"]), text("high"));
    let always = theirs(at(0, true, "always"));
    assert_eq!(told(&small(vec![theirs(low.clone()), theirs(high.clone()), always]), &["x"]), text("always"));
    let free = with(json!({ "ignore_budget": true }), high);
    assert_eq!(told(&small(vec![low, free]), &["x"]), format!("{}\n{}", text("low"), text("high")));
    let great = with(json!({ "ignore_budget": true }), entry(&["x"], &"word ".repeat(4_000)));
    assert_eq!(told(&book(vec![great]), &["x"]), "", "a quarter of the prompt is the most nevertheless");
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

#[test]
fn an_entry_at_a_depth_is_told_by_whom_it_says() {
    let at = |role: Value, order: i64, content: &str| {
        let extensions = json!({ "position": 4, "depth": 1, "role": role });
        with(extensions, LoreEntry { constant: true, insertion_order: order, ..entry(&[], content) })
    };
    let before = json!({ "position": 0, "role": 1 });
    let entries = vec![
        at(json!(2), 0, "character"),
        at(json!(1), 1, "user b"),
        at(json!(1), 0, "user a"),
        at(json!(null), 0, "system"),
        at(json!(9), 2, "unknown"),
        with(before, LoreEntry { constant: true, ..entry(&[], "before") }),
    ];
    let lore = looked_up(&book(entries), &["x"]);
    let among = |role, text: &str| Among { depth: 1, role, text: text.to_owned() };
    // What stands first is put in last.
    assert_eq!(
        lore.among_messages,
        [
            among(Role::Character, "character"),
            among(Role::User, "user a\nuser b"),
            among(Role::System, "system\nunknown")
        ]
    );
    assert_eq!(lore.before_character, "before", "elsewhere it is the system's");
}

#[test]
fn a_sticky_entry_is_told_on_for_so_many_messages() {
    let sticky = |messages: Value, entry: LoreEntry| with(json!({ "sticky": messages }), entry);
    let shallow = |entry| Lorebook { scan_depth: Some(1), ..book(vec![entry]) };
    // Said in the first message; each is answered, and the last one is to be answered.
    let after = |count: usize| -> Vec<&'static str> {
        std::iter::once("the reef").chain(std::iter::repeat_n("and so on", count)).collect()
    };
    for (messages, later, expected) in [
        (json!(null), 2, ""),
        (json!(0), 2, ""),
        (json!(2), 0, "told"),
        (json!(2), 2, "told"),
        (json!(2), 4, ""),
        (json!(3), 4, ""),
        (json!(4), 4, "told"),
        (json!(4.0), 4, "told"),
        (json!(4), 6, ""),
        (json!(1e18), 98, "told"),
        (json!("4"), 4, ""),
    ] {
        let book = shallow(sticky(messages.clone(), entry(&["reef"], "told")));
        assert_eq!(told(&book, &after(later)), expected, "{messages} and {later}");
    }
    // It counts from when a message was answered: what the character said is in the talk of the answer after it.
    let book = shallow(sticky(json!(2), entry(&["reef"], "told")));
    assert_eq!(told(&book, &["Hi", "the reef", "Hm", "so", "so"]), "", "no answer looked no deeper than one message");
    let deeper = Lorebook { scan_depth: Some(2), ..book };
    assert_eq!(told(&deeper, &["Hi", "the reef", "Hm", "so", "so"]), "told");
    assert_eq!(told(&deeper, &["Hi", "the reef", "Hm", "so", "so", "so", "so"]), "");
}

#[test]
fn what_makes_an_entry_sticky_is_what_it_would_have_been_found_by() {
    let both = LoreEntry { selective: true, secondary_keys: vec!["ship".into()], ..entry(&["reef"], "told") };
    let book = |entry| Lorebook { scan_depth: Some(1), ..book(vec![with(json!({ "sticky": 9 }), entry)]) };
    assert_eq!(told(&book(both.clone()), &["a ship on the reef", "a", "b"]), "told");
    assert_eq!(told(&book(both), &["a ship", "a", "the reef"]), "", "they were never said together");
    let off = LoreEntry { enabled: false, ..entry(&["reef"], "told") };
    assert_eq!(told(&book(off), &["the reef", "a", "b"]), "");
}

#[test]
fn a_great_book_of_sticky_entries_leaves_time_for_what_is_said_now() {
    let sticky = with(json!({ "sticky": 100 }), entry(&["never", "nowhere", "nothing"], "sticky"));
    let mut entries = vec![sticky; 2_000];
    entries.push(entry(&["deep"], "told"));
    let book = book(entries);
    let text = "the sea is wide and deep ".repeat(20);
    let texts: Vec<&str> = std::iter::repeat_n(text.as_str(), 100).collect();
    let began = Instant::now();
    assert_eq!(told(&book, &texts), "told");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_delay_counts_all_messages_and_not_those_of_the_window_alone() {
    let late = Book::of(&book(vec![with(json!({ "delay": 250 }), entry(&["reef"], "told"))]));
    let history = said(&["the reef"; 3]);
    let random = SeededRandom::new(1);
    for (messages, expected) in [(3, ""), (249, ""), (250, "told"), (9_000, "told")] {
        let lore = late.look_up(Talk { history: &history, messages }, &macros(&*random, "c1"), &WIDE);
        assert_eq!(lore.before_character, expected, "{messages}");
    }
}
