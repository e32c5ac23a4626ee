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
if (host) render(<App />, host);
