/** Settings: the roles that one plays in front of characters. */
import { useEffect, useRef, useState, type SyntheticEvent } from 'react';
import type { Persona } from '../api/types';
import { deletePersona, loadPersonas, personas, savePersona } from '../app/personas';
import { PictureField } from '../app/picture';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { Avatar } from '../ui/avatar';
import { Confirm, Dialog } from '../ui/dialog';
import { fieldError, TextArea, TextField } from '../ui/field';
import { Icon } from '../ui/icons';
import { Failure, FormError, Loading } from '../ui/notice';

const MOST = 50;

export function Personas() {
  const all = useStore(personas);
  const { error, again } = useLoad(all === undefined ? 'personas' : undefined, loadPersonas);
  /** `new`, or the one that is being changed. */
  const [edited, setEdited] = useState<Persona | 'new'>();
  const [deleted, setDeleted] = useState<Persona>();
  const choosing = useAction();
  const section = useRef<HTMLElement>(null);
  const isRead = all !== undefined;
  // Whoever comes here from a chat came for this.
  useEffect(() => {
    if (location.hash === '#personas') section.current?.scrollIntoView();
  }, [isRead]);
  return (
    <section className="group" id="personas" ref={section} aria-labelledby="personas-heading">
      <h2 id="personas-heading">Personas</h2>
      <p className="field__hint">
        Who you are to characters: they call you by the name and know what you say of yourself. In each chat
        you can choose another.
      </p>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : all === undefined ? (
        <Loading />
      ) : (
        <>
          {all.length > 0 && (
            <ul className="rows">
              {all.map((persona) => (
                <li className="row persona" key={persona.id}>
                  <Avatar id={persona.id} name={persona.name} url={persona.avatarUrl} />
                  <div className="row__words">
                    <bdi>{persona.name}</bdi>
                    <small className="persona__about">
                      {persona.isDefault ? 'Played unless you choose another' : persona.description}
                    </small>
                  </div>
                  <div className="persona__actions">
                    <button
                      type="button"
                      className="button"
                      aria-pressed={persona.isDefault}
                      aria-label={`Default: ${persona.name}`}
                      disabled={choosing.busy}
                      onClick={() =>
                        void choosing.run(() => savePersona({ isDefault: !persona.isDefault }, persona.id))
                      }
                    >
                      {persona.isDefault && <Icon name="check" />} Default
                    </button>
                    <button
                      type="button"
                      className="icon-button"
                      aria-label={`Edit ${persona.name}`}
                      onClick={() => setEdited(persona)}
                    >
                      <Icon name="edit" />
                    </button>
                    <button
                      type="button"
                      className="icon-button"
                      aria-label={`Delete ${persona.name}`}
                      onClick={() => setDeleted(persona)}
                    >
                      <Icon name="trash" />
                    </button>
                  </div>
                </li>
              ))}
            </ul>
          )}
          <FormError error={choosing.error} />
          <div className="form__actions">
            <button
              type="button"
              className="button"
              disabled={all.length >= MOST}
              onClick={() => setEdited('new')}
            >
              <Icon name="plus" /> Add a persona
            </button>
            {all.length >= MOST && <span>There are {MOST}, which is the most.</span>}
          </div>
        </>
      )}
      {edited !== undefined && (
        <PersonaDialog
          persona={edited === 'new' ? undefined : edited}
          isFirst={all?.length === 0}
          onClose={() => setEdited(undefined)}
        />
      )}
      {deleted !== undefined && <DeleteDialog persona={deleted} onClose={() => setDeleted(undefined)} />}
    </section>
  );
}

function PersonaDialog(props: { persona: Persona | undefined; isFirst: boolean; onClose: () => void }) {
  const { persona } = props;
  const [name, setName] = useState(persona?.name ?? '');
  const [description, setDescription] = useState(persona?.description ?? '');
  const [picture, setPicture] = useState(persona?.avatarUrl ?? '');
  const [isDefault, setDefault] = useState(persona?.isDefault ?? props.isFirst);
  const { busy, error, run } = useAction();
  const save = async (event: SyntheticEvent) => {
    event.preventDefault();
    const form = {
      name: name.trim(),
      description,
      isDefault,
      ...(picture !== (persona?.avatarUrl ?? '') && { avatarUrl: picture || null }),
    };
    if (await run(() => savePersona(form, persona?.id))) props.onClose();
  };
  return (
    <Dialog title={persona === undefined ? 'A new persona' : `Edit ${persona.name}`} onClose={props.onClose}>
      <form className="form" onSubmit={(event) => void save(event)}>
        <FormError error={error} />
        <TextField
          label="Name"
          hint="What characters call you."
          value={name}
          maxLength={80}
          required
          onChange={(event) => setName(event.target.value)}
          error={fieldError(error, 'name')}
        />
        <TextArea
          label="Who you are"
          hint="Told to the character. {{char}} stands for its name, {{user}} for yours."
          value={description}
          maxLength={4_000}
          onChange={(event) => setDescription(event.target.value)}
          error={fieldError(error, 'description')}
        />
        <PictureField
          name={name}
          url={picture}
          error={fieldError(error, 'avatarUrl')}
          onChange={setPicture}
        />
        <label className="check">
          <input type="checkbox" checked={isDefault} onChange={(event) => setDefault(event.target.checked)} />
          Play it unless I choose another
        </label>
        <div className="dialog__actions">
          <button type="button" className="button" onClick={props.onClose}>
            Cancel
          </button>
          <button type="submit" className="button button--primary" disabled={busy || name.trim() === ''}>
            {busy ? 'Saving…' : 'Save persona'}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ persona, onClose }: { persona: Persona; onClose: () => void }) {
  const { busy, error, run } = useAction();
  const remove = async () => {
    if (await run(() => deletePersona(persona.id))) onClose();
  };
  return (
    <Confirm
      title={`Delete ${persona.name}?`}
      action="Delete persona"
      busy={busy}
      onConfirm={() => void remove()}
      onClose={onClose}
    >
      <p>In chats where you play it, you play your default persona from then on, or are yourself.</p>
      <FormError error={error} />
    </Confirm>
  );
}
