/**
 * Which picture of a character shows a mood. Pictures have labels: the server's own moods, or any word that cards from
 * elsewhere use. One table says which mood a word is of.
 */

/** What the server finds in a reply. */
export const MOODS = [
  'neutral',
  'joy',
  'sadness',
  'anger',
  'fear',
  'surprise',
  'affection',
  'curiosity',
] as const;

type Mood = (typeof MOODS)[number];

/** Words of a mood, the nearest first: those of SillyTavern's classifier, and what people call their files. */
const WORDS: Readonly<Record<Mood, string>> = {
  neutral: 'neutral calm normal default idle base',
  joy: 'joy happy happiness smile excitement amusement laugh grin pride optimism relief approval fun playful smug wink',
  sadness: 'sadness sad grief remorse disappointment cry crying tears frown lonely tired',
  anger: 'anger angry annoyance annoyed mad rage glare disapproval disgust disgusted pout',
  fear: 'fear afraid scared nervousness nervous worry worried anxious panic',
  surprise: 'surprise surprised shock shocked gasp realization embarrassment embarrassed',
  affection: 'affection love caring admiration gratitude desire warm fond blush blushing shy lust kiss',
  curiosity: 'curiosity curious wonder confusion confused thinking think puzzled',
};

const MOOD_OF = new Map(
  Object.entries(WORDS).flatMap(([mood, words]) =>
    words.split(' ').map((word) => [word, mood as Mood] as const),
  ),
);

/** Moods that may stand for one another. */
const GROUPS: readonly (readonly Mood[])[] = [
  ['joy', 'affection'],
  ['sadness', 'fear', 'anger'],
  ['surprise', 'curiosity'],
];

/** A label without a number behind it: `happy_2` is one more `happy`. */
const plain = (label: string): string =>
  label
    .trim()
    .toLowerCase()
    .replace(/[\s._-]*\d+$/, '');

/** The mood that a label is of; undefined for a word that says none. */
export function moodOf(label: string): Mood | undefined {
  return MOOD_OF.get(plain(label));
}

interface Labelled {
  expression?: string | null;
}

/** The face for a mood: of that word, of that mood, of a mood like it, or the neutral one; undefined where none fits. */
export function faceFor<Picture extends Labelled>(
  pictures: readonly Picture[],
  mood: string | undefined,
): Picture | undefined {
  const faces = pictures.flatMap((picture) =>
    picture.expression
      ? [{ picture, label: plain(picture.expression), mood: moodOf(picture.expression) }]
      : [],
  );
  const ofMood = (wanted: string) => {
    const words = wanted in WORDS ? WORDS[wanted as Mood].split(' ') : [];
    const nearness = (label: string) => words.indexOf(label);
    return (
      faces.find(({ label }) => label === wanted) ??
      faces
        .filter((face) => face.mood === wanted)
        .sort((one, other) => nearness(one.label) - nearness(other.label))[0]
    );
  };
  const wanted = mood ?? 'neutral';
  const group = GROUPS.find((moods) => moods.includes(wanted as Mood)) ?? [];
  for (const candidate of [wanted, ...group, 'neutral']) {
    const found = ofMood(candidate);
    if (found !== undefined) return found.picture;
  }
  return undefined;
}
