/** The calls of an import. */
import { http } from '../../api/client';
import type { CardPreview, ImportedCharacter, ImportedChat } from '../../api/types';
import { takeConversation, takeWholeCharacter } from '../../app/library';

const IMPORT = '/api/characters/import';

function form(file: File): FormData {
  const data = new FormData();
  data.append('file', file);
  return data;
}

export const previewCard = (file: File, signal?: AbortSignal): Promise<CardPreview> =>
  http.post<CardPreview>(`${IMPORT}?preview=true`, form(file), signal && { signal });

export async function importCard(file: File): Promise<ImportedCharacter> {
  const made = await http.post<ImportedCharacter>(IMPORT, form(file));
  takeWholeCharacter(made.character);
  return made;
}

export async function importChat(characterId: string, file: File): Promise<ImportedChat> {
  const path = `/api/conversations/import?characterId=${encodeURIComponent(characterId)}`;
  const made = await http.post<ImportedChat>(path, form(file));
  takeConversation(made.conversation);
  return made;
}
