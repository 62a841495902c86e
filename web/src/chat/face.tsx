/** The character's picture beside the conversation, by the mood of its last reply. */
import { useEffect, useState } from 'react';
import type { GalleryItem, Personality } from '../api/types';
import { galleries, loadGallery } from '../app/gallery';
import { MOODS, faceFor } from '../lib/expressions';
import { useLoad } from '../lib/load';
import { useStore } from '../lib/store';

const NONE: readonly GalleryItem[] = [];
/** As in `gallery.css`: from here on there is room for a picture beside the conversation. */
const WIDE = '(min-width: 80rem)';

/** The face for the mood of the last reply; undefined where the character has none. */
export function useFace(
  characterId: string,
  personality: Personality | null | undefined,
): GalleryItem | undefined {
  // Whoever may not see them sees the portrait, as does everyone while they are not there.
  useLoad(characterId, () => loadGallery(characterId));
  const items = useStore(galleries)[characterId] ?? NONE;
  useEffect(() => {
    const faces = new Set(MOODS.map((mood) => faceFor(items, mood)));
    const isWide = window.matchMedia(WIDE).matches;
    for (const face of faces) {
      if (face === undefined) continue;
      for (const url of isWide ? [face.thumbnailUrl, face.url] : [face.thumbnailUrl]) new Image().src = url;
    }
  }, [items]);
  return faceFor(items, personality?.mood);
}

/** One picture fades into the next, once the next is there. */
export function Face({
  picture,
  name,
  mood,
}: {
  picture: GalleryItem;
  name: string;
  mood: string | undefined;
}) {
  const [layers, setLayers] = useState<readonly string[]>([]);
  const { url } = picture;
  useEffect(() => {
    let isPast = false;
    const image = new Image();
    image.onload = () => {
      if (!isPast) setLayers((shown) => [...shown.filter((one) => one !== url).slice(-1), url]);
    };
    image.src = url;
    return () => {
      isPast = true;
    };
  }, [url]);
  return (
    <div className="face">
      <div
        className="face__frame"
        role="img"
        aria-label={picture.caption || `${name}, ${mood ?? 'calm'}`}
        data-face={picture.expression}
        style={{ aspectRatio: `${picture.width ?? 3} / ${picture.height ?? 4}` }}
      >
        {layers.map((layer) => (
          <img
            key={layer}
            className="face__layer"
            src={layer}
            alt=""
            onAnimationEnd={() => setLayers((shown) => shown.slice(-1))}
          />
        ))}
      </div>
    </div>
  );
}
