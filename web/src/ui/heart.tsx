/** Marks a character as a favourite, on every device. */
import { isFavourite, preferences, toggleFavourite } from '../app/preferences';
import { useStore } from '../lib/store';

export function Heart({ id, name }: { id: string; name: string }) {
  const now = useStore(preferences);
  const is = isFavourite(now, id);
  return (
    <button
      type="button"
      className="icon-button heart"
      aria-pressed={is}
      aria-label={`Favourite: ${name}`}
      disabled={now === undefined}
      onClick={() => toggleFavourite(id)}
    >
      <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path d="M12 19.5S4 14.8 4 9.3A4.3 4.3 0 0 1 12 7a4.3 4.3 0 0 1 8 2.3c0 5.5-8 10.2-8 10.2Z" />
      </svg>
    </button>
  );
}
