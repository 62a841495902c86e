import { useRef, useState } from 'react';

/** Lists change by adding and removing only, so a number that is given once names a row for good. */
export function useRows(count: number) {
  const [keys, setKeys] = useState(() => Array.from({ length: count }, (_, n) => n));
  const next = useRef(count);
  const added = () => {
    setKeys((now) => [...now, next.current]);
    next.current += 1;
  };
  const removed = (at: number) => setKeys((now) => now.filter((_, n) => n !== at));
  return { keys, added, removed };
}
