/** Why a letter is not where it was to go, as the server says. */
export type Undelivered = 'refused' | 'given-up' | 'in-doubt';

/** The same to whoever waits for it, with what can be done. */
export function undelivered(reason: Undelivered): string {
  switch (reason) {
    case 'refused':
      return 'The letter could not be delivered: the mail server does not take mail for this address. Check that it is spelled right, and change it under “Email address” if it is not.';
    case 'given-up':
      return 'The letter could not be delivered: the mail server could not be reached for hours. Send the link again.';
    case 'in-doubt':
      return 'The letter may not have arrived: the connection to the mail server broke. Look for it, or send the link again.';
  }
}
