/** Where a link into a conversation leads: who invites, whom one would talk with, and the way in. */
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { InvitePreview } from '../api/types';
import { acceptInvite, readInvite } from '../app/rooms';
import { useAction, useLoad } from '../lib/load';
import { upcoming } from '../lib/time';
import { Avatar } from '../ui/avatar';
import { Icon } from '../ui/icons';
import { Failure, FormError, Loading } from '../ui/notice';
import { Page } from '../ui/page';

export function InvitePage({ token }: { token: string }) {
  const [invite, setInvite] = useState<InvitePreview>();
  const { error, again } = useLoad(token, async () => setInvite(await readInvite(token)));
  return (
    <Page title="An invitation" width="narrow">
      {error?.code === 'not_found' ? (
        <DeadLink />
      ) : error ? (
        <Failure error={error} onRetry={again} />
      ) : invite === undefined ? (
        <Loading label="Looking where the link leads" />
      ) : (
        <Invitation invite={invite} token={token} onDead={again} />
      )}
    </Page>
  );
}

function DeadLink() {
  return (
    <div className="empty" role="alert">
      <span className="empty__icon">
        <Icon name="warning" />
      </span>
      <h2 className="empty__title">This link does not work any more</h2>
      <p className="empty__text">
        It may have run out, been used up, or been withdrawn. Ask whoever sent it for a new one.
      </p>
      <Link href="/" className="button">
        All chats
      </Link>
    </div>
  );
}

function Invitation(props: { invite: InvitePreview; token: string; onDead: () => void }) {
  const { conversation, character, invitedBy, members, expiresAt, isMember } = props.invite;
  const [, go] = useLocation();
  const { busy, error, run } = useAction();
  const join = async () => {
    await run(async () => go(`/c/${(await acceptInvite(props.token)).id}`));
  };
  const title = conversation.title === character.name ? '' : ` in “${conversation.title}”`;
  return (
    <section className="invitation">
      <Avatar id={character.id} name={character.name} url={character.avatarUrl} size="large" />
      <h2>{character.name}</h2>
      <p className="invitation__by">
        <Avatar id={invitedBy.id} name={invitedBy.displayName} url={invitedBy.avatarUrl} size="small" />
        <span>
          {invitedBy.displayName} (@{invitedBy.username}) invites you to talk with {character.name}
          {title}.
        </span>
      </p>
      <p className="invitation__more">
        {members === 1 ? 'One person is' : `${members} people are`} there. The link works until{' '}
        {upcoming(expiresAt)}. Everybody there reads all that is said.
      </p>
      <FormError error={error} />
      {error?.code === 'not_found' && (
        <button type="button" className="button" onClick={props.onDead}>
          Look again
        </button>
      )}
      {isMember ? (
        <Link href={`/c/${conversation.id}`} className="button button--primary">
          You are in: open it
        </Link>
      ) : (
        <button type="button" className="button button--primary" disabled={busy} onClick={() => void join()}>
          {busy ? 'Joining…' : 'Join'}
        </button>
      )}
    </section>
  );
}
