/** A fresh id of 32 hex digits. `crypto.randomUUID` would not do: browsers hide it on a plain http address. */
export function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
