/** Says of a branch where it parted from, and leads there if one may go. */
import { Link } from 'wouter';
import type { Conversation } from '../api/types';
import { conversations, loadConversation } from '../app/library';
import { useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { Icon } from '../ui/icons';

/** Under the head of a chat; nothing where it is no branch. */
export function Origin({ conversation: { branchOf } }: { conversation: Conversation }) {
  return branchOf ? <BranchedOff from={branchOf} /> : null;
}

function BranchedOff({ from }: { from: NonNullable<Conversation['branchOf']> }) {
  const id = from.conversationId;
  const origin = useStore(conversations).items.find((item) => item.id === id);
  // It may be deleted, or somebody's who let one in no longer: then its name is nobody's business either.
  useLoad(origin === undefined ? id : undefined, () => loadConversation(id));
  return (
    <p className="chat__origin">
      <Icon name="branch" />
      <span>
        Branched off from{' '}
        {origin === undefined ? (
          'another conversation'
        ) : (
          <Link href={`/c/${id}?at=${from.seq}`}>
            <bdi>{origin.title}</bdi>
          </Link>
        )}
      </span>
    </p>
  );
}
