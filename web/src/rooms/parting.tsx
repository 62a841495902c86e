/** Word to somebody who was taken out of a conversation while they looked at it. */
import { parting } from '../app/rooms';
import { useStore } from '../lib/store';
import { Icon } from '../ui/icons';

export function PartingNotice() {
  const from = useStore(parting);
  if (from === undefined) return null;
  return (
    <div className="notice notice--warning parting" role="alert">
      <Icon name="warning" />
      <div className="notice__text">
        You are no longer in “{from.title}”: you were taken out, or it was deleted.
      </div>
      <button type="button" className="link-button" onClick={() => parting.set(undefined)}>
        All right
      </button>
    </div>
  );
}
