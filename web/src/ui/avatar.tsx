/**
 * A face: the picture of a person or character, or their initials on a colour of their own. A character's mood shows
 * as a ring and a small face at the corner.
 */
import { useState } from 'react';
import type { Personality } from '../api/types';

/** The drawn face of each mood: eyes and mouth on a disc of 20 by 20. */
const FACES: Readonly<Record<string, { eyes: string; mouth: string }>> = {
  joy: { eyes: 'M6.5 8.2q.8-1.4 1.6 0M11.9 8.2q.8-1.4 1.6 0', mouth: 'M6 11.5q4 5 8 0Z' },
  sadness: { eyes: 'M7.2 8h.01M12.8 8h.01', mouth: 'M6.8 14q3.2-3.2 6.4 0' },
  anger: { eyes: 'M5.8 6.8l2.4 1.4M14.2 6.8l-2.4 1.4', mouth: 'M7 13.5h6' },
  fear: { eyes: 'M7.2 7.8h.01M12.8 7.8h.01', mouth: 'M6.5 13q1.2-1.4 2.3 0t2.3 0 2.3 0' },
  surprise: { eyes: 'M7.2 7.5h.01M12.8 7.5h.01', mouth: 'M10 11.2a1.7 2 0 1 1 0 4 1.7 2 0 0 1 0-4Z' },
  affection: { eyes: 'M6.2 8.5q1-1.8 2 0M11.8 8.5q1-1.8 2 0', mouth: 'M7 12q3 3 6 0' },
  curiosity: { eyes: 'M7.2 8.3h.01M12.8 7.6h.01M11.5 5.3q1.4-.8 2.6.2', mouth: 'M8 13.2q2.2.8 4-.6' },
};

const MOOD_WORDS: Readonly<Record<string, string>> = {
  joy: 'happy',
  sadness: 'sad',
  anger: 'angry',
  fear: 'afraid',
  surprise: 'surprised',
  affection: 'fond',
  curiosity: 'curious',
};

export function moodWord(personality: Personality | null | undefined): string | undefined {
  return personality ? MOOD_WORDS[personality.mood] : undefined;
}

interface Face {
  id: string;
  name: string;
  url?: string | null | undefined;
  size?: 'small' | 'medium' | 'large' | 'huge';
  personality?: Personality | null | undefined;
}

export function Avatar({ id, name, url, size = 'medium', personality }: Face) {
  const [broken, setBroken] = useState<string>();
  const mood = personality && personality.mood in FACES ? personality.mood : undefined;
  const picture = url && url !== broken ? url : undefined;
  const classes = ['avatar', `avatar--${size}`, `avatar--hue-${hue(id)}`];
  if (mood !== undefined) classes.push('avatar--moody', `mood--${mood}`);
  return (
    <span
      className={classes.join(' ')}
      aria-hidden="true"
      data-mood={mood}
      data-expression={personality?.expression}
    >
      {picture === undefined ? (
        <span className="avatar__initials">{initials(name)}</span>
      ) : (
        <img
          className="avatar__picture"
          src={picture}
          alt=""
          decoding="async"
          onError={() => setBroken(picture)}
        />
      )}
      {mood !== undefined && <MoodFace mood={mood} />}
    </span>
  );
}

function MoodFace({ mood }: { mood: string }) {
  const face = FACES[mood];
  if (face === undefined) return null;
  return (
    <svg className="avatar__mood" viewBox="0 0 20 20" key={mood}>
      <circle cx="10" cy="10" r="10" />
      <path d={face.eyes} />
      <path d={face.mouth} />
    </svg>
  );
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map(
    (word) => Array.from(word ?? '')[0] ?? '',
  );
  return letters.join('').toUpperCase();
}

/** One of eight colours, always the same for the same id. */
function hue(id: string): number {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return sum % 8;
}
