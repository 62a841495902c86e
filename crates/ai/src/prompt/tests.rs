#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::people::Person;
use aim_domain::{CharacterDetails, CharacterId, DepthPrompt, SeededRandom, Timestamp, Visibility};

fn mara() -> Character {
    Character {
        id: CharacterId::trusted("mara"),
        name: "Mara".into(),
        description: "{{char}} keeps the lighthouse and likes {{User}}.".into(),
        personality: "Calm, dry.".into(),
        scenario: String::new(),
        greeting: String::new(),
        example_dialogue: "<START>\n{{user}}: Cold?\n{{char}}: Always.\nThe sea wants it so.\n<start>\n<USER>: Bye\n\
                           <BOT>: Mind the step.\n<START>\n{{user}}: Alone"
            .into(),
        system_prompt: String::new(),
        tags: Vec::new(),
        visibility: Visibility::Public,
        avatar_url: None,
        owner_id: None,
        revision: 7,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        listing: aim_domain::Listing::default(),
        details: CharacterDetails::default(),
    }
}

fn assemble(prompt: &CompiledPrompt, user: &str, history: &[HistoryTurn], budget: &TokenBudget) -> Vec<Turn> {
    let random = SeededRandom::new(1);
    let macros = Macros { character: "Mara", user, persona: "", random: &*random, picks: "c1" };
    super::assemble(prompt, &macros, &Lore::default(), &alone(user, ""), history, budget)
}

fn person(name: &str, about: &str) -> Person {
    Person { id: name.into(), name: name.into(), about: about.into(), present: true }
}

fn alone(user: &str, about: &str) -> People {
    People::alone("Mara", person(user, about))
}

fn user(text: &str) -> HistoryTurn {
    HistoryTurn { author: Author::User, text: text.into(), speaker: Some("Tom".into()) }
}

fn character(text: &str) -> HistoryTurn {
    HistoryTurn { author: Author::Character, text: text.into(), speaker: None }
}

const WIDE: TokenBudget = TokenBudget { window: 8_192, reply: 512 };

#[test]
fn a_compiled_prompt_holds_no_users_name_and_reads_back() {
    let compiled = compile(&mara());
    assert_eq!(compiled.revision, 7);
    assert_eq!(compiled.sheet, "About Mara: Mara keeps the lighthouse and likes {{user}}.\n\nPersonality: Calm, dry.");
    let text = serde_json::to_string(&compiled).unwrap();
    assert_eq!(serde_json::from_str::<CompiledPrompt>(&text).unwrap(), compiled);
}

#[test]
fn example_dialogues_become_turns() {
    let compiled = compile(&mara());
    assert_eq!(
        compiled.examples,
        [
            vec![Turn::new(Role::User, "Cold?"), Turn::new(Role::Character, "Always.\nThe sea wants it so.")],
            vec![Turn::new(Role::User, "Bye"), Turn::new(Role::Character, "Mind the step.")],
        ]
    );
}

#[test]
fn pygmalions_examples_call_the_user_you() {
    let dialogue = "You: Cold?\n{{char}}: Always.\nYou: Hm.\nYour lamp: out.\nMara: So it is.";
    let compiled = compile(&Character { example_dialogue: dialogue.into(), ..mara() });
    let said: Vec<_> = compiled.examples[0].iter().map(|turn| (turn.role, turn.text.as_str())).collect();
    let (them, her) = (Role::User, Role::Character);
    assert_eq!(said, [(them, "Cold?"), (her, "Always."), (them, "Hm.\nYour lamp: out."), (her, "So it is.")]);
    let lines = lines_of_character("You: Hi\nMara: Ahoy.\nYou: Bye", "Mara").collect::<Vec<_>>();
    assert_eq!(lines, [" Ahoy."]);
}

#[test]
fn a_system_prompt_of_its_own_takes_the_place_of_ours() {
    let theirs = compile(&Character { system_prompt: "Be {{char}}.".into(), ..mara() });
    assert_eq!(theirs.system, "Be Mara.");
    assert!(theirs.sheet.starts_with("About Mara:"));
    let both = compile(&Character { system_prompt: "{{Original}} Rhyme.".into(), ..mara() });
    assert!(both.system.starts_with("You are Mara") && both.system.contains("Rhyme."));
    let twice = compile(&Character { system_prompt: "É {{original}} — {{ORIGINAL}}".into(), ..mara() });
    assert_eq!(twice.system.matches("You are Mara").count(), 2);
    assert!(twice.system.starts_with("É You are") && !twice.system.to_lowercase().contains("{{original}}"));
}

#[test]
fn macros_are_known_whatever_their_case_and_others_stay() {
    assert_eq!(expand("{{CHAR}} <user> {{x}} <b> é{{user}}< {", "Mara", "Tom"), "Mara Tom {{x}} <b> éTom< {");
}

#[test]
fn a_prompt_has_the_system_text_examples_and_history_in_order() {
    let turns = assemble(&compile(&mara()), "Tom", &[character("Welcome."), user("Hi")], &WIDE);
    let texts: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
    assert!(texts[0].contains("talking with Tom"));
    assert_eq!(texts[1..], ["Cold?", "Always.\nThe sea wants it so.", "Bye", "Mind the step.", "Welcome.", "Hi"]);
    assert_eq!(turns.last().unwrap().role, Role::User);
}

#[test]
fn lore_stands_around_the_sheet_and_the_authors_last_word_after_the_messages() {
    let details = CharacterDetails {
        nickname: "Keeper".into(),
        post_history_instructions: "{{original}}{{char}} whispers to {{user}}. {{random:Now,Now}}".into(),
        ..CharacterDetails::default()
    };
    let compiled = compile(&Character { details, system_prompt: "Be {{char}}.".into(), ..mara() });
    let (random, lore) = (
        SeededRandom::new(1),
        Lore { before_character: "LORE A".into(), after_character: "LORE B".into(), ..Lore::default() },
    );
    let macros = Macros { character: "Keeper", user: "Tom", persona: "", random: &*random, picks: "c1" };
    let turns = super::assemble(&compiled, &macros, &lore, &alone("Tom", ""), &[user("Hi")], &WIDE);
    let system = &turns[0].text;
    assert!(system.starts_with("Be Keeper.\n\nLORE A\n\nAbout Keeper: Keeper keeps"), "{system}");
    assert!(system.ends_with("Calm, dry.\n\nLORE B"), "{system}");
    let last = turns.last().unwrap();
    assert_eq!((last.role, last.text.as_str()), (Role::System, "Keeper whispers to Tom. Now"));
    assert_eq!(turns[turns.len() - 2].text, "Hi");
}

#[test]
fn lore_among_the_messages_stands_so_many_messages_from_the_end() {
    let random = SeededRandom::new(1);
    let macros = Macros { character: "Mara", user: "Tom", persona: "", random: &*random, picks: "c1" };
    let among = |depth, role, text: &str| Among { depth, role, text: text.into() };
    let among_messages = vec![
        among(0, Role::System, "LAST"),
        among(1, Role::Character, "BEFORE IT"),
        among(1, Role::System, "BEFORE THAT"),
        among(9, Role::User, "FIRST"),
    ];
    let lore = Lore { among_messages, ..Lore::default() };
    let said = [user("Hi"), character("Hm."), user("So?")];
    let turns = super::assemble(&compile(&mara()), &macros, &lore, &alone("Tom", ""), &said, &WIDE);
    let texts: Vec<&str> = turns[5..].iter().map(|turn| turn.text.as_str()).collect();
    assert_eq!(texts, ["FIRST", "Hi", "Hm.", "BEFORE THAT", "BEFORE IT", "So?", "LAST"]);
    let roles = [5, 8, 9, 11].map(|n: usize| turns[n].role);
    assert_eq!(roles, [Role::User, Role::System, Role::Character, Role::System]);
    let long = vec![among(1, Role::System, &"word ".repeat(1_000))];
    let lore = Lore { among_messages: long, ..Lore::default() };
    let budget = TokenBudget::new(2_048, 80);
    let history: Vec<_> = (0..60).map(|n| user(&format!("message {n:03} {}", "x".repeat(80)))).collect();
    let turns = super::assemble(&compile(&mara()), &macros, &lore, &alone("Tom", ""), &history, &budget);
    assert!(crate::tokens::estimate_turns(&turns) <= budget.prompt());
}

#[test]
fn an_authors_note_stands_where_it_belongs_among_the_messages() {
    let random = SeededRandom::new(1);
    let macros = Macros { character: "Mara", user: "Tom", persona: "", random: &*random, picks: "c1" };
    let told = |prompt: &str, depth, role| {
        let depth_prompt = Some(DepthPrompt { prompt: prompt.into(), depth, role });
        let compiled =
            compile(&Character { details: CharacterDetails { depth_prompt, ..Default::default() }, ..mara() });
        let among = |depth, text: &str| Among { depth, role: Role::System, text: text.into() };
        let lore =
            Lore { among_messages: vec![among(0, "LAST"), among(1, "LORE"), among(2, "EARLY")], ..Lore::default() };
        let lore = compiled.with_note(lore, &macros, &WIDE);
        let turns = super::assemble(&compiled, &macros, &lore, &alone("Tom", ""), &[user("Hi"), user("So?")], &WIDE);
        turns[5..].iter().map(|turn| (turn.role, turn.text.clone())).collect::<Vec<_>>()
    };
    let texts =
        |prompt, depth| told(prompt, depth, PromptRole::System).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(texts("{{char}} minds {{user}}. ", 1), ["EARLY", "Hi", "LORE", "Mara minds Tom.", "So?", "LAST"]);
    assert_eq!(texts("First of all", 99), ["First of all", "EARLY", "Hi", "LORE", "So?", "LAST"]);
    assert_eq!(texts("{{// nothing}}", 1), ["EARLY", "Hi", "LORE", "So?", "LAST"]);
    assert!(told("I nod.", 0, PromptRole::Assistant).contains(&(Role::Character, "I nod.".to_owned())));
    assert_eq!(told("I nod.", 0, PromptRole::User).last(), Some(&(Role::User, "I nod.".to_owned())));
    let long = &texts(&"word ".repeat(50_000), 0)[5];
    assert!(crate::tokens::estimate(long) <= WIDE.prompt() / 10, "a tenth of the prompt");
}

#[test]
fn the_newest_messages_stay_and_examples_go_first() {
    let history: Vec<_> = (0..60).map(|n| user(&format!("message {n:03} {}", "x".repeat(80)))).collect();
    let budget = TokenBudget::new(1_200, 100);
    let turns = assemble(&compile(&mara()), "Tom", &history, &budget);
    assert!(crate::tokens::estimate_turns(&turns) <= budget.prompt());
    assert!(turns.last().unwrap().text.starts_with("message 059"));
    assert!(turns.len() > 5 && turns[1].text.starts_with("message 0"), "no example, but history: {}", turns[1].text);
}

#[test]
fn a_full_window_begins_alike_for_some_messages() {
    let history: Vec<_> = (0..60).map(|n| user(&format!("message {n:03} {}", "x".repeat(80)))).collect();
    let first = |until: usize| {
        let turns = assemble(&compile(&mara()), "Tom", &history[..until], &TokenBudget::new(1_200, 100));
        turns[1].text.clone()
    };
    let starts: Vec<String> = (40..56).map(first).collect();
    let changes = starts.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(changes, 2, "{starts:?}");
}

#[test]
fn a_model_is_given_a_hundred_messages_at_most() {
    let history: Vec<_> = (0..150).map(|n| user(&n.to_string())).collect();
    let turns = assemble(&compile(&mara()), "Tom", &history, &TokenBudget::new(1_000_000, 100));
    assert_eq!((turns.len(), turns[1].text.as_str(), turns.last().unwrap().text.as_str()), (95, "56", "149"));
    let all = assemble(&compile(&mara()), "Tom", &history[50..], &TokenBudget::new(1_000_000, 100));
    assert_eq!((all.len(), all[1].text.as_str()), (101, "50"));
}

#[test]
fn what_alone_overflows_the_window_is_cut_to_fit() {
    let wordy = compile(&Character { description: "ü".repeat(20_000), ..mara() });
    let long = user(&format!("{} why?", "word ".repeat(1_600)));
    let budget = TokenBudget::new(2_048, 80);
    let turns = assemble(&wordy, "Tom", &[user("older"), long], &budget);
    assert!(crate::tokens::estimate_turns(&turns) <= budget.prompt());
    assert_eq!(turns.len(), 2);
    assert!(turns[0].text.starts_with("You are Mara") && turns[1].text.ends_with("why?"));
}

#[test]
fn the_model_is_told_who_speaks_only_when_several_do() {
    let ann = HistoryTurn { speaker: Some("Ann".into()), ..user("And me") };
    let history = [user("Hi"), character("Hm."), ann];
    let random = SeededRandom::new(1);
    let macros = Macros { character: "Mara", user: "Ann", persona: "", random: &*random, picks: "c1" };
    let said = |people: &People| {
        let turns = super::assemble(&compile(&mara()), &macros, &Lore::default(), people, &history, &WIDE);
        let texts: Vec<String> = turns[turns.len() - 3..].iter().map(|turn| turn.text.clone()).collect();
        (turns[0].text.clone(), texts)
    };
    let (system, texts) = said(&People::several("Mara", person("Ann", "A smith."), vec![person("Tom", "")]));
    assert_eq!(texts, ["Tom: Hi", "Hm.", "Ann: And me"]);
    assert!(system.contains("here: Ann, Tom.") && system.ends_with("About Ann: A smith."), "{system}");
    let (system, texts) = said(&alone("Ann", ""));
    assert_eq!(texts, ["Hi", "Hm.", "And me"]);
    assert!(system.ends_with("Calm, dry."), "{system}");
}

#[test]
fn who_the_user_is_stands_behind_the_scenario_and_wherever_the_author_asks_for_it() {
    let random = SeededRandom::new(1);
    let (about, lore) = ("A smith.", Lore { after_character: "LORE".into(), ..Lore::default() });
    let macros = Macros { character: "Mara", user: "Tom", persona: about, random: &*random, picks: "c1" };
    let details = CharacterDetails { post_history_instructions: "Mind: {{persona}}".into(), ..Default::default() };
    let compiled = compile(&Character { scenario: "A storm.".into(), details, ..mara() });
    assert_eq!(compiled.closing, "Mind: {{persona}}", "compiled for everyone");
    let turns = super::assemble(&compiled, &macros, &lore, &alone("Tom", about), &[user("Hi")], &WIDE);
    assert!(turns[0].text.ends_with("Scenario: A storm.\n\nLORE\n\nAbout Tom: A smith."), "{}", turns[0].text);
    assert_eq!(turns.last().unwrap().text, "Mind: A smith.");
}

#[test]
fn a_speakers_name_stays_before_a_message_that_is_cut() {
    let random = SeededRandom::new(1);
    let macros = Macros { character: "Mara", user: "Tom", persona: "", random: &*random, picks: "c1" };
    let people = People::several("Mara", person("Tom", &"so ".repeat(2_000)), vec![person("Ann", "")]);
    let (long, budget) = (user(&format!("{} why?", "word ".repeat(1_600))), TokenBudget::new(2_048, 80));
    let turns = super::assemble(&compile(&mara()), &macros, &Lore::default(), &people, &[long], &budget);
    assert!(crate::tokens::estimate_turns(&turns) <= budget.prompt());
    let last = &turns.last().unwrap().text;
    assert!(last.starts_with("Tom: ") && last.ends_with("why?"), "{last}");
}
