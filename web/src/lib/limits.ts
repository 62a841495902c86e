/** What a refusal says when there were too many calls. The server names the rule, and the time in seconds: both are for programs. */
import { lengthOfTime } from './time';

const MINUTE = 60_000;
const LIMIT = /^(Too many requests) \([^)]*\)\. Try again in \d+ s\.$/;

/** From two minutes on in whole ones: nobody waits for the second. */
export const waitingTime = (milliseconds: number): string =>
  lengthOfTime(milliseconds < 2 * MINUTE ? milliseconds : Math.ceil(milliseconds / MINUTE) * MINUTE);

/** The same in words for people; `retryAfter` in seconds. */
export function plainDetail(detail: string, retryAfter: number | undefined): string {
  const again = retryAfter === undefined ? '' : ` Try again in ${waitingTime(retryAfter * 1000)}.`;
  return detail.replace(LIMIT, `$1.${again}`);
}

/** Without the time, where that is counted down beside it. */
export const withoutTime = (detail: string): string =>
  detail.replace(LIMIT, '$1.').replace(/^(Too many requests\.) Try again in [^.]*\.$/, '$1');
