//! Words and emoji of feeling. Small on purpose: common words whose feeling does not hang on the context.

use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Joy,
    Sadness,
    Anger,
    Fear,
    Surprise,
    Affection,
    Curiosity,
}

pub(super) const MOODS: usize = 7;

impl Mood {
    pub(super) const ALL: [Self; MOODS] =
        [Self::Joy, Self::Sadness, Self::Anger, Self::Fear, Self::Surprise, Self::Affection, Self::Curiosity];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Joy => "joy",
            Self::Sadness => "sadness",
            Self::Anger => "anger",
            Self::Fear => "fear",
            Self::Surprise => "surprise",
            Self::Affection => "affection",
            Self::Curiosity => "curiosity",
        }
    }

    /// The face that goes with it.
    pub(super) fn expression(self) -> &'static str {
        match self {
            Self::Joy => "smile",
            Self::Sadness => "frown",
            Self::Anger => "glare",
            Self::Fear => "worry",
            Self::Surprise => "gasp",
            Self::Affection => "warm",
            Self::Curiosity => "wonder",
        }
    }
}

/// Words of each mood: `-` at the end lets a word go on (`laugh-` is also `laughs`, `laughing`), `+` counts one and a
/// half times, and the rest once.
const WORDS: [(Mood, &str); MOODS] = [
    (
        Mood::Joy,
        "happy happi- joy- delight-+ laugh- smil- grin- glad gladly cheer- chuckl- giggl- wonderful-+ excit-+ thrill-+ fun \
         funny yay hooray hurrah celebrat- pleas- pleased merry merri- beam- amus- splendid fantastic+ awesome great \
         lovely enjoy- proud proudly bliss- ecstatic+ jolly",
    ),
    (
        Mood::Sadness,
        "sad+ sadly sadness sorrow-+ cry crying cries cried tear tears tearful- weep-+ wept+ sob sobs sobbing lonel- grief+ \
         griev-+ mourn- miserabl- heartbr-+ regret- sigh- gloom- melanchol- despair-+ unhappy+ hurt hurts mourn- lost \
         hopeless-+ disappoint- sorry",
    ),
    (
        Mood::Anger,
        "angry+ anger-+ angri- furious-+ fury+ rage+ raging hate- hatred+ annoy- irritat- growl- snarl- scowl- glar- damn \
         outrag-+ despis-+ resent- infuriat-+ seeth- fume fuming shout- yell- enough fool fools idiot- disgust- slam-",
    ),
    (
        Mood::Fear,
        "afraid+ fear- scare- scary frighten-+ terrif-+ terror+ horrif-+ horror- trembl- shiver- shudder- dread- panic-+ \
         anxious- anxiet- worr- nervous- danger- flee fled hide hiding doom- nightmare- uneas- whimper-",
    ),
    (
        Mood::Surprise,
        "surpris-+ astonish-+ amaz- gasp-+ shock- wow unexpected- suddenly incredible unbelievabl- startl-+ stunned+ \
         speechless+ whoa blink- astound-+ goodness gosh",
    ),
    (
        Mood::Affection,
        "love loved loves loving-+ lov- dear dearest+ darling+ beloved+ hug hugs hugging hugged kiss- cuddl-+ embrac- \
         tender- caress- cherish-+ ador-+ sweetheart+ fond fondl- fondness affection-+ caring blush- precious treasur- \
         gentle gently warmth warmly nuzzl-",
    ),
    (
        Mood::Curiosity,
        "curious-+ curiosit-+ wonder wonders wondering- wondered why how what tell explor- investigat- intrigu-+ fascinat-+ \
         interesting- examin- inspect- puzzl- mystery myster- riddle- question- discover- peer peers peering ponder- tilt-",
    ),
];

/// Words of asking are so common that they count little.
const WEAK: [(&str, f64); 5] = [("why", 0.5), ("how", 0.25), ("what", 0.25), ("tell", 0.5), ("lov", 0.5)];

struct Entry {
    mood: Mood,
    weight: f64,
    goes_on: bool,
}

static LEXICON: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut lexicon = HashMap::new();
    for (mood, words) in WORDS {
        for word in words.split_whitespace() {
            let (word, heavy) = word.strip_suffix('+').map_or((word, false), |word| (word, true));
            let (word, goes_on) = word.strip_suffix('-').map_or((word, false), |word| (word, true));
            let weak = WEAK.iter().find(|(of, _)| *of == word).map(|(_, weight)| *weight);
            let weight = weak.unwrap_or(if heavy { 1.5 } else { 1.0 });
            lexicon.insert(word, Entry { mood, weight, goes_on });
        }
    }
    lexicon
});

/// The mood of a word in lower case, and how strong it is.
pub(super) fn lookup(word: &str) -> Option<(Mood, f64)> {
    if let Some(entry) = LEXICON.get(word) {
        return Some((entry.mood, entry.weight));
    }
    let stems = (3..word.len()).rev().filter(|&end| word.is_char_boundary(end));
    let entry = stems.filter_map(|end| LEXICON.get(&word[..end])).find(|entry| entry.goes_on)?;
    Some((entry.mood, entry.weight))
}

pub(super) fn emoji(c: char) -> Option<Mood> {
    Some(match c {
        '😀'..='😆' | '😊' | '🙂' | '🎉' | '🤣' | '😺' | '☺' | '🥳' | '✨' => Mood::Joy,
        '😢' | '😭' | '😞' | '😔' | '☹' | '🙁' | '😿' | '💔' | '🥺' => Mood::Sadness,
        '😠' | '😡' | '🤬' | '👿' | '😤' => Mood::Anger,
        '😨' | '😱' | '😰' | '😧' | '😟' => Mood::Fear,
        '😮' | '😲' | '😯' | '🤯' | '😳' => Mood::Surprise,
        '❤' | '💕' | '💖' | '😍' | '🥰' | '😘' | '🤗' | '💗' | '💞' | '😻' => Mood::Affection,
        '🤔' | '🧐' | '🔍' | '🤨' => Mood::Curiosity,
        _ => return None,
    })
}
