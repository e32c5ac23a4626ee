import { render } from 'preact';
import { startLive } from './api/live.ts';
import { startRuns } from './api/runs-store.ts';
import { App } from './app.tsx';
import { startKeyboard } from './shell/keyboard.ts';
import { startRouter } from './shell/router.ts';
import { startTheme } from './shell/theme.ts';

startTheme();
startRouter();
startKeyboard();
startRuns();
startLive();
const host = document.getElementById('app');
// In a task of its own: without a quick processor the code alone takes as long to evaluate as a task may.
const next = new MessageChannel();
next.port1.onmessage = () => {
  next.port1.close();
  if (host) render(<App />, host);
};
next.port2.postMessage(null);
