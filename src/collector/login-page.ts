/** What a browser without a token is shown: a field for one. No script, and nothing of another server. */

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
};

/** @param said what was wrong with the last try @param next path to go on to */
export function loginPage(
  said: string | null,
  next: string,
): { headers: Record<string, string>; body: string } {
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Waddle</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 26rem; margin: 15vh auto; padding: 0 1rem }
input, button { font: inherit; padding: .5rem .75rem; width: 100%; box-sizing: border-box; margin-top: .5rem }
[role=alert] { color: light-dark(#b3261e, #ffb4ab) }
</style>
<h1>Waddle</h1>
<form method="post" action="/login">
<label>Your token of this collector
<input type="password" name="token" autocomplete="current-password" required autofocus></label>
<input type="hidden" name="next" value="${escaped(next)}">
${said === null ? '' : `<p role="alert">${escaped(said)}</p>\n`}<button>Open</button>
</form>
<p>Who runs the collector makes one: <code>waddle token create</code></p>
</html>
`;
  return { headers: HEADERS, body };
}

/** A path of this server, whatever somebody wrote into the form. */
export function ownPath(next: string | null): string {
  return next !== null && /^\/(?![/\\])[\w\-./?=&%~+:,]*$/.test(next) ? next : '/';
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
