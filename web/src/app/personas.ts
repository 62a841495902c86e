/** One's own personas, kept for as long as the page is open, and which of them are played in a conversation. */
import { http } from '../api/client';
import type { Answer, List, Persona, PersonaForm, Played } from '../api/types';
import { createStore } from '../lib/store';

/** Undefined until they were read. */
export const personas = createStore<readonly Persona[] | undefined>(undefined);

const PATH = '/api/users/me/personas';

export function forgetPersonas(): void {
  personas.set(undefined);
}

export async function loadPersonas(): Promise<void> {
  personas.set((await http.get<List<'Persona'>>(PATH)).items);
}

/** The list with `saved` in its place: the default that was is none any more. */
export function withPersona(all: readonly Persona[], saved: Persona): Persona[] {
  const others = all.map((one) => (saved.isDefault && one.isDefault ? { ...one, isDefault: false } : one));
  return others.some(({ id }) => id === saved.id)
    ? others.map((one) => (one.id === saved.id ? saved : one))
    : [...others, saved];
}

/** Makes one, or changes the one with this id. */
export async function savePersona(form: Partial<PersonaForm>, id?: string): Promise<Persona> {
  const { persona } =
    id === undefined
      ? await http.post<Answer<'Persona'>>(PATH, form)
      : await http.patch<Answer<'Persona'>>(`${PATH}/${id}`, form);
  personas.set(withPersona(personas.get() ?? [], persona));
  return persona;
}

export async function deletePersona(id: string): Promise<void> {
  await http.delete(`${PATH}/${id}`);
  personas.set(personas.get()?.filter((one) => one.id !== id));
}

export const readChoice = (conversation: string): Promise<Answer<'PersonaChoice'>> =>
  http.get<Answer<'PersonaChoice'>>(`/api/conversations/${conversation}/persona`);

/** Null: the default one, whichever that is. */
export const choosePersona = (
  conversation: string,
  personaId: string | null,
): Promise<Answer<'PersonaChoice'>> =>
  http.put<Answer<'PersonaChoice'>>(`/api/conversations/${conversation}/persona`, { personaId });

/** Who goes by which persona in a conversation, by the user's id. */
export async function readPlayed(conversation: string): Promise<Readonly<Record<string, Played>>> {
  const { items } = await http.get<List<'Played'>>(`/api/conversations/${conversation}/personas`);
  return Object.fromEntries(items.map((one) => [one.userId, one]));
}
