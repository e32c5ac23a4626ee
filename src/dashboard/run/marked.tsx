/** A text with what was searched for marked, in any case of letters. */
export function Marked({ text, find }: { text: string; find: string }) {
  if (find === '') return <>{text}</>;
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
    <>{parts.map((part, index) => (typeof part === 'string' ? part : <mark key={index}>{part.hit}</mark>))}</>
  );
}
