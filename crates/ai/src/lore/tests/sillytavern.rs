//! What SillyTavern says of an entry.

use super::*;

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
