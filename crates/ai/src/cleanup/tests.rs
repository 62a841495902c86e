//! The clean-up's promises, on tables and on random text cut at random places.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Cleaner;
use proptest::prelude::*;

fn clean(text: &str) -> String {
    let mut cleaner = Cleaner::new("Mara Vale", "Tom");
    let mut out = cleaner.push(text);
    out.push_str(&cleaner.finish());
    out
}

fn clean_in_pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut cleaner = Cleaner::new("Mara Vale", "Tom");
    let mut out = String::new();
    for piece in pieces {
        out.push_str(&cleaner.push(piece));
    }
    out.push_str(&cleaner.finish());
    out
}

/// Every case is cleaned whole, character by character, and cut in two at each place.
fn expect(cases: &[(&str, &str)]) {
    for (raw, cleaned) in cases {
        assert_eq!(clean(raw), *cleaned, "of {raw:?}");
        let characters = raw.char_indices().map(|(at, c)| &raw[at..at + c.len_utf8()]);
        assert_eq!(clean_in_pieces(characters), *cleaned, "of {raw:?} by characters");
        for (at, _) in raw.char_indices() {
            assert_eq!(clean_in_pieces([&raw[..at], &raw[at..]]), *cleaned, "of {raw:?} cut at {at}");
        }
    }
}

#[test]
fn ordinary_text_passes_untouched() {
    for text in [
        "The tide turns slowly.",
        "About lg#3-7: the tide turns slowly 🌊 and all waits indeed.",
        "*smiles* Well, hello! 3.5 knots < 7, (not bad) [really] {ok} {{x}} <3",
        "She said: \"As an aide to the queen, I saw it.\" As always. As a sailor, I know.",
        "I am a sailor. I'm an old one. I'm a language teacher, as an AI I would not be.",
        "Tom, listen. Mara is my name: Mara. User manuals bore me.",
        "First line\nSecond: line\n\n- a list\n- of **bold** things\n```\ncode\n```",
        "潮が満ちる。星が見える！…そう？",
        "An ellipsis… and “quotes” – and a dash — all stay.",
        "Sub <b>html</b> and a | pipe <| x |> too",
        "(out of breath) I ran. (ooclock?)",
    ] {
        expect(&[(text, text)]);
    }
}

#[test]
fn a_reply_ends_where_the_model_speaks_for_anybody_present() {
    let clean = |text: &str| {
        let mut cleaner = Cleaner::new("Mara Vale", "Tom").among(["Anna Berg", "Mara (2)", "Zoë", "Tom"]);
        let mut out = cleaner.push(text);
        out.push_str(&cleaner.finish());
        out
    };
    for other in ["Anna Berg: And me?", "anna: And me?", "**Zoë:** And me?", "Mara (2): And me?", "Tom : And me?"] {
        assert_eq!(clean(&format!("Mara: Aye.\n{other}\nMara: Both of you.")), "Aye.", "{other}");
        assert_eq!(clean(&format!("{other}\nMara: Aye.")), "Aye.", "{other}");
    }
    let kept = "Anna, listen.\nBerg: a mountain. Zoë knows: it is high.";
    assert_eq!(clean(kept), kept);
    assert_eq!(clean("Mara Vale: Aye, {{user}}."), "Aye, Tom.");
}

#[test]
fn role_prefixes_are_taken_away_at_the_start_and_at_lines() {
    expect(&[
        ("Mara: Hello", "Hello"),
        ("Mara Vale: Hello", "Hello"),
        ("MARA VALE : Hello", "Hello"),
        ("  Mara:Hello", "Hello"),
        ("Mara: Mara Vale: Hello", "Hello"),
        ("**Mara:** Hello", "Hello"),
        ("**Mara Vale**: Hello", "Hello"),
        ("*Mara:* Hello", "Hello"),
        ("Mara: *smiles* Hello", "*smiles* Hello"),
        ("Character: Hello", "Hello"),
        ("Assistant: Hello", "Hello"),
        ("{{char}}: Hello", "Hello"),
        ("Hello\nMara: again", "Hello\nagain"),
        ("Hello\n\nAssistant: again", "Hello\n\nagain"),
        ("Mara:\nHello", "Hello"),
        ("Mara:", ""),
        ("Mara", "Mara"),
        ("Maraschino: a cherry", "Maraschino: a cherry"),
    ]);
}

#[test]
fn the_reply_ends_where_the_model_speaks_for_the_user() {
    expect(&[
        ("Hello there.\nUser: hi", "Hello there."),
        ("Hello there.\n\nTom: hi\nMara: you", "Hello there."),
        ("Hello there.  \n**Tom:** hi", "Hello there."),
        ("Hello there.\nHuman: hi", "Hello there."),
        ("Hello there.\n{{user}}: hi", "Hello there."),
        ("Hello<|im_end|>\n<|im_start|>user\nhi", "Hello"),
        ("Hello <|eot_id|>", "Hello"),
        ("Hello</s>", "Hello"),
        ("Hello [INST] more [/INST]", "Hello"),
        ("Hello\n### User: more", "Hello"),
        ("Hello<end_of_turn>", "Hello"),
        ("Hello\nTomorrow: rain", "Hello\nTomorrow: rain"),
        ("I told Tom: run.", "I told Tom: run."),
    ]);
}

#[test]
fn a_question_that_is_repeated_first_is_no_answer() {
    expect(&[
        ("User: hi\nMara: Hello", "Hello"),
        ("Tom: hi there\n\nHello", "Hello"),
        ("<|im_start|>assistant\nHello", "Hello"),
        ("<|im_start|>Hello", "Hello"),
        ("<|im_end|>", ""),
        ("<think>The user wants </thin a story.\n\nUser: x</think>\n\nOnce", "Once"),
        ("<think>never ends", ""),
    ]);
}

#[test]
fn remarks_out_of_character_are_taken_away() {
    expect(&[
        ("Hello (OOC: shall I go on?) there", "Hello there"),
        ("(ooc) Hello", "Hello"),
        ("((OOC: a (nested) one)) Hello", "Hello"),
        ("Hello [OOC: x]\nBye", "Hello\nBye"),
        ("Hello\n\n(OOC: x)\n\nBye", "Hello\n\nBye"),
        ("Hello (Out of character: x)", "Hello"),
        ("Hello\nOOC: x\nBye", "Hello\nBye"),
        ("Hello (OOC: never closed\nBye", "Hello\nBye"),
        ("Hello (OOC", "Hello (OOC"),
    ]);
}

#[test]
fn protests_of_being_a_model_are_taken_away_by_the_sentence() {
    expect(&[
        ("As an AI language model, I have no feelings. The sea has.", "The sea has."),
        ("Hello. As a large language model, I can't say 3.5 things! Well.", "Hello. Well."),
        ("Hello. I'm an AI language model.", "Hello."),
        ("Hello.\n\nI am a language model... truly.\nBye", "Hello.\n\ntruly.\nBye"),
        ("\"As an AI language model, I can't.\" Bye", "\" Bye"),
        ("He works as an AI language model.", "He works as an AI language model."),
        ("As an AI, I steer this ship.", "As an AI, I steer this ship."),
    ]);
}

#[test]
fn macros_become_names_even_when_split() {
    expect(&[
        ("Welcome, {{user}}! I am {{Char}}.", "Welcome, Tom! I am Mara Vale."),
        ("Welcome, <USER>, said <BOT>.", "Welcome, Tom, said Mara Vale."),
        ("{{user}} smiles {{unknown}} {{use", "Tom smiles {{unknown}} {{use"),
    ]);
}

#[test]
fn white_space_is_trimmed_and_empty_lines_are_folded() {
    expect(&[
        ("  \n Hello \n\n\n\n  Bye \n\n", "Hello \n\n  Bye"),
        (" \n\t ", ""),
        ("", ""),
        ("a\r\n\r\n\r\nb", "a\r\n\nb"),
    ]);
}

#[test]
fn plain_text_is_given_out_at_once() {
    let mut cleaner = Cleaner::new("Mara Vale", "Tom");
    let deltas: Vec<String> = ["About ", "lg#3-7: ", "the ", "tide", " turns.", " Slowly 🌊", " indeed", "."]
        .map(|piece| cleaner.push(piece))
        .into();
    assert_eq!(deltas, ["About", " lg#3-7:", " the", " tide", " turns.", " Slowly 🌊", " indeed", "."]);
    assert_eq!(cleaner.finish(), "");
}

#[test]
fn the_model_can_be_stopped_once_it_speaks_for_the_user() {
    let mut cleaner = Cleaner::new("Mara", "Tom");
    assert_eq!(cleaner.push("Hello.\nTo"), "Hello.");
    assert!(!cleaner.is_over());
    assert_eq!(cleaner.push("m: hi"), "");
    assert!(cleaner.is_over());
    assert_eq!(cleaner.push("Mara: and"), "");
}

#[test]
fn names_of_any_shape_do_no_harm() {
    for (character, user) in [("", ""), (":", "\n"), ("İstanbul", "ß"), ("*", "**"), ("🌊 Sea", "a b c")] {
        let mut cleaner = Cleaner::new(character, user);
        let mut out = cleaner.push("Hello {{user}}\n🌊 Sea: yes. İstanbul: no\n*: x");
        out.push_str(&cleaner.finish());
        assert!(out.starts_with("Hello"), "{out:?}");
    }
}

/// Scraps of which texts are made that hit many rules at once.
fn scrap() -> impl Strategy<Value = String> {
    let known = [
        "Mara",
        " Vale",
        ":",
        "User:",
        "Tom",
        "\n",
        "\n\n",
        " ",
        "  ",
        "*",
        "**",
        "(",
        "OOC",
        ")",
        "((",
        "]",
        "[",
        "ooc: ",
        "As an AI ",
        "language model",
        ", I",
        ".",
        "!",
        "…",
        "”",
        "\"",
        "{{",
        "user",
        "}}",
        "{{char}}",
        "<USER>",
        "<",
        "<|",
        "im_start",
        "|>",
        "assistant\n",
        "<think>",
        "</think>",
        "</s>",
        "[INST]",
        "I'm a",
        "🌊",
        "é",
        "tide",
        "lg#3-7:",
        "### ",
        "out of character",
        "Assistant:",
        "\r\n",
        "\u{a0}",
    ];
    prop_oneof![
        8 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_a_text_gives_the_same_reply(
        scraps in proptest::collection::vec(scrap(), 0..24),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let text = scraps.concat();
        let whole = clean(&text);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for mut place in places {
            while !text.is_char_boundary(place) {
                place -= 1;
            }
            if place > from {
                pieces.push(&text[from..place]);
                from = place;
            }
        }
        pieces.push(&text[from..]);
        prop_assert_eq!(clean_in_pieces(pieces), whole.clone());
        let characters = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
        prop_assert_eq!(clean_in_pieces(characters), whole.clone());
        prop_assert_eq!(whole.trim(), whole.as_str());
    }

    #[test]
    fn what_is_held_back_stays_short(scraps in proptest::collection::vec(scrap(), 0..40)) {
        let mut cleaner = Cleaner::new("Mara Vale", "Tom");
        for scrap in &scraps {
            cleaner.push(scrap);
            prop_assert!(cleaner.held.len() <= 64, "{:?}", cleaner.held);
        }
    }
}
