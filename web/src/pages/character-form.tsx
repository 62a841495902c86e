/** Writing a character, or changing one's own. */
import { useState } from 'react';
import { useLocation } from 'wouter';
import { ApiError, http } from '../api/client';
import type { Character } from '../api/types';
import { useFormDraft } from '../app/form-draft';
import { loadCharacter, loadWholeCharacter, takeWholeCharacter, useWholeCharacter } from '../app/library';
import { useWho } from '../app/who';
import { useLoad } from '../lib/load';
import { clockTime } from '../lib/time';
import { Failure, Loading, Notice } from '../ui/notice';
import { Page } from '../ui/page';
import { BLANK, draftOf, type CharacterForm, type KeptDraft } from './editor/draft';
import { SteppedForm } from './editor/form';

export function NewCharacterPage() {
  return (
    <Page title="New character" width="narrow" back={{ to: '/characters', label: 'All characters' }}>
      <KeptForm
        draftKey="new-character"
        start={BLANK}
        action="Create character"
        isWhole={false}
        readAnew={() => Promise.resolve(BLANK)}
        save={(body) => http.post('/api/characters', body)}
      />
    </Page>
  );
}

export function EditCharacterPage({ id }: { id: string }) {
  const { user } = useWho();
  const character = useWholeCharacter(id);
  const { error, again } = useLoad(character === undefined ? id : undefined, () => loadWholeCharacter(id));
  const notMine = new ApiError('not_found', 'Only the one who wrote a character can change it.');
  return (
    <Page
      title={character === undefined ? 'Edit' : `Edit ${character.name}`}
      width="narrow"
      back={{ to: `/characters/${id}`, label: 'Back to the character' }}
    >
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : character === undefined ? (
        <Loading />
      ) : character.ownerId !== user.id ? (
        <Failure error={notMine} />
      ) : (
        <KeptForm
          draftKey={`edit-${id}`.slice(0, 128)}
          start={draftOf(character)}
          action="Save changes"
          isWhole
          readAnew={async () => draftOf(await loadCharacter(id, true))}
          save={(body) => http.patch(`/api/characters/${id}`, body)}
        />
      )}
    </Page>
  );
}

/** The form with what was typed into it before, here or on another device. */
function KeptForm(props: {
  draftKey: string;
  start: KeptDraft;
  action: string;
  isWhole: boolean;
  readAnew: () => Promise<CharacterForm>;
  save: (body: unknown) => Promise<{ character: Character }>;
}) {
  const { keeper, state } = useFormDraft(props.draftKey, props.start);
  const [, go] = useLocation();
  /** Which text it shows: what was kept, a fresh one, or what another device made of it. */
  const [shown, setShown] = useState<{ number: number; typed: KeptDraft }>();
  const [start] = useState(props.start);
  const { start: kept, elsewhere } = state;
  if (kept === undefined) return <Loading />;
  const show = (typed: KeptDraft) => setShown({ number: (shown?.number ?? 0) + 1, typed });
  return (
    <>
      {state.restored && shown === undefined && elsewhere === undefined && (
        <Notice>
          You go on where you left this form.{' '}
          <button
            type="button"
            className="button"
            onClick={() => {
              void keeper.drop();
              show(start);
            }}
          >
            Start over
          </button>
        </Notice>
      )}
      {elsewhere !== undefined && (
        <Notice tone="warning">
          {elsewhere.savedAt === null
            ? 'This form was finished or given up on another device. What you see here is kept with your next change.'
            : `Another device changed this form at ${clockTime(elsewhere.savedAt)}. With your next change, what you see here takes its place.`}{' '}
          {elsewhere.savedAt !== null && (
            <button
              type="button"
              className="button"
              onClick={() => {
                show(elsewhere.value);
                keeper.dismiss();
              }}
            >
              Show the other version
            </button>
          )}{' '}
          <button type="button" className="button" onClick={() => keeper.dismiss()}>
            Stay with this one
          </button>
        </Notice>
      )}
      {state.trouble !== undefined && (
        <div className="kept-not">
          <Notice tone="warning">What you type is not kept for later: {state.trouble}</Notice>
        </div>
      )}
      <SteppedForm
        key={shown?.number ?? 0}
        start={start}
        typed={shown?.typed ?? kept}
        action={props.action}
        isWhole={props.isWhole}
        readAnew={props.readAnew}
        onKeep={(draft, atOnce) => {
          keeper.keep(draft);
          if (atOnce) void keeper.flush();
        }}
        onSave={async (body) => {
          const { character } = await props.save(body);
          takeWholeCharacter(character);
          void keeper.drop();
          go(`/characters/${character.id}`);
        }}
      />
    </>
  );
}
