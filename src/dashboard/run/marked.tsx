import type { ComponentChildren } from 'preact';

/** A name that a line may be broken in where a person would: after `/`, `.`, `_` and `-`. */
const breakable = (name: string): ComponentChildren =>
  name
    .split(/(?<=[/._-])(?=[^/._-])/)
    .flatMap((part, index) => (index === 0 ? [part] : [<wbr key={index} />, part]));

/** A text with what was searched for marked, in any case of letters. `name`: it may be broken at its joints. */
export function Marked({ text, find, name }: { text: string; find: string; name?: boolean }) {
  const plain = (part: string) => (name ? breakable(part) : part);
  if (find === '') return <>{plain(text)}</>;
  const [hay, needle] = [text.toLowerCase(), find.toLowerCase()];
  // A few letters change their length with their case; then places would be wrong.
  if (hay.length !== text.length || needle.length === 0) return <>{text}</>;
  const parts: (string | { hit: string })[] = [];
  let from = 0;
  for (let at = hay.indexOf(needle); at >= 0; at = hay.indexOf(needle, from)) {
    if (at > from) parts.push(text.slice(from, at));
    parts.push({ hit: text.slice(at, at + needle.length) });
    from = at + needle.length;
  }
  parts.push(text.slice(from));
  return (
    <>
      {parts.map((part, index) =>
        typeof part === 'string' ? plain(part) : <mark key={index}>{part.hit}</mark>,
      )}
    </>
  );
}
