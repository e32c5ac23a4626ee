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
:root {
  color-scheme: light dark; font: 13px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --bg: light-dark(oklch(.976 .004 195), oklch(.185 .012 215)); --raised: light-dark(oklch(1 0 0), oklch(.262 .015 213));
  --line: light-dark(oklch(.885 .009 200), oklch(.34 .015 212)); --text: light-dark(oklch(.25 .018 215), oklch(.925 .008 200));
  --quiet: light-dark(oklch(.46 .018 212), oklch(.745 .014 205)); --accent: light-dark(oklch(.5 .085 190), oklch(.77 .095 188));
  --on: light-dark(oklch(.995 .003 190), oklch(.2 .03 200)); --bad: light-dark(oklch(.53 .18 25), oklch(.72 .15 24)) }
body { display: grid; place-items: center; min-height: 100vh; margin: 0; background: var(--bg); color: var(--text) }
main { box-sizing: border-box; width: min(380px, calc(100vw - 32px)); padding: 28px; margin-bottom: 12vh; border: 1px solid var(--line);
  border-radius: 10px; background: var(--raised) }
h1 { display: flex; align-items: center; gap: 10px; margin: 0 0 20px; font-size: 20px }
svg { width: 28px; height: 28px }
label { color: var(--quiet) }
input, button { box-sizing: border-box; width: 100%; height: 36px; margin-top: 8px; padding: 0 12px; border: 1px solid var(--line); border-radius: 6px;
  font: inherit; color: inherit; background: var(--bg) }
input:focus-visible { outline: 2px solid var(--accent); outline-offset: -1px }
button { border-color: transparent; background: var(--accent); color: var(--on); font-weight: 600; cursor: pointer }
button:focus-visible { outline: 2px solid var(--text); outline-offset: 2px }
p { margin: 12px 0 0; color: var(--quiet) }
p[role=alert] { margin: 8px 0 0; color: var(--bad) }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: nowrap }
</style>
<main>
<h1><svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="var(--accent)"/><path d="M5 20c3 0 3-8 6-8s3 9 6 9 3-11 6-11 2 4 4 4" fill="none" stroke="var(--on)" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round"/></svg>Waddle</h1>
<form method="post" action="/login">
<label>Your token of this collector
<input type="password" name="token" autocomplete="current-password" required autofocus></label>
<input type="hidden" name="next" value="${escaped(next)}">
${said === null ? '' : `<p role="alert">${escaped(said)}</p>\n`}<button>Open</button>
</form>
<p>Whoever runs the collector makes one: <code>waddle token create</code></p>
</main>
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
