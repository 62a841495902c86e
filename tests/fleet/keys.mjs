// The keys of aim in Redis, by what they are for.

const id = '[\\w-]+';

/** Each family's name, and the shape of its keys: the first that fits. */
const families = Object.entries({
  // Each server asks each Redis how it is, and which.
  health: '^aim:(health|probe|epoch)$',
  jobs: '^aim:(ai-response|media-processing|email|analytics|cleanup)(:|$)',
  limits: '^aim:ratelimit:',
  usage: '^aim:user:usages?:',
  tokens: '^aim:ai:tokens:',
  sessions: `^aim:session:([0-9a-f]{64}|user:${id})$`,
  turns: '^aim:turn:',
  'replies under way': '^aim:reply:',
  'leases of loads': '^aim:lease:',
  'what the cache was told': '^aim:cache:told:',
  profiles: '^aim:user:(profile|username):',
  'windows of messages': '^aim:conversation:context:',
  conversations: '^aim:conversation:',
  prompts: '^aim:character:prompt:',
  characters: '^aim:character:',
  personalities: '^aim:personality:',
  'settings, drafts, uploads': '^aim:session:(preferences|draft|upload):',
}).map(([name, shape]) => [name, new RegExp(shape)]);

export const familyOf = (key) => families.find(([, shape]) => shape.test(key))?.[0] ?? `unknown: ${key}`;
