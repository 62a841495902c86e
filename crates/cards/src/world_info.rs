//! SillyTavern's own form of a lore book, World Info, which some programs put into cards as it is: brought into the form of V3.

use serde_json::{Map, Value};

/// What an entry of World Info calls a field, and V3.
const FIELDS: [(&str, &str); 4] =
    [("key", "keys"), ("keysecondary", "secondary_keys"), ("order", "insertion_order"), ("uid", "id")];

/// What it says of an entry itself, and how SillyTavern calls that in the `extensions` of a card's entry.
const EXTENSIONS: [(&str, &str); 31] = [
    ("position", "position"),
    ("depth", "depth"),
    ("role", "role"),
    ("selectiveLogic", "selectiveLogic"),
    ("probability", "probability"),
    ("useProbability", "useProbability"),
    ("group", "group"),
    ("groupOverride", "group_override"),
    ("groupWeight", "group_weight"),
    ("useGroupScoring", "use_group_scoring"),
    ("excludeRecursion", "exclude_recursion"),
    ("preventRecursion", "prevent_recursion"),
    ("delayUntilRecursion", "delay_until_recursion"),
    ("scanDepth", "scan_depth"),
    ("caseSensitive", "case_sensitive"),
    ("matchWholeWords", "match_whole_words"),
    ("ignoreBudget", "ignore_budget"),
    ("sticky", "sticky"),
    ("cooldown", "cooldown"),
    ("delay", "delay"),
    ("displayIndex", "display_index"),
    ("vectorized", "vectorized"),
    ("automationId", "automation_id"),
    ("outletName", "outlet_name"),
    ("triggers", "triggers"),
    ("matchPersonaDescription", "match_persona_description"),
    ("matchCharacterDescription", "match_character_description"),
    ("matchCharacterPersonality", "match_character_personality"),
    ("matchCharacterDepthPrompt", "match_character_depth_prompt"),
    ("matchScenario", "match_scenario"),
    ("matchCreatorNotes", "match_creator_notes"),
];

/// A book of V3's form is left as it is.
pub(crate) fn upgrade(book: &mut Value) {
    let Some(entries) = book.get_mut("entries") else { return };
    if let Value::Object(numbered) = entries {
        // By their numbers: as text, 10 stands before 2.
        let mut listed: Vec<(String, Value)> = std::mem::take(numbered).into_iter().collect();
        listed.sort_by_key(|(number, _)| number.parse::<u64>().unwrap_or(u64::MAX));
        *entries = listed.into_iter().map(|(_, entry)| entry).collect();
    }
    for entry in entries.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if entry.contains_key("key") && !entry.contains_key("keys") {
            upgrade_entry(entry);
        }
    }
}

fn upgrade_entry(entry: &mut Map<String, Value>) {
    for (from, to) in FIELDS {
        if !entry.contains_key(to)
            && let Some(value) = entry.remove(from)
        {
            entry.insert(to.into(), value);
        }
    }
    if !entry.contains_key("enabled")
        && let Some(Value::Bool(disabled)) = entry.get("disable")
    {
        let enabled = !disabled;
        entry.remove("disable");
        entry.insert("enabled".into(), enabled.into());
    }
    let mut extensions = match entry.remove("extensions") {
        Some(Value::Object(extensions)) => extensions,
        None | Some(Value::Null) => Map::new(),
        // Somebody else's; it stays.
        Some(other) => return drop(entry.insert("extensions".into(), other)),
    };
    for (from, to) in EXTENSIONS {
        if !extensions.contains_key(to)
            && let Some(value) = entry.remove(from)
        {
            extensions.insert(to.into(), value);
        }
    }
    entry.insert("extensions".into(), Value::Object(extensions));
}
