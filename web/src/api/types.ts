/**
 * The shapes of the HTTP API that the page uses, by the names it uses. All are what `npm run types` reads from the
 * server's OpenAPI document; socket events, which that document does not describe, are in `../live/events.ts`.
 */
import type { components } from './schema';

type Schemas = components['schemas'];
/** What `End` ends names of: `Persona` is one of `PersonaAnswer`. */
type Begins<End extends string> = {
  [Name in keyof Schemas]: Name extends `${infer What}${End}` ? What : never;
}[keyof Schemas];

/** The body that wraps one thing. */
export type Answer<Name extends Begins<'Answer'>> = Schemas[`${Name}Answer`];
/** The body that has some of them, or all. */
export type List<Name extends Begins<'List'>> = Schemas[`${Name}List`];

/** An account as operators see it. */
export type Account = Schemas['Account'];
export type AuditAction = Schemas['Action'];
export type Block = Schemas['Block'];
/** A card that was looked at and not saved. */
export type CardPreview = Schemas['CardPreview'];
/** Something that was reported, as operators see it. */
export type Case = Schemas['Case'];
export type Character = Schemas['Character'];
export type CharacterDraft = Schemas['CharacterDraft'];
export type CharacterSummary = Schemas['CharacterSummary'];
export type Code = Schemas['Code'];
export type Conversation = Schemas['ConversationItem'];
export type Device = Schemas['DeviceItem'];
export type DraftItem = Schemas['DraftItem'];
export type FieldError = Schemas['FieldError'];
/** A piece of a text that was found; what fits is marked. */
export type FoundPart = Schemas['Part'];
export type GalleryItem = Schemas['GalleryItem'];
export type ImportedCharacter = Schemas['ImportedCharacter'];
/** What became of a chat of SillyTavern. */
export type ImportedChat = Schemas['ImportedChat'];
export type Invite = Schemas['Invite'];
/** What whoever holds a link sees before they join. */
export type InvitePreview = Schemas['InvitePreview'];
export type LoreEntry = Schemas['LoreEntry'];
export type Lorebook = Schemas['Lorebook'];
/** What a message says of its picture or its voice message. */
export type Media = Schemas['Media'];
export type Message = Schemas['Message'];
export type NewInvite = Schemas['NewInvite'];
export type NoticeChoices = Schemas['NoticeChoices'];
export type Participant = Schemas['Participant'];
/** A person as others see them. */
export type Person = Schemas['PersonSummary'];
export type Persona = Schemas['Persona'];
export type PersonaForm = Schemas['NewPersonaForm'];
export type Personality = Schemas['Personality'];
export type Phase = Schemas['Phase'];
/** A persona as the others in a conversation see it. */
export type Played = Schemas['Played'];
export type Problem = Schemas['Problem'];
export type RegisterForm = Schemas['RegisterForm'];
export type ReportForm = Schemas['ReportForm'];
/** A conversation as it is for everyone in it. */
export type RoomView = Schemas['Conversation'];
export type TagCount = Schemas['TagCount'];
/** A picture or voice message that was sent ahead of its message. */
export type Upload = Schemas['UploadView'];
export type Usage = Schemas['Usage'];
export type UsageLimits = Schemas['UsageLimits'];
export type UsageReport = Schemas['UsageReport'];
export type User = Schemas['User'];
