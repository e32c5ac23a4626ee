/** What the server or the page says, as the beginning of a sentence, with commands between backticks as code. */
export function Said({ text }: { text: string }) {
  const pieces = `${text.charAt(0).toUpperCase()}${text.slice(1)}`.split('`');
  // Without a partner a backtick is a backtick.
  if (pieces.length % 2 === 0) return <>{pieces.join('`')}</>;
  return <>{pieces.map((piece, index) => (index % 2 === 0 ? piece : <code key={index}>{piece}</code>))}</>;
}
