/** The people of a conversation: who is in, and for its owner the links by which others come in. */
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { Conversation, Participant } from '../api/types';
import { leaveConversation, loadMembers, members, removeMember } from '../app/rooms';
import { useWho } from '../app/who';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { Avatar } from '../ui/avatar';
import { Confirm, Dialog } from '../ui/dialog';
import { Icon } from '../ui/icons';
import { Failure, Loading, Notice } from '../ui/notice';
import { Invites } from './invites';

/** In the head of the chat. */
export function PeopleButton({ conversation }: { conversation: Conversation }) {
  const [open, setOpen] = useState(false);
  const count = conversation.memberIds.length;
  return (
    <>
      <button
        type="button"
        className="people-button"
        aria-label={count === 1 ? 'People: only you' : `People: ${count}`}
        title="People"
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        <Icon name="people" />
        {count > 1 && <span aria-hidden="true">{count}</span>}
      </button>
      {open && <People conversation={conversation} onClose={() => setOpen(false)} />}
    </>
  );
}

type Asking = { to: 'remove'; whom: Participant } | { to: 'leave' };

function People({ conversation, onClose }: { conversation: Conversation; onClose: () => void }) {
  const { id, ownerId } = conversation;
  const { user } = useWho();
  const [, go] = useLocation();
  const [asking, setAsking] = useState<Asking>();
  const items = useStore(members)[id];
  const { error, again } = useLoad(`people ${id}`, () => loadMembers(id));
  const { busy, error: refused, run } = useAction();
  const isOwner = ownerId === user.id;

  const remove = async (whom: Participant) => {
    if (await run(() => removeMember(id, whom.user.id))) {
      // The event may come later.
      const left = (members.get()[id] ?? []).filter((one) => one.user.id !== whom.user.id);
      members.set({ ...members.get(), [id]: left });
    }
    setAsking(undefined);
  };
  const leave = async () => {
    if (await run(() => leaveConversation(id, user.id))) go('/');
    else setAsking(undefined);
  };

  return (
    <>
      <Dialog title="People" onClose={onClose}>
        {refused && <Notice tone="error">{refused.message}</Notice>}
        {error ? (
          <Failure error={error} onRetry={again} />
        ) : items === undefined ? (
          <Loading label="Loading who is here" />
        ) : (
          <ul className="people">
            {items.map((one) => (
              <li key={one.user.id} className="people__one">
                <Avatar id={one.user.id} name={one.user.displayName} url={one.user.avatarUrl} size="small" />
                <span className="people__names">
                  <span className="people__name" dir="auto">
                    {one.user.displayName}
                    {one.user.id === user.id && ' (you)'}
                  </span>
                  <span className="people__more">
                    @{one.user.username} · {one.role}
                  </span>
                </span>
                {isOwner && one.role === 'guest' && (
                  <button
                    type="button"
                    className="link-button people__act"
                    aria-label={`Remove ${one.user.displayName}`}
                    onClick={() => setAsking({ to: 'remove', whom: one })}
                  >
                    Remove
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
        {isOwner ? (
          <Invites conversation={id} people={items?.length} />
        ) : (
          <div className="dialog__actions">
            <button
              type="button"
              className="button button--danger"
              onClick={() => setAsking({ to: 'leave' })}
            >
              <Icon name="leave" /> Leave
            </button>
          </div>
        )}
      </Dialog>
      {asking?.to === 'remove' && (
        <Confirm
          title={`Remove ${asking.whom.user.displayName}?`}
          action="Remove"
          keep="Keep them"
          busy={busy}
          onConfirm={() => void remove(asking.whom)}
          onClose={() => setAsking(undefined)}
        >
          <p>
            They can no longer read or write here, and old links do not let them in again. What they said
            stays.
          </p>
        </Confirm>
      )}
      {asking?.to === 'leave' && (
        <Confirm
          title="Leave this conversation?"
          action="Leave"
          keep="Stay"
          busy={busy}
          onConfirm={() => void leave()}
          onClose={() => setAsking(undefined)}
        >
          <p>You can no longer read or write here. What you said stays.</p>
        </Confirm>
      )}
    </>
  );
}
